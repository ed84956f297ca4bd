//! What autoconf's scripts leave.

use super::*;

/// `config.status` of a package in a target directory below the directory that cargo was started in: the shell asks for `PWD`,
/// and the path of `OUT_DIR` is broken behind that.
#[test]
fn a_path_that_autoconf_broke_is_that_of_where_it_is_restored() {
    let mut field = Field::new();
    let status = |site: &str, broken: bool| {
        let out = field.path(&format!("{site}/out"));
        let (start, end) = out.to_str().unwrap().split_at(out.as_os_str().len() - 2);
        let between = if broken { "\"\\\n\"" } else { "" };
        format!("S[\"prefix\"]=\"{start}{between}{end}/lib\"\n")
    };
    let (broken, expected) = (status("one", true), status("two", false));
    field.put("one/out/config.status", &broken);
    let started_in = field.path("one");
    field.set("PWD", started_in.to_str().unwrap());
    let run = ran(|observation| {
        observation.env.names.insert("PWD".into());
    });
    field.publish(&run, Policy::default()).unwrap();

    let started_in = field.path("two");
    field.set("PWD", started_in.to_str().unwrap());
    field.restore("two");
    let restored = field.path("two/out/config.status");
    assert_eq!(rekindle_fsx::read_to_string(&restored).unwrap(), expected);
}
