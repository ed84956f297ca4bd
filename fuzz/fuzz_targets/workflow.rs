//! Any bytes as a workflow: audited and mended, switched, or refused with line and column. What is written still reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rekindle_workflow::model::{Input, Project};
use rekindle_workflow::providers::Day;
use rekindle_workflow::switch::{File, Request, plan};
use rekindle_workflow::yaml::Document;
use rekindle_workflow::{Options, Safety, fix};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let inputs = |text: &str| vec![Input { path: ".github/workflows/ci.yml".to_owned(), text: text.to_owned() }];
    let (_, unreadable) = Project::read(inputs(&text));
    for found in unreadable {
        assert!(found.error.line >= 1 && found.error.column >= 1, "an error without its place");
    }
    let options = Options { ignore: Vec::new(), today: Day::from_days_since_epoch(20_783) };
    let settled = fix::settle(inputs(&text), &options, Safety::Unsafe, &|_| true);
    for file in &settled.changed {
        let (_, unreadable) = Project::read(inputs(&file.after));
        assert!(unreadable.is_empty(), "a fix made a file unreadable");
    }
    let request = Request { to: "depot", size: None, arch: None, job: None, allow_forks: None, today: options.today };
    let files = [File { path: ".github/workflows/ci.yml", text: &text }];
    if let Ok(plan) = plan(&files, &request) {
        let read = plan.files.iter().all(|file| Document::parse(&file.after).is_ok());
        assert!(read, "a switch made a file unreadable");
    }
});
