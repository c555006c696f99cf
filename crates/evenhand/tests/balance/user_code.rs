//! A user's code runs under no lock: wherever the balancer calls it, it may look at the set.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use crate::common::INTERVAL;
use evenhand::{
    Accrual, ActiveChecks, Attempt, BalanceLayer, Candidates, Cloned, Eject, Event, Peer, Peers,
    Pick, Probe, Uniform, Verdict,
};
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};

/// A user's code of every kind. Each piece looks at the set and changes it, and says that it ran.
#[derive(Clone)]
struct User {
    name: &'static str,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    peers: OnceLock<Peers<User>>,
    ran: Mutex<BTreeSet<&'static str>>,
    latest: Mutex<&'static str>,
    fails: Mutex<bool>,
}

impl User {
    fn named(&self, name: &'static str) -> (&'static str, Self) {
        let shared = self.shared.clone();
        (name, Self { name, shared })
    }

    fn look(&self, place: &'static str) {
        *self.shared.latest.lock().unwrap() = place;
        if let Some(peers) = self.shared.peers.get() {
            assert!(peers.up_count() <= peers.statuses().len());
            // Takes the lock as each transition does. Unknown once the peer has left.
            let _ = peers.set_weight("a", 1);
        }
        self.shared.ran.lock().unwrap().insert(place);
    }
}

/// As a target.
impl PartialEq for User {
    fn eq(&self, other: &Self) -> bool {
        self.look("PartialEq of a target");
        self.name == other.name
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if matches!(self.name, "b" | "c" | "request" | "accrual") {
            self.look(self.name);
        }
    }
}

impl Pick for User {
    fn pick<Target>(&self, candidates: &Candidates<'_, Target>) -> Option<usize> {
        self.look("pick");
        Uniform.pick(candidates)
    }
}

impl Accrual for User {
    fn healthy(&self) {
        self.look("accrual: healthy");
    }

    fn failed(&self, _: &Verdict) -> bool {
        self.look("accrual: failed");
        true
    }
}

struct Request(User);

impl Clone for Request {
    fn clone(&self) -> Self {
        self.0.look("copy of a request");
        Self(self.0.clone())
    }
}

/// Lets each piece run.
async fn run_all(user: User) {
    let looking = |place| {
        let user = user.clone();
        move || user.look(place)
    };
    let peers = Peers::new(["a", "b", "c"].map(|name| user.named(name))).unwrap();
    let _ = user.shared.peers.set(peers.clone());
    let observer = looking("observer");
    let _observing = peers.observe(move |_: &Event| observer());
    let (ready, probe) = (looking("probe: ready"), looking("probe"));
    let probe = service_fn(move |_: Peer<User>| {
        ready();
        let probe = probe.clone();
        async move {
            probe();
            Ok::<_, ()>(())
        }
    });
    let (classify, idempotent) = (looking("classify"), looking("is idempotent"));
    let (budget, make) = (looking("budget"), looking("a new accrual"));
    let accrual = user.named("accrual").1;
    let layer = BalanceLayer::new(peers.clone())
        .classify(move |outcome: Result<&(), &()>| {
            classify();
            match outcome {
                Ok(()) => Verdict::healthy(),
                Err(()) => Verdict::down().if_idempotent(),
            }
        })
        .replay(Cloned::idempotent_if(move |_: &Request| {
            idempotent();
            true
        }))
        .pick(user.clone())
        .retry_budget(move || {
            budget();
            true
        })
        .eject(Eject::accrual(move || {
            make();
            Box::new(accrual.clone())
        }))
        .probe(
            Probe::new(probe, Duration::from_secs(1))
                .active_checks(ActiveChecks::every(INTERVAL).under_traffic(true)),
        );
    let balance = layer.layer(service_fn({
        let user = user.clone();
        move |attempt: Attempt<User, Request>| {
            let user = user.clone();
            async move {
                attempt.peer.look("connector");
                let fails = std::mem::take(&mut *user.shared.fails.lock().unwrap());
                drop(attempt);
                if fails { Err(()) } else { Ok(()) }
            }
        }
    }));
    let request = || Request(user.named("request").1);
    for fails in [false, true, false] {
        *user.shared.fails.lock().unwrap() = fails;
        for _ in 0..20 {
            balance.clone().oneshot(request()).await.unwrap();
        }
        // The peer that failed is probed, and those that are up are checked.
        sleep(3 * INTERVAL).await;
    }
    peers
        .replace_all(["a", "b"].map(|name| user.named(name)))
        .unwrap();
    #[cfg(feature = "discover")]
    {
        use evenhand::discover::Change;
        use futures_util::stream;

        let same = looking("same");
        let change = Ok::<_, String>(Change::Insert("a", user.named("a").1));
        let discover = looking("discover");
        let changes = stream::once(async move {
            discover();
            change
        });
        peers
            .follow_by(Box::pin(changes), move |_, _| {
                same();
                true
            })
            .detach();
        sleep(INTERVAL).await;
    }
    peers.remove("b").unwrap();
    assert_eq!(peers.up_count(), 1);
    assert_eq!(peers.statuses()[0].in_flight, 0);
}

#[test]
fn a_users_code_may_look_at_the_set_wherever_it_runs() {
    let shared = Arc::new(Shared::default());
    let (done, is_done) = mpsc::channel();
    let user = User {
        name: "",
        shared: shared.clone(),
    };
    thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run_all(user));
        done.send(()).unwrap();
    });
    let result = is_done.recv_timeout(Duration::from_secs(60));
    assert!(result.is_ok(), "it ended or hung in: {:?}", shared.latest);
    let mut ran = shared.ran.lock().unwrap().clone();
    for place in [
        "PartialEq of a target",
        "a new accrual",
        "accrual",
        "accrual: failed",
        "accrual: healthy",
        "b",
        "budget",
        "c",
        "classify",
        "connector",
        "copy of a request",
        "is idempotent",
        "observer",
        "pick",
        "probe",
        "probe: ready",
        "request",
    ] {
        assert!(ran.remove(place), "did not run: {place}");
    }
    let rest: Vec<_> = ran.into_iter().collect();
    assert!(rest.is_empty() || rest == ["discover", "same"], "{rest:?}");
}
