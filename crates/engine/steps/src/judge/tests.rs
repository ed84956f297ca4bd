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
}
