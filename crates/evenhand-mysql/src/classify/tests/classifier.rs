//! A user's judgements come before the table's.

use evenhand::PeerVerdict::{Degraded, Down, Healthy, Suspect};
use evenhand::Verdict;
use mysql_async::{DriverError, Error};

use super::server;
use crate::classify::{Case, Classifier, Phase, Rules};

fn judged(classifier: Classifier, phase: Phase, error: &Error) -> Verdict {
    let rules = Rules {
        classifier,
        writable: false,
    };
    rules.error(phase, error).verdict
}

#[test]
fn a_users_code_comes_before_the_table() {
    let own = Verdict::down().safe().because("mine");
    let classifier = Classifier::default().on(1213, own);
    for phase in Phase::ALL {
        assert_eq!(judged(classifier.clone(), phase, &server(1213, "")), own);
    }
    let other = judged(classifier, Phase::Query, &server(1205, ""));
    assert_eq!(other.peer, Healthy, "the table judges the rest");
}

#[test]
fn a_case_can_be_limited_to_a_phase_and_a_message() {
    let own = Verdict::down();
    let case = Case::code(1105)
        .message_contains("not serving")
        .in_phase(Phase::Query);
    let classifier = Classifier::default().on(case, own);
    let says = |phase, text| judged(classifier.clone(), phase, &server(1105, text));
    assert_eq!(says(Phase::Query, "tablet is not serving"), own);
    assert_eq!(says(Phase::Query, "tablet is tired").peer, Healthy);
    assert_eq!(says(Phase::Commit, "tablet is not serving").peer, Healthy);
}

#[test]
fn the_latest_addition_is_asked_first() {
    let classifier = Classifier::default()
        .on(1213, Verdict::down())
        .custom(|phase, error| match error {
            Error::Server(error) if error.code == 1213 && phase == Phase::Query => {
                Some(Verdict::degraded().into())
            }
            _ => None,
        })
        .on(Case::code(1213).message_contains("me"), Verdict::suspect());
    let says = |phase, text| judged(classifier.clone(), phase, &server(1213, text)).peer;
    assert_eq!(says(Phase::Query, "me"), Suspect);
    assert_eq!(says(Phase::Query, "you"), Degraded);
    assert_eq!(says(Phase::Commit, "you"), Down);
}

#[test]
fn a_function_sees_the_drivers_errors() {
    let classifier = Classifier::default().custom(|_, error| match error {
        Error::Driver(DriverError::MixedParams) => Some(Verdict::down().into()),
        _ => None,
    });
    let error = Error::Driver(DriverError::MixedParams);
    assert_eq!(judged(classifier, Phase::Query, &error).peer, Down);
}

#[test]
fn classifiers_are_equal_if_one_is_a_clone() {
    let one = Classifier::default().on(1213, Verdict::down());
    assert_eq!(one, one.clone());
    assert_ne!(one, Classifier::default());
    assert_eq!(Classifier::default(), Classifier::default());
}
