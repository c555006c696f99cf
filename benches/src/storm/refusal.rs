//! How long a bad peer takes to refuse.
//!
//! Tokio's timers tell milliseconds, so a refusal of 200 µs is timed by a separate thread that
//! sleeps. As all refusals take equally long, they end in the order in which they began, and a queue
//! is all it takes.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// A way to refuse.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// At once.
    AtOnce,
    /// After a while, told by the thread behind this queue.
    After(Sender<Waiting>),
}

/// A refusal under way: when it ends, and who waits.
#[derive(Debug)]
pub struct Waiting {
    until: Instant,
    done: oneshot::Sender<()>,
}

/// What [`Refusal::slow`] takes; the operating system adds its own latency.
pub const SLOW: Duration = Duration::from_micros(200);

impl Refusal {
    /// Takes [`SLOW`]. The thread ends with its last user.
    pub fn slow() -> Self {
        let (queue, waiting) = channel();
        thread::spawn(move || tell(&waiting));
        Self::After(queue)
    }

    pub(crate) async fn wait(&self) {
        if let Self::After(queue) = self {
            let (done, told) = oneshot::channel();
            let until = Instant::now() + SLOW;
            let sent = queue.send(Waiting { until, done });
            sent.expect("the thread lives as long as the queue");
            told.await.expect("the thread tells everyone");
        }
    }
}

fn tell(waiting: &Receiver<Waiting>) {
    for Waiting { until, done } in waiting {
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            thread::sleep(left);
        }
        // The receiver may have been cancelled meanwhile.
        let _ = done.send(());
    }
}
