//! One random schedule: each step is drawn from the steps that are possible.

use std::time::Duration;

use evenhand::Verdict;
use tokio::time::Instant;

use crate::controlled_connector::Request;
use crate::reference::{AllDown, Floor, Rules};
use crate::rng::Rng;
use crate::world::World;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const REQUESTS: usize = 6;
const TICKETS: usize = 8;
const MILLISECOND: Duration = Duration::from_millis(1);

pub(crate) async fn run(seed: u64, steps: usize, all_down: AllDown) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let (down_limit, degraded_limit) = rng.of(&[(1, 5), (1, 2), (1, 2), (2, 2)]);
    let rules = Rules {
        interval: rng.of(&[Duration::from_secs(30), Duration::from_millis(1500)]),
        down_limit,
        degraded_limit,
        floor: rng.of(&[
            Floor::MinUp(0),
            Floor::MinUp(0),
            Floor::MinUp(1),
            Floor::Half,
        ]),
        all_down,
    };
    let mut world = World::new(seed, rules);
    for name in &NAMES[..1 + rng.random_index(4)] {
        world.add(name);
    }
    for _ in 0..steps {
        step(&mut world, &mut rng).await;
        // Sometimes two steps are taken before the state is checked.
        if !rng.once_in(4) {
            let settled = world.settle().await;
            settled.map_err(|why| format!("{}\n{why}", world.log.join("\n")))?;
        }
    }
    Ok(())
}

async fn step(world: &mut World, rng: &mut Rng) {
    match rng.random_index(40) {
        0..10 => ask(world, rng),
        10..22 => end(world, rng),
        22..24 => cancel(world, rng),
        24..28 => ticket(world, rng),
        28..36 => pass(world, rng).await,
        _ => operate(world, rng),
    }
}

fn ask(world: &mut World, rng: &mut Rng) {
    if world.requests().len() < REQUESTS {
        let request = Request {
            copied: !rng.once_in(8),
            idempotent: rng.once_in(2),
        };
        let ticket = world.tickets() < TICKETS && rng.once_in(3);
        world.ask(request, ticket);
    }
}

fn verdict(rng: &mut Rng) -> (bool, Verdict) {
    let peer = match rng.random_index(10) {
        0..3 => return (true, Verdict::healthy()),
        3 => Verdict::healthy(),
        4..7 => Verdict::down(),
        7 => Verdict::degraded(),
        8 => Verdict::suspect(),
        _ => Verdict::neutral(),
    };
    let peer = match rng.random_index(5) {
        0 => peer,
        1 => peer.if_idempotent(),
        2 => peer.busy(),
        _ => peer.safe(),
    };
    let peer = match rng.random_index(6) {
        0 => peer.recover_in(Duration::from_millis(700)),
        1 | 2 => peer.because("as told"),
        _ => peer,
    };
    (rng.once_in(4), peer)
}

fn end(world: &mut World, rng: &mut Rng) {
    let hanging = world.hanging();
    if !hanging.is_empty() {
        let (ok, verdict) = verdict(rng);
        world.end(rng.of(&hanging), ok, verdict);
    }
}

fn cancel(world: &mut World, rng: &mut Rng) {
    let requests = world.requests();
    if !requests.is_empty() {
        world.cancel(rng.of(&requests));
    }
}

fn ticket(world: &mut World, rng: &mut Rng) {
    let tickets = world.tickets();
    if tickets == 0 {
        return;
    }
    let at = rng.random_index(tickets);
    match rng.random_index(6) {
        0..3 => {
            let (_, verdict) = verdict(rng);
            world.report(at, verdict);
        }
        3 if tickets < TICKETS => world.copy_ticket(at),
        _ => world.drop_ticket(at),
    }
}

/// Steps to the moments that matter: the due time to the millisecond, and the one before it.
async fn pass(world: &mut World, rng: &mut Rng) {
    let moments = world.moments();
    let time = if moments.is_empty() || rng.once_in(4) {
        MILLISECOND * rng.of(&[1, 10, 1000, 40_000])
    } else {
        let left = rng.of(&moments) - Instant::now();
        match rng.random_index(4) {
            0 => left.saturating_sub(MILLISECOND),
            1 => left + MILLISECOND,
            _ => left,
        }
    };
    world.pass(time).await;
}

fn operate(world: &mut World, rng: &mut Rng) {
    let names = world.names();
    let absent: Vec<&str> = NAMES
        .into_iter()
        .filter(|name| !names.iter().any(|present| present == name))
        .collect();
    let what = rng.random_index(9);
    if what < 2 || names.is_empty() {
        if !absent.is_empty() {
            world.add(rng.of(&absent));
        }
        return;
    }
    let name = &names[rng.random_index(names.len())];
    match what {
        2 => world.remove(name),
        3 | 4 => world.drain(name),
        5 | 6 => world.restore(name),
        7 => world.eject(name, MILLISECOND * rng.of(&[1, 500, 45_000])),
        _ => {
            let keep: Vec<String> = names.iter().filter(|_| !rng.once_in(3)).cloned().collect();
            // A new name, or the name of one that leaves.
            let free: Vec<&str> = NAMES
                .into_iter()
                .filter(|name| !keep.iter().any(|kept| kept == name))
                .collect();
            let add = (!free.is_empty()).then(|| rng.of(&free));
            world.replace(&keep, add);
        }
    }
}
