//! The program of `docs/TUTORIAL.md`: a balanced service over three servers in this process, of which
//! some are killed and hang while it runs.
//!
//! ```text
//! cargo run --example tutorial
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

#[derive(Default)]
struct Server {
    killed: AtomicBool,
    hangs: AtomicBool,
}

impl Server {
    /// Answers as a client of a real server would see it.
    async fn answer(&self, order: u32) -> io::Result<String> {
        if self.killed.load(Relaxed) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        if self.hangs.load(Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok(format!("order {order} was shipped"))
    }
}

use evenhand::Attempt;

type Answer = (Arc<str>, String);

async fn send(attempt: Attempt<Arc<Server>, u32>) -> io::Result<Answer> {
    let answer = attempt.peer.answer(attempt.request).await?;
    Ok((attempt.peer.shared_name(), answer))
}

use evenhand::Verdict;

fn judge(outcome: Result<&Answer, &io::Error>) -> Verdict {
    match outcome {
        Ok(_) => Verdict::healthy(),
        // The peer is down. Nothing was sent, so any request may go to another peer.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Verdict::down().safe().because("refused")
        }
        // Something went wrong half way, so only a request that may be executed twice goes on.
        Err(_) => Verdict::degraded().if_idempotent(),
    }
}

use std::collections::BTreeMap;

use evenhand::{BalanceLayer, Peers};
use tower::{Service, ServiceExt, service_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let servers: [Arc<Server>; 3] = Default::default();
    let [a, b, c] = servers.clone();
    let peers = Peers::new([("a", a), ("b", b), ("c", c)])?;
    let balance = BalanceLayer::new(peers.clone())
        .classify(judge)
        .service(service_fn(send));

    println!("all work:");
    ask(&balance).await?;

    println!("a is killed:");
    servers[0].killed.store(true, Relaxed);
    ask(&balance).await?;
    for status in peers.statuses() {
        println!("  {} is {}", status.peer, status.state);
    }

    println!("b hangs as well:");
    servers[1].hangs.store(true, Relaxed);
    let balance = BalanceLayer::new(peers.clone())
        .classify(judge)
        .replay(Cloned::idempotent())
        .attempt_timeout(Duration::from_millis(50))
        .service(service_fn(send));
    ask(&balance).await?;

    println!("a works again:");
    let mut events = peers.subscribe();
    servers[0].killed.store(false, Relaxed);
    let ping = service_fn(|peer: Peer<Arc<Server>>| async move { peer.answer(0).await.map(drop) });
    let balance = BalanceLayer::new(peers.clone())
        .classify(judge)
        .replay(Cloned::idempotent())
        .attempt_timeout(Duration::from_millis(50))
        .probe(Probe::new(ping, Duration::from_millis(50)))
        .service(service_fn(send));
    while let Some(event) = events.next().await? {
        println!("  {event}");
        if event.kind == EventKind::Recovered {
            break;
        }
    }
    ask(&balance).await?;

    println!("all are killed:");
    for server in &servers {
        server.killed.store(true, Relaxed);
    }
    if let Err(error) = balance.clone().oneshot(7).await {
        println!("  {error}");
    }

    println!("c is started while a request waits:");
    let balance = BalanceLayer::new(peers.clone())
        .classify(judge)
        .all_down(AllDown::WaitUpTo(Duration::from_secs(10)))
        .service(service_fn(send));
    let waiting = tokio::spawn(balance.oneshot(7));
    servers[2].killed.store(false, Relaxed);
    let (peer, answer) = waiting.await??;
    println!("  {answer}, says {peer}");
    Ok(())
}

async fn ask<S>(balance: &S) -> Result<(), S::Error>
where
    S: Service<u32, Response = Answer> + Clone,
{
    let mut answered = BTreeMap::new();
    for order in 0..300 {
        let (peer, _) = balance.clone().oneshot(order).await?;
        *answered.entry(peer).or_insert(0) += 1;
    }
    println!("  {answered:?}");
    Ok(())
}

use std::time::Duration;

use evenhand::Cloned;

use evenhand::{EventKind, Peer, Probe};

use evenhand::AllDown;

#[cfg(test)]
mod tests {
    /// The blocks of the page, one after the other; those that say so at the end of `main`.
    #[test]
    fn page_shows_this_program() {
        let program = include_str!("tutorial.rs");
        let (program, _) = program.split_once("\n#[cfg(test)]\n").unwrap();
        let (_, program) = program.split_once("\n\n").unwrap();
        let mut shown = String::new();
        let page = include_str!("../docs/TUTORIAL.md");
        for block in page.split("```rust\n").skip(1) {
            let (block, _) = block.split_once("```\n").unwrap();
            let Some(block) = block.strip_prefix("// At the end of `main`:\n") else {
                let separator = if shown.is_empty() { "" } else { "\n" };
                shown = format!("{shown}{separator}{block}");
                continue;
            };
            let (before, after) = shown.split_once("    Ok(())\n}\n\nasync fn ask").unwrap();
            let lines: String = block.lines().map(|line| format!("    {line}\n")).collect();
            shown = format!("{before}\n{lines}    Ok(())\n}}\n\nasync fn ask{after}");
        }
        assert_eq!(shown, program);
    }

    #[test]
    fn program_runs() {
        super::main().unwrap();
    }
}
