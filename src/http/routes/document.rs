//! `/api/openapi.json`

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::auth::{Access, MonitoringRead};
use crate::http::state::AppState;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(document))
}

/// This document.
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "system",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = serde_json::Value))
)]
async fn document(_: Access<MonitoringRead>, State(app): State<AppState>) -> Response {
    let text = app.openapi.get().cloned().unwrap_or_default();
    let mut response = text.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
