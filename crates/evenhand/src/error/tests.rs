//! What an error tells, and in which order.

use std::error::Error as _;
use std::io;

use super::*;
use crate::classify::Verdict;

fn tried(peer: &str, reason: Option<&'static str>, cause: Cause<io::Error>) -> Tried<io::Error> {
    Tried {
        peer: peer.into(),
        reason,
        cause,
        attempts: 1,
        rank: Rank::new(&Verdict::down().safe(), 0),
    }
}

fn failed(peer: &str, reason: &'static str) -> Tried<io::Error> {
    let error = io::Error::other(format!("{peer} says: {reason}"));
    tried(peer, Some(reason), Cause::Error(error))
}

fn exhausted(tried: Vec<Tried<io::Error>>) -> Error<io::Error> {
    Error::Exhausted {
        tried,
        next_due: None,
    }
}

#[test]
fn error_names_every_peer_with_its_reason() {
    let unspecified = Cause::Error(io::Error::other("secret"));
    let error = exhausted(vec![
        failed("db0", "refused"),
        tried("db1", Some("busy"), Cause::Rejected),
        tried("db2", None, Cause::Rejected),
        tried("db3", None, unspecified),
    ]);
    assert_eq!(
        error.to_string(),
        "no peer is left to try: db0: refused; db1: busy; db2: response rejected; db3: failed"
    );
}

fn ranked(peer: &str, verdict: Verdict, id: u64) -> Tried<io::Error> {
    Tried {
        rank: Rank::new(&verdict, id),
        ..failed(peer, "said")
    }
}

#[test]
fn source_is_the_error_that_says_most() {
    let all = [
        Verdict::down().if_idempotent(),
        Verdict::suspect().safe(),
        Verdict::neutral().busy(),
        Verdict::degraded().safe(),
        Verdict::down().safe(),
    ];
    for (more, less) in all.iter().zip(&all[1..]) {
        for order in [[more, less], [less, more]] {
            let rank = |verdict: &Verdict| ranked(&format!("{verdict:?}"), *verdict, 0);
            let error = exhausted(order.map(rank).into());
            let expected = format!("{more:?} says: said");
            assert_eq!(error.source().unwrap().to_string(), expected);
        }
    }
}

#[test]
fn of_equal_errors_that_of_the_first_peer_is_the_source() {
    let verdict = Verdict::down().safe();
    let error = exhausted(vec![ranked("db1", verdict, 1), ranked("db0", verdict, 0)]);
    assert_eq!(error.source().unwrap().to_string(), "db0 says: said");
}

#[test]
fn error_shows_how_often_a_peer_was_tried() {
    let mut tried = vec![failed("db0", "reset"), failed("db1", "refused")];
    tried[0].attempts = 2;
    let expected = "no peer is left to try: db0: reset (the last of 2 attempts); db1: refused";
    assert_eq!(exhausted(tried).to_string(), expected);
}

#[test]
fn error_of_many_peers_has_a_short_text() {
    let reason = |i: usize| {
        if i.is_multiple_of(3) {
            "reset"
        } else {
            "refused"
        }
    };
    let tried = (0..10_000).map(|i| failed(&format!("db{i}"), reason(i)));
    let error = exhausted(tried.collect());
    assert_eq!(error.tried().len(), 10_000);
    assert_eq!(
        error.to_string(),
        "no peer is left to try: db0: reset; db1: refused; db2: refused; db3: reset; \
         db4: refused; and 9995 more peers (of 10000 in all, 6666: refused)"
    );
}

#[test]
fn mapped_error_keeps_all_but_the_errors() {
    let error = || {
        exhausted(vec![
            ranked("db1", Verdict::down().safe(), 1),
            ranked("db0", Verdict::suspect().safe(), 0),
            tried("db2", None, Cause::Rejected),
            tried("db3", None, Cause::TimedOut),
        ])
    };
    let mapped = error().map(|error| error.to_string());
    assert_eq!(mapped.to_string(), error().to_string());
    assert_eq!(mapped.cause().unwrap(), "db0 says: said");
    assert_eq!(mapped.into_cause().unwrap(), "db0 says: said");
    assert_eq!(error().into_tried().len(), 4);
}

#[test]
fn source_of_a_boxed_error_is_the_error_in_the_box() {
    let error = exhausted(vec![failed("db0", "refused")]).boxed();
    assert!(error.source().unwrap().is::<io::Error>());
}

#[test]
fn deciding_outcome_of_an_error_made_by_a_test_is_its_cause() {
    let two = || vec![failed("db0", "first"), failed("db1", "second")];
    let text = |error: Error<io::Error>| error.source().unwrap().to_string();
    assert_eq!(text(Error::failed(two())), "db1 says: second");
    assert_eq!(text(Error::inconclusive(two())), "db0 says: first");
}

#[test]
fn timeout_is_told_from_other_failures() {
    let late = || Tried::<io::Error>::new("db1", Cause::TimedOut);
    assert!(Error::timed_out(vec![failed("db0", "refused")], None).is_timeout());
    assert!(Error::failed(vec![failed("db0", "refused"), late()]).is_timeout());
    assert!(!Error::failed(vec![late(), failed("db0", "refused")]).is_timeout());
    assert_eq!(
        Error::timed_out(vec![late()], None).to_string(),
        "the request's deadline passed: db1: timed out"
    );
}
