//! A balanced service over plain TCP: a line goes out, the same line comes back.
//!
//! ```text
//! cargo run --example echo
//! ```
//!
//! There is no database here. The balancer needs three things of a transport: a connector that
//! takes a request to one peer, a classifier that judges what came of it, and which requests may be
//! done twice. This is all three for a small protocol of our own, with tower's middleware above and
//! below.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use evenhand::{AllDown, Attempt, BalanceLayer, Cloned, Eject, Events, Peers, State, Verdict};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

/// An echoed line, and the name of the peer that sent it.
type Echo = (Arc<str>, String);

/// The connector: takes one line to the peer that was picked, and its answer back.
async fn exchange(attempt: Attempt<SocketAddr, String>) -> io::Result<Echo> {
    let mut stream = TcpStream::connect(*attempt.peer).await?;
    let line = attempt.request + "\n";
    stream.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    if BufReader::new(stream).read_line(&mut answer).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match answer.trim_end() {
        refusal if refusal.starts_with("ERR ") => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, refusal))
        }
        echo => Ok((attempt.peer.shared_name(), echo.to_owned())),
    }
}

/// The classifier: what does this outcome say of the peer, and may another one be tried?
fn judge(outcome: Result<&Echo, &io::Error>) -> Verdict {
    use io::ErrorKind::{ConnectionRefused, InvalidInput, TimedOut};
    let Err(error) = outcome else {
        return Verdict::healthy();
    };
    match error.kind() {
        // An answer, though not the one hoped for: any peer would say the same.
        InvalidInput => Verdict::healthy(),
        // Nothing was sent, so nothing can happen twice.
        ConnectionRefused => Verdict::down().safe().because("refused"),
        // Sent, and no answer: the peer may have done it or not.
        TimedOut => Verdict::degraded().if_idempotent().because("timed out"),
        _ => Verdict::down().if_idempotent().because("hung up"),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Three peers: one does not listen, one accepts and hangs up, and one works.
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let absent = TcpSocket::new_v4()?;
    absent.bind(any_port)?;
    let curt = Arc::new(TcpListener::bind(any_port).await?);
    let well = Arc::new(TcpListener::bind(any_port).await?);
    let peers = Peers::new([
        ("absent", absent.local_addr()?),
        ("curt", curt.local_addr()?),
        ("well", well.local_addr()?),
    ])?;
    tokio::spawn(print(peers.subscribe()));

    // From the top: what the caller's request passes first stands first.
    let service = ServiceBuilder::new()
        // Above the balancer: at most four requests at a time, over all peers.
        .concurrency_limit(4)
        .layer(
            BalanceLayer::new(peers.clone())
                .classify(judge)
                // To echo a line twice does no harm.
                .replay(Cloned::idempotent())
                .eject(Eject::on_first().recheck_every(Duration::from_millis(200)))
                .all_down(AllDown::WaitUpTo(Duration::from_secs(2))),
        )
        // The timeout's errors are boxed; the classifier wants to see what is in the box.
        .map_err(|error: BoxError| match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(late) => io::Error::new(io::ErrorKind::TimedOut, late),
        })
        // Below the balancer: a time limit for each attempt, not for the request as a whole.
        .timeout(Duration::from_millis(250))
        .service_fn(exchange);

    println!("one of three peers works:");
    let hanging_up = tokio::spawn(hang_up(curt.clone()));
    let echoing = tokio::spawn(echo(well));
    send(&service, "hello", 50).await?;

    println!("an answer that is an error is an answer, and ejects no peer:");
    match service.clone().oneshot(String::new()).await {
        Err(refused) if peers.up_count() == 1 => println!("  {refused}"),
        other => return Err(format!("expected a refusal and one peer up, found {other:?}").into()),
    }

    println!("the two that failed work, and the one that worked is gone:");
    tokio::spawn(echo(Arc::new(absent.listen(64)?)));
    hanging_up.abort();
    tokio::spawn(echo(curt));
    echoing.abort();
    // The port is free once the task has let go of it.
    let _ = echoing.await;
    sleep(Duration::from_millis(250)).await;
    send(&service, "hello again", 50).await?;

    let states: Vec<State> = peers.statuses().iter().map(|peer| peer.state).collect();
    if states != [State::Up, State::Up, State::Ejected] {
        return Err(format!("expected absent and curt up, well ejected, found {states:?}").into());
    }
    println!("every line was answered, and the peers are as they should be");
    Ok(())
}

/// Sends this number of lines concurrently. Each echo must equal its line.
async fn send<S>(service: &S, text: &str, lines: u32) -> Result<(), Box<dyn Error>>
where
    S: Service<String, Response = Echo> + Clone + Send + 'static,
    S::Error: ToString + Send,
    S::Future: Send,
{
    let mut requests = JoinSet::new();
    for nth in 1..=lines {
        let (line, service) = (format!("{text} {nth}"), service.clone());
        requests.spawn(async move { (service.oneshot(line.clone()).await, line) });
    }
    let mut counts = BTreeMap::new();
    while let Some(done) = requests.join_next().await {
        let (answer, sent) = done?;
        let (peer, line) = answer.map_err(|error| error.to_string())?;
        if line != sent {
            return Err(format!("sent `{sent}`, but {peer} answered `{line}`").into());
        }
        *counts.entry(peer).or_insert(0) += 1;
    }
    println!("  all {lines} lines were echoed: {counts:?}");
    Ok(())
}

async fn print(mut events: Events) {
    while let Ok(Some(event)) = events.next().await {
        println!("  * {event}");
    }
}

/// A server that works: it sends each connection's first line back, and refuses an empty one.
async fn echo(listener: Arc<TcpListener>) -> io::Result<()> {
    loop {
        let mut stream = listener.accept().await?.0;
        let mut line = String::new();
        // A client that is gone is no reason to end.
        let _ = BufReader::new(&mut stream).read_line(&mut line).await;
        let answer = match line.trim_end() {
            "" => "ERR nothing to echo\n",
            _ => &line,
        };
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

/// A server that does not: it closes each connection as soon as it is there.
async fn hang_up(listener: Arc<TcpListener>) -> io::Result<()> {
    loop {
        drop(listener.accept().await?);
    }
}
