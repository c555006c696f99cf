//! What the tests of several files need: limits on waiting.

use std::future::Future;
use std::time::{Duration, Instant};

/// Long enough for anything that should happen.
const LIMIT: Duration = Duration::from_secs(10);
/// Long enough to believe that something does not happen.
pub(crate) const QUIET: Duration = Duration::from_millis(150);

/// Fails the test if the future takes too long.
#[track_caller]
pub(crate) fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(LIMIT, future).await {
            Ok(output) => output,
            Err(_) => panic!("not done within {LIMIT:?}: {caller}"),
        }
    }
}

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Whether the future is still pending after a while.
pub(crate) async fn stalls<F: Future>(future: F) -> bool {
    tokio::time::timeout(QUIET, future).await.is_err()
}
