//! Where the wall time went, as a bar and as a table.

use std::fmt::Write as _;

use crate::html::Text;
use crate::timeline::{Part, PartTime, Timeline};
use crate::words::{percent, time};

/// The colour of a part, by the name of its variable in the style.
fn colour(part: Part) -> &'static str {
    match part {
        Part::Frontend => "frontend",
        Part::Codegen => "codegen",
        Part::Compile => "compile",
        Part::Link => "link",
        Part::Script => "script",
        Part::Pull | Part::RemoteWait | Part::Push => "remote",
        Part::Lookup | Part::RestoreUnit | Part::Materialise | Part::Publish => "store",
        Part::CargoStart | Part::CargoBetween | Part::CargoEnd => "cargo",
        Part::Prepare | Part::RestoreSnapshot | Part::Collect | Part::Capture | Part::Finish => {
            "own"
        }
        Part::Unnamed => "unnamed",
    }
}

/// What the colours of the bar are called. The order is that of the bar.
const GROUPS: &[(&str, &str)] = &[
    ("own", "Rekindle around cargo"),
    ("cargo", "cargo itself"),
    ("store", "looking up, restoring, storing"),
    ("remote", "the remote"),
    ("script", "build scripts"),
    ("frontend", "compiling, front end"),
    ("codegen", "compiling, code generation"),
    ("compile", "compiling programs"),
    ("link", "linking"),
    ("unnamed", "not accounted for"),
];

#[allow(
    clippy::cast_precision_loss,
    reason = "a time in microseconds is far below 2^52"
)]
fn share(part_us: u64, whole_us: u64) -> f64 {
    if whole_us == 0 {
        0.0
    } else {
        part_us as f64 * 100.0 / whole_us as f64
    }
}

/// The wall as one bar, with what its colours are. Widths are attributes of SVG: the page's policy allows no
/// style in an element.
pub(super) fn bar(parts: &[PartTime], wall_us: u64) -> String {
    if wall_us == 0 {
        return String::new();
    }
    let (mut pieces, mut legend, mut at) = (String::new(), String::new(), 0.0);
    for (group, title) in GROUPS {
        let of_group = parts.iter().filter(|of| colour(of.part) == *group);
        let time_us: u64 = of_group.map(|of| of.time_us).sum();
        let width = share(time_us, wall_us);
        if width <= 0.0 {
            continue;
        }
        let _ = write!(
            pieces,
            "<rect x=\"{at:.3}\" width=\"{width:.3}\" height=\"1\" class=\"c-{group}\"/>"
        );
        at += width;
        // What is smaller than this is in the table of parts.
        if width >= 1.0 {
            let _ = write!(
                legend,
                "<li><span class=\"swatch c-{group}\"></span>{title} <b>{}</b></li>",
                percent(width)
            );
        }
    }
    format!(
        "<svg class=\"stack\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">{pieces}</svg>\
         <ul class=\"legend\" aria-label=\"Where the time went\">{legend}</ul>"
    )
}

/// Each part with its time and share; small ones behind a fold.
pub(super) fn table(timeline: &Timeline) -> String {
    let wall_us = timeline.wall_us;
    if wall_us == 0 {
        return "<p class=\"explain\">No times are recorded.</p>".to_owned();
    }
    let mut parts = timeline.parts.clone();
    parts.sort_by_key(|of| std::cmp::Reverse(of.time_us));
    let (large, small): (Vec<_>, Vec<_>) = parts
        .iter()
        .partition(|of| share(of.time_us, wall_us) >= 0.5);
    let mut text = rows(&large, wall_us);
    if !small.is_empty() {
        let small_us: u64 = small.iter().map(|of| of.time_us).sum();
        let _ = write!(
            text,
            "<details><summary>{} smaller, together {}</summary>{}</details>",
            small.len(),
            Text(&time(small_us)),
            rows(&small, wall_us)
        );
    }
    let _ = write!(
        text,
        "<p class=\"explain\">Together {}, of which {:.1} % have a name. Each instant is divided equally among what ran \
         then, so a part is its share of the wait, however much ran beside it.</p>",
        Text(&time(wall_us)),
        timeline.accounted_share().unwrap_or(0.0),
    );
    text
}

fn rows(parts: &[&PartTime], wall_us: u64) -> String {
    let mut rows = String::new();
    for of in parts {
        let _ = write!(
            rows,
            "<tr><th scope=\"row\"><span class=\"swatch c-{}\"></span>{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            colour(of.part),
            Text(of.part.title()),
            Text(&time(of.time_us)),
            percent(share(of.time_us, wall_us)),
        );
    }
    format!(
        "<table><thead><tr><th scope=\"col\">Part</th><th scope=\"col\" class=\"number\">Time</th><th scope=\"col\" class=\"number\">Share</th></tr></thead><tbody>{rows}</tbody></table>"
    )
}
