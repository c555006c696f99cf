//! Time limits that cost nothing where there is nothing to wait for: what is ready at once is had
//! without a timer and without a look at the clock.

use std::future::{Future, poll_fn};
use std::mem::take;
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};

/// The time was up first.
#[derive(Debug)]
pub(crate) struct OutOfTime {
    /// When the wait began.
    pub(crate) began: Instant,
}

/// Waits for the future until `end`, which is told when the wait begins.
///
/// As with [`tokio::time::timeout_at`], what is ready counts though its time was up before.
pub(crate) async fn by<F: Future>(
    end: impl FnOnce(Instant) -> Instant,
    mut future: Pin<&mut F>,
) -> Result<F::Output, OutOfTime> {
    let at_once = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
    if let Poll::Ready(output) = at_once {
        return Ok(output);
    }
    let began = Instant::now();
    // A task that has used up its turn must still see that its time is up.
    let mut timer = pin!(unconstrained(sleep_until(end(began))));
    let mut was_polled = true;
    poll_fn(|cx| {
        if !take(&mut was_polled)
            && let Poll::Ready(output) = future.as_mut().poll(cx)
        {
            return Poll::Ready(Ok(output));
        }
        timer.as_mut().poll(cx).map(|()| Err(OutOfTime { began }))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::{Context, Waker};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_ready_needs_no_timer_and_no_clock() {
        // There is no runtime here, so a timer could not be made.
        let mut seven = pin!(ready(7));
        let limited = pin!(by(|_| unreachable!("it is ready"), seven.as_mut()));
        let polled = limited.poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(7))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_is_had_and_what_does_not_is_cut_short() {
        let within = |limit| move |began| began + limit;
        let had = by(within(2 * SECOND), pin!(sleep(SECOND))).await;
        assert!(had.is_ok());
        let start = Instant::now();
        let cut = by(within(SECOND), pin!(pending::<()>())).await;
        assert_eq!(cut.unwrap_err().began, start);
        assert_eq!(start.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_polled_once_at_a_time() {
        let mut polls = 0;
        let never = poll_fn(|_| {
            polls += 1;
            Poll::<()>::Pending
        });
        let cut = by(|began| began + SECOND, pin!(never)).await;
        assert!(cut.is_err());
        // At first, and when the time is up.
        assert_eq!(polls, 2);
    }
}
