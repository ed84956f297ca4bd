//! What a run says to the CI service that it ran on.
//!
//! GitHub Actions: a piece of the job's summary, annotations for what needs a person, the page as a file whose path
//! is an output of the step. Elsewhere: the same as text, in a section that folds where the service has those.
//! Several commands in one step each add theirs; none is there twice. What cannot be written costs a warning.

use std::io;
use std::path::{Path, PathBuf};

use rekindle::Surroundings;
use rekindle::ci::Service;
use rekindle::runs;
use rekindle_base::{Clock, Digest, SystemClock};
use rekindle_events::Event;
use rekindle_report::{Advice, Timeline, github, report_text};

use super::warn;
use crate::commands::report::{PAGE, html};
use crate::commands::{insight, since};

/// Directory of pages below `$RUNNER_TEMP`.
const PAGES: &str = "rekindle-reports";

/// A summary that is this long already gets a line for a run and no more. GitHub refuses those beyond one MiB
/// as a whole, and other programs write into it as well.
const SUMMARY_ROOM_BYTES: u64 = 384 * 1024;
/// One that is this long gets nothing.
const SUMMARY_FULL_BYTES: u64 = 768 * 1024;

/// Annotations of one step. GitHub shows ten, and other programs make some as well.
const ANNOTATIONS_MAX: usize = 5;

/// Warnings that mend themselves, so that no person is needed.
const MENDED: &[&str] = &["placeholder-lost"];

/// Where a run was, and where its report goes.
pub(super) struct CiReport<'a> {
    pub(super) surroundings: &'a Surroundings,
    pub(super) store_dir: &'a Path,
    /// The workspace; `None` outside of one.
    pub(super) root: Option<&'a Path>,
    /// Where the user wants pages.
    pub(super) pages: Option<&'a Path>,
    /// The run and its log.
    pub(super) run: &'a str,
    pub(super) events: &'a [Event],
    /// Whether lines of ours are unwanted.
    pub(super) quiet: bool,
}

impl CiReport<'_> {
    /// Writes it, where this is a CI service.
    pub(super) fn write(&self) {
        let Some(service) = Service::of(self.surroundings) else {
            return;
        };
        let mut timeline = Timeline::of_run(self.run, self.events);
        let log = (self.run, self.events);
        timeline.since = since::find(
            self.surroundings,
            (self.store_dir, self.root),
            log,
            &timeline,
        );
        let advice = insight::advice(self.surroundings, self.store_dir, (self.run, self.events));
        let page = self.write_page(&timeline, &advice);
        match service {
            Service::GitHub => self.github(&timeline, &advice, page.as_deref()),
            Service::GitLab | Service::Other if self.quiet || timeline.bars.is_empty() => {}
            Service::GitLab => self.gitlab(&timeline, &advice, page.as_deref()),
            Service::Other => self.text(&timeline, &advice, page.as_deref()),
        }
    }

    /// Writes the page; where it is.
    fn write_page(&self, timeline: &Timeline, advice: &[Advice]) -> Option<PathBuf> {
        let page = html(timeline, advice).ok()?;
        let temporary = self.surroundings.path("RUNNER_TEMP");
        let pages = match (self.pages, temporary) {
            (Some(dir), _) => Some(dir.to_owned()),
            (None, Some(temporary)) => Some(temporary.join(PAGES)),
            (None, None) => None,
        };
        let path = match pages {
            Some(dir) => dir.join(format!("{}.html", self.run)),
            None => runs::runs_dir(self.store_dir).join(self.run).join(PAGE),
        };
        let dir = path.parent().unwrap_or(Path::new("/"));
        let written = rekindle_fsx::create_dir_all(dir)
            .and_then(|()| rekindle_fsx::atomic::write(&path, page.as_bytes()));
        match written {
            Ok(()) => Some(path),
            Err(error) => {
                warn(&format!(
                    "the report could not be written to `{}`: {error}",
                    path.display()
                ));
                None
            }
        }
    }

    fn github(&self, timeline: &Timeline, advice: &[Advice], page: Option<&Path>) {
        if let Some(page) = page {
            self.set_outputs(page);
        }
        let shown = page.map(|page| page.display().to_string());
        let text = github::summary(timeline, advice, shown.as_deref());
        if let Some(file) = self.surroundings.path("GITHUB_STEP_SUMMARY")
            && let Err(error) = self.add_summary(&file, &text, timeline)
        {
            warn(&format!(
                "the job's summary `{}` could not be written: {error}",
                file.display()
            ));
        }
        self.annotate(timeline);
    }

    fn add_summary(&self, file: &Path, text: &str, timeline: &Timeline) -> io::Result<()> {
        let there = rekindle_fsx::read_if_exists(file)?.unwrap_or_default();
        let marker = github::marker(self.run);
        let is_there = String::from_utf8_lossy(&there).contains(&marker);
        let length = there.len() as u64;
        if is_there || length >= SUMMARY_FULL_BYTES {
            return Ok(());
        }
        let begin = if there.is_empty() || there.ends_with(b"\n") {
            "\n"
        } else {
            "\n\n"
        };
        let text = if length < SUMMARY_ROOM_BYTES {
            format!("{begin}{text}")
        } else {
            format!("{begin}{}", github::short_summary(timeline))
        };
        rekindle_fsx::append(file, text.as_bytes())
    }

    fn set_outputs(&self, page: &Path) {
        let Some(file) = self.surroundings.path("GITHUB_OUTPUT") else {
            return;
        };
        let dir = page.parent().unwrap_or(Path::new("/"));
        let (Some(page), Some(dir)) = (page.to_str(), dir.to_str()) else {
            return;
        };
        // A line's end would begin another output.
        if page.contains(['\n', '\r']) {
            return;
        }
        let lines = format!("rekindle-report={page}\nrekindle-reports={dir}\n");
        if let Err(error) = rekindle_fsx::append(&file, lines.as_bytes()) {
            warn(&format!(
                "`{}` could not be written: {error}",
                file.display()
            ));
        }
    }

    /// One annotation for each kind of warning in a step.
    fn annotate(&self, timeline: &Timeline) {
        let known_file = self.known_file();
        let known = known_file.as_deref().and_then(|file| {
            let bytes = rekindle_fsx::read_if_exists(file).ok()??;
            String::from_utf8(bytes).ok()
        });
        let mut known: Vec<String> = known
            .unwrap_or_default()
            .lines()
            .map(ToOwned::to_owned)
            .collect();
        for warning in &timeline.summary.warnings {
            let id = &warning.id;
            if MENDED.contains(&id.as_str()) || known.contains(id) || known.len() >= ANNOTATIONS_MAX
            {
                continue;
            }
            eprintln!("{}", github::annotation("Rekindle", &warning.message));
            known.push(id.clone());
            if let Some(file) = &known_file {
                // Where this fails, another command of the step says it again.
                let _ = rekindle_fsx::append(file, format!("{id}\n").as_bytes());
            }
        }
    }

    /// What was annotated in this step: each step has a summary of its own.
    fn known_file(&self) -> Option<PathBuf> {
        let temporary = self.surroundings.path("RUNNER_TEMP")?;
        let summary = self.surroundings.path("GITHUB_STEP_SUMMARY")?;
        let step = Digest::of(summary.as_os_str().as_encoded_bytes()).short();
        let dir = temporary.join(PAGES);
        rekindle_fsx::create_dir_all(&dir).ok()?;
        Some(dir.join(format!(".annotated-{step}")))
    }

    fn text(&self, timeline: &Timeline, advice: &[Advice], page: Option<&Path>) {
        eprint!("\n{}", report_text(timeline, advice));
        if let Some(page) = page {
            eprintln!("page: {}", page.display());
        }
    }

    /// <https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections>
    fn gitlab(&self, timeline: &Timeline, advice: &[Advice], page: Option<&Path>) {
        let now = || SystemClock::default().now().0 / 1000;
        let name = format!("rekindle_{}", Digest::of(self.run.as_bytes()).short());
        eprintln!(
            "\x1b[0Ksection_start:{}:{name}[collapsed=true]\r\x1b[0KRekindle report",
            now()
        );
        self.text(timeline, advice, page);
        eprintln!("\x1b[0Ksection_end:{}:{name}\r\x1b[0K", now());
    }
}
