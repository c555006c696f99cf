//! The values of settings that offer a choice.
//!
//! These enums are exhaustive: a pool must act on each variant, so a new one should fail to compile there.

/// An enum whose variants are words in the file.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// The words for it in a file.
            pub(crate) const WORDS: &'static [&'static str] = &[$($word),+];

            /// The variant that a word stands for.
            pub(crate) fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// Which of the peers that are up gets an attempt. `evenhand` has each as a `Pick` of the same name.
    pub enum PickKind {
        /// A random one, each with equal probability.
        Uniform = "uniform",
        /// A random one, in proportion to its weight.
        Weighted = "weighted",
        /// Of two random ones, the one with fewer attempts in flight.
        LeastInFlight = "least_in_flight",
    }
}

words! {
    /// What a checkout does when no peer is left to try.
    pub enum AllDownKind {
        /// It waits, and asks the peers again, until it times out.
        Wait = "wait",
        /// It fails at once.
        Fail = "fail",
        /// It goes to peers that are out, as if they were up. A success brings its peer back.
        FailOpen = "fail_open",
    }
}

words! {
    /// The list of a cluster from which a database's peers come.
    pub enum DiscoverKind {
        /// None: the peers are those that the file lists.
        Nothing = "none",
        /// `wsrep_incoming_addresses` of Galera nodes.
        Galera = "galera",
        /// `performance_schema.replication_group_members` of MySQL's Group Replication.
        GroupReplication = "group-replication",
    }
}

/// The number of peers that stay up: failures do not eject a peer if fewer would be left.
///
/// A file gives it as a number, such as `1`, or as a share, such as `"30%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinUp {
    /// A number of peers.
    Peers(usize),
    /// A share of all peers in percent, 0 to 100; the number of peers is rounded up.
    Percent(u8),
}

/// What a peer must do to pass a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// Accept a login, then answer a ping.
    Ping,
    /// Accept a login, then run a statement (`DO 1`).
    Ready,
    /// As `Ready`, and not be read-only.
    Writable,
    /// Accept a login, then return the expected first value for a query.
    Query {
        /// The statement; not empty.
        sql: String,
        /// The expected first value of the first row, as text.
        expect: String,
    },
}

impl ProbeKind {
    /// The words for it in a file.
    pub(crate) const WORDS: &'static [&'static str] = &["ping", "ready", "writable"];

    /// The variant that a word stands for.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "ping" => Some(ProbeKind::Ping),
            "ready" => Some(ProbeKind::Ready),
            "writable" => Some(ProbeKind::Writable),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_words_are_all_variants() {
        assert!(
            ProbeKind::WORDS
                .iter()
                .all(|word| ProbeKind::from_word(word).is_some())
        );
    }
}
