//! What a job keeps between runs: directories by a key, and compile caches.

use crate::expr::Template;
use crate::shell::UNKNOWN;

use super::actions::Kind;
use super::project::Project;
use super::run::{Call, Did, Env, Run};

/// Directories that a step keeps.
#[derive(Debug)]
pub struct Kept<'r, 'p> {
    /// The step.
    pub did: &'r Did<'p>,
    /// Paths as written.
    pub paths: Vec<String>,
    /// It keeps what cargo downloads.
    pub registry: bool,
    /// It keeps the target directory.
    pub target: bool,
    /// It keeps installed programs.
    pub programs: bool,
    /// It keeps a compile cache's directory.
    pub compile_cache: bool,
    /// It restores.
    pub restores: bool,
    /// It saves.
    pub saves: bool,
}

impl Kept<'_, '_> {
    /// The key; `None` for actions that make their own.
    #[must_use]
    pub fn key(&self) -> Option<Template> {
        self.did
            .step
            .with("key")
            .filter(|_| self.by_key())
            .map(Template::parse)
    }

    /// The keys to take instead, in their order.
    #[must_use]
    pub fn restore_keys(&self) -> Vec<&str> {
        self.did
            .step
            .with("restore-keys")
            .map(lines)
            .unwrap_or_default()
    }

    /// It restores and saves a target directory, otherwise than Rekindle does.
    #[must_use]
    pub fn keeps_target(&self) -> bool {
        self.target && self.saves && self.restores && self.did.kind != Kind::Rekindle
    }

    /// Which runs save is said by an input.
    #[must_use]
    pub fn limits_saving(&self) -> bool {
        ["save-if", "cache-save-if"]
            .iter()
            .any(|input| self.did.step.with(input).is_some())
    }

    /// It is `actions/cache`, or half of it.
    #[must_use]
    pub fn by_key(&self) -> bool {
        matches!(
            self.did.kind,
            Kind::Cache | Kind::CacheRestore | Kind::CacheSave
        )
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect()
}

/// The directories that a run keeps.
#[must_use]
pub fn kept<'r, 'p>(run: &'r Run<'p>) -> Vec<Kept<'r, 'p>> {
    run.steps
        .iter()
        .filter(|did| did.done != Some(false))
        .filter_map(|did| keeps(did))
        .collect()
}

fn keeps<'r, 'p>(did: &'r Did<'p>) -> Option<Kept<'r, 'p>> {
    let step = &did.step;
    let none = Kept {
        did,
        paths: Vec::new(),
        registry: false,
        target: false,
        programs: false,
        compile_cache: false,
        restores: true,
        saves: true,
    };
    match did.kind {
        Kind::Cache | Kind::CacheRestore | Kind::CacheSave => {
            let paths: Vec<String> = step
                .with("path")
                .map(lines)
                .unwrap_or_default()
                .into_iter()
                .map(|path| path.trim_end_matches('/').to_owned())
                .collect();
            let any = |test: &dyn Fn(&str) -> bool| {
                paths
                    .iter()
                    .filter(|path| !path.starts_with('!'))
                    .any(|path| test(path))
            };
            let whole = |path: &str| {
                path.ends_with(".cargo")
                    || path.ends_with("CARGO_HOME")
                    || path.ends_with("CARGO_HOME }}")
            };
            let directory = did
                .env
                .get("SCCACHE_DIR")
                .filter(|dir| !dir.contains(UNKNOWN));
            Some(Kept {
                registry: any(&|path| {
                    whole(path)
                        || path.contains(".cargo/registry")
                        || path.contains(".cargo/git")
                        || path.contains("CARGO_HOME")
                }),
                programs: any(&|path| {
                    whole(path) || path.contains(".cargo/bin") || path.contains("/bin")
                }),
                target: any(&|path| {
                    path.split(['/', '\\']).any(|part| part == "target")
                        || path.to_ascii_lowercase().contains("target_dir")
                        || path.contains("target-")
                }),
                compile_cache: any(&|path| {
                    path.to_ascii_lowercase().contains("ccache")
                        || path.contains("kache")
                        || path.contains("rekindle")
                        || directory.is_some_and(|dir| dir == path)
                }),
                restores: did.kind != Kind::CacheSave,
                saves: did.kind != Kind::CacheRestore && step.with("lookup-only") != Some("true"),
                paths,
                ..none
            })
        }
        Kind::RustCache => Some(Kept {
            registry: true,
            target: step.with("cache-targets") != Some("false"),
            programs: step.with("cache-bin") != Some("false"),
            saves: step.with("save-if") != Some("false")
                && step.with("lookup-only") != Some("true"),
            ..none
        }),
        Kind::ToolchainAndCache if step.with("cache") != Some("false") => Some(Kept {
            registry: true,
            target: step.with("cache-target") != Some("false"),
            programs: true,
            ..none
        }),
        Kind::Ccache => Some(Kept {
            compile_cache: true,
            saves: step.with("save") != Some("false"),
            ..none
        }),
        Kind::Rekindle => Some(Kept {
            registry: true,
            target: true,
            compile_cache: true,
            ..none
        }),
        _ => None,
    }
}

/// A compile cache that a run sets up.
#[derive(Debug)]
pub struct CompileCache<'r, 'p> {
    /// The step that installs or starts it.
    pub did: &'r Did<'p>,
    /// Its program.
    pub tool: &'static str,
    /// The line to show.
    pub line: u32,
}

/// The programs that keep compilations.
const TOOLS: &[&str] = &["sccache", "kache", "mbx"];

/// The compile caches that a run installs or starts.
#[must_use]
pub fn compile_caches<'r, 'p>(run: &'r Run<'p>) -> Vec<CompileCache<'r, 'p>> {
    run.steps
        .iter()
        .filter(|did| did.done != Some(false))
        .filter_map(installs)
        .collect()
}

fn installs<'r, 'p>(did: &'r Did<'p>) -> Option<CompileCache<'r, 'p>> {
    let found = |tool, line| Some(CompileCache { did, tool, line });
    match did.kind {
        Kind::Sccache => return found("sccache", did.step.line()),
        Kind::Ccache if did.step.with("variant") == Some("sccache") => {
            return found("sccache", did.step.line());
        }
        Kind::Install => {
            let said = ["tool", "crate"]
                .iter()
                .find_map(|input| did.step.with(input))
                .unwrap_or_default();
            let named = said
                .split([',', '\n', ' '])
                .map(|name| name.split('@').next().unwrap_or_default().trim());
            for name in named {
                if let Some(tool) = TOOLS.iter().find(|tool| **tool == name) {
                    return found(tool, did.step.line());
                }
            }
        }
        _ => {}
    }
    did.calls.iter().find_map(|call| {
        let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
        let installing = words
            .iter()
            .any(|word| matches!(*word, "install" | "binstall"))
            && !words.contains(&"uninstall");
        let tool = TOOLS.iter().find(|tool| {
            words
                .iter()
                .any(|word| word.split('@').next() == Some(**tool))
        })?;
        (installing || words.contains(&"--start-server")).then_some(CompileCache {
            did,
            tool,
            line: call.line,
        })
    })
}

/// The wrapper that a call of cargo's gives to rustc, from its environment or the project's configuration.
#[must_use]
pub fn wrapper(project: &Project, env: &Env) -> Option<String> {
    for name in [
        "RUSTC_WRAPPER",
        "CARGO_BUILD_RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    ] {
        if let Some(value) = env.get(name) {
            return (!value.is_empty()).then(|| value.clone());
        }
    }
    let said = project
        .config_value("build.rustc-wrapper")
        .or_else(|| project.config_value("build.rustc-workspace-wrapper"))?;
    said.as_str()
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

/// Whether a compile of C is given to the cache: `CC="sccache cc"`, or cmake's launchers.
#[must_use]
pub fn wraps_c(env: &Env, tool: &str) -> bool {
    env.iter().any(|(name, value)| {
        (matches!(name.as_str(), "CC" | "CXX" | "HOST_CC")
            || name.ends_with("COMPILER_LAUNCHER")
            || name.starts_with("CC_")
            || name.starts_with("CXX_"))
            && value.contains(tool)
    })
}

/// Whether sccache is told to keep compilations anywhere but on the machine's disk.
#[must_use]
pub fn remote(env: &Env) -> bool {
    let said = |name: &str| {
        env.get(name)
            .is_some_and(|value| !matches!(value.as_str(), "" | "false" | "off" | "0"))
    };
    env.keys().any(|name| {
        [
            "SCCACHE_BUCKET",
            "SCCACHE_GCS_BUCKET",
            "SCCACHE_REDIS",
            "SCCACHE_MEMCACHED",
            "SCCACHE_AZURE",
            "SCCACHE_WEBDAV",
            "SCCACHE_OSS",
            "SCCACHE_COS",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
            && said(name)
    }) || said("SCCACHE_GHA_ENABLED")
        || said("SCCACHE_GHA_CACHE_URL")
}

/// Whether a call is a compile that a cache could help.
#[must_use]
pub fn compiles(call: &Call) -> bool {
    call.cargo.as_ref().is_some_and(super::CargoCall::compiles)
}
