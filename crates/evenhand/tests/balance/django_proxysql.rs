//! The four cases of the test suite of django-proxysql, whose algorithm the balancer started from:
//! a request goes to a random peer that is up, and a peer that fails is ejected for 30 s.

use std::time::Duration;

use crate::common::{Does, INTERVAL, REFUSE, balance, send, up_and_down};
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn all_down() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    connector.tell_all(&["a", "b"], REFUSE);
    let error = send(&balance).await.unwrap_err();
    assert_eq!(error.tried().len(), 2);
    assert_eq!(up_and_down(&peers), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn one_down() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    connector.tell("a", REFUSE);
    for _ in 0..20 {
        assert_eq!(send(&balance).await.unwrap(), "b");
    }
    assert_eq!(up_and_down(&peers), (1, 1));
    let on_a = connector
        .attempts()
        .iter()
        .filter(|peer| *peer == "a")
        .count();
    assert_eq!(on_a, 1, "tried once, then ejected");
}

#[tokio::test(start_paused = true)]
async fn recovery() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    connector.tell("a", REFUSE);
    while up_and_down(&peers) == (2, 0) {
        send(&balance).await.unwrap();
    }
    assert_eq!(up_and_down(&peers), (1, 1));

    connector.tell("a", Does::Answer);
    advance(INTERVAL).await;
    assert_eq!(
        send(&balance).await.unwrap(),
        "a",
        "the first request after 30 s is the probe"
    );
    assert_eq!(up_and_down(&peers), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn partial_recovery() {
    let (peers, connector, balance) = balance(&["a", "b"]);
    connector.tell_all(&["a", "b"], REFUSE);
    send(&balance).await.unwrap_err();
    assert_eq!(up_and_down(&peers), (0, 2));

    advance(INTERVAL).await;
    connector.attempts();
    connector.script([REFUSE, Does::Answer]);
    let served = send(&balance).await.unwrap();
    let attempts = connector.attempts();
    assert_eq!(
        attempts.len(),
        2,
        "both were due, and one request probed both"
    );
    assert_eq!((&served, up_and_down(&peers)), (&attempts[1], (1, 1)));

    // The other peer is not probed before it is due.
    connector.tell_all(&["a", "b"], Does::Answer);
    advance(INTERVAL - Duration::from_millis(1)).await;
    for _ in 0..20 {
        assert_eq!(send(&balance).await.unwrap(), served);
    }
    assert_eq!(up_and_down(&peers), (1, 1));

    advance(Duration::from_millis(1)).await;
    assert_eq!(send(&balance).await.unwrap(), attempts[0]);
    assert_eq!(up_and_down(&peers), (2, 0));
}
