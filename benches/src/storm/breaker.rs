//! A circuit breaker around one peer, for use under p2c.
//!
//! It opens at the first failure, and is then not ready, so that p2c leaves its peer out. When its
//! time has come it lets one request through, and closes or opens again by what came of it. It is
//! given the same times as Evenhand's defaults, 1 s doubling up to 30 s, so that what differs is
//! what becomes of the request.
//!
//! As small as these measurements allow: a trial that is cancelled, which none here is, would
//! leave it half open for ever.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tower::Service;

const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(30);

/// The breaker and what it guards.
#[derive(Debug)]
pub struct Breaker<S> {
    inner: S,
    state: Arc<Mutex<State>>,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// How long it stays open next time.
    pause: Duration,
    /// Woken when a trial has ended.
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed,
    Open(Instant),
    /// Its time has come: the next request is the trial.
    HalfOpen,
    Trial,
}

impl<S> Breaker<S> {
    /// Closed.
    pub fn new(inner: S) -> Self {
        let state = State {
            phase: Phase::Closed,
            pause: FIRST,
            waker: None,
        };
        Self {
            inner,
            state: Arc::new(Mutex::new(state)),
            timer: None,
        }
    }
}

impl<S, R> Service<R> for Breaker<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let phase = lock(&self.state).phase;
        match phase {
            Phase::Closed | Phase::HalfOpen => return self.inner.poll_ready(cx),
            Phase::Open(until) => {
                let timer = self
                    .timer
                    .get_or_insert_with(|| Box::pin(sleep_until(until)));
                ready!(timer.as_mut().poll(cx));
                self.timer = None;
                lock(&self.state).phase = Phase::HalfOpen;
                return self.inner.poll_ready(cx);
            }
            Phase::Trial => {}
        }
        let mut state = lock(&self.state);
        if !matches!(state.phase, Phase::Trial) {
            // It ended this moment: look again.
            cx.waker().wake_by_ref();
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut state = lock(&self.state);
        let trial = matches!(state.phase, Phase::HalfOpen);
        if trial {
            state.phase = Phase::Trial;
        }
        drop(state);
        let (state, answer) = (self.state.clone(), self.inner.call(request));
        Box::pin(async move {
            let answer = answer.await;
            lock(&state).learn(answer.is_ok(), trial);
            answer
        })
    }
}

impl State {
    fn learn(&mut self, answered: bool, trial: bool) {
        // What was sent before it opened tells nothing new, unless it is still closed.
        if !trial && !matches!(self.phase, Phase::Closed) {
            return;
        }
        if answered {
            self.phase = Phase::Closed;
            self.pause = FIRST;
        } else {
            self.phase = Phase::Open(Instant::now() + self.pause);
            self.pause = (self.pause * 2).min(MOST);
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
