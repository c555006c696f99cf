//! A request that succeeds on its first peer allocates nothing, reads no clock and starts no task.
//! (That it takes no lock is shown beside the lock, in the balancer's own tests.)

#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test states what it takes for granted"
)]

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use evenhand::{Balance, BalanceLayer, LeastInFlight, PerPeer, Pick, Probe, Uniform, Weighted};
use evenhand_benches::answer::Answer;
use evenhand_benches::counting::{Counting, count};
use evenhand_benches::ejected::eject_half;
use evenhand_benches::one_task::peers;
use tower::{Layer, Service, service_fn};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static CLOCK_READS: AtomicU64 = AtomicU64::new(0);

/// Stands before the C library's function, by which the standard library reads its clocks.
///
/// # Safety
///
/// As the C library's.
#[allow(
    unsafe_code,
    reason = "there is no safe way to see that a clock is read"
)]
// SAFETY: it has the signature of the function that it stands for, and does what that does.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> i32 {
    CLOCK_READS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the caller keeps the contract of `clock_gettime`, which is the system call's.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as i32 }
}

fn clock_reads() -> u64 {
    CLOCK_READS.load(Ordering::Relaxed)
}

/// Sends a request to its end in one poll, outside every runtime: where it started a task it would
/// panic.
fn send<R>(balance: &mut Balance<PerPeer, Answer, R>, request: u64)
where
    Balance<PerPeer, Answer, R>: Service<u64, Response = u64>,
{
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(balance.call(request)).poll(&mut cx) {
        Poll::Ready(Ok(_)) => {}
        _ => panic!("the request was not settled at once"),
    }
}

/// Which peers are out, and who probes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Out {
    None,
    /// And picks look at the clock, to probe them when they are due.
    Half,
    /// And a background task probes them.
    HalfProbed,
}

/// With time limits a request that never waits costs the same.
fn limited<R>(layer: BalanceLayer<Answer, R>) -> BalanceLayer<Answer, R> {
    layer
        .attempt_timeout(Duration::from_secs(1))
        .deadline(Duration::from_secs(5))
}

fn assert_costs_nothing(
    pick: impl Pick + Clone,
    n: usize,
    out: Out,
    clone_each: bool,
    is_limited: bool,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be made");
    let peers = peers(n);
    let mut layer = BalanceLayer::new(peers.clone()).pick(pick);
    if out == Out::HalfProbed {
        let never = service_fn(|_| std::future::pending::<Result<(), ()>>());
        layer = layer.probe(Probe::new(never, Duration::from_secs(1)));
    }
    if is_limited {
        layer = limited(layer);
    }
    let mut balance = runtime.block_on(async {
        let balance = layer.layer(PerPeer);
        if out != Out::None {
            eject_half(&peers).await;
        }
        balance
    });
    // A clone that is called a second time makes a reference count of its own, once.
    (0..2).for_each(|request| send(&mut balance, request));
    let reads = clock_reads();
    let ((), counted) = count(|| {
        for request in 0..10_000 {
            if clone_each {
                send(&mut balance.clone(), request);
            } else {
                send(&mut balance, request);
            }
        }
    });
    let what = format!("{n} peers, {out:?} out, a clone each: {clone_each}, limits: {is_limited}");
    assert_eq!(counted.allocations, 0, "{what}");
    let read = if out == Out::Half { 10_000 } else { 0 };
    assert_eq!(clock_reads() - reads, read, "{what}: clock reads");
}

fn main() {
    request_on_its_first_peer_allocates_nothing();
    println!("nothing was allocated, and no clock was read");
}

fn request_on_its_first_peer_allocates_nothing() {
    let reads = clock_reads();
    let _ = Instant::now();
    assert!(clock_reads() > reads, "it is seen when a clock is read");

    for n in [2, 3, 10, 1000] {
        for out in [Out::None, Out::Half, Out::HalfProbed] {
            for clone_each in [false, true] {
                for is_limited in [false, true] {
                    assert_costs_nothing(Uniform, n, out, clone_each, is_limited);
                }
                assert_costs_nothing(Weighted, n, out, clone_each, false);
                assert_costs_nothing(LeastInFlight, n, out, clone_each, false);
            }
        }
    }
}
