//! The orchestrator family: `/detailed-metrics`, every series in figures, and the samples
//! of `/metrics?name=&source=&since=&limit=`.
//!
//! Its clients ask where a value is from: the application that reported it, the target, the
//! job that pushed it, else the host or the agent, else `custom`. Samples are answered newest
//! first, so the window is widened backwards until there are enough. One would get it wrong
//! by reading all that `since` spans: a day of a host is a hundred million samples.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::engine::last_values::{in_memory, selector};
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::ApiQuery;
use crate::http::number::Number;
use crate::http::page::Paging;
use crate::http::registry::{Registry, routes};
use crate::http::routes::alerts::limit_of;
use crate::http::routes::query::split;
use crate::http::state::{App, AppState};
use crate::model::query::{LOOKBACK, Resolution, SamplesQuery, SeriesInfo, is_no_value};
use crate::model::selector::{MatchOp, Matcher, Selector};
use crate::model::series::Kind;
use crate::runtime::supervisor::Supervisor;
use crate::store::{Store, StoreError};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(detailed))
}

/// Labels that say where a series is from, the first that it has.
const SOURCES: [&str; 3] = ["source", "target", "job"];
const HOST: &str = "host";
const AGENT: &str = "agent";
/// An application that did not say its name.
const CUSTOM: &str = "custom";
/// Series looked at for one answer; the store's own cap is lower by default.
const MOST_SERIES: usize = 100_000;
/// Samples in memory at once.
const MOST_SAMPLES: usize = 1_000_000;
/// The window of samples that is tried first, and by how much it grows.
const FIRST_WINDOW: Duration = Duration::from_secs(10);
const WIDER: u32 = 6;

/// Where the series of this name and these labels is from.
fn source_of(name: &str, labels: &BTreeMap<String, String>) -> String {
    let said = SOURCES.iter().find_map(|label| labels.get(*label));
    said.cloned().unwrap_or_else(|| {
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        String::from(match () {
            () if begins(&["node_", "holdfast_host_"]) => HOST,
            () if begins(&["holdfast_", "process_"]) => AGENT,
            () => CUSTOM,
        })
    })
}

/// The series that may be from `source`; the caller looks closer.
fn selectors(name: Option<&str>, source: Option<&str>) -> Vec<Selector> {
    let with = |labels: &[(&str, &str)]| {
        let mut matching = name.map_or_else(Selector::default, |name| selector(name, &[]));
        matching.matchers.extend(labels.iter().map(|(label, value)| Matcher {
            label: (*label).to_owned(),
            op: MatchOp::Equal,
            value: (*value).to_owned(),
        }));
        matching
    };
    let Some(source) = source else { return vec![with(&[])] };
    let mut all: Vec<Selector> = SOURCES.iter().map(|label| with(&[(label, source)])).collect();
    if [HOST, AGENT, CUSTOM].contains(&source) {
        all.push(with(&SOURCES.map(|label| (label, ""))));
    }
    all
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Detailed {
    /// Only series of this name.
    #[param(min_length = 1)]
    name: Option<String>,
    /// Only series from there: an application, a target, a job, `host`, `agent` or `custom`.
    #[param(min_length = 1)]
    source: Option<String>,
    /// Series to answer, 100 by default, 1000 at most.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Series to leave out at the start.
    offset: Option<usize>,
    /// `next` of an earlier answer; in place of `offset`.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// One series, and what the values of it come to that memory holds.
#[derive(Serialize, utoipa::ToSchema)]
struct SeriesFigures {
    name: String,
    labels: BTreeMap<String, String>,
    source: String,
    kind: Kind,
    latest: Number,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    latest_at: Timestamp,
    /// Values that the figures are of, at most the last 1,000.
    count: usize,
    #[schema(value_type = Number)]
    p50: Option<Number>,
    #[schema(value_type = Number)]
    p95: Option<Number>,
    #[schema(value_type = Number)]
    p99: Option<Number>,
    #[schema(value_type = Number)]
    min: Option<Number>,
    #[schema(value_type = Number)]
    max: Option<Number>,
    #[schema(value_type = Number)]
    mean: Option<Number>,
}

/// A page of series, in the order of their names.
#[derive(Serialize, utoipa::ToSchema)]
struct DetailedMetrics {
    metrics: Vec<SeriesFigures>,
    /// Series of the whole list.
    total: u64,
    /// Cursor of the next page; null on the last.
    next: Option<String>,
}

/// Every series with its latest value and what the values of it come to that memory holds,
/// at most the last 1,000.
#[utoipa::path(
    get, path = "/detailed-metrics", tag = "monitoring", params(Detailed),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = DetailedMetrics))
)]
async fn detailed(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Detailed>,
) -> Result<Json<DetailedMetrics>, Problem> {
    let Detailed { name, source, limit, offset, cursor } = wanted;
    let window = Paging { limit, offset, cursor }.window()?;
    let (store, now) = (app.store()?.clone(), app.now());
    let work = move || {
        let matching = selectors(name.as_deref(), source.as_deref());
        let mut known = store.series(&matching, MOST_SERIES)?;
        if let Some(source) = &source {
            known.retain(|info| {
                let (name, labels) = split(&info.key);
                source_of(&name, &labels) == *source
            });
        }
        let total = known.len() as u64;
        let page = known.into_iter().skip(window.offset).take(window.limit);
        let figures = page.map(|info| figures(&store, info, now));
        Ok::<_, StoreError>((figures.collect::<Result<Vec<_>, _>>()?, total))
    };
    let (metrics, total) = Supervisor::blocking(work).await.ok_or_else(Problem::internal)??;
    let crate::http::page::List { items, total, next } = crate::http::page::List::cut(metrics, total, window);
    Ok(Json(DetailedMetrics { metrics: items, total, next }))
}

fn figures(store: &Store, info: SeriesInfo, now: Timestamp) -> Result<SeriesFigures, StoreError> {
    let held = in_memory(store, &info.key, now)?;
    let mut values: Vec<f64> =
        held.map(|held| held.values.into_iter().map(|(_, value)| value).collect()).unwrap_or_default();
    let mean = (!values.is_empty()).then(|| Number(values.iter().sum::<f64>() / values.len() as f64));
    values.sort_unstable_by(f64::total_cmp);
    // Nearest rank: a value that was there.
    let rank = |percent: usize| (values.len() * percent).div_ceil(100).saturating_sub(1);
    let at = |percent| values.get(rank(percent)).copied().map(Number);
    let (name, labels) = split(&info.key);
    Ok(SeriesFigures {
        source: source_of(&name, &labels),
        name,
        labels,
        kind: info.kind,
        latest: Number(info.last_value),
        latest_at: info.last,
        count: values.len(),
        p50: at(50),
        p95: at(95),
        p99: at(99),
        min: values.first().copied().map(Number),
        max: values.last().copied().map(Number),
        mean,
    })
}

/// One sample.
#[derive(Serialize, utoipa::ToSchema)]
struct MetricSample {
    name: String,
    labels: BTreeMap<String, String>,
    source: String,
    value: Number,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

/// Samples, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MetricSamples {
    metrics: Vec<MetricSample>,
    /// Samples in this answer.
    count: usize,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

/// Which samples are meant.
#[derive(Debug, Default)]
pub struct SampleFilter {
    pub name: Option<String>,
    pub source: Option<String>,
    pub since: Option<String>,
    pub limit: Option<usize>,
}

impl SampleFilter {
    pub fn is_given(&self) -> bool {
        self.name.is_some() || self.source.is_some() || self.since.is_some() || self.limit.is_some()
    }

    /// The newest samples that are meant; without `since` those of the last five minutes.
    ///
    /// # Errors
    /// 400 for a filter that is not understood, 422 where too many samples would be read.
    pub async fn find(self, app: &App) -> Result<MetricSamples, Problem> {
        let (store, now) = (app.store()?.clone(), app.now());
        let limit = limit_of(self.limit)?;
        let since = match &self.since {
            None => now.minus(LOOKBACK),
            Some(text) => Timestamp::parse(text).ok_or_else(|| {
                let detail =
                    format!("`{text}` is not a time, expected RFC 3339, epoch seconds or milliseconds");
                Problem::bad_parameter("since", detail)
            })?,
        };
        let work = move || self.newest(&store, since, now, limit);
        let metrics = Supervisor::blocking(work).await.ok_or_else(Problem::internal)??;
        Ok(MetricSamples { count: metrics.len(), metrics, since })
    }

    fn newest(
        &self,
        store: &Store,
        since: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<MetricSample>, StoreError> {
        let mut reach = FIRST_WINDOW;
        loop {
            let from = since.max(now.minus(reach));
            let mut found = self.window(store, from, now)?;
            if found.len() >= limit || from <= since {
                found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                found.truncate(limit);
                return Ok(found.into_iter().map(sample).collect());
            }
            reach = reach.saturating_mul(WIDER);
        }
    }

    /// Key, time in ms and value of every sample after `from`.
    fn window(
        &self,
        store: &Store,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(String, i64, f64)>, StoreError> {
        let mut by_key: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
        for selector in selectors(self.name.as_deref(), self.source.as_deref()) {
            let query = SamplesQuery {
                selector,
                from,
                to,
                finest: Resolution::Raw,
                max_series: MOST_SERIES,
                max_samples: MOST_SAMPLES,
            };
            for series in store.samples(&query)?.series {
                let (name, labels) = split(&series.key);
                let wanted = self.source.as_ref().is_none_or(|source| source_of(&name, &labels) == *source);
                if wanted {
                    let values = series.samples().filter(|(_, value)| !is_no_value(*value));
                    by_key.insert(series.key.clone(), values.collect());
                }
            }
        }
        let each = by_key
            .into_iter()
            .flat_map(|(key, values)| values.into_iter().map(move |(at, value)| (key.clone(), at, value)));
        Ok(each.collect())
    }
}

fn sample((key, at, value): (String, i64, f64)) -> MetricSample {
    let (name, labels) = split(&key);
    MetricSample {
        source: source_of(&name, &labels),
        name,
        labels,
        value: Number(value),
        timestamp: Timestamp(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_from_whom_its_labels_say_or_from_the_host_or_the_agent() {
        let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        for (name, pairs, source) in [
            ("orders", &[("source", "shop"), ("target", "pg1")][..], "shop"),
            ("pg_up", &[("target", "pg1")], "pg1"),
            ("pushed", &[("job", "nightly")], "nightly"),
            ("node_load1", &[], "host"),
            ("holdfast_host_cpu_usage_percent", &[], "host"),
            ("holdfast_store_series", &[], "agent"),
            ("process_open_fds", &[], "agent"),
        ] {
            assert_eq!(source_of(name, &labels(pairs)), source, "{name}");
        }
    }
}
