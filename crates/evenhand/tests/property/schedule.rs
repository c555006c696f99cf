//! One random schedule: what happens next is drawn from what can happen.

use std::time::Duration;

use evenhand::Verdict;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::puppet::Request;
use crate::reference::{Floor, NoneLeft, Rules};
use crate::world::World;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const REQUESTS: usize = 6;
const TICKETS: usize = 8;
const MILLISECOND: Duration = Duration::from_millis(1);

pub(crate) async fn run(seed: u64, steps: usize, none_left: NoneLeft) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let (down_limit, degraded_limit) = dice.of(&[(1, 5), (1, 2), (1, 2), (2, 2)]);
    let rules = Rules {
        interval: dice.of(&[Duration::from_secs(30), Duration::from_millis(1500)]),
        down_limit,
        degraded_limit,
        floor: dice.of(&[Floor::Keep(0), Floor::Keep(0), Floor::Keep(1), Floor::Half]),
        none_left,
    };
    let mut world = World::new(seed, rules);
    for name in &NAMES[..1 + dice.below(4)] {
        world.add(name);
    }
    for _ in 0..steps {
        step(&mut world, &mut dice).await;
        // Now and then two things happen before anybody looks.
        if !dice.once_in(4) {
            let settled = world.settle().await;
            settled.map_err(|why| format!("{}\n{why}", world.log.join("\n")))?;
        }
    }
    Ok(())
}

async fn step(world: &mut World, dice: &mut Dice) {
    match dice.below(40) {
        0..10 => ask(world, dice),
        10..22 => end(world, dice),
        22..24 => cancel(world, dice),
        24..28 => ticket(world, dice),
        28..36 => pass(world, dice).await,
        _ => operate(world, dice),
    }
}

fn ask(world: &mut World, dice: &mut Dice) {
    if world.requests().len() < REQUESTS {
        let request = Request {
            copied: !dice.once_in(8),
            idempotent: dice.once_in(2),
        };
        let ticket = world.tickets() < TICKETS && dice.once_in(3);
        world.ask(request, ticket);
    }
}

fn verdict(dice: &mut Dice) -> (bool, Verdict) {
    let peer = match dice.below(10) {
        0..3 => return (true, Verdict::healthy()),
        3 => Verdict::healthy(),
        4..7 => Verdict::down(),
        7 => Verdict::degraded(),
        8 => Verdict::suspect(),
        _ => Verdict::neutral(),
    };
    let peer = match dice.below(5) {
        0 => peer,
        1 => peer.if_idempotent(),
        2 => peer.again(),
        _ => peer.safe(),
    };
    let peer = match dice.below(6) {
        0 => peer.recover_in(Duration::from_millis(700)),
        1 | 2 => peer.because("as told"),
        _ => peer,
    };
    (dice.once_in(4), peer)
}

fn end(world: &mut World, dice: &mut Dice) {
    let hanging = world.hanging();
    if !hanging.is_empty() {
        let (ok, verdict) = verdict(dice);
        world.end(dice.of(&hanging), ok, verdict);
    }
}

fn cancel(world: &mut World, dice: &mut Dice) {
    let requests = world.requests();
    if !requests.is_empty() {
        world.cancel(dice.of(&requests));
    }
}

fn ticket(world: &mut World, dice: &mut Dice) {
    let tickets = world.tickets();
    if tickets == 0 {
        return;
    }
    let at = dice.below(tickets);
    match dice.below(6) {
        0..3 => {
            let (_, verdict) = verdict(dice);
            world.report(at, verdict);
        }
        3 if tickets < TICKETS => world.copy_ticket(at),
        _ => world.drop_ticket(at),
    }
}

/// Steps to the moments that matter: the due time to the millisecond, and the one before it.
async fn pass(world: &mut World, dice: &mut Dice) {
    let moments = world.moments();
    let time = if moments.is_empty() || dice.once_in(4) {
        MILLISECOND * dice.of(&[1, 10, 1000, 40_000])
    } else {
        let left = dice.of(&moments) - Instant::now();
        match dice.below(4) {
            0 => left.saturating_sub(MILLISECOND),
            1 => left + MILLISECOND,
            _ => left,
        }
    };
    world.pass(time).await;
}

fn operate(world: &mut World, dice: &mut Dice) {
    let names = world.names();
    let absent: Vec<&str> = NAMES
        .into_iter()
        .filter(|name| !names.iter().any(|present| present == name))
        .collect();
    let what = dice.below(9);
    if what < 2 || names.is_empty() {
        if !absent.is_empty() {
            world.add(dice.of(&absent));
        }
        return;
    }
    let name = &names[dice.below(names.len())];
    match what {
        2 => world.remove(name),
        3 | 4 => world.drain(name),
        5 | 6 => world.restore(name),
        7 => world.eject(name, MILLISECOND * dice.of(&[1, 500, 45_000])),
        _ => {
            let keep: Vec<String> = names.iter().filter(|_| !dice.once_in(3)).cloned().collect();
            // A new name, or the name of one that leaves.
            let free: Vec<&str> = NAMES
                .into_iter()
                .filter(|name| !keep.iter().any(|kept| kept == name))
                .collect();
            let add = (!free.is_empty()).then(|| dice.of(&free));
            world.replace(&keep, add);
        }
    }
}
