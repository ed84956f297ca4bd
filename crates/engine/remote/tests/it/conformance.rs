//! What every kind of remote must do, and what those must do that keep names and bytes apart.

use bytes::Bytes;
use rekindle_remote::blobs::{Blobs, Kind};
use rekindle_testkit::blobs::{Traits, check, name, noise};

use crate::support::kind;

/// All of it, on an empty remote.
pub(crate) async fn all(blobs: &dyn Blobs) {
    check(
        blobs,
        Traits {
            // Who writes what is under way in the same process helps, and is told that it is new.
            is_atomic: false,
            lists: false,
            removes: false,
            ..Traits::default()
        },
    )
    .await;
    borders(blobs).await;
    neighbours(blobs).await;
}

/// Across the borders of blocks, messages and compressed frames, and past the end.
async fn borders(blobs: &dyn Blobs) {
    let at = name("borders/large");
    let bytes = noise((16 << 20) + 1, 5);
    blobs.write(&at, bytes.clone(), Kind::Once).await.unwrap();
    let size = bytes.len();
    for range in [
        (8 << 20) - 3..(8 << 20) + 3,
        5_345_678..15_345_678,
        size - 1..size,
        0..size,
    ] {
        let asked = range.start as u64..range.end as u64;
        let read = blobs.read(&at, Some(asked)).await.unwrap();
        assert!(read == bytes.slice(range.clone()), "{range:?}");
    }
    let end = size as u64;
    assert_eq!(blobs.read(&at, Some(end..end)).await.unwrap(), Bytes::new());
    assert_eq!(
        kind(&blobs.read(&at, Some(end + 1..end + 1)).await),
        "missing"
    );
}

/// A name that another begins with is another name, and one of many is found.
async fn neighbours(blobs: &dyn Blobs) {
    let whole = name("near");
    for at in ["near-er", "near/er"] {
        let longer = Bytes::from("of a longer name");
        let twin = name(&format!("{at}s"));
        blobs
            .write(&name(at), longer.clone(), Kind::Once)
            .await
            .unwrap();
        blobs.write(&twin, longer, Kind::Latest).await.unwrap();
    }
    assert_eq!(kind(&blobs.read(&whole, None).await), "missing");
    assert_eq!(
        blobs.find(std::slice::from_ref(&whole)).await.unwrap(),
        None
    );
    let mut many: Vec<_> = (0..24).map(|n| name(&format!("near/none-{n}"))).collect();
    many.push(name("near/ers"));
    let found = blobs.find(&many).await.unwrap();
    assert_eq!(found.map(|(place, _)| place), Some(24));
    assert_eq!(
        blobs.read(&many[24], None).await.unwrap(),
        "of a longer name"
    );
}
