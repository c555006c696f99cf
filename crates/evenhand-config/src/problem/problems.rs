//! What is wrong with a file, in the words of someone who has to put it right.
//!
//! A file is checked as a whole, so an error holds every problem and not only the first one. A problem
//! says where it is, which key it concerns, what was found, and what would be right: as a sentence, as
//! data, and with the line that it is about. None of them quotes a url or the value of a password:
//! messages end up in logs.

mod finding;
mod mask;
mod render;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use self::finding::Finding;
pub(crate) use self::mask::Mask;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read: it is not there, may not be read, or is not UTF-8.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file, as it was asked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file was read, and something in it is wrong.
    #[error("{0}")]
    Invalid(Problems),
}

/// What is wrong with one file, or doubtful, in the order of the file; what comes from variables of the
/// environment stands behind it.
///
/// `Display` prints each on a line of its own; [`render`](Self::render) shows the lines of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    problems: Vec<Problem>,
    /// The text, with everything masked that may be secret.
    masked: Arc<str>,
}

/// One thing that is wrong, and where.
///
/// `Display` prints `file:line:column: key: message`; where a variable of the environment is wrong,
/// `variable: key: message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    origin: Arc<str>,
    site: Site,
    key: String,
    severity: Severity,
    finding: Finding,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// There is no plan.
    Error,
    /// There is a plan; what is named has no effect, or perhaps not the one that was meant.
    Warning,
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    Text {
        line: usize,
        column: usize,
        span: Range<usize>,
        /// The same in the masked text.
        masked: Range<usize>,
    },
    Variable(Arc<str>),
}

// === impl Error ===

impl Error {
    /// What is wrong, with the lines of the file that it is about; see [`Problems::render`].
    pub fn report(&self) -> String {
        match self {
            Error::Invalid(problems) => problems.render(),
            other => format!("error: {other}"),
        }
    }
}

// === impl Problems ===

impl Problems {
    /// Puts the problems into the order of the file.
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

    /// How many there are.
    pub fn len(&self) -> usize {
        self.problems.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The problems as a person wants to see them: each with its line of the file, and a mark under
    /// what is wrong. Urls, passwords and comments are masked, and so is everything else that is not
    /// known to be harmless.
    pub fn render(&self) -> String {
        render::render(self, false)
    }

    /// As [`render`](Self::render), in the colours of a terminal.
    pub fn render_styled(&self) -> String {
        render::render(self, true)
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

    /// The file, or whatever else the text was said to come from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The line, counted from 1; none if a variable is wrong.
    pub fn line(&self) -> Option<usize> {
        match &self.site {
            Site::Text { line, .. } => Some(*line),
            Site::Variable(_) => None,
        }
    }

    /// The column, counted from 1, in characters; none if a variable is wrong.
    pub fn column(&self) -> Option<usize> {
        match &self.site {
            Site::Text { column, .. } => Some(*column),
            Site::Variable(_) => None,
        }
    }

    /// The bytes of the text that it is about; none if a variable is wrong.
    pub fn span(&self) -> Option<Range<usize>> {
        match &self.site {
            Site::Text { span, .. } => Some(span.clone()),
            Site::Variable(_) => None,
        }
    }

    /// The variable of the environment that is wrong; none if the text is.
    pub fn variable(&self) -> Option<&str> {
        match &self.site {
            Site::Text { .. } => None,
            Site::Variable(name) => Some(name),
        }
    }

    /// The path of the key, such as `databases.default.peers[1]`; empty where the text cannot be
    /// parsed, so that there is no key to name.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong, and what would be right.
    pub fn message(&self) -> &str {
        &self.finding.message
    }

    /// What was found, where that can be said in a word: `an integer`, `65536`.
    pub fn found(&self) -> Option<&str> {
        self.finding.found.as_deref()
    }

    /// What is allowed in its stead.
    pub fn expected(&self) -> Option<&str> {
        self.finding.expected.as_deref()
    }

    /// The known word that is nearest to what was found.
    pub fn suggestion(&self) -> Option<&str> {
        self.finding.suggestion.as_deref()
    }
}

impl Problem {
    /// The place and the key, each with a colon behind it.
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

    /// Everything but how bad it is.
    fn sentence(&self) -> String {
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
