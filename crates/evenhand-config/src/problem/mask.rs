//! A text without its secrets.
//!
//! Only what is known to be harmless is shown: values of keys that hold no secret, known words, and
//! punctuation. This also masks a password in a comment, under a misspelt key, or in a text that cannot be
//! parsed.

use std::collections::BTreeSet;
use std::ops::Range;

const STARS: &str = "***";

/// Which parts of a text may be shown.
#[derive(Default)]
pub(crate) struct Mask {
    /// Values that may be shown.
    pub(crate) safe: Vec<Range<usize>>,
    /// Values that may not, each replaced as a whole.
    pub(crate) secret: Vec<Range<usize>>,
    /// Words that may be shown anywhere.
    pub(crate) words: BTreeSet<String>,
}

/// A masked text, and the position of each byte of the original in it.
pub(crate) struct Masked {
    pub(crate) text: String,
    /// Ranges of the original and the corresponding ranges of the masked text, in order.
    pieces: Vec<(Range<usize>, Range<usize>)>,
}

impl Mask {
    /// Masks a text.
    pub(crate) fn apply(mut self, text: &str) -> Masked {
        let mut spans: Vec<(Range<usize>, bool)> = Vec::new();
        spans.extend(self.secret.drain(..).map(|span| (span, false)));
        spans.extend(self.safe.drain(..).map(|span| (span, true)));
        spans.sort_by_key(|(span, safe)| (span.start, *safe));
        let mut masked = Masked {
            text: String::new(),
            pieces: Vec::new(),
        };
        let mut at = 0;
        for (span, safe) in spans {
            let Some(piece) = text.get(span.clone()) else {
                continue;
            };
            if span.start < at || piece.is_empty() {
                continue;
            }
            self.mask_words(text, at..span.start, &mut masked);
            if safe {
                masked.push(span.clone(), piece);
            } else {
                masked.push(span.clone(), &stars(piece));
            }
            at = span.end;
        }
        self.mask_words(text, at..text.len(), &mut masked);
        masked
    }

    /// Masks a text between values: known words and punctuation are shown, other words are not.
    fn mask_words(&self, text: &str, range: Range<usize>, masked: &mut Masked) {
        let is_mark = |letter: char| letter.is_whitespace() || "[]{}=.,:\"'#".contains(letter);
        let mut at = range.start;
        while let Some(rest) = text.get(at..range.end).filter(|rest| !rest.is_empty()) {
            let marks = rest.find(|letter| !is_mark(letter)).unwrap_or(rest.len());
            masked.push(at..at + marks, &rest[..marks]);
            at += marks;
            let rest = &rest[marks..];
            let word = &rest[..rest.find(is_mark).unwrap_or(rest.len())];
            let known = self.words.contains(word);
            masked.push(at..at + word.len(), if known { word } else { STARS });
            at += word.len();
        }
    }
}

impl Masked {
    fn push(&mut self, from: Range<usize>, shown: &str) {
        if from.is_empty() {
            return;
        }
        let start = self.text.len();
        self.text.push_str(shown);
        self.pieces.push((from, start..self.text.len()));
    }

    /// The range in the masked text of a range of the original; a masked piece is mapped as a whole.
    pub(crate) fn map(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.at(span.start, false);
        let end = if span.is_empty() {
            start
        } else {
            self.at(span.end, true)
        };
        start..end.max(start)
    }

    fn at(&self, byte: usize, end: bool) -> usize {
        // An end belongs to the piece before it.
        let key = byte.saturating_sub(usize::from(end));
        let next = self.pieces.partition_point(|(from, _)| from.end <= key);
        let Some((from, to)) = self.pieces.get(next) else {
            return self.text.len();
        };
        if from.len() == to.len() {
            to.start + (byte - from.start.min(byte))
        } else if end {
            to.end
        } else {
            to.start
        }
    }
}

/// The replacement for a value, in the quotes of the original.
fn stars(value: &str) -> String {
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => format!("{quote}{STARS}{quote}"),
        // A table or an array with secrets, perhaps over several lines.
        _ => STARS.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(words: &[&str]) -> Mask {
        Mask {
            words: words.iter().map(|&word| word.to_owned()).collect(),
            ..Mask::default()
        }
    }

    #[test]
    fn mask_shows_only_known_words_and_safe_values() {
        let text = "host = 'größe' # s3cret ß\npassword = 's3 cret'\npasword = s3cret\n";
        let host = text.find("'größe'").unwrap();
        let password = text.find("'s3 cret'").unwrap();
        let mut mask = mask(&["host", "password"]);
        mask.safe.push(host..host + "'größe'".len());
        mask.secret.push(password..password + 9);
        let masked = mask.apply(text);
        assert_eq!(
            masked.text,
            "host = 'größe' # *** ***\npassword = '***'\n*** = ***\n"
        );
        let span = masked.map(&(password..password + 9));
        assert_eq!(&masked.text[span], "'***'");
        let at = text.rfind("pasword").unwrap();
        assert_eq!(&masked.text[masked.map(&(at..at + 7))], "***");
        assert_eq!(masked.map(&(0..4)), 0..4);
        assert_eq!(
            masked.map(&(text.len()..text.len())),
            masked.text.len()..masked.text.len()
        );
    }

    #[test]
    fn mask_ignores_invalid_spans() {
        let mut mask = mask(&[]);
        mask.safe = vec![0..1, 0..100, 1..2, 2..3];
        // The second byte is inside a character.
        assert_eq!(mask.apply("ßab").text, "***a***");
    }
}
