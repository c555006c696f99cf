//! Just enough SQL: words, strings, parameters, and lists of simple expressions.
//!
//! A `?` inside a string or a comment is no parameter, and a `;` there ends no statement; so the
//! text is cut into tokens first, and everything else reads those.

use super::value::Value;

/// A piece of a statement, with the place where it stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A keyword or name; also a name in backquotes.
    Word(String),
    Number(String),
    Text(String),
    /// `@@name`, `@@session.name` or `@@global.name`, in lower case and without the scope.
    SystemVariable(String),
    /// `@name`, in lower case.
    UserVariable(String),
    /// `?`
    Parameter,
    Symbol(char),
}

impl Token {
    /// Whether this is the given keyword, in whatever case.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(&self.kind, TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn is_symbol(&self, symbol: char) -> bool {
        self.kind == TokenKind::Symbol(symbol)
    }
}

/// Cuts a text into tokens. Comments and blanks are left out.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, kind) = if first.is_whitespace() {
            (first.len_utf8(), None)
        } else if first == '#' || rest.starts_with("-- ") {
            (rest.find('\n').unwrap_or(rest.len()), None)
        } else if rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |end| end + 2), None)
        } else {
            let (length, kind) = token(first, rest);
            (length, Some(kind))
        };
        if let Some(kind) = kind {
            tokens.push(Token {
                kind,
                start: at,
                end: at + length,
            });
        }
        at += length;
    }
    tokens
}

/// The token at the start of `rest`, and how many bytes it takes.
fn token(first: char, rest: &str) -> (usize, TokenKind) {
    match first {
        '\'' | '"' => {
            let (length, content) = quoted(rest, first);
            (length, TokenKind::Text(content))
        }
        '`' => {
            let (length, content) = quoted(rest, first);
            (length, TokenKind::Word(content))
        }
        '?' => (1, TokenKind::Parameter),
        '@' if rest.starts_with("@@") => {
            let length = 2 + run(&rest[2..], |c| is_name(c) || c == '.');
            let name = rest[2..length].to_ascii_lowercase();
            let name = ["session.", "global.", "local."]
                .iter()
                .find_map(|scope| name.strip_prefix(scope))
                .unwrap_or(&name);
            (length, TokenKind::SystemVariable(name.to_owned()))
        }
        '@' => {
            let length = 1 + run(&rest[1..], |c| is_name(c) || c == '.');
            (
                length,
                TokenKind::UserVariable(rest[1..length].to_ascii_lowercase()),
            )
        }
        '0'..='9' => number(rest),
        '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest),
        c if is_name(c) => {
            let length = run(rest, is_name);
            (length, TokenKind::Word(rest[..length].to_owned()))
        }
        c => (c.len_utf8(), TokenKind::Symbol(c)),
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn number(rest: &str) -> (usize, TokenKind) {
    let mut length = run(rest, |c| c.is_ascii_digit() || c == '.');
    let exponent = &rest[length..];
    if exponent.starts_with(['e', 'E']) {
        let sign = usize::from(exponent[1..].starts_with(['+', '-']));
        let digits = run(&exponent[1 + sign..], |c| c.is_ascii_digit());
        if digits > 0 {
            length += 1 + sign + digits;
        }
    }
    (length, TokenKind::Number(rest[..length].to_owned()))
}

/// A string with its quotes doubled or, in strings proper, escaped by a backslash.
fn quoted(rest: &str, quote: char) -> (usize, String) {
    let mut content = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote != '`' {
            match chars.next() {
                Some((_, 'n')) => content.push('\n'),
                Some((_, 't')) => content.push('\t'),
                Some((_, 'r')) => content.push('\r'),
                Some((_, '0')) => content.push('\0'),
                Some((_, other)) => content.push(other),
                None => {}
            }
        } else if c == quote {
            if chars.next_if(|(_, next)| *next == quote).is_none() {
                return (at + quote.len_utf8(), content);
            }
            content.push(quote);
        } else {
            content.push(c);
        }
    }
    (rest.len(), content)
}

/// The statements of a text, cut at each `;`, without blanks around them.
pub(super) fn statements<'t>(text: &'t str, tokens: &[Token]) -> Vec<&'t str> {
    let mut statements = Vec::new();
    for statement in tokens.split(|token| token.is_symbol(';')) {
        if let (Some(first), Some(last)) = (statement.first(), statement.last()) {
            statements.push(&text[first.start..last.end]);
        }
    }
    statements
}

/// How many parameters a prepared statement wants.
pub(super) fn parameters(tokens: &[Token]) -> usize {
    tokens
        .iter()
        .filter(|token| token.kind == TokenKind::Parameter)
        .count()
}

/// An expression that the double can work out without tables.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Literal(Value),
    /// The n-th parameter, from 0.
    Parameter(usize),
    SystemVariable(String),
    UserVariable(String),
    ConnectionId,
    Version,
    Database,
    User,
    /// Waits that many seconds and gives 0.
    Sleep(Box<Expr>),
}

/// An expression in a `SELECT`, with the name of its column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) expr: Expr,
    pub(super) name: String,
}

/// Reads a list such as `1, @@port AS p, SLEEP(0.1)`; `None` if there is anything else in it.
pub(super) fn items(text: &str, tokens: &[Token]) -> Option<Vec<Item>> {
    let mut parser = Parser {
        tokens,
        parameters: 0,
    };
    let mut items = Vec::new();
    loop {
        let start = parser.tokens.first()?.start;
        let before = parser.tokens;
        let expr = parser.expr()?;
        let used = before.len() - parser.tokens.len();
        let mut name = text[start..before.get(used - 1)?.end].to_owned();
        let aliased = parser.eat(|token| token.is("AS"));
        match parser.tokens.first().map(|token| &token.kind) {
            Some(TokenKind::Word(alias) | TokenKind::Text(alias)) => {
                name = alias.clone();
                parser.tokens = &parser.tokens[1..];
            }
            _ if aliased => return None,
            // A string literal's column is named without the quotes.
            _ => {
                if let Expr::Literal(Value::Text(content)) = &expr {
                    name = content.clone();
                }
            }
        }
        items.push(Item { expr, name });
        if parser.tokens.is_empty() {
            return Some(items);
        }
        if !parser.eat(|token| token.is_symbol(',')) {
            return None;
        }
    }
}

/// What a `SET` assigns.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    System(String),
    User(String),
}

/// Reads the assignments of a `SET`, after that word: `autocommit = 0, @x := 1`. What it cannot read
/// it leaves out: such a `SET` succeeds and does nothing.
pub(super) fn assignments(tokens: &[Token]) -> Vec<(Target, Expr)> {
    let mut parameters = 0;
    let mut assignments = Vec::new();
    for part in tokens.split(|token| token.is_symbol(',')) {
        let scopes = part
            .iter()
            .take_while(|t| t.is("SESSION") || t.is("LOCAL"))
            .count();
        let part = &part[scopes..];
        let target = match part.first().map(|token| &token.kind) {
            Some(TokenKind::Word(name)) => Target::System(name.to_ascii_lowercase()),
            Some(TokenKind::SystemVariable(name)) => Target::System(name.clone()),
            Some(TokenKind::UserVariable(name)) => Target::User(name.clone()),
            _ => continue,
        };
        let mut parser = Parser {
            tokens: &part[1..],
            parameters,
        };
        parser.eat(|token| token.is_symbol(':'));
        if !parser.eat(|token| token.is_symbol('=')) {
            continue;
        }
        let value = parser.tokens;
        let expr = parser.expr().or_else(|| match value {
            // A bare word is its own value here: SET autocommit = ON.
            [
                Token {
                    kind: TokenKind::Word(word),
                    ..
                },
            ] => Some(Expr::Literal(Value::Text(word.clone()))),
            _ => None,
        });
        parameters = parser.parameters;
        assignments.extend(expr.map(|expr| (target, expr)));
    }
    assignments
}

struct Parser<'t> {
    tokens: &'t [Token],
    parameters: usize,
}

impl<'t> Parser<'t> {
    fn eat(&mut self, wanted: impl Fn(&Token) -> bool) -> bool {
        match self.tokens.split_first() {
            Some((first, rest)) if wanted(first) => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn expr(&mut self) -> Option<Expr> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        match &first.kind {
            TokenKind::Number(digits) => literal(digits, ""),
            TokenKind::Symbol('-') => match self.tokens.split_first()? {
                (
                    Token {
                        kind: TokenKind::Number(digits),
                        ..
                    },
                    rest,
                ) => {
                    self.tokens = rest;
                    literal(digits, "-")
                }
                _ => None,
            },
            TokenKind::Text(content) => Some(Expr::Literal(Value::Text(content.clone()))),
            TokenKind::SystemVariable(name) => Some(Expr::SystemVariable(name.clone())),
            TokenKind::UserVariable(name) => Some(Expr::UserVariable(name.clone())),
            TokenKind::Parameter => {
                self.parameters += 1;
                Some(Expr::Parameter(self.parameters - 1))
            }
            TokenKind::Word(word) => self.named(&word.to_ascii_uppercase()),
            TokenKind::Symbol(_) => None,
        }
    }

    /// A constant or a function.
    fn named(&mut self, word: &str) -> Option<Expr> {
        match word {
            "NULL" => return Some(Expr::Literal(Value::Null)),
            "TRUE" => return Some(Expr::Literal(Value::Int(1))),
            "FALSE" => return Some(Expr::Literal(Value::Int(0))),
            _ => {}
        }
        if !self.eat(|token| token.is_symbol('(')) {
            return None;
        }
        let expr = match word {
            "CONNECTION_ID" => Expr::ConnectionId,
            "VERSION" => Expr::Version,
            "DATABASE" | "SCHEMA" => Expr::Database,
            "USER" | "CURRENT_USER" => Expr::User,
            "SLEEP" => Expr::Sleep(Box::new(self.expr()?)),
            _ => return None,
        };
        self.eat(|token| token.is_symbol(')')).then_some(expr)
    }
}

fn literal(digits: &str, sign: &str) -> Option<Expr> {
    let text = format!("{sign}{digits}");
    let value = text
        .parse()
        .map(Value::Int)
        .or_else(|_| text.parse().map(Value::UInt))
        .or_else(|_| text.parse().map(Value::Double))
        .ok()?;
    Some(Expr::Literal(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(text: &str) -> Option<Vec<(Expr, String)>> {
        let items = items(text, &tokens(text))?;
        Some(
            items
                .into_iter()
                .map(|item| (item.expr, item.name))
                .collect(),
        )
    }

    #[test]
    fn a_question_mark_in_a_string_or_comment_is_no_parameter() {
        let text = r#"INSERT INTO t /* ? */ VALUES (?, '?', "a\"?", 'it''s ?', `?`, ?) -- ?
            # ?"#;
        assert_eq!(parameters(&tokens(text)), 2);
    }

    #[test]
    fn statements_are_cut_at_semicolons_outside_of_strings() {
        let text = " SELECT ';' ; SELECT 2;; ";
        assert_eq!(statements(text, &tokens(text)), ["SELECT ';'", "SELECT 2"]);
    }

    #[test]
    fn lists_of_simple_expressions_are_read_with_their_names() {
        let list = select("1, -2.5 AS x, 'a' , @@global.Port p, SLEEP( 0.1 ), ?").unwrap();
        let names: Vec<&str> = list.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["1", "x", "a", "p", "SLEEP( 0.1 )", "?"]);
        assert_eq!(list[1].0, Expr::Literal(Value::Double(-2.5)));
        assert_eq!(list[3].0, Expr::SystemVariable("port".into()));
        assert_eq!(list[5].0, Expr::Parameter(0));
    }

    #[test]
    fn whatever_needs_a_table_is_not_read() {
        for text in [
            "name FROM users",
            "1 FROM dual",
            "1 + 1",
            "COUNT(*)",
            "",
            "1,",
            "1 AS",
        ] {
            assert_eq!(select(text), None, "{text}");
        }
    }

    #[test]
    fn assignments_are_read_with_their_scopes() {
        let text = "SESSION wait_timeout = 5, @@autocommit=OFF, @x := 'y', NAMES utf8mb4";
        let wanted = [
            (
                Target::System("wait_timeout".into()),
                Expr::Literal(Value::Int(5)),
            ),
            (
                Target::System("autocommit".into()),
                Expr::Literal("OFF".into()),
            ),
            (Target::User("x".into()), Expr::Literal("y".into())),
        ];
        assert_eq!(assignments(&tokens(text)), wanted);
    }

    #[test]
    fn odd_texts_do_no_harm() {
        for text in [
            "'", "\\", "/*", "--", "é'ü", "@", "@@", "1e", "1e+", ".", "'\\", "`", "1.2.3",
        ] {
            let tokens = tokens(text);
            let _ = (
                statements(text, &tokens),
                items(text, &tokens),
                assignments(&tokens),
            );
        }
    }
}
