//! What every kind of remote must do.

use std::ops::Range;

use bytes::Bytes;
use rekindle_remote::blobs::{Blobs, Kind, Written};

use crate::support::{kind, name, noise};

/// All of it, on blobs whose names begin with `space`, which nobody else writes.
pub(crate) async fn all(blobs: &dyn Blobs, space: &str) {
    reads(blobs, space).await;
    empty(blobs, space).await;
    large(blobs, space).await;
    once(blobs, space).await;
    latest(blobs, space).await;
    neighbours(blobs, space).await;
}

async fn write(blobs: &dyn Blobs, at: &str, bytes: &Bytes, kind: Kind) -> Written {
    blobs.write(&name(at), bytes.clone(), kind).await.unwrap()
}

/// Whole and in parts, at the edges too.
async fn reads(blobs: &dyn Blobs, space: &str) {
    let at = format!("{space}/packs/0a/reads-1_2.pack");
    let bytes = noise(10_000, 1);
    let missing = blobs.read(&name(&at), None).await;
    assert_eq!(kind(&missing), "missing");
    assert_eq!(kind(&blobs.read(&name(&at), Some(0..1)).await), "missing");
    assert_eq!(write(blobs, &at, &bytes, Kind::Once).await, Written::New);
    assert_eq!(blobs.read(&name(&at), None).await.unwrap(), bytes);
    for range in [
        0..1,
        0..10_000,
        9_999..10_000,
        17..4_242,
        0..0,
        5..5,
        10_000..10_000,
    ] {
        let read = blobs.read(&name(&at), Some(range.clone())).await.unwrap();
        assert_eq!(read, part(&bytes, &range), "{range:?}");
    }
    for beyond in [
        0..10_001,
        9_999..10_001,
        10_000..10_001,
        20_000..20_001,
        10_001..10_001,
    ] {
        let read = blobs.read(&name(&at), Some(beyond.clone())).await;
        assert_eq!(kind(&read), "missing", "{beyond:?}");
    }
}

fn part(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let place = |at: u64| usize::try_from(at).unwrap();
    bytes.slice(place(range.start)..place(range.end))
}

async fn empty(blobs: &dyn Blobs, space: &str) {
    let at = format!("{space}/empty");
    assert_eq!(
        write(blobs, &at, &Bytes::new(), Kind::Once).await,
        Written::New
    );
    assert_eq!(blobs.read(&name(&at), None).await.unwrap(), Bytes::new());
    assert_eq!(
        blobs.read(&name(&at), Some(0..0)).await.unwrap(),
        Bytes::new()
    );
    assert_eq!(kind(&blobs.read(&name(&at), Some(0..1)).await), "missing");
}

/// Larger than any remote takes in one piece.
async fn large(blobs: &dyn Blobs, space: &str) {
    let at = format!("{space}/large");
    let bytes = noise(20 << 20, 2);
    assert_eq!(write(blobs, &at, &bytes, Kind::Once).await, Written::New);
    let whole = blobs.read(&name(&at), None).await.unwrap();
    assert!(whole == bytes, "{} bytes, or others", whole.len());
    // Across the borders of blocks, messages and compressed frames.
    for range in [
        (8 << 20) - 3..(8 << 20) + 3,
        12_345_678..18_345_678,
        (20 << 20) - 1..20 << 20,
    ] {
        let read = blobs.read(&name(&at), Some(range.clone())).await.unwrap();
        assert!(read == part(&bytes, &range), "{range:?}");
    }
}

async fn once(blobs: &dyn Blobs, space: &str) {
    let at = format!("{space}/once");
    let bytes = noise(100, 3);
    assert_eq!(write(blobs, &at, &bytes, Kind::Once).await, Written::New);
    assert_eq!(
        write(blobs, &at, &bytes, Kind::Once).await,
        Written::Present
    );
    assert_eq!(blobs.read(&name(&at), None).await.unwrap(), bytes);
}

/// The newest counts, and the first name that is there.
async fn latest(blobs: &dyn Blobs, space: &str) {
    let names = ["a", "b", "c"].map(|last| name(&format!("{space}/latest/{last}")));
    assert_eq!(blobs.find(&[]).await.unwrap(), None);
    assert_eq!(blobs.find(&names).await.unwrap(), None);
    let [a, b, c] = &names;
    let texts = ["first of c", "second of c", "first of b", "third of c"].map(Bytes::from);
    let [c1, c2, b1, c3] = &texts;
    write(blobs, c.as_str(), c1, Kind::Latest).await;
    assert_eq!(blobs.find(&names).await.unwrap(), Some((2, c1.clone())));
    write(blobs, c.as_str(), c2, Kind::Latest).await;
    assert_eq!(blobs.find(&names).await.unwrap(), Some((2, c2.clone())));
    assert_eq!(blobs.read(c, None).await.unwrap(), *c2);
    write(blobs, b.as_str(), b1, Kind::Latest).await;
    assert_eq!(blobs.find(&names).await.unwrap(), Some((1, b1.clone())));
    write(blobs, c.as_str(), c3, Kind::Latest).await;
    assert_eq!(blobs.find(&names).await.unwrap(), Some((1, b1.clone())));
    let turned = [c.clone(), b.clone()];
    assert_eq!(blobs.find(&turned).await.unwrap(), Some((0, c3.clone())));
    assert_eq!(blobs.find(std::slice::from_ref(a)).await.unwrap(), None);
    let mut many: Vec<_> = (0..24)
        .map(|n| name(&format!("{space}/latest/none-{n}")))
        .collect();
    many.push(b.clone());
    assert_eq!(blobs.find(&many).await.unwrap(), Some((24, b1.clone())));
}

/// A name that another begins with is another name.
async fn neighbours(blobs: &dyn Blobs, space: &str) {
    let whole = name(&format!("{space}/near"));
    let longer = Bytes::from("of a longer name");
    for at in ["near-er", "near/er"] {
        write(blobs, &format!("{space}/{at}"), &longer, Kind::Once).await;
        write(blobs, &format!("{space}/{at}s"), &longer, Kind::Latest).await;
    }
    assert_eq!(kind(&blobs.read(&whole, None).await), "missing");
    assert_eq!(
        blobs.find(std::slice::from_ref(&whole)).await.unwrap(),
        None
    );
}
