//! Where the loader looks first for the libraries of our programs.
//!
//! cargo gives compilers and build scripts an `LD_LIBRARY_PATH` of four directories of Rust's libraries. The loader of each
//! program that is started there asks in each of them, in more than ten places, for each library: over a hundred calls for
//! one start of the wrapper, and it is started for every compile, often under an observer that has to let each of them go on. An
//! `RPATH` goes before that variable; where its directories have no such library, the search goes on as ever.

use std::env;

#[allow(
    clippy::disallowed_methods,
    reason = "cargo tells build scripts by the environment"
)]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|is| is == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    // Debian's place, then that of the others.
    for word in [
        "--disable-new-dtags",
        &format!("-rpath=/lib/{arch}-linux-gnu:/lib64"),
    ] {
        println!("cargo::rustc-link-arg-bins=-Wl,{word}");
    }
}
