//! One node of a cluster.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::error::GaleraError;
use super::provider::Ports;
use super::state::{self, Position};
use crate::mariadb::{MariaDb, MariaDbBuilder};
use crate::{process, sql};

/// How often a state is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long a node may take to reach a state.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// Where the nodes of a cluster find each other.
#[derive(Clone, Debug)]
pub(super) struct Cluster(Arc<str>);

impl Cluster {
    pub(super) fn of(nodes: &[Ports]) -> Cluster {
        let nodes: Vec<String> = nodes
            .iter()
            .map(|ports| ports.group().to_string())
            .collect();
        Cluster(format!("gcomm://{}", nodes.join(",")).into())
    }
}

/// A node of a [`Galera`](super::Galera) cluster.
#[derive(Debug)]
pub struct GaleraNode {
    name: String,
    db: MariaDb,
    cluster: Cluster,
    // Never read: they hold the ports, whatever becomes of the process.
    _ports: Ports,
}

/// What a node says of itself.
struct Status {
    state: String,
    component: String,
    ready: String,
    size: String,
}

impl Status {
    fn synced(&self) -> bool {
        self.state == "Synced" && self.component == "Primary" && self.ready == "ON"
    }
}

impl GaleraNode {
    pub(super) fn prepare(
        name: String,
        builder: &MariaDbBuilder,
        ports: Ports,
        cluster: Cluster,
    ) -> Result<GaleraNode, GaleraError> {
        let db = builder.prepare().map_err(GaleraError::of(&name))?;
        Ok(GaleraNode {
            name,
            db,
            cluster,
            _ports: ports,
        })
    }

    /// Its name in the cluster: `node0` is the first.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port for clients, the same through every stop and restart.
    pub fn port(&self) -> u16 {
        self.db.port()
    }

    /// Where it listens for clients, on 127.0.0.1.
    pub fn addr(&self) -> SocketAddr {
        self.db.addr()
    }

    /// `mysql://root@127.0.0.1:PORT/test`
    pub fn url(&self) -> String {
        self.db.url()
    }

    /// The node's process; `None` after [`kill`](GaleraNode::kill) or [`stop`](GaleraNode::stop).
    pub fn pid(&self) -> Option<u32> {
        self.db.pid()
    }

    /// All of the node's error log since its latest start.
    pub fn log(&self) -> String {
        self.db.whole_log()
    }

    /// The end of the node's error log, for a test's own messages.
    pub fn log_tail(&self) -> String {
        self.db.log_tail()
    }

    /// Sends SIGKILL and waits until the process is gone. The other nodes hold all writes until
    /// they believe it, two seconds later.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn kill(&mut self) -> Result<(), GaleraError> {
        self.db.kill().map_err(GaleraError::of(&self.name))
    }

    /// Sends SIGTERM and waits up to 20 seconds for a clean end, then kills. It says goodbye to the
    /// other nodes, which go on at once.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn stop(&mut self) -> Result<(), GaleraError> {
        self.db.stop().map_err(GaleraError::of(&self.name))
    }

    /// Sends SIGSTOP: it accepts connections and says nothing. The other nodes hold all writes
    /// until they have put it out, two seconds later.
    ///
    /// # Errors
    /// If it does not run.
    pub fn freeze(&self) -> Result<(), GaleraError> {
        self.db.freeze().map_err(GaleraError::of(&self.name))
    }

    /// Sends SIGCONT: it goes on where it was. If it was put out meanwhile it comes back by itself.
    /// At first it does not know that it was out and says that it is synced; another node's
    /// [`wait_for_size`](GaleraNode::wait_for_size) waits until it is back.
    ///
    /// # Errors
    /// If it does not run.
    pub fn thaw(&self) -> Result<(), GaleraError> {
        self.db.thaw().map_err(GaleraError::of(&self.name))
    }

    /// Starts it again on the same ports and data directory and waits until it is synced, for 30
    /// seconds at most. One that runs is stopped first. After a stop it gets what it missed (IST)
    /// within three or four seconds. After a kill it does not know what that is and gets all data
    /// (SST); that takes six to ten if the others have yet to find out that it was gone. It needs a
    /// cluster to join: where none runs, see [`Galera::restart`](super::Galera::restart), and where
    /// the others have lost their quorum, call [`bootstrap`](GaleraNode::bootstrap) on one of them
    /// first.
    ///
    /// # Errors
    /// If there is no cluster that it could join, rsync is not installed, or it ends or stays
    /// silent, with the end of its log.
    pub fn restart(&mut self) -> Result<(), GaleraError> {
        const PROGRAM: &str = "rsync";
        process::find(PROGRAM).ok_or(GaleraError::Missing { program: PROGRAM })?;
        self.stop()?;
        self.join()
    }

    /// Cuts it off from the other nodes, not from clients, and waits until it has noticed, which
    /// takes two seconds: login, ping, `SELECT 1` and `SET` succeed, all else fails with 1047. Of
    /// two nodes the other one has lost its quorum then, too.
    ///
    /// # Errors
    /// If it does not answer, or does not notice within 120 seconds.
    pub fn isolate(&self) -> Result<(), GaleraError> {
        self.execute("SET GLOBAL wsrep_provider_options='gmcast.isolate=1'")?;
        self.wait("outside the primary component", LIMIT, |status| {
            status.component != "Primary" && status.ready == "OFF"
        })
    }

    /// Ends [`isolate`](GaleraNode::isolate), and waits until it is synced, which takes two or
    /// three seconds.
    ///
    /// # Errors
    /// If it does not answer, or is not synced within 120 seconds.
    pub fn rejoin(&self) -> Result<(), GaleraError> {
        self.execute("SET GLOBAL wsrep_provider_options='gmcast.isolate=0'")?;
        self.wait_synced(LIMIT)
    }

    /// Whether to refuse clients' work as an isolated node does, while it stays a synced member of
    /// the cluster: at once, and held connections, too.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn reject_queries(&self, reject: bool) -> Result<(), GaleraError> {
        let what = if reject { "ALL" } else { "NONE" };
        self.execute(&format!("SET GLOBAL wsrep_reject_queries={what}"))
    }

    /// Whether to fall behind the cluster if need be, as a donor or a node under backup does: its
    /// state is 2 then, and everything works. Waits until it is synced again when switched off.
    ///
    /// # Errors
    /// If it does not answer, or is not synced again within 120 seconds.
    pub fn desync(&self, desync: bool) -> Result<(), GaleraError> {
        if desync {
            self.execute("SET GLOBAL wsrep_desync=ON")
        } else {
            self.execute("SET GLOBAL wsrep_desync=OFF")?;
            self.wait_synced(LIMIT)
        }
    }

    /// Makes what is left of a cluster that has lost its quorum a primary component, and waits
    /// until this node takes work.
    ///
    /// # Errors
    /// If it does not answer, or is not synced within 120 seconds.
    pub fn bootstrap(&self) -> Result<(), GaleraError> {
        self.execute("SET GLOBAL wsrep_provider_options='pc.bootstrap=YES'")?;
        self.wait_synced(LIMIT)
    }

    /// Waits until it is in the primary component, synced and ready. It is so under
    /// [`reject_queries`](GaleraNode::reject_queries), too.
    ///
    /// # Errors
    /// If it is not so by the limit, with the end of its log.
    pub fn wait_synced(&self, limit: Duration) -> Result<(), GaleraError> {
        self.wait("synced", limit, Status::synced)
    }

    /// Waits until it is synced in a cluster of `size` nodes: until a node that was killed, frozen
    /// or isolated has been put out, or all are back.
    ///
    /// # Errors
    /// If it is not so by the limit, with the end of its log.
    pub fn wait_for_size(&self, size: usize, limit: Duration) -> Result<(), GaleraError> {
        let wanted = size.to_string();
        self.wait(&format!("synced with {size} nodes"), limit, |status| {
            status.synced() && status.size == wanted
        })
    }

    /// One of its status variables, such as `wsrep_cluster_size`; `None` if it has none of that
    /// name.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn status(&self, name: &str) -> Result<Option<String>, GaleraError> {
        self.named_value(&format!("SHOW STATUS LIKE '{name}'"))
    }

    /// One of its global system variables, such as `wsrep_provider_options`; `None` if it has none
    /// of that name.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn variable(&self, name: &str) -> Result<Option<String>, GaleraError> {
        self.named_value(&format!("SHOW GLOBAL VARIABLES LIKE '{name}'"))
    }

    fn named_value(&self, statement: &str) -> Result<Option<String>, GaleraError> {
        let rows = self.query(statement)?;
        Ok(rows.first().and_then(|row| row.get_opt(1)?.ok()))
    }

    /// Runs a statement as `root`, on a separate connection, and ignores its rows.
    ///
    /// # Errors
    /// If the node refuses it, or does not answer within ten seconds.
    pub fn execute(&self, statement: &str) -> Result<(), GaleraError> {
        self.query(statement).map(|_| ())
    }

    fn query(&self, statement: &str) -> Result<Vec<mysql_async::Row>, GaleraError> {
        sql::query(&self.db.socket(), statement).map_err(GaleraError::asked(&self.name, statement))
    }

    fn own_status(&self) -> Result<Status, GaleraError> {
        let rows = self.query("SHOW STATUS LIKE 'wsrep\\_%'")?;
        let value = |name: &str| {
            rows.iter()
                .find(|row| {
                    row.get_opt::<String, _>(0)
                        .is_some_and(|key| key.as_deref() == Ok(name))
                })
                .and_then(|row| row.get_opt(1)?.ok())
                .unwrap_or_default()
        };
        Ok(Status {
            state: value("wsrep_local_state_comment"),
            component: value("wsrep_cluster_status"),
            ready: value("wsrep_ready"),
            size: value("wsrep_cluster_size"),
        })
    }

    fn wait(
        &self,
        wanted: &str,
        limit: Duration,
        reached: impl Fn(&Status) -> bool,
    ) -> Result<(), GaleraError> {
        let begun = Instant::now();
        loop {
            let status = match self.own_status() {
                Ok(status) => status,
                // A node that rejoins cuts sessions off now and then.
                Err(_) if begun.elapsed() < limit => {
                    thread::sleep(POLL);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if reached(&status) {
                return Ok(());
            }
            if begun.elapsed() >= limit {
                return Err(GaleraError::NotInTime {
                    node: self.name.clone(),
                    wanted: wanted.to_owned(),
                    limit,
                    found: format!(
                        "{} in a {} component of {}, ready: {}",
                        status.state, status.component, status.size, status.ready
                    ),
                    log: self.log_tail(),
                });
            }
            thread::sleep(POLL);
        }
    }

    /// Starts it as the first node of a cluster.
    pub(super) fn found_cluster(&mut self) -> Result<(), GaleraError> {
        self.launch(&["--wsrep-cluster-address=gcomm://", "--wsrep-new-cluster"])
    }

    /// Starts it as one more node of the cluster.
    pub(super) fn join(&mut self) -> Result<(), GaleraError> {
        let cluster = format!("--wsrep-cluster-address={}", self.cluster.0);
        self.launch(&[&cluster])
    }

    fn launch(&mut self, args: &[&str]) -> Result<(), GaleraError> {
        const TOLD: &str = "--wsrep-node-incoming-address";
        // By default it does not tell the others where clients reach it.
        let told = (!self.db.has_arg(TOLD)).then(|| format!("{TOLD}={}", self.addr()));
        let args = args.iter().map(|arg| (*arg).to_owned());
        let args: Vec<String> = args.chain(told).collect();
        self.db.launch(&args).map_err(GaleraError::of(&self.name))?;
        self.wait_synced(LIMIT).or_else(|error| {
            // A node can answer, and then end as it cannot join: then that is the news.
            self.db
                .check_it_runs()
                .map_err(GaleraError::of(&self.name))?;
            Err(error)
        })
    }

    /// How far its data are now. It must run.
    pub(super) fn position(&self) -> Result<Position, GaleraError> {
        let history = self.status("wsrep_cluster_state_uuid")?;
        let seqno = self.status("wsrep_last_committed")?;
        match (history, seqno.and_then(|seqno| seqno.parse().ok())) {
            (Some(history), Some(seqno)) => Ok(Position { history, seqno }),
            _ => Err(GaleraError::NoPosition {
                node: self.name.clone(),
                said: self.log_tail(),
            }),
        }
    }

    /// How far its data are. It must not run.
    pub(super) fn saved_position(&self) -> Result<Position, GaleraError> {
        state::saved(&self.name, &self.db)
    }

    /// Makes it believe that its data are those at this position. It must not run.
    pub(super) fn adopt(&self, position: &Position) -> Result<(), GaleraError> {
        state::adopt(&self.name, &self.db, position)
    }
}
