//! The rows of the tables, by the names under which they are printed and asked for.

/// One way to call one of `n` peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// The peer's service, called with nothing between.
    Direct,
    /// `tower::balance::p2c::Balance` over `PendingRequests`.
    P2c,
    /// `tower::buffer::Buffer` over that: what it takes to share it between tasks.
    Buffer,
    /// The algorithm that Evenhand grew from: see [`crate::seed`].
    Seed,
    /// `evenhand::Balance` with `PerPeer`, all peers up, one handle for all calls.
    Evenhand,
    /// The same with a clone of the handle for each call.
    EvenhandClone,
    /// The same as `Evenhand` with half of the peers ejected.
    EvenhandHalf,
    /// The same as `Evenhand` with a special connector in place of `PerPeer`.
    EvenhandAsk,
}

impl Row {
    /// Those for one task.
    pub const ONE_TASK: [Self; 8] = [
        Self::Direct,
        Self::P2c,
        Self::Buffer,
        Self::Seed,
        Self::Evenhand,
        Self::EvenhandClone,
        Self::EvenhandHalf,
        Self::EvenhandAsk,
    ];

    /// Those that many tasks can share.
    pub const CROWD: [Self; 5] = [
        Self::Buffer,
        Self::Seed,
        Self::Evenhand,
        Self::EvenhandClone,
        Self::EvenhandHalf,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::P2c => "p2c",
            Self::Buffer => "buffer",
            Self::Seed => "seed",
            Self::Evenhand => "evenhand",
            Self::EvenhandClone => "evenhand-clone",
            Self::EvenhandHalf => "evenhand-half",
            Self::EvenhandAsk => "evenhand-ask",
        }
    }

    /// The row of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ONE_TASK.into_iter().find(|row| row.name() == name)
    }
}
