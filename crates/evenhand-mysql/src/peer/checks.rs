//! Which checks of one peer run, and which are wanted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// One check runs at a time, in turn.
#[derive(Debug, Default)]
pub(super) struct Checks {
    running: AtomicBool,
    /// A check is wanted that begins from now on.
    wanted: AtomicBool,
    /// When the latest one succeeded.
    succeeded: Mutex<Option<Instant>>,
}

impl Checks {
    /// Asks for a check that begins from now on. Returns the turn to run it, unless another one has it,
    /// who will find that one is wanted.
    pub(super) fn want(self: &Arc<Self>) -> Option<Turn> {
        self.wanted.store(true, Ordering::Release);
        let taken = self.running.swap(true, Ordering::AcqRel);
        (!taken).then(|| Turn(self.clone()))
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    pub(super) fn succeeded(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.succeeded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to check, returned on drop, so that a check that is cancelled blocks no other.
pub(super) struct Turn(Arc<Checks>);

impl Turn {
    /// A check begins: it answers all calls for one until now.
    pub(super) fn begin(&self) {
        self.0.wanted.store(false, Ordering::Release);
    }

    pub(super) fn succeed(&self) {
        *self.0.lock() = Some(Instant::now());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_that_began_before_does_not_answer_a_call() {
        let checks = Arc::<Checks>::default();
        let turn = checks.want().unwrap();
        assert!(checks.want().is_none());
        turn.begin();
        assert!(!checks.is_wanted());
        assert!(checks.want().is_none());
        drop(turn);
        assert!(checks.is_wanted());
        assert!(checks.want().is_some());
    }
}
