//! Without the feature `metrics`: the same types, of which nothing is left.

use std::future::{Ready, ready};
use std::sync::Arc;

use evenhand::Peers;
use tokio::time::Instant;

use crate::classify::Phase;
use crate::error::{Error, FailedTry};
use crate::usage::Usage;

#[derive(Clone, Debug)]
pub(crate) struct PoolMetrics;

impl PoolMetrics {
    pub(crate) fn new(_: Arc<str>) -> Self {
        Self
    }

    pub(crate) fn record<Target>(
        &self,
        _: &Peers<Target>,
        _: impl Fn() -> Usage + Send + 'static,
    ) -> Ready<()> {
        ready(())
    }

    pub(crate) fn checkout(&self, _: Instant) -> CheckoutMetrics {
        CheckoutMetrics
    }

    pub(crate) fn waits(&self) {}

    pub(crate) fn reruns(&self, _: &'static str, _: &[FailedTry]) {}
}

pub(crate) struct CheckoutMetrics;

impl CheckoutMetrics {
    pub(crate) fn succeeded(self) {}

    pub(crate) fn failed(self, error: Error) -> Error {
        error
    }
}

#[derive(Clone, Debug)]
pub(crate) struct PeerMetrics;

impl PeerMetrics {
    pub(crate) fn new(_: Arc<str>, _: Arc<str>) -> Self {
        Self
    }

    pub(crate) fn logged_in(&self) {}

    pub(crate) fn retried(&self) {}

    pub(crate) fn waits(&self) {}

    pub(crate) fn failed(&self, _: Phase, _: impl FnOnce() -> &'static str) {}

    pub(crate) fn outcome_unknown(&self) {}

    pub(crate) fn lost(&self) {}
}
