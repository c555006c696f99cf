//! How long a ticket may take.

use super::*;

#[tokio::test(start_paused = true)]
async fn probe_on_an_endless_stream_ends_at_the_limit() {
    let given = Given::due().await;
    let ticket = given.stream().await;
    sleep(DEFAULT_TICKET_TIMEOUT - Duration::from_millis(1)).await;
    assert_eq!(given.state(), State::Probing);
    sleep(Duration::from_millis(2)).await;
    assert_eq!(given.state(), State::Up);
    ticket.report(Verdict::down());
    assert_eq!(given.state(), State::Up, "it has counted");
}

#[tokio::test(start_paused = true)]
async fn response_counts_after_the_limit() {
    let given = Given::new(&["a"]);
    given.script([Ok(Verdict::down())]);
    let ticket = given.stream().await;
    assert_eq!(up_and_down(&given.peers), (1, 0));
    sleep(DEFAULT_TICKET_TIMEOUT + Duration::from_millis(1)).await;
    assert_eq!(up_and_down(&given.peers), (0, 1));
    drop(ticket);
}

#[tokio::test(start_paused = true)]
async fn response_of_a_peer_that_is_back_meanwhile_says_nothing_at_the_limit() {
    let layer = layer(&peers(&["a"])).all_down(AllDown::FailOpen);
    let given = Given::with(layer, |_| {});
    given.script([Err(Verdict::down()), Ok(Verdict::down())]);
    given.send().await.unwrap_err();
    let (failed, served) = (given.stream().await, given.stream().await);
    served.report(Verdict::healthy());
    sleep(DEFAULT_TICKET_TIMEOUT + Duration::from_millis(1)).await;
    assert_eq!(given.state(), State::Up);
    drop(failed);
}

/// How long a ticket that is never reported holds a probe.
async fn limit(layer: BalanceLayer<(), Rules<Judge>>) -> Duration {
    let given = Given::with(layer, |_| {});
    given.script([Ok(Verdict::down())]);
    let _ticket = given.stream().await;
    let start = tokio::time::Instant::now();
    while given.state() == State::Up {
        sleep(Duration::from_millis(10)).await;
    }
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn limit_is_the_probes_unless_it_is_set() {
    let pending = service_fn(|_: Peer<()>| std::future::pending::<Result<(), Failure>>());
    let (three, five) = (Duration::from_secs(3), Duration::from_secs(5));
    let probe = Probe::new(pending, three);
    for (layer, expected) in [
        (layer(&peers(&["a"])), DEFAULT_TICKET_TIMEOUT),
        (layer(&peers(&["a"])).probe(probe.clone()), three),
        (layer(&peers(&["a"])).ticket_timeout(five), five),
        (
            layer(&peers(&["a"])).probe(probe).ticket_timeout(five),
            five,
        ),
    ] {
        let measured = limit(layer).await;
        let late = measured.checked_sub(expected).unwrap();
        assert!(late <= Duration::from_millis(20), "{measured:?}");
    }
}

#[test]
fn end_of_the_runtime_ends_the_wait() {
    let (given, runtime) = (Given::new(&["a"]), runtime());
    given.script([Ok(Verdict::down())]);
    let ticket = runtime.block_on(given.stream());
    assert_eq!(up_and_down(&given.peers), (1, 0));
    drop(runtime);
    assert_eq!(up_and_down(&given.peers), (0, 1));
    drop(ticket);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

#[test]
fn response_counts_at_once_without_a_runtime() {
    let given = Given::new(&["a"]);
    given.script([Ok(Verdict::down())]);
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(stream) = pin!(given.send()).poll(&mut cx) else {
        unreachable!("nothing waits")
    };
    assert_eq!(up_and_down(&given.peers), (0, 1));
    drop(stream);
}
