use super::*;
use proptest::prelude::*;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn parse(line: &str) -> Result<Compile, NotACompile> {
    let words = words(line);
    Compile::parse(&words[0], &words[1..])
}

fn files(line: &str) -> Vec<String> {
    let files = parse(line)
        .unwrap_or_else(|error| panic!("{line}: {error:?}"))
        .files();
    let mut files: Vec<String> = files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    files.sort();
    files
}

#[test]
fn what_a_compile_writes() {
    let check = |line: &str, expected: &[&str]| assert_eq!(files(line), expected, "{line}");
    check("cc -c a.c", &["a.o"]);
    check("cc -c src/a.c -o out/b.o", &["out/b.o"]);
    check("cc -oout/b.o -c src/a.c", &["out/b.o"]);
    check("gcc -S d/a.c", &["a.s"]);
    check("gcc -c -S d/a.c", &["a.s"]);
    check("g++ -c a.cc b.cc", &["a.o", "b.o"]);
    check("cc -MD -c a.c -o x/b.o", &["x/b.d", "x/b.o"]);
    check("cc -MMD -c a.c", &["a.d", "a.o"]);
    check("cc -MD -MF deps/q -MT t -c a.c -o b.o", &["b.o", "deps/q"]);
    check("cc -MD -MF /dev/null -c a.c -o b.o", &["b.o"]);
    check(
        "clang -g -gsplit-dwarf -c a.c -o x/b.o",
        &["x/b.dwo", "x/b.o"],
    );
    check("clang-14 -x assembler-with-cpp -c a.asm -o b.o", &["b.o"]);
    check(
        "cc -Wa,--noexecstack -Xclang -target-feature -Xclang +avx -c a.S",
        &["a.o"],
    );
}

#[test]
fn questions_and_links_are_passed_on() {
    for line in [
        "cc --version",
        "cc",
        "gcc -dumpmachine",
        "cc -print-search-dirs",
        "clang -### -c a.c",
        "cc -E a.c",
        "cc -E --coverage a.c",
        "cc -M a.c -c",
        "cc -fsyntax-only -c a.c",
        "gcc -dM -E -x c /dev/null",
        "cc -c -x c /dev/null -o /dev/null",
        "cc -c a.c -o /dev/null",
        "cc -c a.c -o -",
        "cc -c a.c b.c -o x.o",
    ] {
        assert_eq!(parse(line), Err(NotACompile::Probe), "{line}");
    }
    for line in ["cc a.c -o a", "cc a.o b.o -lz -o a", "cc --coverage a.c"] {
        assert_eq!(parse(line), Err(NotACompile::Link), "{line}");
    }
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let check = |line: &str, named: &str| match parse(line) {
        Err(NotACompile::Uncacheable(reason)) => {
            assert!(reason.to_string().contains(named), "{line}: {reason}");
        }
        other => panic!("{line}: {other:?}"),
    };
    check("cc --coverage -c a.c", "--coverage");
    check("cc -fprofile-use=x -c a.c", "-fprofile-use=x");
    check("cc -save-temps -c a.c", "-save-temps");
    check("cc --something-new -c a.c", "--something-new");
    check("cc -c -", "pipe");
    check("cc -x c++-header -c a.h", "precompiled");
    check("cc -c a.h", "precompiled");
    check("cc -c a.c b.o", "b.o");
    check("cc -Wa,-alh=x -c a.c", "-Wa,-alh=x");
    check("cc -Wp,-MD,x -c a.c", "-Wp,-MD,x");
    check("clang -Xclang -load -c a.c", "-Xclang -load");
    check("cc -c a.c -MF x", "not asked for");
    check("cc -c a/x.c b/x.c", "one output");
    check("cc -c a.c -D", "-D");
    check("rustc -c a.c", "no compiler");
}

fn key(line: &str) -> String {
    let keyed = parse(line).unwrap().keyed();
    let words: Vec<_> = keyed.iter().map(|word| word.to_string_lossy()).collect();
    words.join("|")
}

#[test]
fn the_encoding_is_fixed() {
    let line = "/usr/bin/cc -O2 -DX=1 -I /w/include -iquote inc -ffile-prefix-map=/w=/x -march=native \
                -Wa,--noexecstack -MD -c /w/src/a.c -o out/a.o";
    assert_eq!(
        key(line),
        "cc|-c|-O2 |-D X=1|-I /w/include|-iquote ./inc|-ffile-prefix-map= /w=/x|-march=native \
         |-Wa, --noexecstack|-MD |source /w/src/a.c|-o ./out/a.o"
    );
}

#[test]
fn a_compile_can_be_asked_to_preprocess_alone() {
    let line = "cc -O2 -DX=1 -I /w -ffile-prefix-map=/w=/x -Wa,--noexecstack -MD -MT y -MF z -x c -c a.c -o a.o";
    let words = parse(line).unwrap().preprocessing();
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    assert_eq!(
        words.join(" "),
        "-E -O2 -D X=1 -I /w -ffile-prefix-map=/w=/x -Wa,--noexecstack -x c a.c"
    );
}

#[test]
fn what_matters_is_in_the_key_and_the_output_is_not() {
    let base = "cc -O2 -DX=1 -I inc -c a.c -o a.o";
    let same = |line: &str| assert_eq!(key(base), key(line), "{line}");
    let other = |line: &str| assert_ne!(key(base), key(line), "{line}");
    same("cc -O2 -D X=1 -Iinc -c a.c -o b/c.o");
    same("cc -c -o a.o -O2 -DX=1 -I inc a.c");
    other("gcc -O2 -DX=1 -I inc -c a.c -o a.o");
    other("cc -O3 -DX=1 -I inc -c a.c -o a.o");
    other("cc -O2 -DX=2 -I inc -c a.c -o a.o");
    other("cc -O2 -DX=1 -I inc -S a.c -o a.o");
    other("cc -O2 -DX=1 -iquote inc -c a.c -o a.o");
    other("cc -O2 -DX=1 -I inc -c ./a.c -o a.o");
    other("cc -O2 -DX=1 -I inc -c /w/a.c -o a.o");
    other("cc -O2 -DX=1 -I inc -MD -c a.c -o a.o");
    other("cc -I inc -O2 -DX=1 -c a.c -o a.o -m32");
    // The output's name reaches a dependency file, or a debug file's name an object.
    assert_ne!(key("cc -MD -c a.c -o a.o"), key("cc -MD -c a.c -o b.o"));
    assert_eq!(
        key("cc -MD -MT x -MF y -c a.c -o a.o"),
        key("cc -MD -MT x -MF z -c a.c -o b.o")
    );
    assert_ne!(
        key("cc -gsplit-dwarf -c a.c -o a.o"),
        key("cc -gsplit-dwarf -c a.c -o b.o")
    );
    // A directory that is named like a root is another.
    assert_ne!(key("cc -I {workspace} -c a.c"), key("cc -I /w -c a.c"));
}

proptest! {
    #[test]
    fn any_words_are_read(line in proptest::collection::vec(
        prop_oneof![
            "[-@a-zA-Z0-9=,./+ ]{0,16}",
            proptest::sample::select(vec!["-c", "-o", "a.c", "-MD", "-MF", "-x", "-Xclang", "-Wa,", "-D", "-gsplit-dwarf", "-"])
                .prop_map(String::from),
        ],
        0..12,
    )) {
        let words: Vec<OsString> = line.iter().map(OsString::from).collect();
        if let Ok(compile) = Compile::parse(OsStr::new("cc"), &words) {
            prop_assert!(!compile.files().is_empty());
            prop_assert!(compile.keyed().len() > 2 && !compile.preprocessing().is_empty());
        }
    }
}
