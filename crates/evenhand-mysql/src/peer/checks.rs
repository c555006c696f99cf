//! When a peer is checked while callers use it, and what a check's outcome changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenhand::{PeerVerdict, Ticket, Verdict};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::Endpoint;
use super::silence::Silence;

/// A check that [`Endpoint::check_now`] asks for begins no sooner than this after one that succeeded.
const SPACING: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Checks {
    running: AtomicBool,
    /// A check is wanted that begins from now on.
    wanted: AtomicBool,
    /// When the latest one succeeded.
    succeeded: Mutex<Option<Instant>>,
}

impl Endpoint {
    /// Checks the peer soon, in the background, and reports the verdict to the ticket. Called after an
    /// outcome that may be a slow statement as well as a dead peer.
    ///
    /// One check runs at a time. One that began before the call does not replace this one, but many
    /// calls ask for one check only.
    pub(crate) fn check_now(self: &Arc<Self>, ticket: &Ticket<Arc<Self>>) {
        self.start_check(ticket, SPACING);
    }

    /// As [`check_now`](Self::check_now), however long ago the latest check was. Called where something
    /// waits and nothing was heard.
    pub(crate) fn check_silence(self: &Arc<Self>, ticket: &Ticket<Arc<Self>>) {
        self.start_check(ticket, Duration::ZERO);
    }

    /// A check that is met by silence is repeated at once until the peer is lost. The first ejects it.
    fn start_check(self: &Arc<Self>, ticket: &Ticket<Arc<Self>>, spacing: Duration) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if ticket.is_stale() {
            return;
        }
        self.checks.wanted.store(true, Ordering::Release);
        let Some(turn) = Turn::take(self.clone()) else {
            return;
        };
        let ticket = ticket.clone();
        runtime.spawn(async move {
            let endpoint = turn.0.clone();
            if let Some(succeeded) = endpoint.checks.succeeded() {
                sleep_until(succeeded + spacing).await;
            }
            endpoint.checks.wanted.store(false, Ordering::Release);
            loop {
                let login = endpoint.traffic.slowest_login();
                let limit = endpoint.check.limit_of_silence(login);
                let (verdict, silence) = endpoint.check_once(limit).await;
                if verdict.peer == PeerVerdict::Healthy {
                    endpoint.checks.note_success();
                }
                ticket.report(verdict);
                if silence != Silence::Suspected {
                    break;
                }
            }
            drop(turn);
            if endpoint.checks.wanted.load(Ordering::Acquire) {
                endpoint.check_now(&ticket);
            }
        });
    }

    /// Checks the peer, and records whether it is silent.
    pub(crate) async fn run_check(&self) -> Verdict {
        self.check_once(self.check.timeout).await.0
    }

    async fn check_once(&self, limit: Duration) -> (Verdict, Silence) {
        let began = Instant::now();
        let found = self.check.run(&self.opts, limit).await;
        let heard_since = |moment| self.traffic.was_heard_since(moment);
        let silence = match found.silent {
            Some(silent) => self.silence.record(began, silent, heard_since),
            None => Silence::None,
        };
        (found.verdict, silence)
    }
}

impl Checks {
    fn succeeded(&self) -> Option<Instant> {
        *self.lock()
    }

    fn note_success(&self) {
        *self.lock() = Some(Instant::now());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.succeeded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to check, returned on drop, so that a check that is cancelled blocks no other.
struct Turn(Arc<Endpoint>);

impl Turn {
    fn take(endpoint: Arc<Endpoint>) -> Option<Self> {
        let taken = endpoint.checks.running.swap(true, Ordering::AcqRel);
        (!taken).then_some(Self(endpoint))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.checks.running.store(false, Ordering::Release);
    }
}
