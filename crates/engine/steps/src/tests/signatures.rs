//! Files that are known by signature: how one was at the look-up says nothing of what a run read later.

use std::process::Command;

use rekindle_key::step::Body;
use rekindle_observe::{Observer, Options};

use super::*;
use crate::Streams;

const HEADER: &str = "home/registry/src/index/x-1.0.0/x.h";

/// A step that is given a header of a package.
fn step<'a>(field: &Field, environment: &'a Environment) -> Step<'a> {
    let mut step = field.step("one", environment);
    let roots: Vec<_> = step
        .roots
        .iter()
        .map(|(root, real)| (root, real.to_owned()))
        .chain([(Root::CargoHome, field.path("home"))])
        .collect();
    step.roots = Roots::new(&environment.cwd, roots);
    step
}

/// Runs a program that does nothing, and says of it that it read the header and made an output.
fn run(field: &Field, engine: &Engine<'_>, step: &Step<'_>, made: &str) {
    field.put("one/out/made", made);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut streams = Streams {
        stdout: &mut stdout,
        stderr: &mut stderr,
    };
    let observing = (&Observer::probe(), &Options::default());
    rekindle_fsx::time::await_next_stamp();
    let mut ran = engine
        .run(step, &mut Command::new("true"), observing, &mut streams)
        .unwrap();
    ran.observation = Observation::default();
    ran.observation.files.add(field.path(HEADER), Seen::READ);
    ran.earlier.clear();
    engine.publish(step, &ran, Policy::default()).unwrap();
}

#[test]
fn what_was_changed_between_look_up_and_run_is_keyed_as_it_was_read() {
    let field = Field::new();
    let environment = field.environment("one");
    let step = step(&field, &environment);
    field.put(HEADER, "old");
    // A younger file is not known by its signature.
    std::thread::sleep(Duration::from_millis(2100));
    for made in ["of old", "of old again"] {
        let files = Files::new(&field.store);
        let engine = Engine {
            store: &field.store,
            files: &files,
        };
        run(&field, &engine, &step, made);
    }
    let files = Files::new(&field.store);
    let engine = Engine {
        store: &field.store,
        files: &files,
    };
    assert!(matches!(engine.look_up(&step), LookedUp::Hit(_)));
    field.put(HEADER, "new");
    run(&field, &engine, &step, "of new");
    let files = Files::new(&field.store);
    let engine = Engine {
        store: &field.store,
        files: &files,
    };
    field.put(HEADER, "old");
    let LookedUp::Hit(found) = engine.look_up(&step) else {
        panic!("the first run is forgotten");
    };
    let Body::File { digest, .. } = found.entry.outputs[0].body else {
        panic!("no file");
    };
    assert_eq!(digest, Digest::of(b"of old again"));
}

/// Whatever was asked about it before, as where it was looked up for a program.
#[test]
fn what_a_build_made_and_rewrote_meanwhile_refuses() {
    let field = Field::new();
    let header = field.path("one/target/made.h");
    field.put("one/target/made.h", "before");
    let run = ran(|observation| {
        observation.files.add(header.clone(), Seen::READ);
    });
    let environment = field.environment("one");
    let files = Files::new(&field.store);
    files.signature(&header).unwrap();
    field.put("one/target/made.h", "meanwhile");
    let engine = Engine {
        store: &field.store,
        files: &files,
    };
    let refused = engine.publish(&field.step("one", &environment), &run, Policy::default());
    assert!(
        matches!(refused, Err(Refusal::ChangedDuringRun { .. })),
        "{refused:?}"
    );
}
