//! What well-known actions do, as of [`AS_OF`]: one table.

/// When the table was last compared with the actions' own pages.
pub const AS_OF: &str = "2026-11";

/// What an action is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Brings the sources.
    Checkout,
    /// Keeps directories by a key: `path`, `key`, `restore-keys`. Restores and saves.
    Cache,
    /// Only restores.
    CacheRestore,
    /// Only saves.
    CacheSave,
    /// Keeps cargo's home and the target directory.
    RustCache,
    /// Installs sccache and says where GitHub's cache service is; sets no wrapper.
    Sccache,
    /// Installs ccache or sccache and keeps its directory; sets no wrapper for rustc.
    Ccache,
    /// Installs a toolchain.
    Toolchain,
    /// Installs a toolchain and keeps what `RustCache` keeps, unless `cache` is false.
    ToolchainAndCache,
    /// Installs ready-made programs: `tool`.
    Install,
    /// Keeps files for other jobs.
    Upload,
    /// Brings files of other jobs.
    Download,
    /// Publishes what was built.
    Ship,
    /// Builds with cargo and publishes.
    BuildAndShip,
    /// Runs cargo: `command` and `args`.
    Cargo,
    /// Installs a linker.
    Linker,
    /// Puts Rekindle to work.
    Rekindle,
    /// Anything else that is worth knowing by its versions.
    Other,
}

/// An action.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// `owner/repository` and a path within it, in lower case.
    pub name: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// What it exports to the steps that follow, where nothing is set.
    pub exports: &'static [(&'static str, &'static str)],
    /// Majors below this one run on a Node that GitHub removed (12 or 16); 0 if none does.
    pub first_live_major: u32,
    /// Majors below this one fail: the service that they talk to is gone; 0 if none does.
    pub first_served_major: u32,
}

const fn known(name: &'static str, kind: Kind) -> Known {
    Known {
        name,
        kind,
        exports: &[],
        first_live_major: 0,
        first_served_major: 0,
    }
}

impl Known {
    const fn node(mut self, first_live_major: u32) -> Self {
        self.first_live_major = first_live_major;
        self
    }

    const fn served(mut self, first_served_major: u32) -> Self {
        self.first_served_major = first_served_major;
        self
    }

    const fn exports(mut self, exports: &'static [(&'static str, &'static str)]) -> Self {
        self.exports = exports;
        self
    }
}

const NO_INCREMENTAL: &[(&str, &str)] = &[("CARGO_INCREMENTAL", "0")];

/// The table. Sources: each action's `action.yml` and releases; GitHub's changelog for removed Node versions
/// (12 in 2023, 16 in 2024), artifacts below v4 (closed 2025-01-30) and caches below v3.4 and v4.2 (closed 2025-04).
const TABLE: &[Known] = &[
    known("actions/checkout", Kind::Checkout).node(4),
    known("actions/cache", Kind::Cache).node(4).served(3),
    known("actions/cache/restore", Kind::CacheRestore).node(4),
    known("actions/cache/save", Kind::CacheSave).node(4),
    known("swatinem/rust-cache", Kind::RustCache)
        .exports(NO_INCREMENTAL)
        .node(2)
        .served(2),
    known("leafwing-studios/cargo-cache", Kind::RustCache),
    known("mozilla-actions/sccache-action", Kind::Sccache),
    known("hendrikmuhs/ccache-action", Kind::Ccache),
    known("dtolnay/rust-toolchain", Kind::Toolchain).exports(NO_INCREMENTAL),
    known("actions-rs/toolchain", Kind::Toolchain).node(2),
    known(
        "actions-rust-lang/setup-rust-toolchain",
        Kind::ToolchainAndCache,
    )
    .exports(&[
        ("CARGO_INCREMENTAL", "0"),
        ("CARGO_PROFILE_DEV_DEBUG", "0"),
        ("RUST_BACKTRACE", "short"),
        ("RUSTFLAGS", "-D warnings"),
    ]),
    known("moonrepo/setup-rust", Kind::ToolchainAndCache),
    known("hecrj/setup-rust-action", Kind::Toolchain).node(2),
    known("taiki-e/install-action", Kind::Install),
    known("cargo-bins/cargo-binstall", Kind::Install),
    known("baptiste0928/cargo-install", Kind::Install).node(3),
    known("actions/upload-artifact", Kind::Upload)
        .node(4)
        .served(4),
    known("actions/download-artifact", Kind::Download)
        .node(4)
        .served(4),
    known("actions/upload-pages-artifact", Kind::Ship).served(3),
    known("actions/upload-release-asset", Kind::Ship).node(2),
    known("actions/create-release", Kind::Other).node(2),
    known("actions/attest-build-provenance", Kind::Ship),
    known("softprops/action-gh-release", Kind::Ship).node(2),
    known("ncipollo/release-action", Kind::Ship),
    known("svenstaro/upload-release-action", Kind::Ship),
    known("peaceiris/actions-gh-pages", Kind::Ship).node(4),
    known("jamesives/github-pages-deploy-action", Kind::Ship),
    known("docker/build-push-action", Kind::Ship).node(5),
    known("docker/setup-buildx-action", Kind::Other).node(3),
    known("docker/setup-qemu-action", Kind::Other).node(3),
    known("docker/login-action", Kind::Other).node(3),
    known("docker/metadata-action", Kind::Other).node(5),
    known("taiki-e/upload-rust-binary-action", Kind::BuildAndShip),
    known("pyo3/maturin-action", Kind::BuildAndShip),
    known("actions-rs/cargo", Kind::Cargo).node(2),
    known("actions-rs/clippy-check", Kind::Cargo).node(2),
    known("actions-rs/audit-check", Kind::Other).node(2),
    known("actions-rs/tarpaulin", Kind::Other).node(2),
    known("actions-rs/install", Kind::Other).node(2),
    known("actions-rs/grcov", Kind::Other).node(2),
    known("houseabsolute/actions-rust-cross", Kind::Cargo),
    known("clechasseur/rs-cargo", Kind::Cargo),
    known("rui314/setup-mold", Kind::Linker),
    known("actions/setup-node", Kind::Other).node(4),
    known("actions/setup-python", Kind::Other).node(5),
    known("actions/setup-go", Kind::Other).node(5),
    known("actions/setup-java", Kind::Other).node(4),
    known("actions/github-script", Kind::Other).node(7),
    known("actions/labeler", Kind::Other).node(5),
    known("actions/stale", Kind::Other).node(9),
    known("actions/deploy-pages", Kind::Ship).node(4),
    known("actions/configure-pages", Kind::Other).node(4),
    known("codecov/codecov-action", Kind::Other).node(4),
    known("coverallsapp/github-action", Kind::Other),
    known("dorny/paths-filter", Kind::Other).node(3),
    known("styfle/cancel-workflow-action", Kind::Other),
    known("msys2/setup-msys2", Kind::Other),
    known("ilammy/msvc-dev-cmd", Kind::Other),
    known("goto-bus-stop/setup-zig", Kind::Other),
    known("mlugg/setup-zig", Kind::Other),
    known("arduino/setup-protoc", Kind::Other).node(3),
    known("embarkstudios/cargo-deny-action", Kind::Other),
    known("rustsec/audit-check", Kind::Other).node(2),
];

/// What is known of an action by its name in lower case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Known> {
    TABLE.iter().find(|known| known.name == name)
}

/// What an action is for; [`Kind::Other`] if that is not known.
#[must_use]
pub fn kind(name: &str) -> Kind {
    match find(name) {
        Some(known) => known.kind,
        // Rekindle's own, under whatever owner it is published.
        None if name.ends_with("/rekindle") || name.ends_with("/rekindle-action") => Kind::Rekindle,
        None => Kind::Other,
    }
}
