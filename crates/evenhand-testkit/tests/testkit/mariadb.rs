//! Real servers, stopped in every way.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{LIMIT, QUIET, soon, stalls, until};
use evenhand_testkit::{MariaDb, MariaDbError};
use mysql_async::Conn;
use mysql_async::prelude::*;

async fn connect(db: &MariaDb) -> Conn {
    soon(Conn::from_url(db.url())).await.unwrap()
}

fn assert_refused(addr: SocketAddr) {
    let error = TcpStream::connect(addr).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

/// The state of a process as in ps, such as 'S' or 'T'; `None` if it is gone or only waits to be
/// collected.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = stat.rsplit_once(") ")?.1.chars().next()?;
    (state != 'Z').then_some(state)
}

/// The processes that were started to serve this port.
fn servers_of(port: u16) -> impl Iterator<Item = u32> {
    let argument = format!("--port={port}\0");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(move |process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let arguments = fs::read(process.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&arguments)
            .contains(&argument)
            .then_some(pid)
    })
}

fn assert_ends(pid: u32) {
    let begun = Instant::now();
    while state(pid).is_some() {
        assert!(begun.elapsed() < LIMIT, "process {pid} lives on");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn server_answers_on_its_port_and_keeps_its_data() {
    let mut db = MariaDb::start().unwrap();
    let mut conn = connect(&db).await;
    assert_eq!(
        conn.query_first("SELECT @@port").await.unwrap(),
        Some(db.port())
    );
    let database: Option<String> = conn.query_first("SELECT DATABASE()").await.unwrap();
    assert_eq!(database.as_deref(), Some("test"));
    conn.query_drop("CREATE TABLE t (a INT) ENGINE=InnoDB")
        .await
        .unwrap();
    conn.exec_drop("INSERT INTO t VALUES (?)", (7,))
        .await
        .unwrap();

    let (port, pid) = (db.port(), db.pid().unwrap());
    db.kill().unwrap();
    db.kill().unwrap();
    assert_eq!((db.pid(), state(pid)), (None, None));
    assert_refused(db.addr());
    assert!(soon(conn.query_drop("SELECT 1")).await.is_err());

    db.restart().unwrap();
    assert_eq!(db.port(), port);
    let mut conn = connect(&db).await;
    assert_eq!(conn.query_first("SELECT a FROM t").await.unwrap(), Some(7));

    db.stop().unwrap();
    db.stop().unwrap();
    assert_refused(db.addr());
    db.restart().unwrap();
    let pid = db.pid().unwrap();
    db.restart().unwrap();
    assert_ne!(db.pid().unwrap(), pid);
    let mut conn = connect(&db).await;
    assert_eq!(conn.query_first("SELECT a FROM t").await.unwrap(), Some(7));
}

#[tokio::test]
async fn frozen_server_is_silent_until_thawed() {
    let mut db = MariaDb::start().unwrap();
    let mut conn = connect(&db).await;
    db.freeze().unwrap();
    db.freeze().unwrap();

    let mut stream = TcpStream::connect(db.addr()).unwrap();
    stream.set_read_timeout(Some(QUIET)).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert!(stalls(conn.query_drop("SELECT 1")).await);

    db.thaw().unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    connect(&db).await.ping().await.unwrap();

    // A frozen server can be stopped, too.
    db.freeze().unwrap();
    db.stop().unwrap();
    assert!(matches!(db.freeze(), Err(MariaDbError::NotRunning { .. })));
    assert!(matches!(db.thaw(), Err(MariaDbError::NotRunning { .. })));
    assert_refused(db.addr());
}

#[tokio::test]
async fn several_servers_run_with_their_own_arguments() {
    let dbs = MariaDb::builder()
        .arg("--max-connections=11")
        .start_many(3)
        .unwrap();
    let mut ports: Vec<u16> = dbs.iter().map(MariaDb::port).collect();
    for db in &dbs {
        let mut conn = connect(db).await;
        let limit: Option<u32> = conn.query_first("SELECT @@max_connections").await.unwrap();
        assert_eq!(limit, Some(11));
        assert_eq!(
            conn.query_first("SELECT @@port").await.unwrap(),
            Some(db.port())
        );
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 3);
    // Each has its own data.
    connect(&dbs[0])
        .await
        .query_drop("CREATE TABLE mine (a INT)")
        .await
        .unwrap();
    assert!(
        connect(&dbs[1])
            .await
            .query_drop("SELECT a FROM mine")
            .await
            .is_err()
    );
}

#[test]
fn server_that_fails_to_start_says_why() {
    let error = MariaDb::builder()
        .arg("--no-such-option")
        .start()
        .unwrap_err();
    assert!(matches!(error, MariaDbError::Ended { .. }), "{error:?}");
    assert!(error.to_string().contains("no-such-option"), "{error}");
}

#[test]
fn restart_waits_for_an_occupied_port() {
    let mut db = MariaDb::start().unwrap();
    db.kill().unwrap();
    let squatter = TcpListener::bind(db.addr()).unwrap();
    let port = db.port();
    let leaves = std::thread::spawn(move || {
        let (begun, mut tried) = (Instant::now(), BTreeSet::new());
        // The second one is started when the first has not got the port.
        while tried.len() < 2 {
            assert!(begun.elapsed() < LIMIT, "tried: {tried:?}");
            tried.extend(servers_of(port));
        }
        drop(squatter);
    });
    db.restart().unwrap();
    assert!(leaves.is_finished());
    leaves.join().unwrap();
}

#[test]
fn drop_ends_the_process_even_when_frozen() {
    let db = MariaDb::start().unwrap();
    let pid = db.pid().unwrap();
    db.freeze().unwrap();
    assert_eq!(state(pid), Some('T'));
    drop(db);
    assert_eq!(state(pid), None);

    let db = MariaDb::start().unwrap();
    let (pid, addr) = (db.pid().unwrap(), db.addr());
    let panicking = std::thread::spawn(move || {
        let _db = db;
        panic!("a test fails");
    });
    assert!(panicking.join().is_err());
    assert_eq!(state(pid), None);
    assert_refused(addr);
}

#[tokio::test]
async fn server_outlives_the_thread_that_started_it() {
    let start = || (fs::read_link("/proc/thread-self"), MariaDb::start());
    let (thread, db) = std::thread::spawn(start).join().unwrap();
    // A thread that is joined may not be quite gone yet.
    let (thread, db) = (Path::new("/proc").join(thread.unwrap()), db.unwrap());
    until("the thread is gone", || !thread.exists()).await;
    connect(&db).await.ping().await.unwrap();
    assert!(state(db.pid().unwrap()).is_some());
}

const ORPHAN: &str = "EVENHAND_TESTKIT_ORPHAN";

/// Not a separate test: the next test runs it in another process, which it kills.
#[test]
fn helper_that_waits_to_be_killed() {
    if std::env::var_os(ORPHAN).is_some() {
        let db = MariaDb::start().unwrap();
        println!("\nserver {}", db.pid().unwrap());
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn server_dies_with_a_killed_test_process() {
    let setpriv = Path::new("/usr/bin/setpriv");
    assert!(
        setpriv.exists(),
        "install setpriv: apt-get install util-linux"
    );
    // A process that is killed leaves its folders, so they go below this one.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut helper = Command::new(std::env::current_exe().unwrap())
        .args([
            "mariadb::helper_that_waits_to_be_killed",
            "--exact",
            "--nocapture",
        ])
        .env(ORPHAN, "1")
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = BufReader::new(helper.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("server ")?.parse().ok())
        .unwrap();
    assert!(state(pid).is_some());
    helper.kill().unwrap();
    helper.wait().unwrap();
    assert_ends(pid);
}
