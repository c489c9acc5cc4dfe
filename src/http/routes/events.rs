//! `/api/v1/monitoring/events` (WebSocket, or server-sent events by `Accept`) and
//! `/api/v1/events` (server-sent events): one sequence.

use axum::body::Body;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use crate::http::auth::{Access, MonitoringRead, Pass};
use crate::http::error::Problem;
use crate::http::extract::ApiQuery;
use crate::http::live::{self, Filter, Opened};
use crate::http::registry::{Registry, routes};
use crate::http::state::AppState;
use crate::runtime::supervisor::Phase;

/// Clients have nothing to say; a long message is a mistake.
const MESSAGE_LIMIT: usize = 64 * 1024;
/// Unsent bytes of one WebSocket, at most; one event fits.
const WRITE_LIMIT: usize = 1024 * 1024;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(monitoring_events)).routes(routes!(events))
}

/// A server-sent event: the fields of the lines between two empty ones.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct ServerSentEvent {
    /// The sequence number.
    id: String,
    /// The type.
    event: String,
    /// An `Event` in JSON.
    #[schema(content_media_type = "application/json")]
    data: String,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Event types, separated by commas; all by default.
    types: Option<String>,
    /// Number of the last event already seen; a gap message comes first when the
    /// events after it are no longer held.
    since: Option<String>,
}

/// Events as a WebSocket, or as server-sent events with `Accept: text/event-stream`.
/// Each message is `{type, data, timestamp, seq}`.
#[utoipa::path(
    get, path = "/api/v1/monitoring/events", tag = "events", params(Wanted),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 101, description = "Switches to WebSocket; each message is an `Event`."),
              (status = 200, body = ServerSentEvent, content_type = "text/event-stream"), (status = 426))
)]
async fn monitoring_events(
    access: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Wanted>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") {
        return server_sent(&app, access.pass, &wanted, &headers);
    }
    let filter = Filter::read(wanted.types.as_deref(), wanted.since.as_deref())?;
    let upgrade = upgrade.map_err(|_| {
        Problem::of_status(StatusCode::UPGRADE_REQUIRED)
            .hint("connect with a WebSocket client, or send `Accept: text/event-stream`")
    })?;
    let supervisor = app.services.supervisor.clone();
    let stop = supervisor.stop_of(Phase::Serve);
    let opened = Opened { filter, pass: access.pass, stop, place: live::place(&app)? };
    let upgrade = upgrade
        .max_message_size(MESSAGE_LIMIT)
        .max_frame_size(MESSAGE_LIMIT)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_LIMIT);
    Ok(upgrade.on_upgrade(async move |socket| {
        // Handed on, so that the stop of the agent waits for it.
        supervisor.spawn_once(Phase::Serve, live::websocket(app, socket, opened));
    }))
}

/// Server-sent events: `id` is the sequence number, `Last-Event-ID` resumes.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", params(Wanted),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = ServerSentEvent, content_type = "text/event-stream"))
)]
async fn events(
    access: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(wanted): ApiQuery<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    server_sent(&app, access.pass, &wanted, &headers)
}

fn server_sent(
    app: &AppState,
    pass: Pass,
    wanted: &Wanted,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    // A browser that resumes repeats the first address, so its header is newer.
    let last = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
    let filter = Filter::read(wanted.types.as_deref(), last.or(wanted.since.as_deref()))?;
    let stop = app.services.supervisor.stop_of(Phase::Serve);
    let opened = Opened { filter, pass, stop, place: live::place(app)? };
    let mut response = Body::from_stream(live::sse(app, opened)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}
