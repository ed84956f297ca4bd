//! Build and tests of one job want different features, so dependencies are compiled twice.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};
use crate::model::{Call, CargoCall, Did};

pub(super) const RULE: Rule = Rule {
    id: "build-test-feature-split",
    summary: "build and tests of one job compile dependencies with different features",
    severity: Severity::Low,
    confidence: Confidence::Low,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs() {
        for run in runs {
            let calls: Vec<(&Did<'_>, &Call, &CargoCall)> = run
                .cargo()
                .filter(|(_, call, cargo)| {
                    cargo.makes_code() && !call.conditional && !cargo.unknown
                })
                .collect();
            // Several builds or tests are a check of features, not an oversight.
            let [(_, _, build), (did, call, test)] = calls.as_slice() else {
                continue;
            };
            let pair = build.subcommand == "build"
                && matches!(test.subcommand.as_str(), "test" | "nextest");
            let same = build.profile == test.profile
                && build.targets == test.targets
                && build.directory == test.directory
                && build.packages == test.packages;
            let split =
                (&build.features, build.all_features) != (&test.features, test.all_features);
            let meant = build.no_default_features || test.no_default_features;
            if !pair || !same || !split || meant || build.toolchain != test.toolchain {
                continue;
            }
            let message = "the build before compiled with other features, so dependencies whose features differ are compiled a second time here: \
                 use the same features for both, unless both are to be checked"
                .to_owned();
            sink.at(did.step.source, call.line, Some(job), message);
        }
    }
}
