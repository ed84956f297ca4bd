//! Builds the preload library with the compiler that builds this crate, so that installing needs
//! nothing but Rust.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a build script reads cargo's environment and talks to cargo"
)]

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(observable)");
    println!("cargo::rerun-if-changed=preload");
    println!("cargo::rerun-if-changed=src/protocol.rs");
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let linux = variable("CARGO_CFG_TARGET_OS") == "linux";
    let known = matches!(
        variable("CARGO_CFG_TARGET_ARCH").as_str(),
        "x86_64" | "aarch64"
    );
    if linux && known {
        println!("cargo::rustc-cfg=observable");
    }
    let library = PathBuf::from(variable("OUT_DIR")).join("preload.so");
    let gnu = variable("CARGO_CFG_TARGET_ENV") == "gnu";
    // One mapping for code and what is only read, where the linker knows how to ask for that.
    let built = || build(&library, &["-C", "link-arg=-Wl,--no-rosegment"]) || build(&library, &[]);
    if !(linux && known && gnu && built()) {
        // Without it every variable counts as read, which is right and slow.
        let written = fs::write(&library, b"");
        if let Err(error) = written {
            println!("cargo::error=cannot write {}: {error}", library.display());
        }
    }
}

fn build(library: &PathBuf, options: &[&str]) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command
        .args(["--crate-name", "preload", "--crate-type", "cdylib"])
        .args([
            "--edition",
            "2024",
            "-C",
            "panic=abort",
            "-C",
            "opt-level=2",
        ])
        .args(["-C", "strip=symbols", "-C", "overflow-checks=off"])
        .args(["-C", "debug-assertions=off", "-C", "relocation-model=pic"])
        // No start files and no libraries: it uses what the process has loaded anyway, and so works
        // with every version of the C library.
        .args(["-C", "link-arg=-nostdlib", "-C", "link-arg=-nostartfiles"])
        .args(["-C", "relro-level=off", "-C", "link-arg=-Wl,-z,lazy"])
        // Few mappings and pages: it is loaded into every process of a tree.
        .args(["-C", "link-arg=-Wl,-z,noseparate-code"])
        .args(["-C", "force-unwind-tables=no"])
        .args(options)
        .args(["--target", &env::var("TARGET").unwrap_or_default()])
        .arg("preload/lib.rs")
        .arg("-o")
        .arg(library);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        command.arg("-C").arg(option);
    }
    match command.output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            for line in text.lines().take(20) {
                println!("cargo::warning=the preload library was not built: {line}");
            }
            false
        }
        Err(error) => {
            println!("cargo::warning=the preload library was not built: {error}");
            false
        }
    }
}
