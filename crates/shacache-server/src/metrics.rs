//! What the server counts about itself, in the OpenMetrics text form that Prometheus reads. Owns
//! the names and the labels; a label's values are a closed set and never a digest, a key or
//! anything else that clients choose.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Method;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use shacache_store::Store;

use self::archive::Archive;
use self::connections::Connections;
use crate::listen::Counters;

mod archive;
mod connections;

/// The counters of one server. Cloning shares them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    sent_bytes: Family<RouteLabels, Counter>,
    received_bytes: Family<RouteLabels, Counter>,
    /// By method and route.
    at_hand: [[OnceLock<AtHand>; ROUTES]; METHODS.len()],
    panics: Counter,
    cut_short: Counter,
}

impl Metrics {
    /// Everything at zero. What the listener and the store count themselves is shown beside.
    pub(crate) fn new(connections: Arc<Counters>, store: Store) -> Self {
        let mut counted = Inner {
            registry: Registry::default(),
            requests: Family::default(),
            seconds: Family::new_with_constructor(durations),
            sent_bytes: Family::default(),
            received_bytes: Family::default(),
            at_hand: Default::default(),
            panics: Counter::default(),
            cut_short: Counter::default(),
        };
        counted.registry = counted.register(connections, store);
        Self(Arc::new(counted))
    }

    /// A request is over: its answer sent in full, or given up by either side; `code` is 499 when
    /// that was before the answer began.
    pub(crate) fn answered(
        &self,
        method: &Method,
        route: Route,
        code: u16,
        sent_bytes: u64,
        elapsed: Duration,
    ) {
        let method = MethodLabel::from(method);
        let labels = RouteLabels { method, route };
        let at_hand = self.0.at_hand[method.0][route as usize].get_or_init(|| AtHand {
            successes: OnceLock::new(),
            seconds: self.0.seconds.get_or_create_owned(&labels),
            sent_bytes: self.0.sent_bytes.get_or_create_owned(&labels),
        });
        let labels = RequestLabels { method, route, code };
        let requests = || self.0.requests.get_or_create_owned(&labels);
        match code {
            200 => at_hand.successes.get_or_init(requests).inc(),
            _ => requests().inc(),
        };
        at_hand.seconds.observe(elapsed.as_secs_f64());
        at_hand.sent_bytes.inc_by(sent_bytes);
    }

    /// Bytes of a write were stored.
    pub(crate) fn received(&self, method: &Method, route: Route, bytes: u64) {
        let labels = RouteLabels { method: MethodLabel::from(method), route };
        self.0.received_bytes.get_or_create(&labels).inc_by(bytes);
    }

    /// A handler panicked.
    pub(crate) fn panicked(&self) {
        self.0.panics.inc();
    }

    /// An answer ended short of its Content-Length because of this server.
    pub(crate) fn answer_cut_short(&self) {
        self.0.cut_short.inc();
    }

    /// All of it as text.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("a String takes all that is written to it");
        text
    }

    /// The media type of [`Metrics::to_text`].
    pub(crate) const MEDIA_TYPE: &str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

impl Inner {
    fn register(&self, connections: Arc<Counters>, store: Store) -> Registry {
        let mut registry = Registry::with_prefix("shacache");
        registry.register(
            "requests",
            "Requests answered, or given up by the client (499)",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request",
            "From the end of a request's headers to the end of its answer",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register_with_unit(
            "sent",
            "Bytes of answers, without headers",
            Unit::Bytes,
            self.sent_bytes.clone(),
        );
        registry.register_with_unit(
            "received",
            "Bytes stored by writes that succeeded",
            Unit::Bytes,
            self.received_bytes.clone(),
        );
        registry.register("panics", "Handlers that panicked", self.panics.clone());
        registry.register(
            "answers_cut_short",
            "Answers ended early because stored bytes were damaged, unreadable or gone",
            self.cut_short.clone(),
        );
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The program that runs", Info::new(version));
        registry.register_collector(Box::new(Connections(connections)));
        registry.register_collector(Box::new(Archive(store)));
        registry
    }
}

/// What nearly every answer adds to, found once: finding it costs more than the rest.
#[derive(Debug)]
struct AtHand {
    successes: OnceLock<Counter>,
    seconds: Histogram,
    sent_bytes: Counter,
}

/// What a request was for, as the metrics tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    /// The root of a blob mount, where new blobs are sent.
    Blobs,
    /// One blob.
    Blob,
    /// One key of the directory.
    Key,
    /// Health, metrics, version.
    Operations,
    /// What operators ask for.
    Administration,
    /// No path of ours. It stays the last one: [`ROUTES`] is counted by it.
    None,
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            Self::Blobs => "blobs",
            Self::Blob => "blob",
            Self::Key => "key",
            Self::Operations => "operations",
            Self::Administration => "administration",
            Self::None => "none",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

/// How many there are: one more than the last.
const ROUTES: usize = Route::None as usize + 1;

/// A place in [`METHODS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct MethodLabel(usize);

/// The methods told apart; a client can invent any number of others.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "other"];

impl From<&Method> for MethodLabel {
    fn from(method: &Method) -> Self {
        Self(METHODS.iter().position(|known| method == known).unwrap_or(METHODS.len() - 1))
    }
}

impl EncodeLabelValue for MethodLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&METHODS[self.0], encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: MethodLabel,
    route: Route,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: MethodLabel,
    route: Route,
}

/// Buckets from 0.25 ms for a cached answer to over an hour for a large upload.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 4.0, 13))
}
