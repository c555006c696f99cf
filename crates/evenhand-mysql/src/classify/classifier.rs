//! [`Classifier`]: the table, and what its user says before it is asked.

use std::fmt;
use std::sync::Arc;

use super::judgement::{Judgement, Phase};
use super::sign::Seen;

/// A judge of the user's own.
type Ask = dyn Fn(Phase, &mysql_async::Error) -> Option<Judgement> + Send + Sync;

/// Which of a server's errors a judgement is for: made from a code alone, or with
/// [`code`](Self::code) and narrowed down.
///
/// ```
/// use evenhand_mysql::{Case, Phase};
///
/// // 1105 is a code for many things.
/// let case = Case::code(1105).saying("tablet is not serving").during(Phase::Query);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Case {
    code: u16,
    phase: Option<Phase>,
    needle: Option<String>,
}

impl Case {
    /// Errors of this code, in every phase, whatever they say.
    pub const fn code(code: u16) -> Self {
        Self {
            code,
            phase: None,
            needle: None,
        }
    }

    /// Only those that came in `phase`. Without it a case holds in a `COMMIT` as well.
    pub const fn during(mut self, phase: Phase) -> Self {
        self.phase = Some(phase);
        self
    }

    /// Only those whose message has `text` in it, in upper and lower case as it stands.
    pub fn saying(mut self, text: impl Into<String>) -> Self {
        self.needle = Some(text.into());
        self
    }

    fn fits(&self, phase: Phase, error: &mysql_async::Error) -> bool {
        let Seen::Server { code, message } = Seen::error(error) else {
            return false;
        };
        let says = |needle: &String| message.contains(needle.as_str());
        code == self.code
            && self.phase.is_none_or(|own| own == phase)
            && self.needle.as_ref().is_none_or(says)
    }
}

impl From<u16> for Case {
    fn from(code: u16) -> Self {
        Self::code(code)
    }
}

#[derive(Clone)]
enum Rule {
    On(Case, Judgement),
    Ask(Arc<Ask>),
}

/// What errors say of their peer: this crate's own table of MySQL's errors, and before it whatever
/// is added here. Given to a pool by [`PoolOptions::classifier`](crate::PoolOptions::classifier).
///
/// What was added last is asked first; what nothing added has an answer for, the table judges. A
/// time limit that runs out is no error of the driver, and is not asked for.
///
/// ```
/// use std::time::Duration;
/// use evenhand_mysql::{Case, Classifier, Phase, PoolOptions};
/// use evenhand_mysql::evenhand::Verdict;
///
/// let classifier = Classifier::default()
///     // The disk of that peer is full: out with it, for some minutes.
///     .on(
///         1021,
///         Verdict::down()
///             .recover_in(Duration::from_secs(300))
///             .because("disk full"),
///     )
///     // A proxy that says in words what it has no code for.
///     .on(
///         Case::code(1105).saying("not serving").during(Phase::Query),
///         Verdict::degraded().safe().because("proxy without a backend"),
///     );
/// let options = PoolOptions::default().classifier(classifier);
/// ```
///
/// Two are equal if one is a clone of the other, or if nothing was added to either.
#[derive(Clone, Default)]
#[must_use]
pub struct Classifier {
    rules: Arc<Vec<Rule>>,
}

impl Classifier {
    /// Judges a server's errors of this code, or of this [`Case`], so. A
    /// [`Verdict`](evenhand::Verdict) alone does for a [`Judgement`].
    pub fn on(self, case: impl Into<Case>, judgement: impl Into<Judgement>) -> Self {
        self.with(Rule::On(case.into(), judgement.into()))
    }

    /// Asks `judge` of every error of the driver: `None` leaves it to what was added before, and in
    /// the end to the table. It runs on the caller's task: keep it short.
    ///
    /// ```
    /// use evenhand_mysql::mysql_async::{DriverError, Error};
    /// use evenhand_mysql::{Classifier, Phase};
    /// use evenhand_mysql::evenhand::Verdict;
    ///
    /// // Here a peer without TLS is one that was set up wrongly, and no caller's mistake.
    /// let classifier = Classifier::default().ask(|phase, error| match (phase, error) {
    ///     (Phase::Connect, Error::Driver(DriverError::NoClientSslFlagFromServer)) => {
    ///         Some(Verdict::down().safe().because("no TLS").into())
    ///     }
    ///     _ => None,
    /// });
    /// ```
    pub fn ask(
        self,
        judge: impl Fn(Phase, &mysql_async::Error) -> Option<Judgement> + Send + Sync + 'static,
    ) -> Self {
        self.with(Rule::Ask(Arc::new(judge)))
    }

    fn with(mut self, rule: Rule) -> Self {
        Arc::make_mut(&mut self.rules).push(rule);
        self
    }

    /// What was added to say of it, if anything.
    pub(super) fn judge(&self, phase: Phase, error: &mysql_async::Error) -> Option<Judgement> {
        self.rules.iter().rev().find_map(|rule| match rule {
            Rule::On(case, judgement) => case.fits(phase, error).then_some(*judgement),
            Rule::Ask(judge) => judge(phase, error),
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
            Self::On(case, judgement) => f.debug_tuple("On").field(case).field(judgement).finish(),
            Self::Ask(_) => f.write_str("Ask(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use evenhand::PeerVerdict::{Degraded, Down, Healthy, Suspect};
    use evenhand::Verdict;
    use mysql_async::{DriverError, Error};

    use super::super::Rules;
    use super::super::tests::server;
    use super::*;

    fn judged(classifier: Classifier, phase: Phase, error: &Error) -> Verdict {
        let rules = Rules {
            classifier,
            writable: false,
        };
        rules.error(phase, error).verdict
    }

    #[test]
    fn a_code_of_ones_own_goes_before_the_table() {
        let own = Verdict::down().safe().because("mine");
        let classifier = Classifier::default().on(1213, own);
        for phase in Phase::ALL {
            assert_eq!(judged(classifier.clone(), phase, &server(1213, "")), own);
        }
        let other = judged(classifier, Phase::Query, &server(1205, ""));
        assert_eq!(other.peer, Healthy, "the rest is the table's");
    }

    #[test]
    fn a_case_can_be_narrowed_to_a_phase_and_a_text() {
        let own = Verdict::down();
        let case = Case::code(1105).saying("not serving").during(Phase::Query);
        let classifier = Classifier::default().on(case, own);
        let says = |phase, text| judged(classifier.clone(), phase, &server(1105, text));
        assert_eq!(says(Phase::Query, "tablet is not serving"), own);
        assert_eq!(says(Phase::Query, "tablet is tired").peer, Healthy);
        assert_eq!(says(Phase::Commit, "tablet is not serving").peer, Healthy);
    }

    #[test]
    fn what_was_added_last_is_asked_first() {
        let classifier = Classifier::default()
            .on(1213, Verdict::down())
            .ask(|phase, error| match error {
                Error::Server(error) if error.code == 1213 && phase == Phase::Query => {
                    Some(Verdict::degraded().into())
                }
                _ => None,
            })
            .on(Case::code(1213).saying("me"), Verdict::suspect());
        let says = |phase, text| judged(classifier.clone(), phase, &server(1213, text)).peer;
        assert_eq!(says(Phase::Query, "me"), Suspect);
        assert_eq!(says(Phase::Query, "you"), Degraded);
        assert_eq!(says(Phase::Commit, "you"), Down);
    }

    #[test]
    fn a_judge_sees_errors_that_are_no_servers() {
        let classifier = Classifier::default().ask(|_, error| match error {
            Error::Driver(DriverError::MixedParams) => Some(Verdict::down().into()),
            _ => None,
        });
        let error = Error::Driver(DriverError::MixedParams);
        assert_eq!(judged(classifier, Phase::Query, &error).peer, Down);
    }

    #[test]
    fn two_are_equal_if_one_is_a_clone_of_the_other() {
        let one = Classifier::default().on(1213, Verdict::down());
        assert_eq!(one, one.clone());
        assert_ne!(one, Classifier::default());
        assert_eq!(Classifier::default(), Classifier::default());
    }
}
