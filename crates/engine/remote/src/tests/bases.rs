//! Libraries that refer to metadata, between two stores.

use super::*;
use crate::pack::{SMALL_BYTES, elf_head};

/// Bytes that zstd makes nothing of.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

fn metadata(seed: u64) -> Vec<u8> {
    [b"rust\0\0\0\x0a", &noise(seed, 400_000)[..]].concat()
}

/// As rustc makes it: a table of symbols, the metadata in an object file, then code.
fn library(metadata: &[u8], seed: u64) -> Vec<u8> {
    let (symbols, code) = (noise(seed + 1, 10_000), noise(seed, 90_000));
    [
        b"!<arch>\n/ ",
        &symbols[..],
        b"lib.rmeta/ ELF ",
        metadata,
        &code,
    ]
    .concat()
}

struct Saves {
    lab: Lab,
    metadata: Vec<u8>,
    library: Vec<u8>,
    found: Found,
}

/// A save with a library and its metadata; the library's digest may be the first by name.
fn saved() -> Saves {
    let lab = Lab::new();
    let metadata = metadata(1);
    let library = library(&metadata, 2);
    let here = lab.store("here");
    let used = [put(&here, "unit", &[&library, &metadata, b"unit.d"])];
    save(&lab.client(), &here, None, &used).unwrap();
    let found = find(&lab.client(), &lab.store("there"));
    Saves {
        lab,
        metadata,
        library,
        found,
    }
}

fn far(saves: &Saves, client: &Client, store: &str) -> Far {
    let store = saves.lab.store(store);
    Far::new(client.clone(), store, &saves.found.index, None)
}

fn holds(saves: &Saves, store: &str, bytes: &[u8]) -> bool {
    let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
    saves.lab.store(store).holds_object(&digest, size)
}

#[test]
fn a_library_is_sent_without_the_metadata_that_it_repeats() {
    let saves = saved();
    let [pack] = &saves.found.index.packs[..] else {
        panic!("one pack")
    };
    assert!(pack.bytes < 520_000, "{} bytes", pack.bytes);
    assert!(pack.table.frames.iter().any(|frame| frame.base.is_some()));
    // Whoever reads metadata reads nothing else.
    let client = saves.lab.client();
    far(&saves, &client, "there").bring(&[Digest::of(&saves.metadata)]);
    assert!(holds(&saves, "there", &saves.metadata));
    assert!(!holds(&saves, "there", &saves.library));
    let counts = client.counts();
    assert_eq!(counts.requests, 1);
    assert!(counts.bytes_down < 410_000, "{counts:?}");
    // Then the library is the rest of it.
    let client = saves.lab.client();
    far(&saves, &client, "there").bring(&[Digest::of(&saves.library)]);
    assert!(holds(&saves, "there", &saves.library));
    assert!(client.counts().bytes_down < 110_000);
}

#[test]
fn a_full_pack_is_not_closed_between_metadata_and_the_library_that_repeats_it() {
    let lab = Lab::new();
    let here = lab.store("here");
    let full = usize::try_from(push::PACK_BYTES).unwrap();
    let metadata = [b"rust\0\0\0\x0a", &noise(1, full)[..]].concat();
    let used = [put(&here, "unit", &[&metadata, &library(&metadata, 2)])];
    save(&lab.client(), &here, None, &used).unwrap();
    let found = find(&lab.client(), &lab.store("there"));
    let [pack] = &found.index.packs[..] else {
        panic!("{} packs", found.index.packs.len())
    };
    assert!(pack.bytes < push::PACK_BYTES + 200_000, "{}", pack.bytes);
}

/// A library of macros, of so many bytes more than all have in common.
fn macros(seed: u64, own: usize) -> Vec<u8> {
    let exported = b"__rustc_proc_macro_decls_";
    [
        &elf_head([3, 0])[..],
        exported,
        &noise(7, 300_000),
        &noise(seed, own),
    ]
    .concat()
}

#[test]
fn macros_lie_together_and_refer_to_the_one_of_middle_size() {
    let lab = Lab::new();
    let (here, there) = (lab.store("here"), lab.store("there"));
    let all = [macros(11, 90_000), macros(12, 10_000), macros(13, 50_000)];
    // Between them what fills packs.
    let full = usize::try_from(push::RAW_BYTES / 2).unwrap();
    let used: Vec<_> = all
        .iter()
        .enumerate()
        .flat_map(|(at, macros)| {
            let other = vec![u8::try_from(at).unwrap(); full];
            [
                put(&here, &format!("macros {at}"), &[macros, b"macros.d"]),
                put(&here, &format!("other {at}"), &[&other]),
            ]
        })
        .collect();
    save(&lab.client(), &here, None, &used).unwrap();
    let found = find(&lab.client(), &there);
    let packs = &found.index.packs;
    assert!(packs.len() > 1);
    let frames = packs.iter().flat_map(|pack| {
        pack.table
            .frames
            .iter()
            .enumerate()
            .map(move |frame| (pack, frame))
    });
    let of = |macros: &Vec<u8>| {
        let digest = Digest::of(macros);
        let mut frames = frames.clone();
        let (pack, (at, _)) = frames
            .find(|(_, (_, frame))| frame.objects[0].digest == digest)
            .unwrap();
        (pack.name, at, pack.table.base_of(at).map(|(base, _)| base))
    };
    let [
        (first, _, first_base),
        (second, _, second_base),
        (middle, at, middle_base),
    ] = all.each_ref().map(of);
    assert_eq!((first, second), (middle, middle));
    assert_eq!(
        (first_base, second_base, middle_base),
        (Some(at), Some(at), None)
    );
    // One alone brings what it refers to.
    let far = Far::new(lab.client(), there.clone(), &found.index, None);
    far.bring(&[Digest::of(&all[0])]);
    assert_eq!(there.object_bytes(&Digest::of(&all[0])).unwrap().0, all[0]);
}

#[test]
fn a_library_alone_brings_what_it_refers_to() {
    let saves = saved();
    let client = saves.lab.client();
    let far = far(&saves, &client, "there");
    far.bring(&[Digest::of(&saves.library)]);
    assert!(holds(&saves, "there", &saves.library));
    assert_eq!((client.counts().requests, far.fetched().lost), (1, 0));
}

#[test]
fn a_library_comes_where_its_metadata_was_damaged_here() {
    let saves = saved();
    let client = saves.lab.client();
    let digest = Digest::of(&saves.metadata);
    far(&saves, &client, "there").bring(&[digest]);
    // As long as before, other bytes.
    let hex = digest.to_hex();
    let path = format!("there/v1/objects/{}/{}", &hex[..1], &hex[1..]);
    let other = noise(9, saves.metadata.len());
    rekindle_fsx::atomic::write(&saves.lab.dir.path().join(path), &other).unwrap();
    let far = far(&saves, &client, "there");
    far.bring(&[Digest::of(&saves.library)]);
    assert!(holds(&saves, "there", &saves.library));
    assert_eq!(far.fetched().lost, 0);
}

#[test]
fn what_refers_to_damaged_metadata_is_lost_and_not_kept() {
    let saves = saved();
    let [pack] = &saves.found.index.packs[..] else {
        panic!("one pack")
    };
    let base = pack.table.frames.iter().find_map(|frame| frame.base);
    let (range, _) = pack.table.ranges().nth(base.unwrap() as usize).unwrap();
    let path = saves.lab.dir.path().join("remote/packs");
    let path = path.join(pack.name.to_hex());
    let mut bytes = rekindle_fsx::read(&path).unwrap();
    bytes[usize::try_from(range.start + 1000).unwrap()] ^= 1;
    rekindle_fsx::atomic::write(&path, &bytes).unwrap();
    let client = saves.lab.client();
    let far = far(&saves, &client, "there");
    far.bring(&[Digest::of(&saves.library)]);
    assert!(!holds(&saves, "there", &saves.library));
    assert!(!holds(&saves, "there", &saves.metadata));
    assert_eq!(far.fetched().lost, 2);
    assert_eq!(far.lost_packs(), [pack.name].into());
    assert!(!far.has(&Digest::of(&saves.library), saves.library.len() as u64));
}

#[test]
fn many_that_refer_to_each_others_neighbours_all_come() {
    let lab = Lab::new();
    let (here, there) = (lab.store("here"), lab.store("there"));
    let units: Vec<[Vec<u8>; 2]> = (0..12)
        .map(|seed| {
            let metadata = metadata(seed);
            let library = library(&metadata, seed + 100);
            [metadata, library]
        })
        .collect();
    let used: Vec<_> = units
        .iter()
        .enumerate()
        .map(|(at, [metadata, library])| put(&here, &at.to_string(), &[library, metadata]))
        .collect();
    save(&lab.client(), &here, None, &used).unwrap();
    let found = find(&lab.client(), &there);
    let client = lab.client();
    let far = Far::new(client.clone(), there.clone(), &found.index, None);
    let libraries: Vec<Digest> = units.iter().map(|[_, one]| Digest::of(one)).collect();
    std::thread::scope(|scope| {
        for half in libraries.chunks(3) {
            scope.spawn(|| far.bring(half));
        }
    });
    for digest in &libraries {
        there.object_bytes(digest).unwrap();
    }
    assert_eq!(far.fetched().lost, 0);
    assert!(units[0][0].len() as u64 > SMALL_BYTES);
}

#[test]
fn what_is_fetched_ahead_is_bounded_and_no_order_is_lost() {
    let saves = saved();
    let client = saves.lab.client();
    let far = far(&saves, &client, "there");
    far.prefetch(&[
        Digest::of(&saves.metadata),
        Digest::of(b"nobody has it"),
        Digest::of(&saves.library),
    ]);
    assert!(holds(&saves, "there", &saves.metadata));
    assert!(holds(&saves, "there", &saves.library));
    assert!(far.asked().is_empty(), "nobody asked for them");
}
