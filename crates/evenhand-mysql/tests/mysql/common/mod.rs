//! Pools over in-process doubles.

pub(crate) mod setup;

use std::time::Duration;

use evenhand_mysql::evenhand::State;
use evenhand_mysql::{Pool, PoolOptions};
use evenhand_testkit::{ErrPacket, FakeMySql};
use tokio::time::{Instant, sleep, timeout};

/// One attempt's time limit in these tests.
pub(crate) const LIMIT: Duration = Duration::from_millis(300);

pub(crate) fn quick() -> PoolOptions {
    PoolOptions::new()
        .connect_timeout(LIMIT)
        .try_timeout(LIMIT)
        .checkout_timeout(3 * LIMIT)
        .work_timeout(6 * LIMIT)
        .max_recheck_interval(LIMIT)
}

pub(crate) async fn fakes<const N: usize>() -> [FakeMySql; N] {
    let mut fakes = Vec::new();
    for _ in 0..N {
        fakes.push(FakeMySql::start().await.unwrap());
    }
    fakes.try_into().ok().unwrap()
}

/// A pool over the doubles, named a, b, c, .. It opens nothing but what it is asked for.
pub(crate) fn pool(fakes: &[FakeMySql], options: PoolOptions) -> Pool {
    pool_with("pool_min=0", fakes, options)
}

/// With these parameters at the end of each URL.
pub(crate) fn pool_with(parameters: &str, fakes: &[FakeMySql], options: PoolOptions) -> Pool {
    let names = ["a", "b", "c", "d"];
    let urls: Vec<String> = fakes
        .iter()
        .map(|fake| format!("{}?{parameters}", fake.url()))
        .collect();
    options
        .open(names.into_iter().zip(urls.iter().map(String::as_str)))
        .unwrap()
}

pub(crate) fn states(pool: &Pool) -> Vec<State> {
    pool.statuses().iter().map(|status| status.state).collect()
}

pub(crate) fn up(pool: &Pool) -> usize {
    states(pool)
        .into_iter()
        .filter(|state| *state == State::Up)
        .count()
}

pub(crate) fn err(code: u16, message: &str) -> ErrPacket {
    ErrPacket::new(code, "HY000", message)
}

/// Long enough for anything that should happen: a guard against hanging.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// What the future gives, unless it hangs.
pub(crate) async fn soon<Output>(future: impl Future<Output = Output>) -> Output {
    timeout(GUARD, future).await.expect("it does not hang")
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < GUARD, "not within {GUARD:?}: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}
