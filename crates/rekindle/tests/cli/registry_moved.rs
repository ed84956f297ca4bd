//! Snapshots in another home of cargo's than the one that they were made with.

use std::fs;

use serde_json::Value;

use crate::registry_lab::{PRINTED, RegistryLab};

impl RegistryLab {
    /// Gives cargo's home another path.
    fn move_home(&mut self, name: &str) {
        let before = self.home();
        self.home_name = name.to_owned();
        fs::rename(before, self.home()).unwrap();
    }

    /// Builds in a target directory that is not there, and tells what came of it.
    fn anew(&self, arguments: &[&str]) -> Value {
        fs::remove_dir_all(self.path("ws/target")).unwrap();
        self.rekindle(arguments).ok();
        let said = self.rekindle(&["stats", "--format", "json"]).ok();
        serde_json::from_str(&said.stdout).unwrap()
    }
}

#[test]
fn units_of_another_home_are_fresh_but_for_those_that_hold_its_path() {
    let mut lab = RegistryLab::new();
    lab.rekindle(&["build"]).ok();
    lab.move_home("other");
    let moved = lab.anew(&["build"]);
    // `bound` and the program, which is made from it.
    assert_eq!(moved["units"]["miss"], 2, "{moved:#}");
    // What the build script of `linked` printed holds the path: it is replayed, with what was made from it.
    assert_eq!(moved["scripts"]["replayed"], 2, "{moved:#}");
    assert_eq!(moved["units"]["hit"], 2, "{moved:#}");
    assert_eq!(moved["units"]["fresh"], 6, "{moved:#}");
    assert_eq!(lab.rekindle(&["run", "-q"]).ok().stdout, PRINTED);
    let built = lab.cargo(&["build", "-v"]).ok();
    assert!(!built.stderr.contains("Compiling"), "{}", built.stderr);
    // What was captured here is of here.
    let again = lab.anew(&["build"]);
    assert_eq!(
        (&again["units"]["miss"], &again["units"]["hit"]),
        (&0.into(), &0.into())
    );
    assert_eq!(lab.rekindle(&["run", "-q"]).ok().stdout, PRINTED);
}
