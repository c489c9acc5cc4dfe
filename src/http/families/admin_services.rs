//! The gateway family: `/admin/services/status`, the parts of the agent and what it
//! watches as services, and restarting a unit.
//!
//! A unit is restarted only where the configuration lists it; that it may be is shown
//! beside each. One would get it wrong by listing units that nobody watches: their state
//! would be a guess.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::base::time::Timestamp;
use crate::engine::services::{RestartError, restart as restart_unit};
use crate::http::auth::{Access, Admin};
use crate::http::error::Problem;
use crate::http::extract::ApiPath;
use crate::http::registry::{Registry, routes};
use crate::http::routes::health::look;
use crate::http::state::{App, AppState};
use crate::logic::health::{RollUp, of_target};
use crate::model::health::Health;
use crate::model::worker::{WorkerState, WorkerStatus};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(status)).routes(routes!(restart))
}

/// One service.
#[derive(Serialize, utoipa::ToSchema)]
struct ServiceStatus {
    name: String,
    /// `agent` for a part of the agent, else the kind of the target: `postgres`, `systemd`, ...
    kind: String,
    status: Health,
    message: String,
    /// Of a target: host and port, or the unit.
    address: Option<String>,
    latency_ms: Option<f64>,
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    checked_at: Option<Timestamp>,
    /// Whether `/admin/services/{unit}/restart` takes it.
    restartable: bool,
}

/// Every service and every background task of the agent.
#[derive(Serialize, utoipa::ToSchema)]
struct ServicesStatus {
    status: Health,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    services: Vec<ServiceStatus>,
    /// Units that may be restarted.
    restartable: Vec<String>,
    workers: Vec<WorkerStatus>,
}

/// The parts of the agent, everything that is watched, and the agent's background tasks.
#[utoipa::path(
    get, path = "/admin/services/status", tag = "admin",
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = ServicesStatus))
)]
async fn status(_: Access<Admin>, State(app): State<AppState>) -> Result<Json<ServicesStatus>, Problem> {
    let RollUp { status, components } = look(&app)?;
    let now = app.now();
    let restartable = app.config.borrow().services.allow_restart.clone();
    let targets = app.targets();
    let workers = app.services.supervisor.statuses();
    let mut services: Vec<ServiceStatus> = parts(&workers, now);
    // Of the whole's parts those that are no sums of targets, and no targets.
    let own = components.into_iter().filter(|part| ["store", "storage"].contains(&part.name.as_str()));
    services.extend(own.map(|part| ServiceStatus {
        name: part.name,
        kind: String::from("agent"),
        status: part.status,
        message: part.message,
        address: None,
        latency_ms: part.latency_ms,
        checked_at: part.checked_at,
        restartable: false,
    }));
    services.extend(targets.iter().map(|target| {
        let part = of_target(target, now);
        ServiceStatus {
            name: part.name,
            kind: target.kind.clone(),
            status: part.status,
            message: part.message,
            restartable: target.kind == "systemd" && restartable.contains(&target.address),
            address: Some(target.address.clone()),
            latency_ms: part.latency_ms,
            checked_at: part.checked_at,
        }
    }));
    Ok(Json(ServicesStatus { status, timestamp: now, services, restartable, workers }))
}

/// Parts of the agent by the workers that do their work.
fn parts(workers: &[WorkerStatus], now: Timestamp) -> Vec<ServiceStatus> {
    const PARTS: [&str; 5] = ["sampler", "alerting", "dispatcher", "flusher", "failover"];
    let found = workers.iter().filter(|worker| PARTS.contains(&worker.name.as_str()));
    let each = found.map(|worker| {
        let (status, message) = match worker.state {
            WorkerState::Running => (Health::Healthy, String::from("running")),
            WorkerState::Backoff => (Health::Degraded, worker.last_error.clone().unwrap_or_default()),
            WorkerState::Failed => (Health::Unhealthy, worker.last_error.clone().unwrap_or_default()),
        };
        ServiceStatus {
            name: worker.name.clone(),
            kind: String::from("agent"),
            status,
            message,
            address: None,
            latency_ms: None,
            checked_at: Some(now),
            restartable: false,
        }
    });
    each.collect()
}

#[derive(Serialize, utoipa::ToSchema)]
struct Restarted {
    unit: String,
    /// Always: what could not be restarted is an error.
    restarted: bool,
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
}

impl From<RestartError> for Problem {
    fn from(error: RestartError) -> Self {
        let detail = error.to_string();
        match error {
            RestartError::NotAllowed(_) => Self::new(StatusCode::FORBIDDEN, "not_allowed", detail)
                .hint("add it to `services.allow_restart` (allow_restart in section [services])"),
            RestartError::Failed { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "restart_failed", detail)
            }
            RestartError::Store(error) => error.into(),
        }
    }
}

/// Restarts a unit of this host and waits until it is up. 403 where
/// `services.allow_restart` does not list it.
#[utoipa::path(
    post, path = "/admin/services/{unit}/restart", tag = "admin", params(("unit" = String, Path)),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = Restarted))
)]
async fn restart(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(unit): ApiPath<String>,
) -> Result<Json<Restarted>, Problem> {
    let services = app.config.borrow().services.clone();
    let clock = &*app.services.clock;
    restart_unit(app.store()?, clock, &services, &unit, &access.principal.who).await?;
    Ok(Json(Restarted { unit, restarted: true, timestamp: app.now() }))
}

/// Whether the whole is well, for the dashboard: how many services are in which state.
pub fn counts(app: &App) -> std::collections::BTreeMap<&'static str, usize> {
    let now = app.now();
    let mut counts = std::collections::BTreeMap::new();
    for target in app.targets().iter() {
        *counts.entry(of_target(target, now).status.word()).or_default() += 1;
    }
    counts
}
