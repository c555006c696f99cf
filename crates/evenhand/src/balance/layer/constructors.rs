//! Constructors of balancers beside `Layer::layer`.

use tower_layer::Layer;
use tower_service::Service;

use super::BalanceLayer;
use crate::attempt::{Attempt, PeerTarget};
use crate::balance::rules::{Rules, RulesFor};
use crate::balance::service::Balance;
use crate::classify::Verdict;
use crate::peers::Peers;
use crate::pick::PickFor;
use crate::replay::Replay;

impl<Connector, Target: PeerTarget> Balance<Connector, Target> {
    /// Balances over `peers`, which `connector` reaches, with the defaults of a [`BalanceLayer`].
    pub fn new(connector: Connector, peers: Peers<Target>) -> Self {
        BalanceLayer::new(peers).layer(connector)
    }
}

impl<Target> Balance<(), Target> {
    /// A layer that balances over `peers`: [`BalanceLayer::new`].
    pub fn layer(peers: Peers<Target>) -> BalanceLayer<Target> {
        BalanceLayer::new(peers)
    }
}

impl<Target, R: Clone> BalanceLayer<Target, R> {
    /// As [`Layer::layer`], but here the compiler says what does not fit: the connector, the
    /// classifier, or the way in which requests are copied. `Layer::layer` takes whatever it gets, and the
    /// first use of the service shows that something does not fit.
    ///
    /// ```
    /// use evenhand::{Attempt, BalanceLayer, Peers};
    /// use tower::{ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let peers = Peers::new([("a", "10.0.0.1".to_owned())])?;
    /// let balance = BalanceLayer::new(peers).service(service_fn(
    ///     async |attempt: Attempt<String, u32>| Ok::<_, std::io::Error>(attempt.request + 1),
    /// ));
    /// assert_eq!(balance.oneshot(1).await?, 2);
    /// # Ok(()) }
    /// ```
    pub fn service<Connector, Request>(&self, connector: Connector) -> Balance<Connector, Target, R>
    where
        Target: PeerTarget,
        Connector: Service<Attempt<Target, Request>> + Clone,
        R: RulesFor<Request, Connector::Response, Connector::Error>,
    {
        self.layer(connector)
    }
}

impl<Target, Classifier, Replayer, Picker> BalanceLayer<Target, Rules<Classifier, Replayer, Picker>>
where
    Replayer: Clone,
    Picker: Clone,
{
    /// As [`service`](Self::service), with this closure as the [classifier](Self::classify). It takes
    /// the types of its outcomes from the connector.
    ///
    /// ```
    /// use std::io;
    /// use evenhand::{Attempt, BalanceLayer, Peers, Verdict};
    /// use tower::{ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let connector = service_fn(async |attempt: Attempt<u16, String>| match *attempt.peer {
    ///     1 => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
    ///     _ => Ok(attempt.request),
    /// });
    /// let balance = BalanceLayer::new(Peers::new([("a", 1), ("b", 2)])?)
    ///     .service_classified_by(connector, |outcome| match outcome {
    ///         Ok(_) => Verdict::healthy(),
    ///         Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Verdict::down().safe(),
    ///         Err(_) => Verdict::degraded().if_idempotent(),
    ///     });
    /// assert_eq!(balance.oneshot("hello".to_owned()).await?, "hello");
    /// # Ok(()) }
    /// ```
    pub fn service_classified_by<Connector, Request, F>(
        self,
        connector: Connector,
        classify: F,
    ) -> Balance<Connector, Target, Rules<F, Replayer, Picker>>
    where
        Target: PeerTarget,
        Connector: Service<Attempt<Target, Request>> + Clone,
        F: Fn(Result<&Connector::Response, &Connector::Error>) -> Verdict + Clone,
        Replayer: Replay<Request>,
        Picker: PickFor<Request>,
    {
        self.classify(classify).layer(connector)
    }
}
