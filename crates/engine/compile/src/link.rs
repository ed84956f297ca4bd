//! Which linker makes a unit's output, and what it read.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rekindle_base::DigestHasher;
use rekindle_events::UncacheableReason;
use rekindle_key::pathset::Name;
use rekindle_key::table::LINKER_ENV_NAMES;
use rekindle_key::{Invocation, Manifest, Tag, makefile};

use crate::context::Context;
use crate::inputs::{Unit, unreadable};
use crate::natives;
use crate::settings::LinkerChoice;
use crate::shim::{LinkRun, Plan};
use crate::toolchain::Toolchain;

/// How a unit is linked.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// By a driver whose linker lists what it reads, through the shim.
    Asked(LinkPlan),
    /// By a program of which nothing is known beforehand, so that the whole compile is observed; and why.
    Watched(String),
}

impl Link {
    /// Prefers to ask: a link that is observed cannot be timed, and no faster linker is chosen for it.
    pub(crate) fn new(
        context: &Context<'_>,
        invocation: &Invocation,
        toolchain: &Toolchain,
    ) -> Result<Self, UncacheableReason> {
        match LinkPlan::new(context, invocation, toolchain) {
            Ok(plan) => Ok(Self::Asked(plan)),
            Err(UncacheableReason::UnknownLinker { detail }) if context.settings.can_observe() => {
                Ok(Self::Watched(detail))
            }
            Err(reason) => Err(reason),
        }
    }

    pub(crate) fn asked(&self) -> Option<&LinkPlan> {
        match self {
            Self::Asked(plan) => Some(plan),
            Self::Watched(_) => None,
        }
    }

    /// Adds what is known before linking.
    pub(crate) fn push(
        &self,
        unit: &Unit<'_>,
        manifest: &mut Manifest,
    ) -> Result<(), UncacheableReason> {
        if let Self::Asked(plan) = self {
            plan.push_driver(unit, manifest)?;
        }
        for name in LINKER_ENV_NAMES {
            if let Some(value) = unit.context.environment.get(name) {
                manifest.push(Tag::LinkerEnv, name, value.as_bytes());
            }
        }
        Ok(())
    }
}

/// A link through the shim.
#[derive(Clone, Debug)]
pub(crate) struct LinkPlan {
    /// The driver as rustc would start it.
    driver: OsString,
    /// Its file.
    driver_file: PathBuf,
    /// Arguments that choose a linker, and the choice's name.
    choice: Vec<OsString>,
    choice_name: String,
    /// As [`Plan`] has it.
    keeps_symbols: bool,
}

fn unknown(detail: impl Into<String>) -> UncacheableReason {
    UncacheableReason::UnknownLinker {
        detail: detail.into(),
    }
}

impl LinkPlan {
    fn new(
        context: &Context<'_>,
        invocation: &Invocation,
        toolchain: &Toolchain,
    ) -> Result<Self, UncacheableReason> {
        check_flavor(invocation)?;
        let driver = invocation
            .link
            .linker
            .clone()
            .unwrap_or_else(|| "cc".into());
        let file = context.environment.find_program(&driver).ok_or_else(|| {
            unknown(format!(
                "the driver `{}` is not on PATH",
                driver.to_string_lossy()
            ))
        })?;
        let driver_file =
            rekindle_fsx::canonicalize(&file).map_err(|error| unreadable(&file, &error))?;
        let is_program =
            crate::elf::is_elf(&driver_file).map_err(|error| unreadable(&driver_file, &error))?;
        if !is_program {
            return Err(unknown(format!("{} is a script", driver_file.display())));
        }
        let (choice, choice_name) = choose(&context.settings.linker, invocation, toolchain);
        Ok(Self {
            driver,
            driver_file,
            choice,
            choice_name,
            keeps_symbols: invocation.is_tool(),
        })
    }

    /// The name of the linker that was chosen for speed.
    pub(crate) fn choice(&self) -> &str {
        &self.choice_name
    }

    /// What the shim is to do.
    pub(crate) fn plan(&self) -> Plan {
        Plan {
            driver: self.driver.as_bytes().to_vec(),
            choice: self
                .choice
                .iter()
                .map(|word| word.as_bytes().to_vec())
                .collect(),
            keeps_symbols: self.keeps_symbols,
        }
    }

    /// The driver's name, as error messages of the compiler show it.
    pub(crate) fn driver(&self) -> &OsStr {
        &self.driver
    }

    fn push_driver(
        &self,
        unit: &Unit<'_>,
        manifest: &mut Manifest,
    ) -> Result<(), UncacheableReason> {
        let digest = unit
            .files
            .tool(&self.driver_file)
            .map_err(|error| unreadable(&self.driver_file, &error))?;
        manifest.push_digest(Tag::LinkerDriver, self.driver.as_bytes(), &digest);
        Ok(())
    }

    /// The names of all that a link read, from the linker's own list.
    pub(crate) fn observed(
        &self,
        unit: &Unit<'_>,
        list: &[u8],
        run: &LinkRun,
    ) -> Result<Vec<Name>, UncacheableReason> {
        let read = makefile::inputs(list)
            .ok_or_else(|| unknown("the linker did not list what it read"))?;
        let mut names = BTreeSet::new();
        let mut libraries = BTreeSet::new();
        let real_roots = unit.real_roots();
        for path in read {
            let path = unit.roots.absolute(Path::new(OsStr::from_bytes(&path)));
            // The compiler hands libraries on without links: below a target that is one they are known by cargo's names.
            let name = real_roots.canonical(&path);
            let path = unit.roots.resolve(&name).unwrap_or(path);
            if is_derived(unit, &path) {
                continue;
            }
            if !rekindle_fsx::exists(&path) {
                return Err(UncacheableReason::UnreadableInput {
                    file: path.display().to_string(),
                    error: "gone after the link".into(),
                });
            }
            if let Some(name) = library_name(&path) {
                libraries.insert(name);
            }
            names.insert(Name::LinkerFile(unit.roots.canonical(&path)));
        }
        let driver = Driver::ask(unit, self, run);
        for program in &driver.programs {
            names.insert(Name::LinkerProgram(program.clone()));
        }
        // A library that appears earlier in the search path would be taken instead.
        let own = natives::searched(unit.invocation).map(|dir| unit.roots.absolute(dir));
        for directory in own.chain(driver.directories.iter().cloned()) {
            for library in &libraries {
                for ending in ["so", "a"] {
                    let path = directory.join(format!("lib{library}.{ending}"));
                    if !rekindle_fsx::exists(&path) {
                        names.insert(Name::Absent(unit.roots.canonical(&path)));
                    }
                }
            }
        }
        Ok(names.into_iter().collect())
    }
}

/// The shim stands in for a driver of gcc's kind, on Linux.
fn check_flavor(invocation: &Invocation) -> Result<(), UncacheableReason> {
    if let Some(flavor) = &invocation.link.flavor
        && !matches!(flavor.as_str(), "gcc" | "gnu-cc" | "gnu-lld-cc")
    {
        return Err(unknown(format!("the linker flavour `{flavor}`")));
    }
    if let Some(target) = &invocation.target {
        if target.ends_with(".json") {
            return Err(unknown("the target's specification names the linker"));
        }
        if !target.contains("-linux-") {
            return Err(unknown(format!("the target `{target}`")));
        }
    }
    if let Some(linker) = &invocation.link.linker {
        let stem = Path::new(linker)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let is_driver = ["cc", "gcc", "clang", "g++", "c++", "clang++"]
            .iter()
            .any(|name| {
                stem == *name || stem.ends_with(&format!("-{name}")) || versioned(&stem, name)
            });
        if !is_driver {
            return Err(unknown(format!(
                "`{}` is not a driver of gcc's kind",
                linker.to_string_lossy()
            )));
        }
    }
    Ok(())
}

/// `gcc-12`, `clang-14`, `x86_64-linux-gnu-gcc-12`.
fn versioned(stem: &str, name: &str) -> bool {
    let Some((rest, version)) = stem.rsplit_once('-') else {
        return false;
    };
    version
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
        && (rest == name || rest.ends_with(&format!("-{name}")))
}

/// The arguments that choose a linker. The user's own choice wins, whatever the setting; code that the
/// linker generates needs the linker that rustc was built with.
fn choose(
    setting: &LinkerChoice,
    invocation: &Invocation,
    toolchain: &Toolchain,
) -> (Vec<OsString>, String) {
    let none = (Vec::new(), "none".to_owned());
    if invocation.link.user_chose || invocation.link.plugin_lto {
        return none;
    }
    let name = match setting {
        LinkerChoice::System => return none,
        LinkerChoice::Named(name) => name.as_str(),
        LinkerChoice::Auto if uses_rust_lld(invocation, toolchain) => return none,
        LinkerChoice::Auto => "rust-lld",
    };
    if name != "rust-lld" {
        return (vec![format!("-fuse-ld={name}").into()], name.to_owned());
    }
    let Some(directory) = &toolchain.gcc_ld else {
        return none;
    };
    let mut search = OsString::from("-B");
    search.push(directory);
    (vec![search, "-fuse-ld=lld".into()], name.to_owned())
}

/// From 1.90 rustc itself takes its own lld on this target.
fn uses_rust_lld(invocation: &Invocation, toolchain: &Toolchain) -> bool {
    let target = invocation.target.as_deref();
    let host = cfg!(all(target_arch = "x86_64", target_env = "gnu"));
    let is_gnu = target.map_or(host, |target| target == "x86_64-unknown-linux-gnu");
    // Other targets are linked with start files and libraries that their own driver knows best.
    is_gnu || toolchain.gcc_ld.is_none() || target.is_some_and(|target| target.contains("musl"))
}

/// Files that the compiler made for this link from inputs that are keyed otherwise.
fn is_derived(unit: &Unit<'_>, path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    // The compiler makes a directory `rustcXXXXXX` beside the output or among temporary files.
    let temporary = unit
        .context
        .environment
        .get("TMPDIR")
        .map_or(Path::new("/tmp"), Path::new);
    let out_dir = unit.roots.absolute(&unit.invocation.out_dir);
    let in_temporary = [temporary, &out_dir].iter().any(|place| {
        path.strip_prefix(place).is_ok_and(|rest| {
            rest.components().count() > 1 && rest.as_os_str().as_bytes().starts_with(b"rustc")
        })
    });
    let is_object = bytes.ends_with(b".rcgu.o") || bytes.ends_with(b".rcgu.rmeta");
    let is_crate =
        (bytes.ends_with(b".rlib") || bytes.ends_with(b".so")) && unit.files.output(path).is_some();
    in_temporary || is_object || is_crate || path.starts_with(&unit.toolchain.sysroot)
}

/// `z` of `/usr/lib/libz.so.1`.
fn library_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_prefix("lib")?;
    let end = name
        .find(".so")
        .or_else(|| name.strip_suffix(".a").map(str::len))?;
    Some(name[..end].to_owned())
}

/// What the driver says of itself.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Driver {
    /// Programs that it starts.
    programs: Vec<Vec<u8>>,
    /// Directories that it searches for libraries.
    directories: Vec<PathBuf>,
}

impl Driver {
    /// Asks the driver, once for its bytes and the arguments that choose programs.
    fn ask(unit: &Unit<'_>, plan: &LinkPlan, run: &LinkRun) -> Self {
        let mut choosing: Vec<OsString> = run
            .choosing
            .iter()
            .cloned()
            .map(OsString::from_vec)
            .collect();
        if !run.fell_back {
            choosing.extend(plan.choice.iter().cloned());
        }
        let mut hasher = DigestHasher::new();
        hasher
            .field(b"driver 1")
            .field(plan.driver_file.as_os_str().as_bytes());
        if let Ok(digest) = unit.files.tool(&plan.driver_file) {
            hasher.field(digest.as_bytes());
        }
        for name in LINKER_ENV_NAMES.iter().chain(&["PATH"]) {
            hasher.field(
                unit.context
                    .environment
                    .get(name)
                    .unwrap_or_default()
                    .as_bytes(),
            );
        }
        for word in &choosing {
            hasher.field(word.as_bytes());
        }
        let key = hasher.finish();
        if let Some(driver) = unit.files.memo::<Self>(&key) {
            return driver;
        }
        let driver = Self::ask_now(unit, plan, &choosing);
        unit.files.remember(&key, &driver);
        driver
    }

    fn ask_now(unit: &Unit<'_>, plan: &LinkPlan, choosing: &[OsString]) -> Self {
        let ask = |question: &str| {
            let output = Command::new(&plan.driver)
                .args(choosing)
                .arg(question)
                .stdin(Stdio::null())
                .output()
                .ok()?;
            let text = output.stdout.trim_ascii().to_vec();
            (output.status.success() && !text.is_empty()).then_some(text)
        };
        let linker = choosing
            .iter()
            .rev()
            .find_map(|word| word.as_bytes().strip_prefix(b"-fuse-ld=".as_slice()));
        let ld = match linker {
            Some(name) if name.starts_with(b"/") => None,
            Some(name) => Some(format!(
                "-print-prog-name=ld.{}",
                String::from_utf8_lossy(name)
            )),
            None => Some("-print-prog-name=ld".to_owned()),
        };
        let mut programs: Vec<Vec<u8>> = Vec::new();
        programs.extend(
            linker
                .filter(|name| name.starts_with(b"/"))
                .map(<[u8]>::to_vec),
        );
        programs.extend(ld.and_then(|question| ask(&question)));
        programs.extend(ask("-print-prog-name=collect2"));
        programs.extend(ask("-print-file-name=liblto_plugin.so"));
        programs.extend(ask("-print-file-name=specs"));
        let environment = unit.context.environment;
        programs.retain(|program| {
            let file = environment.find_program(OsStr::from_bytes(program));
            file.is_some_and(|file| {
                rekindle_fsx::exists(&file) && !file.starts_with(&unit.toolchain.sysroot)
            })
        });
        let directories = ask("-print-search-dirs").unwrap_or_default();
        Self {
            programs,
            directories: library_directories(&directories),
        }
    }
}

/// The directories of `libraries: =/a:/b`.
fn library_directories(text: &[u8]) -> Vec<PathBuf> {
    let line = text
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"libraries: =".as_slice()));
    let mut directories: Vec<PathBuf> = line
        .unwrap_or_default()
        .split(|byte| *byte == b':')
        .filter(|path| !path.is_empty())
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .map(|path| rekindle_fsx::canonicalize(&path).unwrap_or(path))
        .collect();
    directories.sort();
    directories.dedup();
    directories
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_named_as_linkers_look_for_them() {
        for (path, name) in [
            ("/usr/lib/libz.so.1", Some("z")),
            ("/usr/lib/libc.a", Some("c")),
            ("/usr/lib/crt1.o", None),
            ("/usr/lib/libgcc_s.so", Some("gcc_s")),
        ] {
            assert_eq!(library_name(Path::new(path)).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn versioned_drivers_are_drivers() {
        assert!(versioned("gcc-12", "gcc"));
        assert!(versioned("x86_64-linux-gnu-gcc-12", "gcc"));
        assert!(!versioned("gcc", "gcc"));
        assert!(!versioned("gcc-wrapper", "gcc"));
    }
}
