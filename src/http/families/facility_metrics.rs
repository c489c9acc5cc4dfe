//! The facility family: `/api/monitoring/metrics`, one database and its host in figures
//! over the last thousand samples of each.
//!
//! These clients know one database, without saying which: the active member of the group
//! they mean, or the first Postgres target. Where there is none its figures are left out,
//! because a zero would be a claim. One would get it wrong by adding up schemas of
//! different times: a schema that was dropped an hour ago is in none of the sums.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::facility_failover::Which;
use crate::base::time::Timestamp;
use crate::config::target::postgres::Postgres;
use crate::engine::last_values::{Figures, LastValues, read, selector, shares, sums};
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::ApiQuery;
use crate::http::registry::{Registry, routes};
use crate::http::routes::failover::view;
use crate::http::state::{App, AppState};
use crate::model::series::labels_of;
use crate::runtime::supervisor::Supervisor;
use crate::store::{Store, StoreError};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(metrics))
}

/// Sizes and rows are read from a server no more often than this.
const SIZES_EVERY: Duration = Duration::from_secs(60);
/// The stretch of time that an error rate is about, as in the rule of that name.
const ERROR_REACH: Duration = Duration::from_secs(300);

const SCHEMA_SIZE: &str = "holdfast_pg_schema_size_bytes";
const SCHEMA_ROWS: &str = "holdfast_pg_schema_rows";

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Pick {
    /// A Postgres target. Left out: the active member of the group `default`, or of the
    /// only group; without a group the first one that is configured.
    #[param(min_length = 1)]
    target: Option<String>,
}

impl Pick {
    /// The section of the target that is meant; `None` where none is configured.
    ///
    /// # Errors
    /// 404 for a name that no Postgres target has.
    pub fn section(&self, app: &App) -> Result<Option<Postgres>, Problem> {
        let config = app.config.borrow().clone();
        let all = &config.target.postgres;
        let named = |name: &str| all.iter().find(|section| section.name.as_str() == name).cloned();
        if let Some(name) = &self.target {
            return named(name).map(Some).ok_or_else(|| {
                let detail = format!("there is no Postgres target `{}`", name.escape_default());
                let known: Vec<&str> = all.iter().map(|section| section.name.as_str()).take(20).collect();
                Problem::not_found(detail).hint(format!("Postgres targets are [{}]", known.join(", ")))
            });
        }
        // Several groups and none of them `default`: then no group says which is meant.
        let group = Which::default().group(app).ok().flatten();
        let active = group.and_then(|group| {
            let first = group.members.first().map(ToString::to_string);
            view(app, &group).active.or(first)
        });
        Ok(active.and_then(|name| named(&name)).or_else(|| all.first().cloned()))
    }
}

/// A metric and what its last thousand samples come to.
pub type Metrics = BTreeMap<String, Figures>;

/// Response time, rows and sizes of the database, load of the host, error rate: each with
/// its newest value and what the last thousand samples come to.
#[utoipa::path(
    get, path = "/api/monitoring/metrics", tag = "monitoring", params(Pick),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = BTreeMap<String, Figures>))
)]
async fn metrics(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(pick): ApiQuery<Pick>,
) -> Result<Json<Metrics>, Problem> {
    let section = pick.section(&app)?;
    collect(&app, section).await.map(Json)
}

/// The figures of this moment, of the database `section` where there is one.
///
/// # Errors
/// 503 while the store opens or cannot be read.
pub async fn collect(app: &App, section: Option<Postgres>) -> Result<Metrics, Problem> {
    let (store, now) = (app.store()?.clone(), app.now());
    let tick = app.config.borrow().collect.interval.0;
    let slowest = app.targets().iter().map(|target| target.interval_ms).max().unwrap_or_default();
    let pace = section.as_ref().map_or(Duration::from_millis(slowest), |section| section.interval.0);
    let gather = move || {
        let reader = Reader { store: &store, now };
        let mut metrics = Metrics::new();
        reader.host(tick, &mut metrics)?;
        if let Some(section) = &section {
            reader.database(section, &mut metrics)?;
        }
        let target = section.as_ref().map(|section| section.name.as_str());
        put(&mut metrics, "error_rate", reader.error_shares(target, pace)?);
        Ok::<_, StoreError>(metrics)
    };
    let mut metrics = Supervisor::blocking(gather).await.ok_or_else(Problem::internal)??;
    // Without any target the only operations there are, are those of this API.
    metrics.entry(String::from("error_rate")).or_insert_with(|| {
        let rate = app.counters.figures(app.running()).error_rate;
        Figures { current: rate, average: rate, min: rate, max: rate, count: 1 }
    });
    Ok(metrics)
}

fn put(metrics: &mut Metrics, name: &str, values: impl IntoIterator<Item = f64>) {
    if let Some(figures) = Figures::of(values) {
        metrics.insert(name.to_owned(), figures);
    }
}

struct Reader<'a> {
    store: &'a Store,
    now: Timestamp,
}

impl Reader<'_> {
    fn series(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        every: Duration,
    ) -> Result<Vec<LastValues>, StoreError> {
        read(self.store, selector(name, labels), every, self.now)
    }

    fn host(&self, tick: Duration, metrics: &mut Metrics) -> Result<(), StoreError> {
        for share in ["cpu", "memory", "disk"] {
            let found = self.series(&format!("holdfast_host_{share}_usage_percent"), &[], tick)?;
            put(metrics, &format!("{share}_percent"), values(&found));
        }
        Ok(())
    }

    fn database(&self, section: &Postgres, metrics: &mut Metrics) -> Result<(), StoreError> {
        let name = section.name.as_str();
        let own = [("target", name)];
        let probes = [("kind", "postgres"), ("target", name)];
        let times = self.series("probe_duration_seconds", &probes, section.interval.0)?;
        put(metrics, "connection_response_time", values(&times));
        let every = section.interval.0.max(SIZES_EVERY);
        let rows = self.series(SCHEMA_ROWS, &own, every)?;
        put(metrics, "total_entries", sums(&rows));
        let sizes = self.series(SCHEMA_SIZE, &own, every)?;
        let newest = sizes.iter().filter_map(|one| one.values.last()).map(|(at, _)| *at).max();
        for one in &sizes {
            // Another schema is gone, or another database was meant before.
            if one.values.last().map(|(at, _)| *at) != newest {
                continue;
            }
            if let Some(schema) = label(&one.key, "schema") {
                put(metrics, &format!("storage_unit_{schema}_bytes"), one.values.iter().map(|pair| pair.1));
            }
        }
        let database = [("datname", section.database.as_str()), own[0]];
        let whole = self.series("pg_database_size_bytes", &database, every)?;
        put(metrics, "storage_utilization_bytes", values(&whole));
        Ok(())
    }

    /// Failed operations of all, over five minutes up to each probe.
    fn error_shares(&self, target: Option<&str>, every: Duration) -> Result<Vec<f64>, StoreError> {
        let labels: Vec<(&str, &str)> = target.into_iter().map(|name| ("target", name)).collect();
        let mut done: BTreeMap<i64, (u32, u32)> = BTreeMap::new();
        for one in self.series("holdfast_probe_operation_success", &labels, every)? {
            for (at, value) in one.values {
                let (all, failed) = done.entry(at).or_default();
                *all += 1;
                *failed += u32::from(value < 0.5);
            }
        }
        Ok(shares(&done, ERROR_REACH))
    }
}

fn values(series: &[LastValues]) -> impl Iterator<Item = f64> + '_ {
    series.iter().flat_map(|one| &one.values).map(|(_, value)| *value)
}

fn label(key: &str, name: &str) -> Option<String> {
    labels_of(key).into_iter().find(|(label, _)| label == name).map(|(_, value)| value)
}
