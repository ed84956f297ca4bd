//! The directories above a root, which a program asks about when it resolves a path.

use super::*;

/// Whether a run in `one` that looked at these directories hits in `two`, where `one` is gone.
fn hits_elsewhere(looked: impl Fn(&Path) -> Vec<PathBuf>) -> bool {
    let field = Field::new();
    let package = field.path("one/package");
    let run = ran(|observation| {
        let seen = looked(&package).into_iter().map(|path| (path, Seen::THERE));
        observation.files.extend(seen);
    });
    field.publish(&run, Policy::default()).unwrap();
    assert!(field.hits("one"));
    field.put("two/package/data", "data");
    rekindle_fsx::remove_dir_all(&field.path("one")).unwrap();
    field.hits("two")
}

#[test]
fn directories_above_a_root_count_where_one_is_looked_at_by_itself() {
    let all = |root: &Path| root.ancestors().map(Path::to_owned).collect::<Vec<_>>();
    assert!(hits_elsewhere(all));
    let alone = |root: &Path| vec![root.parent().unwrap().to_owned()];
    assert!(!hits_elsewhere(alone));
    let but_one = |root: &Path| {
        let mut paths = all(root);
        paths.remove(2);
        paths
    };
    assert!(!hits_elsewhere(but_one));
}
