//! Why a unit was compiled.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::step::Refusal;

/// Why the store could not serve a unit that it may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum MissReason {
    /// No unit of this name and kind was ever published here.
    NeverSeen,
    /// One was, with other inputs.
    Changed {
        /// Every recorded input that differs.
        changes: Vec<Change>,
    },
    /// The entry is there, an object that it names is not: evicted, or lost.
    ObjectMissing {
        /// Which output.
        output: String,
    },
    /// An object's bytes are not those that its name promises; it was removed.
    ObjectCorrupt {
        /// Which output.
        output: String,
    },
    /// The entry could not be read: cut short, or a bit flipped; it was removed.
    EntryCorrupt,
    /// The same inputs as before, but the entry is gone.
    Evicted,
    /// The user asked for everything to be compiled again.
    Recache,
    /// The store does not answer.
    StoreUnavailable {
        /// What the system says.
        error: String,
    },
    /// The outputs could not be placed.
    RestoreFailed {
        /// What the system says.
        error: String,
    },
    /// Compiled again because a check of the hit found other bits.
    VerifyMismatch,
}

/// One input that differs between two manifests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What kind of input.
    pub kind: ChangeKind,
    /// Its name: a path, a variable, a crate, a position among the arguments.
    pub name: String,
    /// What it was; `None` where it was not there. A digest for contents and secrets.
    pub old: Option<String>,
    /// What it is.
    pub new: Option<String>,
}

/// What kind of input changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// The compiler, its libraries, or a driver such as clippy's.
    Compiler,
    /// An argument.
    Argument,
    /// A source file, or another file that the compiler read.
    Source,
    /// An environment variable.
    Env,
    /// A crate that it depends on: it misses because another unit did.
    Extern,
    /// A native library.
    Native,
    /// The linker, its driver, or a file that the linker read.
    Linker,
    /// A directory that the outputs hold.
    Directory,
    /// The format of keys.
    Format,
    /// What kind of step it is.
    Step,
    /// A file that a step was seen to read.
    Read,
    /// A path that a step asked about.
    Looked,
    /// A directory that a step listed.
    Listing,
    /// A symbolic link.
    Link,
    /// A program that a step is, started or looked for.
    Program,
    /// A shared library that the loader looked for.
    Library,
}

impl ChangeKind {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Compiler => "compiler",
            Self::Argument => "argument",
            Self::Source => "source",
            Self::Env => "environment variable",
            Self::Extern => "dependency",
            Self::Native => "native library",
            Self::Linker => "linker",
            Self::Directory => "directory",
            Self::Format => "key format",
            Self::Step => "kind of step",
            Self::Read => "file",
            Self::Looked => "path",
            Self::Listing => "listed directory",
            Self::Link => "symbolic link",
            Self::Program => "program",
            Self::Library => "shared library",
        }
    }
}

impl Change {
    /// What became of something that a step was seen to read, as one says it.
    fn observed(&self) -> Option<String> {
        let name = &self.name;
        let was = |text: &str| self.old.as_deref() == Some(text);
        let is = |text: &str| self.new.as_deref() == Some(text);
        let (nothing, unset) = ("not there", "not set");
        Some(match self.kind {
            ChangeKind::Env if was(unset) => format!("`{name}` is now set"),
            ChangeKind::Env if is(unset) => format!("`{name}` is no longer set"),
            ChangeKind::Read | ChangeKind::Looked if is(nothing) => match self.old {
                Some(_) => format!("`{name}` is gone"),
                None => format!("`{name}` is looked for now, and is not there"),
            },
            ChangeKind::Looked if was(nothing) => format!("`{name}` exists now"),
            ChangeKind::Read if self.old.is_none() => format!("`{name}` is read now"),
            ChangeKind::Read => format!("`{name}` was rewritten"),
            ChangeKind::Looked => match &self.new {
                Some(kind) => format!("`{name}` is now a {kind}"),
                None => format!("`{name}` is no longer looked at"),
            },
            ChangeKind::Listing => format!("other names are in `{name}`"),
            ChangeKind::Link => format!("`{name}` leads elsewhere"),
            ChangeKind::Program => format!("the program `{name}` is another"),
            ChangeKind::Library => format!("the loader finds another `{name}`"),
            ChangeKind::Directory => {
                let (old, new) = (self.old.as_deref()?, self.new.as_deref()?);
                format!("its outputs hold the path of `{name}`: {old} → {new}")
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(observed) = self.observed() {
            return f.write_str(&observed);
        }
        write!(f, "{} `{}`", self.kind.word(), self.name)?;
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, ": {old} → {new}"),
            (None, Some(new)) => write!(f, ": now {new}, absent before"),
            (Some(old), None) => write!(f, ": was {old}, absent now"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for MissReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverSeen => f.write_str("never built with this store before"),
            Self::Changed { changes } => match changes.as_slice() {
                [] => f.write_str("its inputs changed"),
                [only] => write!(f, "{only}"),
                [first, rest @ ..] => write!(f, "{first}, and {} more", rest.len()),
            },
            Self::ObjectMissing { output } => write!(f, "the store no longer holds `{output}`"),
            Self::ObjectCorrupt { output } => {
                write!(
                    f,
                    "the stored bytes of `{output}` were damaged, and removed"
                )
            }
            Self::EntryCorrupt => f.write_str("its entry in the store was damaged, and removed"),
            Self::Evicted => f.write_str("its entry was evicted from the store"),
            Self::Recache => f.write_str("asked to compile everything again"),
            Self::StoreUnavailable { error } => write!(f, "the store does not answer: {error}"),
            Self::RestoreFailed { error } => write!(f, "its outputs could not be placed: {error}"),
            Self::VerifyMismatch => f.write_str("a check found other bits than the stored ones"),
        }
    }
}

/// Why no store can help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum UncacheableReason {
    /// Not an invocation as cargo makes them: no crate name, no output directory, no notifications.
    NotCargo {
        /// What is missing or odd.
        detail: String,
    },
    /// An argument whose effect on outputs is not known.
    Argument {
        /// Which.
        argument: String,
    },
    /// A compiler that could not be identified.
    UnknownCompiler {
        /// Why.
        detail: String,
    },
    /// A wrapper in the chain whose effect is not known.
    UnknownWrapper {
        /// Its path.
        path: String,
    },
    /// A linker whose reads cannot be recorded.
    UnknownLinker {
        /// Why.
        detail: String,
    },
    /// A crate that it depends on was not built through Rekindle, so that what is behind it is not
    /// known.
    ForeignExtern {
        /// Its file.
        file: String,
    },
    /// The compiler failed.
    CompilerFailed {
        /// Its exit code.
        exit_code: i32,
    },
    /// An input was changed while the compiler ran.
    ChangedDuringCompile {
        /// Which.
        file: String,
    },
    /// The clock was set while the compiler ran.
    ClockWasSet,
    /// What the compiler says it read could not be read again.
    UnreadableInput {
        /// Which.
        file: String,
        /// What the system says.
        error: String,
    },
    /// An output that was announced is not there.
    MissingOutput {
        /// Which.
        file: String,
    },
    /// Bundles a native library that no argument names.
    UnnamedNativeLibrary {
        /// A member of the archive.
        member: String,
    },
    /// What a macro was seen to do cannot be keyed.
    Observed {
        /// What.
        refusal: Refusal,
    },
    /// Uses a private working file of another tool as an input, as with incremental state from
    /// elsewhere or a profile.
    Other {
        /// What.
        detail: String,
    },
}

impl fmt::Display for UncacheableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCargo { detail } => write!(f, "not an invocation by cargo: {detail}"),
            Self::Argument { argument } => {
                write!(f, "the effect of `{argument}` on outputs is not known")
            }
            Self::UnknownCompiler { detail } => {
                write!(f, "the compiler could not be identified: {detail}")
            }
            Self::UnknownWrapper { path } => {
                write!(f, "the effect of the wrapper `{path}` is not known")
            }
            Self::UnknownLinker { detail } => {
                write!(f, "what the linker reads cannot be recorded: {detail}")
            }
            Self::ForeignExtern { file } => write!(
                f,
                "`{file}` was not built through rekindle; `cargo clean` once lets rekindle build it"
            ),
            Self::CompilerFailed { exit_code } => {
                write!(f, "the compiler ended with exit code {exit_code}")
            }
            Self::ChangedDuringCompile { file } => {
                write!(f, "`{file}` was changed while the compiler ran")
            }
            Self::ClockWasSet => f.write_str("the clock was set while the compiler ran"),
            Self::UnreadableInput { file, error } => {
                write!(f, "the input `{file}` could not be read again: {error}")
            }
            Self::MissingOutput { file } => {
                write!(f, "the compiler announced `{file}` but did not write it")
            }
            Self::UnnamedNativeLibrary { member } => write!(
                f,
                "it bundles a native library that no argument names (object `{member}`)"
            ),
            Self::Observed { refusal } => {
                write!(f, "of a macro that it uses, or of its linker: {refusal}")
            }
            Self::Other { detail } => f.write_str(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_there_is_not_gone() {
        let check = |old: Option<&str>, expected: &str| {
            let change = Change {
                kind: ChangeKind::Looked,
                name: "clippy.toml".into(),
                old: old.map(Into::into),
                new: Some("not there".into()),
            };
            assert_eq!(change.to_string(), expected);
        };
        check(Some("file"), "`clippy.toml` is gone");
        check(None, "`clippy.toml` is looked for now, and is not there");
    }
}
