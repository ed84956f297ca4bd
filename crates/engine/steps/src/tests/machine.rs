//! What `uname` gives: which of its names a run is keyed by.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rekindle_key::Tag;
use rekindle_key::step::StepEntry;
use rekindle_store::{Space, Store};

use super::*;
use rekindle_outputs::present::HOST_NAME;

/// Names of files in the key of a run that made `output` and was seen to touch this.
fn keyed(output: &str, text: &[u8], contact: Contact) -> Vec<Vec<u8>> {
    let field = Field::new();
    let path = field.path(&format!("one/out/{output}"));
    rekindle_fsx::atomic::write(&path, text).unwrap();
    let run = ran(|observation| {
        observation.contacts.insert(contact);
    });
    let published = field.publish(&run, Policy::default()).unwrap();
    assert!(field.hits("one"));
    let record = field.store.get_record(Space::Entries, &published.key);
    let entry = StepEntry::decode(&record.unwrap().unwrap().payload).unwrap();
    let items = entry.manifest.items();
    let files = items.iter().filter(|item| item.tag == Tag::ReadFile);
    files.map(|item| item.name.to_vec()).collect()
}

#[test]
fn each_name_of_the_machine_is_keyed_by_itself() {
    for name in rekindle_fsx::MACHINE_NAMES {
        let path = format!("/proc/sys/kernel/{name}");
        let keyed = keyed("made", b"", Contact::Kernel(path.clone().into()));
        assert_eq!(keyed, [path.as_bytes()]);
    }
}

#[test]
fn the_hosts_name_counts_where_more_than_a_log_holds_it() {
    let host = rekindle_fsx::host_name();
    if !rekindle_key::variables::is_telling(OsStr::from_bytes(&host)) {
        // Too short to be looked for: it counts always.
        assert_eq!(keyed("made", b"", Contact::HostName), [HOST_NAME]);
        return;
    }
    let text = [b"hostname = ".as_slice(), &host].concat();
    let binary = [b"\0\x01".as_slice(), &host].concat();
    assert!(keyed("config.log", &text, Contact::HostName).is_empty());
    assert!(keyed("config.log", &binary, Contact::HostName).is_empty());
    assert!(keyed("made", b"nothing", Contact::HostName).is_empty());
    assert_eq!(keyed("made", &text, Contact::HostName), [HOST_NAME]);
    assert_eq!(keyed("made", &binary, Contact::HostName), [HOST_NAME]);
    // Asked for by another, it counts whatever holds it.
    let kernel = Contact::Kernel("/proc/sys/kernel/hostname".into());
    assert_eq!(keyed("config.log", &text, kernel), [HOST_NAME]);
}
