//! `/api/v1/system/store`, `/cleanup`, `/compact`: the agent's own store as an operator
//! looks after it.
//!
//! The figures take reading the whole file, so one request at a time is answered; the rest
//! are jobs of the store itself and on record like any change.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::http::auth::{Access, Admin, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::ApiOptional;
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::model::access::AuditEntry;
use crate::runtime::supervisor::Supervisor;
use crate::store::{Change, Cleaned, Compacted, StoreFile};

/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(5);

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(file)).routes(routes!(cleanup)).routes(routes!(compact))
}

/// Figures of the file, table by table.
///
/// # Errors
/// 503 while the store opens or cannot be read, or others are being answered.
pub async fn figures(app: &App) -> Result<StoreFile, Problem> {
    let store = app.store()?.clone();
    let turn = tokio::time::timeout(TURN, app.ranges.clone().acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        let detail = "others who read the store are being answered";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(5));
    };
    let work = move || {
        let _turn = turn;
        store.file()
    };
    Ok(Supervisor::blocking(work).await.ok_or_else(Problem::internal)??)
}

/// Rows, bytes and waste of each table, and the page cache.
#[utoipa::path(
    get, path = "/api/v1/system/store", tag = "system",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = StoreFile))
)]
async fn file(_: Access<MonitoringRead>, State(app): State<AppState>) -> Result<Json<StoreFile>, Problem> {
    figures(&app).await.map(Json)
}

/// Whether to remove anything.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CleanupOrder {
    /// Only count what would go.
    pub dry_run: bool,
}

/// Enforces retention now.
///
/// # Errors
/// The store's.
pub async fn cleaned(app: &App, order: &CleanupOrder, who: String) -> Result<Json<Cleaned>, Problem> {
    let store = app.store()?;
    let cleaned = store.cleanup(order.dry_run).await?;
    if !order.dry_run {
        let detail = serde_json::to_string(&cleaned).unwrap_or_default();
        record(app, who, "store.cleanup", detail).await?;
    }
    Ok(Json(cleaned))
}

async fn record(app: &App, who: String, action: &str, detail: String) -> Result<(), Problem> {
    let (action, object) = (action.to_owned(), String::from("store"));
    let audit = AuditEntry { at: app.now(), who, action, object, detail };
    Ok(app.store()?.commit(Change { writes: Vec::new(), audit: Some(audit) }).await?)
}

/// Enforces retention now, which happens by itself with every flush, and says what went.
#[utoipa::path(
    post, path = "/api/v1/system/cleanup", tag = "system",
    request_body(content = CleanupOrder, description = "May be left out."),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = Cleaned))
)]
async fn cleanup(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiOptional(order): ApiOptional<CleanupOrder>,
) -> Result<Json<Cleaned>, Problem> {
    cleaned(&app, &order, access.principal.who).await
}

/// Cuts the file to what is in use, and says what that gained. Queries wait meanwhile.
#[utoipa::path(
    post, path = "/api/v1/system/compact", tag = "system",
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = Compacted))
)]
async fn compact(access: Access<Admin>, State(app): State<AppState>) -> Result<Json<Compacted>, Problem> {
    let compacted = app.store()?.compact().await?;
    let detail = format!("{} to {} bytes", compacted.before_bytes, compacted.after_bytes);
    record(&app, access.principal.who, "store.compact", detail).await?;
    Ok(Json(compacted))
}
