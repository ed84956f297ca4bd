//! Several processes with several threads each publish, read and evict at once: some are too late and
//! miss, nobody ever sees wrong bytes.

use std::fs;
use std::path::Path;

use rekindle_base::{ByteSize, Digest};
use rekindle_fsx::place::Wish;
use rekindle_store::{BadKind, LocalStore, Space, Store, StoreError};

use crate::support::{HOUR, helper, key, later};

const DIR: &str = "REKINDLE_TEST_DIR";
const SEED: &str = "REKINDLE_TEST_SEED";
const PROCESSES: u64 = 3;
const THREADS: u64 = 3;
const ROUNDS: u64 = 250;

/// The bytes of the thing called `number`: few things, so that workers meet.
fn bytes_of(number: u64) -> Vec<u8> {
    let length = usize::try_from(number * 9973 % 40_000).unwrap();
    let pattern = number.to_le_bytes();
    pattern.iter().copied().cycle().take(length).collect()
}

struct Worker<'a> {
    store: LocalStore,
    dir: &'a Path,
    id: u64,
    state: u64,
    hits: u64,
}

impl Worker<'_> {
    fn draw(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % below
    }

    fn wish(&mut self) -> Wish {
        Wish {
            hardlink: self.draw(2) == 0,
            executable: false,
        }
    }

    fn publish(&mut self, number: u64, round: u64) {
        let bytes = bytes_of(number);
        let source = self.dir.join(format!("source-{}-{round}", self.id));
        fs::write(&source, &bytes).unwrap();
        let wish = self.wish();
        let stored = self.store.put_object(&source, wish).unwrap();
        assert_eq!(stored.digest, Digest::of(&bytes));
        fs::remove_file(source).unwrap();
        let (key, payload) = (key(&number.to_string()), number.to_le_bytes());
        self.store
            .put_record(Space::Entries, &key, &[stored.digest], &payload)
            .unwrap();
    }

    fn look_up(&mut self, number: u64) {
        let entry = key(&number.to_string());
        let Some(record) = self.store.get_record(Space::Entries, &entry).unwrap() else {
            return;
        };
        let bytes = bytes_of(number);
        assert_eq!(record.payload, number.to_le_bytes());
        assert_eq!(record.refs, [Digest::of(&bytes)]);
        let dest = self.dir.join(format!("dest-{}", self.id));
        let wish = self.wish();
        match self.store.place_object(&record.refs[0], &dest, wish) {
            Ok(_) => {
                assert_eq!(fs::read(&dest).unwrap(), bytes);
                self.hits += 1;
            }
            Err(StoreError::Missing) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn run(&mut self) {
        for round in 0..ROUNDS {
            let number = self.draw(24);
            match self.draw(20) {
                0..8 => self.publish(number, round),
                8..17 => self.look_up(number),
                17 => self
                    .store
                    .remove_record(Space::Entries, &key(&number.to_string()))
                    .unwrap(),
                18 => {
                    let budget = ByteSize(self.draw(400_000));
                    let report = self.store.gc(budget, later(2 * HOUR)).unwrap();
                    assert_eq!(report.problems, [""; 0]);
                }
                _ => {
                    let report = self.store.verify(false).unwrap();
                    let is_a_miss = |kind| kind == BadKind::DanglingRecord;
                    assert!(
                        report.bad.iter().all(|bad| is_a_miss(bad.kind)),
                        "{report:?}"
                    );
                }
            }
        }
    }
}

/// What each of the processes does.
fn work(dir: &Path) {
    let seed: u64 = std::env::var(SEED).unwrap().parse().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let id = seed * THREADS + thread;
                let mut worker = Worker {
                    store: LocalStore::open(&dir.join("store")),
                    dir,
                    id,
                    state: (id + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
                    hits: 0,
                };
                worker.run();
                assert!(worker.hits > 0, "a worker that never hits checks nothing");
            });
        }
    });
}

#[test]
fn many_processes_publish_read_and_evict_at_once() {
    if let Some(dir) = std::env::var_os(DIR) {
        return work(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let dir_text = dir.path().to_str().unwrap();
    let children: Vec<_> = (0..PROCESSES)
        .map(|seed| {
            let seed = seed.to_string();
            helper(
                "concurrency::many_processes_publish_read_and_evict_at_once",
                &[(DIR, dir_text), (SEED, &seed)],
            )
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "the helper did not run: {text}");
    }
    let store = LocalStore::open(&dir.path().join("store"));
    let report = store.verify(false).unwrap();
    assert!(
        report
            .bad
            .iter()
            .all(|bad| bad.kind == BadKind::DanglingRecord)
    );
    assert_eq!(report.temporaries, 0);
}
