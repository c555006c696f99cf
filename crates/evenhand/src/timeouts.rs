//! Time limits of the same length, for many things that mostly end before them. One task a runtime times
//! all that began there, so that a limit costs neither a task nor a timer of its own.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::{self, Handle};
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
    /// One for each runtime that times limits now, mostly one.
    queues: Vec<Queue>,
    begun: u64,
}

/// The limits that began on one runtime, which a task there times.
struct Queue {
    runtime: runtime::Id,
    /// Runtimes may have the same id one after the other, so it has a number of its own.
    number: u64,
    /// In the order in which they began, which is that in which they pass. Most end soon after they
    /// began, so they are taken out near the back.
    limits: VecDeque<Limit>,
}

struct Limit {
    number: u64,
    due: Instant,
    whose: Weak<dyn TimesOut>,
}

impl Running {
    fn queue(&mut self, number: u64) -> Option<&mut Queue> {
        self.queues.iter_mut().find(|queue| queue.number == number)
    }

    /// Takes a queue out. Its task is to end.
    fn take(&mut self, number: u64) -> Option<Queue> {
        let mut queues = self.queues.iter();
        let place = queues.position(|queue| queue.number == number)?;
        Some(self.queues.swap_remove(place))
    }
}

impl Timeouts {
    pub(crate) fn new(length: Duration) -> Arc<Self> {
        Arc::new(Self {
            length,
            running: Mutex::default(),
        })
    }

    /// Begins a time limit, which ends when what is returned is dropped. It is measured on the current
    /// runtime. Panics without a runtime.
    pub(crate) fn begin(self: &Arc<Self>, whose: Weak<dyn TimesOut>) -> Timeout {
        let handle = Handle::current();
        let runtime = handle.id();
        let mut running = self.running();
        // Under the lock, so that the times are in order.
        let due = Instant::now() + self.length;
        running.begun += 1;
        let number = running.begun;
        let limit = Limit { number, due, whose };
        let mut queues = running.queues.iter_mut();
        let queue = match queues.find(|queue| queue.runtime == runtime) {
            Some(queue) => {
                queue.limits.push_back(limit);
                queue.number
            }
            None => {
                running.queues.push(Queue {
                    runtime,
                    number,
                    limits: VecDeque::from([limit]),
                });
                number
            }
        };
        drop(running);
        if queue == number {
            let timer = Timer {
                timeouts: self.clone(),
                queue,
            };
            handle.spawn(timer.run(due));
        }
        Timeout {
            timeouts: self.clone(),
            queue,
            number,
        }
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
    queue: u64,
    number: u64,
}

impl Timeout {
    /// Takes the limit out, unless it has passed.
    fn take(&self) -> Option<Limit> {
        let mut running = self.timeouts.running();
        let limits = &mut running.queue(self.queue)?.limits;
        let place = limits.binary_search_by_key(&self.number, |limit| limit.number);
        limits.remove(place.ok()?)
    }
}

impl Drop for Timeout {
    fn drop(&mut self) {
        // Outside the lock.
        drop(self.take());
    }
}

/// Times the limits of one queue until none is left. If its runtime ends before that, all of them pass.
struct Timer {
    timeouts: Arc<Timeouts>,
    queue: u64,
}

impl Timer {
    /// Begins with the limit that passes at `next`. That one mostly ends before, and others begin
    /// meanwhile: a timer that looked before would end and be begun anew with almost every limit.
    async fn run(self, mut next: Instant) {
        loop {
            sleep_until(next).await;
            while let Some(whose) = self.pop(next) {
                pass(whose);
            }
            match self.next() {
                Some(due) => next = due,
                None => return,
            }
        }
    }

    /// When the next limit passes; `None` if there is none, which ends the timer.
    fn next(&self) -> Option<Instant> {
        let mut running = self.timeouts.running();
        let next = running.queue(self.queue)?.limits.front();
        let next = next.map(|limit| limit.due);
        if next.is_none() {
            // Under the same lock: a limit that begins now makes another queue.
            running.take(self.queue);
        }
        next
    }

    /// The first of the limits, if it is due.
    fn pop(&self, now: Instant) -> Option<Weak<dyn TimesOut>> {
        let mut running = self.timeouts.running();
        let limits = &mut running.queue(self.queue)?.limits;
        let passed = match limits.front() {
            Some(limit) if limit.due <= now => limits.pop_front(),
            _ => None,
        };
        passed.map(|limit| limit.whose)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let queue = self.timeouts.running().take(self.queue);
        let limits = queue.into_iter().flat_map(|queue| queue.limits);
        limits.for_each(|limit| pass(limit.whose));
    }
}

/// User code may run in it, also where the last handle is dropped here. A panic there costs none of the
/// others.
fn pass(whose: Weak<dyn TimesOut>) {
    let time_out = move || {
        if let Some(whose) = whose.upgrade() {
            whose.time_out();
        }
    };
    let _ = catch_unwind(AssertUnwindSafe(time_out));
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
        assert!(timeouts.running().queues.is_empty());
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

    /// One that is there and not driven delays the limits of no other, and one that ends lets only its own
    /// pass.
    #[test]
    fn each_runtime_times_its_own_limits() {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.enable_time().start_paused(true).build().unwrap()
        };
        let (timeouts, all) = (Timeouts::new(LENGTH), [(); 3].map(|()| Counts::new()));
        let passed = || all.each_ref().map(|counts| counts.passed());
        let runtimes = [runtime(), runtime(), runtime()];
        let begun = runtimes.iter().zip(&all);
        let limits: Vec<_> = begun
            .map(|(runtime, counts)| runtime.block_on(async { begin(&timeouts, counts) }))
            .collect();
        let [_not_driven, ends, driven] = runtimes;
        drop(ends);
        assert_eq!(passed(), [0, 1, 0]);
        driven.block_on(async { sleep(LENGTH + TICK).await });
        assert_eq!(passed(), [0, 1, 1]);
        drop(limits);
    }

    #[tokio::test(start_paused = true)]
    async fn panic_of_what_is_dropped_last_costs_none_of_the_others() {
        struct PanicsInDrop(Mutex<Option<Arc<Self>>>);
        impl TimesOut for PanicsInDrop {
            fn time_out(&self) {
                drop(self.0.lock().unwrap().take());
            }
        }
        impl Drop for PanicsInDrop {
            fn drop(&mut self) {
                assert!(std::thread::panicking(), "a user's code panics");
            }
        }
        let (timeouts, counts) = (Timeouts::new(LENGTH), Counts::new());
        // It holds itself, until it times out.
        let whole = Arc::new(PanicsInDrop(Mutex::default()));
        *whole.0.lock().unwrap() = Some(whole.clone());
        let whose: Weak<PanicsInDrop> = Arc::downgrade(&whole);
        drop(whole);
        let limits = [timeouts.begin(whose), begin(&timeouts, &counts)];
        sleep(LENGTH / 2).await;
        let later = begin(&timeouts, &counts);
        sleep(LENGTH / 2 + TICK).await;
        assert_eq!(counts.passed(), 1, "the later one is not due");
        drop((limits, later));
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
