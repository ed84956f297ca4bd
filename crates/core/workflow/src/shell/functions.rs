//! Functions of a script: where one is called stand its commands, with the call's words for `$1`, `$@`.

use std::collections::BTreeMap;

use super::{Command, Part, Word};

/// The functions that a script has defined so far.
#[derive(Default)]
pub(super) struct Functions {
    bodies: BTreeMap<String, Body>,
}

struct Body {
    commands: Vec<Command>,
    called: bool,
}

/// More commands than this come only from functions that call each other many times.
const COMMANDS_LIMIT: usize = 2_000;

impl Functions {
    pub(super) fn define(&mut self, name: &str, commands: Vec<Command>) {
        let body = Body {
            commands,
            called: false,
        };
        self.bodies.insert(name.to_owned(), body);
    }

    /// What a command does: its function's commands if it calls one, else itself. A body was expanded as it was
    /// read, by the functions before it, so none is expanded twice.
    pub(super) fn expand(&mut self, command: Command, into: &mut Vec<Command>) {
        let body = command
            .words
            .first()
            .and_then(Word::literal)
            .and_then(|name| self.bodies.get_mut(&name));
        let Some(body) = body.filter(|_| into.len() < COMMANDS_LIMIT) else {
            return into.push(command);
        };
        body.called = true;
        let mut arguments = &command.words[1..];
        // Variables that hold what the call gives, as in `local tool="$1"`.
        let mut given: Vec<&str> = Vec::new();
        for inner in &body.commands {
            if inner.words.first().and_then(Word::literal).as_deref() == Some("shift") {
                arguments = arguments.get(1..).unwrap_or_default();
                continue;
            }
            let takes = |word: &Word| {
                word.parts.iter().any(|part| {
                    is_argument(part)
                        || matches!(&part.0, Part::Variable(name) if given.contains(&name.as_str()))
                })
            };
            let own_place = !inner.words.iter().any(takes);
            let named = inner.env.iter().filter(|(_, value)| takes(value));
            let more: Vec<&str> = named.map(|(name, _)| name.as_str()).collect();
            into.push(called(inner, &command, arguments, own_place));
            given.extend(more);
        }
    }

    /// The commands of functions that nothing calls by their names: a trap or another script may.
    pub(super) fn rest(self) -> impl Iterator<Item = Command> {
        self.bodies
            .into_values()
            .filter(|body| !body.called)
            .flat_map(|body| body.commands)
            .map(|command| Command {
                conditional: true,
                ..command
            })
    }
}

/// A function's command as a call runs it. What the call's words decide stands where these are written.
fn called(inner: &Command, call: &Command, arguments: &[Word], own_place: bool) -> Command {
    let (line, last_line) = if own_place {
        (inner.line, inner.last_line)
    } else {
        (call.line, call.last_line)
    };
    let env = inner
        .env
        .iter()
        .map(|(name, value)| (name.clone(), filled(value, arguments)));
    let outputs = inner
        .outputs
        .iter()
        .map(|word| filled(word, arguments))
        .chain(call.outputs.iter().cloned());
    Command {
        env: call.env.iter().cloned().chain(env).collect(),
        words: inner
            .words
            .iter()
            .flat_map(|word| words(word, arguments))
            .collect(),
        outputs: outputs.collect(),
        input: inner.input.as_ref().map(|word| filled(word, arguments)),
        line,
        last_line,
        conditional: inner.conditional || call.conditional,
        looped: inner.looped || call.looped,
        inner: inner.inner || call.inner,
    }
}

fn is_argument((part, _): &(Part, bool)) -> bool {
    matches!(part, Part::Variable(name) if matches!(name.as_str(), "@" | "*") || number(name).is_some())
}

/// Which argument a variable is, from 1.
fn number(name: &str) -> Option<usize> {
    name.parse().ok().filter(|number| *number > 0)
}

/// The words that one of a function's becomes: `"$@"` is as many as were given.
fn words(word: &Word, arguments: &[Word]) -> Vec<Word> {
    let all = word
        .parts
        .iter()
        .filter(|(part, _)| !matches!(part, Part::Text(text) if text.is_empty()))
        .all(
            |(part, _)| matches!(part, Part::Variable(name) if matches!(name.as_str(), "@" | "*")),
        );
    if all && word.parts.iter().any(is_argument) {
        return arguments.to_vec();
    }
    vec![filled(word, arguments)]
}

fn filled(word: &Word, arguments: &[Word]) -> Word {
    let mut parts = Vec::new();
    for (part, quoted) in &word.parts {
        let given = match part {
            Part::Variable(name) => number(name),
            _ => None,
        };
        match given {
            Some(number) => {
                let given = arguments.get(number - 1).cloned().unwrap_or_default();
                parts.extend(
                    given
                        .parts
                        .into_iter()
                        .map(|(part, own)| (part, own || *quoted)),
                );
            }
            None => parts.push((part.clone(), *quoted)),
        }
    }
    Word { parts }
}
