//! Repositories and checkouts on disk.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::render::Files;
use super::steps::{Source, Times};

/// Runs git, which must succeed.
pub(super) fn git(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_AUTHOR_NAME", "oracle"),
        ("GIT_AUTHOR_EMAIL", "oracle@localhost"),
        ("GIT_COMMITTER_NAME", "oracle"),
        ("GIT_COMMITTER_EMAIL", "oracle@localhost"),
    ] {
        command.env(name, value);
    }
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    let output = command.args(arguments).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Makes a directory hold these files and no others, but for what git and cargo put there; files that
/// are right are not touched. Says whether anything was to be done.
pub(super) fn sync(dir: &Path, files: &Files) -> bool {
    let mut changed = false;
    for path in sources(dir) {
        let name = path.strip_prefix(dir).unwrap().to_str().unwrap();
        if !files.contains_key(name) {
            std::fs::remove_file(&path).unwrap();
            changed = true;
            // As git does: no empty directories.
            for parent in path.ancestors().skip(1).take_while(|parent| *parent != dir) {
                if std::fs::remove_dir(parent).is_err() {
                    break;
                }
            }
        }
    }
    for (name, text) in files {
        let path = dir.join(name);
        if std::fs::read_to_string(&path).ok().as_ref() != Some(text) {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            changed = true;
        }
    }
    changed
}

/// All files of a checkout, in order, without those of git, of cargo and of build scripts.
fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in std::fs::read_dir(&next).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let built = [
                dir.join("ws/target"),
                dir.join("ws/build"),
                dir.join(".git"),
            ];
            if built.contains(&path) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                pending.push(path);
            } else if entry.file_name() != "generated.rs" {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Makes a new checkout of what `origin` has checked out.
pub(super) fn check_out(origin: &Path, root: &Path, source: Source) {
    let _ = std::fs::remove_dir_all(root);
    std::fs::create_dir_all(root.parent().unwrap()).unwrap();
    let (parent, to) = (root.parent().unwrap(), root.to_str().unwrap());
    let from = origin.to_str().unwrap();
    match source {
        Source::Shallow => {
            let from = format!("file://{from}");
            git(parent, &["clone", "-q", "--depth=1", &from, to]);
        }
        _ => drop(git(parent, &["clone", "-q", "--shared", from, to])),
    }
    match source {
        Source::Detached => drop(git(root, &["checkout", "-q", "--detach"])),
        Source::Merge => {
            let merge = [
                "commit-tree",
                "HEAD^{tree}",
                "-p",
                "origin/main",
                "-p",
                "HEAD",
                "-m",
                "merge",
            ];
            let merge = git(root, &merge);
            git(root, &["checkout", "-q", "--detach", &merge]);
        }
        Source::Tarball => std::fs::remove_dir_all(root.join(".git")).unwrap(),
        Source::Clone | Source::Shallow | Source::Dirty => {}
    }
}

/// Brings a checkout to what `origin` has checked out, as a pull would.
pub(super) fn update(origin: &Path, root: &Path, files: &Files) {
    if root.join(".git").exists() {
        let from = origin.to_str().unwrap();
        git(root, &["fetch", "-q", from, "HEAD"]);
        git(
            root,
            &["checkout", "-q", "--force", "--detach", "FETCH_HEAD"],
        );
        git(root, &["clean", "-q", "-f", "-d"]);
    } else {
        sync(root, files);
    }
}

/// Sets the times of a checkout's files. Says whether it set any.
pub(super) fn set_times(root: &Path, times: Times) -> bool {
    let step = match times {
        Times::Natural => return false,
        Times::Old => 1,
        Times::Mixed => 2,
    };
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for path in sources(root).iter().step_by(step) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(old).unwrap();
    }
    true
}

/// Writes into the outputs that lie around, in place, as no build would.
pub(super) fn scribble(target: &Path) {
    let mut pending = vec![target.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten() {
            let entry = entry.unwrap();
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                pending.push(path);
                continue;
            }
            let name = entry.file_name().into_string().unwrap();
            let is_output = ["rlib", "rmeta", "so", "rs", "a"]
                .iter()
                .any(|end| name.ends_with(&format!(".{end}")));
            if is_output && let Ok(file) = File::options().write(true).open(&path) {
                // The size stays, so that only the bytes tell.
                let garbage = b"scribbled";
                let _ = std::os::unix::fs::FileExt::write_at(&file, garbage, 0);
            }
        }
    }
}
