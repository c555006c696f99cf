//! How a pool's peers are watched: what errors mean, what a probe asks, when peers are checked.

use std::sync::Arc;
use std::time::Duration;

use crate::check::Check;
use crate::classify::{Classifier, Rules};
use crate::options::PoolOptions;
use crate::probe::Probe;
use crate::prober::Prober;

/// Peers that are up are checked so often: 5 s.
pub const DEFAULT_CHECK_UP_EVERY: Duration = Duration::from_secs(5);

/// The part of [`PoolOptions`] that this room is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) classifier: Classifier,
    pub(crate) writable: bool,
    pub(crate) probe: Option<Probe>,
    pub(crate) probe_timeout: Option<Duration>,
    pub(crate) synced: bool,
    pub(crate) check_up_every: Option<Duration>,
    pub(crate) fall: u32,
    pub(crate) rise: u32,
    pub(crate) end_on_lost_peer: bool,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            classifier: Classifier::default(),
            writable: false,
            probe: None,
            probe_timeout: None,
            synced: false,
            check_up_every: Some(DEFAULT_CHECK_UP_EVERY),
            fall: evenhand::DEFAULT_FALL,
            rise: evenhand::DEFAULT_RISE,
            end_on_lost_peer: true,
        }
    }
}

impl PoolOptions {
    /// What errors say of their peer, where the table's judgement is not wanted. Default: the
    /// table.
    pub fn classifier(mut self, classifier: Classifier) -> Self {
        self.watch.classifier = classifier;
        self
    }

    /// Every peer must take writes. A statement that is refused because its peer is read-only
    /// ejects that peer, and the probe is [`Probe::Writable`] unless another is set. Default:
    /// `false`, and a read-only peer does its job.
    pub fn writable(mut self, writable: bool) -> Self {
        self.watch.writable = writable;
        self
    }

    /// What a peer must do to count as ready for work. Default: [`Probe::Ready`], or
    /// [`Probe::Writable`] for pools that are declared [`writable`](Self::writable).
    pub fn probe(mut self, probe: Probe) -> Self {
        self.watch.probe = Some(probe);
        self
    }

    /// How long one probe may take, its login included. Default: as long as
    /// [one attempt](Self::attempt_timeout).
    pub fn probe_timeout(mut self, limit: Duration) -> Self {
        self.watch.probe_timeout = Some(limit);
        self
    }

    /// Galera nodes must be synced, or they step out: a donor, and one that was desynced by hand
    /// for its backup, say. Each probe then reads `wsrep_local_state` as well, which on a server
    /// that is no Galera node is not there and passes. Default: `false`, as donors do serve.
    pub fn synced(mut self, required: bool) -> Self {
        self.watch.synced = required;
        self
    }

    /// How often a peer that is up is checked by the [probe](Self::probe), strayed by up to a
    /// tenth, so that a peer that is lost is found before a caller finds it. One that has answered
    /// anything since the last round is not checked, unless the probe asks for more than traffic
    /// tells. `None` turns the checks off. Default: [`DEFAULT_CHECK_UP_EVERY`].
    ///
    /// A check that finds a login refused, or this host short of something, says nothing of the
    /// peer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use evenhand_mysql::PoolOptions;
    ///
    /// let often = PoolOptions::default().check_up_every(Duration::from_secs(1)).fall(2);
    /// let never = PoolOptions::default().check_up_every(None);
    /// ```
    pub fn check_up_every(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.watch.check_up_every = interval.into();
        self
    }

    /// So many failed checks in a row eject a peer that is up; nought counts as one. Default:
    /// [`evenhand::DEFAULT_FALL`].
    pub fn fall(mut self, checks: u32) -> Self {
        self.watch.fall = checks.max(1);
        self
    }

    /// So many successful probes in a row, one [`check_up_every`](Self::check_up_every) apart,
    /// bring an ejected peer back; nought counts as one, and so does any number where those checks
    /// are off. Default: [`evenhand::DEFAULT_RISE`].
    pub fn rise(mut self, probes: u32) -> Self {
        self.watch.rise = probes.max(1);
        self
    }

    /// Whether an operation that waits on a connection ends when its peer is lost, with
    /// [`Error::PeerLost`](crate::Error::PeerLost): when two checks in a row got no answer at all,
    /// not even a refusal, nor did anything else. Otherwise it would wait until the kernel gives the
    /// connection up, which may take a quarter of an hour. Default: `true`.
    ///
    /// With the default intervals that is about 12 s after the peer was last heard. A slow statement
    /// on a peer that answers its checks is never ended, whatever it takes; nor is one because its
    /// peer is full, refuses logins, is drained, or was ejected by hand. A peer that is
    /// being drained is not checked. With [`check_up_every`](Self::check_up_every) turned off, a peer
    /// is checked only where something else points to it.
    ///
    /// Rows that are taken one by one (`query_iter`, `exec_iter`, streams) come from the driver
    /// itself, and so do those of `"SELECT ..".fetch(&mut conn)`: waiting for these is not ended. Where
    /// that matters, wait for [`PeerConn::peer_lost`](crate::PeerConn::peer_lost) beside them.
    pub fn end_on_lost_peer(mut self, end: bool) -> Self {
        self.watch.end_on_lost_peer = end;
        self
    }

    /// How its peers are checked.
    pub(crate) fn check(&self) -> Check {
        let Watch {
            classifier,
            writable,
            probe,
            probe_timeout,
            synced,
            ..
        } = self.watch.clone();
        let usual = if writable {
            Probe::Writable
        } else {
            Probe::Ready
        };
        Check {
            rules: Arc::new(Rules {
                classifier,
                writable,
            }),
            probe: probe.unwrap_or(usual),
            synced,
            limit: probe_timeout.unwrap_or(self.attempt_timeout),
        }
    }

    pub(crate) fn prober(&self) -> Prober {
        Prober {
            heard_within: self.watch.check_up_every,
        }
    }
}
