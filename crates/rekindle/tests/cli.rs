//! The programs as users run them, with a real cargo on a tiny project.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests make files, read the environment, and fail by panicking"
)]

#[path = "cli/action.rs"]
mod action;
#[path = "cli/action_story.rs"]
mod action_story;
#[path = "cli/audit.rs"]
mod audit;
#[path = "cli/bar.rs"]
mod bar;
#[path = "cli/cargo.rs"]
mod cargo;
#[path = "cli/cc.rs"]
mod cc;
#[path = "cli/cc_lab.rs"]
mod cc_lab;
#[path = "cli/cc_made.rs"]
mod cc_made;
#[path = "cli/cc_scripts.rs"]
mod cc_scripts;
#[path = "cli/checkers.rs"]
mod checkers;
#[path = "cli/debug.rs"]
mod debug;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/doctor_lab.rs"]
mod doctor_lab;
#[path = "cli/doctor_scripts.rs"]
mod doctor_scripts;
#[path = "cli/doctor_ward.rs"]
mod doctor_ward;
#[path = "cli/faults.rs"]
mod faults;
#[path = "cli/faults_damage.rs"]
mod faults_damage;
#[path = "cli/faults_disk.rs"]
mod faults_disk;
#[path = "cli/faults_fresh.rs"]
mod faults_fresh;
#[path = "cli/faults_kill.rs"]
mod faults_kill;
#[path = "cli/faults_runs.rs"]
mod faults_runs;
#[path = "cli/faults_target.rs"]
mod faults_target;
#[path = "cli/graph.rs"]
mod graph;
#[path = "cli/history.rs"]
mod history;
#[path = "cli/history_github.rs"]
mod history_github;
#[path = "cli/incremental.rs"]
mod incremental;
#[path = "cli/init.rs"]
mod init;
#[path = "cli/keys.rs"]
mod keys;
#[path = "cli/keys_compiler.rs"]
mod keys_compiler;
#[path = "cli/keys_kinds.rs"]
mod keys_kinds;
#[path = "cli/keys_link.rs"]
mod keys_link;
#[path = "cli/keys_macros.rs"]
mod keys_macros;
#[path = "cli/keys_native.rs"]
mod keys_native;
#[path = "cli/keys_paths.rs"]
mod keys_paths;
#[path = "cli/keys_source.rs"]
mod keys_source;
#[path = "cli/linker.rs"]
mod linker;
#[path = "cli/observed_macros.rs"]
mod observed_macros;
#[path = "cli/oracle/mod.rs"]
mod oracle;
#[path = "cli/own.rs"]
mod own;
#[path = "cli/placeholders.rs"]
mod placeholders;
#[path = "cli/placeholders_kinds.rs"]
mod placeholders_kinds;
#[path = "cli/project.rs"]
mod project;
#[path = "cli/registry.rs"]
mod registry;
#[path = "cli/registry_kill.rs"]
mod registry_kill;
#[path = "cli/registry_lab.rs"]
mod registry_lab;
#[path = "cli/registry_moved.rs"]
mod registry_moved;
#[path = "cli/remote.rs"]
mod remote;
#[path = "cli/remote_faults.rs"]
mod remote_faults;
#[path = "cli/report.rs"]
mod report;
#[path = "cli/scripts.rs"]
mod scripts;
#[path = "cli/scripts_dated.rs"]
mod scripts_dated;
#[path = "cli/scripts_killed.rs"]
mod scripts_killed;
#[path = "cli/scripts_listed.rs"]
mod scripts_listed;
#[path = "cli/scripts_refused.rs"]
mod scripts_refused;
#[path = "cli/scripts_system.rs"]
mod scripts_system;
#[path = "cli/scripts_uses.rs"]
mod scripts_uses;
#[path = "cli/second_machine.rs"]
mod second_machine;
#[path = "cli/since.rs"]
mod since;
#[path = "cli/snapshots.rs"]
mod snapshots;
#[path = "cli/snapshots_moved.rs"]
mod snapshots_moved;
#[path = "cli/stand_in.rs"]
mod stand_in;
#[path = "cli/step.rs"]
mod step;
#[path = "cli/switch.rs"]
mod switch;
#[path = "cli/undeclared.rs"]
mod undeclared;
#[path = "cli/undeclared_links.rs"]
mod undeclared_links;
