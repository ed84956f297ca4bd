//! cargo's home comes back from the store: what cargo reads of fresh packages, and the rest when it is
//! needed.

use std::fs;
use std::path::Path;
use std::process::Command;

use rekindle_outputs::sparse;
use rekindle_snapshot::registry;

use crate::project::Done;
use crate::registry_lab::{
    DOWNLOADED, PRINTED, RegistryLab, assert_same, index_path, packed, sha256, tree,
};

const WAY_OUT: &str = "run `rekindle materialise`";

#[test]
fn a_restored_home_builds_fresh_without_a_request() {
    let lab = RegistryLab::captured();
    assert!(lab.requests() > 0);
    let restored = lab.restore_whole(|name| name == "bound");
    assert_eq!(restored.left, []);
    assert_eq!((restored.packages.packages, restored.index_files), (6, 7));
    assert_eq!(lab.sparse(), DOWNLOADED[1..]);
    assert!(!lab.package("plain").join("src/inner.rs").exists());

    let built = lab.cargo(&["build", "-v"]).ok();
    assert!(!built.stderr.contains("Compiling"), "{}", built.stderr);
    assert_eq!(built.stderr.matches("Fresh").count(), 7, "{}", built.stderr);
    for arguments in [
        &["metadata", "--filter-platform", "x86_64-unknown-linux-gnu"][..],
        &["tree", "--locked"],
    ] {
        lab.cargo(arguments).ok();
    }
    assert_eq!(lab.requests(), 0);
    // The package for another system was never there, and comes in cargo's own way.
    lab.cargo(&["metadata", "--format-version", "1"]).ok();
    assert_eq!(lab.requests(), 1);
    assert_eq!(lab.cargo(&["run", "-q"]).ok().stdout, PRINTED);
    assert_eq!(lab.sparse(), DOWNLOADED[1..]);

    let again = lab.restore_whole(|name| name == "bound");
    assert_eq!(again.packages.packages + again.index_files + again.lost, 0);
}

#[test]
fn a_filled_home_is_as_cargo_unpacks_it() {
    for whole in [false, true] {
        let lab = RegistryLab::captured();
        lab.restore(whole);
        if !whole {
            let all = sparse::fill_all(&lab.home(), Some(&lab.store)).unwrap();
            assert!(all.errors.is_empty(), "{:?}", all.errors);
            assert_eq!(all.filled.packages, 6);
        }
        assert_eq!(lab.sparse(), [""; 0]);
        for kind in ["registry/src", "registry/cache"] {
            let (ours, cargos) = (lab.home().join(kind), lab.path("cargos-own").join(kind));
            let (mut ours, mut cargos) = (tree(&ours), tree(&cargos));
            if kind == "registry/cache" {
                // A `.crate`'s time is when it came.
                let times = ours.values_mut().chain(cargos.values_mut());
                times.for_each(|(_, time, _)| *time = std::time::SystemTime::UNIX_EPOCH);
            }
            assert_same(&ours, &cargos, kind);
        }
        lab.requests();
        let built = lab.cargo(&["build", "--release", "--offline"]).ok();
        assert!(built.stderr.contains("Compiling plain"));
        assert_eq!(lab.requests(), 0);
    }
}

#[test]
fn plain_cargo_fails_and_names_the_way_out() {
    let lab = RegistryLab::captured();
    lab.restore(false);
    let failed = lab.cargo(&["build", "--release"]);
    assert_eq!(failed.code, Some(101));
    assert!(failed.stderr.contains(WAY_OUT), "{}", failed.stderr);
    // A package that only has a build script.
    let failed = lab
        .command(&["build"])
        .env("RUSTFLAGS", "-Cdebuginfo=0")
        .output();
    let failed = String::from_utf8(failed.unwrap().stderr).unwrap();
    assert!(failed.contains(WAY_OUT), "{failed}");
    // What tools that prune cargo's home take for something that cargo can make again.
    fs::remove_dir_all(lab.home().join("registry/src")).unwrap();
    let failed = lab.cargo(&["build"]);
    assert_eq!(failed.code, Some(101));
    assert!(failed.stderr.contains(WAY_OUT), "{}", failed.stderr);
    // And the way out is one, after all this.
    let restored = lab.restore(false);
    assert_eq!(restored.left, []);
    sparse::fill_all(&lab.home(), Some(&lab.store)).unwrap();
    assert_eq!(
        lab.cargo(&["run", "-q", "--release", "--offline"])
            .ok()
            .stdout,
        PRINTED
    );
}

#[test]
fn the_wrapper_fills_what_it_compiles_and_no_more() {
    let lab = RegistryLab::captured();
    lab.restore(false);
    lab.put(
        "ws/src/main.rs",
        &fs::read_to_string(lab.path("ws/src/main.rs")).unwrap(),
    );
    lab.wrapped(&["build"]).ok();
    // cargo asks for everything anew where the wrapper changed; so the second build is what counts.
    let lab = RegistryLab::new();
    lab.wrapped(&["build"]).ok();
    lab.capture();
    fs::remove_dir_all(lab.home()).unwrap();
    lab.restore(false);
    lab.put(
        "ws/src/main.rs",
        "fn main() { println!(\"{}\", plain::plain()); }",
    );
    lab.wrapped(&["build", "--offline"]).ok();
    assert_eq!(lab.sparse(), DOWNLOADED);
    // One package's units, whose fingerprints are gone.
    forget_units(&lab, "plain-");
    let built = lab.wrapped(&["build", "--offline"]).ok();
    assert!(built.stderr.contains("Compiling plain"), "{}", built.stderr);
    assert_eq!(
        lab.sparse(),
        ["bound", "linked", "maker", "scripted", "user"]
    );
    // Everything, in another profile. What was just filled is not taken for changed: it is stored.
    let before = entries(&lab);
    lab.wrapped(&["build", "--offline", "--release"]).ok();
    assert_eq!(lab.sparse(), [""; 0]);
    let (units, scripts) = (10, 3);
    assert_eq!(entries(&lab) - before, units + scripts);
}

/// How many units and runs of build scripts the store has.
fn entries(lab: &RegistryLab) -> usize {
    tree(&lab.path("store/v1/entries")).len()
}

fn forget_units(lab: &RegistryLab, prefix: &str) {
    for entry in fs::read_dir(lab.path("ws/target/debug/.fingerprint")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(prefix)
        {
            fs::remove_dir_all(path).unwrap();
        }
    }
}

#[test]
fn a_build_script_finds_the_sources_that_another_tells_it_of() {
    let lab = RegistryLab::new();
    lab.wrapped(&["build"]).ok();
    lab.capture();
    fs::remove_dir_all(lab.home()).unwrap();
    lab.restore_whole(|name| name == "bound");
    forget_units(&lab, "user-");
    let built = lab.wrapped(&["build", "--offline", "-v"]).ok();
    assert!(built.stderr.contains("Fresh linked"), "{}", built.stderr);
    assert_eq!(lab.sparse(), ["maker", "plain", "scripted"]);
    assert_eq!(
        lab.wrapped(&["run", "-q", "--offline"]).ok().stdout,
        PRINTED
    );
}

#[test]
fn sources_that_are_mentioned_are_filled() {
    let lab = RegistryLab::captured();
    lab.restore(false);
    let include = lab.package("linked").join("include");
    let argument = format!("native={}", include.display());
    let filled = sparse::fill_mentioned([argument.as_ref()], Some(&lab.store)).unwrap();
    assert_eq!(filled.packages, 1);
    assert!(include.join("value.h").exists());
    assert!(!lab.sparse().contains(&"linked"));
}

#[test]
fn many_may_fill_one_package() {
    let lab = RegistryLab::captured();
    lab.restore(false);
    let dir = lab.package("plain");
    let filled: usize = std::thread::scope(|scope| {
        let fill = || {
            let filled = sparse::fill(&dir, None).unwrap();
            // Whoever returns finds it whole.
            assert!(dir.join("src/inner.rs").exists());
            assert_ne!(fs::read(dir.join("src/lib.rs")).unwrap(), sparse::STUB);
            usize::from(filled.is_some())
        };
        let workers: Vec<_> = (0..8).map(|_| scope.spawn(fill)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    assert_eq!(filled, 1);
}

#[test]
fn what_the_store_has_lost_is_downloaded() {
    // Before it is restored.
    let lab = RegistryLab::captured();
    remove_object(&lab, "plain");
    let restored = lab.restore(false);
    assert_eq!(restored.packages.packages, 5);
    assert_eq!(restored.left.len(), 1, "{:?}", restored.left);
    assert!(!lab.package("plain").exists());
    lab.cargo(&["build"]).ok();
    assert!(lab.package("plain").join("src/inner.rs").exists());

    // After that, and before the next run.
    remove_object(&lab, "maker");
    let restored = lab.restore(false);
    assert_eq!(restored.lost, 1);
    lab.cargo(&["build"]).ok();
    assert!(lab.package("maker").join("src/text.rs").exists());

    // And in the middle of a run.
    damage_object(&lab, "scripted");
    assert_eq!(lab.restore(false).lost, 0);
    let failed = lab.wrapped(&["build", "--release"]);
    assert_ne!(failed.code, Some(0));
    lab.wrapped(&["build", "--release"]).ok();
    assert_eq!(lab.cargo(&["run", "-q", "--release"]).ok().stdout, PRINTED);
}

/// Somebody empties the store. Of cargo's home all is kept, or archives alone, as some actions keep it.
#[test]
fn what_an_emptied_store_had_is_downloaded() {
    for keeps_sources in [true, false] {
        let lab = rebuilt();
        lab.rekindle(&["build"]).ok();
        let sparse = lab.sparse();
        assert!(!sparse.is_empty());
        for dir in ["store", "ws/target"] {
            fs::remove_dir_all(lab.path(dir)).unwrap();
        }
        if !keeps_sources {
            fs::remove_dir_all(lab.home().join("registry/src")).unwrap();
        }
        lab.requests();
        let built = lab.rekindle(&["build"]).ok();
        assert!(!built.stderr.contains("error"), "{}", built.stderr);
        assert!(lab.requests() >= sparse.len(), "{keeps_sources}");
        assert!(lab.sparse().is_empty(), "{keeps_sources}");
        assert_eq!(lab.cargo(&["run", "-q"]).ok().stdout, PRINTED);
    }
}

/// cargo's home is everybody's, and what another workspace has lost is nothing to fail for.
#[test]
fn materialise_fails_for_the_packages_of_its_own_workspace_alone() {
    let lab = RegistryLab::captured();
    lab.put(
        "other/Cargo.toml",
        "[package]\nname = \"other\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n",
    );
    lab.put("other/src/main.rs", "fn main() {}");
    lab.put(
        "other/Cargo.lock",
        "version = 4\n[[package]]\nname = \"other\"\nversion = \"0.1.0\"\n",
    );
    lab.restore(false);
    damage_object(&lab, "plain");
    let other: crate::project::Done = lab
        .program(env!("CARGO_BIN_EXE_rekindle"), &["materialise"])
        .current_dir(lab.path("other"))
        .output()
        .unwrap()
        .into();
    let other = other.ok();
    assert!(other.stdout.contains("; 5 packages"), "{}", other.stdout);
    let told = "does not use (1, such as `plain-1.0.0`); cargo downloads them";
    assert!(other.stderr.contains(told), "{}", other.stderr);
    // It does not stand in cargo's way.
    lab.cargo(&["build"]).ok();
    assert!(lab.package("plain").join("src/inner.rs").exists());

    let lab = RegistryLab::captured();
    lab.restore(false);
    damage_object(&lab, "plain");
    let own = lab.rekindle(&["materialise"]);
    assert_eq!(own.code, Some(3), "{}", own.stderr);
    assert!(
        own.stderr.contains("the sources of `plain-1.0.0`"),
        "{}",
        own.stderr
    );
    assert!(!own.stderr.contains("does not use"), "{}", own.stderr);
}

/// One that was built by `rekindle`, with nothing left but the store.
fn rebuilt() -> RegistryLab {
    let lab = RegistryLab::new();
    lab.rekindle(&["build"]).ok();
    fs::rename(lab.home(), lab.path("cargos-own")).unwrap();
    lab
}

#[test]
fn the_command_brings_packages_back_sparse_and_keeps_them_so() {
    let lab = rebuilt();
    fs::remove_dir_all(lab.path("ws/target")).unwrap();
    lab.requests();
    for _ in 0..2 {
        let built = lab.rekindle(&["build"]).ok();
        assert!(!built.stderr.contains("Compiling"), "{}", built.stderr);
        // All but the one that holds its own place, and reads what is there when it runs.
        assert_eq!(lab.sparse(), DOWNLOADED[1..]);
        let run = Command::new(lab.path("ws/target/debug/app"))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(run.stdout).unwrap(), PRINTED);
    }
    // A build script that starts again, in the middle of packages without sources.
    lab.put(
        "ws/.cargo/config.toml",
        &format!(
            "{}[env]\nAGAIN = \"1\"\n",
            fs::read_to_string(lab.path("ws/.cargo/config.toml")).unwrap()
        ),
    );
    let built = lab.rekindle(&["build"]).ok();
    assert!(
        built.stderr.contains("Compiling scripted"),
        "{}",
        built.stderr
    );
    assert_eq!(lab.sparse(), ["maker", "plain", "user"]);
    let run = Command::new(lab.path("ws/target/debug/app"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(run.stdout).unwrap(), PRINTED);
    assert_eq!(lab.requests(), 0);
}

#[test]
fn packages_with_real_build_scripts_come_whole() {
    // Where build scripts are started as they are, and read sources without asking.
    let real = |lab: &RegistryLab| {
        let mut command = lab.program(env!("CARGO_BIN_EXE_rekindle"), &["build"]);
        let done: crate::project::Done = command
            .env("REKINDLE_SCRIPTS", "0")
            .output()
            .unwrap()
            .into();
        done.ok();
    };
    let lab = RegistryLab::new();
    real(&lab);
    fs::rename(lab.home(), lab.path("cargos-own")).unwrap();
    real(&lab);
    assert_eq!(lab.sparse(), ["maker", "plain"]);
    // The launcher asks, but for one that holds its own place.
    let lab = rebuilt();
    lab.rekindle(&["build"]).ok();
    assert_eq!(lab.sparse(), DOWNLOADED[1..]);
}

#[test]
fn the_command_downloads_what_it_loses_on_the_way() {
    let lab = rebuilt();
    fs::remove_dir_all(lab.path("ws/target")).unwrap();
    lab.rekindle(&["build"]).ok();
    damage_object(&lab, "plain");
    damage_object(&lab, "scripted");
    lab.put(
        "ws/src/main.rs",
        "fn main() { println!(\"{} {}\", plain::plain(), scripted::table()); }",
    );
    lab.rekindle(&["build", "--release"]).ok();
    let run = Command::new(lab.path("ws/target/release/app"))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(run.stdout).unwrap(),
        "innerdata tableREADME.md\n"
    );
}

fn object(lab: &RegistryLab, name: &str) -> std::path::PathBuf {
    let cache = lab.path("cargos-own/registry/cache");
    let index = fs::read_dir(&cache).unwrap().next().unwrap().unwrap();
    let bytes = fs::read(index.path().join(format!("{name}-1.0.0.crate"))).unwrap();
    let hex = rekindle_base::Digest::of(&bytes).to_hex();
    lab.path("store/v1/objects").join(&hex[..1]).join(&hex[1..])
}

fn remove_object(lab: &RegistryLab, name: &str) {
    fs::remove_file(object(lab, name)).unwrap();
}

fn damage_object(lab: &RegistryLab, name: &str) {
    let path = object(lab, name);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    // A file of its own: the store shares the first one with cargo's home.
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
}

#[test]
fn what_is_there_is_left_alone() {
    let lab = RegistryLab::captured();
    fs::rename(lab.path("cargos-own"), lab.home()).unwrap();
    let (index, sources) = (lab.registry("index"), lab.package("plain"));
    fs::write(index.join("config.json"), "{}").unwrap();
    fs::write(index.join(".cache").join(index_path("plain")), "other").unwrap();
    fs::write(sources.join("src/lib.rs"), "// mine").unwrap();
    fs::remove_dir_all(lab.package("maker")).unwrap();
    let before = tree(&lab.home().join("registry"));
    let restored = lab.restore(false);
    assert_eq!(restored.packages.packages, 1);
    let after = tree(&lab.home().join("registry"));
    for (path, file) in before {
        assert_eq!(after.get(&path), Some(&file), "{}", path.display());
    }
    // The archive was there, so that nothing stands for it.
    assert_eq!(lab.sparse(), ["maker"]);
    assert!(fs::metadata(lab.crate_file("maker")).unwrap().len() > 0);
}

#[test]
fn capture_looks_once() {
    let lab = RegistryLab::captured();
    fs::rename(lab.path("cargos-own"), lab.home()).unwrap();
    assert!(lab.capture().unchanged);
    // The package for another system is downloaded, and known from then on.
    lab.cargo(&["fetch"]).ok();
    let captured = lab.capture();
    assert_eq!(
        (captured.unchanged, captured.known, captured.new),
        (false, 7, 1)
    );
    fs::remove_dir_all(lab.home()).unwrap();
    assert_eq!(lab.restore(false).packages.packages, 7);
    // What came from the store is not new, nor are those that stand for it.
    let captured = lab.capture();
    assert_eq!((captured.new, captured.left.len()), (0, 0), "{captured:?}");
}

#[test]
fn an_update_sees_more_than_what_was_restored() {
    let lab = RegistryLab::captured();
    lab.restore(false);
    lab.requests();
    let updated = lab.cargo(&["update"]).ok();
    assert!(updated.stderr.contains("Updating"), "{}", updated.stderr);
    // All of the index is asked for, since the restored one does not claim to be current.
    assert!(lab.requests() >= 7);
    lab.cargo(&["build", "--offline"]).ok();
}

/// Captures a package with these files as if cargo had downloaded it, and restores it in an empty home.
fn play_forged(
    files: &[(&str, &[u8])],
    checksum: Option<&str>,
) -> (registry::Captured, registry::Restored) {
    let lab = RegistryLab::new();
    let bytes = packed("forged-1.0.0", files);
    let checksum = checksum.map_or_else(|| sha256(&bytes), str::to_owned);
    let lock = format!(
        "version = 4\n[[package]]\nname = \"forged\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\nchecksum = \"{checksum}\"\n"
    );
    lab.put("ws/Cargo.lock", &lock);
    lab.put("home/registry/index/x-1/config.json", "{}");
    let line = format!(
        "\x03\x02\0\0\0Unknown\x001.0.0\0{{\"name\":\"forged\",\"vers\":\"1.0.0\",\"cksum\":\"{checksum}\"}}\0"
    );
    lab.put(
        &format!("home/registry/index/x-1/.cache/{}", index_path("forged")),
        &line,
    );
    let cache = lab.path("home/registry/cache/x-1");
    fs::create_dir_all(&cache).unwrap();
    fs::write(cache.join("forged-1.0.0.crate"), bytes).unwrap();
    let captured = lab.capture();
    fs::remove_dir_all(lab.home()).unwrap();
    (captured, lab.restore(false))
}

#[test]
fn hostile_archives_are_left_to_cargo() {
    const MANIFEST: (&str, &[u8]) = (
        "Cargo.toml",
        b"[package]\nname = \"forged\"\nversion = \"1.0.0\"\n",
    );
    let (captured, restored) = play_forged(&[MANIFEST], None);
    assert_eq!((captured.new, captured.left.len()), (1, 0), "{captured:?}");
    assert_eq!(restored.packages.packages, 1, "{restored:?}");
    let forged = "0".repeat(64);
    let (captured, restored) = play_forged(&[MANIFEST], Some(&forged));
    assert_eq!(
        (captured.known, captured.left.len()),
        (0, 1),
        "{captured:?}"
    );
    assert_eq!(restored.packages.packages, 0, "{restored:?}");
    for files in [
        &[MANIFEST, (".rekindle-sparse", &b""[..])][..],
        &[("Cargo.toml", b"[")],
        &[("src/lib.rs", b"")],
        &[MANIFEST, MANIFEST],
    ] {
        let (_, restored) = play_forged(files, None);
        assert_eq!(restored.packages.packages, 0, "{files:?}");
        assert_eq!(restored.left.len(), 1, "{files:?}");
    }
}

/// Who fetches a package from a remote fetches its record, and not the `.crate`: that says what cargo looks at, also of a package
/// that was captured before there was a remote.
#[test]
fn a_remote_has_what_cargo_looks_at() {
    let lab = RegistryLab::new();
    let remote = format!("file://{}", lab.path("remote").display());
    let build = |remote: Option<&str>| {
        let mut command = lab.program(env!("CARGO_BIN_EXE_rekindle"), &["build"]);
        if let Some(remote) = remote {
            command.env("REKINDLE_REMOTE", remote);
            command.env("REKINDLE_REMOTE_MODE", "read-write");
        }
        Done::from(command.output().unwrap()).ok();
    };
    build(None);
    build(Some(&remote));
    for dir in ["store", "ws/target", "home"] {
        fs::remove_dir_all(lab.path(dir)).unwrap();
    }
    lab.requests();
    build(Some(&remote));
    assert_eq!(lab.requests(), 0);
    assert!(lab.sparse().contains(&"plain"), "{:?}", lab.sparse());
}

#[test]
fn a_git_registry_is_left_to_cargo() {
    let lab = RegistryLab::captured();
    fs::rename(lab.path("cargos-own"), lab.home()).unwrap();
    fs::remove_file(lab.registry("index").join("config.json")).unwrap();
    fs::remove_dir_all(lab.path("store")).unwrap();
    let captured = lab.capture();
    assert_eq!(
        (captured.known, captured.left.len()),
        (0, 1),
        "{captured:?}"
    );
    let restored = lab.restore(false);
    assert_eq!(restored.left.len(), 1);
}

fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.org"])
        .args(["-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_git_dependency_comes_back_whole() {
    let lab = RegistryLab::new();
    lab.put(
        "up/Widget/Cargo.toml",
        "[package]\nname = \"widget\"\nversion = \"0.1.0\"\n",
    );
    lab.put("up/Widget/src/lib.rs", "pub const X: u32 = 1;");
    lab.put("up/Widget/large", &"large ".repeat(2000));
    std::os::unix::fs::symlink("large", lab.path("up/Widget/link")).unwrap();
    let upstream = lab.path("up/Widget");
    git(&upstream, &["init", "-q"]);
    git(&upstream, &["add", "."]);
    git(&upstream, &["commit", "-q", "-m", "one"]);
    let dependency = format!(
        "[dependencies]\nwidget = {{ git = \"file://{}\" }}\n",
        upstream.display()
    );
    let manifest =
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";
    lab.put("ws/Cargo.toml", &format!("{manifest}{dependency}"));
    lab.put(
        "ws/src/main.rs",
        "fn main() { println!(\"{}\", widget::X); }",
    );
    lab.cargo(&["build"]).ok();
    let captured = lab.capture();
    assert_eq!((captured.new, captured.left.len()), (1, 0), "{captured:?}");
    assert!(lab.capture().unchanged);
    fs::rename(lab.home(), lab.path("cargos-own")).unwrap();
    fs::remove_dir_all(lab.path("up")).unwrap();

    let restored = lab.restore(false);
    assert_eq!(
        (restored.git.packages, restored.left.len()),
        (1, 0),
        "{restored:?}"
    );
    let without_times = |name: &str| {
        let mut files = tree(&lab.path(name));
        files
            .values_mut()
            .for_each(|file| file.1 = std::time::SystemTime::UNIX_EPOCH);
        files
    };
    assert_same(
        &without_times("home/git"),
        &without_times("cargos-own/git"),
        "git",
    );
    let built = lab.cargo(&["build", "-v", "--offline"]).ok();
    assert!(!built.stderr.contains("Compiling"), "{}", built.stderr);
    lab.cargo(&["build", "--release", "--offline"]).ok();
    assert_eq!(lab.restore(false).git.packages, 0);
}
