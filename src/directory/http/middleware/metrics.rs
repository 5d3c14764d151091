//! `GET /metrics`: Prometheus metrics of the directory. No label holds a tenant or a number.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::app::App;
use super::error::ApiError;
use crate::directory::store::DatabaseSize;
use crate::directory::store::changes::Changes;
use crate::http_server::Validity;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Endpoint {
    method: String,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FileRead {
    outcome: &'static str,
}

// === impl FileRead ===

impl FileRead {
    fn of(in_use: bool) -> Self {
        let outcome = if in_use { "used" } else { "refused" };
        Self { outcome }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RingLabel {
    from: &'static str,
    outcome: &'static str,
}

/// All metrics of the directory. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    answers: Family<StatusLabel, Counter>,
    seconds: Family<Endpoint, Histogram, fn() -> Histogram>,
    in_flight: Gauge<i64, AtomicI64>,
    key_files: Family<FileRead, Counter>,
    database: Gauge<i64, AtomicI64>,
    database_limit: Optional,
    refused_legs: Counter,
    rings: Family<RingLabel, Counter>,
    streams: Gauge<i64, AtomicI64>,
    waiters: Gauge<i64, AtomicI64>,
    certificate: CertificateMetrics,
}

/// A gauge that is absent until it is set.
type Optional = Family<[(&'static str, &'static str); 0], Gauge>;

/// What is told of the directory's own certificate; nothing without TLS.
#[derive(Debug, Clone, Default)]
struct CertificateMetrics {
    start: Optional,
    expiry: Optional,
    changes: Family<FileRead, Counter>,
}

/// Decrements the number of requests in flight on drop, however the request ends.
struct Flight(Gauge<i64, AtomicI64>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("switchboard_directory");
        let answers = Family::<StatusLabel, Counter>::default();
        // The buckets range from half a millisecond to sixteen seconds.
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(0.0005, 2.0, 16));
        let seconds = Family::new_with_constructor(buckets);
        let in_flight = Gauge::default();
        let key_files = Family::<FileRead, Counter>::default();
        let database = Gauge::default();
        let database_limit = Family::default();
        registry.register(
            "build",
            "The version that runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register_with_unit(
            "database",
            "How large the database is",
            Unit::Bytes,
            database.clone(),
        );
        registry.register_with_unit(
            "database_limit",
            "How large the database may become; absent where nobody said so",
            Unit::Bytes,
            database_limit.clone(),
        );
        let refused_legs = Counter::default();
        registry.register(
            "requests",
            "Requests answered, by route and status (429: over a tenant's share, 503: cannot serve)",
            answers.clone(),
        );
        registry.register(
            "request_duration_seconds",
            "How long requests took",
            seconds.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests not answered yet",
            in_flight.clone(),
        );
        registry.register(
            "key_file_changes",
            "Changes of the key file that were seen (refused: the keys stay as they were)",
            key_files.clone(),
        );
        registry.register(
            "refused_legs",
            "Legs of calls that could not be read and are not kept, in deliveries whose other legs are kept",
            refused_legs.clone(),
        );
        let rings = Family::<RingLabel, Counter>::default();
        registry.register(
            "rings",
            "Numbers that rang and had no contact, from screens that waited and from the platform, by what became of them",
            rings.clone(),
        );
        let streams = Gauge::default();
        registry.register(
            "waiting_streams",
            "Controllers that follow which companies wait, on this replica",
            streams.clone(),
        );
        let waiters = Gauge::default();
        registry.register(
            "ring_waiters",
            "Requests that wait for a name at this moment",
            waiters.clone(),
        );
        let certificate = CertificateMetrics::default();
        registry.register(
            "tls_certificate_start_timestamp_seconds",
            "Since when the certificate in use is good; absent without TLS",
            certificate.start.clone(),
        );
        registry.register(
            "tls_certificate_expiry_timestamp_seconds",
            "When the certificate in use expires; absent without TLS",
            certificate.expiry.clone(),
        );
        registry.register(
            "tls_certificate_changes",
            "Changes of the certificate's files that were seen (refused: the old one stays in use)",
            certificate.changes.clone(),
        );
        Self {
            registry: Arc::new(registry),
            answers,
            seconds,
            in_flight,
            key_files,
            database,
            database_limit,
            refused_legs,
            rings,
            streams,
            waiters,
            certificate,
        }
    }
}

impl Metrics {
    /// Counts a change of the key file.
    pub(crate) fn key_file_changed(&self, in_use: bool) {
        self.key_files.get_or_create(&FileRead::of(in_use)).inc();
    }

    /// Counts a change of the certificate's files.
    pub(crate) fn certificate_changed(&self, in_use: bool) {
        let changes = &self.certificate.changes;
        changes.get_or_create(&FileRead::of(in_use)).inc();
    }

    /// How long the certificate in use is good.
    pub(crate) fn certificate_in_use(&self, validity: Validity) {
        let Validity { from, until } = validity;
        let certificate = &self.certificate;
        certificate.start.get_or_create(&[]).set(from.as_second());
        certificate.expiry.get_or_create(&[]).set(until.as_second());
    }

    /// All metrics, as `/metrics` serves them.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry).map(|()| text)
    }

    /// The size of the database, and the most that it may become.
    pub(crate) fn database_measured(&self, size: DatabaseSize) {
        let clamped = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.database.set(clamped(size.bytes));
        match size.limit {
            Some(limit) => {
                self.database_limit.get_or_create(&[]).set(clamped(limit));
            }
            None => self.database_limit.clear(),
        }
    }

    /// Counts legs that were not kept.
    pub(crate) fn legs_refused(&self, count: u32) {
        self.refused_legs.inc_by(u64::from(count));
    }

    /// Counts what became of a ring.
    pub(crate) fn rang(&self, from: &'static str, outcome: &'static str) {
        self.rings.get_or_create(&RingLabel { from, outcome }).inc();
    }

    /// How many streams are open, and how many requests wait for a name.
    pub(crate) fn waiting(&self, changes: &Changes) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.streams.set(gauge(changes.followers()));
        self.waiters.set(gauge(changes.waiters()));
    }

    fn answered(&self, method: String, route: String, status: u16, took: Duration) {
        let answer = StatusLabel {
            method: method.clone(),
            route: route.clone(),
            status,
        };
        self.answers.get_or_create(&answer).inc();
        self.seconds
            .get_or_create(&Endpoint { method, route })
            .observe(took.as_secs_f64());
    }
}

/// Counts a request by its route, not its path: a path may hold a phone number, and any client can
/// invent one.
pub(crate) async fn count(
    State(metrics): State<Metrics>,
    request: Request,
    next: Next,
) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let method = match request.method().as_str() {
        known @ ("GET" | "PUT" | "POST" | "DELETE" | "HEAD") => known,
        _ => "other",
    }
    .to_owned();
    let began = Instant::now();
    metrics.in_flight.inc();
    let flight = Flight(metrics.in_flight.clone());
    let response = next.run(request).await;
    drop(flight);
    metrics.answered(method, route, response.status().as_u16(), began.elapsed());
    response
}

/// `GET /metrics`.
pub(crate) async fn serve(State(app): State<App>) -> Result<Response, ApiError> {
    app.metrics.waiting(app.store.changes());
    let text = app.metrics.text().map_err(|_| ApiError::Internal)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}
