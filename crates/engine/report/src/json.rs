//! The JSON forms, version 1. Their types are their own: what the code keeps inside may change,
//! these may only grow. A reader checks `version` and ignores fields that it does not know.

use std::collections::BTreeMap;

use rekindle_events::{Change, MissReason};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{ExplainedStep, Explanation, Summary, UnitName, summary::tag};

/// The version of both forms.
pub const VERSION: u32 = 1;

/// `rekindle stats --format json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Stats {
    /// Version of this form.
    pub version: u32,
    /// Name of the run; `null` for several.
    pub run: Option<String>,
    /// cargo's subcommand; `null` under a plain cargo, and for several runs.
    pub command: Option<String>,
    /// How many runs are added up.
    pub runs: u64,
    /// When the first of them began: milliseconds since 1970.
    pub began_ms: Option<u64>,
    /// cargo's exit code; `null` under a plain cargo, for several runs, and for a run that did not
    /// end in order.
    pub exit_code: Option<i32>,
    /// Units by fate.
    pub units: Units,
    /// Hits among hits and misses, in per cent; `null` where there are neither.
    pub hit_rate: Option<f64>,
    /// Processes started.
    pub processes: Processes,
    /// Build scripts that cargo wanted to run.
    pub scripts: Scripts,
    /// Compiles and archives that build scripts asked for.
    pub cc: Tools,
    /// Wall time of cargo in milliseconds, added up over runs.
    pub wall_ms: u64,
    /// What compilers took when the restored units were stored, in milliseconds, added up.
    pub saved_ms: u64,
    /// Time inside compilers in milliseconds, linking included, added up.
    pub compile_ms: u64,
    /// Time inside linkers in milliseconds, added up.
    pub link_ms: u64,
    /// Time inside build scripts in milliseconds, added up.
    pub build_script_ms: u64,
    /// Bytes moved.
    pub bytes: Bytes,
    /// What became of snapshots.
    pub snapshot: Snapshot,
    /// What became of remotes, where one was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<crate::Remotes>,
    /// Compiled units by the reason's type.
    pub reasons: BTreeMap<String, u64>,
    /// Runs of scripts and of C compilers that were not stored, by the reason's type.
    pub refusals: BTreeMap<String, u64>,
    /// Linked units by the linker that the output names.
    pub linkers: BTreeMap<String, u64>,
    /// Hits that were compiled again and compared.
    pub verified: Verified,
    /// The first warning of each kind.
    pub warnings: Vec<Warning>,
}

/// Units by fate.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Units {
    /// Found fresh by cargo; `null` where its output does not tell.
    pub fresh: Option<u64>,
    /// Restored from the store.
    pub hit: u64,
    /// Compiled, though a store could have served them.
    pub miss: u64,
    /// Compiled, as no store can serve them.
    pub uncacheable: u64,
}

/// Processes started.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Processes {
    /// Compilers, for units and for cargo's questions.
    pub rustc: u64,
    /// Linkers.
    pub linker: u64,
    /// Build scripts.
    pub build_script: u64,
    /// C compilers and archivers that build scripts started, to compile or to make an archive.
    pub cc: u64,
}

/// Build scripts that cargo wanted to run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Scripts {
    /// Replayed from the store: none of them was started.
    pub replayed: u64,
    /// Started, and not stored.
    pub refused: u64,
}

/// Compiles and archives that build scripts asked for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tools {
    /// Restored from the store: nothing was started.
    pub reused: u64,
    /// Made, and not stored.
    pub refused: u64,
}

/// Bytes moved.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Bytes {
    /// Placed on hits.
    pub restored: u64,
    /// Stored on misses.
    pub published: u64,
    /// Placed by restoring snapshots.
    pub placed: u64,
    /// Put in the place of placeholders, as something needed them.
    pub materialised: u64,
}

/// What became of snapshots.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Snapshot {
    /// What was restored and why, or why nothing was; `null` for several runs, and without snapshots.
    pub base: Option<String>,
    /// Units whose files were placed.
    pub units_restored: u64,
    /// Units of the snapshot that were not.
    pub units_invalidated: u64,
    /// Files placed, placeholders included.
    pub files_placed: u64,
    /// Files put in the place of placeholders.
    pub files_materialised: u64,
    /// Units captured anew.
    pub units_captured: u64,
    /// Units that were built and could not be captured.
    pub units_left_out: u64,
    /// Bytes stored by capturing.
    pub stored_bytes: u64,
    /// Packages that cargo's home lacked and that came back.
    pub packages_restored: u64,
    /// Time of restoring in milliseconds.
    pub restore_ms: u64,
    /// Time of capturing in milliseconds.
    pub capture_ms: u64,
}

/// Hits that were compiled again and compared.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Verified {
    /// With the same bits.
    pub same: u64,
    /// With other bits.
    pub different: u64,
}

/// A warning.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Warning {
    /// Its kind.
    pub id: String,
    /// One sentence.
    pub message: String,
}

impl Snapshot {
    fn of(summary: &Summary) -> Self {
        let snapshots = &summary.snapshot;
        Self {
            base: snapshots.base.clone(),
            units_restored: snapshots.restored,
            units_invalidated: snapshots.invalid,
            files_placed: snapshots.files,
            files_materialised: summary.materialised_files,
            units_captured: snapshots.captured,
            units_left_out: snapshots.left_out,
            stored_bytes: snapshots.stored_bytes,
            packages_restored: snapshots.packages,
            restore_ms: snapshots.restore_us / 1000,
            capture_ms: snapshots.capture_us / 1000,
        }
    }
}

impl From<&Summary> for Stats {
    fn from(summary: &Summary) -> Self {
        let warnings = summary.warnings.iter().map(|warning| Warning {
            id: warning.id.clone(),
            message: warning.message.clone(),
        });
        Self {
            version: VERSION,
            run: summary.run.clone(),
            command: summary.command.clone(),
            runs: summary.runs,
            began_ms: summary.began.map(|moment| moment.0),
            exit_code: summary.exit_code,
            units: Units {
                fresh: summary.fresh,
                hit: summary.hits,
                miss: summary.misses,
                uncacheable: summary.uncacheable,
            },
            hit_rate: summary.hit_rate(),
            processes: Processes {
                rustc: summary.rustc_processes,
                linker: summary.linker_processes,
                build_script: summary.build_scripts,
                cc: summary.started_tools,
            },
            scripts: Scripts {
                replayed: summary.replayed_scripts,
                refused: summary.refused_scripts,
            },
            cc: Tools {
                reused: summary.reused_tools,
                refused: summary.refused_tools,
            },
            wall_ms: summary.wall_ms,
            saved_ms: summary.saved_us / 1000,
            compile_ms: summary.compile_us / 1000,
            link_ms: summary.link_us / 1000,
            build_script_ms: summary.build_scripts_ms,
            bytes: Bytes {
                restored: summary.restored_bytes,
                published: summary.published_bytes,
                placed: summary.snapshot.placed_bytes,
                materialised: summary.materialised_bytes,
            },
            snapshot: Snapshot::of(summary),
            remote: (!summary.remote.is_none()).then(|| summary.remote.clone()),
            reasons: summary.reasons.clone(),
            refusals: summary.refusals.clone(),
            linkers: summary.linkers.clone(),
            verified: Verified {
                same: summary.verified.same,
                different: summary.verified.different,
            },
            warnings: warnings.collect(),
        }
    }
}

/// `rekindle explain --format json`.
#[derive(Clone, Debug, Serialize)]
pub struct Explain {
    /// Version of this form.
    pub version: u32,
    /// Name of the run.
    pub run: String,
    /// Units in the run's log, explained or not.
    pub units: usize,
    /// Units that missed for a reason of their own.
    pub roots: Vec<Root>,
    /// Units that missed only because others did.
    pub followers: Vec<Group>,
    /// Units that no store can serve.
    pub uncacheable: Vec<Reasoned>,
    /// Units restored; only where one crate was asked for.
    pub hits: Vec<Unit>,
    /// Build scripts and other steps that were started.
    pub steps: Vec<StartedStep>,
}

/// A step that was started.
#[derive(Clone, Debug, Serialize)]
pub struct StartedStep {
    /// Package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// What kind of step, as in `build-script`.
    pub kind: String,
    /// Tells steps of one name apart.
    pub id: String,
    /// The type of the reason that it was not found; `null` where the log does not say.
    pub reason: Option<String>,
    /// That reason in a sentence.
    pub message: Option<String>,
    /// Everything that it had read and that differs, where that is the reason.
    pub changes: Vec<InputChange>,
    /// The type of the reason that it is not stored; `null` where it is.
    pub refused: Option<String>,
    /// That reason in a sentence.
    pub refused_message: Option<String>,
}

/// A unit.
#[derive(Clone, Debug, Serialize)]
pub struct Unit {
    /// Package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// Crate.
    pub crate_name: String,
    /// Kind: a crate type, or `test`, `check`, `build-script`.
    pub kind: String,
    /// Tells units of one name apart.
    pub id: String,
}

/// A unit with the reason that it was compiled for.
#[derive(Clone, Debug, Serialize)]
pub struct Reasoned {
    /// Which.
    pub unit: Unit,
    /// The reason's type; `null` where the log does not say.
    pub reason: Option<String>,
    /// The reason in a sentence.
    pub message: Option<String>,
}

/// A unit that missed for a reason of its own.
#[derive(Clone, Debug, Serialize)]
pub struct Root {
    /// Which, and why.
    #[serde(flatten)]
    pub reasoned: Reasoned,
    /// Every recorded input that differs, where that is the reason.
    pub changes: Vec<InputChange>,
}

/// An input that differs.
#[derive(Clone, Debug, Serialize)]
pub struct InputChange {
    /// Kind of input, as in `source`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it was; `null` where it was not there.
    pub old: Option<String>,
    /// What it is; `null` where it is not there.
    pub new: Option<String>,
}

/// Units that missed only because the same others did.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Those others; empty where an earlier run built them.
    pub roots: Vec<Unit>,
    /// The units that followed.
    pub units: Vec<Unit>,
}

impl From<&UnitName> for Unit {
    fn from(name: &UnitName) -> Self {
        Self {
            package: name.package.clone(),
            version: name.version.clone(),
            crate_name: name.crate_name.clone(),
            kind: name.kind.clone(),
            id: name.id.clone(),
        }
    }
}

impl From<&Change> for InputChange {
    fn from(change: &Change) -> Self {
        let kind = serde_json::to_value(change.kind).ok();
        Self {
            kind: kind
                .and_then(|kind| kind.as_str().map(ToOwned::to_owned))
                .unwrap_or_default(),
            name: change.name.clone(),
            old: change.old.clone(),
            new: change.new.clone(),
        }
    }
}

impl From<&ExplainedStep> for StartedStep {
    fn from(step: &ExplainedStep) -> Self {
        Self {
            package: step.package.clone(),
            version: step.version.clone(),
            kind: step.kind.clone(),
            id: step.id.clone(),
            reason: step.reason.as_ref().and_then(tag),
            message: step.reason.as_ref().map(ToString::to_string),
            changes: changes_of(step.reason.as_ref()),
            refused: step.refused.as_ref().and_then(tag),
            refused_message: step.refused.as_ref().map(ToString::to_string),
        }
    }
}

fn changes_of(reason: Option<&MissReason>) -> Vec<InputChange> {
    match reason {
        Some(MissReason::Changed { changes }) => changes.iter().map(Into::into).collect(),
        _ => Vec::new(),
    }
}

impl Reasoned {
    fn of<T: Serialize + ToString>(unit: &UnitName, reason: Option<&T>) -> Self {
        Self {
            unit: unit.into(),
            reason: reason.and_then(tag),
            message: reason.map(ToString::to_string),
        }
    }
}

impl Explain {
    /// The JSON form of an explanation of `run`.
    #[must_use]
    pub fn new(run: &str, explanation: &Explanation) -> Self {
        let roots = explanation.roots.iter().map(|root| Root {
            reasoned: Reasoned::of(&root.unit, root.reason.as_ref()),
            changes: changes_of(root.reason.as_ref()),
        });
        let followers = explanation.followers.iter().map(|group| Group {
            roots: group.roots.iter().map(Into::into).collect(),
            units: group.units.iter().map(Into::into).collect(),
        });
        let uncacheable = explanation.uncacheable.iter();
        Self {
            version: VERSION,
            run: run.to_owned(),
            units: explanation.units,
            roots: roots.collect(),
            followers: followers.collect(),
            uncacheable: uncacheable
                .map(|(unit, reason)| Reasoned::of(unit, reason.as_ref()))
                .collect(),
            hits: explanation.hits.iter().map(Into::into).collect(),
            steps: explanation.steps.iter().map(Into::into).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rekindle_events::{ChangeKind, EventKind, StepFate};

    use super::*;
    use crate::fixtures::{changed, finished, hit, log, missed, probe, started, step};

    #[test]
    fn the_form_of_stats_is_fixed() {
        let events = log(vec![
            started("r"),
            probe(false),
            EventKind::Unit(hit("a")),
            EventKind::Step(step("z", StepFate::Hit)),
            finished(None),
        ]);
        let stats = Stats::from(&Summary::of_run("r", &events));
        assert_eq!(
            serde_json::to_string(&stats).unwrap(),
            concat!(
                r#"{"version":1,"run":"r","command":"build","runs":1,"began_ms":1000,"exit_code":0,"#,
                r#""units":{"fresh":null,"hit":1,"miss":0,"uncacheable":0},"hit_rate":100.0,"#,
                r#""processes":{"rustc":1,"linker":0,"build_script":1,"cc":0},"#,
                r#""scripts":{"replayed":1,"refused":0},"cc":{"reused":0,"refused":0},"#,
                r#""wall_ms":4000,"saved_ms":0,"compile_ms":0,"link_ms":0,"build_script_ms":20,"#,
                r#""bytes":{"restored":0,"published":0,"placed":0,"materialised":0},"#,
                r#""snapshot":{"base":null,"units_restored":0,"units_invalidated":0,"#,
                r#""files_placed":0,"files_materialised":0,"units_captured":0,"#,
                r#""units_left_out":0,"stored_bytes":0,"packages_restored":0,"restore_ms":0,"#,
                r#""capture_ms":0},"#,
                r#""reasons":{},"refusals":{},"linkers":{},"#,
                r#""verified":{"same":0,"different":0},"warnings":[]}"#,
            )
        );
    }

    #[test]
    fn the_form_of_explain_is_fixed() {
        let source = changed(&[(ChangeKind::Source, "src/lib.rs")]);
        let mut script = step("z", StepFate::Miss);
        script.miss = Some(changed(&[(ChangeKind::Read, "/h")]));
        let events = log(vec![
            EventKind::Unit(missed("a", source)),
            EventKind::Step(script),
        ]);
        let explain = Explain::new("r", &Explanation::of(&events, None));
        assert_eq!(
            serde_json::to_string(&explain).unwrap(),
            concat!(
                r#"{"version":1,"run":"r","units":1,"roots":[{"unit":{"package":"a","version":"1.0.0","#,
                r#""crate_name":"a","kind":"lib","id":"aid"},"reason":"changed","#,
                r#""message":"source `src/lib.rs`: one → two","#,
                r#""changes":[{"kind":"source","name":"src/lib.rs","old":"one","new":"two"}]}],"#,
                r#""followers":[],"uncacheable":[],"hits":[],"steps":[{"package":"z","version":"1.0.0","#,
                r#""kind":"build-script","id":"zid","reason":"changed","message":"`/h` was rewritten","#,
                r#""changes":[{"kind":"read","name":"/h","old":"one","new":"two"}],"refused":null,"#,
                r#""refused_message":null}]}"#,
            )
        );
    }
}
