//! The pool's background task. The first checkout starts it, and it ends with the pool.
//!
//! A pool may be made outside a runtime, so nothing starts before it is used. If the runtime ends, a
//! checkout in another one starts the task again.

pub(super) mod look_up_names;
pub(super) mod min_connections;
pub(super) mod purge_idle;
pub(super) mod watch;

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::task::AbortHandle;

/// The task. Clones share it, and it is aborted when the last clone is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Background(Arc<Task>);

#[derive(Debug, Default)]
struct Task {
    running: Arc<AtomicBool>,
    stopped: AtomicBool,
    handle: Mutex<Option<AbortHandle>>,
    /// The runtime of the first checkout.
    runtime: OnceLock<Id>,
}

impl Background {
    /// Starts `work` unless it runs. Returns `false` if it was stopped.
    pub(crate) fn ensure_runs<W>(&self, work: impl FnOnce() -> W) -> bool
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let running = &self.0.running;
        if running.load(Ordering::Relaxed) {
            return true;
        }
        if self.0.stopped.load(Ordering::Acquire) {
            return false;
        }
        let Ok(runtime) = Handle::try_current() else {
            return true;
        };
        if running.swap(true, Ordering::AcqRel) {
            return true;
        }
        self.0.runtime.get_or_init(|| runtime.id());
        let (ended, work) = (Ended(running.clone()), work());
        let task = runtime.spawn(async move {
            let _ended = ended;
            work.await;
        });
        *self.handle() = Some(task.abort_handle());
        // A concurrent `stop` may have found no handle.
        if self.0.stopped.load(Ordering::Acquire) {
            task.abort();
        }
        true
    }

    /// Whether this is another runtime than that of the first checkout.
    pub(crate) fn is_elsewhere(&self) -> bool {
        let here = Handle::try_current().map(|runtime| runtime.id());
        matches!((self.0.runtime.get(), here), (Some(first), Ok(here)) if *first != here)
    }

    /// Tells when the pool has ended, without keeping it.
    #[cfg(feature = "discover")]
    pub(crate) fn watch_end(&self) -> PoolEnd {
        PoolEnd(Arc::downgrade(&self.0))
    }

    /// Ends the work, and lets none start again.
    pub(crate) fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        if let Some(task) = self.handle().take() {
            task.abort();
        }
    }

    fn handle(&self) -> std::sync::MutexGuard<'_, Option<AbortHandle>> {
        self.0.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let handle = self.handle.get_mut();
        if let Some(task) = handle.unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

/// See [`Background::watch_end`].
#[cfg(feature = "discover")]
pub(crate) struct PoolEnd(std::sync::Weak<Task>);

#[cfg(feature = "discover")]
impl PoolEnd {
    /// Whether the pool is gone or was disconnected.
    pub(crate) fn is_reached(&self) -> bool {
        let stopped = |task: Arc<Task>| task.stopped.load(Ordering::Acquire);
        self.0.upgrade().is_none_or(stopped)
    }
}

/// Records on drop that the work has ended, in whatever way.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
