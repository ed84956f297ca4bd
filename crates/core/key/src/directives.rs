//! What a build script tells cargo: lines of its standard output.

/// The directives in what a script printed, in both forms (`cargo:KEY=VALUE`, `cargo::KEY=VALUE`), as key and
/// value, in order. White space behind a value is none of it, as for cargo.
pub fn of(printed: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = printed.split(|byte| *byte == b'\n');
    lines.filter_map(|line| {
        let rest = line.strip_prefix(b"cargo:")?;
        pair(rest.strip_prefix(b":").unwrap_or(rest))
    })
}

/// `KEY=VALUE` of a directive, or of what `rustc-env` sets.
#[must_use]
pub fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    Some((&text[..at], text[at + 1..].trim_ascii_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_in_what_a_script_prints() {
        let printed = b"cargo:rustc-env=ONE=1\ncargo::rerun-if-changed=a b \r\nrustc-cfg=x\n\
            \n cargo:rustc-cfg=x\ncargo:rustc-cfg\ncargo::=\ncargo:rustc-env=ONE=2";
        let found: Vec<_> = of(printed)
            .map(|(key, value)| [key, value].map(|text| str::from_utf8(text).unwrap()))
            .collect();
        assert_eq!(
            found,
            [
                ["rustc-env", "ONE=1"],
                ["rerun-if-changed", "a b"],
                ["", ""],
                ["rustc-env", "ONE=2"]
            ]
        );
        assert_eq!(pair(b"TWO=a=b"), Some((&b"TWO"[..], &b"a=b"[..])));
    }
}
