//! A connector whose attempts hang until the test ends them, and futures that are polled only when
//! they were woken, so that a lost wake-up leaves its request pending.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use evenhand::{Attempt, Classify, Replay, Ticket, Verdict};
use tower::Service;

/// Whether a request can be copied, and whether it is idempotent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) copied: bool,
    pub(crate) idempotent: bool,
}

/// Copies the requests that are marked as copyable.
#[derive(Clone, Copy)]
pub(crate) struct AsMarked;

impl Replay<Request> for AsMarked {
    fn copy(&self, request: &Request) -> Option<Request> {
        request.copied.then_some(*request)
    }

    fn is_idempotent(&self, request: &Request) -> bool {
        request.idempotent
    }
}

/// How an attempt ended: the attempt's number and the classifier's verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) serial: usize,
    pub(crate) verdict: Verdict,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.serial)
    }
}

impl std::error::Error for End {}

/// Returns the verdict that the outcome carries.
#[derive(Clone, Copy)]
pub(crate) struct AsTold;

impl Classify<End, End> for AsTold {
    fn classify(&self, outcome: Result<&End, &End>) -> Verdict {
        match outcome {
            Ok(end) | Err(end) => end.verdict,
        }
    }
}

type Outcome = Result<End, End>;

/// What ends an attempt.
#[derive(Default)]
struct Control {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

/// An attempt as the connector saw it start.
pub(crate) struct Started {
    pub(crate) serial: usize,
    pub(crate) instance: u32,
    pub(crate) name: String,
    pub(crate) probe: bool,
    pub(crate) second_pass: bool,
    pub(crate) taken: Tickets,
    pub(crate) tickets: Vec<Kept>,
}

/// How many tickets an attempt has: plain ones, and clones of one that decides.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tickets {
    pub(crate) plain: u32,
    pub(crate) deciding: u32,
}

impl Tickets {
    fn take(self, attempt: &Attempt<u32, Request>, serial: usize) -> Vec<Kept> {
        let kept = |decides, ticket| Kept {
            serial,
            decides,
            ticket,
        };
        let plain = (0..self.plain).map(|_| kept(false, attempt.ticket()));
        let deciding = (0..self.deciding).map(|_| kept(true, attempt.deciding_ticket()));
        plain.chain(deciding).collect()
    }
}

/// A ticket of this attempt.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) serial: usize,
    pub(crate) decides: bool,
    pub(crate) ticket: Ticket<u32>,
}

#[derive(Default)]
struct Inner {
    controls: Vec<Arc<Mutex<Control>>>,
    started: Vec<Started>,
    tickets: Tickets,
}

/// The connector. Attempts are numbered in the order they start.
#[derive(Clone, Default)]
pub(crate) struct ControlledConnector(Arc<Mutex<Inner>>);

impl ControlledConnector {
    /// The tickets of the next attempts.
    pub(crate) fn leave_tickets(&self, tickets: Tickets) {
        self.0.lock().unwrap().tickets = tickets;
    }

    /// The attempts that started since the last call.
    pub(crate) fn started(&self) -> Vec<Started> {
        std::mem::take(&mut self.0.lock().unwrap().started)
    }

    /// Ends an attempt at its next poll.
    pub(crate) fn end(&self, serial: usize, ok: bool, verdict: Verdict) {
        let end = End { serial, verdict };
        let control = self.0.lock().unwrap().controls[serial].clone();
        let mut control = control.lock().unwrap();
        control.outcome = Some(if ok { Ok(end) } else { Err(end) });
        if let Some(waker) = control.waker.take() {
            waker.wake();
        }
    }
}

impl Service<Attempt<u32, Request>> for ControlledConnector {
    type Response = End;
    type Error = End;
    type Future = Hanging;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), End>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<u32, Request>) -> Hanging {
        let mut inner = self.0.lock().unwrap();
        let control = Arc::new(Mutex::new(Control::default()));
        let serial = inner.controls.len();
        let started = Started {
            serial,
            instance: *attempt.peer,
            name: attempt.peer.name().to_owned(),
            probe: attempt.is_probe(),
            second_pass: attempt.is_second_pass(),
            taken: inner.tickets,
            tickets: inner.tickets.take(&attempt, serial),
        };
        inner.controls.push(control.clone());
        inner.started.push(started);
        Hanging(control)
    }
}

pub(crate) struct Hanging(Arc<Mutex<Control>>);

impl Future for Hanging {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut control = self.0.lock().unwrap();
        match control.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                control.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A future that is polled only when it was woken.
pub(crate) struct Driven<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
    woken: Arc<Flag>,
}

impl<T> Driven<T> {
    pub(crate) fn new(future: impl Future<Output = T> + 'static) -> Self {
        Self {
            future: Box::pin(future),
            woken: Arc::new(Flag(AtomicBool::new(true))),
        }
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }

    pub(crate) fn poll(&mut self) -> Poll<T> {
        self.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(self.woken.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}
