//! A store that is full, read-only, gone, elsewhere or no store at all costs at most a warning.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rekindle_events::Fate;

use crate::faults::{Checkout, Field, OUTPUT, UNITS, assert_all_hits, count, shown, skipped};

/// A file system of its own, unmounted at the end.
pub(crate) struct Mount {
    pub(crate) dir: PathBuf,
}

fn works(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Mount {
    fn new(test: &str, dir: PathBuf, arguments: &[&str]) -> Option<Self> {
        std::fs::create_dir_all(&dir).unwrap();
        match works(Command::new("mount").args(arguments).arg(&dir)) {
            Ok(()) => Some(Self { dir }),
            Err(why) => {
                skipped(test, &why);
                None
            }
        }
    }

    pub(crate) fn tmpfs(test: &str, dir: PathBuf, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        Self::new(test, dir, &["-t", "tmpfs", "-o", &options, "rekindle-test"])
    }

    /// A file with a file system of the named kind in it.
    fn image(test: &str, field: &Field, kind: &str, size: u64, options: &[&str]) -> Option<Self> {
        let image = field.path(&format!("{kind}.image"));
        std::fs::File::create(&image)
            .unwrap()
            .set_len(size)
            .unwrap();
        let mut make = Command::new(format!("mkfs.{kind}"));
        if let Err(why) = works(make.args(options).arg(&image)) {
            skipped(test, &format!("mkfs.{kind}: {why}"));
            return None;
        }
        let image = image.to_str().unwrap().to_owned();
        Self::new(test, field.path(kind), &["-o", "loop", &image])
    }

    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        works(Command::new("mount").args(["-o", &options]).arg(&self.dir)).unwrap();
    }

    pub(crate) fn fill(&self) {
        let mut filler = std::fs::File::create(self.dir.join("filler")).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.dir).output();
    }
}

/// Builds, twice, and changes something: always right, never more than a warning.
fn check(checkout: &Checkout<'_>, when: &str) {
    checkout.build_to(OUTPUT);
    checkout.assert_fresh(when);
    checkout.put(
        "app/src/main.rs",
        "fn main() { print!(\"{}!\", dep::word()) }\n",
    );
    checkout.build_to("word!");
    checkout.assert_fresh(when);
}

#[test]
fn a_store_that_is_no_directory_costs_a_warning() {
    let field = Field::new();
    std::fs::write(&field.store, "a file").unwrap();
    check(&field.checkout("one"), "a file in place of the store");
    assert_eq!(std::fs::read(&field.store).unwrap(), b"a file");
}

#[test]
fn a_store_that_vanishes_is_made_again() {
    let field = Field::new();
    let one = field.checkout("one");
    one.build();
    std::fs::remove_dir_all(&field.store).unwrap();
    one.assert_fresh("the store is gone");
    std::fs::remove_dir_all(&field.store).unwrap();
    check(&one, "the store is gone again");
    check(&field.checkout("two"), "a new store");
    let three = field.checkout("three");
    assert_all_hits(&three.build(), UNITS);
}

#[test]
fn a_disk_that_fills_up_during_a_build_costs_a_warning() {
    let test = "a_disk_that_fills_up_during_a_build_costs_a_warning";
    let mut field = Field::new();
    // Room for hardly a record, for records, for some units.
    for (index, size) in ["64k", "600k", "5m"].into_iter().enumerate() {
        field.store = field.path(&format!("small-{index}"));
        let Some(mount) = Mount::tmpfs(test, field.store.clone(), size) else {
            return;
        };
        check(&field.checkout(&format!("one-{index}")), size);
        field.assert_sound(size);
        check(&field.checkout(&format!("two-{index}")), size);
        // With room again it goes on as ever.
        mount.remount("size=100m");
        field.checkout(&format!("three-{index}")).build();
        let last = field.checkout(&format!("four-{index}"));
        assert_all_hits(&last.build(), UNITS);
        field.assert_sound("with room again");
    }
}

#[test]
fn a_full_disk_serves_what_it_holds() {
    let test = "a_full_disk_serves_what_it_holds";
    let field = Field::new();
    let Some(mount) = Mount::tmpfs(test, field.store.clone(), "100m") else {
        return;
    };
    field.checkout("one").build();
    mount.fill();
    check(&field.checkout("two"), "full");
    field.assert_sound("full");
    std::fs::remove_file(mount.dir.join("filler")).unwrap();
    assert_all_hits(&field.checkout("three").build(), UNITS);
}

#[test]
fn a_read_only_store_costs_a_warning() {
    let test = "a_read_only_store_costs_a_warning";
    let field = Field::new();
    let Some(mount) = Mount::tmpfs(test, field.store.clone(), "100m") else {
        return;
    };
    mount.remount("ro");
    check(&field.checkout("empty"), "read-only and empty");
    mount.remount("rw");
    let one = field.checkout("one");
    one.build();
    mount.remount("ro");
    let kept = one.rekindle(&["history", "--format", "csv"]).ok().stdout;
    assert_eq!(kept.lines().count(), 2, "{kept}");
    check(&field.checkout("two"), "read-only");
    mount.remount("rw");
    assert_all_hits(&field.checkout("three").build(), UNITS);
}

/// Another file system than the target's: copies instead of links.
#[test]
fn a_store_on_another_file_system_serves_all() {
    let test = "a_store_on_another_file_system_serves_all";
    let field = Field::new();
    let Some(mount) = Mount::tmpfs(test, field.store.clone(), "100m") else {
        return;
    };
    serves_all(&field, &mount.dir);
}

fn serves_all(field: &Field, disk: &Path) {
    let one = field.checkout("one");
    let units = one.build();
    assert_eq!(count(&units, Fate::Miss), UNITS, "{:#?}", shown(&units));
    one.assert_fresh("published");
    let two = field.checkout("two");
    assert_all_hits(&two.build(), UNITS);
    check(&two, "restored");
    field.assert_sound("another file system");
    assert!(field.store.starts_with(disk));
}

/// Store and target on one disk without hardlinks, or with reflinks.
fn one_disk(test: &str, kind: &str, size: u64, options: &[&str]) {
    let mut field = Field::new();
    let Some(mount) = Mount::image(test, &field, kind, size, options) else {
        return;
    };
    field.store = mount.dir.join("store");
    let targets = mount.dir.join("targets");
    for (name, fate) in [("one", Fate::Miss), ("two", Fate::Hit)] {
        // FAT has no execute bits to lose: all files have them.
        let target = targets.join(name);
        std::fs::create_dir_all(&target).unwrap();
        let checkout = field.checkout(name);
        std::os::unix::fs::symlink(&target, checkout.path("target")).unwrap();
        let units = checkout.build();
        assert_eq!(count(&units, fate), UNITS, "{:#?}", shown(&units));
        checkout.assert_fresh(kind);
    }
    field.assert_sound(kind);
}

const MIB: u64 = 1 << 20;

#[test]
fn a_disk_without_hardlinks_will_do() {
    one_disk(
        "a_disk_without_hardlinks_will_do",
        "vfat",
        200 * MIB,
        &["-F", "32"],
    );
}

#[test]
fn a_disk_with_reflinks_will_do() {
    one_disk("a_disk_with_reflinks_will_do", "btrfs", 300 * MIB, &["-q"]);
}

#[test]
fn another_disk_with_reflinks_will_do() {
    one_disk(
        "another_disk_with_reflinks_will_do",
        "xfs",
        400 * MIB,
        &["-q"],
    );
}

#[test]
fn a_log_that_cannot_be_written_costs_a_warning() {
    let field = Field::new();
    std::fs::create_dir_all(field.store.join("v1")).unwrap();
    std::fs::write(field.store.join("v1/runs"), "a file").unwrap();
    let (one, two) = (field.checkout("one"), field.checkout("two"));
    check(&one, "no log");
    two.build_to(OUTPUT);
    two.assert_fresh("no log");
    std::fs::remove_file(field.store.join("v1/runs")).unwrap();
    assert_all_hits(&field.checkout("three").build(), UNITS);
}
