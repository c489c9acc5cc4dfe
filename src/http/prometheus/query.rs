//! `query` and `query_range`: an expression, evaluated over the store.
//!
//! The pattern: an evaluation waits for its turn, runs on a thread that may wait, and ends
//! early when its time is over or nobody waits for the answer any more. What it may take is
//! bounded four ways: samples and series (by the evaluator), points of a series, and values
//! of the answer, which are some 30 bytes each as text. One would get it wrong by dropping
//! the future of a request and calling that the end: its thread would go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::form::{Given, bad_data, bad_parameter, duration};
use super::{Success, TRUNCATED, write};
use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::http::auth::{Access, MonitoringRead};
use crate::http::cache::Asked as Range;
use crate::http::error::Problem;
use crate::http::registry::{Registry, routes};
use crate::http::routes::query::json;
use crate::http::state::{App, AppState};
use crate::model::query::Resolution;
use crate::promql::eval::{self, ErrorKind, EvalError, Limits, RangeSeries, Value};
use crate::promql::source::{Request, Series, Source, SourceError};
use crate::promql::{Expr, parse};
use crate::runtime::supervisor::Supervisor;
use crate::store::{Store, StoreSource};

/// One evaluation may take so long, waiting for its turn included.
const DEADLINE: Duration = Duration::from_secs(30);
/// Samples read and values computed on the way, 16 bytes each.
const MOST_SAMPLES: usize = 5_000_000;
/// Points of one series of a range, as in Prometheus.
const MOST_POINTS: i64 = 11_000;
/// Values of one answer, over all its series.
const MOST_VALUES: usize = 500_000;
/// Of an expression in an error, characters.
const SHOWN: usize = 80;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(query, query_form)).routes(routes!(range, range_form))
}

/// What a query answers.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PrometheusQueryData)]
pub struct QueryData {
    /// `vector`, `matrix`, `scalar` or `string`.
    result_type: String,
    /// Vector: objects with `metric` and `value`; matrix: with `metric` and `values`; else
    /// one value. A value is a list of its time in seconds and its text.
    result: Vec<serde_json::Value>,
}

/// The value of an expression at one time.
#[utoipa::path(
    get, path = "/prometheus/api/v1/query", tag = "prometheus",
    params(
        ("query" = String, Query, description = "PromQL."),
        ("time" = Option<String>, Query, description = "Seconds since 1970 or RFC 3339; now by default."),
        ("timeout" = Option<String>, Query, description = "A duration; 30s by default and at most."),
        ("lookback_delta" = Option<String>, Query, description = "How old a sample may be; 5m by default."),
        ("limit" = Option<usize>, Query, description = "Series to answer; 0 or nothing is all.")
    ),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<QueryData>))
)]
async fn query(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    form: Given,
) -> Result<Response, Problem> {
    instant_of(&app, &form).await
}

/// The same with the parameters in a form.
#[utoipa::path(
    post, path = "/prometheus/api/v1/query", tag = "prometheus",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<QueryData>))
)]
async fn query_form(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    form: Given,
) -> Result<Response, Problem> {
    instant_of(&app, &form).await
}

/// The values of an expression at even steps of a range.
#[utoipa::path(
    get, path = "/prometheus/api/v1/query_range", tag = "prometheus",
    params(
        ("query" = String, Query, description = "PromQL."),
        ("start" = String, Query, description = "Seconds since 1970 or RFC 3339."),
        ("end" = String, Query, description = "Included."),
        ("step" = String, Query, description = "Seconds, or a duration."),
        ("timeout" = Option<String>, Query, description = "A duration; 30s by default and at most."),
        ("lookback_delta" = Option<String>, Query, description = "How old a sample may be; 5m by default."),
        ("limit" = Option<usize>, Query, description = "Series to answer; 0 or nothing is all.")
    ),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<QueryData>))
)]
async fn range(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    form: Given,
) -> Result<Response, Problem> {
    range_of(&app, &form).await
}

/// The same with the parameters in a form.
#[utoipa::path(
    post, path = "/prometheus/api/v1/query_range", tag = "prometheus",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Success<QueryData>))
)]
async fn range_form(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    form: Given,
) -> Result<Response, Problem> {
    range_of(&app, &form).await
}

async fn instant_of(app: &App, form: &Given) -> Result<Response, Problem> {
    let at = form.time("time")?.unwrap_or_else(|| app.now());
    let asked = Asked::of(form)?;
    asked.evaluate(app, Times::At(at)).await.map(json)
}

async fn range_of(app: &App, form: &Given) -> Result<Response, Problem> {
    let time = |name| {
        let missing = || bad_parameter(name, "cannot parse \"\" to a valid timestamp");
        form.time(name)?.ok_or_else(missing)
    };
    let (start, end) = (time("start")?, time("end")?);
    if end < start {
        return Err(bad_parameter("end", "end timestamp must not be before start time"));
    }
    let step = duration("step", form.text("step"))?;
    let millis = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
    if millis == 0 {
        let message =
            "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(bad_parameter("step", message));
    }
    if end.millis().saturating_sub(start.millis()) / millis > MOST_POINTS {
        let message = "exceeded maximum resolution of 11,000 points per timeseries. \
                       Try decreasing the query resolution (?step=XX)";
        return Err(bad_data(message));
    }
    let asked = Asked::of(form)?;
    let settings = app.config.borrow().cache.clone();
    let range = Range { start, end, step };
    let Asked { text, lookback, limit, .. } = &asked;
    let (text, key) = (
        text.clone(),
        format!("prometheus {} {} {step:?} {lookback:?} {limit} {text}", start.millis(), end.millis()),
    );
    if let Some(kept) = app.answers.get(&key, range, app.times(), &settings) {
        return Ok(json(kept));
    }
    let answer = asked.evaluate(app, Times::Steps { start, end, step }).await?;
    app.answers.put(key, text, &answer, range, app.times(), &settings);
    Ok(json(answer))
}

/// For which times an expression is evaluated.
#[derive(Clone, Copy)]
enum Times {
    At(Timestamp),
    Steps { start: Timestamp, end: Timestamp, step: Duration },
}

/// What both kinds of query have.
struct Asked {
    text: String,
    expr: Expr,
    timeout: Duration,
    lookback: Option<Duration>,
    limit: usize,
}

impl Asked {
    fn of(form: &Given) -> Result<Self, Problem> {
        let text = form.text("query").to_owned();
        let expr = parse(&text).map_err(|error| bad_parameter("query", error))?;
        let lookback = form.duration("lookback_delta")?.filter(|lookback| !lookback.is_zero());
        let timeout = form.duration("timeout")?.unwrap_or(DEADLINE).min(DEADLINE);
        Ok(Self { text, expr, timeout, lookback, limit: form.limit("limit")? })
    }

    /// Evaluates when it is its turn, and writes the answer.
    async fn evaluate(self, app: &App, times: Times) -> Result<Bytes, Problem> {
        let store = app.store()?.clone();
        let clock = app.services.clock.clone();
        let started = clock.monotonic();
        let turn = tokio::time::timeout(self.timeout, app.evaluations.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let words = "query timed out in query queue: other expressions are being evaluated";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", words).retry_after(5));
        };
        let watch = Watch { clock, started, timeout: self.timeout, gone: Arc::default() };
        let _waits = Waits(watch.gone.clone());
        // The turn goes along: the thread does not end when the client goes.
        let work = move || {
            let _turn = turn;
            self.run(store, times, &watch)
        };
        let body = Supervisor::blocking(work).await.ok_or_else(Problem::internal)??;
        Ok(Bytes::from(body))
    }

    fn run(&self, store: Store, times: Times, watch: &Watch) -> Result<Vec<u8>, Problem> {
        let stop = || watch.is_over();
        let source = Stoppable { source: StoreSource::new(store), stop: &stop };
        let mut limits = Limits { max_samples: MOST_SAMPLES, ..Limits::new(&stop) };
        limits.lookback = self.lookback.unwrap_or(limits.lookback);
        let explained = |error: EvalError| if stop() { out_of_time() } else { explain(&self.text, &error) };
        let (mut value, mut warnings) = match times {
            Times::At(at) => {
                let answer = eval::instant(&self.expr, at.millis(), &source, &limits);
                let answer = answer.map_err(explained)?;
                (answer.value, answer.warnings)
            }
            Times::Steps { start, end, step } => {
                let (start, end) = (start.millis(), end.millis());
                let answer = eval::range(&self.expr, start, end, step, &source, &limits);
                let answer = answer.map_err(explained)?;
                (Value::Matrix(answer.value), answer.warnings)
            }
        };
        if cut(&mut value, self.limit) {
            warnings.push(TRUNCATED.to_owned());
        }
        let found = values(&value);
        if found > MOST_VALUES {
            let words = format!("the answer holds {found} values, more than the limit of {MOST_VALUES}");
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", words));
        }
        warnings.extend(source.source.warnings());
        let infos: Vec<String> = resolution(&source.source.resolutions()).into_iter().collect();
        let mut out = br#"{"status":"success","data":"#.to_vec();
        match (&value, times) {
            (Value::Matrix(series), _) => write::matrix(&mut out, series),
            (value, Times::At(at)) => write::value(&mut out, at.millis(), value),
            (value, Times::Steps { end, .. }) => write::value(&mut out, end.millis(), value),
        }
        for (name, remarks) in [("warnings", warnings), ("infos", infos)] {
            if !remarks.is_empty() {
                out.extend_from_slice(format!(",\"{name}\":").as_bytes());
                // Texts have a form in JSON, and memory takes every byte.
                let _ = serde_json::to_writer(&mut out, &remarks);
            }
        }
        out.push(b'}');
        Ok(out)
    }
}

/// When an evaluation is to end.
struct Watch {
    clock: Arc<dyn Clock>,
    started: Monotonic,
    timeout: Duration,
    gone: Arc<AtomicBool>,
}

impl Watch {
    fn is_over(&self) -> bool {
        self.gone.load(Ordering::Relaxed) || self.clock.monotonic().since(self.started) > self.timeout
    }
}

/// Held by the request; says when it is dropped.
struct Waits(Arc<AtomicBool>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks before each selector, too: an expression may have thousands that find nothing.
struct Stoppable<'a> {
    source: StoreSource,
    stop: &'a dyn Fn() -> bool,
}

impl Source for Stoppable<'_> {
    fn select(&self, request: &Request<'_>) -> Result<Vec<Series>, SourceError> {
        if (self.stop)() {
            return Err(SourceError::Unavailable(String::from("stopped")));
        }
        self.source.select(request)
    }
}

fn out_of_time() -> Problem {
    let words = "query timed out in expression evaluation";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", words)
}

/// An error with the part of the expression that it is about.
fn explain(text: &str, error: &EvalError) -> Problem {
    let (status, code) = match error.kind {
        ErrorKind::BadData => (StatusCode::BAD_REQUEST, "bad_data"),
        ErrorKind::Execution | ErrorKind::TooMuch => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
        ErrorKind::Timeout => return out_of_time(),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let part = error.span.and_then(|span| text.get(span.start..span.end));
    let message = match part.filter(|part| part.len() < text.trim().len()) {
        Some(part) => {
            let shown: String = part.chars().take(SHOWN).collect();
            format!("{} (in `{shown}`)", error.message)
        }
        None => error.message.clone(),
    };
    Problem::new(status, code, message)
}

/// Leaves at most so many series; whether there were more.
fn cut(value: &mut Value, limit: usize) -> bool {
    let before = match value {
        Value::Vector(samples) => {
            let before = samples.len();
            samples.truncate(limit);
            before
        }
        Value::Matrix(series) => {
            let before = series.len();
            series.truncate(limit);
            before
        }
        Value::Scalar(_) | Value::Text(_) => return false,
    };
    before > limit
}

fn values(value: &Value) -> usize {
    match value {
        Value::Scalar(_) | Value::Text(_) => 1,
        Value::Vector(samples) => samples.len(),
        Value::Matrix(series) => series.iter().map(|RangeSeries { points, .. }| points.len()).sum(),
    }
}

/// Says what an answer was made from, where that is not every sample.
fn resolution(used: &[Resolution]) -> Option<String> {
    if used.iter().all(|one| *one == Resolution::Raw) {
        return None;
    }
    let words = used.iter().map(|one| match one {
        Resolution::Raw => "raw samples",
        Resolution::Minute => "1m rows",
        Resolution::Hour => "1h rows",
    });
    Some(format!("resolution: made from {}", words.collect::<Vec<_>>().join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::ManualClock;
    use crate::promql::ast::Span;

    #[test]
    fn an_evaluation_ends_when_its_time_is_over_or_nobody_waits() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let timeout = Duration::from_secs(5);
        let shared: Arc<dyn Clock> = clock.clone();
        let started = shared.monotonic();
        let watch = Watch { clock: shared, started, timeout, gone: Arc::default() };
        let waits = Waits(watch.gone.clone());
        clock.advance(timeout);
        assert!(!watch.is_over());
        drop(waits);
        assert!(watch.is_over(), "the client went");
        let watch = Watch { gone: Arc::default(), ..watch };
        clock.advance(Duration::from_millis(1));
        assert!(watch.is_over(), "the time is over");
    }

    #[test]
    fn an_error_names_the_part_it_is_about() {
        let mut error = EvalError { kind: ErrorKind::Execution, message: "no".into(), span: None };
        assert_eq!(explain("a + b", &error).detail, "no");
        error.span = Some(Span::new(4, 5));
        let problem = explain("a + b", &error);
        assert_eq!((problem.status.as_u16(), problem.detail.as_str()), (422, "no (in `b`)"));
        error.span = Some(Span::new(0, 5));
        assert_eq!(explain("a + b", &error).detail, "no");
    }

    #[test]
    fn only_what_is_coarser_than_samples_is_told() {
        assert_eq!(resolution(&[]), None);
        assert_eq!(resolution(&[Resolution::Raw]), None);
        let both = resolution(&[Resolution::Raw, Resolution::Minute]).unwrap();
        assert_eq!(both, "resolution: made from raw samples and 1m rows");
    }
}
