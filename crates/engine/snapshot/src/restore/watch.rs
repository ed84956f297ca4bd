//! What inputs hold now, and the one time that all restored files get.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rekindle_key::Tag;
use rekindle_outputs::environment::Environment;
use rekindle_outputs::files::Files;
use rekindle_store::LocalStore;

use crate::inputs::{self, Breadth, Where};
use crate::model::{Content, Input, Place, Tree};
use crate::seen::Sight;

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
pub(super) fn inputs(
    store: &LocalStore,
    trees: &[&Tree],
    (here, environment): (&Where, &Environment),
) -> io::Result<Option<Watched>> {
    let distinct = distinct(trees);
    let looking = Looking {
        store,
        here,
        sight: Sight::new(here, environment),
    };
    for _ in 0..ATTEMPTS {
        let began_ns = rekindle_fsx::time::coarse_ns();
        let watched = looking.at(&distinct, began_ns);
        if watched.newest_ns < began_ns {
            return Ok(Some(watched));
        }
        rekindle_fsx::time::wait_until_coarse(watched.newest_ns + 1);
    }
    Ok(None)
}

/// One thing to look at, and what units say that it held.
struct Distinct<'a> {
    key: (&'a Place, bool),
    inputs: Vec<&'a Input>,
}

fn distinct<'a>(trees: &[&'a Tree]) -> Vec<Distinct<'a>> {
    let mut distinct: HashMap<(&Place, bool), Vec<&Input>> = HashMap::new();
    for input in trees.iter().flat_map(|tree| &tree.inputs) {
        let inputs = distinct
            .entry((&input.place, input.is_package))
            .or_default();
        inputs.push(input);
    }
    let distinct = distinct.into_iter();
    distinct
        .map(|(key, inputs)| Distinct { key, inputs })
        .collect()
}

struct Looking<'a> {
    store: &'a LocalStore,
    here: &'a Where,
    sight: Sight<'a>,
}

impl Looking<'_> {
    fn at(&self, distinct: &[Distinct<'_>], began_ns: i64) -> Watched {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::with_capacity(distinct.len()));
        let work = || {
            let files = Files::new(self.store);
            files.set_target(&self.here.build_dir);
            let mut found = Vec::new();
            while let Some(one) = distinct.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Some(content) = self.one(&files, one) {
                    found.push((one.key, content));
                }
            }
            if let Ok(mut results) = results.lock() {
                results.append(&mut found);
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
        let times = results.iter().map(|(_, (_, newest_ns))| *newest_ns);
        let newest_ns = times.filter(|time| *time < limit).max();
        let contents = results.into_iter();
        Watched {
            contents: contents
                .map(|((place, is_package), (content, _))| ((place.clone(), is_package), content))
                .collect(),
            newest_ns: newest_ns.unwrap_or(began_ns - 1).max(0),
        }
    }

    /// What it holds, and the newest time in it; cargo does not look at that of what was seen.
    fn one(&self, files: &Files<'_>, one: &Distinct<'_>) -> Option<(Content, i64)> {
        let (place, is_package) = one.key;
        if let Place::Seen(tag, name) = place {
            return Some((self.seen(files, (*tag, name), &one.inputs)?, i64::MIN));
        }
        let path = self.here.path(place)?;
        let found = if is_package {
            inputs::directory(&path, Breadth::Package)
        } else {
            inputs::content(&path)
        };
        let (content, newest) = found.ok()?;
        Some((content, newest.written_ns))
    }

    fn seen(
        &self,
        files: &Files<'_>,
        (tag, name): (Tag, &[u8]),
        inputs: &[&Input],
    ) -> Option<Content> {
        let signed = inputs.iter().find(|input| input.signature.is_some());
        if let Some(input) = signed
            && self.sight.signature(tag, name) == input.signature
        {
            return Some(input.content.clone());
        }
        Some(Content::Value(self.sight.value(files, tag, name)?))
    }
}

/// What is further ahead of the clock than this was not written just now.
const FUTURE_NS: i64 = 1_000_000_000;
