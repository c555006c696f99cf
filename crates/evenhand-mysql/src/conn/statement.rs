//! What the text of a statement tells before it is sent.

use mysql_async::Params;
use mysql_async::prelude::AsQuery;

use super::PeerConn;
use crate::classify::Phase;

/// How statements begin that stay in their schema, the most frequent first.
const STAYING: [&[u8]; 14] = [
    b"SELECT",
    b"INSERT",
    b"UPDATE",
    b"DELETE",
    b"SET",
    b"COMMIT",
    b"START",
    b"BEGIN",
    b"ROLLBACK",
    b"REPLACE",
    b"WITH",
    b"DO",
    b"SHOW",
    b"CALL",
];

impl PeerConn {
    /// The phase of a statement that is sent as text. Only a plain `COMMIT` is recognised.
    pub(super) fn read_text(&mut self, query: &impl AsQuery) -> Phase {
        let query = query.as_query();
        let plain = query.trim_ascii();
        self.schema_left = self.schema_left || may_leave_schema(plain);
        phase_of(plain)
    }

    /// The phase of a prepared statement. MariaDB prepares a `USE`, too, which has no parameters.
    pub(super) fn read_params(&mut self, params: &Params) -> Phase {
        self.schema_left |= matches!(params, Params::Empty) && self.server_version().0 >= 10;
        Phase::Query
    }
}

/// Of a text without spaces at its ends.
fn phase_of(plain: &[u8]) -> Phase {
    let plain = plain.strip_suffix(b";").unwrap_or(plain).trim_ascii_end();
    match plain.eq_ignore_ascii_case(b"COMMIT") {
        true => Phase::Commit,
        false => Phase::Query,
    }
}

/// Whether a `USE` may be in it.
fn may_leave_schema(plain: &[u8]) -> bool {
    let end = plain.iter().position(|byte| !byte.is_ascii_alphabetic());
    let word = &plain[..end.unwrap_or(plain.len())];
    let stays = STAYING.iter().any(|begin| word.eq_ignore_ascii_case(begin));
    let body = plain.strip_suffix(b";").unwrap_or(plain);
    // Another statement may follow.
    !stays || body.contains(&b';')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_commit_is_recognised() {
        let phase = |text: &str| phase_of(text.trim_ascii().as_bytes());
        for commit in ["COMMIT", "commit", " Commit ; ", "\nCOMMIT;"] {
            assert_eq!(phase(commit), Phase::Commit, "{commit:?}");
        }
        for other in ["", ";", "COMMITS", "ROLLBACK", "DO 1; COMMIT", "COMMIT;;x"] {
            assert_eq!(phase(other), Phase::Query, "{other:?}");
        }
    }

    #[test]
    fn what_may_be_a_use_is_recognised() {
        for stays in [
            "SELECT 1",
            "insert into t values (1);",
            "Set @a = 1",
            "DO 1;",
            "COMMIT",
        ] {
            assert!(!may_leave_schema(stays.as_bytes()), "{stays:?}");
        }
        for may in [
            "USE d",
            "use`d`",
            "DO 1; USE d",
            "/* a */ USE d",
            "EXECUTE s",
            "-- a\nUSE d",
            "SELECTED",
        ] {
            assert!(may_leave_schema(may.as_bytes()), "{may:?}");
        }
    }
}
