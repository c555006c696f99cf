//! Problems of one file, each with its place.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::finding::Finding;

/// The problems or warnings of one file, in the order of the file. Those of environment variables come last.
///
/// `Display` prints one line for each. [`render`](Self::render) also shows the lines of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    problems: Vec<Problem>,
    /// The text, with everything masked that may be secret.
    masked: Arc<str>,
}

/// One thing that is wrong, and where.
///
/// `Display` prints `file:line:column: key: message`, or `variable: key: message` for an environment
/// variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    origin: Arc<str>,
    site: Site,
    key: String,
    severity: Severity,
    finding: Finding,
}

/// How severe a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The file is not a valid configuration.
    Error,
    /// The file is valid, but something in it has no effect or perhaps not the intended one.
    Warning,
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    Text {
        line: usize,
        column: usize,
        span: Range<usize>,
        /// The same range in the masked text.
        masked: Range<usize>,
    },
    Variable(Arc<str>),
}

// === impl Problems ===

impl Problems {
    /// Sorts the problems into the order of the file.
    pub(crate) fn new(mut problems: Vec<Problem>, masked: Arc<str>) -> Self {
        problems.sort_by_key(|problem| match &problem.site {
            Site::Text { line, column, .. } => (0, *line, *column),
            Site::Variable(_) => (1, 0, 0),
        });
        Problems { problems, masked }
    }

    /// The problems, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.problems.iter()
    }

    /// The number of problems.
    pub fn len(&self) -> usize {
        self.problems.len()
    }

    /// Whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The text of the file without its secrets.
    pub(super) fn masked_text(&self) -> &str {
        &self.masked
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, problem) in self.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

// === impl Problem ===

impl Problem {
    pub(crate) fn new(
        origin: Arc<str>,
        site: Site,
        key: &str,
        severity: Severity,
        finding: Finding,
    ) -> Self {
        Problem {
            origin,
            site,
            key: key.to_owned(),
            severity,
            finding,
        }
    }

    /// The file, or the `origin` that was given for the text.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The line, counted from 1. `None` for an environment variable.
    pub fn line(&self) -> Option<usize> {
        match &self.site {
            Site::Text { line, .. } => Some(*line),
            Site::Variable(_) => None,
        }
    }

    /// The column in characters, counted from 1. `None` for an environment variable.
    pub fn column(&self) -> Option<usize> {
        match &self.site {
            Site::Text { column, .. } => Some(*column),
            Site::Variable(_) => None,
        }
    }

    /// The range in the text, in bytes. `None` for an environment variable.
    pub fn span(&self) -> Option<Range<usize>> {
        match &self.site {
            Site::Text { span, .. } => Some(span.clone()),
            Site::Variable(_) => None,
        }
    }

    /// The environment variable. `None` for a problem in the text.
    pub fn variable(&self) -> Option<&str> {
        match &self.site {
            Site::Text { .. } => None,
            Site::Variable(name) => Some(name),
        }
    }

    /// The path of the key, such as `databases.default.peers[1]`. Empty if the text cannot be parsed.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it is an error or a warning.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong and what would be right, as a sentence without the place.
    pub fn message(&self) -> &str {
        &self.finding.message
    }

    /// A short description of what was found, such as `an integer` or `65536`, if there is one.
    pub fn found(&self) -> Option<&str> {
        self.finding.found.as_deref()
    }

    /// A description of what is allowed instead, if there is one.
    pub fn expected(&self) -> Option<&str> {
        self.finding.expected.as_deref()
    }

    /// The known name that is most similar to what was found, if one is similar: a key, an alias or a
    /// value.
    pub fn suggestion(&self) -> Option<&str> {
        self.finding.suggestion.as_deref()
    }
}

impl Problem {
    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// The place and the key, each followed by a colon.
    fn place(&self) -> String {
        let place = match &self.site {
            Site::Text { line, column, .. } => format!("{}:{line}:{column}: ", self.origin),
            Site::Variable(name) => format!("{name}: "),
        };
        match &*self.key {
            "" => place,
            key => format!("{place}{key}: "),
        }
    }

    /// The place, the key and the message, without the severity.
    pub(super) fn sentence(&self) -> String {
        format!("{}{}", self.place(), self.finding.message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warning = match self.severity {
            Severity::Warning => "warning: ",
            Severity::Error => "",
        };
        write!(f, "{}{warning}{}", self.place(), self.finding.message)
    }
}
