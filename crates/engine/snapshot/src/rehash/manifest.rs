//! Which files a manifest counts as its package's.

use std::io;
use std::path::Path;

use toml::Table;

/// `package.include` and `package.exclude`: patterns as in `.gitignore`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// If there are any, nothing else belongs to the package.
    pub include: Vec<String>,
    /// What does not belong to it; without effect where `include` has anything.
    pub exclude: Vec<String>,
}

impl Rules {
    /// Those of the package at `package_root`; what it inherits comes from the workspace at `workspace_root`.
    /// `None` where a manifest is not what cargo accepts.
    ///
    /// # Errors
    /// As reading the manifests.
    pub fn of(package_root: &Path, workspace_root: &Path) -> io::Result<Option<Self>> {
        let manifest = |root: &Path| {
            let text = rekindle_fsx::read_to_string(&root.join("Cargo.toml"))?;
            io::Result::Ok(text.parse::<Table>().ok())
        };
        let Some(package) = manifest(package_root)? else {
            return Ok(None);
        };
        let named = ["package", "project"];
        let Some(own) = named.iter().find_map(|name| package.get(*name)?.as_table()) else {
            return Ok(None);
        };
        let inherits = |key| own.get(key).is_some_and(toml::Value::is_table);
        let workspace = if !inherits("include") && !inherits("exclude") {
            Table::new()
        } else if package.contains_key("workspace") {
            package.clone()
        } else {
            match manifest(workspace_root)? {
                Some(workspace) => workspace,
                None => return Ok(None),
            }
        };
        let shared = workspace
            .get("workspace")
            .and_then(|table| table.get("package"))
            .and_then(toml::Value::as_table);
        let rules = patterns(own, shared, "include").zip(patterns(own, shared, "exclude"));
        Ok(rules.map(|(include, exclude)| Self { include, exclude }))
    }
}

/// The patterns under `key`; `None` where something else is there.
fn patterns(own: &Table, shared: Option<&Table>, key: &str) -> Option<Vec<String>> {
    let value = match own.get(key) {
        None => return Some(Vec::new()),
        Some(toml::Value::Table(reference)) => {
            let inherited = reference.get("workspace") == Some(&toml::Value::Boolean(true));
            inherited.then_some(shared?.get(key)?)?
        }
        Some(value) => value,
    };
    let text = |pattern: &toml::Value| pattern.as_str().map(str::to_owned);
    value.as_array()?.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(package: &str, workspace: &str, expected: Option<(&[&str], &[&str])>) {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        rekindle_fsx::create_dir_all(&root.join("member")).unwrap();
        rekindle_fsx::atomic::write(&root.join("Cargo.toml"), workspace.as_bytes()).unwrap();
        rekindle_fsx::atomic::write(&root.join("member/Cargo.toml"), package.as_bytes()).unwrap();
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let expected = expected.map(|(include, exclude)| Rules {
            include: own(include),
            exclude: own(exclude),
        });
        assert_eq!(Rules::of(&root.join("member"), root).unwrap(), expected);
    }

    #[test]
    fn own_patterns_are_taken() {
        check("[package]\nname = 'a'", "", Some((&[], &[])));
        check(
            "[package]\ninclude = ['src', '/x*']\nexclude = ['y']",
            "",
            Some((&["src", "/x*"], &["y"])),
        );
        check("[project]\nexclude = ['y']", "", Some((&[], &["y"])));
    }

    #[test]
    fn inherited_patterns_come_from_the_workspace() {
        let inherits = "[package]\ninclude.workspace = true\nexclude = ['own']";
        let shared = "[workspace.package]\ninclude = ['a']\nexclude = ['shared']";
        check(inherits, shared, Some((&["a"], &["own"])));
        let root_package = format!("{inherits}\n{shared}");
        check(&root_package, "", Some((&["a"], &["own"])));
    }

    #[test]
    fn what_cargo_refuses_gives_nothing() {
        check("[package", "", None);
        check("[workspace]", "", None);
        check("[package]\ninclude = 'src'", "", None);
        check("[package]\ninclude = [1]", "", None);
        check("[package]\ninclude.workspace = true", "[workspace]", None);
        check("[package]\ninclude.workspace = true", "[workspace", None);
        check(
            "[package]\ninclude.workspace = false",
            "[workspace.package]\ninclude = ['a']",
            None,
        );
    }
}
