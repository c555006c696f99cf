//! How the peers of one balancer are ejected and brought back.

use crate::check::Checks;
use crate::eject::Eject;
use crate::probe::BackgroundProbe;
use crate::random::Random;

/// Shared by the balancer, its attempts and their tickets.
pub(crate) struct Policy<P> {
    pub(crate) eject: Eject,
    pub(crate) probe: Option<BackgroundProbe<P>>,
    pub(crate) checks: Checks,
    pub(crate) random: Random,
}
