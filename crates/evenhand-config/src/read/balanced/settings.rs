//! The settings that one table gives.

use super::context::Context;
use super::{duration, keep, probe};
use crate::plan::{AllDown, Pick, Settings};
use crate::tree::Table;

pub(super) fn read(table: &Table, cx: &mut Context<'_>) -> Settings {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Settings {
        pick: cx.choice(table, "pick", Pick::of),
        check_interval: cx.duration(table, "check_interval"),
        first_recheck: cx.duration(table, "first_recheck"),
        keep: keep::read(table, cx),
        all_down: cx.choice(table, "all_down", AllDown::of),
        attempt_timeout: cx.duration(table, "attempt_timeout"),
        checkout_timeout: cx.duration(table, "checkout_timeout"),
        hedge_after: duration::read(table, "hedge_after", cx),
        try_timeout: cx.duration(table, "try_timeout"),
        work_timeout: cx.duration(table, "work_timeout"),
        transaction_attempts: cx.integer(table, "transaction_attempts"),
        max_connections: cx
            .integer_or_none(table, "max_connections")
            .map(|most| most.map(count)),
        max_lifetime: duration::read(table, "max_lifetime", cx),
        idle_timeout: duration::read(table, "idle_timeout", cx),
        writable: cx.switch(table, "writable"),
        probe: probe::read(table, cx),
        probe_timeout: cx.duration(table, "probe_timeout"),
        synced: cx.switch(table, "synced"),
        check_up_every: duration::read(table, "check_up_every", cx),
        fall: cx.integer(table, "fall"),
        rise: cx.integer(table, "rise"),
        end_on_lost_peer: cx.switch(table, "end_on_lost_peer"),
    }
}
