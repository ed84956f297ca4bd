//! Shell lines, parsed as shell: which commands a script runs, with which words, and what they write to.
//!
//! tree-sitter's grammar of bash reads them: it is maintained, MIT, made for text with mistakes in it (a script
//! for another shell gives the commands that both understand), and does not recurse on its input.
//! Expressions (`${{ … }}`) become pieces of words, so that one reading serves all values of a matrix.

mod functions;
mod word;

use std::borrow::Cow;

use tree_sitter::{Node, Parser, Tree};

use crate::expr::{Expr, Template};

use self::functions::Functions;
pub use self::word::{Part, UNKNOWN, Word};

/// A command of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Variables set for it alone.
    pub env: Vec<(String, Word)>,
    /// Program and arguments.
    pub words: Vec<Word>,
    /// Files that its output is appended to or written to; of a pipeline also what `tee` names.
    pub outputs: Vec<Word>,
    /// A here-document that it reads.
    pub input: Option<Word>,
    /// The line in the script, from 0.
    pub line: u32,
    /// The last line in the script, from 0.
    pub last_line: u32,
    /// It runs only if something else says so: in `if`, after `||`, in a function that nothing calls.
    pub conditional: bool,
    /// It stands in a loop.
    pub looped: bool,
    /// It is the left side of a pipeline, in `$(…)`, or in the background.
    pub inner: bool,
}

/// Longer scripts than anybody writes into a workflow are not read.
const LENGTH_LIMIT: usize = 200_000;

/// The commands of a script, in their order; those of functions where these are called, and of `$(…)` as well.
#[must_use]
pub fn commands(script: &str) -> Vec<Command> {
    if script.len() > LENGTH_LIMIT {
        return Vec::new();
    }
    let (text, exprs) = without_expressions(script);
    let Some(tree) = parse(&masked(&text)) else {
        return Vec::new();
    };
    let mut walk = Walk {
        text: &text,
        exprs: &exprs,
        commands: Vec::new(),
        functions: Functions::default(),
    };
    walk.statement(tree.root_node(), Around::default(), 0);
    walk.commands.extend(walk.functions.rest());
    walk.commands
}

fn parse(text: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_bash::LANGUAGE.into())
        .ok()?;
    parser.parse(text, None)
}

/// The text with letters in the place of what is not ASCII, each as many as its bytes: the grammar's scanner, in C, asks
/// `isdigit` about characters that it is not defined for, and dies. Words are taken from the text itself.
fn masked(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let letters = |c: char| {
        if c.is_ascii() {
            c.to_string()
        } else {
            "x".repeat(c.len_utf8())
        }
    };
    Cow::Owned(text.chars().map(letters).collect())
}

/// A name that no script has; its number follows.
const MARK: &str = "__rekindle_";

/// The script with a name in the place of each expression, lines kept.
fn without_expressions(script: &str) -> (String, Vec<Option<Expr>>) {
    let mut text = String::new();
    let mut exprs = Vec::new();
    for piece in Template::parse(script).pieces {
        match piece {
            crate::expr::Piece::Text(part) => text.push_str(&part),
            crate::expr::Piece::Expr(expr) => {
                text.push_str(&format!("{MARK}{}_", exprs.len()));
                exprs.push(expr);
            }
        }
    }
    (text.replace("\r\n", "\n"), exprs)
}

/// What surrounds a statement.
#[derive(Clone, Default)]
struct Around {
    conditional: bool,
    looped: bool,
    inner: bool,
    outputs: Vec<Word>,
    input: Option<Word>,
}

struct Walk<'t> {
    text: &'t str,
    exprs: &'t [Option<Expr>],
    commands: Vec<Command>,
    functions: Functions,
}

/// Deeper than anybody nests.
const DEPTH_LIMIT: usize = 100;

impl Walk<'_> {
    fn statement(&mut self, node: Node<'_>, around: Around, depth: usize) {
        if depth > DEPTH_LIMIT {
            return;
        }
        match node.kind() {
            "command" | "declaration_command" | "variable_assignment" | "variable_assignments" => {
                self.command(node, around, depth)
            }
            "redirected_statement" => self.redirected(node, around, depth),
            "pipeline" => self.pipeline(node, around, depth),
            "list" => {
                // What follows `&&` runs where all goes well; what follows `||` does not.
                let mut inner = around;
                for index in 0..node.child_count() {
                    let Some(child) = node.child(index) else {
                        continue;
                    };
                    inner.conditional |= child.kind() == "||";
                    if child.is_named() {
                        self.statement(child, inner.clone(), depth + 1);
                    }
                }
            }
            "function_definition" => self.function(node, depth),
            "if_statement" | "case_statement" => self.each(
                node,
                Around {
                    conditional: true,
                    ..around
                },
                depth,
            ),
            "for_statement" | "while_statement" | "c_style_for_statement" => self.each(
                node,
                Around {
                    looped: true,
                    ..around
                },
                depth,
            ),
            "command_substitution" | "process_substitution" => self.each(
                node,
                Around {
                    inner: true,
                    outputs: Vec::new(),
                    ..around
                },
                depth,
            ),
            "comment" | "word" | "raw_string" => {}
            _ => self.each(node, around, depth),
        }
    }

    fn each(&mut self, node: Node<'_>, around: Around, depth: usize) {
        for child in children(node) {
            self.statement(child, around.clone(), depth + 1);
        }
    }

    fn function(&mut self, node: Node<'_>, depth: usize) {
        let name = node
            .child_by_field_name("name")
            .map(|name| self.source(name).to_owned())
            .unwrap_or_default();
        let outside = std::mem::take(&mut self.commands);
        self.each(node, Around::default(), depth);
        let commands = std::mem::replace(&mut self.commands, outside);
        self.functions.define(&name, commands);
    }

    fn redirected(&mut self, node: Node<'_>, mut around: Around, depth: usize) {
        let mut body = None;
        let mut piped = None;
        for child in children(node) {
            match child.kind() {
                "file_redirect" => {
                    let writes = self
                        .source(child)
                        .trim_start_matches(|c: char| c.is_ascii_digit())
                        .starts_with(['>', '&']);
                    if let Some(target) =
                        child.child_by_field_name("destination").filter(|_| writes)
                    {
                        around.outputs.push(self.word(target));
                    }
                }
                "heredoc_redirect" => {
                    for part in children(child) {
                        match part.kind() {
                            "heredoc_body" => around.input = Some(self.word(part)),
                            "file_redirect" => {
                                if let Some(target) = part.child_by_field_name("destination") {
                                    around.outputs.push(self.word(target));
                                }
                            }
                            "pipeline" | "command" | "list" => piped = Some(part),
                            _ => {}
                        }
                    }
                }
                "herestring_redirect" => {
                    around.input = children(child).next().map(|text| self.word(text))
                }
                _ => body = Some(child),
            }
        }
        if let Some(piped) = piped {
            around.outputs.extend(self.tees(piped));
            self.statement(
                piped,
                Around {
                    input: None,
                    outputs: Vec::new(),
                    ..around.clone()
                },
                depth + 1,
            );
        }
        if let Some(body) = body {
            self.statement(body, around, depth + 1);
        }
    }

    fn pipeline(&mut self, node: Node<'_>, around: Around, depth: usize) {
        let parts: Vec<Node<'_>> = children(node).collect();
        let mut outputs = around.outputs.clone();
        for part in parts.iter().skip(1) {
            outputs.extend(self.tees(*part));
        }
        for (index, part) in parts.iter().enumerate() {
            let first = index == 0;
            let inner = Around {
                outputs: if first { outputs.clone() } else { Vec::new() },
                inner: around.inner || index + 1 < parts.len(),
                ..around.clone()
            };
            self.statement(*part, inner, depth + 1);
        }
    }

    /// The files that `tee` and PowerShell's `Out-File` name.
    fn tees(&self, node: Node<'_>) -> Vec<Word> {
        let mut words: Vec<Word> = Vec::new();
        if node.kind() == "command" {
            words = children(node).map(|child| self.word(child)).collect();
        }
        let program = words.first().and_then(Word::literal).unwrap_or_default();
        if matches!(program.as_str(), "tee" | "Out-File" | "Add-Content") {
            words.split_off(1)
        } else {
            Vec::new()
        }
    }

    fn command(&mut self, node: Node<'_>, around: Around, depth: usize) {
        let mut command = Command {
            env: Vec::new(),
            words: Vec::new(),
            outputs: around.outputs.clone(),
            input: around.input.clone(),
            line: line(node.start_position().row),
            last_line: line(node.end_position().row),
            conditional: around.conditional,
            looped: around.looped,
            inner: around.inner,
        };
        if node.kind() == "declaration_command" {
            let keyword = self
                .source(node)
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned();
            command.words.push(Word {
                parts: vec![(Part::Text(keyword), true)],
            });
        }
        let assignments_alone =
            matches!(node.kind(), "variable_assignment" | "variable_assignments");
        let itself = (node.kind() == "variable_assignment").then_some(node);
        for child in itself
            .into_iter()
            .chain(children(node).filter(|_| itself.is_none()))
        {
            match child.kind() {
                "variable_assignment" => {
                    let name = child
                        .child_by_field_name("name")
                        .map(|name| self.source(name).to_owned())
                        .unwrap_or_default();
                    let value = child
                        .child_by_field_name("value")
                        .map(|value| self.word(value))
                        .unwrap_or_default();
                    command.env.push((name, value));
                }
                "file_redirect" => {
                    if let Some(target) = child.child_by_field_name("destination") {
                        command.outputs.push(self.word(target));
                    }
                }
                "herestring_redirect" | "comment" => {}
                _ => command.words.push(self.word(child)),
            }
        }
        if !command.words.is_empty() || (assignments_alone && !command.env.is_empty()) {
            self.functions.expand(command, &mut self.commands);
        }
        self.substitutions(node, &around, depth);
    }

    /// Commands in `$(…)` within a command.
    fn substitutions(&mut self, node: Node<'_>, around: &Around, depth: usize) {
        if depth > DEPTH_LIMIT {
            return;
        }
        for child in children(node) {
            if matches!(
                child.kind(),
                "command_substitution" | "process_substitution"
            ) {
                self.statement(child, around.clone(), depth + 1);
            } else {
                self.substitutions(child, around, depth + 1);
            }
        }
    }

    fn source(&self, node: Node<'_>) -> &str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn word(&self, node: Node<'_>) -> Word {
        let mut word = Word::default();
        self.parts(node, false, &mut word.parts, 0);
        word
    }

    fn parts(&self, node: Node<'_>, quoted: bool, into: &mut Vec<(Part, bool)>, depth: usize) {
        if depth > DEPTH_LIMIT {
            return into.push((Part::Unknown, quoted));
        }
        match node.kind() {
            "raw_string" => self.text_parts(self.source(node).trim_matches('\''), true, into),
            "string" => {
                // An empty string is a word all the same.
                into.push((Part::Text(String::new()), true));
                self.between(node, true, into, depth);
            }
            "heredoc_body" => self.between(node, true, into, depth),
            "command_name" | "concatenation" => {
                for child in children(node) {
                    self.parts(child, quoted, into, depth + 1);
                }
            }
            "simple_expansion" => into.push((
                Part::Variable(self.source(node).trim_start_matches('$').to_owned()),
                quoted,
            )),
            "expansion" => {
                let source = self
                    .source(node)
                    .trim_start_matches("${")
                    .trim_end_matches('}');
                let plain = !source.is_empty()
                    && source
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || c == '_');
                let part = if plain {
                    Part::Variable(source.to_owned())
                } else {
                    Part::Unknown
                };
                into.push((part, quoted));
            }
            "command_substitution"
            | "process_substitution"
            | "arithmetic_expansion"
            | "array"
            | "subscript" => into.push((Part::Unknown, quoted)),
            "string_content" | "heredoc_content" => {
                self.text_parts(&self.source(node).replace("\\\"", "\""), true, into)
            }
            _ => self.text_parts(
                &self.source(node).replace("\\\n", "").replace('\\', ""),
                quoted,
                into,
            ),
        }
    }

    /// The children of a node and the text between them, which the grammar leaves out.
    fn between(&self, node: Node<'_>, quoted: bool, into: &mut Vec<(Part, bool)>, depth: usize) {
        let mut at = node.start_byte();
        let mut end = node.end_byte();
        if node.kind() == "string" {
            at += 1;
            end = end.saturating_sub(1).max(at);
        }
        for child in children(node) {
            if let Some(text) = self.text.get(at..child.start_byte()) {
                self.text_parts(text, quoted, into);
            }
            self.parts(child, quoted, into, depth + 1);
            at = child.end_byte();
        }
        if let Some(text) = self.text.get(at..end) {
            self.text_parts(text, quoted, into);
        }
    }

    /// Text with marks in it as parts.
    fn text_parts(&self, mut text: &str, quoted: bool, into: &mut Vec<(Part, bool)>) {
        while let Some(start) = text.find(MARK) {
            let rest = &text[start + MARK.len()..];
            let end = rest.find('_').unwrap_or(rest.len());
            let Some(expr) = rest[..end]
                .parse::<usize>()
                .ok()
                .and_then(|index| self.exprs.get(index))
            else {
                break;
            };
            if start > 0 {
                into.push((Part::Text(text[..start].to_owned()), quoted));
            }
            into.push((Part::Expr(expr.clone()), quoted));
            text = rest.get(end + 1..).unwrap_or_default();
        }
        if !text.is_empty() {
            into.push((Part::Text(text.to_owned()), quoted));
        }
    }
}

fn children(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    (0..node.named_child_count())
        .filter_map(move |index| node.named_child(u32::try_from(index).ok()?))
}

fn line(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Val;

    fn lookup(path: &str) -> Val {
        match path {
            "matrix.args" => Val::Str("--release --locked".to_owned()),
            "matrix.none" => Val::Str(String::new()),
            _ => Val::Unknown,
        }
    }

    fn variable(name: &str) -> Option<String> {
        (name == "FLAGS").then(|| "-p one".to_owned())
    }

    fn shown(command: &Command) -> String {
        let mut words: Vec<String> = command
            .env
            .iter()
            .map(|(name, value)| format!("{name}={}", value.text(&lookup, &variable)))
            .collect();
        words.extend(
            command
                .words
                .iter()
                .flat_map(|word| word.resolve(&lookup, &variable)),
        );
        let mut text = words.join("|");
        for output in &command.outputs {
            text += &format!(
                " > {}",
                output.text(&lookup, &|name| Some(format!("${name}")))
            );
        }
        if let Some(input) = &command.input {
            text += &format!(" < {:?}", input.text(&lookup, &variable));
        }
        if command.conditional {
            text += " ?";
        }
        if command.looped {
            text += " *";
        }
        text
    }

    #[track_caller]
    fn check(script: &str, expected: &[&str]) {
        let found: Vec<String> = commands(script).iter().map(shown).collect();
        assert_eq!(found, expected, "{script}");
    }

    #[test]
    fn commands_are_taken_apart() {
        check(
            "cargo build --release\n# cargo test\ncargo \\\n  test 'a b' \"c $FLAGS\"",
            &["cargo|build|--release", "cargo|test|a b|c -p one"],
        );
        check(
            "A=1 B=\"x y\" cargo build $FLAGS",
            &["A=1|B=x y|cargo|build|-p|one"],
        );
        check(
            "cargo build && cargo test || true",
            &["cargo|build", "cargo|test", "true ?"],
        );
        check(
            "if [ -n \"$X\" ]; then cargo a; fi\nfor p in a b; do cargo $p; done",
            &["cargo|a ?", "cargo|\u{fffd} *"],
        );
        check("export A=1\nB=2", &["A=1|export", "B=2"]);
        check("echo 'cargo install x' # cargo", &["echo|cargo install x"]);
    }

    #[test]
    fn functions_run_where_they_are_called() {
        check(
            "get() { cargo install \"$1\" --locked; }\nget one\nget two || true",
            &[
                "cargo|install|one|--locked",
                "cargo|install|two|--locked",
                "true ?",
            ],
        );
        check(
            "a() {\n  shift\n  cargo \"$@\" -v\n}\nfunction b { if x; then a 1 \"$1 z\" >> f; fi; }\nb y",
            &["x ?", "cargo|y z|-v > f ?"],
        );
        check(
            "trap() { cargo clean; }\ncargo build",
            &["cargo|build", "cargo|clean ?"],
        );
        check("a() { a; a; }\na", &["a", "a"]);
    }

    #[test]
    fn expressions_become_words() {
        check(
            "cargo build ${{ matrix.args }} --bin ${{ matrix.x }}-y",
            &["cargo|build|--release|--locked|--bin|\u{fffd}-y"],
        );
        check("cargo build ${{ matrix.none }}", &["cargo|build"]);
        check("\"${{ matrix.args }}\" x", &["--release --locked|x"]);
    }

    #[test]
    fn what_output_goes_to_is_known() {
        check("echo \"A=1\" >> $GITHUB_ENV", &["echo|A=1 > $GITHUB_ENV"]);
        check("echo A=1 >> \"${GITHUB_ENV}\"", &["echo|A=1 > $GITHUB_ENV"]);
        check(
            "{ echo A=1; echo B=2; } >> $GITHUB_ENV",
            &["echo|A=1 > $GITHUB_ENV", "echo|B=2 > $GITHUB_ENV"],
        );
        check(
            "echo A=1 | tee -a $GITHUB_ENV",
            &["echo|A=1 > -a > $GITHUB_ENV", "tee|-a|\u{fffd}"],
        );
        check(
            "cat >> $GITHUB_ENV <<EOF\nA=1\nB=2\nEOF",
            &["cat > $GITHUB_ENV < \"A=1\\nB=2\\n\""],
        );
        check(
            "cat <<EOF >> $GITHUB_ENV\nA=1\nEOF\n",
            &["cat > $GITHUB_ENV < \"A=1\\n\""],
        );
        check(
            "echo \"X=$(cargo metadata)\" >> $GITHUB_ENV",
            &["echo|X=\u{fffd} > $GITHUB_ENV", "cargo|metadata"],
        );
    }

    #[test]
    fn another_shell_gives_what_both_understand() {
        let found = commands("echo \"A=1\" >> $env:GITHUB_ENV\ncargo build --release");
        assert!(found[0].outputs[0].names("GITHUB_ENV"), "{found:?}");
        assert_eq!(shown(&found[1]), "cargo|build|--release");
        let found = commands("\"A=1\" | Out-File -FilePath $env:GITHUB_ENV -Append");
        assert!(
            found[0].outputs.iter().any(|word| word.names("GITHUB_ENV")),
            "{found:?}"
        );
    }

    #[test]
    fn what_is_not_ascii_is_read_as_it_is() {
        check("cargo test -p größe 'a 🦀'", &["cargo|test|-p|größe|a 🦀"]);
        let _ = commands("cat <<j᪈Ⱥ𝪟.𞹡5🢅X\nx\nj᪈");
    }

    #[test]
    fn hostile_scripts_end() {
        for text in [
            "(".repeat(20_000),
            "$(".repeat(20_000),
            "<<A ".repeat(3_000),
            "if ".repeat(10_000),
            "\u{0}\u{fffd}${{".repeat(100),
        ] {
            let _ = commands(&text);
        }
    }
}
