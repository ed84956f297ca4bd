//! `cargo xtask bench corpus`: reads that nobody declares, and who gives a stale program for them.
//!
//! Each [`Case`] is built three times by each tool, in one directory: from an empty store; again with
//! nothing changed, which shows whether the tool reuses what read; and after a change. The target
//! directory is removed before each build, but for the developer's own that [`Kind::Kept`] stands for.

mod cases;
mod page;
mod server;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::projects::{Registry, copy, make_dir, remove, write};
use super::record::{Machine, NotMeasured, ToolRecord};
use super::tools::{Kind, Tool};
use super::{find_tools, machine, scratch};
use crate::Failure;
use crate::args::Args;
use crate::process::{self, capture};
use cases::{CASES, Case, Change};
use server::Server;

const HELP: &str = "\
Builds programs whose macros and build scripts read what nobody declares, and writes docs/corpus.*

Usage: cargo xtask bench corpus [flags]

  --cases A,B          only these cases; others keep the verdicts they have
  --tools A,B          of kept,rekindle,sccache,kache,mbx (default: all)
  --rivals-path DIR    where rivals are installed, beside PATH
  --scratch DIR        where to build (default: target/bench)
  --trial              verdicts stay in the scratch directory
";

/// Who is judged.
const TOOLS: [Kind; 5] = [
    Kind::Kept,
    Kind::Rekindle,
    Kind::Sccache,
    Kind::Kache,
    Kind::Mbx,
];

/// What came of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// Reused while nothing had changed, made anew afterwards.
    Right,
    /// Made anew each time.
    NotReused,
    /// The program is not what its sources and surroundings say.
    Stale,
}

/// All verdicts, as they are kept in `docs/corpus.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct CorpusRecord {
    machine: Machine,
    tools: Vec<ToolRecord>,
    not_measured: Vec<NotMeasured>,
    verdicts: Vec<Judged>,
}

/// A case under a tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Judged {
    case: String,
    tool: String,
    verdict: Verdict,
}

pub(super) fn run(mut arguments: Args) -> Result<(), Failure> {
    if arguments.switch("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let cases = choose(arguments.value("--cases")?.as_deref())?;
    let kinds = Kind::choose(arguments.value("--tools")?.as_deref(), &TOOLS)?;
    let rivals = arguments.value("--rivals-path")?.map(PathBuf::from);
    let trial = arguments.switch("--trial");
    let scratch = scratch(&mut arguments)?;
    arguments.finish()?;
    make_dir(&scratch)?;
    let docs = if trial {
        scratch.clone()
    } else {
        process::root().join("docs")
    };

    let mut missing = Vec::new();
    let tools = find_tools(&kinds, &scratch, rivals.as_deref(), &mut missing);
    let registry = Registry::open(&scratch)?;
    let mut failed = Vec::new();
    for tool in &tools {
        let alone = (tool.kind == Kind::Rekindle).then_some(false);
        for snapshots in [Some(true), alone].into_iter().flatten() {
            let stage = Stage {
                tool,
                snapshots,
                registry: &registry,
                scratch: &scratch,
            };
            let judged = stage.play(&cases, &mut failed)?;
            // Written after each tool, so that an interrupted bench keeps what it has.
            change(&docs, |record| {
                record.machine = machine(&scratch);
                record.not_measured.clone_from(&missing);
                record.put(&stage, judged);
            })?;
        }
    }
    println!("verdicts are in {}", docs.join("corpus.md").display());
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("some builds failed:\n  {}", failed.join("\n  ")))
    }
}

fn choose(names: Option<&str>) -> Result<Vec<Case>, Failure> {
    let Some(names) = names else {
        return Ok(CASES.to_vec());
    };
    let find = |name: &str| {
        let found = CASES.iter().find(|case| case.name == name).copied();
        found.ok_or_else(|| {
            let known: Vec<_> = CASES.iter().map(|case| case.name).collect();
            format!("`{name}` is no case; choose from {}", known.join(", "))
        })
    };
    names.split(',').map(find).collect()
}

/// Changes what is recorded, and writes the page anew.
fn change(docs: &Path, change: impl FnOnce(&mut CorpusRecord)) -> Result<(), Failure> {
    let json = docs.join("corpus.json");
    // What cannot be read begins anew, as of other benches.
    let mut record = std::fs::read(&json)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    change(&mut record);
    let text = serde_json::to_string_pretty(&record).map_err(|error| error.to_string())?;
    write(&json, &(text + "\n"))?;
    write(&docs.join("corpus.md"), &page::render(&record))
}

impl CorpusRecord {
    fn put(&mut self, stage: &Stage<'_>, judged: Vec<Judged>) {
        let (name, tool) = (stage.name(), stage.tool);
        self.tools.retain(|other| other.name != name);
        self.tools.push(ToolRecord {
            name: name.to_owned(),
            version: tool.version.clone(),
            note: stage.note(),
        });
        // Whichever was tried last.
        let rank = |name: &str| TOOLS.iter().position(|kind| name.starts_with(kind.name()));
        self.tools
            .sort_by_key(|tool| (rank(&tool.name), tool.name.len()));
        self.verdicts.retain(|old| {
            let is_new = judged.iter().any(|new| new.case == old.case);
            old.tool != name || !is_new
        });
        self.verdicts.extend(judged);
    }
}

/// One tool, and where it builds.
struct Stage<'a> {
    tool: &'a Tool,
    /// Whether Rekindle may bring back what cargo finds fresh; its unit cache is tried alone as well.
    snapshots: bool,
    registry: &'a Registry,
    scratch: &'a Path,
}

impl Stage<'_> {
    const fn name(&self) -> &'static str {
        if self.snapshots {
            self.tool.kind.name()
        } else {
            "rekindle, no snapshot"
        }
    }

    fn note(&self) -> String {
        let alone = if self.snapshots {
            ""
        } else {
            ", with `REKINDLE_SNAPSHOT=0`"
        };
        format!("{}{alone}", self.tool.note())
    }

    fn play(&self, cases: &[Case], failed: &mut Vec<String>) -> Result<Vec<Judged>, Failure> {
        let home = &self.registry.home;
        self.tool.empty_store()?;
        self.tool.start(self.scratch, home)?;
        let mut judged = Vec::new();
        for case in cases {
            let name = self.name();
            eprintln!("{}: {name}", case.name);
            match self.judge(case) {
                Ok(verdict) => judged.push(Judged {
                    case: case.name.to_owned(),
                    tool: name.to_owned(),
                    verdict,
                }),
                Err(failure) => failed.push(format!("{} by {name}: {failure}", case.name)),
            }
        }
        self.tool.stop(self.scratch, home)?;
        Ok(judged)
    }

    fn judge(&self, case: &Case) -> Result<Verdict, Failure> {
        let server = Server::start("one")?;
        let checkout = self.tool.checkout("corpus").join(case.name);
        remove(&checkout)?;
        make_dir(checkout.parent().unwrap_or(&checkout))?;
        copy(&self.pristine(case)?, &checkout, false)?;
        if matches!(case.change, Change::Answer(_)) {
            cases::put(&checkout, "data/address", server.address())?;
        }
        let first = self.built(&checkout, &[])?;
        let again = self.built(&checkout, &[])?;
        let mut variables = Vec::new();
        match case.change {
            Change::Write(name, text) => cases::put(&checkout, name, text)?,
            Change::Lead(link, to) => cases::lead(&checkout.join(link), to)?,
            Change::Set(name, value) => variables.push((name, value)),
            Change::Answer(text) => server.answer(text),
            Change::Moment => {}
        }
        let after = self.built(&checkout, &variables)?;
        judge(case, &first, &again, &after)
    }

    /// What is copied for each tool; with a lock file, and all packages fetched.
    fn pristine(&self, case: &Case) -> Result<PathBuf, Failure> {
        let dir = self.scratch.join("corpus").join(case.name);
        let lock = dir.join("Cargo.lock");
        let kept = std::fs::read_to_string(&lock).ok();
        remove(&dir)?;
        case.lay_out(&dir)?;
        if let Some(kept) = kept {
            write(&lock, &kept)?;
        }
        self.registry.fetch(&dir, &[])?;
        if case.needs_helper() {
            let source = "#include <stdio.h>\nint main(int c, char **v) { FILE *f = fopen(v[1], \"r\"); \
                          int x; while ((x = fgetc(f)) != EOF) putchar(x); return 0; }\n";
            cases::put(&dir, "helper.c", source)?;
            let mut compile = process::command("cc");
            let compile = compile.arg("-static").arg("-o").arg(dir.join("helper"));
            capture(compile.arg(dir.join("helper.c")))?;
        }
        Ok(dir)
    }

    /// Builds, and gives what the program says and which run of its macro or script made it.
    fn built(
        &self,
        checkout: &Path,
        variables: &[(&str, &str)],
    ) -> Result<(String, String), Failure> {
        let home = &self.registry.home;
        if self.tool.kind != Kind::Kept {
            self.tool.remove_target(checkout, home)?;
        }
        let mut build = self.tool.build(checkout, home, &["build", "--quiet"]);
        if !self.snapshots {
            build.env("REKINDLE_SNAPSHOT", "0");
        }
        capture(build.envs(variables.iter().copied()))?;
        let program = checkout.join("target/debug/app");
        let said = capture(&mut process::command(&program.to_string_lossy()))?;
        let (value, run) = said
            .trim_end()
            .split_once('|')
            .ok_or_else(|| format!("the program said `{said}`"))?;
        Ok((value.to_owned(), run.to_owned()))
    }
}

/// Compares the values and runs of three builds.
fn judge(
    case: &Case,
    first: &(String, String),
    again: &(String, String),
    after: &(String, String),
) -> Result<Verdict, Failure> {
    let is_reused = first.1 == again.1;
    if case.change == Change::Moment {
        return Ok(if first.0 == again.0 || again.0 == after.0 {
            Verdict::Stale
        } else {
            Verdict::NotReused
        });
    }
    let [before, expected] = case.says;
    if first.0 != before || again.0 != before {
        return Err(format!(
            "it said `{}` and `{}`, not `{before}`",
            first.0, again.0
        ));
    }
    Ok(if after.0 != expected {
        Verdict::Stale
    } else if is_reused {
        Verdict::Right
    } else {
        Verdict::NotReused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_of_values_and_of_runs() {
        let case = |name: &str| *CASES.iter().find(|case| case.name == name).unwrap();
        let of = |text: &str| {
            let (value, run) = text.split_once('|').unwrap();
            (value.to_owned(), run.to_owned())
        };
        let check = |name: &str, builds: [&str; 3], expected: Verdict| {
            let [first, again, after] = builds.map(of);
            assert_eq!(
                judge(&case(name), &first, &again, &after),
                Ok(expected),
                "{builds:?}"
            );
        };
        check("macro-file", ["one|a", "one|a", "two|b"], Verdict::Right);
        check(
            "macro-file",
            ["one|a", "one|b", "two|c"],
            Verdict::NotReused,
        );
        check("macro-file", ["one|a", "one|a", "one|a"], Verdict::Stale);
        check("macro-time", ["1|a", "2|b", "3|c"], Verdict::NotReused);
        check("macro-time", ["1|a", "1|a", "1|a"], Verdict::Stale);
        let wrong = judge(&case("macro-file"), &of("x|a"), &of("x|a"), &of("two|b"));
        assert!(wrong.is_err());
    }
}
