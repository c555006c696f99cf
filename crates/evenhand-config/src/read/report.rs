//! The problems found so far, and where in the text they are.

use std::sync::Arc;

use crate::error::{Problem, Problems};

/// Collects what is wrong with one text.
pub(super) struct Report<'a> {
    text: &'a str,
    origin: Arc<str>,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    pub(super) fn new(text: &'a str, origin: &str) -> Self {
        Report {
            text,
            origin: Arc::from(origin),
            problems: Vec::new(),
        }
    }

    /// Adds a problem with `key`, at the byte `at` of the text.
    pub(super) fn add(&mut self, at: usize, key: &str, message: impl Into<String>) {
        let (line, column) = line_and_column(self.text, at);
        self.problems.push(Problem {
            origin: Arc::clone(&self.origin),
            line,
            column,
            key: key.to_owned(),
            message: message.into(),
        });
    }

    /// Adds what the TOML parser found, the leftmost problem of each line: what it says of the rest of
    /// the line tends to follow from that. Only its message is taken, since its `Display` quotes the
    /// line, and a line may hold a password.
    pub(super) fn syntax(&mut self, mut errors: Vec<toml::de::Error>) {
        let end = self.text.len();
        let place = |error: &toml::de::Error| error.span().map_or(end, |span| span.start);
        errors.sort_by_key(place);
        for error in &errors {
            let at = place(error);
            let (line, _) = line_and_column(self.text, at);
            if !self.problems.iter().any(|problem| problem.line == line) {
                self.add(at, "", format!("not TOML: {}", error.message()));
            }
        }
    }

    /// The plan, if nothing is wrong with it.
    pub(super) fn finish<T>(self, plan: Option<T>) -> Result<T, Problems> {
        match plan {
            Some(plan) if self.problems.is_empty() => Ok(plan),
            _ => Err(Problems::new(self.problems)),
        }
    }
}

/// Line and column of a byte, both counted from 1, the column in characters.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let mut line = 1;
    let mut column = 1;
    for (_, letter) in text.char_indices().take_while(|&(index, _)| index < at) {
        if letter == '\n' {
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let text = "a\nßb\n";
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, 1), (1, 2));
        assert_eq!(line_and_column(text, 2), (2, 1));
        assert_eq!(line_and_column(text, 4), (2, 2));
        assert_eq!(line_and_column(text, 6), (3, 1));
    }

    #[test]
    fn a_byte_past_the_end_is_the_end() {
        assert_eq!(line_and_column("a", 100), (1, 2));
        assert_eq!(line_and_column("", 100), (1, 1));
    }
}
