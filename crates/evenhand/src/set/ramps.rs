//! Slow start: which of the peers that are up have come up only a moment ago.
//!
//! Times are nanoseconds since the registry's epoch, as they are kept in one atomic word a peer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the registry's lock protects.
#[derive(Default)]
pub(crate) struct Ramps {
    /// How long a peer ramps. 0 if none does.
    window: u64,
    /// Those that ramp: since when, and their ids.
    since: BTreeSet<(u64, u64)>,
}

impl Ramps {
    /// Peers ramp from now on. Of several windows the longest counts.
    pub(super) fn lengthen(&mut self, window: u64) {
        self.window = self.window.max(window);
    }

    pub(super) fn is_on(&self) -> bool {
        self.window > 0
    }

    /// The peer with this id came up.
    pub(super) fn start(&mut self, ramp: &Ramp, id: u64, now: u64) {
        if self.is_on() {
            ramp.start(now);
            self.since.insert((now, id));
        }
    }

    /// The peer with this id is up no longer.
    pub(super) fn stop(&mut self, ramp: &Ramp, id: u64) {
        if let Some(since) = ramp.since() {
            ramp.end(since);
            self.since.remove(&(since, id));
        }
    }

    /// Forgets those that have ramped for long enough.
    pub(super) fn age(&mut self, now: u64) {
        while let Some(first) = self.since.first()
            && first.0.saturating_add(self.window) <= now
        {
            self.since.pop_first();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.since.is_empty()
    }

    /// Lets picks see it, where `up` peers are up.
    pub(super) fn publish(&self, up: usize, ramping: &Ramping) {
        let window = if self.is_empty() { 0 } else { self.window };
        let all = self.since.len() >= up;
        let first = self.since.first().filter(|_| all);
        let fullest = first.map_or(0, |(since, _)| *since);
        ramping.fullest.store(fullest, Ordering::Relaxed);
        ramping.window.store(window, Ordering::Release);
    }
}

/// Since when one peer ramps; 0 if it does not.
#[derive(Debug, Default)]
pub(crate) struct Ramp(AtomicU64);

impl Ramp {
    fn start(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn since(&self) -> Option<u64> {
        let since = self.0.load(Ordering::Relaxed);
        (since > 0).then_some(since)
    }

    /// The ramp that began then is over. Returns whether this is the first to say so.
    pub(crate) fn end(&self, since: u64) -> bool {
        let order = Ordering::Relaxed;
        self.0.compare_exchange(since, 0, order, order).is_ok()
    }
}

/// What picks read of the ramps.
#[derive(Debug, Default)]
pub(crate) struct Ramping {
    /// How long a peer ramps; 0 while none does.
    window: AtomicU64,
    /// If all peers that are up ramp: since when the first one does. Else 0.
    fullest: AtomicU64,
}

impl Ramping {
    /// How long a peer ramps, while one does.
    #[inline]
    pub(crate) fn window(&self) -> Option<u64> {
        let window = self.window.load(Ordering::Acquire);
        (window > 0).then_some(window)
    }

    /// The time since which the peer with the largest share has ramped, if all that are up ramp.
    #[inline]
    pub(crate) fn fullest(&self) -> Option<u64> {
        let fullest = self.fullest.load(Ordering::Relaxed);
        (fullest > 0).then_some(fullest)
    }
}
