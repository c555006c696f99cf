//! Time limits of the same length, for many things that mostly end before them. One task times all of
//! them, so that a limit costs neither a task nor a timer of its own.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// What a time limit ends.
pub(crate) trait TimesOut: Send + Sync {
    /// The limit has passed, or the runtime that measured it has ended.
    fn time_out(&self);
}

/// Time limits of one length.
pub(crate) struct Timeouts {
    length: Duration,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    /// In the order in which they began, which is that in which they pass. Most end soon after they
    /// began, so they are taken out near the back.
    limits: VecDeque<Limit>,
    begun: u64,
    /// There is a task that times them.
    is_timed: bool,
}

struct Limit {
    number: u64,
    due: Instant,
    whose: Weak<dyn TimesOut>,
}

impl Timeouts {
    pub(crate) fn new(length: Duration) -> Arc<Self> {
        Arc::new(Self {
            length,
            running: Mutex::default(),
        })
    }

    /// Begins a time limit, which ends when what is returned is dropped. It is measured on the current
    /// runtime, or on one that measures others already. Panics without a runtime.
    pub(crate) fn begin(self: &Arc<Self>, whose: Weak<dyn TimesOut>) -> Timeout {
        let mut running = self.running();
        // Under the lock, so that the times are in order.
        let due = Instant::now() + self.length;
        running.begun += 1;
        let number = running.begun;
        running.limits.push_back(Limit { number, due, whose });
        let is_timed = mem::replace(&mut running.is_timed, true);
        drop(running);
        let timeout = Timeout {
            timeouts: self.clone(),
            number,
        };
        if !is_timed {
            let timer = Timer {
                timeouts: self.clone(),
                is_done: false,
            };
            tokio::spawn(timer.run(due));
        }
        timeout
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeouts")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

/// One time limit.
pub(crate) struct Timeout {
    timeouts: Arc<Timeouts>,
    number: u64,
}

impl Drop for Timeout {
    fn drop(&mut self) {
        let mut running = self.timeouts.running();
        let limits = &mut running.limits;
        // It is gone if it has passed.
        let place = limits.binary_search_by_key(&self.number, |limit| limit.number);
        let ended = place.ok().and_then(|place| limits.remove(place));
        drop(running);
        // Outside the lock.
        drop(ended);
    }
}

/// Times the limits until none is left. If its runtime ends before that, all of them pass.
struct Timer {
    timeouts: Arc<Timeouts>,
    is_done: bool,
}

impl Timer {
    /// Begins with the limit that passes at `next`. That one mostly ends before, and others begin
    /// meanwhile: a timer that looked before would end and be begun anew with almost every limit.
    async fn run(mut self, mut next: Instant) {
        loop {
            sleep_until(next).await;
            while let Some(whose) = self.pop(|due| due <= next) {
                pass(&whose);
            }
            match self.next() {
                Some(due) => next = due,
                None => return,
            }
        }
    }

    /// When the next limit passes; `None` if there is none, which ends the timer.
    fn next(&mut self) -> Option<Instant> {
        let mut running = self.timeouts.running();
        let next = running.limits.front().map(|limit| limit.due);
        // Under the lock: a limit that begins now finds that it needs another timer.
        running.is_timed = next.is_some();
        self.is_done = next.is_none();
        next
    }

    /// The first of the limits, if it is due.
    fn pop(&self, is_due: impl Fn(Instant) -> bool) -> Option<Weak<dyn TimesOut>> {
        let mut running = self.timeouts.running();
        let is_due = is_due(running.limits.front()?.due);
        let passed = if is_due {
            running.limits.pop_front()
        } else {
            None
        };
        passed.map(|limit| limit.whose)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // Otherwise another timer may run by now.
        if !self.is_done {
            self.timeouts.running().is_timed = false;
            while let Some(whose) = self.pop(|_| true) {
                pass(&whose);
            }
        }
    }
}

/// User code may run in it. A panic there costs none of the others.
fn pass(whose: &Weak<dyn TimesOut>) {
    if let Some(whose) = whose.upgrade() {
        let _ = catch_unwind(AssertUnwindSafe(|| whose.time_out()));
    }
}

#[cfg(test)]
#[cfg(not(evenhand_loom))]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use tokio::time::sleep;

    const LENGTH: Duration = Duration::from_secs(10);
    const TICK: Duration = Duration::from_millis(1);

    /// Counts how often it timed out.
    #[derive(Default)]
    struct Counts {
        passed: AtomicU32,
        panics: bool,
    }

    impl TimesOut for Counts {
        fn time_out(&self) {
            self.passed.fetch_add(1, Ordering::Relaxed);
            assert!(!self.panics, "a user's code panics");
        }
    }

    impl Counts {
        fn new() -> Arc<Self> {
            Arc::default()
        }

        fn passed(&self) -> u32 {
            self.passed.load(Ordering::Relaxed)
        }
    }

    fn begin(timeouts: &Arc<Timeouts>, counts: &Arc<Counts>) -> Timeout {
        let whose: Weak<Counts> = Arc::downgrade(counts);
        timeouts.begin(whose)
    }

    #[tokio::test(start_paused = true)]
    async fn each_limit_passes_at_its_own_time() {
        let (timeouts, all) = (Timeouts::new(LENGTH), [(); 3].map(|()| Counts::new()));
        let mut limits = Vec::new();
        for counts in &all {
            limits.push(begin(&timeouts, counts));
            sleep(Duration::from_secs(4)).await;
        }
        let passed = || all.each_ref().map(|counts| counts.passed());
        assert_eq!(passed(), [1, 0, 0], "12 s after the first began");
        sleep(2 * Duration::from_secs(1) - TICK).await;
        assert_eq!(passed(), [1, 0, 0]);
        sleep(2 * TICK).await;
        assert_eq!(passed(), [1, 1, 0]);
        sleep(Duration::from_secs(4)).await;
        assert_eq!(passed(), [1, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn limit_that_is_dropped_does_not_pass() {
        let (timeouts, all) = (Timeouts::new(LENGTH), [(); 3].map(|()| Counts::new()));
        let [first, second, third] = all.each_ref().map(|counts| begin(&timeouts, counts));
        drop(second);
        sleep(LENGTH + TICK).await;
        assert_eq!(all.each_ref().map(|counts| counts.passed()), [1, 0, 1]);
        drop((first, third));
        assert!(timeouts.running().limits.is_empty());
    }

    /// One task serves all, and ends when there is nothing to time. The next limit begins another.
    #[tokio::test(start_paused = true)]
    async fn one_task_times_all_limits() {
        let tasks = || {
            tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks()
        };
        let (timeouts, counts) = (Timeouts::new(LENGTH), Counts::new());
        let before = tasks();
        for _ in 0..2 {
            for _ in 0..100 {
                drop(begin(&timeouts, &counts));
                assert_eq!(tasks(), before + 1);
                tokio::task::yield_now().await;
            }
            sleep(LENGTH + TICK).await;
            assert_eq!((tasks(), counts.passed()), (before, 0));
        }
        let _limit = begin(&timeouts, &counts);
        sleep(LENGTH + TICK).await;
        assert_eq!(counts.passed(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn panic_of_one_costs_none_of_the_others() {
        let (timeouts, counts) = (Timeouts::new(LENGTH), Counts::new());
        let panics = Arc::new(Counts {
            panics: true,
            ..Counts::default()
        });
        let limits = [&panics, &counts].map(|counts| begin(&timeouts, counts));
        sleep(LENGTH + TICK).await;
        assert_eq!((panics.passed(), counts.passed()), (1, 1));
        drop(limits);
    }

    #[test]
    fn end_of_the_runtime_lets_all_pass_and_another_one_takes_over() {
        let (timeouts, counts) = (Timeouts::new(LENGTH), Counts::new());
        for passed in 1..3 {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            let limit = runtime.block_on(async { begin(&timeouts, &counts) });
            drop(runtime);
            assert_eq!(counts.passed(), passed);
            drop(limit);
        }
    }
}
