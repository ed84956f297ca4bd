//! Rekindle's own commands.

use crate::project::{Done, Project, program_dir};

const HELLO: &str = "fn main() {}";

#[test]
fn own_commands_win_over_cargos() {
    let project = Project::new(HELLO);
    project.put(
        "ws/.cargo/config.toml",
        "[alias]\nstats = 'build'\nexplain = 'build'\n",
    );
    let done = project.rekindle(&["stats"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr.contains("no run is recorded"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("hint: run `rekindle build` first"),
        "{}",
        done.stderr
    );
    project.rekindle(&["cargo", "explain"]).ok();
    assert!(project.path("ws/target/debug").exists());
}

#[test]
fn stats_have_a_form_that_scripts_can_read() {
    let project = Project::new(HELLO);
    project.rekindle(&["build"]).ok();
    let stats = project.stats();
    assert_eq!(stats["version"], 1);
    assert_eq!(stats["command"], "build");
    for pointer in [
        "/units/fresh",
        "/units/hit",
        "/units/miss",
        "/units/uncacheable",
        "/processes/rustc",
        "/processes/linker",
        "/processes/build_script",
        "/wall_ms",
        "/saved_ms",
        "/bytes/restored",
        "/bytes/published",
    ] {
        assert!(
            stats
                .pointer(pointer)
                .is_some_and(serde_json::Value::is_u64),
            "{pointer}: {stats}"
        );
    }
    let text = project.rekindle(&["stats", "--run", "all"]).ok().stdout;
    for name in [
        "Compile requests ",
        "Compile requests executed ",
        "Cache hits ",
        "Cache misses ",
        "Cache hit rate ",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(name)),
            "{name}\n{text}"
        );
    }
    assert_eq!(project.runs(), 1);
    project.rekindle(&["metadata", "--format-version=1"]).ok();
    assert_eq!(project.runs(), 1, "a command that builds nothing is no run");
}

#[test]
fn explain_and_cache_answer() {
    let project = Project::new(HELLO);
    project.rekindle(&["build"]).ok();
    project.rekindle(&["build"]).ok();
    let text = project.rekindle(&["explain"]).ok().stdout;
    assert!(text.starts_with("nothing to explain"), "{text}");
    for arguments in [["cache", "du"], ["cache", "gc"], ["cache", "verify"]] {
        assert_ne!(project.rekindle(&arguments).ok().stdout, "");
    }
    let json = project
        .rekindle(&["cache", "verify", "--format", "json"])
        .ok()
        .stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["version"], 1);
}

#[test]
fn a_shell_and_github_get_what_plain_cargo_needs() {
    let project = Project::new(HELLO);
    let text = project.rekindle(&["env"]).ok().stdout;
    let wrapper = program_dir().join("rekindle-rustc");
    let first = format!("export RUSTC_WRAPPER='{}'\n", wrapper.display());
    assert!(text.starts_with(&first), "{text}");
    assert!(text.contains("export REKINDLE_DIR='"), "{text}");
    let done = project.rekindle(&["env", "--github"]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("hint:"), "{}", done.stderr);
    project.put("github_env", "A=1\n");
    let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &["env", "--github"]);
    command.env("GITHUB_ENV", project.path("github_env"));
    Done::from(command.output().unwrap()).ok();
    let written = std::fs::read_to_string(project.path("github_env")).unwrap();
    assert!(
        written.starts_with(&format!("A=1\nRUSTC_WRAPPER={}\n", wrapper.display())),
        "{written}"
    );
}

#[test]
fn a_key_that_is_not_known_is_named_with_its_file() {
    let project = Project::new(HELLO);
    project.put("ws/.config/rekindle.toml", "[cache]\nsise = '1G'\n");
    let done = project.rekindle(&["build"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr.contains("rekindle.toml` sets `cache.sise`"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("hint: did you mean `cache.size`?"),
        "{}",
        done.stderr
    );
}

/// As README's lines for CI do it: `rekindle env`, then plain cargo, then `rekindle stats`.
#[test]
fn a_plain_cargo_is_a_run_of_its_own() {
    let project = Project::new(HELLO);
    let done = project.rekindle(&["env", "--format", "json"]).ok();
    let env: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let wrapper = env["variables"]["RUSTC_WRAPPER"].as_str();
    let wrapper = wrapper
        .or(env["RUSTC_WRAPPER"].as_str())
        .unwrap()
        .to_owned();
    for (runs, fate) in [(1, "miss"), (2, "hit")] {
        let _ = std::fs::remove_dir_all(project.path("ws/target"));
        let mut cargo = project.command("cargo", &["build"]);
        Done::from(cargo.env("RUSTC_WRAPPER", &wrapper).output().unwrap()).ok();
        let stats = project.stats();
        assert_eq!(stats["units"][fate], 1, "{stats}");
        assert_eq!(project.runs(), runs);
    }
    // The first wrapper of a run sees to the budget, since no command of ours does.
    assert!(project.path("store/v1/size").exists());
}
