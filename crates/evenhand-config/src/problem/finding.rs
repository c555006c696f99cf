//! What a check has to say, before it is known where.

use crate::read::name;

/// A message, and the same as data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Finding {
    pub(crate) message: String,
    pub(crate) found: Option<String>,
    pub(crate) expected: Option<String>,
    pub(crate) suggestion: Option<String>,
}

impl Finding {
    /// One that its message says in full.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Finding {
            message: message.into(),
            found: None,
            expected: None,
            suggestion: None,
        }
    }

    /// Adds what would be right, to the message and as data.
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

    /// Says what is allowed as data alone, where the message says it in its own way.
    pub(crate) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.expected = Some(allowed.into());
        self
    }

    /// Says what was found as data alone.
    pub(crate) fn was(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Adds the name that was probably meant, if there is one.
    pub(crate) fn near(mut self, guess: Option<&str>) -> Self {
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
