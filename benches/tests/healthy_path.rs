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
use std::time::Instant;

use evenhand::{Balance, BalanceLayer, LeastInFlight, PerPeer, Pick, Uniform, Weighted};
use evenhand_benches::answer::Answer;
use evenhand_benches::counting::{Counting, count};
use evenhand_benches::ejected::eject_half;
use evenhand_benches::one_task::peers;
use tower::{Layer, Service};

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

fn assert_costs_nothing(pick: impl Pick + Clone, n: usize, half_out: bool, clone_each: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be made");
    let peers = peers(n);
    if half_out {
        runtime.block_on(eject_half(&peers));
    }
    let mut balance = BalanceLayer::new(peers).pick(pick).layer(PerPeer);
    // A clone that is called a second time allocates a separate reference count, once.
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
    let what = format!("{n} peers, half out: {half_out}, a clone each: {clone_each}");
    assert_eq!(counted.allocations, 0, "{what}");
    assert_eq!(clock_reads(), reads, "{what}: a clock was read");
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
        for half_out in [false, true] {
            for clone_each in [false, true] {
                assert_costs_nothing(Uniform, n, half_out, clone_each);
                assert_costs_nothing(Weighted, n, half_out, clone_each);
                assert_costs_nothing(LeastInFlight, n, half_out, clone_each);
            }
        }
    }
}
