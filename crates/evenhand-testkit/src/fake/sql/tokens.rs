//! A text cut into tokens, and into statements.
//!
//! A `?` inside a string or a comment is no parameter, and a `;` there ends no statement; so every
//! text is cut into tokens first, and everything else reads those.

/// A piece of a statement, with the place where it stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
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
    pub(crate) fn is(&self, keyword: &str) -> bool {
        matches!(&self.kind, TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    pub(crate) fn is_symbol(&self, symbol: char) -> bool {
        self.kind == TokenKind::Symbol(symbol)
    }
}

/// Cuts a text into tokens. Comments and blanks are left out.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
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
pub(crate) fn statements<'t>(text: &'t str, tokens: &[Token]) -> Vec<&'t str> {
    let mut statements = Vec::new();
    for statement in tokens.split(|token| token.is_symbol(';')) {
        if let (Some(first), Some(last)) = (statement.first(), statement.last()) {
            statements.push(&text[first.start..last.end]);
        }
    }
    statements
}

/// How many parameters a prepared statement wants.
pub(crate) fn parameters(tokens: &[Token]) -> usize {
    tokens
        .iter()
        .filter(|token| token.kind == TokenKind::Parameter)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
