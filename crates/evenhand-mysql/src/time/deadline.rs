//! Time limits that cost nothing for a future that is ready at its first poll: no timer is made and the
//! clock is not read.

use std::future::{Future, poll_fn};
use std::mem::take;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};

/// No time limit is longer: a year, so that a deadline never overflows.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The time was up first.
#[derive(Debug)]
pub(crate) struct Elapsed {
    /// When the wait began.
    pub(crate) began: Instant,
}

/// Waits for `future` until the deadline. `deadline` is called with the moment at which the wait
/// begins, and only if the future is not ready at its first poll.
///
/// As with [`tokio::time::timeout_at`], a future that is ready at a poll after the deadline succeeds.
pub(crate) async fn timeout_lazy<F: Future>(
    deadline: impl FnOnce(Instant) -> Instant,
    future: Pin<&mut F>,
) -> Result<F::Output, Elapsed> {
    let timer = || {
        let began = Instant::now();
        let deadline = deadline(began);
        async move {
            // A task that has used up its cooperative budget must still see that the deadline has passed.
            unconstrained(sleep_until(deadline)).await;
            Elapsed { began }
        }
    };
    race_lazy(future, timer).await
}

/// Waits for the first of two futures; `Err` if it is the other one. That is made only if the first is not
/// ready at its first poll, and allocated, as it would make every future in which it is rarely needed
/// larger.
pub(crate) async fn race_lazy<F: Future, O: Future>(
    mut future: Pin<&mut F>,
    other: impl FnOnce() -> O,
) -> Result<F::Output, O::Output> {
    let first_poll = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
    if let Poll::Ready(output) = first_poll {
        return Ok(output);
    }
    let mut other = Box::pin(other());
    let mut just_polled = true;
    poll_fn(|cx| {
        if !take(&mut just_polled)
            && let Poll::Ready(output) = future.as_mut().poll(cx)
        {
            return Poll::Ready(Ok(output));
        }
        other.as_mut().poll(cx).map(Err)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_ready_future_needs_no_timer_and_no_clock() {
        // There is no runtime here, so a timer could not be made.
        let mut seven = pin!(ready(7));
        let limited = pin!(timeout_lazy(
            |_| unreachable!("the future is ready"),
            seven.as_mut()
        ));
        let polled = limited.poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(7))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_ends_by_its_deadline() {
        let within = |limit| move |began| began + limit;
        let had = timeout_lazy(within(2 * SECOND), pin!(sleep(SECOND))).await;
        assert!(had.is_ok());
        let start = Instant::now();
        let cut = timeout_lazy(within(SECOND), pin!(pending::<()>())).await;
        assert_eq!(cut.unwrap_err().began, start);
        assert_eq!(start.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn the_future_is_polled_once_per_wake() {
        let mut polls = 0;
        let never = poll_fn(|_| {
            polls += 1;
            Poll::<()>::Pending
        });
        let cut = timeout_lazy(|began| began + SECOND, pin!(never)).await;
        assert!(cut.is_err());
        // Once at first, and once when the deadline passes.
        assert_eq!(polls, 2);
    }
}
