//! Parts for the tests of doctor: a runner's files in their real format, a rustup with a source of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

/// A port of this machine on which nobody listens.
pub(crate) fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Gives a file a time in two days.
pub(crate) fn future(file: &Path) {
    let file = std::fs::File::options().append(true).open(file).unwrap();
    let time = SystemTime::now() + Duration::from_secs(2 * 24 * 3600);
    file.set_modified(time).unwrap();
}

/// A unit as the runner's own `svc.sh install` writes it.
pub(crate) fn unit_file(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "[Unit]\nDescription=GitHub Actions Runner (acme-app.box)\nAfter=network-online.target\n\n[Service]\n\
         ExecStart={dir}/runsvc.sh\nUser=ci\nWorkingDirectory={dir}\nKillMode=process\nKillSignal=SIGTERM\n\
         TimeoutStopSec=5min\n\n[Install]\nWantedBy=multi-user.target\n"
    )
}

/// What a configured runner of this version leaves in its directory, and the end of its log.
pub(crate) fn runner_files(dir: &Path, version: &str, ending: &[&str]) {
    std::fs::create_dir_all(dir.join("_diag")).unwrap();
    let settings = "\u{feff}{\n  \"agentId\": 21,\n  \"agentName\": \"box\",\n  \"poolId\": 1,\n  \
                    \"poolName\": \"Default\",\n  \"serverUrl\": \"https://pipelines.actions.githubusercontent.com/x\",\n  \
                    \"gitHubUrl\": \"https://github.com/acme/app\",\n  \"workFolder\": \"_work\"\n}";
    std::fs::write(dir.join(".runner"), settings).unwrap();
    let mut log = format!(
        "[2026-11-20 12:20:22Z INFO HostContext] Well known directory 'Bin': '{0}/bin'\n\
         [2026-11-20 12:20:22Z INFO Listener] Runner is built for Linux (X64) - linux-x64.\n\
         [2026-11-20 12:20:22Z INFO Listener] RuntimeInformation: Linux 6.1.0.\n\
         [2026-11-20 12:20:22Z INFO Listener] Version: {version}\n\
         [2026-11-20 12:20:22Z INFO Listener] Commit: 98aabcd429c4e8402406c56ce2d26387fed3b9ce\n\
         [2026-11-20 12:20:24Z INFO Terminal] WRITE LINE: 2026-11-20 12:20:24Z: Listening for Jobs\n",
        dir.display()
    );
    for line in ending {
        log.push_str(line);
        log.push('\n');
    }
    std::fs::write(dir.join("_diag/Runner_20261120-122022-utc.log"), log).unwrap();
}

/// A home of rustup's with one toolchain, whose manifest takes a target from a file.
pub(crate) struct RustupLab {
    pub(crate) home: PathBuf,
    pub(crate) toolchain: String,
}

impl RustupLab {
    /// Links the toolchain that is in use, but for the target; `Err` says what lacks here.
    pub(crate) fn new(home: &Path, target: &str) -> Result<Self, String> {
        let output = Command::new("rustc").args(["--print", "sysroot"]).output();
        let sysroot = output.map_err(|error| error.to_string())?.stdout;
        let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot).trim());
        let sysroot = sysroot.canonicalize().map_err(|error| error.to_string())?;
        let manifest = sysroot.join("lib/rustlib/multirust-channel-manifest.toml");
        let manifest = std::fs::read_to_string(manifest)
            .map_err(|_| "the toolchain is not one that rustup installed".to_owned())?;
        if Command::new("rustup").arg("--version").output().is_err() {
            return Err("rustup is not installed".to_owned());
        }
        let toolchain = sysroot.file_name().unwrap().to_str().unwrap().to_owned();
        let to = home.join("toolchains").join(&toolchain);
        link_all(&sysroot, &to, target)?;
        forget(&to.join("lib/rustlib"), target);
        let archive = home.join("rust-std.tar.gz");
        let bytes = package(target);
        std::fs::write(&archive, &bytes).unwrap();
        let manifest = redirected(&manifest, target, &archive, &bytes)
            .ok_or("the toolchain's manifest has another form")?;
        std::fs::write(
            to.join("lib/rustlib/multirust-channel-manifest.toml"),
            manifest,
        )
        .unwrap();
        let settings = format!("version = \"12\"\ndefault_toolchain = \"{toolchain}\"\n");
        std::fs::write(home.join("settings.toml"), settings).unwrap();
        Ok(Self {
            home: home.to_owned(),
            toolchain,
        })
    }
}

/// Takes a target out of the lists of what is installed.
fn forget(lists: &Path, target: &str) {
    let component = format!("rust-std-{target}");
    let _ = std::fs::remove_file(lists.join(format!("manifest-{component}")));
    let edit = |name: &str, split: &str, is_its: &dyn Fn(&str) -> bool| {
        let file = lists.join(name);
        let text = std::fs::read_to_string(&file).unwrap();
        let kept: Vec<&str> = text.split(split).filter(|part| !is_its(part)).collect();
        std::fs::write(&file, kept.join(split)).unwrap();
    };
    edit("components", "\n", &|line| line == component);
    edit("multirust-config.toml", "[[components]]", &|part| {
        part.contains("\"rust-std\"") && part.contains(&format!("\"{target}\""))
    });
}

/// Files as names of the same inodes; those that rustup writes as copies. Documentation is left out.
fn link_all(from: &Path, to: &Path, target: &str) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    std::fs::create_dir_all(to).map_err(text)?;
    for entry in std::fs::read_dir(from).map_err(text)? {
        let entry = entry.map_err(text)?;
        let name = entry.file_name();
        if ["share", "etc", "libexec"]
            .iter()
            .any(|left| name == **left)
            || name == *target
        {
            continue;
        }
        let (path, new) = (entry.path(), to.join(&name));
        let kind = entry.file_type().map_err(text)?;
        if kind.is_dir() {
            link_all(&path, &new, target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&path).map_err(text)?, &new)
                .map_err(text)?;
        } else {
            let is_library = ["so", "rlib", "rmeta"]
                .iter()
                .any(|ending| path.extension().is_some_and(|e| e == *ending));
            let is_program = from.ends_with("bin");
            let linked = (is_library || is_program) && std::fs::hard_link(&path, &new).is_ok();
            if !linked {
                std::fs::copy(&path, &new).map_err(text)?;
            }
        }
    }
    Ok(())
}

/// A standard library as rust-installer packs it: one file that stands for all.
fn package(target: &str) -> Vec<u8> {
    let name = format!("rust-std-lab-{target}");
    let component = format!("rust-std-{target}");
    let file = format!("lib/rustlib/{target}/lib/libcore-0123456789abcdef.rlib");
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    for (path, text) in [
        ("rust-installer-version".to_owned(), "3\n".to_owned()),
        ("components".to_owned(), format!("{component}\n")),
        (format!("{component}/manifest.in"), format!("file:{file}\n")),
        (format!("{component}/{file}"), "!<arch>\n".to_owned()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, format!("{name}/{path}"), text.as_bytes())
            .unwrap();
    }
    let mut encoder = tar.into_inner().unwrap();
    encoder.flush().unwrap();
    encoder.finish().unwrap()
}

/// The manifest with the target's archive in a file, in one format.
fn redirected(manifest: &str, target: &str, archive: &Path, bytes: &[u8]) -> Option<String> {
    let head = format!("[pkg.rust-std.target.{target}]\n");
    let begin = manifest.find(&head)? + head.len();
    let end = manifest[begin..]
        .find("\n[")
        .map_or(manifest.len(), |at| begin + at);
    let digest = Sha256::digest(bytes);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let section = format!(
        "available = true\nurl = \"file://{}\"\nhash = \"{hex}\"\n",
        archive.display()
    );
    Some(format!(
        "{}{section}{}",
        &manifest[..begin],
        &manifest[end..]
    ))
}
