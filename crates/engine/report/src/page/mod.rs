//! One HTML file that shows a run: nothing is loaded from anywhere, and it opens from a disk.
//!
//! Parts: `page.html`, `style.css`, `script.js`, and the JSON form of the run, put together here. What
//! a person should see first is written as HTML, so that it is there before, or without, any script: headline,
//! advice, the first rows, sums. The script draws the timeline and makes the table sort and filter.
//!
//! Names of packages, paths and messages come from a build and are hostile until escaped: as HTML by
//! [`html::Text`], as data in a script element by `html::json`. Beyond that a policy in the page lets only its
//! own script and style run.

mod parts;
mod tables;

use std::fmt::Write as _;

use rekindle_base::Digest;

use crate::advice::Advice;
use crate::headline::Headline;
use crate::html::{self, Text};
use crate::report_json::Report;
use crate::timeline::Timeline;
use crate::words::{count as counted, moment, time};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page of a run.
///
/// # Errors
/// None that is known: the data are texts and numbers.
pub fn page(timeline: &Timeline, advice: &[Advice]) -> serde_json::Result<String> {
    let report = Report::new(timeline, advice);
    let data = html::json(&serde_json::to_string(&report)?);
    let headline = Headline::of(timeline);
    // Unknown to whoever named a package: it depends on all of the data.
    let nonce = Digest::of(data.as_bytes()).short();
    let values = [
        ("nonce", nonce),
        ("title", Text(&title(timeline, &headline)).to_string()),
        ("style", STYLE.to_owned()),
        ("meta", Text(&meta(timeline)).to_string()),
        ("headline", first(&headline)),
        ("lead", lead(&headline)),
        ("bar", parts::bar(&timeline.parts, timeline.wall_us)),
        ("since", since(timeline)),
        ("help", help(advice)),
        ("timeline_note", Text(&timeline_note(timeline)).to_string()),
        ("count", tables::count(timeline)),
        ("rows", tables::rows(timeline)),
        ("parts", parts::table(timeline)),
        ("cache", tables::cache(timeline)),
        ("more", tables::more(timeline)),
        ("footer", footer(timeline)),
        ("data", data),
        ("script", SCRIPT.to_owned()),
    ];
    Ok(fill(PAGE, &values))
}

/// Puts values in the place of `{{name}}`, once: what stands in a value stays as it is.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::with_capacity(template.len() + 64 * 1024);
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        filled.push_str(before);
        let (name, behind) = behind.split_once("}}").unwrap_or((behind, ""));
        let value = values.iter().find(|(known, _)| *known == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

fn title(timeline: &Timeline, headline: &Headline) -> String {
    let run = timeline.summary.run.as_deref().unwrap_or("");
    format!("{} · {run} · Rekindle", headline.done)
}

/// Command, time and machine, in a line.
fn meta(timeline: &Timeline) -> String {
    let mut said = Vec::new();
    match (&timeline.imported_from, &timeline.summary.command) {
        (Some(from), _) => said.push(format!("from {from}")),
        (None, Some(command)) => said.push(format!("cargo {command}")),
        (None, None) => said.push("plain cargo".to_owned()),
    }
    if timeline.began_ms > 0 {
        said.push(moment(timeline.began_ms));
    }
    if let Some(machine) = &timeline.machine {
        let cores = if machine.cores == 1 { "core" } else { "cores" };
        said.push(format!("{} {cores}", machine.cores));
        if !machine.system.is_empty() {
            said.push(machine.system.clone());
        }
    }
    said.join(" · ")
}

fn first(headline: &Headline) -> String {
    let done = Text(&headline.done);
    if headline.failed {
        format!("<span class=\"bad\">{done}</span>")
    } else {
        done.to_string()
    }
}

fn lead(headline: &Headline) -> String {
    let mut lead = String::new();
    for (index, figure) in headline.figures.iter().enumerate() {
        let separator = if index == 0 { "" } else { " · " };
        let (number, rest) = figure.split_once(' ').unwrap_or((figure, ""));
        let _ = if number.starts_with(|first: char| first.is_ascii_digit()) {
            write!(lead, "{separator}<b>{}</b> {}", Text(number), Text(rest))
        } else {
            write!(lead, "{separator}{}", Text(figure))
        };
    }
    lead
}

/// What changed since the run that it is compared with; nothing where there is none.
fn since(timeline: &Timeline) -> String {
    let Some(since) = &timeline.since else {
        return String::new();
    };
    let title = html::Prose(&since.title()).to_string();
    let mut items = String::new();
    for line in since.lines() {
        let _ = write!(items, "<li>{}</li>", html::Prose(&line));
    }
    let said = if items.is_empty() {
        "<p class=\"note\">No change worth a line.</p>".to_owned()
    } else {
        format!("<ul>{items}</ul>")
    };
    format!(
        "<section class=\"since\" aria-labelledby=\"since-title\"><h2 id=\"since-title\">{title}</h2>{said}</section>"
    )
}

/// What would help most; nothing where nothing would.
fn help(advice: &[Advice]) -> String {
    if advice.is_empty() {
        return String::new();
    }
    let mut items = String::new();
    for one in advice {
        let gain = match one.gain_ms {
            Some(gain_ms) => format!(
                "&minus;{}<small>{}</small>",
                Text(&time(gain_ms.saturating_mul(1000))),
                one.how_much()
            ),
            None => "<small>gain not known</small>".to_owned(),
        };
        let mut remedy = String::new();
        for way in &one.remedy {
            let way = sentence(way);
            let _ = write!(remedy, "<p class=\"do\">{}</p>", html::Prose(&way));
        }
        let _ = write!(
            items,
            "<li><div class=\"gain\">{gain}</div><div><h3>{}</h3>{remedy}{}</div></li>",
            html::Prose(&one.title),
            evidence(&one.evidence),
        );
    }
    format!(
        "<section class=\"help\" aria-labelledby=\"help-title\"><h2 id=\"help-title\">What would help most</h2><ol>{items}</ol>\
         <p class=\"note\">Each gain is of that change alone, found by playing this run's own units again without what it costs.</p></section>"
    )
}

/// A rule's words as a sentence. What begins with a name, or with a package's, stays as it is.
fn sentence(words: &str) -> String {
    let first = words.split([' ', ',']).next().unwrap_or_default();
    let is_word = !first.is_empty() && first.chars().all(|char| char.is_ascii_lowercase());
    // "syn is compiled in 2 versions": who wrote the rule begins with the package.
    let is_name = words[first.len()..].starts_with(" is compiled");
    match words.get(..1).filter(|_| is_word && !is_name) {
        Some(letter) => format!("{}{}.", letter.to_ascii_uppercase(), &words[1..]),
        None => format!("{words}."),
    }
}

/// The first figure, and the others behind a fold.
fn evidence(evidence: &[String]) -> String {
    let Some((first, others)) = evidence.split_first() else {
        return String::new();
    };
    let mut text = format!("<p>{}</p>", html::Prose(&sentence(first)));
    if !others.is_empty() {
        let _ = write!(
            text,
            "<details><summary>{} more</summary>",
            counted(others.len() as u64, "figure", "figures")
        );
        for other in others {
            let _ = write!(text, "<p>{}</p>", html::Prose(&sentence(other)));
        }
        text.push_str("</details>");
    }
    text
}

fn timeline_note(timeline: &Timeline) -> String {
    if timeline.bars.is_empty() {
        return match timeline.summary.fresh {
            Some(fresh) if fresh > 0 => {
                "cargo found all units fresh, so there is nothing to show but the command itself."
            }
            _ => "The log has no unit with times.",
        }
        .to_owned();
    }
    let mut note = "Each row is one more unit at a time; colours are what it was doing.".to_owned();
    if timeline.critical.is_empty() {
        note.push_str(" What units waited for is not in this log.");
    } else {
        let _ = write!(
            note,
            " Underlined: the critical path, {} of work in which each unit needs the one before it, so that no number of cores makes it shorter.",
            time(timeline.critical_us)
        );
    }
    note
}

fn footer(timeline: &Timeline) -> String {
    let version = match timeline.rekindle.as_str() {
        "" => String::new(),
        version => format!(" by Rekindle {}", Text(version)),
    };
    let directory = match timeline.directory.as_str() {
        "" => String::new(),
        directory => format!(" in <code>{}</code>", Text(directory)),
    };
    format!(
        "Run <code>{}</code>{directory}, recorded{version}. This file holds its data and loads nothing; \
         <code>rekindle report --format json</code> writes the same for programs.",
        Text(timeline.summary.run.as_deref().unwrap_or("")),
    )
}

#[cfg(test)]
mod tests;
