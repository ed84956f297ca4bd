//! What inputs hold now, and the one time that all restored files get.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Job;
use crate::inputs::{self, Breadth, Where};
use crate::model::{Content, Place};

/// Inputs as they are.
pub(super) struct Watched {
    contents: HashMap<(Place, bool), Content>,
    /// The newest time of an input: nanoseconds since 1970.
    pub(super) newest_ns: i64,
}

impl Watched {
    /// What an input holds; `None` where it cannot be read.
    pub(super) fn content(&self, place: &Place, is_package: bool) -> Option<&Content> {
        self.contents.get(&(place.clone(), is_package))
    }
}

/// Sources that were written just now are looked at again this often.
const ATTEMPTS: usize = 5;

/// Looks at all inputs of all trees. `None` where they do not settle.
///
/// Restored files get the newest time of an input, so that no input is newer. An edit that comes after
/// the look must be: so the time has to lie before the kernel's clock at the look's begin.
pub(super) fn inputs(jobs: &[Job], here: &Where) -> io::Result<Option<Watched>> {
    let mut distinct: Vec<(Place, bool)> = jobs
        .iter()
        .flat_map(|job| &job.tree.inputs)
        .map(|input| (input.place.clone(), input.is_package))
        .collect();
    distinct.sort_unstable();
    distinct.dedup();
    for _ in 0..ATTEMPTS {
        let began_ns = rekindle_fsx::time::coarse_ns();
        let watched = look(&distinct, here, began_ns);
        if watched.newest_ns < began_ns {
            return Ok(Some(watched));
        }
        rekindle_fsx::time::wait_until_coarse(watched.newest_ns + 1);
    }
    Ok(None)
}

fn look(distinct: &[(Place, bool)], here: &Where, began_ns: i64) -> Watched {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(distinct.len()));
    let work = || {
        while let Some(key) = distinct.get(next.fetch_add(1, Ordering::Relaxed)) {
            let path = here.path(&key.0);
            let found = if key.1 {
                inputs::directory(&path, Breadth::Package)
            } else {
                inputs::content(&path)
            };
            if let (Ok(found), Ok(mut results)) = (found, results.lock()) {
                results.push((key, found));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..super::place::threads() {
            scope.spawn(work);
        }
        work();
    });
    let results = results.into_inner().unwrap_or_default();
    // Times in the future stay where they are: cargo finds such a source newer, and builds.
    let limit = began_ns + FUTURE_NS;
    let times = results.iter().map(|(_, (_, newest))| *newest);
    let newest_ns = times.filter(|time| *time < limit).max();
    Watched {
        contents: results
            .into_iter()
            .map(|(key, (content, _))| (key.clone(), content))
            .collect(),
        newest_ns: newest_ns.unwrap_or(began_ns - 1).max(0),
    }
}

/// What is further ahead of the clock than this was not written just now.
const FUTURE_NS: i64 = 1_000_000_000;
