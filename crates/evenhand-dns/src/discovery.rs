//! How to look up, as a value: sources and settings.

use std::time::Duration;

use crate::source::Source;
use crate::stream::changes::Changes;
use crate::stream::pace::Bounds;
use crate::stream::task::Settings;

/// The shortest pause between lookups of a source, unless set: 1 s.
pub const DEFAULT_MIN_TTL: Duration = Duration::from_secs(1);
/// The longest pause between lookups of a source, unless set: 5 min.
pub const DEFAULT_MAX_TTL: Duration = Duration::from_secs(300);
/// The longest pause while lookups fail, unless set: 30 s.
pub const DEFAULT_MAX_RETRY: Duration = Duration::from_secs(30);
/// How long a lookup takes at most, unless set: 30 s.
pub const DEFAULT_LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);
/// How many addresses a source may bring, unless set: 100.
pub const DEFAULT_MAX_ADDRESSES: usize = 100;

/// What to look up and how. [`changes`](Self::changes) makes a stream of it.
#[derive(Clone, Debug)]
#[must_use = "it does nothing before `changes`"]
pub struct Discovery {
    sources: Vec<Source>,
    settings: Settings,
}

impl Discovery {
    /// The addresses of all these sources together, with the defaults.
    ///
    /// An address that several sources list is there once, as the first of them has it.
    pub fn new(sources: impl IntoIterator<Item = Source>) -> Self {
        Self {
            sources: sources.into_iter().collect(),
            settings: Settings {
                bounds: Bounds {
                    min: DEFAULT_MIN_TTL,
                    max: DEFAULT_MAX_TTL,
                    max_retry: DEFAULT_MAX_RETRY,
                },
                keep: None,
                most: DEFAULT_MAX_ADDRESSES,
                timeout: DEFAULT_LOOKUP_TIMEOUT,
            },
        }
    }

    /// A TTL that is shorter counts as this, so that a TTL of 0 makes no load; and the pause that
    /// [`look_now`](crate::Handle::look_now) waits for. 1 s by default, 50 ms at least.
    pub fn min_ttl(mut self, min: Duration) -> Self {
        self.settings.bounds.min = min;
        self
    }

    /// A TTL that is longer counts as this. 5 min by default; not shorter than [`min_ttl`](Self::min_ttl).
    pub fn max_ttl(mut self, max: Duration) -> Self {
        self.settings.bounds.max = max;
        self
    }

    /// The longest pause while lookups fail. The first is [`min_ttl`](Self::min_ttl), and each further one is
    /// twice as long. 30 s by default; not shorter than `min_ttl`.
    pub fn max_retry(mut self, longest: Duration) -> Self {
        self.settings.bounds.max_retry = longest;
        self
    }

    /// How long addresses stay once lookups no longer show them because they fail, or find nothing. `None`,
    /// the default, keeps them for ever. The time begins with the first such lookup.
    ///
    /// An address that an answer does not have, while it has others, leaves at once.
    pub fn keep_for(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.settings.keep = time.into();
        self
    }

    /// How many addresses a source may bring. 100 by default, 1 at least.
    ///
    /// Over the bound some are left out, which is logged at `WARN`: those of the last tiers first, and in a tier
    /// those that are not in use yet, at random. So the same addresses are used in every lookup, and other
    /// clients use others.
    ///
    /// With the pick [`Affinity`](evenhand::Affinity), clients agree on the peer of a key only if they have the
    /// same peers. So for it set this above the number of addresses.
    pub fn max_addresses(mut self, most: usize) -> Self {
        self.settings.most = most.max(1);
        self
    }

    /// How long a lookup takes at most, with all its queries. 30 s by default.
    pub fn lookup_timeout(mut self, limit: Duration) -> Self {
        self.settings.timeout = limit;
        self
    }

    /// The stream of what changes. Lookups begin with its first poll, and end when it is dropped.
    pub fn changes(self) -> Changes {
        Changes::new(self.sources, self.settings)
    }
}
