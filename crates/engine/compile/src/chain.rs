//! Which of the words that cargo hands to a wrapper is the compiler.
//!
//! cargo calls `RUSTC_WRAPPER [RUSTC_WORKSPACE_WRAPPER] RUSTC arguments…`. The user's own
//! `RUSTC_WRAPPER`, which ours took the place of, goes before all that.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The words, told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// `RUSTC_WORKSPACE_WRAPPER`, such as clippy-driver.
    pub workspace_wrapper: Option<OsString>,
    /// The compiler.
    pub rustc: OsString,
    /// Its arguments, as given.
    pub arguments: Vec<OsString>,
}

impl Chain {
    /// Tells the words apart; `None` where there are none.
    #[must_use]
    pub fn parse(words: &[OsString]) -> Option<Self> {
        let (first, rest) = words.split_first()?;
        // A compiler's first argument is an option, or `-` with a question; a workspace wrapper's is
        // the compiler.
        match rest.split_first() {
            Some((second, arguments)) if is_program(second) => Some(Self {
                workspace_wrapper: Some(first.clone()),
                rustc: second.clone(),
                arguments: arguments.to_vec(),
            }),
            _ => Some(Self {
                workspace_wrapper: None,
                rustc: first.clone(),
                arguments: rest.to_vec(),
            }),
        }
    }

    /// The program to start and its arguments, the user's own wrapper first.
    #[must_use]
    pub fn command(
        &self,
        inner: Option<&Path>,
        arguments: &[OsString],
    ) -> (OsString, Vec<OsString>) {
        let mut words: Vec<OsString> = Vec::with_capacity(arguments.len() + 2);
        words.extend(inner.map(|path| path.as_os_str().to_owned()));
        words.extend(self.workspace_wrapper.clone());
        words.push(self.rustc.clone());
        words.extend_from_slice(arguments);
        let program = words.remove(0);
        (program, words)
    }
}

fn is_program(word: &OsStr) -> bool {
    let bytes = word.as_bytes();
    let name = Path::new(word).file_name().unwrap_or_default().as_bytes();
    !bytes.starts_with(b"-")
        && !bytes.starts_with(b"@")
        && name.starts_with(b"rustc")
        && Path::new(word)
            .extension()
            .is_none_or(|extension| extension != "rs")
}

/// Compile caches that people put into `RUSTC_WRAPPER`: they leave outputs alone.
pub const OTHER_CACHES: &[&str] = &["sccache", "kache", "mbx", "ccache", "cachepot", "fleche"];

/// Wrappers whose effect is known: other caches, and clippy, which is a compiler of its own.
#[must_use]
pub fn is_known_wrapper(path: &Path, trusted: &[String]) -> bool {
    let Some(name) = path.file_stem().and_then(OsStr::to_str) else {
        return false;
    };
    name == "clippy-driver"
        || OTHER_CACHES.contains(&name)
        || trusted.iter().any(|other| other == name)
}

/// Which wrapper of a chain is not known, if any.
#[must_use]
pub fn unknown_wrapper(chain: &Chain, inner: Option<&Path>, trusted: &[String]) -> Option<PathBuf> {
    inner
        .into_iter()
        .chain(chain.workspace_wrapper.as_deref().map(Path::new))
        .find(|path| !is_known_wrapper(path, trusted))
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], wrapper: Option<&str>, rustc: &str, arguments: usize) {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let chain = Chain::parse(&words).unwrap();
        assert_eq!(chain.workspace_wrapper.as_deref(), wrapper.map(OsStr::new));
        assert_eq!(chain.rustc, rustc);
        assert_eq!(chain.arguments.len(), arguments);
    }

    #[test]
    fn cargo_calls_a_wrapper_in_three_ways() {
        check(&["rustc", "-vV"], None, "rustc", 1);
        check(
            &["/t/bin/rustc", "-", "--crate-name", "___"],
            None,
            "/t/bin/rustc",
            3,
        );
        check(
            &["rustc", "--crate-name", "x", "src/rustc.rs"],
            None,
            "rustc",
            3,
        );
        check(
            &["/b/clippy-driver", "/t/bin/rustc", "--crate-name", "x"],
            Some("/b/clippy-driver"),
            "/t/bin/rustc",
            2,
        );
        check(&["rustc", "src/rustc.rs", "--test"], None, "rustc", 2);
        check(&["rustc", "@args"], None, "rustc", 1);
    }

    #[test]
    fn a_script_in_the_chain_is_not_known() {
        let chain = Chain::parse(&["/x/my-wrapper".into(), "rustc".into()]).unwrap();
        assert_eq!(
            unknown_wrapper(&chain, None, &[]),
            Some("/x/my-wrapper".into())
        );
        assert_eq!(unknown_wrapper(&chain, None, &["my-wrapper".into()]), None);
        let chain = Chain::parse(&["rustc".into(), "-vV".into()]).unwrap();
        assert_eq!(
            unknown_wrapper(&chain, Some(Path::new("/b/sccache")), &[]),
            None
        );
        assert_eq!(
            unknown_wrapper(&chain, Some(Path::new("/b/x.sh")), &[]),
            Some("/b/x.sh".into())
        );
    }
}
