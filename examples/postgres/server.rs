//! A double of a Postgres server: just enough of the protocol for a login and for prepared queries
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>). It can be killed, can
//! hang, and can answer by error codes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use deadpool_postgres::tokio_postgres::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What a server does.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    /// It answers `shipped` to each query.
    Well,
    /// It accepts connections and queries, and answers nothing.
    Hangs,
    /// It refuses logins with this code.
    #[cfg_attr(not(test), expect(dead_code, reason = "only the tests need it"))]
    RefusesLogins(&'static str),
    /// It answers each query with this code.
    #[cfg_attr(not(test), expect(dead_code, reason = "only the tests need it"))]
    RefusesQueries(&'static str),
}

/// A server on a runtime of its own: when that ends, its connections end as those of a process that
/// is killed.
pub(crate) struct Server {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
    runtime: Option<Runtime>,
}

impl Server {
    pub(crate) fn start() -> io::Result<Self> {
        let (mood, _) = watch::channel(Mood::Well);
        let runtime = Runtime::new()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let moods = mood.clone();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener)?;
            loop {
                let stream = listener.accept().await?.0;
                // A connection ends with an error if its client goes away.
                tokio::spawn(serve(stream, moods.subscribe()));
            }
            #[expect(unreachable_code, reason = "gives the block its type")]
            io::Result::Ok(())
        });
        Ok(Self {
            address,
            mood,
            runtime: Some(runtime),
        })
    }

    /// How to connect to it.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.user("app").dbname("shop");
        config.hostaddr(self.address.ip()).port(self.address.port());
        config
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A session: the login, and then messages until the client hangs up.
async fn serve(stream: TcpStream, mut mood: watch::Receiver<Mood>) -> io::Result<()> {
    let mut stream = BufStream::new(stream);
    // The startup message: its length, which counts itself, and what the client says of itself.
    read_body(&mut stream).await?;
    if let Mood::RefusesLogins(code) = wait_while_it_hangs(&mut mood).await? {
        stream.write_all(&error("FATAL", code)).await?;
        return stream.flush().await;
    }
    stream.write_all(&message(b'R', &[0; 4])).await?; // AuthenticationOk
    stream.write_all(&message(b'Z', b"I")).await?; // ReadyForQuery
    stream.flush().await?;

    // After an error, messages are skipped until the client wants to go on (`Sync`).
    let mut skip = false;
    loop {
        let kind = stream.read_u8().await?;
        read_body(&mut stream).await?;
        let mood = wait_while_it_hangs(&mut mood).await?;
        match kind {
            b'S' => {
                skip = false;
                stream.write_all(&message(b'Z', b"I")).await?;
                stream.flush().await?;
            }
            _ if skip => {}
            b'P' => stream.write_all(&message(b'1', &[])).await?, // Parse
            b'D' => stream.write_all(&description()).await?,      // Describe
            b'B' => stream.write_all(&message(b'2', &[])).await?, // Bind
            b'E' => match mood {
                Mood::RefusesQueries(code) => {
                    stream.write_all(&error("ERROR", code)).await?;
                    skip = true;
                }
                _ => stream.write_all(&row("shipped")).await?, // Execute
            },
            b'C' => stream.write_all(&message(b'3', &[])).await?, // Close
            b'X' => return Ok(()),                                // Terminate
            other => return Err(io::Error::other(format!("message {other}"))),
        }
    }
}

async fn read_body(stream: &mut BufStream<TcpStream>) -> io::Result<()> {
    let length = stream.read_u32().await?.saturating_sub(4);
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await.map(drop)
}

async fn wait_while_it_hangs(mood: &mut watch::Receiver<Mood>) -> io::Result<Mood> {
    let mood = mood.wait_for(|mood| *mood != Mood::Hangs).await;
    mood.map(|mood| *mood).map_err(io::Error::other)
}

/// A message: its kind, its length, which counts itself, and its body.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() + 4) as u32;
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

fn error(severity: &str, code: &str) -> Vec<u8> {
    let fields = format!("S{severity}\0C{code}\0Mthe server was told to say so\0\0");
    message(b'E', fields.as_bytes())
}

/// `ParameterDescription` and `RowDescription`: an `INT4` in, a `TEXT` by the name of `state` out.
fn description() -> Vec<u8> {
    let parameters = [&1_u16.to_be_bytes()[..], &23_u32.to_be_bytes()].concat();
    let columns = [
        &1_u16.to_be_bytes()[..],
        b"state\0",
        &[0; 6],                 // of no table
        &25_u32.to_be_bytes(),   // TEXT
        &(-1_i16).to_be_bytes(), // of any size
        &(-1_i32).to_be_bytes(), // without a modifier
        &0_u16.to_be_bytes(),    // as text
    ];
    [message(b't', &parameters), message(b'T', &columns.concat())].concat()
}

/// `DataRow` and `CommandComplete`.
fn row(text: &str) -> Vec<u8> {
    let length = (text.len() as u32).to_be_bytes();
    let columns = [&1_u16.to_be_bytes()[..], &length, text.as_bytes()].concat();
    [message(b'D', &columns), message(b'C', b"SELECT 1\0")].concat()
}
