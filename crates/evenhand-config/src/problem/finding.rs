//! What a check found, without the place.

use super::name;

/// A message, and its parts as data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Finding {
    pub(crate) message: String,
    pub(crate) found: Option<String>,
    pub(crate) expected: Option<String>,
    pub(crate) suggestion: Option<String>,
}

impl Finding {
    /// A finding with this message.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Finding {
            message: message.into(),
            found: None,
            expected: None,
            suggestion: None,
        }
    }

    /// Adds what is expected, to the message and as data.
    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        let expected = expected.into();
        let colon = if self.message.is_empty() { "" } else { ": " };
        self.message
            .push_str(&format!("{colon}expected {expected}"));
        self.expected = Some(expected);
        self
    }

    /// Adds what was found, to the message and as data.
    pub(crate) fn found(mut self, found: impl Into<String>) -> Self {
        let found = found.into();
        self.message.push_str(&format!(", found {found}"));
        self.found = Some(found);
        self
    }

    /// Adds what is expected as data only, where the message already says it.
    pub(crate) fn expected_only(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Adds what was found as data only, where the message already says it.
    pub(crate) fn found_only(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Adds the name that was probably meant, if there is one.
    pub(crate) fn suggest(mut self, guess: Option<&str>) -> Self {
        if let Some(guess) = guess {
            let guess = name::shown(guess);
            self.message
                .push_str(&format!(" (did you mean `{guess}`?)"));
            self.suggestion = Some(guess);
        }
        self
    }
}

impl<T: Into<String>> From<T> for Finding {
    fn from(message: T) -> Self {
        Finding::new(message)
    }
}
