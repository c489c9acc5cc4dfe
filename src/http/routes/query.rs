//! `/api/v1/query` and `/api/v1/query_range`: values by selector.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::base::units::Span;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::cache::Asked;
use crate::http::error::Problem;
use crate::http::extract::ApiQuery;
use crate::http::number::{Number, Numbers};
use crate::http::registry::{Registry, routes};
use crate::http::state::AppState;
use crate::model::query::{LOOKBACK, RangeAnswer, RangeQuery, RangeSeries, Resolution, is_no_value};
use crate::model::selector::{MatchOp, Selector};
use crate::model::series::{labels_of, name_of};
use crate::promql::selector::parse;
use crate::runtime::supervisor::Supervisor;
use crate::store::{Store, StoreError};

const MOST_SELECTORS: usize = 64;
/// Regular expressions of one request: each is compiled, and tried on every series.
const MOST_EXPRESSIONS: usize = 16;
const MOST_SERIES: usize = 2000;
/// Values of one answer, over all its series and their bands. The page asks for 600
/// points of some 100 series, and eight more for each core.
const MOST_POINTS: usize = 500_000;
/// Hours that cannot be read are named one by one up to here.
const MOST_WARNINGS: usize = 20;
/// How long a range waits for others to be answered.
const QUEUE_DEADLINE: Duration = Duration::from_secs(15);
/// Points per series when the step is left to us.
const WANTED_POINTS: u64 = 600;
const DEFAULT_RANGE: Duration = Duration::from_secs(3600);
/// Steps that divide minutes, hours and days evenly, in seconds.
const STEPS: [u64; 16] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400];

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(query)).routes(routes!(query_range))
}

/// A series selector such as `node_load1` or `{__name__=~"node_.*",cpu="0"}`.
#[derive(utoipa::ToSchema)]
#[schema(min_length = 1)]
#[expect(dead_code, reason = "only a schema")]
pub struct SelectorText(String);

/// Reads the selectors of a request.
///
/// # Errors
/// 400 with the column of what is wrong; 422 `unsupported_expression` for PromQL
/// beyond selectors, and for too many regular expressions.
pub fn selectors(parameter: &str, texts: &[String]) -> Result<Vec<Selector>, Problem> {
    if texts.len() > MOST_SELECTORS {
        return Err(Problem::bad_parameter(parameter, format!("at most {MOST_SELECTORS} selectors")));
    }
    let read = |(at, text): (usize, &String)| {
        parse(text).map_err(|error| {
            let pointer = format!("{parameter}[{at}]");
            let (status, code) = if error.is_expression {
                (StatusCode::UNPROCESSABLE_ENTITY, "unsupported_expression")
            } else {
                (StatusCode::BAD_REQUEST, "bad_selector")
            };
            let shown: String = text.chars().take(200).collect();
            let problem = Problem::new(status, code, format!("`{shown}`: {error}"));
            let problem = problem.field(pointer, error.to_string());
            if error.is_expression {
                problem.hint("only series selectors are answered: name{label=\"value\",other=~\"regex\"}")
            } else {
                problem
            }
        })
    };
    let selectors = texts.iter().enumerate().map(read).collect::<Result<Vec<Selector>, Problem>>()?;
    let matchers = selectors.iter().flat_map(|selector| &selector.matchers);
    let count = matchers.filter(|one| matches!(one.op, MatchOp::Regex | MatchOp::NotRegex)).count();
    if count > MOST_EXPRESSIONS {
        let detail = format!("{count} regular expressions, more than the limit of {MOST_EXPRESSIONS}");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "query_too_large", detail)
            .hint("join expressions with `|`, or ask in several requests"));
    }
    Ok(selectors)
}

/// Name and labels of a canonical key.
pub fn split(key: &str) -> (String, BTreeMap<String, String>) {
    (name_of(key).to_owned(), labels_of(key).into_iter().collect())
}

fn time(parameter: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let read = |text: &str| {
        Timestamp::parse(text).ok_or_else(|| {
            let detail = format!("`{text}` is not a time: expected RFC 3339, epoch seconds or milliseconds");
            Problem::bad_parameter(parameter, detail)
        })
    };
    text.map(read).transpose()
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AtTime {
    /// Selectors, 1 to 64.
    #[param(inline, value_type = Vec<SelectorText>, min_items = 1, max_items = 64)]
    query: Vec<String>,
    /// RFC 3339, epoch seconds or milliseconds; now by default.
    #[param(min_length = 1)]
    time: Option<String>,
}

/// The value of one series at a time.
#[derive(Serialize, utoipa::ToSchema)]
struct InstantSeries {
    /// Index of the selector that matched.
    query: usize,
    name: String,
    labels: BTreeMap<String, String>,
    /// When the value was sampled, to the resolution that holds it.
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    value: Number,
}

#[derive(Serialize, utoipa::ToSchema)]
struct InstantAnswer {
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    series: Vec<InstantSeries>,
    /// What was stored and could not be read. Left out when there is nothing to say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
}

/// The value of each matching series, at most five minutes old.
#[utoipa::path(
    get, path = "/api/v1/query", tag = "series", params(AtTime),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = InstantAnswer))
)]
async fn query(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<AtTime>,
) -> Result<Json<InstantAnswer>, Problem> {
    let selectors = selectors("query", &wanted.query)?;
    let asked = time("time", wanted.time.as_deref())?;
    let at = asked.unwrap_or_else(|| app.now());
    let store = app.store()?.clone();
    let work = move || {
        let (mut series, mut warnings) = (Vec::new(), Vec::new());
        let step = Duration::from_secs(1);
        run(&store, selectors, Wanted { start: at, end: at, step, lookback: LOOKBACK }, |query, answer| {
            warn(&mut warnings, &answer);
            for found in answer.series {
                let Some(value) = found.points.first().copied().filter(|value| !is_no_value(*value)) else {
                    continue;
                };
                // Without a time the last sample itself is meant, with its own time.
                let latest = if asked.is_none() { store.latest(&found.key) } else { None };
                let (at, value) = latest.unwrap_or((at, value));
                let (name, labels) = split(&found.key);
                series.push(InstantSeries { query, name, labels, at, value: Number(value) });
            }
        })?;
        Ok::<_, StoreError>((series, warnings))
    };
    let (series, warnings) = Supervisor::blocking(work).await.ok_or_else(Problem::internal)??;
    Ok(Json(InstantAnswer { time: at, series, warnings }))
}

/// Says what of an answer could not be read.
fn warn(warnings: &mut Vec<String>, answer: &RangeAnswer) {
    let room = MOST_WARNINGS.saturating_sub(warnings.len());
    warnings.extend(answer.damaged.iter().take(room).map(ToString::to_string));
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OverRange {
    /// Selectors, 1 to 64.
    #[param(inline, value_type = Vec<SelectorText>, min_items = 1, max_items = 64)]
    query: Vec<String>,
    /// RFC 3339, epoch seconds or milliseconds; an hour before the end by default.
    #[param(min_length = 1)]
    start: Option<String>,
    /// Now by default.
    #[param(min_length = 1)]
    end: Option<String>,
    /// `15s`, or seconds; by default one that gives at most 600 points.
    #[param(min_length = 1)]
    step: Option<String>,
    /// How old a value may be: `5s`, or seconds; five minutes by default. A chart asks for
    /// little more than the interval of the samples, so that a gap stays one.
    #[param(min_length = 1)]
    lookback: Option<String>,
}

/// Values of one series; `values[i]` is at `start_ms + i * step_ms`.
#[derive(Serialize, utoipa::ToSchema)]
struct RangeItem {
    /// Index of the selector that matched.
    query: usize,
    name: String,
    labels: BTreeMap<String, String>,
    #[schema(value_type = Vec<Number>)]
    values: Numbers,
    /// Smallest value inside each step, where a step is coarser than the samples, and
    /// where there is room for it in the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Number>>)]
    min: Option<Numbers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Number>>)]
    max: Option<Numbers>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct RangeBody {
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
    start_ms: i64,
    step_ms: u64,
    series: Vec<RangeItem>,
    /// The resolutions the answer was made from, finest first.
    resolutions: Vec<Resolution>,
    /// What was stored and could not be read: a coarser resolution stands in its place
    /// where there is one, otherwise it is missing. Left out when there is nothing to say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
}

/// The values of each matching series at even steps of a range.
#[utoipa::path(
    get, path = "/api/v1/query_range", tag = "series", params(OverRange),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = RangeBody))
)]
async fn query_range(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<OverRange>,
) -> Result<Response, Problem> {
    let selectors = selectors("query", &wanted.query)?;
    let end = time("end", wanted.end.as_deref())?.unwrap_or_else(|| app.now());
    let start = time("start", wanted.start.as_deref())?.unwrap_or_else(|| end.minus(DEFAULT_RANGE));
    if start > end {
        return Err(Problem::bad_parameter("start", "the start is later than the end"));
    }
    let range = end.since(start);
    let step = match wanted.step.as_deref() {
        Some(text) => read_span("step", text)?,
        None => default_step(range),
    };
    let lookback = wanted.lookback.as_deref().map_or(Ok(LOOKBACK), |text| read_span("lookback", text))?;
    let points = range.as_millis() / step.as_millis().max(1) + 1;
    if points > MOST_POINTS as u128 {
        let detail = format!("{points} steps, more than the limit of {MOST_POINTS}");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "query_too_large", detail)
            .hint("shorten the range or widen the step"));
    }
    let store = app.store()?.clone();
    let settings = app.config.borrow().cache.clone();
    let asked = Asked { start, end, step };
    let words = wanted.query.join("\n");
    let key = format!("{} {} {step:?} {lookback:?} {words}", start.millis(), end.millis());
    if let Some(kept) = app.answers.get(&key, asked, app.times(), &settings) {
        return Ok(json(kept));
    }
    let turn = tokio::time::timeout(QUEUE_DEADLINE, app.ranges.clone().acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        let detail = "other ranges are being answered";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(5));
    };
    // A long answer takes a while to write, too: both on a thread that may wait. The
    // turn goes along, because that thread does not stop when the client goes.
    let work = move || {
        let _turn = turn;
        write_range(&store, selectors, Wanted { start, end, step, lookback })
    };
    let text = Bytes::from(Supervisor::blocking(work).await.ok_or_else(Problem::internal)??);
    app.answers.put(key, words, &text, asked, app.times(), &settings);
    Ok(json(text))
}

/// A text of JSON as an answer.
pub fn json(text: Bytes) -> Response {
    let mut response = text.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Where the items of a [`RangeBody`] go.
const SERIES: &str = "\"series\":[";

/// The text of a [`RangeBody`], written selector by selector: so no more values are
/// held than those of one selector.
fn write_range(store: &Store, selectors: Vec<Selector>, wanted: Wanted) -> Result<Vec<u8>, StoreError> {
    let around = |resolutions: &BTreeSet<Resolution>, warnings: Vec<String>| {
        let body = RangeBody {
            start: wanted.start,
            end: wanted.end,
            start_ms: wanted.start.millis(),
            step_ms: u64::try_from(wanted.step.as_millis()).unwrap_or(u64::MAX),
            series: Vec::new(),
            resolutions: resolutions.iter().copied().collect(),
            warnings,
        };
        let mut text = serde_json::to_string(&body).unwrap_or_default();
        let end = text.split_off(text.find(SERIES).map_or(text.len(), |at| at + SERIES.len()));
        (text, end)
    };
    let mut resolutions = BTreeSet::new();
    let mut text = around(&resolutions, Vec::new()).0.into_bytes();
    let mut first = true;
    let mut warnings = Vec::new();
    run(store, selectors, wanted, |query, answer| {
        warn(&mut warnings, &answer);
        resolutions.extend(answer.resolutions);
        for found in answer.series {
            let (name, labels) = split(&found.key);
            let band = |values: Vec<f64>| (!values.is_empty()).then_some(Numbers(values));
            let (min, max) = (band(found.min), band(found.max));
            let item = RangeItem { query, name, labels, values: Numbers(found.points), min, max };
            if !std::mem::take(&mut first) {
                text.push(b',');
            }
            // Numbers and texts always have a form in JSON, and memory takes every byte.
            let _ = serde_json::to_writer(&mut text, &item);
        }
    })?;
    text.extend_from_slice(around(&resolutions, warnings).1.as_bytes());
    Ok(text)
}

/// Reads a length of time that is not zero.
fn read_span(parameter: &str, text: &str) -> Result<Duration, Problem> {
    let bad = |detail: String| Problem::bad_parameter(parameter, detail);
    let span = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && (0.0..1e9).contains(&seconds) => {
            Duration::from_millis((seconds * 1000.0).round() as u64)
        }
        Ok(_) => return Err(bad(format!("`{text}` is not a {parameter}"))),
        Err(_) => Span::parse(text).map_err(|error| bad(error.to_string()))?.0,
    };
    if span.is_zero() { Err(bad(format!("the {parameter} must be at least 1 ms"))) } else { Ok(span) }
}

fn default_step(range: Duration) -> Duration {
    let least = range.as_secs().div_ceil(WANTED_POINTS);
    let even = STEPS.into_iter().find(|step| *step >= least);
    Duration::from_secs(even.unwrap_or_else(|| least.div_ceil(86_400) * 86_400))
}

/// Even steps of a range, and how old a value may be.
#[derive(Clone, Copy)]
struct Wanted {
    start: Timestamp,
    end: Timestamp,
    step: Duration,
    lookback: Duration,
}

/// Asks the store for each selector in turn and hands on its answer; all of them
/// share the limits.
fn run(
    store: &Store,
    selectors: Vec<Selector>,
    Wanted { start, end, step, lookback }: Wanted,
    mut take: impl FnMut(usize, RangeAnswer),
) -> Result<(), StoreError> {
    let (mut series_left, mut points_left) = (MOST_SERIES, MOST_POINTS);
    for (at, selector) in selectors.into_iter().enumerate() {
        let (max_series, max_points) = (series_left, points_left);
        let query = RangeQuery { selector, start, end, step, lookback, max_series, max_points };
        let mut answer = store.query_range(&query)?;
        series_left = series_left.saturating_sub(answer.series.len());
        let with_bands = |series: &RangeSeries| series.points.len() + series.min.len() + series.max.len();
        let mut found: usize = answer.series.iter().map(with_bands).sum();
        if found > points_left {
            // A chart of a host with many cores is worth more without bands than not at all.
            for series in &mut answer.series {
                (series.min, series.max) = (Vec::new(), Vec::new());
            }
            found = answer.series.iter().map(with_bands).sum();
        }
        points_left = points_left.saturating_sub(found);
        take(at, answer);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_step_gives_at_most_600_points() {
        for (seconds, step) in [(0, 1), (600, 1), (601, 2), (3600, 10), (86_400, 300), (7 * 86_400, 1800)] {
            assert_eq!(default_step(Duration::from_secs(seconds)).as_secs(), step, "{seconds}");
        }
        assert_eq!(default_step(Duration::from_secs(600 * 86_400 * 3)).as_secs(), 3 * 86_400);
    }

    #[test]
    fn steps_are_seconds_or_spans() {
        assert_eq!(read_span("step", "15").unwrap(), Duration::from_secs(15));
        assert_eq!(read_span("step", "0.5").unwrap(), Duration::from_millis(500));
        assert_eq!(read_span("step", "5m").unwrap(), Duration::from_secs(300));
        for bad in ["0", "-1", "NaN", "inf", "soon", "1e99", ""] {
            assert!(read_span("step", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn more_than_a_selector_is_unsupported_and_nonsense_is_wrong() {
        let status = |text: &str| selectors("query", &[text.to_owned()]).unwrap_err();
        let unsupported = status("rate(up[5m])");
        assert_eq!((unsupported.status.as_u16(), unsupported.code), (422, "unsupported_expression"));
        let wrong = status("up{a=}");
        assert_eq!((wrong.status.as_u16(), wrong.errors[0].pointer.as_str()), (400, "query[0]"));
    }

    #[test]
    fn parts_that_cannot_be_read_are_named_up_to_a_limit() {
        let damage = crate::model::query::Damage {
            resolution: Resolution::Raw,
            from: Timestamp(0),
            to: Timestamp(3_600_000),
            series: 2,
            reason: String::from("a column fails its checksum"),
        };
        let answer = RangeAnswer { damaged: vec![damage; MOST_WARNINGS - 1], ..RangeAnswer::default() };
        let mut warnings = Vec::new();
        warn(&mut warnings, &RangeAnswer::default());
        assert!(warnings.is_empty());
        (0..2).for_each(|_| warn(&mut warnings, &answer));
        assert_eq!(warnings.len(), MOST_WARNINGS);
        assert!(
            warnings[0].starts_with("raw samples of 2 series from 1970-01-01T00:00:00"),
            "{}",
            warnings[0]
        );
    }

    #[test]
    fn regular_expressions_are_counted_over_all_selectors() {
        let text = |count: usize| vec![String::from("{a=~\"x\",b!~\"y\",c=\"z\"}"); count];
        assert!(selectors("query", &text(MOST_EXPRESSIONS / 2)).is_ok());
        let problem = selectors("query", &text(MOST_EXPRESSIONS / 2 + 1)).unwrap_err();
        assert_eq!((problem.status.as_u16(), problem.code), (422, "query_too_large"));
    }
}
