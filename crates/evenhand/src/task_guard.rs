//! The guard of a background task of a peer set.
//!
//! Such a task ends with the set. Its user may want it to end before, for example because the source
//! of the peers ends. So starting one returns a guard.

use tokio::task::AbortHandle;

/// A background task of a peer set, which runs until this guard is dropped, the set is gone, or the
/// runtime ends.
///
/// Dropping the guard stops the task at its next await point.
#[derive(Debug)]
#[must_use = "the task stops when this is dropped; `detach` lets it run until the set is gone"]
pub struct TaskGuard(Option<AbortHandle>);

impl TaskGuard {
    /// Runs `work` on the current runtime; panics if there is none.
    pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(tokio::spawn(work).abort_handle()))
    }

    /// Lets the task run until the peer set is gone or the runtime ends.
    pub fn detach(mut self) {
        self.0 = None;
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.0.as_ref().is_none_or(AbortHandle::is_finished)
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
