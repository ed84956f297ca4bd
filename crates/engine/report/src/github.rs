//! What GitHub Actions shows of a run: Markdown for the job's summary, and annotations.
//!
//! GitHub takes one MiB of summary for a step, and ten annotations of a kind; a step may run many commands, so
//! that what one of them writes is far below that. Names are hostile: in Markdown they stand in `<code>`
//! with every letter that could mean something as an entity; in commands as GitHub's own library escapes them.

use std::fmt::{self, Write as _};

use rekindle_base::{CommandMessage, CommandProperty};

use crate::advice::Advice;
use crate::headline::Headline;
use crate::since::Since;
use crate::timeline::{Bar, Timeline};
use crate::traffic;
use crate::words::{percent, time};

/// No more bytes of a summary than this come from one run.
pub const SUMMARY_MAX_BYTES: usize = 24 * 1024;

/// Rows of units.
const SLOWEST: usize = 10;
/// Advice that is given.
const ADVICE: usize = 3;
/// Letters of a name.
const NAME_MAX: usize = 90;

/// The line that tells whether a run is in a summary already.
#[must_use]
pub fn marker(run: &str) -> String {
    let name: String = run
        .chars()
        .map(|char| {
            if char.is_ascii_alphanumeric() || ".-".contains(char) {
                char
            } else {
                '_'
            }
        })
        .collect();
    // Two hyphens would end the comment.
    format!("<!-- rekindle run {} -->", name.replace("--", "-_"))
}

/// The summary of a run. `page` is where the page was written, if it was.
#[must_use]
pub fn summary(timeline: &Timeline, advice: &[Advice], page: Option<&str>) -> String {
    let headline = Headline::of(timeline);
    let command = timeline.summary.command.as_deref().unwrap_or("");
    let mut text = marker(timeline.summary.run.as_deref().unwrap_or(""));
    let _ = write!(
        text,
        "\n### {} {}\n\n**{}**\n",
        if headline.failed { "❌" } else { "🔥" },
        Code(&format!("cargo {command}")),
        Plain(&headline.sentence())
    );
    if timeline.bars.is_empty() {
        return text;
    }
    add_since(&mut text, timeline.since.as_ref());
    add_advice(&mut text, advice);
    add_parts(&mut text, timeline);
    add_slowest(&mut text, timeline);
    add_cache(&mut text, timeline);
    if let Some(page) = page {
        let _ = write!(text, "\nThe whole run as a page: {}\n", Code(page));
    }
    cut(text)
}

/// One line for a run, where a summary has no room for more.
#[must_use]
pub fn short_summary(timeline: &Timeline) -> String {
    let run = timeline.summary.run.as_deref().unwrap_or("");
    format!(
        "{}\n{}\n\n",
        marker(run),
        Plain(&Headline::of(timeline).sentence())
    )
}

/// At a line's end. An open `<details>` is closed.
fn cut(mut text: String) -> String {
    if text.len() <= SUMMARY_MAX_BYTES {
        return text;
    }
    let mut end = SUMMARY_MAX_BYTES;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(text[..end].rfind('\n').unwrap_or(0));
    text.push_str("\n\n…\n");
    if text.matches("<details>").count() > text.matches("</details>").count() {
        text.push_str("\n</details>\n");
    }
    text
}

fn add_since(text: &mut String, since: Option<&Since>) {
    let Some(since) = since else {
        return;
    };
    let (title, lines) = (since.title(), since.lines());
    if lines.is_empty() {
        let _ = write!(text, "\n{}: no change worth a line.\n", Prose(&title));
        return;
    }
    let _ = write!(text, "\n{}:\n", Prose(&title));
    for line in lines {
        let _ = writeln!(text, "- {}", Prose(&line));
    }
}

fn add_advice(text: &mut String, advice: &[Advice]) {
    if advice.is_empty() {
        return;
    }
    text.push_str("\n**What would help most**\n\n");
    for (number, one) in (1..).zip(advice.iter().take(ADVICE)) {
        let gain = one
            .gain()
            .map_or(String::new(), |gain| format!(" ({gain})"));
        let _ = writeln!(text, "{number}. {}{gain}", Prose(&one.title));
        for way in one.remedy.iter().take(1).chain(one.evidence.iter().take(1)) {
            let _ = writeln!(text, "   - {}", Prose(way));
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a time in microseconds is far below 2^52"
)]
fn add_parts(text: &mut String, timeline: &Timeline) {
    let mut parts = timeline.parts.clone();
    parts.sort_by_key(|of| std::cmp::Reverse(of.time_us));
    text.push_str("\n| Where the time went | Time | Share |\n|:--|--:|--:|\n");
    for of in parts {
        let share = of.time_us as f64 * 100.0 / timeline.wall_us.max(1) as f64;
        if share >= 1.0 {
            let title = of.part.title();
            let _ = writeln!(
                text,
                "| {title} | {} | {} |",
                time(of.time_us),
                percent(share)
            );
        }
    }
}

fn add_slowest(text: &mut String, timeline: &Timeline) {
    let mut slowest: Vec<(usize, &Bar)> = timeline.bars.iter().enumerate().collect();
    slowest.sort_by_key(|(_, bar)| std::cmp::Reverse(bar.time_us));
    text.push_str("\n<details>\n<summary>Slowest units</summary>\n\n| Unit | Time | Link | Why |\n|:--|--:|--:|:--|\n");
    for (index, bar) in slowest.into_iter().take(SLOWEST) {
        let mark = if timeline.critical.contains(&index) {
            " ◆"
        } else {
            ""
        };
        let link_us = bar.part_us(crate::timeline::Part::Link);
        let link = if link_us > 0 {
            time(link_us)
        } else {
            String::new()
        };
        let why = bar
            .message
            .as_deref()
            .map_or(String::new(), |why| Plain(why).to_string());
        let _ = writeln!(
            text,
            "| {}{mark} | {} | {link} | {why} |",
            Code(&bar.name()),
            time(bar.time_us)
        );
    }
    text.push_str("\n◆ on the critical path");
    if timeline.critical_us > 0 {
        let _ = write!(
            text,
            ", which is {}: no number of cores makes it shorter",
            time(timeline.critical_us)
        );
    }
    text.push_str("\n\n</details>\n");
}

fn add_cache(text: &mut String, timeline: &Timeline) {
    let summary = &timeline.summary;
    let mut said = Vec::new();
    if let Some(rate) = summary.hit_rate() {
        said.push(format!("hit rate {}", percent(rate)));
    }
    for one in traffic::of(summary) {
        said.push(format!("{}: {}", one.store, one.figures()));
    }
    if summary.saved_us > 0 {
        said.push(format!(
            "about {} of compiling saved, by the times recorded when it was stored",
            time(summary.saved_us)
        ));
    }
    let _ = write!(text, "\nCache: {}.\n", said.join("; "));
    if let Some(base) = &summary.snapshot.base {
        let _ = writeln!(text, "Snapshot: {}.", Plain(base));
    }
}

/// Text from a build, on one line, without any meaning in Markdown or HTML.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, char) in self.0.chars().enumerate() {
            if number >= 3 * NAME_MAX {
                return f.write_char('…');
            }
            escaped(char, f)?;
        }
        Ok(())
    }
}

fn escaped(char: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match char {
        '\n' | '\r' | '\t' => f.write_char(' '),
        // What can stand in a sentence and means nothing there.
        ' ' | ',' | '.' | '(' | ')' | '%' | '-' | '+' | ':' => f.write_char(char),
        char if char.is_ascii_alphanumeric() => f.write_char(char),
        char if char.is_ascii_control() => Ok(()),
        char if char.is_ascii() => write!(f, "&#{};", u32::from(char)),
        char if char.is_alphanumeric() || "→…–×".contains(char) => f.write_char(char),
        _ => f.write_char('\u{fffd}'),
    }
}

/// A name as code: GitHub makes no mention, no link and no reference of it.
struct Code<'a>(&'a str);

impl fmt::Display for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<code>")?;
        for (number, char) in self.0.chars().enumerate() {
            if number >= NAME_MAX {
                f.write_char('…')?;
                break;
            }
            escaped(char, f)?;
        }
        f.write_str("</code>")
    }
}

/// Our own sentences, with names from a build between backquotes.
struct Prose<'a>(&'a str);

impl fmt::Display for Prose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, piece) in self.0.split('`').enumerate() {
            if index % 2 == 1 {
                Code(piece).fmt(f)?;
            } else {
                Plain(piece).fmt(f)?;
            }
        }
        Ok(())
    }
}

/// An annotation, as a command for the runner.
#[must_use]
pub fn annotation(title: &str, message: &str) -> String {
    format!(
        "::warning title={}::{}",
        CommandProperty(title),
        CommandMessage(message)
    )
}

#[cfg(test)]
mod tests {
    use rekindle_events::EventKind;

    use super::*;
    use crate::compare::Changes;
    use crate::fixtures::{finished, log, missed, never_seen, started, uncacheable};

    const HOSTILE: &str = "a|b`](x)<img src=x onerror=1>\n# @you #1 https://x.y ::error::-->";

    fn hostile(units: usize) -> Timeline {
        let mut begin = started(HOSTILE);
        if let EventKind::RunStarted(begin) = &mut begin {
            begin.command = HOSTILE.into();
        }
        let mut kinds = vec![begin];
        for number in 0..units {
            let mut unit = uncacheable(HOSTILE);
            unit.times.total_us = number as u64;
            kinds.push(EventKind::Unit(unit));
        }
        kinds.push(finished(None));
        Timeline::of_run(HOSTILE, &log(kinds))
    }

    #[test]
    fn names_mean_nothing_in_markdown() {
        let timeline = hostile(3);
        let advice = Advice {
            id: "x".into(),
            title: format!("about `{HOSTILE}` and {HOSTILE}"),
            evidence: vec![HOSTILE.into()],
            remedy: vec![HOSTILE.into()],
            gain_ms: None,
            gain_is_bound: false,
        };
        let mut timeline = timeline;
        timeline.since = Some(Since {
            branch: Some(HOSTILE.into()),
            commit: Some(HOSTILE.into()),
            ..Since::here(Changes::between(&hostile(1), &timeline))
        });
        let text = summary(&timeline, &[advice], Some(HOSTILE));
        for meaning in [
            "<img", "](x)", "
# ", "@you", " #1", "://", "`",
        ] {
            assert!(!text.contains(meaning), "{meaning}: {text}");
        }
        // Cells stay cells.
        let rows = text.lines().filter(|line| line.starts_with("| <code>"));
        for row in rows {
            assert_eq!(row.matches('|').count(), 5, "{row}");
        }
        // A comment ends where it should.
        assert_eq!(text.lines().next().unwrap().matches("--").count(), 2);
    }

    #[test]
    fn a_summary_stays_below_its_bound_and_is_well_formed() {
        let long = "x".repeat(400_000);
        let mut timeline = hostile(2000);
        for bar in &mut timeline.bars {
            bar.message = Some(long.clone());
            bar.package = long.clone();
        }
        let text = summary(&timeline, &[], None);
        assert!(text.len() <= SUMMARY_MAX_BYTES + 64, "{}", text.len());
        let count = |what| text.matches(what).count();
        assert_eq!(count("<details>"), count("</details>"));
    }

    #[test]
    fn a_run_that_built_nothing_is_one_line() {
        let events = log(vec![started("r"), finished(Some(7))]);
        let text = summary(&Timeline::of_run("r", &events), &[], None);
        assert_eq!(
            text,
            "<!-- rekindle run r -->\n### 🔥 <code>cargo build</code>\n\n**Built in 4.0 s: 7 units fresh**\n"
        );
    }

    #[test]
    fn what_changed_is_said() {
        let run = |seconds: u64| {
            let mut unit = missed("app", never_seen());
            unit.times.total_us = seconds * 1_000_000;
            Timeline::of_run("r", &log(vec![started("r"), EventKind::Unit(unit)]))
        };
        let changes = Changes::between(&run(3), &run(9));
        let mut now = run(9);
        now.since = Some(Since::here(changes));
        let text = summary(&now, &[], None);
        assert!(
            text.contains("- <code>app 1.0.0</code> 9.0 s, 6.0 s more than 3.0 s"),
            "{text}"
        );
    }

    #[test]
    fn a_command_is_one_line() {
        assert_eq!(
            annotation("a:b,c", "50%\n::error::x"),
            "::warning title=a%3Ab%2Cc::50%25%0A::error::x"
        );
    }
}
