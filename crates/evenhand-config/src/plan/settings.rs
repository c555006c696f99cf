//! What a file says of a balanced database's pool.

use std::time::Duration;

/// The settings of a balanced database, with the file's `defaults` merged in.
///
/// What the file does not give is `None`, and the pool's own default stands. Where `"none"` is a
/// value, it is `Some(None)`: the setters take the inner option as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Which of the peers that are up gets an attempt.
    pub pick: Option<Pick>,
    /// The longest time between two probes of an ejected peer; the same as
    /// [`BalancedDatabase::check_interval`](crate::BalancedDatabase::check_interval), if the file
    /// says it.
    pub check_interval: Option<Duration>,
    /// How soon an ejected peer is first probed; not longer than the check interval.
    pub first_recheck: Option<Duration>,
    /// How many peers stay up in any case.
    pub keep: Option<Keep>,
    /// What a checkout does while every peer is out.
    pub all_down: Option<AllDown>,
    /// How long one peer may take to give a connection.
    pub attempt_timeout: Option<Duration>,
    /// How long a checkout may take in all.
    pub checkout_timeout: Option<Duration>,
    /// After what time a checkout asks a second peer as well; `Some(None)`: never.
    pub hedge_after: Option<Option<Duration>>,
    /// How long idempotent work may take on one peer.
    pub try_timeout: Option<Duration>,
    /// How long idempotent work may take in all.
    pub work_timeout: Option<Duration>,
    /// How often a transaction is run at most; never 0.
    pub transaction_attempts: Option<u32>,
    /// How many connections may be out in all; `Some(None)`: as many as the peers allow.
    pub max_connections: Option<Option<usize>>,
    /// How long a connection lives; `Some(None)`: for ever.
    pub max_lifetime: Option<Option<Duration>>,
    /// How long a connection may be idle; `Some(None)`: for ever.
    pub idle_timeout: Option<Option<Duration>>,
    /// Whether every peer must take writes.
    pub writable: Option<bool>,
    /// What a peer must do to count as ready for work.
    pub probe: Option<Probe>,
    /// How long one probe may take.
    pub probe_timeout: Option<Duration>,
    /// Whether Galera nodes must be synced.
    pub synced: Option<bool>,
    /// How often a peer that is up is checked; `Some(None)`: never.
    pub check_up_every: Option<Option<Duration>>,
    /// So many failed checks in a row eject; never 0.
    pub fall: Option<u32>,
    /// So many successful probes in a row bring back; never 0.
    pub rise: Option<u32>,
    /// Whether operations that wait for a lost peer end.
    pub end_on_lost_peer: Option<bool>,
}

/// Which of the peers that are up gets an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Each with equal probability.
    Uniform,
    /// Each in proportion to its weight.
    Weighted,
    /// Of two random ones the one with fewer attempts in flight.
    LeastInFlight,
}

/// What a checkout does while every peer is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllDown {
    /// It waits for one to recover, until its time is up.
    Wait,
    /// It fails at once.
    Fail,
    /// It makes one attempt on the peer that is due soonest.
    LastResort,
}

/// How many peers stay up in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So many.
    Peers(usize),
    /// So many of a hundred, rounded up; at most 100.
    Percent(u8),
}

/// What a peer must do to count as ready for work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Log in and ping.
    Ping,
    /// Log in and do nothing.
    Ready,
    /// As `Ready`, and not read-only.
    Writable,
    /// A query of one's own, whose first value must be the one that is expected.
    Query {
        /// The statement; never empty.
        sql: String,
        /// The first value of the first row, as text.
        expect: String,
    },
}

pub(crate) const PICK_WORDS: &[&str] = &["uniform", "weighted", "least_in_flight"];
pub(crate) const ALL_DOWN_WORDS: &[&str] = &["wait", "fail", "last_resort"];

// === impl Settings ===

impl Settings {
    /// These, and where they are silent those of `other`.
    pub(crate) fn or(self, other: &Settings) -> Settings {
        Settings {
            pick: self.pick.or(other.pick),
            check_interval: self.check_interval.or(other.check_interval),
            first_recheck: self.first_recheck.or(other.first_recheck),
            keep: self.keep.or(other.keep),
            all_down: self.all_down.or(other.all_down),
            attempt_timeout: self.attempt_timeout.or(other.attempt_timeout),
            checkout_timeout: self.checkout_timeout.or(other.checkout_timeout),
            hedge_after: self.hedge_after.or(other.hedge_after),
            try_timeout: self.try_timeout.or(other.try_timeout),
            work_timeout: self.work_timeout.or(other.work_timeout),
            transaction_attempts: self.transaction_attempts.or(other.transaction_attempts),
            max_connections: self.max_connections.or(other.max_connections),
            max_lifetime: self.max_lifetime.or(other.max_lifetime),
            idle_timeout: self.idle_timeout.or(other.idle_timeout),
            writable: self.writable.or(other.writable),
            probe: self.probe.or_else(|| other.probe.clone()),
            probe_timeout: self.probe_timeout.or(other.probe_timeout),
            synced: self.synced.or(other.synced),
            check_up_every: self.check_up_every.or(other.check_up_every),
            fall: self.fall.or(other.fall),
            rise: self.rise.or(other.rise),
            end_on_lost_peer: self.end_on_lost_peer.or(other.end_on_lost_peer),
        }
    }
}

// === impl Pick, AllDown ===

impl Pick {
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "uniform" => Some(Pick::Uniform),
            "weighted" => Some(Pick::Weighted),
            "least_in_flight" => Some(Pick::LeastInFlight),
            _ => None,
        }
    }
}

impl AllDown {
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "wait" => Some(AllDown::Wait),
            "fail" => Some(AllDown::Fail),
            "last_resort" => Some(AllDown::LastResort),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_a_value() {
        assert!(PICK_WORDS.iter().all(|word| Pick::of(word).is_some()));
        assert!(
            ALL_DOWN_WORDS
                .iter()
                .all(|word| AllDown::of(word).is_some())
        );
    }
}
