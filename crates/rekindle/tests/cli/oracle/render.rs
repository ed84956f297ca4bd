//! The files of a repository: pure.

use std::collections::BTreeMap;
use std::path::Path;

use super::world::{Around, Layout, Member, Script, View, World, aspect};

/// Texts by path, relative to the repository.
pub(super) type Files = BTreeMap<String, String>;

/// All that is committed, but for `Cargo.lock`.
pub(super) fn files(world: &World) -> Files {
    let mut files = Files::new();
    let mut put = |path: &str, text: String| files.insert(path.to_owned(), text);
    put(
        ".gitignore",
        "/ws/target\n/ws/build\ngenerated.rs\n".to_owned(),
    );
    put("README.md", format!("{}\n", world.readme));
    put("ws/Cargo.toml", workspace(world));
    put(
        "ws/.cargo/config.toml",
        format!(
            "[source.crates-io]\nreplace-with = 'vendored'\n[source.vendored]\ndirectory = 'vendor'\n\
             [env]\nORACLE_SETTING = '{}'\n",
            world.setting
        ),
    );
    put(
        "ws/mac/Cargo.toml",
        "[package]\nname = 'mac'\nversion = '0.1.0'\nedition = '2021'\n\
         [lib]\nproc-macro = true\ntest = false\ndoctest = false\n"
            .to_owned(),
    );
    let number = format!(
        "#[proc_macro]\npub fn number(_: proc_macro::TokenStream) -> proc_macro::TokenStream {{\n    \
         \"\\\"{}\\\"\".parse().unwrap()\n}}\n\
         #[proc_macro]\npub fn aside(_: proc_macro::TokenStream) -> proc_macro::TokenStream {{\n    \
         let dir = std::env::var(\"CARGO_MANIFEST_DIR\").unwrap();\n    \
         let text = std::fs::read_to_string(dir + \"/aside\").unwrap();\n    \
         format!(\"{{text:?}}\").parse().unwrap()\n}}\n",
        world.number
    );
    put("ws/mac/src/lib.rs", number);
    vendored(world, &mut files);
    for member in world.members.iter().chain([&world.side]) {
        for (name, text) in of_member(world, member) {
            let path = match member.dir.strip_prefix("../") {
                Some(outside) => format!("{outside}/{name}"),
                None => format!("ws/{}/{name}", member.dir),
            };
            files.insert(path, text);
        }
    }
    files
}

fn workspace(world: &World) -> String {
    let dirs = world.members.iter().map(|member| member.dir.as_str());
    let dirs: Vec<&str> = dirs.chain(["mac"]).collect();
    format!(
        "[workspace]\nmembers = {dirs:?}\nexclude = ['vendor']\nresolver = '2'\n\
         [profile.dev]\ndebug = 0\ndebug-assertions = {}\n",
        world.checks
    )
}

/// A crate of the registry, in a directory that stands for it. No digests are given for its files,
/// so that a change in place is possible, as people make them.
fn vendored(world: &World, files: &mut Files) {
    let (version, value) = world.leaf;
    let mut put = |name: &str, text: String| files.insert(format!("ws/vendor/leaf/{name}"), text);
    put(
        "Cargo.toml",
        format!("[package]\nname = 'leaf'\nversion = '1.0.{version}'\nedition = '2021'\n"),
    );
    put(
        "src/lib.rs",
        format!("pub const SHOWN: &str = concat!(env!(\"CARGO_PKG_VERSION\"), \"={value}\");\n"),
    );
    put(
        ".cargo-checksum.json",
        format!("{{\"files\":{{}},\"package\":\"{version:064x}\"}}\n"),
    );
}

fn of_member(world: &World, member: &Member) -> Files {
    let mut files = Files::new();
    let mut put = |name: &str, text: String| files.insert(name.to_owned(), text);
    put("Cargo.toml", manifest(world, member));
    put("src/lib.rs", library(world, member));
    for (name, value) in &member.modules {
        put(
            &format!("src/{name}.rs"),
            format!("pub const V: &str = \"{value}\";\n"),
        );
    }
    if member.has(aspect::TEXT) {
        put("text.txt", member.text.to_string());
    }
    if member.has(aspect::MACRO) {
        put("aside", member.template.to_string());
    }
    if member.has(aspect::PART) {
        put("src/part.in", format!("\"{}\"\n", member.part));
    }
    if member.is_program {
        let main = format!(
            "fn main() {{\n    for line in {}::lines() {{\n        println!(\"{{line}}\");\n    }}\n}}\n",
            member.name
        );
        put("src/main.rs", main);
        let test = format!(
            "#[test]\nfn whole() {{\n    for line in {}::lines() {{\n        println!(\"whole {{line}}\");\n    }}\n}}\n",
            member.name
        );
        put("tests/whole.rs", test);
    }
    if member.script != Script::None {
        put("build.rs", build_script(world, member));
    }
    match member.script {
        Script::None | Script::Env => {}
        Script::Silent | Script::Lists => {
            for (name, value) in &member.parts {
                put(&format!("parts/{name}"), value.to_string());
            }
        }
        Script::Watches | Script::Writes | Script::Reads => {
            put("template", member.template.to_string());
        }
        Script::Native => {
            let code = format!(
                "int native_{}(void) {{ return {}; }}\n",
                member.name, member.template
            );
            put("native.c", code);
        }
    }
    files
}

fn manifest(world: &World, member: &Member) -> String {
    let mut text = format!(
        "[package]\nname = '{}'\nversion = '0.1.{}'\nedition = '2021'\n\
         {}[lib]\ndoctest = false\n[features]\nfancy = []\n[dependencies]\n",
        member.name,
        member.patch,
        if member.tells() {
            format!("links = '{}'\n", member.name)
        } else {
            String::new()
        },
    );
    if member.is_program {
        // The tests of a program's own file would only be one more link.
        text = text.replace(
            "[features]",
            &format!(
                "[[bin]]\nname = '{}'\npath = 'src/main.rs'\ntest = false\n[features]",
                member.name
            ),
        );
    }
    let up = "../".repeat(member.dir.split('/').count());
    for (name, fancy) in &member.deps {
        let features = if *fancy { ", features = ['fancy']" } else { "" };
        let dir = &world.find(name).dir;
        text += &format!("{name} = {{ path = '{up}{dir}'{features} }}\n");
    }
    if member.has(aspect::MACRO) {
        text += &format!("mac = {{ path = '{up}mac' }}\n");
    }
    if member.has(aspect::LEAF) {
        text += &format!("leaf = '=1.0.{}'\n", world.leaf.0);
    }
    if member.has(aspect::HELPER) {
        let dir = &world.side.dir;
        text += &format!("[build-dependencies]\nside = {{ path = '{up}{dir}' }}\n");
    }
    text
}

/// Code is the same whatever the surroundings, so any will do.
fn library(world: &World, member: &Member) -> String {
    let around = Around {
        word: None,
        script: None,
        extra: false,
        incremental: true,
        layout: Layout::Default,
    };
    let view = View {
        world,
        around: &around,
        root: Path::new("/"),
        release: false,
        selected: Vec::new(),
    };
    let mut text = String::from("#![allow(unexpected_cfgs, unused_mut)]\n");
    for name in member.modules.keys() {
        text += &format!("mod {name};\n");
    }
    if member.script == Script::Writes {
        text += "mod generated;\n";
    }
    text += &format!("pub const VALUE: &str = \"{}\";\n", member.value);
    if member.script == Script::Native {
        text += &format!("extern \"C\" {{ fn native_{}() -> i32; }}\n", member.name);
    }
    if member.has(aspect::WARNS) {
        text += &format!(
            "#[deprecated(note = \"{} warns {}\")]\npub fn old() {{}}\npub fn new() {{ old() }}\n",
            member.name, member.value
        );
    }
    text += &format!(
        "pub fn lines() -> Vec<String> {{\n    let mut lines = vec![[\"{}\"",
        member.name
    );
    for field in member.fields(&view) {
        text += &format!(",\n        \" {}=\", {}", field.label, field.code);
    }
    text += "].concat()];\n";
    for name in member.deps.keys() {
        text += &format!("    lines.extend({name}::lines());\n");
    }
    text += "    lines\n}\n";
    // Tests that fail are behaviour, too.
    text += "#[test]\nfn shown() {\n    for line in lines() {\n        println!(\"shown {line}\");\n    }\n}\n\
             #[test]\nfn even() {\n    assert!(VALUE.parse::<u32>().unwrap() % 2 == 0);\n}\n";
    text
}

fn build_script(world: &World, member: &Member) -> String {
    let declared = match member.script {
        Script::None | Script::Silent => "",
        Script::Watches | Script::Writes => "    println!(\"cargo::rerun-if-changed=template\");\n",
        Script::Env => "    println!(\"cargo::rerun-if-env-changed=ORACLE_SCRIPT\");\n",
        Script::Lists => "    println!(\"cargo::rerun-if-changed=parts\");\n",
        Script::Reads => "    println!(\"cargo::rerun-if-changed=build.rs\");\n",
        Script::Native => "    println!(\"cargo::rerun-if-changed=native.c\");\n",
    };
    let name = &member.name;
    let made = match member.script {
        Script::None => String::new(),
        Script::Silent | Script::Lists => "    \
             let mut parts: Vec<String> = std::fs::read_dir(\"parts\").unwrap().map(|entry| {\n        \
             let entry = entry.unwrap();\n        \
             let text = std::fs::read_to_string(entry.path()).unwrap();\n        \
             format!(\"{}:{text}\", entry.file_name().into_string().unwrap())\n    \
             }).collect();\n    parts.sort();\n    let mut made = parts.join(\",\");\n"
            .to_owned(),
        Script::Watches => "    let mut made = std::fs::read_to_string(\"template\").unwrap();\n    \
             println!(\"cargo::rustc-env=ORACLE_SET={made}\");\n    \
             println!(\"cargo::metadata=number={made}\");\n"
            .to_owned(),
        Script::Writes => {
            "    let mut made = std::fs::read_to_string(\"template\").unwrap();\n    \
             std::fs::write(\"src/generated.rs\", format!(\"pub const V: &str = {made:?};\\n\")).unwrap();\n"
                .to_owned()
        }
        Script::Reads => {
            "    let mut made = std::fs::read_to_string(\"template\").unwrap();\n".to_owned()
        }
        Script::Env => {
            "    let mut made = std::env::var(\"ORACLE_SCRIPT\").unwrap_or(\"-\".to_owned());\n"
                .to_owned()
        }
        Script::Native => format!(
            "    let code = std::fs::read_to_string(\"native.c\").unwrap();\n    \
             let mut made = code.chars().skip_while(|c| *c != '{{').filter(char::is_ascii_digit).collect::<String>();\n    \
             let run = |program: &str, arguments: &[&str]| assert!(std::process::Command::new(program).args(arguments).status().unwrap().success());\n    \
             run(\"cc\", &[\"-c\", \"native.c\", \"-o\", &format!(\"{{out}}/native.o\")]);\n    \
             let _ = std::fs::remove_file(format!(\"{{out}}/liboracle_{name}.a\"));\n    \
             run(\"ar\", &[\"crs\", &format!(\"{{out}}/liboracle_{name}.a\"), &format!(\"{{out}}/native.o\")]);\n    \
             println!(\"cargo::rustc-link-search=native={{out}}\");\n    \
             println!(\"cargo::rustc-link-lib=static=oracle_{name}\");\n"
        ),
    };
    let helper = if member.has(aspect::HELPER) {
        "    made = format!(\"{made}+{}\", side::VALUE);\n"
    } else {
        "    made += \"\";\n"
    };
    let mut told = String::new();
    for dep in member.told_by(world) {
        let name = dep.name.to_uppercase();
        told += &format!(
            "    made += &format!(\"/{{}}\", std::env::var(\"DEP_{name}_NUMBER\").unwrap());\n"
        );
    }
    format!(
        "fn main() {{\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n{declared}{made}{helper}{told}    \
         std::fs::write(format!(\"{{out}}/made.rs\"), format!(\"{{made:?}}\")).unwrap();\n}}\n"
    )
}
