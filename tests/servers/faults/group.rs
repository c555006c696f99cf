//! A group of three MySQL servers under mixed writes: another is made the primary, the primary
//! leaves, is killed, or freezes. No idempotent write fails; the pool finds the new primary.

use std::time::Duration;

use evenhand_testkit::{Group, Maker};
use evenhand_tests::mixed::{self, Work};
use evenhand_tests::scene::{Scene, options};

/// Longer than the group takes to have another primary.
const CHECKOUT: Duration = Duration::from_secs(25);

const MEMBERS: [&str; 3] = ["member0", "member1", "member2"];

/// A group and a writable pool over it, once that writes on the primary alone; `None` where no
/// server can do this.
async fn scene(name: &'static str) -> Option<(Group, Scene)> {
    if !Maker::MySql.is_here("Group Replication") {
        return None;
    }
    let started = tokio::task::spawn_blocking(|| Group::start(3)).await;
    let group = started.unwrap().unwrap_or_else(|error| panic!("{error}"));
    mixed::prepare(&group.urls()[..1]).await;
    let peers: Vec<_> = MEMBERS.into_iter().zip(group.urls()).collect();
    let mut scene = Scene::with(
        options().writable(true).checkout_timeout(CHECKOUT),
        name,
        &peers,
        Work::Write,
    );
    // Plain work is refused wherever it finds that a member is not the primary, or no more.
    for member in MEMBERS {
        scene.fault_begins(member);
    }
    scene.serves("member0").await;
    scene.until_up("member1", false).await;
    scene.until_up("member2", false).await;
    Some((group, scene))
}

/// Each member is the primary in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planned_switchover_costs_no_idempotent_write() {
    let Some((group, scene)) = scene("planned switchover").await else {
        return;
    };
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        group.switch_primary(to).unwrap();
        scene.serves(MEMBERS[to]).await;
        scene.until_up(MEMBERS[from], false).await;
    }
    scene.close(&group.urls()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_primary_costs_no_idempotent_write() {
    let Some((mut group, scene)) = scene("killed primary").await else {
        return;
    };
    group[0].kill().unwrap();
    let next = group.wait_for_another_primary(0).unwrap();
    scene.serves(MEMBERS[next]).await;
    group.restart(0).unwrap();
    // It is back as one of those who only read.
    group.wait_for_size(3).unwrap();
    scene.serves(MEMBERS[next]).await;
    scene.until_up("member0", false).await;
    scene.close(&group.urls()).await;
}

/// Thawed, it takes itself for the primary until it hears otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frozen_primary_costs_no_idempotent_write() {
    let Some((group, scene)) = scene("frozen primary").await else {
        return;
    };
    group[0].freeze().unwrap();
    let next = group.wait_for_another_primary(0).unwrap();
    scene.serves(MEMBERS[next]).await;
    group[0].thaw().unwrap();
    group.wait_for_size(3).unwrap();
    scene.serves(MEMBERS[next]).await;
    scene.until_up("member0", false).await;
    scene.close(&group.urls()).await;
}

/// First one that only reads, then the primary; both come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_member_costs_no_idempotent_write() {
    let Some((group, scene)) = scene("leaving member").await else {
        return;
    };
    group[1].leave().unwrap();
    scene.serves("member0").await;
    group[1].join().unwrap();
    group[0].leave().unwrap();
    let next = group.wait_for_another_primary(0).unwrap();
    scene.serves(MEMBERS[next]).await;
    scene.until_up("member0", false).await;
    group[0].join().unwrap();
    scene.serves(MEMBERS[next]).await;
    scene.close(&group.urls()).await;
}
