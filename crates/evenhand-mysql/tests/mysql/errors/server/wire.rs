//! Errors of the protocol, from MariaDB behind a relay that alters packets on their way to it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use evenhand_mysql::PeerConn;
use evenhand_mysql::mysql_async::{self, prelude::Queryable};
use evenhand_testkit::MariaDb;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::common::setup::{
    a_goes_out, code, conn_to, is_kept, is_up, once_is_enough, patient, pool_of, root, servers,
    until_gone,
};
use crate::common::{until, up};

const COM_QUERY: u8 = 3;
const NO_SUCH_COMMAND: u8 = 0x50;

/// A packet of a client: its number, and what is in it.
struct Packet {
    sequence: u8,
    body: Vec<u8>,
}

impl Packet {
    fn is_query(&self, text: &str) -> bool {
        self.body.split_first() == Some((&COM_QUERY, text.as_bytes()))
    }
}

/// What is to be done to a client's packets.
type Alter = fn(&mut Packet);

/// Ends with its handle.
struct Relay {
    url: String,
    alter: Arc<Mutex<Alter>>,
    _task: JoinSet<()>,
}

impl Relay {
    async fn before(server: &MariaDb) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mysql://root@{}/test", listener.local_addr().unwrap());
        let alter: Arc<Mutex<Alter>> = Arc::new(Mutex::new(|_| {}));
        let mut task = JoinSet::new();
        task.spawn(serve(listener, server.addr(), alter.clone()));
        Relay {
            url,
            alter,
            _task: task,
        }
    }

    fn alter(&self, alter: Alter) {
        *self.alter.lock().unwrap() = alter;
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, alter: Arc<Mutex<Alter>>) {
    let mut relayed = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let Ok(server) = TcpStream::connect(server).await else {
            continue;
        };
        let (from_client, mut to_client) = client.into_split();
        let (mut from_server, to_server) = server.into_split();
        relayed.spawn(requests(from_client, to_server, alter.clone()));
        relayed.spawn(async move {
            // The end of this stream, by FIN or by RST, ends the client's.
            let _ = copy(&mut from_server, &mut to_client).await;
            let _ = to_client.shutdown().await;
        });
    }
}

/// Passes the client's packets on until either side has had enough.
async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, alter: Arc<Mutex<Alter>>) {
    let mut head = [0; 4];
    while from.read_exact(&mut head).await.is_ok() {
        let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
        let mut body = vec![0; length as usize];
        if from.read_exact(&mut body).await.is_err() {
            return;
        }
        let mut packet = Packet {
            sequence: head[3],
            body,
        };
        let alter = *alter.lock().unwrap();
        alter(&mut packet);
        let mut bytes = (packet.body.len() as u32).to_le_bytes().to_vec();
        bytes[3] = packet.sequence;
        bytes.extend(packet.body);
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Two servers, and a relay before the first.
async fn behind_a_relay() -> (Vec<MariaDb>, Relay, Vec<String>) {
    let servers = servers(2, MariaDb::builder()).await;
    let relay = Relay::before(&servers[0]).await;
    let urls = vec![relay.url.clone(), servers[1].url()];
    (servers, relay, urls)
}

/// Rows: 1043 (MariaDB)
#[tokio::test]
async fn mangled_login_is_bad_handshake() {
    let (_servers, relay, urls) = behind_a_relay().await;
    let pool = pool_of(&urls, patient());
    relay.alter(|packet| {
        if packet.sequence == 1 {
            packet.body.truncate(3);
        }
    });
    // As another login would have it, it is 1043, and not bytes out of order.
    let refused = mysql_async::Conn::from_url(&relay.url).await.unwrap_err();
    assert_eq!(code(&refused), Some(1043), "{refused}");
    assert_eq!(a_goes_out(&pool).await.0, "bad handshake");
    once_is_enough(pool_of(&urls[..1], patient())).await;
    relay.alter(|_| {});
    until("it is back", || up(&pool) == 2).await;
}

/// Rows: unknown-command (MariaDB)
#[tokio::test]
async fn unknown_command_costs_only_the_connection() {
    let (servers, relay, urls) = behind_a_relay().await;
    let pool = pool_of(&urls, patient());
    let mut events = pool.subscribe();
    relay.alter(|packet| {
        if packet.is_query("SELECT 1") {
            packet.body[0] = NO_SUCH_COMMAND;
        }
    });
    let mut conn = conn_to(&pool, "a").await;
    // It has the code of a Galera node that refuses work.
    for _ in 0..10 {
        let error = conn.query_drop("SELECT 1").await.unwrap_err();
        assert_eq!(code(&error), Some(1047), "{error}");
    }
    assert!(is_kept(&pool, &servers[0].url(), conn).await);
    assert_eq!(events.try_next().unwrap(), None);
}

/// Rows: protocol (MariaDB)
#[tokio::test]
async fn out_of_order_answer_costs_only_connection() {
    let (servers, relay, urls) = behind_a_relay().await;
    let pool = pool_of(&urls, patient());
    let mut events = pool.subscribe();
    // The server's 1156 begins to count anew: as the driver sees it, it is out of order itself.
    relay.alter(|packet| {
        if packet.is_query("SELECT 1") {
            packet.sequence = 5;
        }
    });
    let mut conn = conn_to(&pool, "a").await;
    let id = conn.id();
    let error = conn.query_drop("SELECT 1").await.unwrap_err();
    assert!(error.to_string().contains("out of sync"), "{error:?}");
    drop(conn);
    until_gone(&mut root(&servers[0].url()).await, id).await;
    // Idempotent work finds who understands it.
    let work = async |mut conn: PeerConn| conn.query_first::<u8, _>("SELECT 1").await;
    for _ in 0..10 {
        assert_eq!(pool.run_idempotent(work).await.unwrap(), Some(1));
    }
    assert_eq!(events.try_next().unwrap(), None);

    // Another pool: a check that has just passed stands for a second.
    let pool = pool_of(&urls, patient());
    let mut conn = conn_to(&pool, "a").await;
    relay.alter(|packet| {
        if packet.is_query("SELECT 1") || packet.is_query("DO 1") {
            packet.sequence = 5;
        }
    });
    conn.query_drop("SELECT 1").await.unwrap_err();
    until("the check met with the same", || !is_up(&pool, 0)).await;
}
