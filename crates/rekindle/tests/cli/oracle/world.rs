//! What is in the repository, as data, and what its programs must print: pure.
//!
//! Every part that a crate is made of is one [`Field`]: the expression that stands in its source and the
//! text that this expression must come to. So what is generated and what is expected cannot drift apart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a crate may have beside its modules, as bits of [`Member::aspects`].
pub(super) mod aspect {
    pub(crate) const TEXT: u8 = 1;
    pub(crate) const PART: u8 = 1 << 1;
    pub(crate) const WORD: u8 = 1 << 2;
    pub(crate) const DIR: u8 = 1 << 3;
    pub(crate) const WARNS: u8 = 1 << 4;
    pub(crate) const MACRO: u8 = 1 << 5;
    pub(crate) const LEAF: u8 = 1 << 6;
    pub(crate) const HELPER: u8 = 1 << 7;
}

/// What a build script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    None,
    /// Lists a directory and declares nothing.
    Silent,
    /// `rerun-if-changed` of a file; sets a variable for the compiler.
    Watches,
    /// `rerun-if-env-changed`.
    Env,
    /// `rerun-if-changed` of a directory.
    Lists,
    /// Compiles C, and tells where the archive is.
    Native,
    /// Writes a module into the sources, where git ignores it.
    Writes,
    /// Reads a file that it does not declare.
    Reads,
}

impl Script {
    pub(super) const ALL: [Self; 8] = [
        Self::None,
        Self::Silent,
        Self::Watches,
        Self::Env,
        Self::Lists,
        Self::Native,
        Self::Writes,
        Self::Reads,
    ];
}

/// A crate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) name: String,
    /// Relative to the workspace.
    pub(super) dir: String,
    pub(super) patch: u32,
    pub(super) value: u32,
    pub(super) modules: BTreeMap<String, u32>,
    pub(super) text: u32,
    pub(super) part: u32,
    /// What a build script reads.
    pub(super) template: u32,
    /// What a build script lists; never empty, since git keeps no empty directory.
    pub(super) parts: BTreeMap<String, u32>,
    pub(super) script: Script,
    pub(super) aspects: u8,
    /// Crates that it uses, and whether with their feature `fancy`.
    pub(super) deps: BTreeMap<String, bool>,
    pub(super) is_program: bool,
}

/// A repository: a workspace in `ws`, and a crate beside it in `side`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct World {
    /// Outside of the workspace's directory.
    pub(super) side: Member,
    /// A crate uses only those before it. The last is a program.
    pub(super) members: Vec<Member>,
    /// The number that the procedural macro expands to.
    pub(super) number: u32,
    /// Version and value of the vendored crate.
    pub(super) leaf: (u32, u32),
    /// `debug-assertions` of the profile `dev`.
    pub(super) checks: bool,
    pub(super) readme: u32,
    /// What cargo's configuration sets for compilers and build scripts.
    pub(super) setting: u32,
}

/// What is set around a build.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Around {
    /// Read by crates.
    pub(super) word: Option<u32>,
    /// Read by build scripts that declare it.
    pub(super) script: Option<u32>,
    /// `--cfg extra` in `RUSTFLAGS`.
    pub(super) extra: bool,
    pub(super) incremental: bool,
    pub(super) layout: Layout,
}

/// Where cargo builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Default,
    /// `build.build-dir` is elsewhere.
    BuildDir,
    /// `build.target-dir` is elsewhere.
    TargetDir,
}

/// One build of a world.
pub(super) struct View<'a> {
    pub(super) world: &'a World,
    pub(super) around: &'a Around,
    /// The repository's checkout.
    pub(super) root: &'a Path,
    pub(super) release: bool,
    /// The packages that were asked for; features depend on them.
    pub(super) selected: Vec<&'a Member>,
}

/// A part of a crate.
pub(super) struct Field {
    pub(super) label: String,
    pub(super) code: String,
    pub(super) expected: String,
}

impl World {
    /// A crate that uses nothing.
    pub(super) fn plain_member(name: &str, number: u32) -> Member {
        Member {
            name: name.to_owned(),
            dir: name.to_owned(),
            patch: 0,
            value: number,
            modules: BTreeMap::from([("one".to_owned(), number), ("two".to_owned(), number + 1)]),
            text: number,
            part: number,
            template: number,
            parts: BTreeMap::from([("p".to_owned(), number), ("q".to_owned(), number)]),
            script: Script::None,
            aspects: 0,
            deps: BTreeMap::new(),
            is_program: false,
        }
    }

    /// Any crate of the repository by its name.
    pub(super) fn find(&self, name: &str) -> &Member {
        let mut all = self.members.iter().chain([&self.side]);
        all.find(|member| member.name == name).unwrap()
    }
}

impl Member {
    pub(super) fn has(&self, aspect: u8) -> bool {
        self.aspects & aspect != 0
    }

    /// Whether its build script tells those of its users a number.
    pub(super) fn tells(&self) -> bool {
        self.script == Script::Watches
    }

    /// The crates whose build scripts tell this one's.
    pub(super) fn told_by<'a>(&self, world: &'a World) -> Vec<&'a Self> {
        let deps = self.deps.keys().map(|name| world.find(name));
        deps.filter(|dep| dep.tells()).collect()
    }

    /// Whether something reads a file of it that nobody declares.
    pub(super) fn is_read_undeclared(&self) -> bool {
        self.script == Script::Reads || self.has(aspect::MACRO)
    }

    /// A directory in which a plain cargo misses that a file is gone.
    pub(super) fn hides_deletions(&self) -> bool {
        self.script == Script::Silent
    }

    fn made(&self, view: &View<'_>) -> String {
        let mut made = match self.script {
            Script::None => return String::new(),
            Script::Silent | Script::Lists => {
                let parts = self.parts.iter();
                let shown: Vec<_> = parts.map(|(name, n)| format!("{name}:{n}")).collect();
                shown.join(",")
            }
            Script::Watches | Script::Native | Script::Writes | Script::Reads => {
                self.template.to_string()
            }
            Script::Env => shown(view.around.script),
        };
        if self.has(aspect::HELPER) {
            made += &format!("+{}", view.world.side.value);
        }
        for told in self.told_by(view.world) {
            made += &format!("/{}", told.template);
        }
        made
    }

    /// All that the crate is made of.
    pub(super) fn fields(&self, view: &View<'_>) -> Vec<Field> {
        let mut fields = Vec::new();
        let mut add = |label: &str, code: &str, expected: String| {
            fields.push(Field {
                label: label.to_owned(),
                code: code.to_owned(),
                expected,
            });
        };
        let version = format!("0.1.{}", self.patch);
        add("version", "env!(\"CARGO_PKG_VERSION\")", version);
        add("value", "VALUE", self.value.to_string());
        for (name, value) in &self.modules {
            add(name, &format!("{name}::V"), value.to_string());
        }
        let included = self.made(view);
        match self.script {
            Script::None => {}
            Script::Watches => {
                add("set", "env!(\"ORACLE_SET\")", self.template.to_string());
            }
            Script::Native => {
                let native = format!("&unsafe {{ native_{}() }}.to_string()", self.name);
                add("native", &native, self.template.to_string());
            }
            Script::Writes => add("generated", "generated::V", self.template.to_string()),
            Script::Silent | Script::Env | Script::Lists | Script::Reads => {}
        }
        if self.script != Script::None {
            let code = "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"))";
            add("made", code, included);
        }
        if self.has(aspect::TEXT) {
            add(
                "text",
                "include_str!(\"../text.txt\")",
                self.text.to_string(),
            );
        }
        if self.has(aspect::PART) {
            add("part", "include!(\"part.in\")", self.part.to_string());
        }
        if self.has(aspect::WORD) {
            let code = "option_env!(\"ORACLE_WORD\").unwrap_or(\"-\")";
            add("word", code, shown(view.around.word));
            let code = "option_env!(\"ORACLE_SETTING\").unwrap_or(\"-\")";
            add("setting", code, view.world.setting.to_string());
        }
        if self.has(aspect::MACRO) {
            add("number", "mac::number!()", view.world.number.to_string());
            add("aside", "mac::aside!()", self.template.to_string());
        }
        if self.has(aspect::LEAF) {
            let (version, value) = view.world.leaf;
            add("leaf", "leaf::SHOWN", format!("1.0.{version}={value}"));
        }
        if self.has(aspect::DIR) {
            let dir = view.directory(self);
            add("dir", "env!(\"CARGO_MANIFEST_DIR\")", dir);
            // Elsewhere it is a name that Rekindle gives, by design.
            if !self.dir.starts_with("../") {
                add("file", "file!()", format!("{}/src/lib.rs", self.dir));
            }
        }
        let yes = |cfg: &str| format!("if cfg!({cfg}) {{ \"yes\" }} else {{ \"no\" }}");
        let said = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let is_fancy = view.fancy().contains(&self.name);
        add("fancy", &yes("feature = \"fancy\""), said(is_fancy));
        add("extra", &yes("extra"), said(view.around.extra));
        let checks = view.world.checks && !view.release;
        add("checks", &yes("debug_assertions"), said(checks));
        fields
    }

    /// The line that the crate shows of itself.
    fn line(&self, view: &View<'_>) -> String {
        let fields = self.fields(view).into_iter();
        let shown = fields.map(|field| format!(" {}={}", field.label, field.expected));
        self.name.clone() + &shown.collect::<String>()
    }
}

impl<'a> View<'a> {
    /// What the crate shows of itself, and of all that it uses.
    pub(super) fn lines(&self, member: &Member) -> Vec<String> {
        let mut lines = vec![member.line(self)];
        for name in member.deps.keys() {
            lines.extend(self.lines(self.world.find(name)));
        }
        lines
    }

    /// The crates whose feature is on: one crate that asks for it is enough.
    fn fancy(&self) -> BTreeSet<String> {
        let mut fancy = BTreeSet::new();
        for member in self.reached() {
            let asked = member.deps.iter().filter(|(_, fancy)| **fancy);
            fancy.extend(asked.map(|(name, _)| name.clone()));
        }
        fancy
    }

    /// What is built: what was asked for, and all that it uses.
    pub(super) fn reached(&self) -> Vec<&'a Member> {
        let mut reached: Vec<&'a Member> = Vec::new();
        let mut pending = self.selected.clone();
        while let Some(member) = pending.pop() {
            if !reached.iter().any(|other| other.name == member.name) {
                reached.push(member);
                let deps = member.deps.keys().map(|name| self.world.find(name));
                pending.extend(deps);
            }
        }
        reached
    }

    /// What the compiler warns of.
    pub(super) fn warnings(&self) -> BTreeSet<String> {
        let warning = self
            .reached()
            .into_iter()
            .filter(|member| member.has(aspect::WARNS));
        warning
            .map(|member| format!("{} warns {}", member.name, member.value))
            .collect()
    }

    pub(super) fn directory(&self, member: &Member) -> String {
        let dir = match member.dir.strip_prefix("../") {
            Some(outside) => self.root.join(outside),
            None => self.root.join("ws").join(&member.dir),
        };
        dir.to_str().unwrap().to_owned()
    }
}

fn shown(value: Option<u32>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}
