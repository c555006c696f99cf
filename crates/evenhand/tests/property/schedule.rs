//! One random schedule: each step is drawn from the steps that are possible.

use std::time::Duration;

use evenhand::Verdict;
use tokio::time::Instant;

use crate::controlled_connector::{Request, Tickets};
use crate::rules::{AllDown, Floor, Join, Recheck, Rules};
use crate::world::World;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const REQUESTS: usize = 6;
const TICKETS: usize = 8;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const GROWING: Recheck = Recheck::Growing {
    first: SECOND,
    max: Duration::from_secs(6),
};

/// What the peers of a schedule do most.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Mixed,
    Down,
    Full,
    Lost,
    Refused,
}

pub(crate) async fn run(seed: u64, steps: usize, all_down: AllDown) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let (down_limit, degraded_limit) = rng.of(&[(1, 5), (1, 2), (1, 2), (2, 2)]);
    let rules = Rules {
        recheck: rng.of(&[
            Recheck::Every(SECOND * 30),
            Recheck::Every(MILLISECOND * 1500),
            GROWING,
            GROWING,
        ]),
        down_limit,
        degraded_limit,
        floor: rng.of(&[
            Floor::MinUp(0),
            Floor::MinUp(0),
            Floor::MinUp(1),
            Floor::Half,
        ]),
        all_down,
        max_attempts: rng.of(&[u32::MAX, u32::MAX, 5, 1]),
        max_unknown: rng.of(&[3, 2, 1]),
        max_refusals: rng.of(&[3, 3, 2, 1]),
        ticket_timeout: rng.of(&[SECOND / 2, SECOND * 5, SECOND * 60]),
        has_budget: rng.once_in(4),
        slow_start: rng.of(&[Duration::ZERO, Duration::ZERO, SECOND * 3]),
        attempt_timeout: rng.of(&[None, None, Some(SECOND / 2), Some(SECOND * 4)]),
        timeout_verdict: rng.of(&[
            Verdict::degraded().if_idempotent(),
            Verdict::down().safe(),
            Verdict::suspect().safe(),
            Verdict::neutral().busy(),
        ]),
        deadline: rng.of(&[None, None, Some(SECOND), Some(SECOND * 9)]),
    };
    let mood = rng.of(&[
        Mood::Mixed,
        Mood::Mixed,
        Mood::Down,
        Mood::Full,
        Mood::Lost,
        Mood::Refused,
    ]);
    let mut world = World::new(seed, rules);
    for name in &NAMES[..1 + rng.random_index(4)] {
        world.add(name, Join::AtOnce);
    }
    for _ in 0..steps {
        step(&mut world, &mut rng, mood).await;
        // Sometimes two steps are taken before the state is checked.
        if !rng.once_in(4) {
            let settled = world.settle().await;
            settled.map_err(|why| format!("{}\n{why}", world.log.join("\n")))?;
        }
    }
    Ok(())
}

async fn step(world: &mut World, rng: &mut Rng, mood: Mood) {
    match rng.random_index(44) {
        0..10 => ask(world, rng),
        10..22 => end(world, rng, mood),
        22..24 => cancel(world, rng),
        24..31 => ticket(world, rng),
        31..39 => pass(world, rng).await,
        _ => operate(world, rng),
    }
}

fn ask(world: &mut World, rng: &mut Rng) {
    if world.requests().len() < REQUESTS {
        let request = Request {
            copied: !rng.once_in(8),
            idempotent: rng.once_in(2),
        };
        let has_tickets = world.tickets() < TICKETS && rng.once_in(2);
        let (plain, deciding) = match has_tickets {
            true => rng.of(&[(1, 0), (0, 1), (0, 2), (1, 1)]),
            false => (0, 0),
        };
        world.ask(request, Tickets { plain, deciding });
    }
}

fn verdict(rng: &mut Rng, mood: Mood) -> (bool, Verdict) {
    let verdict = match mood {
        _ if rng.once_in(3) => None,
        Mood::Mixed => None,
        Mood::Down => Some(Verdict::down().safe()),
        Mood::Full => Some(Verdict::neutral().busy()),
        Mood::Lost => Some(Verdict::degraded().if_idempotent()),
        Mood::Refused => Some(Verdict::suspect().safe()),
    };
    let verdict = match verdict.ok_or_else(|| rng.random_index(10)) {
        Ok(verdict) => verdict,
        Err(0..3) => return (true, Verdict::healthy()),
        Err(3) => retry(rng, Verdict::healthy()),
        Err(4..7) => retry(rng, Verdict::down()),
        Err(7) => retry(rng, Verdict::degraded()),
        Err(8) => retry(rng, Verdict::suspect()),
        Err(_) => retry(rng, Verdict::neutral()),
    };
    let verdict = match rng.random_index(6) {
        0 => verdict.recover_in(MILLISECOND * rng.of(&[700, 4000])),
        1 => verdict.because("as told"),
        2 => verdict.of_kind("login"),
        _ => verdict,
    };
    (rng.once_in(4), verdict)
}

fn retry(rng: &mut Rng, verdict: Verdict) -> Verdict {
    match rng.random_index(5) {
        0 => verdict,
        1 => verdict.if_idempotent(),
        2 => verdict.busy(),
        _ => verdict.safe(),
    }
}

fn end(world: &mut World, rng: &mut Rng, mood: Mood) {
    let hanging = world.hanging();
    if !hanging.is_empty() {
        let (ok, verdict) = verdict(rng, mood);
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
    // Often one whose attempt has no response yet.
    let early = world.early_tickets();
    let at = match early.is_empty() || rng.once_in(2) {
        true => rng.random_index(tickets),
        false => rng.of(&early),
    };
    match rng.random_index(6) {
        0..3 => {
            let (_, verdict) = verdict(rng, Mood::Mixed);
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
    let (peers, join) = (world.peers(), rng.of(&[Join::AtOnce, Join::OnProof]));
    let what = rng.random_index(12);
    if what < 2 || peers.is_empty() {
        let absent = others(&peers);
        if !absent.is_empty() {
            world.add(rng.of(&absent), join);
        }
        return;
    }
    let (name, _) = &peers[rng.random_index(peers.len())];
    match what {
        2 => world.remove(name),
        3 | 4 => world.drain(name),
        5 | 6 => world.restore(name),
        7 => world.eject(name, MILLISECOND * rng.of(&[1, 500, 45_000])),
        _ => {
            let mut keep: Vec<(String, u32)> = Vec::new();
            for peer in peers {
                if !rng.once_in(3) && keep.iter().all(|kept| kept.0 != peer.0) {
                    keep.push(peer);
                }
            }
            // New names, or those of peers that leave.
            let mut free = others(&keep);
            let mut add = Vec::new();
            for _ in 0..rng.random_index(3).min(free.len()) {
                add.push(free.swap_remove(rng.random_index(free.len())));
            }
            world.replace(&keep, &add, join);
        }
    }
}

/// The names that none of these has.
fn others(peers: &[(String, u32)]) -> Vec<&'static str> {
    let is_free = |name: &&str| peers.iter().all(|(taken, _)| taken != name);
    NAMES.into_iter().filter(is_free).collect()
}

/// Draws the same on every machine, so that the seed in a failure's report reproduces it.
///
/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..n`; 0 if `n` is 0.
    fn random_index(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: usize) -> bool {
        self.random_index(n) == 0
    }

    /// One of `choices`.
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.random_index(choices.len())]
    }
}
