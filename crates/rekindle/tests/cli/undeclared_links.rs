//! A linker of which nobody can be asked reads what the build script of a crate further back wrote, as with the layout
//! that a runtime crate for bare metal brings, which includes one of the program's own.

use crate::keys::lacks_target;
use crate::project::Project;
use crate::snapshots::{assert_fresh, commit, fresh_clone, in_git, manifest, rekindle, started};

const TARGET: &str = "thumbv7em-none-eabihf";
const SCRIPT: &str = "fn main() {\n\
    println!(\"cargo:rerun-if-changed=layout.x\");\n\
    let out = std::env::var(\"OUT_DIR\").unwrap();\n\
    std::fs::copy(\"layout.x\", format!(\"{out}/layout.x\")).unwrap();\n\
    println!(\"cargo:rustc-link-search={out}\");\n}\n";
const MAIN: &str = "#![no_std]\n#![no_main]\n\
    #[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n\
    #[no_mangle]\npub extern \"C\" fn start() -> ! { middle::wait() }\n";

fn memory(at: &str) -> String {
    format!("MEMORY {{ FLASH : ORIGIN = {at}, LENGTH = 64K }}\n")
}

fn layout(at: &str) -> String {
    format!(
        "INCLUDE memory.x\nENTRY(start)\nSECTIONS {{ .text {at} : {{ *(.text .text.*) }} > FLASH }}\n"
    )
}

/// `app` needs `middle`, that needs `runtime`, whose script writes the layout; `memory.x` is in the workspace.
fn workspace() -> Project {
    let dependency = |name: &str| format!("[dependencies]\n{name} = {{ path = \"../{name}\" }}\n");
    let rust = "#![no_std]\npub fn wait() -> ! { ";
    in_git(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"runtime\", \"middle\", \"app\"]\nresolver = \"2\"\n",
        ),
        (
            ".cargo/config.toml",
            &format!(
                "[build]\ntarget = \"{TARGET}\"\n[target.{TARGET}]\nrustflags = [\"-Clink-arg=-Tlayout.x\"]\n"
            ),
        ),
        ("runtime/Cargo.toml", &manifest("runtime", "")),
        ("runtime/build.rs", SCRIPT),
        ("runtime/layout.x", &layout("")),
        ("runtime/src/lib.rs", &format!("{rust}loop {{}} }}\n")),
        (
            "middle/Cargo.toml",
            &manifest("middle", &dependency("runtime")),
        ),
        ("middle/src/lib.rs", &format!("{rust}runtime::wait() }}\n")),
        ("app/Cargo.toml", &manifest("app", &dependency("middle"))),
        ("app/src/main.rs", MAIN),
        ("memory.x", &memory("0x8000000")),
        (".gitignore", "target\n"),
    ])
}

fn build(project: &Project) {
    rekindle(project, &["build"]).ok();
}

/// The workspace, built; `None` where its target is not installed, which skips a test.
fn built(test: &str) -> Option<Project> {
    if lacks_target(test, TARGET) {
        return None;
    }
    let project = workspace();
    build(&project);
    Some(project)
}

fn program(project: &Project) -> Vec<u8> {
    std::fs::read(project.path(&format!("ws/target/{TARGET}/debug/app"))).unwrap()
}

/// Where the program begins, as its header says.
fn entry(project: &Project) -> u32 {
    let bytes = program(project);
    u32::from_le_bytes(bytes[24..28].try_into().unwrap()) & !1
}

/// With the target directory removed all is fresh; in one that is kept, too, a change of what nobody declares is noticed.
#[test]
fn a_layout_of_a_crate_further_back() {
    let Some(project) = built("undeclared_links::a_layout_of_a_crate_further_back") else {
        return;
    };
    assert_eq!(entry(&project), 0x0800_0000);
    let first = program(&project);
    fresh_clone(&project);
    build(&project);
    let stats = project.stats();
    assert_eq!(started(&stats), [0, 0, 0], "{stats:#}");
    assert_eq!(stats["units"]["hit"], 0, "{stats:#}");
    assert_eq!(program(&project), first);
    assert_fresh(&project);

    project.put("ws/memory.x", &memory("0x8010000"));
    build(&project);
    assert_eq!(entry(&project), 0x0801_0000, "in the kept target");
    let stats = project.stats();
    assert_eq!(started(&stats)[0], 1, "the program alone: {stats:#}");
    project.put("ws/memory.x", &memory("0x8000000"));
    build(&project);
    assert_eq!(program(&project), first);
}

/// The script ran again and its crate is the same, bit for bit; the program of an earlier build was linked with
/// what the script had written before.
#[test]
fn a_layout_that_was_written_since() {
    let Some(project) = built("undeclared_links::a_layout_that_was_written_since") else {
        return;
    };
    project.put("ws/runtime/layout.x", &layout("0x8000200"));
    commit(&project, "second");
    rekindle(&project, &["build", "-p", "middle"]).ok();
    fresh_clone(&project);
    build(&project);
    assert_eq!(entry(&project), 0x0800_0200);
    assert_eq!(project.stats()["units"]["miss"], 1, "the program alone");
}
