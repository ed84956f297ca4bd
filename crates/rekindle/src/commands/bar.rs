//! How far a command is, for a person who waits: a bar on a terminal, a line now and then in the log of a CI service,
//! nothing elsewhere.
//!
//! Only work of our own has one, before cargo starts and after it has ended: what cargo prints is never torn. A bar is drawn
//! on one line, which is left with the cursor at its begin and cleared when the work ends, as cargo does it. What the counters of
//! [`rekindle_base::progress`] say is what is shown.

use std::io::{IsTerminal, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rekindle::Surroundings;
use rekindle::ci::Service;
use rekindle_base::{ByteSize, Reached, progress};

/// Work that takes less has no bar: it would only flicker.
const FIRST: Duration = Duration::from_millis(500);
/// A bar is drawn again after this.
const AGAIN: Duration = Duration::from_millis(100);
/// Work that takes less has no line in a log.
const FIRST_LINE: Duration = Duration::from_secs(3);
/// Another line after this.
const NEXT_LINE: Duration = Duration::from_secs(15);

/// Letters between the brackets.
const WIDTH: usize = 24;
/// cargo's verbs stand in as many columns.
const VERB_WIDTH: usize = 12;

/// What is done, in words for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// As cargo's, with a capital.
    verb: &'static str,
    /// What there are several of.
    items: &'static str,
}

impl Work {
    pub(crate) const PULL: Self = Self::new("Pulling", "objects");
    pub(crate) const RESTORE: Self = Self::new("Restoring", "units and packages");
    pub(crate) const COLLECT: Self = Self::new("Collecting", "files");
    pub(crate) const CAPTURE: Self = Self::new("Capturing", "units and packages");
    pub(crate) const PUSH: Self = Self::new("Saving", "objects");
    pub(crate) const MATERIALISE: Self = Self::new("Filling", "files");
    pub(crate) const CLEAN: Self = Self::new("Cleaning", "objects");
    pub(crate) const VERIFY: Self = Self::new("Verifying", "objects");
    pub(crate) const SWEEP: Self = Self::new("Cleaning", "blobs");
    pub(crate) const READ: Self = Self::new("Verifying", "blobs");
    pub(crate) const COPY: Self = Self::new("Copying", "blobs");
    pub(crate) const FETCH: Self = Self::new("Fetching", "runs of workflows");

    const fn new(verb: &'static str, items: &'static str) -> Self {
        Self { verb, items }
    }
}

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Bar,
    Lines,
    Nothing,
}

impl Manner {
    /// `quiet` is what was asked for; a terminal that knows no control codes is a log.
    fn of(surroundings: &Surroundings, quiet: bool, is_terminal: bool) -> Self {
        let is = |name, value: &str| surroundings.var(name).is_some_and(|set| set == value);
        if quiet || is("CARGO_TERM_PROGRESS_WHEN", "never") {
            Self::Nothing
        } else if Service::of(surroundings).is_some() {
            Self::Lines
        } else if is_terminal && !is("TERM", "dumb") {
            Self::Bar
        } else {
            Self::Nothing
        }
    }

    /// How long after the begin the first is shown.
    fn first(self) -> Duration {
        if self == Self::Bar { FIRST } else { FIRST_LINE }
    }

    /// How long after one the next is shown.
    fn again(self) -> Duration {
        if self == Self::Bar { AGAIN } else { NEXT_LINE }
    }

    fn show(self, work: Work, reached: Reached, elapsed: Duration) {
        // Nobody reads where this cannot be written.
        let _ = match self {
            Self::Bar => {
                // A line that is longer than the terminal is wide is cut by it, not continued.
                let bar = bar(work, reached, elapsed);
                write!(std::io::stderr(), "\r\x1b[?7l{bar}\x1b[K\x1b[?7h\r")
            }
            Self::Lines => {
                let line = line(work, reached, elapsed);
                writeln!(std::io::stderr(), "rekindle: {line}")
            }
            Self::Nothing => Ok(()),
        };
    }

    fn clear(self) {
        if self == Self::Bar {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Whether and how a command shows how far it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bars(Manner);

impl Bars {
    /// `quiet` also where a program reads what the command prints.
    pub(crate) fn new(surroundings: &Surroundings, quiet: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self(Manner::of(surroundings, quiet, is_terminal))
    }

    /// Work begins; it ends when what is returned is dropped.
    pub(crate) fn begin(self, work: Work) -> Bar {
        if self.0 == Manner::Nothing {
            return Bar(None);
        }
        progress().restart();
        let (over, is_over) = mpsc::channel();
        let drawing = std::thread::Builder::new().spawn(move || {
            let began = Instant::now();
            let (mut pause, mut is_shown) = (self.0.first(), false);
            // Dropping the other end ends it.
            while is_over.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                self.0.show(work, progress().reached(), began.elapsed());
                (pause, is_shown) = (self.0.again(), true);
            }
            if is_shown {
                self.0.clear();
            }
        });
        // Without a thread for it nothing is shown.
        Bar(drawing.ok().map(|drawing| (over, drawing)))
    }

    /// Does work.
    pub(crate) fn during<T>(self, work: Work, does: impl FnOnce() -> T) -> T {
        let _bar = self.begin(work);
        does()
    }
}

/// Work under way.
#[must_use]
pub(crate) struct Bar(Option<(Sender<()>, JoinHandle<()>)>);

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((over, drawing)) = self.0.take() {
            drop(over);
            // It clears the line before anybody else writes there.
            let _ = drawing.join();
        }
    }
}

/// As cargo draws its own.
fn bar(work: Work, reached: Reached, elapsed: Duration) -> String {
    let verb = format!("{:>VERB_WIDTH$}", work.verb);
    let after = after(work, reached, elapsed);
    if reached.expected == 0 {
        return format!("{verb} {after}");
    }
    let share = u128::from(reached.done) * WIDTH as u128 / u128::from(reached.expected);
    let full = usize::try_from(share).unwrap_or(WIDTH).min(WIDTH);
    let arrow = match full {
        0 => String::new(),
        WIDTH => "=".repeat(WIDTH),
        _ => "=".repeat(full - 1) + ">",
    };
    format!("{verb} [{arrow:<WIDTH$}] {after}")
}

/// For a log.
fn line(work: Work, reached: Reached, elapsed: Duration) -> String {
    format!(
        "{}: {}",
        work.verb.to_lowercase(),
        after(work, reached, elapsed)
    )
}

fn after(work: Work, reached: Reached, elapsed: Duration) -> String {
    let mut said = Vec::new();
    if reached.expected > 0 {
        said.push(format!(
            "{}/{} {}",
            reached.done, reached.expected, work.items
        ));
    }
    if reached.bytes > 0 {
        said.push(ByteSize(reached.bytes).to_string());
    }
    said.push(format!("{} s", elapsed.as_secs()));
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manner(vars: &[(&str, &str)], quiet: bool, is_terminal: bool) -> Manner {
        let vars = vars.iter().map(|(n, v)| ((*n).into(), (*v).into()));
        let surroundings = Surroundings {
            vars: vars.collect(),
            ..Surroundings::default()
        };
        Manner::of(&surroundings, quiet, is_terminal)
    }

    #[test]
    fn a_bar_on_a_terminal_lines_in_ci_and_nothing_where_nobody_reads() {
        assert_eq!(manner(&[], false, true), Manner::Bar);
        assert_eq!(manner(&[], false, false), Manner::Nothing);
        assert_eq!(manner(&[("TERM", "dumb")], false, true), Manner::Nothing);
        for is_terminal in [false, true] {
            assert_eq!(manner(&[("CI", "1")], false, is_terminal), Manner::Lines);
            assert_eq!(manner(&[("CI", "1")], true, is_terminal), Manner::Nothing);
            assert_eq!(manner(&[], true, is_terminal), Manner::Nothing);
        }
        let never = ("CARGO_TERM_PROGRESS_WHEN", "never");
        assert_eq!(manner(&[never], false, true), Manner::Nothing);
    }

    #[test]
    fn bars_and_lines() {
        let reached = |expected, done, bytes| Reached {
            expected,
            done,
            bytes,
        };
        let check = |reached, wanted: &str, wanted_line: &str| {
            let elapsed = Duration::from_millis(12_900);
            assert_eq!(bar(Work::PUSH, reached, elapsed), wanted);
            assert_eq!(line(Work::PUSH, reached, elapsed), wanted_line);
        };
        check(reached(0, 0, 0), "      Saving 12 s", "saving: 12 s");
        check(
            reached(4, 0, 0),
            "      Saving [                        ] 0/4 objects, 12 s",
            "saving: 0/4 objects, 12 s",
        );
        check(
            reached(4, 1, 1 << 20),
            "      Saving [=====>                  ] 1/4 objects, 1.0 MiB, 12 s",
            "saving: 1/4 objects, 1.0 MiB, 12 s",
        );
        check(
            reached(4, 4, 0),
            "      Saving [========================] 4/4 objects, 12 s",
            "saving: 4/4 objects, 12 s",
        );
        let many = reached(1_000_000, 999_999, 900 << 30);
        let widest = bar(Work::RESTORE, many, Duration::from_secs(10_000));
        assert!(widest.len() < 100, "{widest}");
    }

    #[test]
    fn work_that_is_short_is_not_shown() {
        assert!(Manner::Bar.first() >= Duration::from_millis(500));
        assert!(Manner::Lines.first() > Manner::Bar.first());
        assert!(Manner::Lines.again() >= Duration::from_secs(10), "sparse");
    }
}
