//! Each row set up for 64 tasks on two threads, all of which call without pause.
//!
//! What it measures is what it costs to share a balancer: under `Buffer` every call goes through a
//! queue to one worker and back, and the task waits for it; the others run in the caller's task.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tower::Service;
use tower::buffer::Buffer;

use crate::answer::{Answer, send, send_all};
use crate::ejected::eject_half;
use crate::one_task::{BUFFER_BOUND, Run, evenhand, p2c, peers};
use crate::row::Row;
use crate::seed::Seed;

/// How many tasks call at once.
pub const TASKS: u64 = 64;
/// On how many threads.
pub const THREADS: usize = 2;

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    let built = builder.worker_threads(THREADS).enable_time().build();
    built.expect("a runtime can be made")
}

/// Runs a task for each share of the calls.
fn share<F>(runtime: &Runtime, calls: u64, task: impl Fn(u64) -> F) -> u64
where
    F: Future<Output = u64> + Send + 'static,
{
    runtime.block_on(async {
        let spawn = |_| tokio::spawn(task(calls / TASKS));
        let tasks: Vec<_> = (0..TASKS).map(spawn).collect();
        let mut sum = 0_u64;
        for task in tasks {
            sum = sum.wrapping_add(task.await.expect("no task panics"));
        }
        sum
    })
}

/// The same with a separate handle for each task.
fn share_service<S>(runtime: &Runtime, calls: u64, service: &S) -> u64
where
    S: Service<u64, Response = u64> + Clone + Send + 'static,
    S::Future: Send,
{
    share(runtime, calls, |calls| {
        let mut service = service.clone();
        async move { send_all(&mut service, calls).await }
    })
}

/// Sets a row up over `n` peers; `None` for rows that tasks cannot share.
pub fn set_up(row: Row, n: usize) -> Option<Run> {
    let runtime = runtime();
    Some(match row {
        Row::Direct | Row::P2c | Row::EvenhandAsk => return None,
        Row::Buffer => {
            let buffer = runtime.block_on(async { Buffer::new(p2c(n), BUFFER_BOUND) });
            Box::new(move |calls| share_service(&runtime, calls, &buffer))
        }
        Row::Seed => {
            let seed = Arc::new(Seed::new(Answer::peers(n)));
            Box::new(move |calls| {
                share(&runtime, calls, |calls| {
                    let seed = seed.clone();
                    async move {
                        let mut sum = 0_u64;
                        for request in 0..calls {
                            let answer = seed.call(request).await.expect("no peer is down");
                            sum = sum.wrapping_add(answer);
                        }
                        sum
                    }
                })
            })
        }
        Row::Evenhand | Row::EvenhandHalf => {
            let peers = peers(n);
            if row == Row::EvenhandHalf {
                runtime.block_on(eject_half(&peers));
            }
            let balance = evenhand(&peers);
            Box::new(move |calls| share_service(&runtime, calls, &balance))
        }
        Row::EvenhandClone => {
            let balance = evenhand(&peers(n));
            Box::new(move |calls| {
                share(&runtime, calls, |calls| {
                    let balance = balance.clone();
                    async move {
                        let mut sum = 0_u64;
                        for request in 0..calls {
                            let answer = send(&mut balance.clone(), request).await;
                            sum = sum.wrapping_add(answer);
                        }
                        sum
                    }
                })
            })
        }
    })
}
