//! `grastate.dat`: a node's saved view of its data, in a file beside them.

use std::fmt;
use std::fs;
use std::io;

use super::error::GaleraError;
use crate::mariadb::MariaDb;
use crate::process;

/// How far a node's data are in the history of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The history, in the form of a UUID.
    pub(super) history: String,
    /// The last change that the data have; -1 where the node does not know, as after a crash.
    pub(super) seqno: i64,
}

/// The file's name in the data directory.
const FILE: &str = "grastate.dat";

impl Position {
    /// Reads the file's text; `None` if it is not such a file.
    fn read(text: &str) -> Option<Position> {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key))
                .map(str::trim)
        };
        Some(Position {
            history: value("uuid:")?.to_owned(),
            seqno: value("seqno:")?.parse().ok()?,
        })
    }

    /// Reads what `mariadbd --wsrep-recover` writes to its log: `.. Recovered position: UUID:SEQNO`
    fn recovered(log: &str) -> Option<Position> {
        let (_, found) = log.rsplit_once("Recovered position: ")?;
        let (history, seqno) = found.split_whitespace().next()?.rsplit_once(':')?;
        Some(Position {
            history: history.to_owned(),
            seqno: seqno.parse().ok()?,
        })
    }
}

/// The file's text for a node that has just these data and may found a cluster.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { history, seqno } = self;
        writeln!(f, "# GALERA saved state")?;
        writeln!(f, "version: 2.1")?;
        writeln!(f, "uuid:    {history}")?;
        writeln!(f, "seqno:   {seqno}")?;
        writeln!(f, "safe_to_bootstrap: 1")
    }
}

/// How far the data of a node are that does not run.
pub(super) fn saved(node: &str, db: &MariaDb) -> Result<Position, GaleraError> {
    let file = db.data().join(FILE);
    let text =
        fs::read_to_string(&file).map_err(GaleraError::io(format!("read {}", file.display())))?;
    match Position::read(&text) {
        Some(position) if position.seqno >= 0 => Ok(position),
        // It crashed: only its tables can tell.
        _ => ask_the_tables(node, db),
    }
}

fn ask_the_tables(node: &str, db: &MariaDb) -> Result<Position, GaleraError> {
    let output = db
        .command()
        .args(["--wsrep-cluster-address=gcomm://", "--wsrep-recover"])
        .output()
        .map_err(GaleraError::io("run mariadbd --wsrep-recover"))?;
    Position::recovered(&String::from_utf8_lossy(&output.stderr)).ok_or_else(|| {
        GaleraError::NoPosition {
            node: node.to_owned(),
            said: process::tail(&output.stderr),
        }
    })
}

/// Makes a node that does not run believe that its data are those at this position.
pub(super) fn adopt(node: &str, db: &MariaDb, position: &Position) -> Result<(), GaleraError> {
    // Whom it saw last would matter more than what it is told.
    match fs::remove_file(db.data().join("gvwstate.dat")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(GaleraError::io("remove gvwstate.dat")(error));
        }
        _ => {}
    }
    let file = db.data().join(FILE);
    fs::write(&file, position.to_string())
        .map_err(GaleraError::io(format!("write {}", file.display())))?;
    db.give(&file).map_err(GaleraError::of(node))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(seqno: i64) -> Position {
        Position {
            history: "f15182a9-e6b6-11f1-bcfb-9b06dc15d928".to_owned(),
            seqno,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for seqno in [-1, 0, 17] {
            let text = position(seqno).to_string();
            assert_eq!(Position::read(&text), Some(position(seqno)));
        }
        assert_eq!(Position::read("seqno: 1\n"), None);
    }

    #[test]
    fn a_recovered_position_is_found_in_a_log() {
        let log = "2026-11-22 21:06:08 0 [Note] WSREP: Recovered position: \
                   f15182a9-e6b6-11f1-bcfb-9b06dc15d928:10\n2026 more\n";
        assert_eq!(Position::recovered(log), Some(position(10)));
        assert_eq!(Position::recovered("no such line"), None);
    }
}
