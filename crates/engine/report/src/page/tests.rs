use rekindle_events::EventKind;

use super::*;
use crate::fixtures::{finished, log, missed, never_seen, started, warning};

const HOSTILE: &str = "</script><script>alert(1)</script>\"'&{{data}}";

fn hostile() -> String {
    let mut unit = missed(HOSTILE, never_seen());
    unit.version = HOSTILE.into();
    unit.crate_name = HOSTILE.into();
    unit.linker = Some(HOSTILE.into());
    unit.times.total_us = 7;
    let mut begin = started(HOSTILE);
    if let EventKind::RunStarted(begin) = &mut begin {
        begin.command = HOSTILE.into();
        begin.cwd = HOSTILE.into();
        begin.rekindle = HOSTILE.into();
    }
    let kinds = vec![
        begin,
        EventKind::Unit(unit),
        warning(HOSTILE),
        finished(None),
    ];
    let advice = Advice {
        id: HOSTILE.into(),
        title: HOSTILE.into(),
        evidence: vec![HOSTILE.into()],
        remedy: vec![HOSTILE.into()],
        gain_ms: Some(5_000),
        gain_is_bound: true,
    };
    page(&Timeline::of_run(HOSTILE, &log(kinds)), &[advice]).unwrap()
}

#[test]
fn words_become_sentences_and_names_stay() {
    for (words, expected) in [
        ("use a machine with 4 cores", "Use a machine with 4 cores."),
        (
            "see that it is restored, always",
            "See that it is restored, always.",
        ),
        (
            "`rekindle explain` says why",
            "`rekindle explain` says why.",
        ),
        (
            "syn is compiled in 2 versions",
            "syn is compiled in 2 versions.",
        ),
        ("341 units missed", "341 units missed."),
        ("", "."),
    ] {
        assert_eq!(sentence(words), expected);
    }
}

#[test]
fn no_name_becomes_an_element() {
    let page = hostile();
    assert!(!page.contains("<script>alert"), "{page}");
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script>").count(), 2);
    // Values are not templates.
    assert_eq!(page.matches("id=\"data\"").count(), 1);
}

#[test]
fn data_is_the_json_form() {
    let page = hostile();
    let (_, behind) = page.split_once("id=\"data\">").unwrap();
    let (data, _) = behind.split_once("</script>").unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["version"], 1);
    assert_eq!(data["units"][0]["package"], HOSTILE);
    assert_eq!(data["advice"][0]["gain_ms"], 5_000);
}

#[test]
fn nothing_is_left_to_fill_in_and_nothing_is_loaded() {
    let events = log(vec![started("r"), finished(Some(3))]);
    let page = page(&Timeline::of_run("r", &events), &[]).unwrap();
    let shell = page.replace(SCRIPT, "").replace(STYLE, "");
    assert!(!shell.contains("{{") && !shell.contains("}}"), "{shell}");
    for loading in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(loading), "{loading}");
    }
    assert!(page.contains("<h1>Built in 4.0 s</h1>"));
}

#[test]
fn every_value_has_its_place() {
    assert_eq!(
        fill("a{{b}}c{{d}}", &[("b", "{{d}}".into()), ("d", "2".into())]),
        "a{{d}}c2"
    );
}
