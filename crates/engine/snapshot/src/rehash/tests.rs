//! Made-up fingerprints; real ones are in `tests/it/rehash.rs`.

use super::*;

const OLD: &str = "1795380486.203029956s (man-page/dust.1)";
const NEW: &str = "1795380999.000000001s (src/lib.rs)";

struct Unit {
    id: String,
    hash: u64,
    json: Vec<u8>,
}

impl Unit {
    /// With what stands in `local`, and with the hashes of what it depends on.
    fn new(id: &str, local: &str, dependencies: &[u64]) -> Self {
        let deps: Vec<String> = dependencies
            .iter()
            .map(|hash| format!("[7,\"dep\",false,{hash}]"))
            .collect();
        let json = format!(
            "{{\"rustc\":1,\"features\":\"{id}\",\"declared_features\":\"\",\"target\":2,\"profile\":3,\
             \"path\":4,\"deps\":[{}],\"local\":[{local}],\"rustflags\":[],\"config\":5,\
             \"compile_kind\":0}}",
            deps.join(",")
        );
        let hash = Fingerprint::parse(json.as_bytes()).unwrap().hash_u64();
        Self {
            id: id.to_owned(),
            hash,
            json: json.into_bytes(),
        }
    }

    /// One that holds a file's time.
    fn run(id: &str) -> Self {
        Self::new(id, &format!("{{\"Precalculated\":\"{OLD}\"}}"), &[])
    }

    /// One that depends on others.
    fn on(id: &str, dependencies: &[&Unit]) -> Self {
        let hashes: Vec<u64> = dependencies.iter().map(|unit| unit.hash).collect();
        let local = "{\"CheckDepInfo\":{\"dep_info\":\"debug/x\",\"checksum\":false}}";
        Self::new(id, local, &hashes)
    }

    fn text(&self) -> String {
        String::from_utf8(self.json.clone()).unwrap()
    }
}

type Fresh<'a> = &'a dyn Fn(&Recorded<'_>, &str) -> Option<String>;

fn renewed(units: &[&Unit], fresh: Fresh<'_>) -> Rewritten {
    let hashes: Vec<Vec<u8>> = units
        .iter()
        .map(|unit| fingerprint::to_hex(unit.hash))
        .collect();
    let recorded: Vec<Recorded<'_>> = units
        .iter()
        .zip(&hashes)
        .map(|(unit, hash)| Recorded {
            id: &unit.id,
            hash_name: "lib-x",
            hash,
            json: &unit.json,
        })
        .collect();
    rewrite(&recorded, &Asked { fresh, moved: None })
}

struct Asked<'a> {
    fresh: Fresh<'a>,
    /// From and to, of all units.
    moved: Option<(&'a str, &'a str)>,
}

impl Present for Asked<'_> {
    fn newest(&self, unit: &Recorded<'_>, old: &str) -> Option<String> {
        (self.fresh)(unit, old)
    }

    fn moved(&self, _unit: &Recorded<'_>) -> Option<(PathBuf, PathBuf)> {
        self.moved.map(|(from, to)| (from.into(), to.into()))
    }
}

/// Compares which units change and which are lost, and that each changed one's hash is that of its JSON.
fn check(units: &[&Unit], changed: &[usize], lost: &[(usize, Why)]) -> Rewritten {
    let rewritten = renewed(units, &|_, _| Some(NEW.to_owned()));
    let indices: Vec<usize> = rewritten.changed.iter().map(|unit| unit.index).collect();
    assert_eq!(indices, changed, "{rewritten:?}");
    let reasons: Vec<(usize, Why)> = rewritten
        .lost
        .iter()
        .map(|unit| (unit.index, unit.why))
        .collect();
    assert_eq!(reasons, lost);
    for unit in &rewritten.changed {
        let hash = Fingerprint::parse(&unit.json).unwrap().hash_u64();
        assert_eq!(unit.hash, fingerprint::to_hex(hash));
    }
    rewritten
}

#[test]
fn a_new_text_changes_what_depends_on_it_and_nothing_else() {
    let run = Unit::run("run");
    let lib = Unit::on("lib", &[&run]);
    let other = Unit::on("other", &[]);
    let bin = Unit::on("bin", &[&other, &lib]);
    let rewritten = check(&[&bin, &other, &lib, &run], &[0, 2, 3], &[]);
    let expected_run = Unit::new("run", &format!("{{\"Precalculated\":\"{NEW}\"}}"), &[]);
    let expected_lib = Unit::on("lib", &[&expected_run]);
    let expected_bin = Unit::on("bin", &[&other, &expected_lib]);
    let expected = [&expected_bin, &expected_lib, &expected_run];
    for (changed, expected) in rewritten.changed.iter().zip(expected) {
        assert_eq!(String::from_utf8_lossy(&changed.json), expected.text());
        assert_eq!(changed.hash, fingerprint::to_hex(expected.hash));
    }
}

#[test]
fn a_hash_is_written_with_its_lowest_byte_first() {
    assert_eq!(
        fingerprint::to_hex(0x0102_0304_0506_0708),
        b"0807060504030201"
    );
    assert_eq!(
        fingerprint::from_hex(b"0807060504030201"),
        Some(0x0102_0304_0506_0708)
    );
    for wrong in [
        &b""[..],
        b"080706050403020",
        b"08070605040302011",
        b"080706050403020G",
        b"+807060504030201",
    ] {
        assert_eq!(fingerprint::from_hex(wrong), None);
    }
}

#[test]
fn what_is_not_known_or_already_so_stays() {
    let run = Unit::run("run");
    let lib = Unit::on("lib", &[&run]);
    let units = [&run, &lib];
    assert_eq!(renewed(&units, &|_, _| None), Rewritten::default());
    let same = |_: &Recorded<'_>, old: &str| Some(old.to_owned());
    assert_eq!(renewed(&units, &same), Rewritten::default());
}

#[test]
fn versions_and_commits_are_not_asked_for() {
    for text in [
        "1.0.219",
        "f2d3ce0bd7f2",
        "overridden build state with hash: 12",
        "1.5s (x)",
    ] {
        let unit = Unit::new("run", &format!("{{\"Precalculated\":\"{text}\"}}"), &[]);
        let rewritten = renewed(&[&unit], &|_, text| panic!("asked for {text}"));
        assert_eq!(rewritten, Rewritten::default());
    }
    assert!(is_newest_file("-1.000000000s (a (b).txt)"));
    assert!(is_newest_file("0.000000000s ()"));
}

#[test]
fn another_hash_than_was_recorded_loses_the_unit_and_what_depends_on_it() {
    let mut run = Unit::run("run");
    run.hash ^= 1;
    let lib = Unit::on("lib", &[&run]);
    let bin = Unit::on("bin", &[&lib]);
    let lost = [
        (0, Why::NotUnderstood),
        (1, Why::DependsOnLost),
        (2, Why::DependsOnLost),
    ];
    check(&[&run, &lib, &bin], &[], &lost);

    let run = Unit::run("run");
    let mut lib = Unit::on("lib", &[&run]);
    lib.hash ^= 1;
    let bin = Unit::on("bin", &[&lib]);
    let lost = [(1, Why::NotUnderstood), (2, Why::DependsOnLost)];
    check(&[&run, &lib, &bin], &[0], &lost);
}

#[test]
fn a_form_that_is_not_known_loses_the_unit_and_what_depends_on_it() {
    let forms: [(&str, &str); 5] = [
        ("\"rustc\":1", "\"novelty\":0,\"rustc\":1"),
        ("\"compile_kind\":0", "\"compile_kind\":0,\"novelty\":0"),
        ("\"config\":5,", ""),
        ("{\"Precalculated\":", "{\"Novelty\":1},{\"Precalculated\":"),
        // The same to a parser, so that the hash is right; but not what this cargo writes.
        ("\"config\":5", "\"config\": 5"),
    ];
    for (from, to) in forms {
        let mut run = Unit::run("run");
        let text = run.text().replace(from, to);
        assert_ne!(text, run.text());
        run.json = text.into_bytes();
        let lib = Unit::on("lib", &[&run]);
        let lost = [(0, Why::NotUnderstood), (1, Why::DependsOnLost)];
        check(&[&run, &lib], &[], &lost);
    }
}

#[test]
fn above_a_unit_of_unknown_form_anything_may_have_changed() {
    let run = Unit::run("run");
    for strange_json in [
        "{}".to_owned(),
        Unit::on("strange", &[]).text().replace('{', "{\"x\":1,"),
    ] {
        let mut strange = Unit::on("strange", &[]);
        strange.json = strange_json.into_bytes();
        let between = Unit::on("between", &[&strange]);
        let bin = Unit::on("bin", &[&run, &between]);
        let lost = [(3, Why::DependsOnLost)];
        check(&[&run, &strange, &between, &bin], &[0], &lost);
    }
}

#[test]
fn a_hash_that_several_units_have_is_followed_where_they_agree() {
    let host = Unit::run("run");
    let target = Unit::run("run");
    let lib = Unit::on("lib", &[&host, &target]);
    check(&[&host, &target, &lib], &[0, 1, 2], &[]);

    let mut one = Unit::run("run");
    let mut other = Unit::run("run");
    one.id = "one".to_owned();
    other.id = "other".to_owned();
    let only_one = |unit: &Recorded<'_>, _: &str| (unit.id == "one").then(|| NEW.to_owned());
    let each = |unit: &Recorded<'_>, _: &str| Some(format!("1.000000000s ({})", unit.id));
    let disagreeing: [Fresh<'_>; 2] = [&only_one, &each];
    for fresh in disagreeing {
        let rewritten = renewed(&[&lib, &other, &one], fresh);
        let lost = [Lost {
            index: 0,
            why: Why::DependsOnLost,
        }];
        assert_eq!(rewritten.lost, lost);
        assert!(rewritten.changed.iter().all(|unit| unit.index > 0));
    }
}

#[test]
fn a_circle_of_hashes_ends() {
    let run = Unit::run("run");
    let mut one = Unit::on("one", &[&run]);
    let mut two = Unit::on("two", &[&one]);
    let text = one.text().replace(
        "\"deps\":[",
        &format!("\"deps\":[[7,\"dep\",false,{}],", two.hash),
    );
    one.json = text.into_bytes();
    two.id = "two".to_owned();
    let lost = [(1, Why::NotUnderstood), (2, Why::NotUnderstood)];
    check(&[&run, &one, &two], &[0], &lost);
}

/// A unit of a package in cargo's home, and one that depends on it.
#[test]
fn the_root_of_a_crate_moves_only_from_where_it_was() {
    let json = Unit::new("a", "", &[]).text().replace(
        "\"path\":4",
        &format!(
            "\"path\":{}",
            fingerprint::hash_of_path(Path::new("/old/a/src/lib.rs"))
        ),
    );
    let hash = Fingerprint::parse(json.as_bytes()).unwrap().hash_u64();
    let moved = |from| {
        let hash = fingerprint::to_hex(hash);
        let unit = Recorded {
            id: "a",
            hash_name: "lib-a",
            hash: &hash,
            json: json.as_bytes(),
        };
        let asked = Asked {
            fresh: &|_, _| None,
            moved: Some((from, "/new/a/src/lib.rs")),
        };
        rewrite(&[unit], &asked)
    };
    let rewritten = moved("/old/a/src/lib.rs");
    let changed = Fingerprint::parse(&rewritten.changed[0].json).unwrap();
    assert_eq!(
        changed.path,
        fingerprint::hash_of_path(Path::new("/new/a/src/lib.rs"))
    );
    assert_eq!(
        rewritten.changed[0].hash,
        fingerprint::to_hex(changed.hash_u64())
    );
    let lost = moved("/other/a/src/lib.rs").lost;
    assert_eq!(
        lost,
        [Lost {
            index: 0,
            why: Why::NotUnderstood
        }]
    );
}
