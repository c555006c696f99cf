//! What becomes of the response, and of a ticket that does not wait for it.

use super::*;

#[tokio::test(start_paused = true)]
async fn report_before_the_response_counts_in_its_place() {
    let peers = peers(&["a"]);
    let layer = layer(&peers).eject(Eject::after_in_a_row(2));
    let given = Given::with(layer, |ticket| ticket.report(Verdict::down()));
    given.stream().await.report(Verdict::healthy());
    assert_eq!(up_and_down(&given.peers), (1, 0));
    drop(given.stream().await);
    assert_eq!(up_and_down(&given.peers), (0, 1), "both failures count");
}

#[tokio::test(start_paused = true)]
async fn error_after_a_report_counts_no_second_time() {
    let peers = peers(&["a"]);
    let layer = layer(&peers).eject(Eject::after_in_a_row(2));
    let given = Given::with(layer, |ticket| ticket.report(Verdict::down()));
    given.script([Err(Verdict::down())]);
    given.send().await.unwrap_err();
    assert_eq!(up_and_down(&given.peers), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn neutral_report_before_the_response_releases_a_probe_with_it() {
    let layer = layer(&peers(&["a"]));
    let given = Given::with(layer, |ticket| ticket.report(Verdict::neutral()));
    let given = given.and_due().await;
    let ticket = given.stream().await;
    assert_eq!(given.state(), State::Ejected);
    ticket.report(Verdict::healthy());
    assert_eq!(given.state(), State::Ejected);
}

#[tokio::test(start_paused = true)]
async fn response_counts_if_the_ticket_was_dropped_before_it() {
    let given = Given::new(&["a"]);
    given.script([Err(Verdict::down())]);
    given.send().await.unwrap_err();
    assert_eq!(up_and_down(&given.peers), (0, 1));
    advance(INTERVAL).await;
    given.script([Err(Verdict::healthy())]);
    given.send().await.unwrap_err();
    assert_eq!(up_and_down(&given.peers), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn response_that_is_turned_down_leaves_its_peer_to_the_ticket() {
    static KEPT: Mutex<Vec<Ticket<()>>> = Mutex::new(Vec::new());
    let peers = peers(&["a", "b"]);
    let keep = |ticket: &Ticket<()>| KEPT.lock().unwrap().push(ticket.clone());
    let given = Given::with(layer(&peers), keep);
    given.script([Ok(Verdict::down().safe())]);
    let served = given.stream().await;
    let kept = std::mem::take(&mut *KEPT.lock().unwrap());
    assert_ne!(kept[0].peer().name(), kept[1].peer().name());
    assert_eq!(served.peer().name(), kept[1].peer().name());
    assert_eq!(up_and_down(&peers), (2, 0));
    kept[0].report(Verdict::down());
    assert_eq!(up_and_down(&peers), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn suspect_response_is_neutral_if_a_ticket_decides() {
    let given = Given::new(&["a", "b"]);
    given.script([Ok(Verdict::suspect().safe())]);
    let served = given.stream().await;
    assert_eq!(up_and_down(&given.peers), (2, 0));
    served.report(Verdict::healthy());
    assert_eq!(up_and_down(&given.peers), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn refusals_end_a_request_though_tickets_decide_about_the_peers() {
    static KEPT: Mutex<Vec<Ticket<()>>> = Mutex::new(Vec::new());
    let patience = AllDown::WaitUpTo(Duration::from_secs(10));
    for early in [false, true] {
        let peers = peers(&["a", "b", "c", "d", "e"]);
        let keep = |ticket: &Ticket<()>| KEPT.lock().unwrap().push(ticket.clone());
        let keep_reported = |ticket: &Ticket<()>| {
            ticket.report(Verdict::neutral());
            KEPT.lock().unwrap().push(ticket.clone());
        };
        let layer = layer(&peers).all_down(patience);
        let given = Given::with(layer, if early { keep_reported } else { keep });
        given.script([Err(Verdict::suspect().safe()); 4]);
        let error = given.send().await.unwrap_err();
        assert!(matches!(error, Error::Inconclusive { .. }), "{error:?}");
        let asked = std::mem::take(&mut *KEPT.lock().unwrap());
        assert_eq!(asked.len(), 3);
        assert_eq!(up_and_down(&peers), (5, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn response_clears_up_a_suspect_before_its_own_ticket_decides() {
    let given = Given::new(&["a", "b"]);
    given.script([Err(Verdict::suspect().safe())]);
    let served = given.stream().await;
    assert_eq!(up_and_down(&given.peers), (1, 1));
    drop(served);
}

#[tokio::test(start_paused = true)]
async fn cancelled_probe_ends_though_its_ticket_lives() {
    for probing in [false, true] {
        let peers = peers(&["a"]);
        let (sender, mut tickets) = tokio::sync::mpsc::unbounded_channel();
        let connector = service_fn(move |attempt: Attempt<(), ()>| {
            sender.send(attempt.deciding_ticket()).unwrap();
            std::future::pending::<Result<(), Failure>>()
        });
        let balance = BalanceLayer::new(peers.clone())
            .eject(Eject::after_in_a_row(2))
            .layer(connector);
        if probing {
            peers.eject("a", INTERVAL).unwrap();
            advance(INTERVAL).await;
        }
        for up in [1, 0] {
            let request = timeout(INTERVAL, balance.clone().oneshot(()));
            request.await.unwrap_err();
            let ticket = tickets.recv().await.unwrap();
            assert_eq!(peers.statuses()[0].in_flight, 1);
            ticket.report(Verdict::down());
            ticket.report(Verdict::down());
            assert_eq!(peers.up_count(), if probing { 0 } else { up });
        }
        assert_eq!(peers.statuses()[0].state, State::Ejected);
    }
}

#[tokio::test(start_paused = true)]
async fn attempt_on_a_peer_that_is_out_brings_it_back_with_its_report() {
    let peers = peers(&["a"]);
    let layer = layer(&peers).all_down(AllDown::FailOpen);
    let given = Given::with(layer, |_| {});
    given.script([Err(Verdict::down())]);
    given.send().await.unwrap_err();
    let (first, second) = (given.stream().await, given.stream().await);
    assert_eq!(given.state(), State::Ejected);
    first.report(Verdict::down());
    assert_eq!(given.state(), State::Ejected);
    second.report(Verdict::healthy());
    assert_eq!(given.state(), State::Up);
}
