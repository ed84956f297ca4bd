//! Languages of what says nothing.

use rekindle_observe::Seen;
use rekindle_store::{Space, Store};

use super::*;

#[test]
fn files_of_languages_are_no_input_of_what_says_nothing() {
    const OF_LANGUAGES: [&str; 4] = [
        "/usr/lib/locale/xx_YY/LC_CTYPE",
        "/usr/share/locale/xx/LC_MESSAGES/gcc.mo",
        "/usr/share/locale-langpack/xx/LC_MESSAGES/gcc.mo",
        "/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache",
    ];
    const OTHER: &str = "/usr/share/locales/x";
    let field = Field::new();
    let run = ran(|observation| {
        for path in OF_LANGUAGES.into_iter().chain([OTHER]) {
            observation.files.add(path.into(), Seen::MISSING);
        }
    });
    for is_silent in [false, true] {
        let policy = Policy {
            is_silent,
            ..Policy::default()
        };
        let key = field.publish(&run, policy).unwrap().key;
        let entry = field.store.get_record(Space::Entries, &key).unwrap();
        let entry = rekindle_key::step::StepEntry::decode(&entry.unwrap().payload).unwrap();
        let is_in = |path: &str| {
            let mut items = entry.manifest.items().iter();
            items.any(|item| item.name == path.as_bytes())
        };
        assert!(is_in(OTHER));
        for path in OF_LANGUAGES {
            assert_eq!(is_in(path), !is_silent, "{path}");
        }
    }
}
