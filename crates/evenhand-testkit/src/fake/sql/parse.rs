//! Just enough SQL: lists of simple expressions, and what a `SET` assigns.

use super::tokens::{Token, TokenKind};
use crate::fake::value::Value;

/// An expression that the double can work out without tables.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
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
pub(crate) struct Item {
    pub(crate) expr: Expr,
    pub(crate) name: String,
}

/// Reads a list such as `1, @@port AS p, SLEEP(0.1)`; `None` if there is anything else in it.
pub(crate) fn items(text: &str, tokens: &[Token]) -> Option<Vec<Item>> {
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
pub(crate) enum Target {
    System(String),
    User(String),
}

/// Reads the assignments of a `SET`, after that word: `autocommit = 0, @x := 1`. What it cannot
/// read it leaves out: such a `SET` succeeds and does nothing.
pub(crate) fn assignments(tokens: &[Token]) -> Vec<(Target, Expr)> {
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
    use super::super::tokens::{statements, tokens};
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
