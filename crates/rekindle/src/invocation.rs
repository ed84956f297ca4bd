//! What a command line is: an own command, or cargo's, and what matters in cargo's arguments.
//!
//! cargo's arguments are passed on as they are. They are only looked at, with care for what takes a
//! value, to know which command runs and whether its standard output may be read.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use rekindle::layout::Asked;
use rekindle::selection::Call;

/// Own commands, where they come first.
const OWN: &[&str] = &[
    "env",
    "stats",
    "report",
    "import",
    "history",
    "step",
    "explain",
    "observe",
    "doctor",
    "snapshot",
    "materialise",
    "cache",
    "init",
    "switch",
    "audit",
    "docs",
];

/// Whose a command line is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// Rekindle's own, for clap.
    Own,
    /// cargo's, with these arguments.
    Cargo(&'a [OsString]),
}

/// Tells own commands from cargo's. Anything before a command, such as `+nightly` or `--offline`,
/// is cargo's, and so is what follows.
pub(crate) fn classify(arguments: &[OsString]) -> Request<'_> {
    let text = |at: usize| arguments.get(at).and_then(|argument| argument.to_str());
    match text(0) {
        // clap shows its help, as an error.
        None if arguments.is_empty() => Request::Own,
        Some("cargo") => Request::Cargo(&arguments[1..]),
        Some("-h" | "--help" | "-V" | "--version") => Request::Own,
        Some("help") => match text(1) {
            Some(topic) if !OWN.contains(&topic) && !topic.starts_with('-') => {
                Request::Cargo(arguments)
            }
            _ => Request::Own,
        },
        Some(command) if OWN.contains(&command) => Request::Own,
        _ => Request::Cargo(arguments),
    }
}

/// Neither restores nor captures a snapshot, for one command.
const NO_SNAPSHOT: &str = "--no-snapshot";

/// cargo's own options that take a value in an argument of their own.
const GLOBAL_VALUES: &[&str] = &["-C", "-Z", "--color", "--config", "--explain"];
/// Options of subcommands that do, as far as a value could be taken for another option.
const COMMAND_VALUES: &[&str] = &[
    "-p",
    "--package",
    "-j",
    "--jobs",
    "-F",
    "--features",
    "--exclude",
    "--bin",
    "--example",
    "--test",
    "--bench",
    "--profile",
    "--target",
    "--target-dir",
    "--manifest-path",
    "--message-format",
    "--lockfile-path",
    "--artifact-dir",
    "--print",
    "--crate-type",
];

/// A cargo command line, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CargoLine {
    /// `+nightly` and the like.
    pub(crate) toolchain: Option<OsString>,
    /// All others.
    pub(crate) arguments: Vec<OsString>,
    /// The subcommand, where there is one.
    pub(crate) command: Option<String>,
    /// Whether cargo is to be quiet.
    pub(crate) quiet: bool,
    /// How often `-v` is given.
    pub(crate) verbose: usize,
    /// Whether it only shows help, a version or a list.
    pub(crate) informs: bool,
    /// Whether something other than a build's messages may come on standard output.
    pub(crate) prints: bool,
    /// Whether `--no-snapshot` is given, which is ours.
    pub(crate) no_snapshot: bool,
    /// Whether `--no-run` is given.
    pub(crate) no_run: bool,
    /// The message format that the user asked for.
    pub(crate) message_format: Option<String>,
    /// `-C`.
    pub(crate) directory: Option<PathBuf>,
    /// Values of `--config`.
    pub(crate) config: Vec<String>,
    /// `--target-dir`.
    pub(crate) target_dir: Option<PathBuf>,
    /// `--manifest-path`.
    pub(crate) manifest_path: Option<PathBuf>,
    /// Values of `--target`.
    pub(crate) targets: Vec<String>,
    /// `--profile`, or what `--release` stands for.
    pub(crate) profile: Option<String>,
    /// Where in `arguments` an option of ours can go: before the first `--`.
    pub(crate) insert_at: usize,
}

impl CargoLine {
    pub(crate) fn parse(arguments: &[OsString]) -> Self {
        let mut line = Self::default();
        let mut rest = arguments;
        if let Some((first, others)) = rest.split_first()
            && first.to_string_lossy().starts_with('+')
        {
            line.toolchain = Some(first.clone());
            rest = others;
        }
        let (own, rest) = without_own(rest);
        let rest = rest.as_slice();
        line.no_snapshot = own;
        line.arguments = rest.to_vec();
        line.insert_at = rest.len();
        let mut at = 0;
        while at < rest.len() {
            if rest[at] == "--" {
                line.insert_at = at;
                let behind = &rest[at..];
                // For `cargo rustc`: the compiler's answer comes on standard output.
                line.prints |= behind
                    .iter()
                    .any(|a| a.to_string_lossy().starts_with("--print"));
                break;
            }
            at += line.look(&rest[at], rest.get(at + 1));
        }
        line
    }

    /// Looks at one argument and the one behind it; says how many it has used.
    fn look(&mut self, argument: &OsStr, next: Option<&OsString>) -> usize {
        let Some(text) = argument.to_str() else {
            return 1;
        };
        if !text.starts_with('-') || text == "-" {
            self.command.get_or_insert_with(|| text.to_owned());
            return 1;
        }
        if let Some((name, value)) = text.split_once('=')
            && text.starts_with("--")
        {
            self.option(name, Some(OsStr::new(value)));
            return 1;
        }
        let takes_value = GLOBAL_VALUES.contains(&text)
            || (self.command.is_some() && COMMAND_VALUES.contains(&text));
        if takes_value {
            self.option(text, next.map(OsString::as_os_str));
            return 2;
        }
        if text.starts_with("--") {
            self.option(text, None);
        } else {
            self.short_options(&text[1..]);
        }
        1
    }

    /// `-vvq`, `-j4`, `-Cdir`: flags up to one that takes the rest as its value.
    fn short_options(&mut self, letters: &str) {
        for (at, letter) in letters.char_indices() {
            let value = OsStr::new(&letters[at + letter.len_utf8()..]);
            match letter {
                'C' => return self.option("-C", Some(value)),
                'p' | 'j' | 'F' | 'Z' => return,
                'r' => self.profile = Some("release".to_owned()),
                'q' => self.quiet = true,
                'v' => self.verbose += 1,
                'h' | 'V' => self.informs = true,
                _ => {}
            }
        }
    }

    fn option(&mut self, name: &str, value: Option<&OsStr>) {
        let text = || value.map(|value| value.to_string_lossy().into_owned());
        match name {
            "-C" => self.directory = value.map(PathBuf::from),
            "--config" => self.config.extend(text()),
            "--quiet" => self.quiet = true,
            "--verbose" => self.verbose += 1,
            "--help" | "--version" | "--list" | "--explain" => self.informs = true,
            "--unit-graph" | "--build-plan" | "--print" => self.prints = true,
            "--no-run" => self.no_run = true,
            "--message-format" => self.message_format = text(),
            "--target" => self.targets.extend(text()),
            "--profile" => self.profile = text(),
            "--release" => self.profile = Some("release".to_owned()),
            "--target-dir" => self.target_dir = value.map(PathBuf::from),
            "--manifest-path" => self.manifest_path = value.map(PathBuf::from),
            _ => {}
        }
    }

    /// What it says of where cargo builds.
    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked {
            manifest_path: self.manifest_path.as_deref(),
            target_dir: self.target_dir.as_deref(),
        }
    }

    /// What it says of which snapshot is wanted.
    pub(crate) fn call(&self) -> Call<'_> {
        Call {
            toolchain: self.toolchain.as_deref(),
            command: self.command.as_deref(),
            targets: &self.targets,
            profile: self.profile.as_deref(),
        }
    }

    /// Whether the command builds: what it came to is then worth a line in any case.
    pub(crate) fn is_build(&self) -> bool {
        const BUILDS: &[&str] = &[
            "build", "b", "check", "c", "clippy", "rustc", "test", "t", "run", "r", "bench", "doc",
            "d", "rustdoc", "install", "fix", "nextest",
        ];
        let command = self.command.as_deref();
        !self.informs && command.is_some_and(|command| BUILDS.contains(&command))
    }

    /// Whether rustdoc may be started: not by these, while others may be aliases or programs of their
    /// own.
    pub(crate) fn may_document(&self) -> bool {
        const NEVER: &[&str] = &[
            "build", "b", "check", "c", "clippy", "rustc", "run", "r", "bench", "install", "fix",
            "clean", "fetch", "metadata", "tree",
        ];
        let command = self.command.as_deref();
        command.is_some_and(|command| !NEVER.contains(&command))
    }
}

/// Our own option among cargo's, and the others. Behind `--` everything is somebody else's.
fn without_own(arguments: &[OsString]) -> (bool, Vec<OsString>) {
    let end = arguments.iter().position(|argument| argument == "--");
    let (ours, theirs) = arguments.split_at(end.unwrap_or(arguments.len()));
    let kept = ours.iter().filter(|argument| *argument != NO_SNAPSHOT);
    let kept: Vec<OsString> = kept.chain(theirs).cloned().collect();
    (kept.len() < arguments.len(), kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn parsed(line: &str) -> CargoLine {
        CargoLine::parse(&words(line))
    }

    #[test]
    fn own_commands_come_first_and_cargo_gets_the_rest() {
        for line in [
            "",
            "env",
            "stats --run all",
            "help",
            "help stats",
            "--help",
            "-V",
            "cache du",
            "init",
            "report",
        ] {
            assert_eq!(classify(&words(line)), Request::Own, "{line}");
        }
        for line in [
            "build",
            "add serde",
            "+nightly env",
            "--offline stats",
            "help build",
            "fmt",
        ] {
            let words = words(line);
            assert_eq!(classify(&words), Request::Cargo(&words), "{line}");
        }
        let words = words("cargo env --x");
        assert_eq!(classify(&words), Request::Cargo(&words[1..]));
    }

    #[test]
    fn the_command_is_found_behind_options() {
        for line in [
            "build",
            "+nightly build",
            "-C dir --offline --config a=1 build",
            "-Zx --color always -q build",
            "--config=a=1 build test",
        ] {
            assert_eq!(parsed(line).command.as_deref(), Some("build"), "{line}");
        }
        assert_eq!(parsed("--version").command, None);
        assert!(parsed("build --help").informs);
    }

    #[test]
    fn values_are_not_options() {
        assert!(!parsed("build -p q -j 4 --profile quiet --features --quiet").quiet);
        assert!(!parsed("build -pq -Fq").quiet);
        assert!(parsed("build -rq").quiet);
        assert!(parsed("-q build").quiet);
        assert!(!parsed("run -- -q").quiet);
        assert_eq!(parsed("build -vv").verbose, 2);
        assert_eq!(parsed("build -v --verbose").verbose, 2);
    }

    #[test]
    fn our_own_option_does_not_reach_cargo() {
        let line = parsed("build --no-snapshot -v -- --no-snapshot");
        assert!(line.no_snapshot);
        assert_eq!(line.arguments, words("build -v -- --no-snapshot"));
        assert_eq!(line.arguments[line.insert_at], "--");
        assert!(!parsed("run -- --no-snapshot").no_snapshot);
    }

    #[test]
    fn what_matters_is_read() {
        let line = parsed(
            "+n -C d build --message-format json --target-dir=t --manifest-path m --config c=1 -- x",
        );
        assert_eq!(line.toolchain, Some("+n".into()));
        assert_eq!(line.directory, Some("d".into()));
        assert_eq!(line.message_format.as_deref(), Some("json"));
        assert_eq!(line.target_dir, Some("t".into()));
        assert_eq!(line.manifest_path, Some("m".into()));
        assert_eq!(line.config, ["c=1"]);
        assert_eq!(line.arguments[line.insert_at], "--");
        let line = parsed("+n test --target a --target=b -r");
        let call = line.call();
        assert_eq!(call.toolchain, Some(OsStr::new("+n")));
        assert_eq!(
            (call.command, call.profile),
            (Some("test"), Some("release"))
        );
        assert_eq!(call.targets, ["a", "b"]);
        assert_eq!(parsed("build --profile x").call().profile, Some("x"));
        assert_eq!(parsed("-Cdir build").directory, Some("dir".into()));
    }
}
