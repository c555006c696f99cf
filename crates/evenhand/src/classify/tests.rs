//! The classifiers that this crate has, and how they compose.

use super::*;

#[test]
fn classifier_can_judge_errors_only() {
    let classify = on_error(|error: &u8| match error {
        0 => Verdict::neutral(),
        _ => Verdict::down().safe(),
    });
    let judge = |outcome: Result<(), u8>| classify.classify(outcome.as_ref());
    assert_eq!(judge(Ok(())), Verdict::healthy());
    assert_eq!(judge(Err(0)), Verdict::neutral());
    assert_eq!(judge(Err(1)), Verdict::down().safe());
}

#[test]
fn last_exception_takes_precedence() {
    let is = |number: u8, verdict: Verdict| {
        move |outcome: Result<&u8, &u8>| (outcome == Ok(&number)).then_some(verdict)
    };
    let classify = NothingIsDown
        .unless(is(1, Verdict::neutral()))
        .unless(is(1, Verdict::degraded()))
        .unless(is(2, Verdict::down()));
    assert_eq!(classify.classify(Ok(&0)), Verdict::healthy());
    assert_eq!(classify.classify(Ok(&1)), Verdict::degraded());
    assert_eq!(classify.classify(Ok(&2)), Verdict::down());
    assert_eq!(classify.classify(Err(&1)), Verdict::healthy());
}

#[test]
fn any_error_is_down_retries_safe_requests_only() {
    let down = |c: AnyErrorIsDown| Classify::<(), ()>::classify(&c, Err(&()));
    assert_eq!(
        down(AnyErrorIsDown::default()),
        Verdict::down().if_idempotent()
    );
    assert_eq!(down(AnyErrorIsDown::safe()), Verdict::down().safe());
    assert_eq!(
        Classify::<(), ()>::classify(&AnyErrorIsDown::safe(), Ok(&())),
        Verdict::healthy()
    );
}

#[test]
fn nothing_is_down_ejects_no_peer() {
    assert_eq!(
        Classify::<(), ()>::classify(&NothingIsDown, Err(&())),
        Verdict::healthy()
    );
}
