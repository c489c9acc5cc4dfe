//! The family's answers.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use crate::base::id::Name;
use crate::base::time::Timestamp;
use crate::config::target::object_store::ObjectStore;
use crate::engine::operations;
use crate::http::routes::health::code_of;
use crate::logic::health::{of_class, of_target};
use crate::model::breaker::{BreakerTransition, BreakerView};
use crate::model::health::Health;
use crate::model::operation::OperationMetrics;
use crate::model::probe::{OperationOutcome, ProbeRecord};
use crate::model::query::Resolution;
use crate::model::target::TargetStatus;
use crate::store::{Store, StoreError};

const KIND: &str = "object_store";
const HOUR: Duration = Duration::from_secs(3600);

/// Which object store; absent, the only one.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Pick {
    /// Name of the target; absent, the only object store.
    pub target: Option<String>,
}

impl Pick {
    pub fn named(name: &Name) -> Self {
        Self { target: Some(name.to_string()) }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Name of the target; absent, the only object store.
    pub target: Option<String>,
    /// Operations in the answer, 50 unless said, at most 1000.
    pub limit: Option<usize>,
    /// Operations to leave out at the new end.
    pub offset: Option<usize>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MetricsQuery {
    /// Name of the target; absent, the only object store.
    pub target: Option<String>,
    /// How far back, 24 unless said, at most 17520.
    pub hours: Option<u64>,
}

/// The last time one operation was done, and its share of failures of the last hour.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct OperationHealth {
    status: Health,
    last_latency_ms: Option<f64>,
    /// Failed of all in the last hour, 0 to 1; absent before the first.
    error_rate: Option<f64>,
    /// Why it failed last, if it did.
    error: Option<String>,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    checked_at: Option<Timestamp>,
}

/// The store as a whole, and by operation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HealthAnswer {
    status: Health,
    message: String,
    service: String,
    target: String,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// Whether it is probed.
    monitoring: bool,
    /// Failed of all probes in the last hour, 0 to 1.
    error_rate: f64,
    circuit_breaker: Breaker,
    operations: BTreeMap<String, OperationHealth>,
}

impl HealthAnswer {
    /// 503 while the store does not serve.
    pub fn respond(self) -> Response {
        (code_of(self.status), Json(self)).into_response()
    }
}

/// Health by operation, in one look at what is stored. Blocking: reads the file.
pub fn by_operation(
    store: &Store,
    section: &ObjectStore,
    status: Option<&TargetStatus>,
    breaker: BreakerView,
    now: Timestamp,
) -> Result<HealthAnswer, StoreError> {
    let name = section.name.as_str();
    let hour = operations::read(store, KIND, name, now.minus(HOUR), now)?;
    let (probes, _) = store.probe_history(name, usize::MAX, 0)?;
    let part = status.map(|status| of_target(status, now));
    let mut answer = HealthAnswer {
        status: part.as_ref().map_or(Health::Unknown, |part| part.status),
        message: part.map_or_else(|| String::from("not probed yet"), |part| part.message),
        service: section.service_name.clone().unwrap_or_else(|| name.to_owned()),
        target: name.to_owned(),
        timestamp: now,
        monitoring: section.enabled,
        error_rate: status.map_or(0.0, |status| status.error_share),
        circuit_breaker: Breaker::of(&breaker),
        operations: BTreeMap::new(),
    };
    for operation in section.operations.iter().map(|operation| operation.word()) {
        // Behind an open breaker the last probe has but one operation.
        let last = probes.iter().find_map(|probe| {
            let done = probe.operations.iter().find(|done| done.operation == operation);
            done.map(|done| (probe.at, done))
        });
        let figures = hour.operations.iter().find(|figures| figures.operation == operation);
        let health = OperationHealth {
            status: last.map_or(Health::Unknown, |(_, done)| of_class(done.class)),
            last_latency_ms: last.map(|(_, done)| done.latency_ms),
            error_rate: figures.map(|figures| figures.error_rate),
            error: last.and_then(|(_, done)| reason(done)),
            checked_at: last.map(|(at, _)| at),
        };
        answer.operations.insert(operation.to_owned(), health);
    }
    Ok(answer)
}

/// What went wrong, in the store's own code and words.
fn reason(done: &OperationOutcome) -> Option<String> {
    match (done.code.as_str(), done.detail.as_str()) {
        ("", "") => None,
        (code, "") => Some(code.to_owned()),
        ("", detail) => Some(detail.to_owned()),
        (code, detail) => Some(format!("{code}: {detail}")),
    }
}

/// One operation that was done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Check {
    operation: String,
    status: Health,
    response_time_ms: f64,
    error: Option<String>,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    checked_at: Timestamp,
}

/// In the order in which they were done.
fn checks(probe: &ProbeRecord) -> impl DoubleEndedIterator<Item = Check> + '_ {
    probe.operations.iter().map(|done| Check {
        operation: done.operation.clone(),
        status: of_class(done.class),
        response_time_ms: done.latency_ms,
        error: reason(done),
        checked_at: probe.at,
    })
}

/// What a probe just came to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Checked {
    status: Health,
    target: String,
    results: Vec<Check>,
}

impl Checked {
    pub fn of(probe: &ProbeRecord) -> Self {
        let results = checks(probe).collect();
        Self { status: of_class(probe.class), target: probe.target.to_string(), results }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HistoryAnswer {
    history: Vec<Check>,
    total: usize,
    limit: usize,
    offset: usize,
}

impl HistoryAnswer {
    /// A page of the operations of `probes`, which are newest first.
    pub fn of(probes: &[ProbeRecord], limit: usize, offset: usize) -> Self {
        let total = probes.iter().map(|probe| probe.operations.len()).sum();
        let history = probes.iter().flat_map(|probe| checks(probe).rev()).skip(offset).take(limit).collect();
        Self { history, total, limit, offset }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MetricsAnswer {
    target: String,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// What was held of the window, finest first.
    resolutions: Vec<Resolution>,
    /// By operation; latencies in ms.
    metrics: BTreeMap<String, OperationMetrics>,
}

/// Blocking: reads the file.
pub fn metrics(
    store: &Store,
    name: &Name,
    (from, to): (Timestamp, Timestamp),
) -> Result<MetricsAnswer, StoreError> {
    let read = operations::read(store, KIND, name.as_str(), from, to)?;
    let metrics = read.operations.into_iter().map(|figures| (figures.operation.clone(), figures)).collect();
    Ok(MetricsAnswer { target: name.to_string(), from, to, resolutions: read.resolutions, metrics })
}

/// A breaker in the family's words.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CircuitBreaker)]
pub struct Breaker {
    /// CLOSED, OPEN, HALF_OPEN, FORCED_OPEN, DISABLED or METRICS_ONLY.
    state: String,
    failure_count: u32,
    success_count: u32,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_failure: Option<Timestamp>,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt: Option<Timestamp>,
    /// Of the monitoring window, 0 to 1.
    failure_rate: f64,
    /// Exponential moving average.
    average_response_ms: Option<f64>,
    /// Newest first.
    transitions: Vec<Transition>,
}

/// States in the family's words.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CircuitBreakerTransition)]
struct Transition {
    from: String,
    to: String,
    reason: &'static str,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl Breaker {
    pub fn of(view: &BreakerView) -> Self {
        let transition = |done: &BreakerTransition| Transition {
            from: done.from.word().to_uppercase(),
            to: done.to.word().to_uppercase(),
            reason: done.reason.word(),
            at: done.at,
        };
        Self {
            state: view.state.word().to_uppercase(),
            failure_count: view.failure_count,
            success_count: view.success_count,
            last_failure: view.last_failure,
            next_attempt: view.next_attempt,
            failure_rate: view.failure_rate,
            average_response_ms: view.average_response_ms,
            transitions: view.transitions.iter().map(transition).collect(),
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BreakerAnswer {
    pub target: String,
    #[serde(flatten)]
    pub breaker: Breaker,
}

/// Whether the store is probed from now on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Monitoring {
    pub target: String,
    pub running: bool,
}
