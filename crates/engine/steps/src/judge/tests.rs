use super::contacts::stamps;
use super::*;

#[test]
fn compilers_are_known_by_their_kind() {
    let check = |program: &str, expected: bool| {
        assert_eq!(stamps(Path::new(program)), expected, "{program}");
    };
    check("/usr/lib/gcc/x86_64-linux-gnu/12/cc1", true);
    check("/usr/bin/x86_64-linux-gnu-gcc-12", true);
    check("/usr/bin/x86_64-linux-gnu-ld.bfd", true);
    check("/usr/bin/pkg-config", true);
    check("/usr/bin/cc-generator", false);
    check("/usr/bin/clang-14", true);
    check("/t/debug/build/x-1/build-script-build", false);
    check("/usr/lib/git-core/git-sh-i18n--envsubst", true);
    check("/usr/lib/git-sh-i18n--envsubst", false);
}

/// The loader's index is another whenever any package is installed: what it says of the libraries that were
/// loaded counts.
#[test]
fn the_loaders_index_counts_library_by_library() {
    let names = |path: &str, seen| {
        let mut names = BTreeSet::new();
        let roots = Roots::new(Path::new("/"), []);
        push_path(&roots, Path::new(path), seen, &BTreeSet::new(), &mut names);
        names.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(names("/etc/ld.so.cache", Seen::READ), []);
    let library = || Name::Library(b"libz.so.1".to_vec());
    assert_eq!(
        names("/lib/libz.so.1", Seen::READ),
        [Name::File(b"/lib/libz.so.1".to_vec()), library()]
    );
    assert_eq!(
        names("/lib/libz.so.1", Seen::MISSING),
        [Name::Kind(b"/lib/libz.so.1".to_vec()), library()]
    );
}

#[test]
fn what_a_compiler_draws_is_known_by_its_name() {
    let check = |path: &str, expected: bool| {
        assert_eq!(is_compilers_temporary(Path::new(path)), expected, "{path}");
    };
    check("/p/rmetaX5DIhb", true);
    check("/p/rustcAbC123/full.rmeta", true);
    check("/p/rustc", false);
    check("/p/rmeta-notes", false);
    check("/p/src/rustc_flags", false);
}
