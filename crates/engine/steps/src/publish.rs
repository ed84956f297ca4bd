//! Storing what a run made, under everything that it was seen to read.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use rekindle_base::{Digest, parallel};
use rekindle_events::Refusal;
use rekindle_fsx::place::Wish;
use rekindle_key::pathset::{Name, PathSet};
use rekindle_key::step::{Body, StepEntry, StepOutput};
use rekindle_key::variables;
use rekindle_key::{Manifest, Root};
use rekindle_store::{LocalStore, Space, Store, StoreError};
use std::os::unix::ffi::OsStrExt;

use crate::judge::{self, EnvironmentRead, Judged, Policy};
use crate::meanwhile::{self, Meanwhile};
use crate::outputs::{self, Made, Outputs, Wanted, What};
use crate::{Engine, Ran, Step, told};
use rekindle_outputs::present::{HOST_NAME, Present};

/// What was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The key.
    pub key: Digest,
    /// Bytes of outputs.
    pub bytes: u64,
    /// Whether they hold a real path that is another in another checkout.
    pub path_bound: bool,
}

/// Under which name paths of what cargo had built are looked for in outputs. No variable has it.
const BUILT: &[u8] = b"built/";

impl Engine<'_> {
    /// Judges a run and stores it.
    ///
    /// # Errors
    /// Why it is not stored.
    pub fn publish(
        &self,
        step: &Step<'_>,
        ran: &Ran,
        policy: Policy,
    ) -> Result<Published, Refusal> {
        let judged = judge::judge(step, ran, policy)?;
        let left_out = left_out(step, &judged);
        let wanted = wanted(step, ran, (&judged, &left_out));
        let mut outputs = outputs::collect(step, ran, &wanted)?;
        let is_all = forget_chance(&left_out, ran, &mut outputs);
        if let Some(path) = &judged.elsewhere
            && outputs.held.values.contains(variables::SHELLS_DIRECTORY)
        {
            return Err(Refusal::ShellsDirectory {
                path: path.display().to_string(),
            });
        }
        if let Some(built) = judged.built.first()
            && outputs.held.values.contains(BUILT)
        {
            return Err(Refusal::ListedOutputs {
                path: String::from_utf8_lossy(built).into_owned(),
            });
        }
        let mut set = self.names(&judged, &outputs);
        if is_all {
            set.names.retain(|name| !name.is_of_many());
            set.names.push(Name::Variables);
        }
        let said = step.manifest();
        let was_missing = |path: &Path| meanwhile::was_missing(&ran.observation, path);
        let present = Present {
            was_missing: Some(&was_missing),
            ..self.present(step)
        };
        let manifest = present.observe(&said, &set);
        check_unchanged(present, ran, &manifest)?;
        let stored = self.store(step, ran, &outputs, (&said, manifest, set));
        stored.map_err(|error| Refusal::StoreUnavailable {
            error: error.to_string(),
        })
    }

    /// What was read, with the directories and values that outputs hold.
    fn names(&self, judged: &Judged, outputs: &Outputs) -> PathSet {
        let values = outputs.held.values.iter().cloned().map(|name| {
            if name == HOST_NAME {
                Name::File(name)
            } else {
                Name::Variable(name)
            }
        });
        let bound = outputs.held.bound.iter().copied().map(Name::Directory);
        let held: Vec<Name> = bound.chain(values).collect();
        let mut seen = HashSet::with_capacity(judged.names.names.len());
        let names = held.iter().chain(&judged.names.names);
        let names = names.filter(|name| seen.insert(*name)).cloned().collect();
        PathSet { names }
    }

    fn store(
        &self,
        step: &Step<'_>,
        ran: &Ran,
        outputs: &Outputs,
        (said, manifest, set): (&Manifest, Manifest, PathSet),
    ) -> Result<Published, StoreError> {
        let mut entry = StepEntry {
            outputs: Vec::with_capacity(outputs.made.len()),
            stdout: outputs.stdout.clone(),
            stderr: outputs.stderr.clone(),
            run_us: u64::try_from(ran.time.as_micros()).unwrap_or(u64::MAX),
            path_bound: is_of_checkout(&outputs.held.bound),
            manifest,
        };
        let key = entry.manifest.digest();
        let store = self.store;
        let at_once = outputs::at_once(outputs.made.len());
        let bodies = parallel::map_at_most(at_once, &outputs.made, |made| body(store, made));
        let mut bytes = 0;
        for (made, body) in outputs.made.iter().zip(bodies) {
            let body = body?;
            if let Body::File { size, .. } = body {
                bytes += size;
            }
            entry.outputs.push(StepOutput {
                place: made.place,
                path: made.path.clone(),
                body,
            });
        }
        let objects = entry.objects();
        self.store
            .put_record(Space::Entries, &key, &objects, &entry.encode())?;
        self.promote(said, set)?;
        self.remember(step, &key)?;
        Ok(Published {
            key,
            bytes,
            path_bound: entry.path_bound,
        })
    }
}

/// Whether one of these roots is another in another checkout. A user's home is not: scripts that use `cc` print the `PATH`, in which
/// it often stands.
fn is_of_checkout(bound: &BTreeSet<Root>) -> bool {
    bound.iter().any(|root| *root != Root::Home)
}

/// Stores an output.
fn body(store: &LocalStore, made: &Made) -> Result<Body, StoreError> {
    let (stored, executable) = match &made.what {
        What::Directory => return Ok(Body::Directory),
        What::Link(target) => return Ok(Body::Link(target.clone())),
        What::Exact { executable } => {
            let wish = Wish {
                hardlink: false,
                executable: *executable,
            };
            (store.put_object(&made.file, wish)?, *executable)
        }
        What::Text { text, executable } => {
            (store.put_object_bytes(text, *executable)?, *executable)
        }
    };
    Ok(Body::File {
        digest: stored.digest,
        size: stored.size,
        executable,
        form: made.what.form(),
    })
}

/// What is looked for in outputs: values of variables that are left out, and the time where it was read.
fn wanted<'a>(
    step: &'a Step<'_>,
    ran: &Ran,
    (judged, left_out): (&'a Judged, &[told::Variable<'a>]),
) -> Wanted<'a> {
    let own = step.environment.iter().filter(|(name, value)| {
        let name = name.as_bytes();
        let is_shells = name == variables::SHELLS_DIRECTORY && judged.elsewhere.is_some();
        (is_shells || name == variables::SEARCHED) && variables::is_telling(value)
    });
    let own = own.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let left_out = left_out.iter().copied();
    let host = judged.host_name.iter().map(|name| (HOST_NAME, &**name));
    let built = judged.built.iter().map(|path| (BUILT, &**path));
    Wanted {
        values: own.chain(left_out).chain(host).chain(built).collect(),
        dates: if judged.may_be_dated {
            outputs::dates(ran.seconds)
        } else {
            Vec::new()
        },
    }
}

/// Variables that do not count, and are looked for in what was made all the same.
fn left_out<'a>(step: &'a Step<'_>, judged: &Judged) -> Vec<told::Variable<'a>> {
    match &judged.environment {
        EnvironmentRead::Asked => Vec::new(),
        EnvironmentRead::Spoken(words) => told::unspoken(step.environment, words).collect(),
        EnvironmentRead::Whole => told::left_out(step.environment).collect(),
    }
}

/// Keeps of the variables that do not count those that something was made of. Whether that is as if all had been taken.
fn forget_chance(left_out: &[told::Variable<'_>], ran: &Ran, outputs: &mut Outputs) -> bool {
    let counts = |name: &Vec<u8>| {
        let counting = [
            HOST_NAME,
            BUILT,
            variables::SEARCHED,
            variables::SHELLS_DIRECTORY,
        ];
        counting.contains(&name.as_slice())
    };
    let (mut kept, found): (BTreeSet<_>, BTreeSet<_>) = std::mem::take(&mut outputs.held.values)
        .into_iter()
        .partition(counts);
    let speakers = judge::speakers(&ran.observation);
    let told = told::told(left_out, &found, speakers);
    kept.extend(told.names);
    outputs.held.values = kept;
    told.is_all
}

/// Whether anything that was read was changed meanwhile by others, once its values were taken.
fn check_unchanged(present: Present<'_>, ran: &Ran, manifest: &Manifest) -> Result<(), Refusal> {
    let meanwhile = Meanwhile {
        present,
        watch: &ran.watch,
        observation: &ran.observation,
    };
    if let Some(path) = meanwhile.changed(manifest) {
        let path = path.display().to_string();
        return Err(Refusal::ChangedDuringRun { path });
    }
    if ran.watch.clock_was_set() {
        return Err(Refusal::ClockWasSet);
    }
    Ok(())
}
