//! One server of a group.

use std::thread;
use std::time::{Duration, Instant};

use mysql_async::Row;

use super::error::GroupError;
use crate::mariadb::{Maker, MariaDb};
use crate::port::ReservedPort;
use crate::sql::{self, Failure};

/// How long the group may take to reach a state.
pub(super) const LIMIT: Duration = Duration::from_secs(120);
/// How often a state is looked at.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// The group's name has the form of a UUID.
const NAME: &str = "0e7e1a2d-0000-4000-8000-65766e68616e";

/// A server of a [`Group`](super::Group).
#[derive(Debug)]
pub struct Member {
    name: String,
    db: MariaDb,
    // Never read: it holds the port, whatever becomes of the process.
    _group_port: ReservedPort,
}

impl Member {
    /// Starts the server, which is in no group yet.
    pub(super) fn start(
        number: usize,
        group_port: ReservedPort,
        seeds: &str,
    ) -> Result<Member, GroupError> {
        let name = format!("member{number}");
        let args = [
            format!("--server-id={}", number + 1),
            "--report-host=127.0.0.1".to_owned(),
            "--log-bin=binlog".to_owned(),
            // Else one that waits for its disk never catches up with those that write.
            "--sync-binlog=0".to_owned(),
            "--gtid-mode=ON".to_owned(),
            "--enforce-gtid-consistency=ON".to_owned(),
            // It tells who is in the group.
            "--performance-schema=ON".to_owned(),
            "--plugin-load-add=group_replication.so".to_owned(),
            format!("--loose-group-replication-group-name={NAME}"),
            format!(
                "--loose-group-replication-local-address={}",
                group_port.addr()
            ),
            format!("--loose-group-replication-group-seeds={seeds}"),
            "--loose-group-replication-start-on-boot=OFF".to_owned(),
            // Passwords over TCP without TLS.
            "--loose-group-replication-recovery-get-public-key=ON".to_owned(),
            // One that is silent is out after the five seconds that no setting changes.
            "--loose-group-replication-member-expel-timeout=0".to_owned(),
        ];
        let mut builder = MariaDb::builder().maker(Maker::MySql);
        for arg in args {
            builder = builder.arg(arg);
        }
        let db = builder.start().map_err(GroupError::of(&name))?;
        Ok(Member {
            name,
            db,
            _group_port: group_port,
        })
    }

    /// Its name: `member0` is the first.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port for clients, the same through every stop and restart.
    pub fn port(&self) -> u16 {
        self.db.port()
    }

    /// `mysql://root@127.0.0.1:PORT/test`
    pub fn url(&self) -> String {
        self.db.url()
    }

    /// The server's process; `None` after [`kill`](Member::kill) or [`stop`](Member::stop).
    pub fn pid(&self) -> Option<u32> {
        self.db.pid()
    }

    /// Sends SIGKILL and waits until the process is gone. The others believe it after some seconds,
    /// and then have another primary if it was that.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn kill(&mut self) -> Result<(), GroupError> {
        self.db.kill().map_err(GroupError::of(&self.name))
    }

    /// Sends SIGTERM and waits up to 20 seconds for a clean end, then kills. It leaves the group
    /// first.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn stop(&mut self) -> Result<(), GroupError> {
        self.db.stop().map_err(GroupError::of(&self.name))
    }

    /// Sends SIGSTOP: it accepts connections and says nothing. The others put it out after some
    /// seconds.
    ///
    /// # Errors
    /// If it does not run.
    pub fn freeze(&self) -> Result<(), GroupError> {
        self.db.freeze().map_err(GroupError::of(&self.name))
    }

    /// Sends SIGCONT: it goes on where it was, finds that it was put out, and joins again by itself.
    ///
    /// # Errors
    /// If it does not run.
    pub fn thaw(&self) -> Result<(), GroupError> {
        self.db.thaw().map_err(GroupError::of(&self.name))
    }

    pub(super) fn restart(&mut self) -> Result<(), GroupError> {
        self.stop()?;
        let of = GroupError::of(&self.name);
        self.db
            .forget()
            .and_then(|()| self.db.restart())
            .map_err(of)
    }

    /// Leaves the group, and goes on as a read-only server; the others go on at once.
    ///
    /// # Errors
    /// If it refuses.
    pub fn leave(&self) -> Result<(), GroupError> {
        self.execute("STOP GROUP_REPLICATION")
    }

    /// Joins the others, and waits until it has their data.
    ///
    /// # Errors
    /// If it does not in time.
    pub fn join(&self) -> Result<(), GroupError> {
        self.as_replica()?;
        self.execute("START GROUP_REPLICATION")?;
        let id = self.id()?;
        self.wait("online", |online| {
            online.iter().any(|(member, _)| *member == id)
        })
    }

    /// Founds the group.
    pub(super) fn found_group(&self) -> Result<(), GroupError> {
        self.as_replica()?;
        self.execute("SET GLOBAL group_replication_bootstrap_group = ON")?;
        self.execute("START GROUP_REPLICATION")?;
        self.execute("SET GLOBAL group_replication_bootstrap_group = OFF")
    }

    /// Whom it is when it gets what it missed.
    fn as_replica(&self) -> Result<(), GroupError> {
        self.execute(
            "CHANGE REPLICATION SOURCE TO SOURCE_USER = 'root' FOR CHANNEL \
             'group_replication_recovery'",
        )
    }

    /// Its `server_uuid`.
    pub(super) fn id(&self) -> Result<String, GroupError> {
        let rows = self.query("SELECT @@server_uuid")?;
        let id = rows.first().and_then(|row| row.get_opt(0)?.ok());
        Ok(id.unwrap_or_default())
    }

    /// Whether it is the primary, as it sees it; false where it is in no group.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn is_primary(&self) -> Result<bool, GroupError> {
        let id = self.id()?;
        let online = self.online()?;
        Ok(online
            .iter()
            .any(|(member, role)| *member == id && role == "PRIMARY"))
    }

    /// The members that are online, as it sees it, with their roles.
    fn online(&self) -> Result<Vec<(String, String)>, GroupError> {
        let rows = self.query(
            "SELECT member_id, member_role FROM performance_schema.replication_group_members \
             WHERE member_state = 'ONLINE'",
        )?;
        let text = |row: &Row, at| row.get_opt(at).and_then(Result::ok).unwrap_or_default();
        Ok(rows
            .iter()
            .map(|row| (text(row, 0), text(row, 1)))
            .collect())
    }

    pub(super) fn wait(
        &self,
        wanted: &str,
        reached: impl Fn(&[(String, String)]) -> bool,
    ) -> Result<(), GroupError> {
        let begun = Instant::now();
        // It cuts sessions off now and then as it comes and goes.
        while !self.online().is_ok_and(|online| reached(&online)) {
            if begun.elapsed() >= LIMIT {
                return Err(self.late(wanted));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    pub(super) fn late(&self, wanted: &str) -> GroupError {
        GroupError::NotInTime {
            member: self.name.clone(),
            wanted: wanted.to_owned(),
            limit: LIMIT,
            log: self.db.log_tail(),
        }
    }

    /// Runs a statement as `root`, on a separate connection, and ignores its rows.
    ///
    /// # Errors
    /// If it refuses it, or does not answer in time.
    pub fn execute(&self, statement: &str) -> Result<(), GroupError> {
        self.query(statement).map(|_| ())
    }

    fn query(&self, statement: &str) -> Result<Vec<Row>, GroupError> {
        sql::query_within(&self.db.socket(), statement, LIMIT).map_err(|failure| {
            GroupError::Statement {
                member: self.name.clone(),
                statement: statement.to_owned(),
                why: match failure {
                    Failure::Driver(error) => error.to_string(),
                    Failure::Mute => format!("no answer within {LIMIT:?}"),
                    Failure::Io(error) => error.to_string(),
                },
                log: self.db.log_tail(),
            }
        })
    }
}
