//! [`Classifier`]: a user's own judgements, which come before the table's.

use std::fmt;
use std::sync::Arc;

use super::judgement::{Judgement, Phase};
use super::sign::Seen;

/// A user's function.
type Judge = dyn Fn(Phase, &mysql_async::Error) -> Option<Judgement> + Send + Sync;

/// Selects server errors: by code, and optionally by message and phase.
///
/// ```
/// use evenhand_mysql::{Case, Phase};
///
/// // 1105 is the code of many errors.
/// let case = Case::code(1105).message_contains("tablet is not serving").in_phase(Phase::Query);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Case {
    code: u16,
    phase: Option<Phase>,
    text: Option<String>,
}

impl Case {
    /// Errors with this code, in any phase and with any message.
    pub const fn code(code: u16) -> Self {
        Self {
            code,
            phase: None,
            text: None,
        }
    }

    /// Only those in `phase`. Otherwise a case applies in a `COMMIT` as well.
    pub const fn in_phase(mut self, phase: Phase) -> Self {
        self.phase = Some(phase);
        self
    }

    /// Only those whose message contains `text`; case matters.
    pub fn message_contains(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    fn fits(&self, phase: Phase, error: &mysql_async::Error) -> bool {
        let Seen::Server { code, message } = Seen::error(error) else {
            return false;
        };
        let contains = |text: &String| message.contains(text.as_str());
        code == self.code
            && self.phase.is_none_or(|own| own == phase)
            && self.text.as_ref().is_none_or(contains)
    }
}

impl From<u16> for Case {
    fn from(code: u16) -> Self {
        Self::code(code)
    }
}

#[derive(Clone)]
enum Rule {
    Case(Case, Judgement),
    Custom(Arc<Judge>),
}

/// How errors are judged: by the judgements added here, and otherwise by this crate's table of MySQL's
/// errors. Given to a pool by [`PoolOptions::classifier`](crate::PoolOptions::classifier).
///
/// The latest addition is asked first. A timeout is no error of the driver, so it is always judged by the
/// table.
///
/// ```
/// use std::time::Duration;
/// use evenhand_mysql::{Case, Classifier, Phase, PoolOptions};
/// use evenhand_mysql::evenhand::Verdict;
///
/// let classifier = Classifier::default()
///     // The peer's disk is full: eject it for some minutes.
///     .on(
///         1021,
///         Verdict::down()
///             .recover_in(Duration::from_secs(300))
///             .because("disk full"),
///     )
///     // A proxy that has no code for this error.
///     .on(
///         Case::code(1105).message_contains("not serving").in_phase(Phase::Query),
///         Verdict::degraded().safe().because("proxy without a backend"),
///     );
/// let options = PoolOptions::new().classifier(classifier);
/// ```
///
/// Two are equal if one is a clone of the other, or if both have no additions.
#[derive(Clone, Default)]
#[must_use]
pub struct Classifier {
    rules: Arc<Vec<Rule>>,
}

impl Classifier {
    /// Adds a judgement of the server errors with this code, or of this [`Case`]. A
    /// [`Verdict`](evenhand::Verdict) converts into a [`Judgement`].
    pub fn on(self, case: impl Into<Case>, judgement: impl Into<Judgement>) -> Self {
        self.with(Rule::Case(case.into(), judgement.into()))
    }

    /// Adds a function that is asked about every error of the driver. `None` leaves the error to earlier
    /// additions, and finally to the table. It runs on the caller's task: keep it short.
    ///
    /// ```
    /// use evenhand_mysql::mysql_async::{DriverError, Error};
    /// use evenhand_mysql::{Classifier, Phase};
    /// use evenhand_mysql::evenhand::Verdict;
    ///
    /// // A peer without TLS is misconfigured, not the caller.
    /// let classifier = Classifier::default().custom(|phase, error| match (phase, error) {
    ///     (Phase::Connect, Error::Driver(DriverError::NoClientSslFlagFromServer)) => {
    ///         Some(Verdict::down().safe().because("no TLS").into())
    ///     }
    ///     _ => None,
    /// });
    /// ```
    pub fn custom(
        self,
        judge: impl Fn(Phase, &mysql_async::Error) -> Option<Judgement> + Send + Sync + 'static,
    ) -> Self {
        self.with(Rule::Custom(Arc::new(judge)))
    }

    fn with(mut self, rule: Rule) -> Self {
        Arc::make_mut(&mut self.rules).push(rule);
        self
    }

    /// The judgement of the latest addition that has one.
    pub(super) fn judge(&self, phase: Phase, error: &mysql_async::Error) -> Option<Judgement> {
        self.rules.iter().rev().find_map(|rule| match rule {
            Rule::Case(case, judgement) => case.fits(phase, error).then_some(*judgement),
            Rule::Custom(judge) => judge(phase, error),
        })
    }
}

impl PartialEq for Classifier {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rules, &other.rules) || (self.rules.is_empty() && other.rules.is_empty())
    }
}

impl Eq for Classifier {}

impl fmt::Debug for Classifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Classifier")
            .field("rules", &self.rules)
            .finish()
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Case(case, judgement) => {
                f.debug_tuple("Case").field(case).field(judgement).finish()
            }
            Self::Custom(_) => f.write_str("Custom(..)"),
        }
    }
}
