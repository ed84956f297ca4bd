//! `release.yml`: what a version's tag makes.

use super::steps::{
    Job, Lines, READ, RUNNER, Toolchain, apt, checkout, locked, rekindle, run, rust, step,
};
use super::{Package, Project};
use crate::pins::{Pin, pin};

/// A target, and the runner of its own architecture: nothing is emulated, and C code is compiled by a native compiler.
const STATIC: &[(&str, &str)] = &[
    ("x86_64-unknown-linux-musl", "ubuntu-24.04"),
    ("aarch64-unknown-linux-musl", "ubuntu-24.04-arm"),
];
/// For programs that need shared libraries of the system.
const SHARED: &[(&str, &str)] = &[
    ("x86_64-unknown-linux-gnu", "ubuntu-24.04"),
    ("aarch64-unknown-linux-gnu", "ubuntu-24.04-arm"),
];

/// The whole workflow; `None` where there is nothing that people get.
#[must_use]
pub fn release(project: &Project, action: Option<&Pin>) -> Option<String> {
    let programs = project.released();
    let sources = project.published();
    if project.bare_target.is_some() || (programs.is_empty() && sources.is_empty()) {
        return None;
    }
    let mut lines = Lines::default();
    lines.add(
        0,
        [
            "# Written by `rekindle init`. It is yours: it is not written again.",
            "name: Release",
            "",
            "on:",
            "  push:",
            "    tags:",
            "      - \"v[0-9]*\"",
            "",
            "# Each job says below what it may do.",
            "permissions: {}",
            "",
            "# A release that has begun is brought to its end.",
            "concurrency:",
            "  group: ${{ github.workflow }}-${{ github.ref }}",
            "  cancel-in-progress: false",
            "",
            "env:",
            "  CARGO_TERM_COLOR: always",
        ],
    );
    lines.add(2, super::ci::environment(project).iter().copied());
    lines.add(0, ["", "jobs:"]);
    let build = if programs.is_empty() {
        package(project, &sources)
    } else {
        build(project, &programs, action)
    };
    build.write(&mut lines);
    lines.add(0, [""]);
    publish().write(&mut lines);
    Some(lines.text())
}

/// Every program for every target, in one archive each, with its checksum.
fn build<'a>(project: &Project, programs: &[&Package], action: Option<&Pin>) -> Job<'a> {
    let targets = if project.apt.is_empty() {
        STATIC
    } else {
        SHARED
    };
    let mut head = vec![
        "runs-on: ${{ matrix.runner }}".to_owned(),
        "strategy:".to_owned(),
        "  matrix:".to_owned(),
        "    include:".to_owned(),
    ];
    for (target, runner) in targets {
        head.push(format!("      - target: {target}"));
        head.push(format!("        runner: {runner}"));
    }
    head.extend([
        "env:".to_owned(),
        "  TARGET: ${{ matrix.target }}".to_owned(),
    ]);
    let mut packages: Vec<&str> = project.apt.iter().map(String::as_str).collect();
    if packages.is_empty() {
        packages.push("musl-tools");
    }
    packages.extend(project.linkers.iter().map(String::as_str));
    let mut steps = vec![checkout()];
    steps.extend(apt(&packages));
    steps.push(rust(project, Toolchain::own(Some("\"$TARGET\""))));
    steps.extend(rekindle(action, false));
    steps.extend(same_version(programs));
    let named = named(programs);
    steps.push(run(
        "Build",
        &[format!(
            "cargo build --release --bins{}{} --target \"$TARGET\"",
            named,
            locked(project)
        )],
    ));
    let binaries: Vec<&str> = programs
        .iter()
        .flat_map(|package| &package.programs)
        .map(String::as_str)
        .collect();
    let name = binaries.first().copied().unwrap_or_default();
    steps.push(run(
        "Pack",
        &[
            "mkdir dist".to_owned(),
            format!("archive=\"{name}-$GITHUB_REF_NAME-$TARGET.tar.gz\""),
            format!("tar --create --gzip --file \"dist/$archive\" --directory \"target/$TARGET/release\" {}", binaries.join(" ")),
            "cd dist".to_owned(),
            "sha256sum \"$archive\" > \"$archive.sha256\"".to_owned(),
        ],
    ));
    steps.push(upload("dist-${{ matrix.target }}", "dist/"));
    Job {
        id: "build",
        name: "Build ${{ matrix.target }}",
        head,
        timeout_minutes: 60,
        permissions: READ,
        steps,
    }
}

/// The sources as cargo packs them, with their checksum.
fn package<'a>(project: &Project, sources: &[&Package]) -> Job<'a> {
    let packages = super::ci::packages(project);
    let mut steps = vec![checkout()];
    steps.extend(apt(&packages));
    steps.push(rust(project, Toolchain::own(None)));
    steps.extend(same_version(sources));
    let named = named(sources);
    steps.push(run(
        "Package, and build what was packaged",
        &[format!("cargo package{}{}", named, locked(project))],
    ));
    steps.push(run(
        "Collect",
        &[
            "mkdir dist".to_owned(),
            "cp target/package/*.crate dist/".to_owned(),
            "cd dist".to_owned(),
            "for crate in *.crate; do sha256sum \"$crate\" > \"$crate.sha256\"; done".to_owned(),
        ],
    ));
    steps.push(upload("dist-sources", "dist/"));
    Job {
        id: "build",
        name: "Package",
        head: vec![RUNNER.to_owned()],
        timeout_minutes: 60,
        permissions: READ,
        steps,
    }
}

/// ` --package a --package b`
fn named(packages: &[&Package]) -> String {
    packages
        .iter()
        .map(|package| format!(" --package {}", package.name))
        .collect()
}

/// Where all have one version, the tag is to say the same.
fn same_version(packages: &[&Package]) -> Option<String> {
    let first = packages.first()?;
    if packages
        .iter()
        .any(|package| package.version != first.version)
    {
        return None;
    }
    let select = format!(
        ".packages[] | select(.name == \"{}\") | .version",
        first.name
    );
    let commands = [
        "metadata=\"$(cargo metadata --no-deps --format-version 1)\"".to_owned(),
        format!("version=\"$(jq --raw-output '{select}' <<< \"$metadata\")\""),
        "test \"$GITHUB_REF_NAME\" = \"v$version\"".to_owned(),
    ];
    Some(run("See that the tag is the version", &commands))
}

fn upload(name: &str, path: &str) -> String {
    let uses = format!("uses: {}", pin("upload-artifact"));
    let (name, path) = (format!("  name: {name}"), format!("  path: {path}"));
    // What is in it is compressed.
    step(
        "Keep for the release",
        &[
            &uses,
            "with:",
            &name,
            &path,
            "  if-no-files-found: error",
            "  compression-level: 0",
            "  retention-days: 5",
        ],
    )
}

fn publish<'a>() -> Job<'a> {
    let download = format!("uses: {}", pin("download-artifact"));
    let steps = vec![
        step(
            "Fetch what was built",
            &[
                &download,
                "with:",
                "  pattern: dist-*",
                "  path: dist",
                "  merge-multiple: true",
            ],
        ),
        run(
            "Check it",
            &["cd dist && sha256sum --check -- *.sha256".to_owned()],
        ),
        step(
            "Release it",
            &[
                "run: gh release create \"$GITHUB_REF_NAME\" --repo \"$GITHUB_REPOSITORY\" --verify-tag --generate-notes dist/*",
                "env:",
                "  GH_TOKEN: ${{ github.token }}",
            ],
        ),
    ];
    Job {
        id: "publish",
        name: "Publish",
        head: vec![RUNNER.to_owned(), "needs: build".to_owned()],
        timeout_minutes: 15,
        permissions: &["contents: write # to make the release"],
        steps,
    }
}
