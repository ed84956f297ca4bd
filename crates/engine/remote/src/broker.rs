//! Answers the wrappers of a run: brings what they ask for into the local store that they share.
//!
//! The socket and its questions are in `rekindle_store::beyond`. The broker ends with the command; who asks later gets no
//! answer and goes on without.

use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rekindle_store::beyond::{self, Beyond, Question};

/// Questions that are answered at once; one more gets none.
const AT_ONCE: usize = 128;
/// A process of ours sends its question in one piece.
const READ_WAIT: Duration = Duration::from_secs(5);

/// A broker that answers until it is dropped.
#[derive(Debug)]
pub struct Broker {
    run_dir: PathBuf,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Broker {
    /// Begins to answer the processes of a run.
    ///
    /// # Errors
    /// Where the socket or the thread cannot be made.
    pub fn start(run_dir: &Path, beyond: Arc<dyn Beyond>) -> io::Result<Self> {
        let listener = beyond::listen(run_dir)?;
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        let thread = std::thread::Builder::new()
            .name("broker".to_owned())
            .spawn(move || accept(&listener, &beyond, &flag))?;
        Ok(Self {
            run_dir: run_dir.to_owned(),
            over,
            thread: Some(thread),
        })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Only another connection wakes it.
        let woken = beyond::connect(&self.run_dir).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
        beyond::hang_up(&self.run_dir);
    }
}

fn accept(listener: &UnixListener, beyond: &Arc<dyn Beyond>, over: &AtomicBool) {
    let running = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else {
            // Out of descriptors: those that are open are about to be closed.
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        if running.fetch_add(1, Ordering::SeqCst) >= AT_ONCE {
            running.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (beyond, running) = (Arc::clone(beyond), Arc::clone(&running));
        let spawned = std::thread::Builder::new().spawn({
            let running = Arc::clone(&running);
            move || {
                // Whoever asks sees that there is no answer.
                let _ = answer(stream, &*beyond);
                running.fetch_sub(1, Ordering::SeqCst);
            }
        });
        if spawned.is_err() {
            running.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn answer(mut stream: UnixStream, beyond: &dyn Beyond) -> io::Result<()> {
    stream.set_read_timeout(Some(READ_WAIT))?;
    stream.set_write_timeout(Some(READ_WAIT))?;
    let answer: Vec<u8> = match Question::read(&mut stream)? {
        Question::Has(objects) => {
            let has = objects
                .iter()
                .map(|(digest, size)| beyond.has(digest, *size));
            has.map(u8::from).collect()
        }
        Question::Bring(digests) => {
            beyond.bring(&digests);
            vec![1; digests.len()]
        }
    };
    stream.write_all(&answer)
}
