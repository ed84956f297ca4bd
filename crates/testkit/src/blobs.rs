//! What every kind of remote must do.

use bytes::Bytes;
use futures_util::future::{join, join_all};
use rekindle_remote::blobs::{BlobError, Blobs, Kind, Listed, MAX_NAME_BYTES, Name, Written};

/// In what kinds of remotes may differ.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// Whether a second write of [`Kind::Once`] is [`Written::Present`] and changes nothing.
    pub knows_present: bool,
    /// Whether of two such writes at once just one is [`Written::New`].
    pub is_atomic: bool,
    /// Whether it lists.
    pub lists: bool,
    /// Whether it removes.
    pub removes: bool,
    /// Whether what is removed or written again is seen so at once.
    pub is_prompt: bool,
    /// The longest name, in bytes.
    pub longest_name_bytes: usize,
    /// The largest blob of the check, in bytes.
    pub largest_bytes: usize,
    /// How many blobs are listed: more than a page, where listing has pages.
    pub many: usize,
}

impl Default for Traits {
    fn default() -> Self {
        Self {
            knows_present: true,
            is_atomic: true,
            lists: true,
            removes: true,
            is_prompt: true,
            longest_name_bytes: MAX_NAME_BYTES,
            largest_bytes: 20_000_000,
            many: 1_050,
        }
    }
}

/// Checks an empty remote from one end to the other.
///
/// # Panics
/// Where it does something else.
pub async fn check(blobs: &dyn Blobs, traits: Traits) {
    names(blobs, traits).await;
    ranges(blobs).await;
    sizes(blobs, traits).await;
    once(blobs, traits).await;
    latest(blobs, traits).await;
    find(blobs, traits).await;
    at_once(blobs, traits).await;
    if traits.lists {
        list(blobs, traits).await;
    } else {
        let answer = blobs.list("").await;
        assert!(
            matches!(answer, Err(BlobError::Unsupported(_))),
            "{answer:?}"
        );
    }
    if traits.removes {
        remove(blobs, traits).await;
    } else {
        let answer = blobs.remove(&name("names/plain")).await;
        assert!(
            matches!(answer, Err(BlobError::Unsupported(_))),
            "{answer:?}"
        );
    }
}

/// A name that is one.
///
/// # Panics
/// Where it is none.
#[must_use]
pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Bytes that no compression shortens and that differ by `seed`.
#[must_use]
pub fn noise(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let words = std::iter::repeat_with(&mut next);
    words.flatten().take(length).collect::<Vec<u8>>().into()
}

async fn put(blobs: &dyn Blobs, text: &str, bytes: impl Into<Bytes>, kind: Kind) -> Written {
    let written = blobs.write(&name(text), bytes.into(), kind).await;
    written.unwrap_or_else(|error| panic!("writing {text}: {error}"))
}

async fn get(blobs: &dyn Blobs, text: &str) -> Bytes {
    let read = blobs.read(&name(text), None).await;
    read.unwrap_or_else(|error| panic!("reading {text}: {error}"))
}

async fn names(blobs: &dyn Blobs, traits: Traits) {
    // A part of a name may be that of a file, which is shorter.
    let half = (traits.longest_name_bytes - "names//".len()) / 2;
    let longest = format!("names/{0}/{0}", "n".repeat(half));
    for text in [
        "names/plain",
        "names/with-dash_and.dot",
        "names/.hidden",
        "names/deep/er/and/deeper",
        longest.as_str(),
    ] {
        put(blobs, text, text.to_owned(), Kind::Once).await;
        assert_eq!(get(blobs, text).await, text);
    }
    let missing = blobs.read(&name("names/nothing"), None).await;
    assert!(matches!(missing, Err(BlobError::Missing)), "{missing:?}");
    let missing = blobs.read(&name("nowhere/at/all"), Some(0..1)).await;
    assert!(matches!(missing, Err(BlobError::Missing)), "{missing:?}");
}

async fn ranges(blobs: &dyn Blobs) {
    let whole = noise(1_000, 1);
    put(blobs, "ranges/thousand", whole.clone(), Kind::Once).await;
    let of = name("ranges/thousand");
    for range in [0..1, 0..1_000, 999..1_000, 10..500, 1..1_000] {
        let read = blobs.read(&of, Some(range.clone())).await;
        let read = read.unwrap_or_else(|error| panic!("{range:?}: {error}"));
        let expected = whole.slice(range.start as usize..range.end as usize);
        assert!(read == expected, "{range:?}");
    }
    let nothing = blobs.read(&of, Some(5..5)).await;
    assert!(nothing.is_ok_and(|bytes| bytes.is_empty()));
    for range in [0..1_001, 999..1_001, 1_000..1_001, 5_000..6_000] {
        let read = blobs.read(&of, Some(range.clone())).await;
        assert!(
            matches!(read, Err(BlobError::Missing)),
            "{range:?}: {read:?}"
        );
    }
}

async fn sizes(blobs: &dyn Blobs, traits: Traits) {
    put(blobs, "sizes/none", Bytes::new(), Kind::Once).await;
    assert!(get(blobs, "sizes/none").await.is_empty());
    let part = blobs.read(&name("sizes/none"), Some(0..1)).await;
    assert!(matches!(part, Err(BlobError::Missing)), "{part:?}");

    let large = noise(traits.largest_bytes, 2);
    put(blobs, "sizes/large", large.clone(), Kind::Once).await;
    assert!(get(blobs, "sizes/large").await == large);
    let end = large.len() as u64;
    let tail = blobs.read(&name("sizes/large"), Some(end - 7..end)).await;
    assert_eq!(tail.unwrap(), large.slice(large.len() - 7..));
}

async fn once(blobs: &dyn Blobs, traits: Traits) {
    assert_eq!(
        put(blobs, "once/a", "first", Kind::Once).await,
        Written::New
    );
    // By the trait the bytes are the same; other ones show which of them are there.
    let again = put(blobs, "once/a", "other", Kind::Once).await;
    if traits.knows_present {
        assert_eq!(again, Written::Present);
        assert_eq!(get(blobs, "once/a").await, "first");
    } else {
        assert_eq!(again, Written::New);
    }
}

async fn latest(blobs: &dyn Blobs, traits: Traits) {
    let asked = [name("latest/a")];
    for text in ["first", "the second, which is longer", "3"] {
        assert_eq!(
            put(blobs, "latest/a", text, Kind::Latest).await,
            Written::New
        );
        let found = blobs.find(&asked).await.unwrap();
        if traits.is_prompt {
            assert_eq!(found, Some((0, Bytes::from(text))));
        }
    }
}

async fn find(blobs: &dyn Blobs, traits: Traits) {
    let asked: Vec<Name> = (0..9).map(|i| name(&format!("find/{i}"))).collect();
    assert_eq!(blobs.find(&asked).await.unwrap(), None);
    assert_eq!(blobs.find(&[]).await.unwrap(), None);
    for i in [8, 5, 6] {
        put(blobs, &format!("find/{i}"), format!("of {i}"), Kind::Latest).await;
    }
    let found = blobs.find(&asked).await.unwrap();
    assert_eq!(found, Some((5, Bytes::from("of 5"))));
    put(blobs, "find/0", "of 0", Kind::Latest).await;
    if traits.is_prompt {
        let found = blobs.find(&asked).await.unwrap();
        assert_eq!(found, Some((0, Bytes::from("of 0"))));
    }
}

async fn at_once(blobs: &dyn Blobs, traits: Traits) {
    let (a, b) = (noise(300_000, 3), noise(300_000, 4));
    let of = name("at-once/latest");
    let (one, other) = join(
        blobs.write(&of, a.clone(), Kind::Latest),
        blobs.write(&of, b.clone(), Kind::Latest),
    )
    .await;
    // One may be told to come again, but nothing is mixed.
    assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
    for result in [one, other] {
        assert!(
            result.as_ref().is_ok_and(|w| *w == Written::New)
                || result.as_ref().is_err_and(BlobError::is_transient),
            "{result:?}"
        );
    }
    let (_, there) = blobs
        .find(std::slice::from_ref(&of))
        .await
        .unwrap()
        .unwrap();
    assert!(there == a || there == b);

    let of = name("at-once/once");
    let writers = (0..8).map(|_| blobs.write(&of, a.clone(), Kind::Once));
    let written = join_all(writers).await;
    let new = written
        .iter()
        .filter(|result| matches!(result, Ok(Written::New)))
        .count();
    assert!(new >= 1, "{written:?}");
    if traits.is_atomic {
        assert_eq!(new, 1, "{written:?}");
    }
    let is_clean = |result: &Result<Written, BlobError>| match result {
        Ok(_) => true,
        Err(error) => error.is_transient(),
    };
    assert!(written.iter().all(is_clean), "{written:?}");
    assert!(get(blobs, "at-once/once").await == a);
}

async fn list(blobs: &dyn Blobs, traits: Traits) {
    assert_eq!(blobs.list("list/").await.unwrap(), []);
    let texts: Vec<String> = (0..traits.many)
        .map(|i| format!("list/{}/{i:05}", if i % 2 == 0 { "even" } else { "odd" }))
        .collect();
    for some in texts.chunks(16) {
        join_all(
            some.iter()
                .map(|text| put(blobs, text, text.clone(), Kind::Once)),
        )
        .await;
    }
    let mut all = blobs.list("list/").await.unwrap();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let mut expected = texts.clone();
    expected.sort();
    let found: Vec<&str> = all.iter().map(|listed| listed.name.as_str()).collect();
    assert_eq!(found, expected);
    let has_size = |listed: &Listed| listed.size == listed.name.as_str().len() as u64;
    assert!(all.iter().all(has_size));

    for prefix in [
        "list/even/",
        "list/e",
        "list/odd/0000",
        "list/odd/00001",
        "li",
        "list/none",
    ] {
        let mut found = blobs.list(prefix).await.unwrap();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let found: Vec<&str> = found.iter().map(|listed| listed.name.as_str()).collect();
        let expected: Vec<&String> = expected
            .iter()
            .filter(|text| text.starts_with(prefix))
            .collect();
        assert_eq!(found, expected, "{prefix}");
    }
}

async fn remove(blobs: &dyn Blobs, traits: Traits) {
    put(blobs, "remove/a", "a", Kind::Once).await;
    put(blobs, "remove/b", "b", Kind::Once).await;
    for _ in 0..2 {
        blobs.remove(&name("remove/a")).await.unwrap();
    }
    blobs.remove(&name("remove/never/there")).await.unwrap();
    if traits.is_prompt {
        let gone = blobs.read(&name("remove/a"), None).await;
        assert!(matches!(gone, Err(BlobError::Missing)), "{gone:?}");
        assert_eq!(
            put(blobs, "remove/a", "anew", Kind::Once).await,
            Written::New
        );
    }
    assert_eq!(get(blobs, "remove/b").await, "b");
}
