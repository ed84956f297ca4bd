//! Objects that are read while they come.

use super::*;

/// Bytes that zstd makes nothing of, more than are read at once.
fn long() -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(&mut next).take(20 << 20).collect()
}

fn temporaries(lab: &Lab, store: &str) -> usize {
    let dir = lab.dir.path().join(store).join("v1/tmp");
    rekindle_fsx::list_names(&dir).map_or(0, |names| names.len())
}

#[test]
fn a_long_object_comes_in_pieces_and_is_what_it_was() {
    let lab = Lab::new();
    let (here, there) = (lab.store("here"), lab.store("there"));
    let bytes = long();
    let used = [put(&here, "program", &[&bytes, b"small"])];
    save(&lab.client(), &here, None, &used).unwrap();
    let found = find(&lab.client(), &there);
    let client = lab.client();
    let far = Far::new(client.clone(), there.clone(), &found.index, None);
    let digest = Digest::of(&bytes);
    far.bring(&[digest]);
    let (came, executable) = there.object_bytes(&digest).unwrap();
    assert!(came == bytes && executable);
    let counts = client.counts();
    assert_eq!(counts.requests, 6, "20 MiB in six pieces");
    assert!(counts.bytes_down < (20 << 20) + 10_000, "{counts:?}");
    assert_eq!(far.fetched().objects, 1);
    assert_eq!(temporaries(&lab, "there"), 0);
}

#[test]
fn a_long_object_that_is_damaged_or_cut_off_is_not_kept() {
    for fault in ["other bytes", "nothing"] {
        let lab = Lab::new();
        let (here, there) = (lab.store("here"), lab.store("there"));
        let bytes = long();
        let used = [put(&here, "program", &[&bytes])];
        save(&lab.client(), &here, None, &used).unwrap();
        let found = find(&lab.client(), &there);
        let pack = found.index.packs[0].name;
        let path = lab.dir.path().join("remote/packs").join(pack.to_hex());
        let mut packed = rekindle_fsx::read(&path).unwrap();
        if fault == "nothing" {
            packed.truncate(9 << 20);
        } else {
            packed[15 << 20] ^= 1;
        }
        rekindle_fsx::atomic::write(&path, &packed).unwrap();
        let far = Far::new(lab.client(), there.clone(), &found.index, None);
        let digest = Digest::of(&bytes);
        far.bring(&[digest]);
        assert_eq!(there.object_size(&digest), None, "{fault}");
        assert_eq!(far.fetched().lost, 1, "{fault}");
        assert!(!far.has(&digest, bytes.len() as u64), "{fault}");
        assert_eq!(temporaries(&lab, "there"), 0, "{fault}");
        assert_eq!(far.lost_packs(), [pack].into(), "{fault}");
    }
}

#[test]
fn who_adds_nothing_asks_nothing() {
    let lab = Lab::new();
    let here = lab.store("here");
    let used = [put(&here, "a", &[b"one"])];
    save(&lab.client(), &here, None, &used).unwrap();
    let names = [name("tips/two"), name("tips/one")];
    let found = pull::find(&lab.client(), &here, &names, None).unwrap();
    let none = std::collections::HashSet::new();
    let adds_nothing = |used: &[(Space, Digest)], same_trees, names: &[Name]| {
        let wish = Save {
            same_trees,
            ..wish((found.as_ref(), used), &none)
        };
        push::adds_nothing(&here, names, &wish)
    };
    assert!(adds_nothing(&used, true, &names));
    assert!(!adds_nothing(&used, false, &names), "other trees");
    let better = [name("tips/better"), name("tips/two")];
    assert!(!adds_nothing(&used, true, &better), "a name without a tip");
    let more = [used[0], put(&here, "b", &[b"two"])];
    assert!(!adds_nothing(&more, true, &names), "a record more");
}
