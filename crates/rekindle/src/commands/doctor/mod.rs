//! `rekindle doctor`: checks of this machine and of this project, and `--fix`.
//!
//! Each of [`checks`] looks at one thing and hands back an [`Outcome`]: a line of what is well, and findings.
//! Every kind of finding is in the table of [`kinds`], from which `docs/doctor.md` is made. A [`fix`] is shown,
//! asked for, done, and the check is made again. Parts that several checks share: [`probe`] (a tiny program, built
//! twice through the real chain), [`ask`] (other programs, with a deadline), [`edit`] (cargo's configuration).

mod ask;
mod checks;
mod context;
mod diff;
mod edit;
mod fix;
mod kinds;
mod limits;
mod logs;
mod machine;
mod model;
mod page;
mod probe;
mod remotes;
mod repair;
mod requests;
mod runner;
mod show;
mod takers;
mod watched;

use rekindle::cargo_config::CargoConfig;
use rekindle::{Surroundings, layout, settings};

use self::checks::Check;
use self::context::Context;
use self::kinds::Severity;
use self::model::Outcome;
use super::{print, print_json};
use crate::cli::{DoctorArgs, Format};
use crate::error::CommandError;

pub(crate) use self::page::page;

/// Exit code where a finding of severity error remains.
pub(crate) const FOUND: u8 = 1;

/// A check and what it came to.
struct Examined {
    check: &'static Check,
    outcome: Outcome,
}

pub(crate) fn run(args: &DoctorArgs) -> Result<u8, CommandError> {
    let wanted = checks::named(&args.check)?;
    let is_text = args.format == Format::Text;
    // A line as soon as it is known: a tiny program takes a while.
    let each = |one: &Examined| {
        if is_text {
            print(&show::check(one))
        } else {
            Ok(())
        }
    };
    let mut examined = examine(&wanted, each)?;
    let mut repairs = Vec::new();
    if is_text {
        print(&show::sum(&examined, args.fix))?;
    }
    if args.fix {
        repairs = repair::all(&examined, args)?;
        let again: Vec<&'static Check> = wanted
            .into_iter()
            .filter(|check| repairs.iter().any(|repair| repair.touches(check.id)))
            .collect();
        if !again.is_empty() {
            if is_text {
                print(&show::mended(&repairs))?;
            }
            replace(&mut examined, examine(&again, each)?);
            if is_text {
                print(&show::sum(&examined, true))?;
            }
        }
    }
    if args.format == Format::Json {
        print_json(&show::json(&examined, &repairs))?;
    }
    let findings = examined.iter().flat_map(|one| &one.outcome.findings);
    let mut severities = findings.map(|finding| finding.kind.severity);
    Ok(if severities.any(|severity| severity == Severity::Error) {
        FOUND
    } else {
        0
    })
}

/// Makes checks, in their order, of the machine as it is now; hands each on when it is made.
fn examine(
    wanted: &[&'static Check],
    mut each: impl FnMut(&Examined) -> Result<(), CommandError>,
) -> Result<Vec<Examined>, CommandError> {
    let surroundings = Surroundings::of_process()
        .map_err(|error| CommandError::environment(format!("there is no directory: {error}")))?;
    let resolved = settings::resolve(&surroundings)?;
    let config = CargoConfig::read(&surroundings, &surroundings.cwd, &[]);
    let asked = layout::Asked::default();
    let layout = layout::find(&surroundings, &config, &surroundings.cwd, asked).ok();
    let context = Context::new(&surroundings, &config, layout, &resolved);
    let mut examined = Vec::new();
    for check in wanted {
        let one = Examined {
            check,
            outcome: (check.run)(&context),
        };
        each(&one)?;
        examined.push(one);
    }
    Ok(examined)
}

fn replace(examined: &mut [Examined], anew: Vec<Examined>) {
    for one in anew {
        let place = examined.iter_mut().find(|old| old.check.id == one.check.id);
        if let Some(place) = place {
            *place = one;
        }
    }
}
