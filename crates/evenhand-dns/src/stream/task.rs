//! The task of one source: looks it up when that is due or asked for, and writes what it holds on the board.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::lookup::error::{Error, chain};
use crate::lookup::found::Found;
use crate::observe::meter;
use crate::source::Source;
use crate::stream::board::Board;
use crate::stream::held::Held;
use crate::stream::pace::{Bounds, Pace};

/// The settings of lookups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) bounds: Bounds,
    pub(crate) keep: Option<Duration>,
    pub(crate) most: usize,
    pub(crate) timeout: Duration,
}

/// Runs until it is dropped.
pub(crate) async fn run(source: Source, settings: Settings, at: usize, board: Arc<Board>) {
    let mut bell = board.bell.subscribe();
    let mut task = Task {
        name: source.name().clone(),
        held: Held::new(settings.keep, settings.most),
        pace: Pace::new(settings.bounds),
        is_failing: false,
        is_over: false,
    };
    loop {
        // What rings from now on asks for a lookup that begins later.
        bell.mark_unchanged();
        let began = Instant::now();
        let outcome = look(&source, settings.timeout).await;
        meter::looked_up(&task.name, &outcome, began.elapsed());
        let now = Instant::now();
        let (answered, error, pause) = task.settle(outcome, now);
        let addresses: Arc<[_]> = task.held.addresses().into();
        meter::listed(&task.name, addresses.len());
        board.sources.send_modify(|sources| {
            let status = &mut sources[at];
            status.addresses = addresses;
            status.answered = answered.or(status.answered);
            status.error = error;
        });
        let earliest = now + task.pace.at_least();
        let due = now + pause;
        let due = task.held.next_to_drop().map_or(due, |drop| drop.min(due));
        wait(earliest, due.max(earliest), &mut bell).await;
    }
}

/// Until `due`, or until it was asked for and `earliest` is over.
async fn wait(earliest: Instant, due: Instant, bell: &mut watch::Receiver<()>) {
    tokio::select! {
        () = sleep_until(due) => {}
        // The board has the sender, so it is there.
        _ = bell.changed() => sleep_until(earliest).await,
    }
}

async fn look(source: &Source, limit: Duration) -> Result<Found, Error> {
    // What a panic may have left half done is dropped.
    let looking = AssertUnwindSafe(source.look_up()).catch_unwind();
    let name = || source.name().clone();
    match timeout(limit, looking).await {
        Ok(Ok(found)) => found,
        Ok(Err(payload)) => {
            tracing::error!(source = %name(), panic = text(&*payload), "a lookup panicked");
            Err(Error::Panicked { name: name() })
        }
        Err(_) => Err(Error::TimedOut {
            name: name(),
            limit,
        }),
    }
}

/// What a panic says, if it is text.
fn text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text")
}

impl Drop for Task {
    /// The stream was dropped: nothing is listed any more.
    fn drop(&mut self) {
        meter::listed(&self.name, 0);
    }
}

struct Task {
    name: Arc<str>,
    held: Held,
    pace: Pace,
    /// Whether the last lookup failed, as a whole or in part.
    is_failing: bool,
    /// Whether the last answer had too many addresses.
    is_over: bool,
}

impl Task {
    /// Takes an outcome over. Returns when it was an answer, what failed, and the pause until the next lookup.
    fn settle(
        &mut self,
        outcome: Result<Found, Error>,
        now: Instant,
    ) -> (Option<Instant>, Option<Arc<Error>>, Duration) {
        let before = self.held.addresses().len();
        let settled = match outcome {
            Ok(found) => {
                let left_out = self.held.take(&found, now);
                self.tell_left_out(left_out);
                match found.lost.into_iter().next() {
                    None => (Some(now), None, self.pace.after_answer(found.valid_for)),
                    Some(lost) => {
                        let pause = self.pace.after_part(found.valid_for);
                        (Some(now), Some(lost.error), pause)
                    }
                }
            }
            Err(error) => {
                self.held.fail(now);
                let dropped = before - self.held.addresses().len();
                if dropped > 0 {
                    tracing::warn!(
                        source = %self.name, dropped,
                        "addresses were dropped, as no lookup has shown them for too long"
                    );
                }
                (None, Some(Arc::new(error)), self.pace.after_failure())
            }
        };
        self.tell_failure(settled.1.as_deref());
        settled
    }

    fn tell_failure(&mut self, error: Option<&Error>) {
        let (source, kept) = (&self.name, self.held.addresses().len());
        match error {
            Some(error) if !self.is_failing => {
                let error = chain(error);
                tracing::warn!(%source, error, kept, "lookups fail; what they do not show is kept");
            }
            Some(error) => {
                let error = chain(error);
                tracing::debug!(%source, error, kept, "a lookup failed again");
            }
            None if self.is_failing => tracing::info!(%source, "lookups work again"),
            None => {}
        }
        self.is_failing = error.is_some();
    }

    fn tell_left_out(&mut self, left_out: usize) {
        if left_out > 0 && !self.is_over {
            let (source, used) = (&self.name, self.held.addresses().len());
            tracing::warn!(%source, used, left_out, "too many addresses; some are left out");
        }
        self.is_over = left_out > 0;
    }
}
