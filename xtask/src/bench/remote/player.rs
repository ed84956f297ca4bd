//! One job of one tool, over a link.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::link::{Distance, Link};
use super::record::{Job, Run};
use super::server::{BUCKET, credentials, curl, endpoint, loopback_endpoint};
use crate::Failure;
use crate::bench::measure::{self, Taken};
use crate::bench::projects::make_dir;
use crate::bench::replay::player::Stage;
use crate::bench::replay::rust_cache::{Locked, Packages, RustCache};
use crate::bench::said::{Said, packages_built};
use crate::bench::tools::{Far, Kind, Tool};
use crate::process;

/// What the tarball's parts are called, in the store and in the bucket.
const TARBALL_JOB: &str = "build";
const TARBALL_FILES: [&str; 3] = ["home.tzst", "target.tzst", "key"];

/// Who plays, and over what.
pub(super) struct Player<'a> {
    pub(super) stage: &'a Stage<'a>,
    pub(super) link: &'a Link,
}

impl Player<'_> {
    /// Plays a job on a machine that is born empty, but for the local store of [`Job::Warm`]. `saved` are the packages that a
    /// save of Rekindle's holds.
    pub(super) fn play(
        &self,
        tool: &mut Tool,
        job: Job,
        tag: &str,
        round: u64,
        saved: &mut HashSet<Locked>,
    ) -> Result<Run, Failure> {
        let checkout = tool.checkout("here").join(self.stage.name);
        if job != Job::Warm {
            tool.empty_store()?;
        }
        tool.forget_checkout(&checkout)?;
        let stage = self.stage;
        stage.repository.check_out(tag, &checkout, stage.depth)?;
        let home = self.home(tool, &checkout, job, saved)?;
        tool.far = Some(Far {
            namespace: self.link.near.clone(),
            environment: match job {
                Job::Alone => Vec::new(),
                _ => environment(tool.kind),
            },
        });
        let log = self.log(tool, job)?;
        let before = self.link.counted()?;
        let taken = self.measure(tool, &checkout, &home, &log)?;
        let counted = self.link.counted()?.since(before);
        let said = Said::read(tool.statistics(&checkout, &home));
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        tool.forget_checkout(&checkout)?;
        Ok(Run {
            link: self.link.distance,
            job,
            tool: tool.kind.name().to_owned(),
            round,
            wall_ms: taken.wall_ms,
            cpu_ms: taken.cpu_ms,
            bytes_down: counted.down,
            bytes_up: counted.up,
            packages_built: packages_built(&text),
            units: said.units,
            processes: said.processes,
            remote: said.remote,
        })
    }

    /// The `CARGO_HOME` of a job. Rekindle's is empty but for packages that no save has: what cargo would download comes for
    /// nothing, as it does for rust-cache. Of tools that leave packages to others, all are there.
    fn home(
        &self,
        tool: &Tool,
        checkout: &Path,
        job: Job,
        saved: &mut HashSet<Locked>,
    ) -> Result<PathBuf, Failure> {
        let all = self.stage.home;
        if tool.kind != Kind::Rekindle {
            return Ok(all.to_owned());
        }
        let home = tool.empty_cargo_home()?;
        let packages = Packages::of(checkout, all)?;
        packages.provide(all, &home, saved)?;
        if job != Job::Alone {
            saved.extend(packages.into_locked());
        }
        Ok(home)
    }

    fn measure(
        &self,
        tool: &Tool,
        checkout: &Path,
        home: &Path,
        log: &Path,
    ) -> Result<Taken, Failure> {
        if tool.kind == Kind::RustCache {
            return self.tarball(tool, checkout, log);
        }
        tool.start(checkout, home)?;
        let log_of = |what: &str| log.with_extension(format!("{what}.log"));
        let all = || -> Result<Taken, Failure> {
            let mut taken = Taken::default();
            if let Some(mut fetch) = tool.fetch(checkout, home) {
                taken += measure::build(&mut fetch, checkout, &log_of("fetch"))?;
            }
            taken += measure::build(&mut tool.build(checkout, home, &["build"]), checkout, log)?;
            if let Some(mut save) = tool.save(home) {
                taken += measure::build(&mut save, checkout, &log_of("save"))?;
            }
            Ok(taken)
        };
        let saved = all();
        // Also after a failure: nothing of ours keeps running.
        let stopped = tool.stop(checkout, home);
        let taken = saved?;
        stopped?;
        let program = checkout.join("target/debug").join(self.stage.program);
        let mut command = process::command(&program.to_string_lossy());
        process::capture(command.args(self.stage.try_out))
            .map_err(|why| format!("what it built does not run: {why}"))?;
        Ok(taken)
    }

    /// As the action does: fetches and unpacks, builds, packs and sends where the key is another one.
    fn tarball(&self, tool: &Tool, checkout: &Path, log: &Path) -> Result<Taken, Failure> {
        let dir = tool.store().join(TARBALL_JOB);
        make_dir(&dir)?;
        let mut taken = Taken::default();
        let log_of = |what: &str| log.with_extension(format!("{what}.log"));
        for name in TARBALL_FILES {
            let mut fetch = curl(self.link, &key(name), &dir.join(name), false);
            // Nobody has saved before: there is nothing, and that took time as well.
            let Ok(fetched) = measure::build(&mut fetch, checkout, &log_of("fetch")) else {
                crate::bench::projects::remove(&dir.join(name))?;
                break;
            };
            taken += fetched;
        }
        let key_file = dir.join("key");
        let before = std::fs::read(&key_file).ok();
        let action = RustCache {
            tool,
            registry: self.stage.home,
        };
        taken += action.build(checkout, TARBALL_JOB, &["build"], log)?.0;
        if std::fs::read(&key_file).ok() != before {
            for name in TARBALL_FILES {
                let mut send = curl(self.link, &key(name), &dir.join(name), true);
                taken += measure::build(&mut send, checkout, &log_of("send"))?;
            }
        }
        Ok(taken)
    }

    fn log(&self, tool: &Tool, job: Job) -> Result<PathBuf, Failure> {
        make_dir(self.stage.logs)?;
        let (project, tool) = (self.stage.name, tool.kind.name());
        let link = self.link.distance.name();
        let name = format!("remote-{project}-{link}-{tool}-{job:?}.log");
        Ok(self.stage.logs.join(name.to_lowercase()))
    }
}

/// Where the tarball lies in the bucket.
fn key(name: &str) -> String {
    format!("tarball/{name}")
}

/// How each tool is told of the bucket, as its documentation says.
fn environment(kind: Kind) -> Vec<(String, String)> {
    let (endpoint, loopback) = (endpoint(), loopback_endpoint());
    let own: &[(&str, &str)] = match kind {
        Kind::Kept | Kind::Plain | Kind::RustCache => return Vec::new(),
        Kind::Rekindle => {
            let address = format!("s3://{BUCKET}/rekindle?region=us-east-1&endpoint={endpoint}");
            return with_credentials(&[("REKINDLE_REMOTE", &address)]);
        }
        Kind::Sccache => &[
            ("SCCACHE_BUCKET", BUCKET),
            ("SCCACHE_ENDPOINT", &endpoint),
            ("SCCACHE_REGION", "us-east-1"),
            ("SCCACHE_S3_USE_SSL", "false"),
            ("SCCACHE_S3_KEY_PREFIX", "sccache"),
        ],
        Kind::Kache => &[
            ("KACHE_S3_BUCKET", BUCKET),
            ("KACHE_S3_ENDPOINT", &endpoint),
            ("KACHE_S3_REGION", "us-east-1"),
            ("KACHE_S3_PREFIX", "kache"),
        ],
        Kind::Mbx => &[
            ("MBX_REMOTE_URL", "s3://rekindle/mbx"),
            ("MBX_REMOTE_NAMESPACE", "bench/bench"),
            ("MBX_REMOTE_MODE", "read-write"),
            ("MBX_REMOTE_TRUST_WRITES", "true"),
            ("MBX_REMOTE_S3_ENDPOINT", &loopback),
            ("MBX_REMOTE_S3_REGION", "us-east-1"),
            ("MBX_REMOTE_S3_FORCE_PATH_STYLE", "true"),
        ],
    };
    with_credentials(own)
}

fn with_credentials(own: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all = credentials();
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    all.extend(own.iter().map(owned));
    all
}

/// Jobs that say something of a tool: only Rekindle has bars for a run without a remote and for its local store.
pub(super) fn applies(job: Job, kind: Kind, link: Distance) -> bool {
    match job {
        Job::Alone => kind == Kind::Rekindle && link == Distance::Runner,
        Job::Warm => kind == Kind::Rekindle,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_is_told_of_the_bucket_in_its_own_words() {
        for kind in Kind::REMOTE {
            let names: Vec<String> = environment(kind).into_iter().map(|one| one.0).collect();
            if kind == Kind::RustCache {
                assert!(names.is_empty());
                continue;
            }
            let prefix = kind.name().to_uppercase();
            assert!(
                names.iter().any(|name| name.starts_with(&prefix)),
                "{kind:?}"
            );
            assert!(names.iter().any(|name| name == "AWS_SECRET_ACCESS_KEY"));
        }
    }

    #[test]
    fn only_ours_is_measured_without_what_is_shared() {
        assert!(applies(Job::Alone, Kind::Rekindle, Distance::Runner));
        assert!(!applies(Job::Alone, Kind::Rekindle, Distance::Office));
        assert!(!applies(Job::Warm, Kind::Sccache, Distance::Runner));
        assert!(applies(Job::Cold, Kind::Sccache, Distance::Office));
    }
}
