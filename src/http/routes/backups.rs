//! `/api/v1/backups`: copies of the agent's own store, made while it runs.
//!
//! An id is parsed before anything else is done with it, so nothing that a caller sends
//! becomes part of a path. Putting a backup back answers first and then starts the agent
//! again: whoever asked reads what will change before the connection ends.

use std::path::PathBuf;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;

use crate::engine::backups::{BackupsError, Listing};
use crate::http::auth::{Access, Admin, MonitoringRead};
use crate::http::error::Problem;
use crate::http::extract::{ApiOptional, ApiPath, ApiQuery};
use crate::http::page::{List, Paging};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::model::backup::{BackupId, Kept, Manifest, Plan, Verdict};
use crate::store::backup::BackupError;

/// Bytes of a file that are read at once.
const CHUNK: usize = 64 << 10;

pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .routes(routes!(list, create))
        .routes(routes!(show, remove))
        .routes(routes!(file))
        .routes(routes!(verify))
        .routes(routes!(restore))
}

impl From<BackupsError> for Problem {
    fn from(error: BackupsError) -> Self {
        let detail = error.to_string();
        match error {
            BackupsError::Busy => Self::new(StatusCode::CONFLICT, "busy", detail).retry_after(5),
            BackupsError::Unknown { .. } => Self::not_found(detail),
            BackupsError::Invalid(_) | BackupsError::Fetched { .. } => invalid(detail),
            BackupsError::Bucket(_) | BackupsError::Crowded => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "object_store_unavailable", detail).retry_after(60)
            }
            BackupsError::Passphrase(_) | BackupsError::Keys(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "backup_unavailable", detail).retry_after(60)
            }
            BackupsError::Store(error) => error.into(),
            BackupsError::Failed => Self::internal(),
            BackupsError::Backup(error) => match error {
                BackupError::DiskFull { .. } => {
                    Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", detail)
                }
                BackupError::Damaged { .. } | BackupError::TooNew { .. } | BackupError::Sealed { .. } => {
                    invalid(detail)
                }
                BackupError::NoPassphrase { .. } => {
                    Self::new(StatusCode::UNPROCESSABLE_ENTITY, "passphrase_missing", detail)
                }
                _ => Self::new(StatusCode::SERVICE_UNAVAILABLE, "backup_unavailable", detail).retry_after(5),
            },
        }
    }
}

fn invalid(detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "backup_invalid", detail)
}

/// What is no id is as unknown as an id that names nothing.
fn id_of(text: &str) -> Result<BackupId, Problem> {
    BackupId::parse(text)
        .ok_or_else(|| Problem::not_found(format!("there is no backup `{}`", text.escape_default())))
}

/// Makes a backup and says what it is.
///
/// # Errors
/// As the engine says.
pub async fn made(app: &App, who: &str) -> Result<Response, Problem> {
    let made = app.backups()?.create(who).await?;
    let address = format!("/api/v1/backups/{}", made.manifest.id);
    let mut response = (StatusCode::CREATED, Json(made)).into_response();
    if let Ok(address) = HeaderValue::from_str(&address) {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

/// One page of all backups.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BackupList {
    #[serde(flatten)]
    list: List<Kept>,
    /// Why the backups of the object store are not among them; null where they are, or where
    /// none is configured.
    problem: Option<String>,
}

/// One page of all backups.
///
/// # Errors
/// As the engine says.
pub async fn page(app: &App, paging: &Paging) -> Result<Json<BackupList>, Problem> {
    let window = paging.window()?;
    let Listing { backups, problem } = app.backups()?.list().await?;
    Ok(Json(BackupList { list: List::of(backups, window), problem }))
}

/// Reads a whole backup.
///
/// # Errors
/// As the engine says.
pub async fn verified(app: &App, id: &str) -> Result<Json<Verdict>, Problem> {
    Ok(Json(app.backups()?.verify(&id_of(id)?).await?))
}

/// Whether to change anything.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestoreOrder {
    /// Only say what would change.
    pub dry_run: bool,
}

/// What a restore changes, or would.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Restoring {
    id: String,
    dry_run: bool,
    /// The agent starts again now, and answers from the restored store then.
    restarting: bool,
    plan: Plan,
}

/// Puts a backup back, or says what that would change.
///
/// # Errors
/// As the engine says.
pub async fn restored(app: &App, id: &str, order: &RestoreOrder, who: &str) -> Result<Response, Problem> {
    let id = id_of(id)?;
    let backups = app.backups()?;
    let plan = if order.dry_run { backups.plan(&id).await? } else { backups.restore(&id, who).await? };
    let status = if order.dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    let body = Restoring { id: id.to_string(), dry_run: order.dry_run, restarting: !order.dry_run, plan };
    Ok((status, Json(body)).into_response())
}

/// Every backup, newest first, with those that are only in the object store.
#[utoipa::path(
    get, path = "/api/v1/backups", tag = "backups", params(Paging),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = BackupList))
)]
async fn list(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiQuery(paging): ApiQuery<Paging>,
) -> Result<Json<BackupList>, Problem> {
    page(&app, &paging).await
}

/// Nothing has to be said.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BackupOrder)]
pub struct Order {}

/// Makes a backup of the store as it is now; it is on the disk when this answers, and goes to
/// the object store after that.
#[utoipa::path(
    post, path = "/api/v1/backups", tag = "backups", request_body(content = Order, description = "May be left out."),
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

/// One backup.
#[utoipa::path(
    get, path = "/api/v1/backups/{id}", tag = "backups", params(("id" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Kept))
)]
async fn show(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<Json<Kept>, Problem> {
    Ok(Json(app.backups()?.get(&id_of(&id)?).await?))
}

/// Removes a backup with its manifest.
#[utoipa::path(
    delete, path = "/api/v1/backups/{id}", tag = "backups", params(("id" = String, Path)),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 204))
)]
async fn remove(
    access: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    app.backups()?.delete(&id_of(&id)?, &access.principal.who).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The file of a backup; fetched before where it is only in the object store.
#[utoipa::path(
    get, path = "/api/v1/backups/{id}/file", tag = "backups", params(("id" = String, Path)),
    security(("token" = ["admin"]), ("key" = ["admin"])),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"))
)]
async fn file(
    _: Access<Admin>,
    State(app): State<AppState>,
    ApiPath(id): ApiPath<String>,
) -> Result<Response, Problem> {
    let id = id_of(&id)?;
    let (path, manifest) = app.backups()?.file_of(&id).await?;
    download(path, &manifest).await
}

async fn download(path: PathBuf, manifest: &Manifest) -> Result<Response, Problem> {
    let unreadable = |error: std::io::Error| {
        let detail = format!("the file of the backup cannot be read: {error}");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "backup_unavailable", detail)
    };
    let file = tokio::fs::File::open(&path).await.map_err(unreadable)?;
    let length = file.metadata().await.map_err(unreadable)?.len();
    // No longer than said, whatever happens to the file meanwhile.
    let chunks = futures_util::stream::try_unfold(file.take(length), |mut file| async move {
        let mut chunk = vec![0; CHUNK];
        let read = file.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), file)))
    });
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", manifest.file)) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Reads a whole backup: its sha256, the checksums of its pages, every row. One that is only
/// in the object store is fetched before; of a sealed one the inside is read where the
/// passphrase is configured.
#[utoipa::path(
    post, path = "/api/v1/backups/{id}/verify", tag = "backups", params(("id" = String, Path)),
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

/// Puts a backup in the place of the store: it is verified first, the present store is kept
/// beside it, and the agent starts again. With `dry_run` it only says what would change.
#[utoipa::path(
    post, path = "/api/v1/backups/{id}/restore", tag = "backups", params(("id" = String, Path)),
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
