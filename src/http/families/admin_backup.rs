//! The gateway family's `/admin/backup`: views of `/api/v1/backups`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;

use crate::http::auth::{Access, Admin};
use crate::http::error::Problem;
use crate::http::extract::{ApiOptional, ApiPath, ApiQuery};
use crate::http::page::Paging;
use crate::http::registry::{Registry, routes};
use crate::http::routes::backups::{
    BackupList, Order, RestoreOrder, Restoring, made, page, restored, verified,
};
use crate::http::state::AppState;
use crate::model::backup::{Kept, Verdict};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(create)).routes(routes!(list)).routes(routes!(verify)).routes(routes!(restore))
}

/// Makes a backup of the agent's own store; it is on the disk when this answers.
#[utoipa::path(
    post, path = "/admin/backup/create", tag = "backups", request_body(content = Order, description = "May be left out."),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 201, body = Kept, headers(("Location" = String))))
)]
async fn create(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiOptional(_order): ApiOptional<Order>,
) -> Result<Response, Problem> {
    made(&app, &access.principal.who).await
}

/// Every backup, newest first, with those that are only in the object store.
#[utoipa::path(
    get, path = "/admin/backup", tag = "backups", params(Paging),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = BackupList))
)]
async fn list(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<BackupList>, Problem> {
    page(&app, &paging).await
}

/// Reads a whole backup: its sha256, the checksums of its pages, every row. One that is only
/// in the object store is fetched before.
#[utoipa::path(
    post, path = "/admin/backup/{id}/verify", tag = "backups", params(("id" = String, Path)),
    request_body(content = Order, description = "May be left out."),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = Verdict))
)]
async fn verify(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
    ApiOptional(_order): ApiOptional<Order>,
) -> Result<Json<Verdict>, Problem> {
    verified(&app, &id).await
}

/// Puts a backup in the place of the store and starts the agent again; `dry_run` only says
/// what would change.
#[utoipa::path(
    post, path = "/admin/backup/{id}/restore", tag = "backups", params(("id" = String, Path)),
    request_body(content = RestoreOrder, description = "May be left out."),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = Restoring), (status = 202, body = Restoring))
)]
async fn restore(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
    ApiOptional(order): ApiOptional<RestoreOrder>,
) -> Result<Response, Problem> {
    restored(&app, &id, &order, &access.principal.who).await
}
