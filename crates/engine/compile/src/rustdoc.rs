//! Hides what stands in for rustdoc: it is another path in each run, so whatever keeps all variables of its
//! environment as an input, as every build script that starts a C compiler does, would miss each time.
//!
//! Called by the wrapper's program before anything looks at the environment.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use rekindle_outputs::environment::Environment;

use crate::settings::Settings;

const VARIABLE: &str = "RUSTDOC";

/// Has a compiler see what the user's variable is.
pub fn hide_from_compiler(settings: &Settings, environment: &mut Environment) {
    if is_ours(settings, environment) {
        let own = settings.rustdoc_variable.clone();
        environment.set(VARIABLE, own.map(OsString::from));
    }
}

/// Has a build script see what cargo would have told it without us.
pub fn hide_from_script(settings: &Settings, environment: &mut Environment) {
    if is_ours(settings, environment) {
        let own = settings.rustdoc.clone().map(OsString::from);
        let value = own.unwrap_or_else(|| beside_compiler(environment));
        environment.set(VARIABLE, Some(value));
    }
}

fn is_ours(settings: &Settings, environment: &Environment) -> bool {
    let stand_in = settings.run_dir.as_ref().map(|dir| dir.join("rustdoc"));
    let value = environment.get(VARIABLE);
    stand_in.is_some_and(|path| value == Some(path.as_os_str()))
}

/// cargo names a tool of a toolchain that rustup chose by its file, and any other by its name alone.
fn beside_compiler(environment: &Environment) -> OsString {
    let by_name = || OsString::from("rustdoc");
    let chosen = environment.get("RUSTUP_TOOLCHAIN");
    let bin = environment
        .get("RUSTC")
        .and_then(|rustc| Path::new(rustc).parent());
    let toolchain = bin.and_then(Path::parent).and_then(Path::file_name);
    match (bin, toolchain) {
        (Some(bin), Some(name)) if chosen == Some(OsStr::new(name)) => {
            let tool = bin.join("rustdoc");
            if rekindle_fsx::exists(&tool) {
                tool.into()
            } else {
                by_name()
            }
        }
        _ => by_name(),
    }
}
