//! The problems found so far, and where in the text they are.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use crate::problem::{Finding, Mask, Problem, Problems, Severity, Site};
use crate::tree::{Dialect, Item, Place};

/// Collects what is wrong with one text.
pub(crate) struct Report<'a> {
    text: &'a str,
    origin: Arc<str>,
    pub(crate) dialect: Dialect,
    found: Vec<Entry>,
    /// Hashes of what was found.
    seen: HashSet<u64>,
}

#[derive(Hash)]
struct Entry {
    place: Place,
    key: String,
    severity: Severity,
    finding: Finding,
}

impl<'a> Report<'a> {
    pub(crate) fn new(text: &'a str, origin: &str, dialect: Dialect) -> Self {
        Report {
            text,
            origin: Arc::from(origin),
            dialect,
            found: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// Adds a problem with `key`.
    pub(crate) fn add(&mut self, place: &Place, key: &str, finding: impl Into<Finding>) {
        self.push(place, key, Severity::Error, finding.into());
    }

    /// Adds something about `key` that is doubtful.
    pub(crate) fn warn(&mut self, place: &Place, key: &str, finding: impl Into<Finding>) {
        self.push(place, key, Severity::Warning, finding.into());
    }

    /// Adds a problem with a value.
    pub(crate) fn wrong(&mut self, item: &Item, finding: impl Into<Finding>) {
        self.add(&item.at, &item.path, finding);
    }

    fn push(&mut self, place: &Place, key: &str, severity: Severity, finding: Finding) {
        let entry = Entry {
            place: place.clone(),
            key: key.to_owned(),
            severity,
            finding,
        };
        // What one table lends to many is found wrong with each of them.
        let mut hasher = DefaultHasher::new();
        entry.hash(&mut hasher);
        if self.seen.insert(hasher.finish()) {
            self.found.push(entry);
        }
    }

    /// Adds what a parser found, the leftmost problem of each line: what it says of the rest of the
    /// line tends to follow from that. Only its message is taken, since its `Display` quotes the line,
    /// and a line may hold a password.
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
                self.add(&Place::Text(span), "", finding);
            }
        }
    }

    /// Whether there is no plan.
    fn failed(&self) -> bool {
        let is_error = |entry: &Entry| entry.severity == Severity::Error;
        self.found.iter().any(is_error)
    }

    /// The plan and its warnings if nothing is wrong with it. `mask` says what of the text may be
    /// seen.
    pub(crate) fn finish<T>(
        self,
        plan: Option<T>,
        mask: impl FnOnce() -> Mask,
    ) -> Result<(T, Problems), Problems> {
        let failed = self.failed();
        let problems = self.problems(mask);
        match plan {
            Some(plan) if !failed => Ok((plan, problems)),
            _ => Err(problems),
        }
    }

    fn problems(self, mask: impl FnOnce() -> Mask) -> Problems {
        if self.found.is_empty() {
            return Problems::new(Vec::new(), Arc::from(""));
        }
        let masked = mask().apply(self.text);
        let starts = self.found.iter().filter_map(|entry| match &entry.place {
            Place::Text(span) => Some(span.start),
            Place::Variable(_) => None,
        });
        let places = places(self.text, starts);
        let problems = self.found.into_iter().map(|entry| {
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
            Problem::new(origin, site, &entry.key, entry.severity, entry.finding)
        });
        Problems::new(problems.collect(), masked.text.into())
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        // "TOML", "UTF-8" and the like stay.
        Some(first) if !letters.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// Line and column of some bytes, both counted from 1, the column in characters. The text is gone
/// through once, however many there are and however long its lines.
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
    fn lines_and_columns_count_from_one_and_in_characters() {
        let text = "a\nßb\n";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, 1), (1, 2));
        assert_eq!(place(text, 2), (2, 1));
        assert_eq!(place(text, 4), (2, 2));
        assert_eq!(place(text, 6), (3, 1));
    }

    #[test]
    fn a_byte_past_the_end_is_the_end() {
        assert_eq!(place("a", 100), (1, 2));
        assert_eq!(place("", 100), (1, 1));
    }
}
