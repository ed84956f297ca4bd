//! Headers that a build script made, as OpenSSL's copies of its own: compiles know them by signature from one another.

use std::fs::{File, FileTimes};
use std::process::Command;
use std::time::Duration;

use super::cc_lab::Lab;

/// Longer than a file has to be as it is before anything is kept of it.
const SETTLED: Duration = Duration::from_millis(2200);

const OUT_DIR: &str = "target/debug/build/made-0123456789abcdef/out";

struct Script(Lab);

impl Script {
    /// A header below `OUT_DIR`, and two sources that read it.
    fn new(header: &str) -> Self {
        let lab = Lab::new();
        lab.put(&format!("{OUT_DIR}/made.h"), header);
        for name in ["a", "b"] {
            let source = format!("#include <made.h>\nint {name} = N;\n");
            lab.put(&format!("{name}.c"), &source);
        }
        Self(lab)
    }

    fn command(&self, options: &str, name: &str) -> Command {
        let line = format!("gcc {options} -I {OUT_DIR} -c {name}.c -o {OUT_DIR}/{name}.o");
        let mut command = self.0.command(&line);
        command.env("OUT_DIR", self.0.path(OUT_DIR));
        command
    }

    #[track_caller]
    fn fate(&self, options: &str, name: &str) -> String {
        let (done, fate) = self.0.run_command(&mut self.command(options, name));
        done.ok();
        fate
    }
}

#[test]
fn a_header_that_a_script_writes_again_counts() {
    let script = Script::new("enum { N = 1 };\n");
    std::thread::sleep(SETTLED);
    assert_eq!(script.fate("", "a"), "miss");
    assert_eq!(script.fate("", "b"), "miss");
    let made = script.0.path(OUT_DIR).join("made.h");
    let written = std::fs::metadata(&made).unwrap().modified().unwrap();
    let rewrite = |text| {
        // Of the same length, and with the old time.
        std::fs::write(&made, text).unwrap();
        let file = File::options().write(true).open(&made).unwrap();
        file.set_times(FileTimes::new().set_modified(written))
            .unwrap();
    };
    rewrite("enum { N = 2 };\n");
    assert_eq!(script.fate("", "a"), "miss");
    rewrite("enum { N = 1 };\n");
    assert_eq!(script.fate("", "a"), "hit");
    assert_eq!(script.fate("", "b"), "hit");
}

#[test]
fn what_is_known_of_a_header_is_known_for_the_definitions_that_were_looked_for() {
    let text = "#ifdef WHERE\nenum { N = sizeof WHERE };\n#else\nenum { N = 1 };\n#endif\n";
    let mut script = Script::new(text);
    std::thread::sleep(SETTLED);
    let other = "-DOTHER=\"@HERE@\"";
    let here = "-DWHERE=\"@HERE@\"";
    assert_eq!(script.fate(other, "a"), "miss");
    assert_eq!(script.fate(here, "a"), "miss");
    // From what the one before found.
    assert_eq!(script.fate(here, "b"), "miss");
    script.0.moved("another/longer/place");
    assert_eq!(script.fate(other, "a"), "hit");
    assert_eq!(script.fate(here, "a"), "miss", "its length is another one");
    assert_eq!(script.fate(here, "b"), "miss", "its length is another one");
}
