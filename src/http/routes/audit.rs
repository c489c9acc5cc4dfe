//! `/api/v1/audit`: who changed what.

use axum::Json;
use axum::extract::State;

use crate::http::auth::{Access, Admin};
use crate::http::error::Problem;
use crate::http::extract::ApiQuery;
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::AppState;
use crate::model::access::AuditEntry;
use crate::runtime::supervisor::Supervisor;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(audit))
}

/// Every change, newest first; secrets are masked.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(Paging),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = List<AuditEntry>))
)]
async fn audit(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<List<AuditEntry>>, Problem> {
    let window = paging.window()?;
    let store = app.store()?.clone();
    let read = move || store.audit(window.limit, window.offset);
    let (items, total) = Supervisor::blocking(read).await.ok_or_else(Problem::internal)??;
    Ok(Json(List::cut(items, total, window)))
}
