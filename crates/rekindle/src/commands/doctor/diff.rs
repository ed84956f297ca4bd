//! The difference of two short texts, as people read it.

/// Lines of context around a change.
const CONTEXT: usize = 1;

/// The changed lines with a little around them: `-` before what goes, `+` before what comes. Common lines at
/// both ends are found; what is between them is taken as changed, line by line where both have as many.
pub(crate) fn lines(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same_length = old.len() == new.len();
    let changed: Vec<usize> = if same_length {
        (0..old.len()).filter(|at| old[*at] != new[*at]).collect()
    } else {
        let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        let shorter = old.len().min(new.len()) - head;
        let tail = old.iter().rev().zip(new.iter().rev());
        let tail = tail.take_while(|(a, b)| a == b).count().min(shorter);
        return whole(&old, &new, head, tail);
    };
    let mut text = String::new();
    let mut shown_to = 0;
    for at in changed {
        for line in old
            .iter()
            .take(at)
            .skip(at.saturating_sub(CONTEXT).max(shown_to))
        {
            push(&mut text, ' ', line);
        }
        push(&mut text, '-', old[at]);
        push(&mut text, '+', new[at]);
        shown_to = at + 1;
    }
    text
}

fn whole(old: &[&str], new: &[&str], head: usize, tail: usize) -> String {
    let mut text = String::new();
    for line in &old[head.saturating_sub(CONTEXT)..head] {
        push(&mut text, ' ', line);
    }
    for line in &old[head..old.len() - tail] {
        push(&mut text, '-', line);
    }
    for line in &new[head..new.len() - tail] {
        push(&mut text, '+', line);
    }
    for line in old[old.len() - tail..].iter().take(CONTEXT) {
        push(&mut text, ' ', line);
    }
    text
}

fn push(text: &mut String, mark: char, line: &str) {
    text.push(mark);
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_are_shown_with_the_one_before() {
        assert_eq!(lines("a\nb\nc\nd\n", "a\nb\n# c\nd\n"), " b\n-c\n+# c\n");
        assert_eq!(lines("a\nb\nc\n", "a\nc\n"), " a\n-b\n c\n");
        assert_eq!(lines("a\n", "a\nb\n"), " a\n+b\n");
        assert_eq!(lines("a\na\n", "a\n"), " a\n-a\n");
        assert_eq!(lines("a\n", "a\n"), "");
    }
}
