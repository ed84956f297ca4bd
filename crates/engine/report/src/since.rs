//! What changed since another run: the last on the branch that work goes to, else the last of the same command here.
//!
//! Of a run on another machine the history has figures alone; of one whose log is here units are named as well.

use std::fmt;

use rekindle_base::ByteSize;

use crate::compare::{Changes, Pair};
use crate::words::{moment, percent, time};

/// So many units are named in each line.
const NAMED: usize = 5;
/// A new unit that took less is not named, in microseconds.
const NEW_MIN_US: u64 = 1_000_000;
/// Points of the hit rate that are worth a line.
const HIT_RATE_POINTS: f64 = 5.0;
/// Digits of a commit.
const COMMIT_DIGITS: usize = 9;
/// A difference of bytes below this is not worth a line; nor is one below a half of what it was.
const BYTES_MIN: u64 = 8 << 20;

/// What a run came to, as far as the history keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Wall time of cargo in milliseconds.
    pub wall_ms: u64,
    /// Time inside linkers in milliseconds, added up.
    pub link_ms: u64,
    /// Units compiled.
    pub compiled: u64,
    /// Hits among the units that a store can serve, in per cent.
    pub hit_rate: Option<f64>,
    /// Bytes that came from stores.
    pub in_bytes: u64,
}

/// What a run is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Since {
    /// The branch that it was on; `None` for the last run of the command in this directory.
    pub branch: Option<String>,
    /// Its commit, in hex.
    pub commit: Option<String>,
    /// When it began: milliseconds since 1970.
    pub began_ms: u64,
    /// Then and now, where the history has it.
    pub figures: Option<(Figures, Figures)>,
    /// Unit by unit, where its log is here.
    pub changes: Option<Changes>,
}

impl Since {
    /// The last run of the command in this directory.
    #[must_use]
    pub fn here(changes: Changes) -> Self {
        Self {
            branch: None,
            commit: None,
            began_ms: changes.since_ms,
            figures: None,
            changes: Some(changes),
        }
    }

    /// What it is compared with, as in ``Since the last run on `main` (5c1d0b2, 2026-11-26 17:10 UTC)``.
    #[must_use]
    pub fn title(&self) -> String {
        let at = moment(self.began_ms);
        let Some(branch) = &self.branch else {
            return format!("Since the run of {at}");
        };
        let commit = self
            .commit
            .as_deref()
            .and_then(|all| all.get(..COMMIT_DIGITS));
        let commit = commit.map_or(String::new(), |commit| format!("{commit}, "));
        format!("Since the last run on `{branch}` ({commit}{at})")
    }

    /// What changed, a line each, names between backquotes; none where nothing is worth one.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut said = Vec::new();
        match (&self.changes, &self.figures) {
            (Some(changes), _) => {
                add_times(&mut said, changes.wall, changes.link);
                add_compiled(&mut said, changes.compiled);
                add_units(&mut said, changes);
            }
            (None, Some((then, now))) => {
                let pair = |then_ms: u64, now_ms: u64| Pair {
                    then_us: then_ms.saturating_mul(1000),
                    now_us: now_ms.saturating_mul(1000),
                };
                let link = pair(then.link_ms, now.link_ms);
                add_times(&mut said, pair(then.wall_ms, now.wall_ms), link);
                add_compiled(&mut said, (then.compiled, now.compiled));
            }
            (None, None) => {}
        }
        if let Some((then, now)) = &self.figures {
            add_cache(&mut said, then, now);
        }
        said
    }
}

fn add_times(said: &mut Vec<String>, wall: Pair, link: Pair) {
    if wall.is_worth_saying() {
        said.push(format!("the wall {}", Difference(wall)));
    }
    if link.is_worth_saying() {
        said.push(format!("linking {}", Difference(link)));
    }
}

fn add_compiled(said: &mut Vec<String>, (then, now): (u64, u64)) {
    if then != now {
        said.push(format!("{now} compiled where it was {then}"));
    }
}

fn add_units(said: &mut Vec<String>, changes: &Changes) {
    for (name, pair) in changes.slower.iter().take(NAMED) {
        said.push(format!("`{name}` {}", Difference(*pair)));
    }
    let new = changes.new.iter();
    let new = new.filter(|(_, time_us)| *time_us >= NEW_MIN_US);
    let new: Vec<String> = new
        .take(NAMED)
        .map(|(name, time_us)| format!("`{name}` {}", time(*time_us)))
        .collect();
    if !new.is_empty() {
        said.push(format!("compiled now and not then: {}", new.join(", ")));
    }
}

fn add_cache(said: &mut Vec<String>, then: &Figures, now: &Figures) {
    if let (Some(was), Some(is)) = (then.hit_rate, now.hit_rate)
        && (was - is).abs() >= HIT_RATE_POINTS
    {
        said.push(format!(
            "hit rate {}, where it was {}",
            percent(is),
            percent(was)
        ));
    }
    let difference = then.in_bytes.abs_diff(now.in_bytes);
    if difference >= BYTES_MIN && difference >= then.in_bytes / 2 {
        said.push(format!(
            "{} from stores, where it was {}",
            ByteSize(now.in_bytes),
            ByteSize(then.in_bytes)
        ));
    }
}

/// A time that changed, as in `41.2 s, 3.1 s more than 38.1 s`.
struct Difference(Pair);

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pair { then_us, now_us } = self.0;
        let word = if now_us > then_us { "more" } else { "less" };
        write!(
            f,
            "{}, {} {word} than {}",
            time(now_us),
            time(now_us.abs_diff(then_us)),
            time(then_us)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(then: Figures, now: Figures) -> Since {
        Since {
            branch: Some("main".to_owned()),
            commit: Some("5c1d0b2a9f00".to_owned()),
            began_ms: 1_795_373_100_123,
            figures: Some((then, now)),
            changes: None,
        }
    }

    #[test]
    fn figures_of_another_machine_are_compared_and_noise_is_not() {
        let then = Figures {
            wall_ms: 38_100,
            link_ms: 4_000,
            compiled: 3,
            hit_rate: Some(97.0),
            in_bytes: 10 << 20,
        };
        let now = Figures {
            wall_ms: 61_000,
            link_ms: 4_200,
            compiled: 40,
            hit_rate: Some(41.0),
            in_bytes: 90 << 20,
        };
        let since_main = since(then, now);
        assert_eq!(
            since_main.title(),
            "Since the last run on `main` (5c1d0b2a9, 2026-11-22 18:45 UTC)"
        );
        assert_eq!(
            since_main.lines(),
            [
                "the wall 1 min 01 s, 22.9 s more than 38.1 s",
                "40 compiled where it was 3",
                "hit rate 41 %, where it was 97 %",
                "90.0 MiB from stores, where it was 10.0 MiB",
            ]
        );
        let same = Figures {
            wall_ms: 39_000,
            hit_rate: Some(94.0),
            in_bytes: 14 << 20,
            ..then
        };
        assert_eq!(since(then, same).lines(), Vec::<String>::new());
    }

    #[test]
    fn units_are_named_where_the_log_is_here() {
        let second = 1_000_000;
        let pair = |then, now| Pair {
            then_us: then * second,
            now_us: now * second,
        };
        let changes = Changes {
            since: "r".to_owned(),
            since_ms: 1_795_373_100_123,
            wall: pair(10, 20),
            link: pair(1, 1),
            compiled: (1, 1),
            slower: vec![("app 1.0.0".to_owned(), pair(5, 15))],
            new: vec![("lib 2.0.0".to_owned(), 3 * second), ("tiny".to_owned(), 1)],
        };
        let here = Since::here(changes);
        assert_eq!(here.title(), "Since the run of 2026-11-22 18:45 UTC");
        assert_eq!(
            here.lines(),
            [
                "the wall 20.0 s, 10.0 s more than 10.0 s",
                "`app 1.0.0` 15.0 s, 10.0 s more than 5.0 s",
                "compiled now and not then: `lib 2.0.0` 3.0 s",
            ]
        );
    }
}
