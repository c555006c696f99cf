//! Collects the problems of one text.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use super::finding::Finding;
use super::location::{Location, Place};
use super::mask::Mask;
use super::problems::{Problem, Problems, Severity, Site};

/// The problems found so far in one text.
pub(crate) struct Report<'a> {
    text: &'a str,
    origin: Arc<str>,
    entries: Vec<Entry>,
    /// Hashes of the entries.
    seen: HashSet<u64>,
}

#[derive(Hash)]
struct Entry {
    place: Place,
    path: String,
    severity: Severity,
    finding: Finding,
}

impl<'a> Report<'a> {
    pub(crate) fn new(text: &'a str, origin: &str) -> Self {
        Report {
            text,
            origin: Arc::from(origin),
            entries: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// Adds an error at a place.
    pub(crate) fn error(&mut self, place: &Place, path: &str, finding: impl Into<Finding>) {
        self.push(place, path, Severity::Error, finding.into());
    }

    /// Adds an error about a key.
    pub(crate) fn key_error(&mut self, at: &Location, finding: impl Into<Finding>) {
        self.push(&at.key, &at.path, Severity::Error, finding.into());
    }

    /// Adds an error about a value.
    pub(crate) fn value_error(&mut self, at: &Location, finding: impl Into<Finding>) {
        self.push(&at.value, &at.path, Severity::Error, finding.into());
    }

    /// Adds a warning about a key.
    pub(crate) fn key_warning(&mut self, at: &Location, finding: impl Into<Finding>) {
        self.push(&at.key, &at.path, Severity::Warning, finding.into());
    }

    /// Adds a warning about a value.
    pub(crate) fn value_warning(&mut self, at: &Location, finding: impl Into<Finding>) {
        self.push(&at.value, &at.path, Severity::Warning, finding.into());
    }

    fn push(&mut self, place: &Place, path: &str, severity: Severity, finding: Finding) {
        let entry = Entry {
            place: place.clone(),
            path: path.to_owned(),
            severity,
            finding,
        };
        // A value that many peers inherit is checked with each of them.
        let mut hasher = DefaultHasher::new();
        entry.hash(&mut hasher);
        if self.seen.insert(hasher.finish()) {
            self.entries.push(entry);
        }
    }

    /// Adds the errors of a parser, only the first of each line, because the others tend to follow from it.
    /// Takes messages only: the `Display` of a parser's error quotes the line, which may contain a password.
    pub(crate) fn syntax(&mut self, format: &str, errors: Vec<(Option<Range<usize>>, &str)>) {
        let end = self.text.len();
        let mut errors: Vec<(Range<usize>, &str)> = errors
            .into_iter()
            .map(|(span, message)| (span.unwrap_or(end..end), message))
            .collect();
        errors.sort_by_key(|(span, _)| span.start);
        let places = places(self.text, errors.iter().map(|(span, _)| span.start));
        let mut last = None;
        for (span, message) in errors {
            let line = places.get(&span.start).map(|(line, _)| *line);
            if last != Some(line) {
                last = Some(line);
                let message = lower_first(message);
                let finding = Finding::new(format!("not {format}: {message}"));
                self.error(&Place::Text(span), "", finding);
            }
        }
    }

    /// The result and its warnings, or the problems if there is no result or an error. `mask` says which parts
    /// of the text may be shown.
    pub(crate) fn finish<T>(
        self,
        result: Option<T>,
        mask: impl FnOnce() -> Mask,
    ) -> Result<(T, Problems), Problems> {
        let is_error = |entry: &Entry| entry.severity == Severity::Error;
        let failed = self.entries.iter().any(is_error);
        let problems = self.problems(mask);
        match result {
            Some(result) if !failed => Ok((result, problems)),
            _ => Err(problems),
        }
    }

    fn problems(self, mask: impl FnOnce() -> Mask) -> Problems {
        if self.entries.is_empty() {
            return Problems::new(Vec::new(), Arc::from(""));
        }
        let masked = mask().apply(self.text);
        let starts = self.entries.iter().filter_map(|entry| match &entry.place {
            Place::Text(span) => Some(span.start),
            Place::Variable(_) => None,
        });
        let places = places(self.text, starts);
        let problems = self.entries.into_iter().map(|entry| {
            let site = match entry.place {
                Place::Variable(name) => Site::Variable(name),
                Place::Text(span) => {
                    let (line, column) = places.get(&span.start).copied().unwrap_or((1, 1));
                    let masked = masked.map(&span);
                    Site::Text {
                        line,
                        column,
                        span,
                        masked,
                    }
                }
            };
            let origin = Arc::clone(&self.origin);
            Problem::new(origin, site, &entry.path, entry.severity, entry.finding)
        });
        Problems::new(problems.collect(), masked.text.into())
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        // Acronyms such as "UTF-8" stay.
        Some(first) if !letters.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// The line and the column of each byte, both counted from 1, the column in characters. Reads the text once
/// for all of them.
fn places(text: &str, bytes: impl Iterator<Item = usize>) -> BTreeMap<usize, (usize, usize)> {
    let mut places: BTreeMap<usize, (usize, usize)> = bytes.map(|at| (at, (1, 1))).collect();
    let (mut line, mut column) = (1, 1);
    let mut letters = text.char_indices().peekable();
    for (&at, place) in &mut places {
        while let Some((_, letter)) = letters.next_if(|&(index, _)| index < at) {
            if letter == '\n' {
                line += 1;
                column = 1;
            } else {
                column += 1;
            }
        }
        *place = (line, column);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, at: usize) -> (usize, usize) {
        places(text, [at].into_iter())[&at]
    }

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let text = "a\nßb\n";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, 1), (1, 2));
        assert_eq!(place(text, 2), (2, 1));
        assert_eq!(place(text, 4), (2, 2));
        assert_eq!(place(text, 6), (3, 1));
    }

    #[test]
    fn position_after_the_end_is_the_end() {
        assert_eq!(place("a", 100), (1, 2));
        assert_eq!(place("", 100), (1, 1));
    }
}
