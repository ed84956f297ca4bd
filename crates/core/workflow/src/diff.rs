//! A change of a text as people and `patch` read it.

use similar::TextDiff;

/// Lines around a change that are shown.
const CONTEXT_LINES: usize = 3;

/// A unified diff of a file; nothing where the texts are the same. `before` is `None` for a file that is new.
#[must_use]
pub fn unified(path: &str, before: Option<&str>, after: &str) -> String {
    let old_name = before.map_or("/dev/null".to_owned(), |_| format!("a/{path}"));
    TextDiff::from_lines(before.unwrap_or_default(), after)
        .unified_diff()
        .context_radius(CONTEXT_LINES)
        .header(&old_name, &format!("b/{path}"))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_as_patch_reads_it() {
        let shown = unified("x.yml", Some("a\nb\nc\n"), "a\nB\nc\n");
        assert_eq!(
            shown,
            "--- a/x.yml\n+++ b/x.yml\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
        );
        assert_eq!(
            unified("x.yml", None, "a\n"),
            "--- /dev/null\n+++ b/x.yml\n@@ -0,0 +1 @@\n+a\n"
        );
        assert_eq!(unified("x.yml", Some("a\n"), "a\n"), "");
    }
}
