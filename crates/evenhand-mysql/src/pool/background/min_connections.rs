//! Keeps `pool_min` connections open to each peer that is up, so that they are there when a failover
//! needs them.

use std::collections::{BTreeMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use evenhand::{Peers, State};
use mysql_async::Conn;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::caught::Caught;
use crate::classify::{Phase, is_full};
use crate::error::AttemptError;
use crate::peer::permits::Permits;
use crate::peer::{Endpoint, Peer};
use crate::time::jitter::jittered;

/// The interval between two looks, with ±50 % jitter, so that clients that were started together do
/// not log in together.
const INTERVAL: Duration = Duration::from_secs(1);

/// The shortest and longest pause after a connection to a peer could not be opened, with ±50 % jitter.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// The state of a peer, if there is anything to remember.
enum Progress {
    /// Connections are being opened. The previous pause, if the last time failed.
    Opening(Option<Duration>),
    /// Opening one failed.
    BackingOff { until: Instant, pause: Duration },
}

/// Opens what is missing, only to peers that are up, and only where no caller waits for a connection or
/// a login. Runs until it is dropped.
///
/// A failure here is not reported: a checkout, or the peer's probe or check, will meet it.
pub(crate) async fn keep_min_connections(
    peers: Peers<Arc<Endpoint>>,
    pool_permits: Option<Arc<Permits>>,
) {
    let mut opening = JoinSet::new();
    let mut progress: BTreeMap<Arc<str>, Progress> = BTreeMap::new();
    loop {
        for peer in peers.iter() {
            let name = peer.shared_name();
            let previous = match progress.get(&name) {
                None => None,
                Some(Progress::Opening(_)) => continue,
                Some(Progress::BackingOff { until, .. }) if *until > Instant::now() => continue,
                Some(Progress::BackingOff { pause, .. }) => Some(*pause),
            };
            if peer.state() == State::Up && peer.missing() > 0 {
                progress.insert(name.clone(), Progress::Opening(previous));
                let pool_permits = pool_permits.clone();
                opening.spawn(async move {
                    let opened = open_missing(&peer, pool_permits.as_deref()).await;
                    (name, opened)
                });
            }
        }
        let mut next_look = pin!(sleep(jittered(INTERVAL)));
        loop {
            tokio::select! {
                Some(ended) = opening.join_next() => match ended {
                    Ok((name, Err(Failed))) => back_off(&mut progress, name),
                    Ok((name, Ok(()))) => drop(progress.remove(&name)),
                    // The runtime has ended; none of them panics.
                    Err(_) => {}
                },
                () = next_look.as_mut() => break,
            }
        }
        let names: HashSet<_> = peers.iter().map(|peer| peer.shared_name()).collect();
        progress.retain(|name, _| names.contains(name));
    }
}

/// Doubles the pause with each consecutive failure.
fn back_off(progress: &mut BTreeMap<Arc<str>, Progress>, name: Arc<str>) {
    let (first, longest) = BACKOFF;
    let pause = match progress.get(&name) {
        Some(Progress::Opening(Some(previous))) => longest.min(2 * *previous),
        _ => first,
    };
    let until = Instant::now() + jittered(pause);
    progress.insert(name, Progress::BackingOff { until, pause });
}

/// A connection could not be opened.
struct Failed;

/// Opens one connection after the other until none is missing, or callers need the permits.
async fn open_missing(peer: &Peer, pool_permits: Option<&Permits>) -> Result<(), Failed> {
    while peer.state() == State::Up && peer.missing() > 0 {
        peer.permits.begin_trial(|| peer.driver.open_in_all());
        let Some(permit) = peer.permits.try_acquire() else {
            return Ok(());
        };
        let _pool_permit = match pool_permits.map(Permits::try_acquire) {
            Some(None) => return Ok(()),
            permit => permit,
        };
        let Some(_login) = peer.logins.try_acquire() else {
            return Ok(());
        };
        let opened = async {
            peer.find().await?;
            open_one(peer).await
        };
        match timeout(peer.connect_timeout, opened).await {
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(conn))) => {
                peer.traffic.note_heard();
                // It goes to the driver's pool, or is closed if the peer was ejected meanwhile.
                drop(conn);
                peer.permits.note_login(peer.driver.open_in_all());
            }
            Ok(Err(error)) => {
                let (judgement, row) = peer.check.rules.judge(Phase::Connect, &error);
                peer.metrics.failed(Phase::Connect, || row);
                if is_full(&judgement.verdict) {
                    peer.note_full(Some(&error));
                    peer.permits.give_up(permit);
                }
                return Err(Failed);
            }
            Err(_) => {
                let error = AttemptError::TimedOut(peer.connect_timeout);
                let row = || peer.check.rules.row_of_attempt(&error);
                peer.metrics.failed(Phase::Connect, row);
                return Err(Failed);
            }
        }
        // The driver takes it back in a separate task.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Opens a connection even if there are idle ones; `None` if none is missing any more, or the peer has no
/// room. The driver's pool
/// opens one only if none is idle: so the idle ones are taken out, and returned as soon as it has begun.
async fn open_one(endpoint: &Endpoint) -> mysql_async::Result<Option<Conn>> {
    let mut idle = Vec::new();
    loop {
        let mut next = pin!(endpoint.driver.get_conn());
        // An idle one is ready at the first poll.
        let has_room = || endpoint.driver.open() < endpoint.permits.limit();
        let may_open = || endpoint.missing() > 0 && has_room();
        match endpoint.driver.poll_first(next.as_mut(), may_open).await {
            None => return Ok(None),
            Some(Poll::Ready(conn)) => idle.push(conn?),
            Some(Poll::Pending) => {
                drop(idle);
                return Caught(next).await.map(Some);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_pause_doubles_with_each_failure_up_to_a_minute() {
        let mut progress = BTreeMap::new();
        let name: Arc<str> = "a".into();
        for expected in [2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs) {
            back_off(&mut progress, name.clone());
            let Some(Progress::BackingOff { until, pause }) = progress.get(&name) else {
                unreachable!("it backs off")
            };
            assert_eq!(*pause, expected);
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                (expected / 2..=expected * 3 / 2).contains(&left),
                "{left:?}"
            );
            let opening = Progress::Opening(Some(*pause));
            progress.insert(name.clone(), opening);
        }
    }
}
