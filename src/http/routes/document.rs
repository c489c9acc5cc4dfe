//! `/api/openapi.json`

use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse as _, Response};

use crate::http::auth::{Access, MonitoringRead};
use crate::http::openapi;
use crate::http::registry::{Registry, routes};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(document))
}

/// This document.
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "system",
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = serde_json::Value))
)]
async fn document(_: Access<MonitoringRead>) -> Response {
    let mut response = openapi::COPY.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
