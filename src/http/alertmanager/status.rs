//! `status` and `receivers`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::NOBODY;
use super::shapes::Receiver;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(status)).routes(routes!(receivers))
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AlertmanagerCluster)]
struct Cluster {
    /// `disabled`
    status: &'static str,
    peers: Vec<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AlertmanagerConfig)]
struct Config {
    /// What Alertmanager's configuration would be, as far as there is such a thing.
    original: String,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertmanagerVersionInfo)]
struct VersionInfo {
    version: &'static str,
    revision: &'static str,
    branch: &'static str,
    build_user: &'static str,
    build_date: &'static str,
    /// Empty: there is no Go.
    go_version: &'static str,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertmanagerStatus)]
struct Status {
    cluster: Cluster,
    config: Config,
    /// When the agent was started.
    uptime: String,
    version_info: VersionInfo,
}

/// Version and start of the agent.
#[utoipa::path(
    get, path = "/alertmanager/api/v2/status", tag = "alertmanager",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Status))
)]
async fn status(_: Access<MonitoringRead>, State(app): State<AppState>) -> Result<Json<Status>, Problem> {
    let receivers = all(&app)?;
    // Names of channels need no quotes.
    let mut original = format!("route:\n  receiver: {}\nreceivers:\n", receivers[0].name);
    receivers.iter().for_each(|receiver| original.push_str(&format!("- name: {}\n", receiver.name)));
    Ok(Json(Status {
        cluster: Cluster { status: "disabled", peers: Vec::new() },
        config: Config { original },
        uptime: app.services.started_at.rfc3339(),
        version_info: VersionInfo {
            version: concat!("0.28.0+holdfast.", env!("CARGO_PKG_VERSION")),
            revision: app.services.build.commit,
            branch: "",
            build_user: "",
            build_date: "",
            go_version: "",
        },
    }))
}

/// The channels; `nobody` stands for alerts that no channel is told of.
#[utoipa::path(
    get, path = "/alertmanager/api/v2/receivers", tag = "alertmanager",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Vec<Receiver>))
)]
async fn receivers(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
) -> Result<Json<Vec<Receiver>>, Problem> {
    all(&app).map(Json)
}

/// Never empty.
fn all(app: &App) -> Result<Vec<Receiver>, Problem> {
    let channels = app.alerting()?.channels();
    let names = channels.iter().map(String::as_str).chain([NOBODY]);
    Ok(names.map(|name| Receiver { name: name.to_owned() }).collect())
}
