//! `/api/openapi.json`

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use axum::response::{IntoResponse as _, Response};

use crate::http::assets::accepts;
use crate::http::auth::{Access, MonitoringRead};
use crate::http::error::Problem;
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
async fn document(_: Access<MonitoringRead>, headers: HeaderMap) -> Result<Response, Problem> {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut response = if accepts(accepted, "gzip") {
        let mut packed = openapi::PACKED.into_response();
        packed.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        packed
    } else {
        openapi::unpacked().ok_or_else(Problem::internal)?.into_response()
    };
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    out.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    Ok(response)
}
