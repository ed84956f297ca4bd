//! GitHub's expressions: `${{ … }}` in texts and `if:`, as far as their value can be known beforehand.
//!
//! A [`Template`] is text with expressions in it. [`Expr::eval`] gives [`Val::Unknown`] for what only a run
//! knows; `false && unknown` is false nevertheless.

/// A value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Val {
    /// Text.
    Str(String),
    /// A number.
    Num(f64),
    /// True or false.
    Bool(bool),
    /// Nothing.
    Null,
    /// What only a run knows.
    Unknown,
}

impl Val {
    /// Whether it counts as true; `None` if only a run knows.
    #[must_use]
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Str(text) => Some(!text.is_empty()),
            Self::Num(number) => Some(*number != 0.0),
            Self::Bool(value) => Some(*value),
            Self::Null => Some(false),
            Self::Unknown => None,
        }
    }

    /// As it stands in a text; `None` if only a run knows.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Str(text) => Some(text.clone()),
            Self::Num(number) => Some(number.to_string()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Null => Some(String::new()),
            Self::Unknown => None,
        }
    }

    fn same(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => None,
            (Self::Str(one), Self::Str(two)) => Some(one.eq_ignore_ascii_case(two)),
            (one, two) => Some(one.number() == two.number()),
        }
    }

    fn number(&self) -> f64 {
        match self {
            Self::Str(text) if text.trim().is_empty() => 0.0,
            Self::Str(text) => text.trim().parse().unwrap_or(f64::NAN),
            Self::Num(number) => *number,
            Self::Bool(value) => f64::from(u8::from(*value)),
            Self::Null | Self::Unknown => 0.0,
        }
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A value as written.
    Literal(Val),
    /// `github.event_name`, in lower case; what is in brackets is a part of the path, `*` if not a literal.
    Path(String),
    /// A function, in lower case, and its arguments.
    Call(String, Vec<Expr>),
    /// `!a`
    Not(Box<Expr>),
    /// `a && b`
    And(Box<Expr>, Box<Expr>),
    /// `a || b`
    Or(Box<Expr>, Box<Expr>),
    /// `a == b`, and so on.
    Compare(&'static str, Box<Expr>, Box<Expr>),
}

/// Gives the value of a path, such as `matrix.os`.
pub type Lookup<'l> = &'l dyn Fn(&str) -> Val;

impl Expr {
    /// Reads an expression, without `${{` and `}}`. `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser {
            rest: text,
            depth: 0,
        };
        let expr = parser.or()?;
        parser.rest.trim().is_empty().then_some(expr)
    }

    /// Its value, as far as `lookup` knows the paths.
    #[must_use]
    pub fn eval(&self, lookup: Lookup<'_>) -> Val {
        match self {
            Self::Literal(value) => value.clone(),
            Self::Path(path) => lookup(path),
            Self::Not(inner) => inner
                .eval(lookup)
                .truth()
                .map_or(Val::Unknown, |value| Val::Bool(!value)),
            Self::And(one, two) => {
                let (one, two) = (one.eval(lookup), two.eval(lookup));
                match (one.truth(), two.truth()) {
                    (Some(false), _) => one,
                    (Some(true), _) => two,
                    (None, Some(false)) => Val::Bool(false),
                    (None, _) => Val::Unknown,
                }
            }
            Self::Or(one, two) => {
                let one = one.eval(lookup);
                match one.truth() {
                    Some(true) => one,
                    Some(false) => two.eval(lookup),
                    None => Val::Unknown,
                }
            }
            Self::Compare(op, one, two) => compare(op, &one.eval(lookup), &two.eval(lookup)),
            Self::Call(name, arguments) => call(name, arguments, lookup),
        }
    }

    /// Every path that it asks for.
    pub fn paths<'e>(&'e self, into: &mut Vec<&'e str>) {
        self.visit(&mut |expr| {
            if let Self::Path(path) = expr {
                into.push(path);
            }
        });
    }

    /// Visits it and all that it is made of.
    pub fn visit<'e>(&'e self, visitor: &mut dyn FnMut(&'e Self)) {
        visitor(self);
        match self {
            Self::Not(inner) => inner.visit(visitor),
            Self::And(one, two) | Self::Or(one, two) | Self::Compare(_, one, two) => {
                one.visit(visitor);
                two.visit(visitor);
            }
            Self::Call(_, arguments) => arguments
                .iter()
                .for_each(|argument| argument.visit(visitor)),
            Self::Literal(_) | Self::Path(_) => {}
        }
    }

    /// Whether it calls a function.
    #[must_use]
    pub fn calls(&self, name: &str) -> bool {
        let mut found = false;
        self.visit(&mut |expr| found |= matches!(expr, Self::Call(called, _) if called == name));
        found
    }
}

fn compare(op: &str, one: &Val, two: &Val) -> Val {
    let result = match op {
        "==" => one.same(two),
        "!=" => one.same(two).map(|same| !same),
        _ if *one == Val::Unknown || *two == Val::Unknown => None,
        "<" => Some(one.number() < two.number()),
        "<=" => Some(one.number() <= two.number()),
        ">" => Some(one.number() > two.number()),
        _ => Some(one.number() >= two.number()),
    };
    result.map_or(Val::Unknown, Val::Bool)
}

fn call(name: &str, arguments: &[Expr], lookup: Lookup<'_>) -> Val {
    let values: Vec<Val> = arguments
        .iter()
        .map(|argument| argument.eval(lookup))
        .collect();
    let text = |index: usize| values.get(index).and_then(Val::text);
    let lower = |index: usize| text(index).map(|text| text.to_ascii_lowercase());
    match name {
        "always" => Val::Bool(true),
        // What they say of a run in which all went well, which is what is audited.
        "success" => Val::Bool(true),
        "failure" | "cancelled" => Val::Bool(false),
        "startswith" => both(lower(0), lower(1), |one, two| one.starts_with(two)),
        "endswith" => both(lower(0), lower(1), |one, two| one.ends_with(two)),
        "contains" if !matches!(arguments.first(), Some(Expr::Call(..))) => {
            both(lower(0), lower(1), |one, two| one.contains(two))
        }
        "format" => format(&values).map_or(Val::Unknown, Val::Str),
        _ => Val::Unknown,
    }
}

fn both(one: Option<String>, two: Option<String>, test: fn(&str, &str) -> bool) -> Val {
    match (one, two) {
        (Some(one), Some(two)) => Val::Bool(test(&one, &two)),
        _ => Val::Unknown,
    }
}

fn format(values: &[Val]) -> Option<String> {
    let mut text = values.first()?.text()?;
    for (index, value) in values.iter().skip(1).enumerate() {
        let place = format!("{{{index}}}");
        if text.contains(&place) {
            text = text.replace(&place, &value.text()?);
        }
    }
    Some(text)
}

/// Deeper than anybody writes.
const DEPTH_LIMIT: usize = 50;

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl Parser<'_> {
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn or(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return None;
        }
        let mut left = self.and()?;
        while self.eat("||") {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Some(left)
    }

    fn and(&mut self) -> Option<Expr> {
        let mut left = self.compare()?;
        while self.eat("&&") {
            left = Expr::And(Box::new(left), Box::new(self.compare()?));
        }
        Some(left)
    }

    fn compare(&mut self) -> Option<Expr> {
        let left = self.unary()?;
        for op in ["==", "!=", "<=", ">=", "<", ">"] {
            if self.eat(op) {
                return Some(Expr::Compare(op, Box::new(left), Box::new(self.unary()?)));
            }
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Expr> {
        let mut nots = 0;
        while !self.rest.trim_start().starts_with("!=") && self.eat("!") {
            nots += 1;
            if nots > DEPTH_LIMIT {
                return None;
            }
        }
        let mut expr = self.primary()?;
        for _ in 0..nots {
            expr = Expr::Not(Box::new(expr));
        }
        Some(expr)
    }

    fn primary(&mut self) -> Option<Expr> {
        if self.eat("(") {
            let inner = self.or()?;
            return self.eat(")").then_some(inner);
        }
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next()?;
        if first == '\'' {
            return self.string().map(|text| Expr::Literal(Val::Str(text)));
        }
        if first.is_ascii_digit() || first == '-' || first == '.' {
            let end = self
                .rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))
                .unwrap_or(self.rest.len());
            let number = self.rest[..end].parse().ok()?;
            self.rest = &self.rest[end..];
            return Some(Expr::Literal(Val::Num(number)));
        }
        let name = self.name()?;
        match name.as_str() {
            "true" => return Some(Expr::Literal(Val::Bool(true))),
            "false" => return Some(Expr::Literal(Val::Bool(false))),
            "null" => return Some(Expr::Literal(Val::Null)),
            _ => {}
        }
        if self.eat("(") {
            let arguments = self.arguments()?;
            // What is taken out of a function's value only a run knows.
            if matches!(self.rest.chars().next(), Some('.' | '[')) {
                self.path(name.clone())?;
            }
            return Some(Expr::Call(name, arguments));
        }
        self.path(name).map(Expr::Path)
    }

    fn arguments(&mut self) -> Option<Vec<Expr>> {
        let mut arguments = Vec::new();
        if self.eat(")") {
            return Some(arguments);
        }
        loop {
            arguments.push(self.or()?);
            if self.eat(")") {
                return Some(arguments);
            }
            if !self.eat(",") {
                return None;
            }
        }
    }

    fn path(&mut self, mut path: String) -> Option<String> {
        loop {
            if self.eat(".") {
                path.push('.');
                if self.eat("*") {
                    path.push('*');
                } else {
                    path.push_str(&self.name()?);
                }
            } else if self.rest.starts_with('[') {
                self.rest = &self.rest[1..];
                let index = self.or()?;
                if !self.eat("]") {
                    return None;
                }
                path.push('.');
                match index {
                    Expr::Literal(Val::Str(text)) => path.push_str(&text.to_ascii_lowercase()),
                    Expr::Literal(Val::Num(number)) => path.push_str(&number.to_string()),
                    _ => path.push('*'),
                }
            } else {
                return Some(path);
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start();
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(self.rest.len());
        let name = self.rest[..end].to_ascii_lowercase();
        self.rest = &self.rest[end..];
        (!name.is_empty()).then_some(name)
    }

    fn string(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut rest = self.rest.strip_prefix('\'')?;
        loop {
            let end = rest.find('\'')?;
            text.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('\'') {
                Some(more) => {
                    text.push('\'');
                    rest = more;
                }
                None => {
                    self.rest = rest;
                    return Some(text);
                }
            }
        }
    }
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// As written.
    Text(String),
    /// `${{ … }}`; `None` if it is no expression.
    Expr(Option<Expr>),
}

/// A text with expressions in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// In their order.
    pub pieces: Vec<Piece>,
}

impl Template {
    /// Reads a text. An expression that is no such is kept as one that nobody knows.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("${{") {
            let Some(end) = expression_end(&rest[start + 3..]) else {
                break;
            };
            if start > 0 {
                pieces.push(Piece::Text(rest[..start].to_owned()));
            }
            pieces.push(Piece::Expr(Expr::parse(&rest[start + 3..start + 3 + end])));
            rest = &rest[start + 5 + end..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Self { pieces }
    }

    /// An `if:`, which is an expression with or without the braces.
    #[must_use]
    pub fn condition(text: &str) -> Self {
        if text.contains("${{") {
            return Self::parse(text);
        }
        Self {
            pieces: vec![Piece::Expr(Expr::parse(text))],
        }
    }

    /// Its expressions.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Expr(Some(expr)) => Some(expr),
            _ => None,
        })
    }

    /// Whether it calls a function.
    #[must_use]
    pub fn calls(&self, name: &str) -> bool {
        self.exprs().any(|expr| expr.calls(name))
    }

    /// Every path that its expressions ask for.
    #[must_use]
    pub fn paths(&self) -> Vec<&str> {
        let mut paths = Vec::new();
        self.exprs().for_each(|expr| expr.paths(&mut paths));
        paths
    }

    /// The value: that of the only expression, or text; unknown if a part of it is.
    #[must_use]
    pub fn eval(&self, lookup: Lookup<'_>) -> Val {
        match self.pieces.as_slice() {
            [Piece::Expr(Some(expr))] => expr.eval(lookup),
            [Piece::Expr(None)] => Val::Unknown,
            pieces => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(part) => text.push_str(part),
                        Piece::Expr(Some(expr)) => match expr.eval(lookup).text() {
                            Some(part) => text.push_str(&part),
                            None => return Val::Unknown,
                        },
                        Piece::Expr(None) => return Val::Unknown,
                    }
                }
                Val::Str(text)
            }
        }
    }
}

/// Where `}}` is, beyond strings.
fn expression_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quoted = false;
    for at in 0..bytes.len() {
        match bytes[at] {
            b'\'' => quoted = !quoted,
            b'}' if !quoted && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(path: &str) -> Val {
        match path {
            "matrix.os" => Val::Str("ubuntu-24.04".to_owned()),
            "matrix.release" => Val::Bool(true),
            "matrix.none" => Val::Null,
            _ => Val::Unknown,
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Val) {
        assert_eq!(Template::parse(text).eval(&lookup), expected, "{text}");
    }

    #[test]
    fn values_are_known_as_far_as_they_can_be() {
        check("${{ matrix.os == 'Ubuntu-24.04' }}", Val::Bool(true));
        check(
            "${{ matrix['os'] }}-x",
            Val::Str("ubuntu-24.04-x".to_owned()),
        );
        check("${{ github.ref == 'x' && false }}", Val::Bool(false));
        check("${{ github.ref == 'x' || true }}", Val::Unknown);
        check(
            "${{ !(matrix.release) || startsWith(matrix.os, 'ubuntu') }}",
            Val::Bool(true),
        );
        check(
            "${{ matrix.release && '--release' || '' }}",
            Val::Str("--release".to_owned()),
        );
        check("${{ matrix.none || 'it''s' }}", Val::Str("it's".to_owned()));
        check(
            "${{ format('{0}-{1}', matrix.os, 1) }}",
            Val::Str("ubuntu-24.04-1".to_owned()),
        );
        check("key-${{ hashFiles('a}}b') }}", Val::Unknown);
        check("${{ 1 < 2 }}", Val::Bool(true));
        check("${{ what is this }}", Val::Unknown);
    }

    #[test]
    fn a_text_knows_what_it_asks_for() {
        let template =
            Template::parse("${{ runner.os }}-${{ hashFiles('**/Cargo.lock') }}-${{ github.sha }}");
        assert!(template.calls("hashfiles"));
        assert_eq!(template.paths(), ["runner.os", "github.sha"]);
        assert_eq!(
            Template::condition("always() && github.ref == 'x'").paths(),
            ["github.ref"]
        );
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert_eq!(Expr::parse(&"(".repeat(10_000)), None);
        assert_eq!(Expr::parse(&"!".repeat(10_000)), None);
        assert_eq!(Expr::parse(&"a[".repeat(10_000)), None);
    }
}
