//! What a run talked to, and the time and the randomness that it read.

use super::*;

#[test]
fn contacts_refuse_unless_they_are_harmless_or_trusted() {
    let check = |contact: Contact, refused: bool| {
        let field = Field::new();
        let observe = |observation: &mut Observation| {
            observation.contacts.insert(contact.clone());
        };
        assert_eq!(refusal(&field, observe).is_some(), refused, "{contact:?}");
        let observe = |observation: &mut Observation| {
            observation.contacts.insert(contact.clone());
        };
        let trusted = field.publish(&ran(observe), trusted());
        assert!(trusted.is_ok(), "{contact:?}");
    };
    let kernel = |path: &str| Contact::Kernel(path.into());
    let clock = |by: &str| Contact::Clock { by: by.into() };
    let network = Contact::Network {
        family: 2,
        peer: None,
    };
    check(network, true);
    check(Contact::Socket("/run/docker.sock".into()), true);
    check(Contact::Socket("/run/nscd/socket".into()), false);
    check(Contact::Device("/dev/sda".into()), true);
    check(kernel("/proc/sys/kernel/random/uuid"), true);
    check(kernel("/proc/sys/kernel/osrelease"), false);
    check(Contact::HostName, false);
    check(kernel("/proc/self/maps"), false);
    check(kernel("/proc/cpuinfo"), false);
    check(kernel("/sys/fs/cgroup/cpu.max"), false);
    check(Contact::Process { what: "x".into() }, true);
    check(Contact::LeftBehind, true);
    check(clock("/t/build-script-build"), true);
    check(clock("/usr/lib/gcc/x86_64-linux-gnu/12/cc1"), false);
    check(clock("/usr/bin/python3.11"), true);
    check(Contact::Random { by: "/t/x".into() }, true);
    check(
        Contact::Random {
            by: "/usr/bin/cmake".into(),
        },
        false,
    );
}

/// cargo keeps what it made for as long as it keeps the target directory.
#[test]
fn a_dependency_has_the_time_of_its_build() {
    let of = |of_dependency: bool, contact: Contact| {
        let field = Field::new();
        let run = ran(|observation| {
            observation.contacts.insert(contact);
        });
        let policy = Policy {
            of_dependency,
            ..Policy::default()
        };
        field.publish(&run, policy).is_ok()
    };
    for by in ["/t/build-script-build", "/usr/bin/python3.11"] {
        let clock = || Contact::Clock { by: by.into() };
        assert!(of(true, clock()) && !of(false, clock()), "{by}");
    }
    let network = Contact::Network {
        family: 2,
        peer: None,
    };
    assert!(!of(true, network));
}

/// cmake names the directories at random in which it tries compilers. A script of its own may ask for a random number.
#[test]
fn what_cmake_draws_counts_where_a_script_asks_for_it() {
    let refused = |name: &str, text: &str| {
        let field = Field::new();
        field.put(name, text);
        let path = field.path(name);
        let observe = |observation: &mut Observation| {
            let by = "/usr/bin/cmake".into();
            observation.contacts.insert(Contact::Random { by });
            observation.files.add(path, Seen::READ);
        };
        let refused = refusal(&field, observe);
        assert!(
            matches!(refused, None | Some(Refusal::Random { .. })),
            "{refused:?}"
        );
        refused.is_some()
    };
    let asks = "string(RANDOM LENGTH 8 id)\nfile(WRITE id.h ${id})\n";
    assert!(!refused("one/CMakeLists.txt", "project(x C)\n"));
    assert!(refused("one/CMakeLists.txt", asks));
    assert!(refused("one/any", asks));
    assert!(refused("one/any", "set(how \"RANDOM\")"));
    assert!(refused("one/any", "RANDOM"));
    let of_words = "check_include_file(linux/random.h HAS_RANDOM)\nset(RANDOM_HEADERS x)\n";
    assert!(!refused("one/any", of_words));
    assert!(!refused("one/random.c", "#define RANDOM 1\n"));
    assert!(!refused("one/binary", "\0RANDOM"));
}
