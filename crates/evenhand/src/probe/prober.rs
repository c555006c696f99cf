//! The background task of one balancer, which probes and checks its peers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;

use super::{Probe, active_check, recheck};
use crate::set::Set;
use crate::set::policies::Policy;
use crate::set::registry::Registry;

/// Keeps the background task of a balancer running. The task ends when this is dropped.
pub(crate) struct Prober<Target> {
    pub(super) set: Arc<Set<Target>>,
    pub(super) policy: Arc<Policy>,
    pub(super) probe: Probe<Target>,
    is_running: AtomicBool,
}

impl<Target: Send + Sync + 'static> Prober<Target> {
    pub(crate) fn new(
        set: &Arc<Set<Target>>,
        policy: &Arc<Policy>,
        probe: Probe<Target>,
    ) -> Arc<Self> {
        Arc::new(Self {
            set: set.clone(),
            policy: policy.clone(),
            probe,
            is_running: AtomicBool::new(false),
        })
    }

    /// Starts the task, unless it runs or there is no runtime for it.
    #[inline]
    pub(crate) fn keep_running(self: &Arc<Self>) {
        if !self.is_running.load(Ordering::Relaxed) {
            self.start();
        }
    }

    #[cold]
    fn start(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.is_running.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut task = Task {
            prober: Arc::downgrade(self),
            registry: self.set.registry.clone(),
            is_counted: false,
        };
        let (prober, registry) = (task.prober.clone(), task.registry.clone());
        runtime.spawn(async move {
            task.count();
            let checks = active_check::run(prober.clone());
            recheck::run(prober, registry, checks).await;
        });
    }
}

impl<Target> Drop for Prober<Target> {
    fn drop(&mut self) {
        // The task looks, and ends.
        self.set.registry.ejected.notify_waiters();
    }
}

/// While a task lives, picks leave ejected peers to it. If it ends with its runtime, another one
/// may take over.
struct Task<Target> {
    prober: Weak<Prober<Target>>,
    registry: Arc<Registry>,
    is_counted: bool,
}

impl<Target> Task<Target> {
    /// The task runs. Until then, picks go on probing: the caller may be the one that keeps the
    /// runtime busy.
    fn count(&mut self) {
        self.is_counted = true;
        self.registry.add_prober();
    }
}

impl<Target> Drop for Task<Target> {
    fn drop(&mut self) {
        if self.is_counted {
            self.registry.remove_prober();
        }
        if let Some(prober) = self.prober.upgrade() {
            prober.is_running.store(false, Ordering::Release);
        }
    }
}
