//! The background task of one balancer, which probes and checks its peers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;

use super::{Context, Probe, active_check, recheck};
use crate::set::Set;
use crate::set::policies::Policy;
use crate::set::registry::Registry;

/// Keeps the background task of a balancer running. The task ends when this is dropped.
pub(crate) struct Prober<Target> {
    context: Arc<Context<Target>>,
    is_running: Arc<AtomicBool>,
}

impl<Target: Send + Sync + 'static> Prober<Target> {
    pub(crate) fn new(set: &Arc<Set<Target>>, policy: &Arc<Policy>, probe: Probe<Target>) -> Self {
        Self {
            context: Arc::new(Context {
                set: set.clone(),
                policy: policy.clone(),
                probe,
            }),
            is_running: Arc::default(),
        }
    }

    /// Starts the task, unless it runs or there is no runtime for it.
    #[inline]
    pub(crate) fn keep_running(&self) {
        if !self.is_running.load(Ordering::Relaxed) {
            self.start();
        }
    }

    #[cold]
    fn start(&self) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.is_running.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut task = Task {
            registry: self.context.set.registry.clone(),
            is_running: self.is_running.clone(),
            is_counted: false,
        };
        let context = Arc::downgrade(&self.context);
        runtime.spawn(async move {
            task.count();
            let checks = active_check::run(context.clone());
            recheck::run(context, &task.registry, checks).await;
        });
    }
}

/// While a task lives, picks leave ejected peers to it. If it ends with its runtime, another one
/// may take over.
struct Task {
    registry: Arc<Registry>,
    is_running: Arc<AtomicBool>,
    is_counted: bool,
}

impl Task {
    /// The task runs. Until then, picks go on probing: the caller may be the one that keeps the
    /// runtime busy.
    fn count(&mut self) {
        self.is_counted = true;
        self.registry.add_prober();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.is_counted {
            self.registry.remove_prober();
        }
        self.is_running.store(false, Ordering::Release);
    }
}
