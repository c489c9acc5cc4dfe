//! The gateway family's `/admin/maintenance/cleanup` and `/admin/database/stats`.
//!
//! What is known of a Postgres target is what its last statistics said: nobody is asked, so
//! a server that hangs does not delay the answer.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::http::auth::{Access, Admin};
use crate::http::error::Problem;
use crate::http::extract::ApiOptional;
use crate::http::registry::{Registry, routes};
use crate::http::routes::store::{CleanupOrder, cleaned, figures};
use crate::http::state::{App, AppState};
use crate::model::breaker::BreakerState;
use crate::model::connections::Connections;
use crate::model::query::LOOKBACK;
use crate::model::series::labels_of;
use crate::store::{Cleaned, StoreFile};

const KIND: &str = "postgres";

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(cleanup)).routes(routes!(statistics))
}

/// Enforces retention now, and says what went.
#[utoipa::path(
    post, path = "/admin/maintenance/cleanup", tag = "system",
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

/// Connections of a server, whoever has them; what is not known is null.
#[derive(Default, Serialize, utoipa::ToSchema)]
struct ServerConnections {
    total: Option<u64>,
    /// By state: `active`, `idle`, `idle in transaction`, ...
    states: BTreeMap<String, u64>,
    max: Option<u64>,
}

/// One Postgres target.
#[derive(Serialize, utoipa::ToSchema)]
struct DatabaseTarget {
    name: String,
    address: String,
    breaker: BreakerState,
    /// Connections of this agent to it; null before the first probe.
    pool: Option<Connections>,
    connections: ServerConnections,
    /// Bytes of each database; empty before the first statistics.
    sizes: BTreeMap<String, u64>,
    total_bytes: Option<u64>,
}

/// The embedded store, and each Postgres target.
#[derive(Serialize, utoipa::ToSchema)]
struct DatabaseStatistics {
    store: StoreFile,
    postgres: Vec<DatabaseTarget>,
}

/// Figures of the embedded store, table by table, and of each Postgres target.
#[utoipa::path(
    get, path = "/admin/database/stats", tag = "system",
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = DatabaseStatistics))
)]
async fn statistics(
    _: Access<Admin>,
    State(app): State<AppState>,
) -> Result<Json<DatabaseStatistics>, Problem> {
    Ok(Json(DatabaseStatistics { store: figures(&app).await?, postgres: postgres(&app)? }))
}

fn postgres(app: &App) -> Result<Vec<DatabaseTarget>, Problem> {
    let targets = app.targets();
    let of_kind = targets.iter().filter(|target| target.kind == KIND);
    let mut known: BTreeMap<&str, DatabaseTarget> = of_kind
        .map(|target| {
            let view = DatabaseTarget {
                name: target.name.clone(),
                address: target.address.clone(),
                breaker: target.breaker,
                pool: target.connections.clone(),
                connections: ServerConnections::default(),
                sizes: BTreeMap::new(),
                total_bytes: None,
            };
            (target.name.as_str(), view)
        })
        .collect();
    app.store()?.visit_latest(LOOKBACK, &mut |sample| {
        let wanted = ["pg_database_size_bytes", "pg_stat_activity_count", "pg_settings_max_connections"];
        if !wanted.contains(&sample.family) || !sample.value.is_finite() {
            return;
        }
        let labels = labels_of(sample.key);
        let label =
            |name: &str| labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str());
        let Some(view) = label("target").and_then(|target| known.get_mut(target)) else { return };
        let value = sample.value.max(0.0) as u64;
        match (sample.family, label("datname"), label("state")) {
            ("pg_database_size_bytes", Some(database), _) => {
                view.sizes.insert(database.to_owned(), value);
                *view.total_bytes.get_or_insert(0) += value;
            }
            ("pg_stat_activity_count", _, Some(state)) => {
                *view.connections.states.entry(state.to_owned()).or_insert(0) += value;
                *view.connections.total.get_or_insert(0) += value;
            }
            ("pg_settings_max_connections", ..) => view.connections.max = Some(value),
            _ => {}
        }
    });
    Ok(known.into_values().collect())
}
