//! Creating, changing and removing targets at run time.
//!
//! A body has the keys of `[[target.<kind>]]` and `kind` beside them. A change is a
//! patch of the configuration like any other, so validation, pins, audit and storage
//! are those of `/api/v1/config`; here only the shape differs.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use crate::base::id::Name;
use crate::config::target::KINDS;
use crate::engine::settings::Author;
use crate::http::auth::{Access, MonitoringRead, TargetsWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath};
use crate::http::registry::{Registry, routes};
use crate::http::section::{Body, Section, same, wrong};
use crate::http::state::{App, AppState};

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(create)).routes(routes!(replace, patch, remove)).routes(routes!(show))
}

/// Where a configured target stands.
pub struct Place {
    pub kind: &'static str,
    pub name: String,
}

impl Place {
    /// Of the configured target `name`.
    pub fn of(app: &App, name: &str) -> Option<Self> {
        let config = app.services.settings.config();
        let sections = config.target.sections();
        let found = sections.iter().find(|section| section.common().name.as_str() == name)?;
        Some(Self { kind: found.kind(), name: name.to_owned() })
    }

    fn find(app: &App, name: &str) -> Result<Self, Problem> {
        Self::of(app, name)
            .ok_or_else(|| Problem::not_found(format!("there is no target `{}`", name.escape_default())))
    }

    /// The section in force, secrets masked, with its kind.
    fn shown(&self, app: &App) -> Value {
        let mut shown = self.on(|section| section.shown(app));
        if let Some(map) = shown.as_object_mut() {
            map.insert(String::from("kind"), Value::from(self.kind));
        }
        shown
    }

    /// Looks at the section.
    fn on<T>(&self, look: impl FnOnce(Section<'_>) -> T) -> T {
        look(Section { list: &["target", self.kind], name: &self.name })
    }

    /// Applies a patch of the section, which `make` builds from what is in force.
    ///
    /// # Errors
    /// What `make` or the configuration says; nothing was changed.
    pub async fn apply(
        &self,
        app: &App,
        access: &Access<TargetsWrite>,
        make: impl Fn() -> Result<Value, Problem>,
    ) -> Result<(), Problem> {
        let section = Section { list: &["target", self.kind], name: &self.name };
        section.apply(app, &Author::from(&access.principal), make).await
    }
}

fn kind_of(body: &mut Body) -> Result<&'static str, Problem> {
    let said = body.remove("kind").unwrap_or_default();
    let known = KINDS.iter().find(|kind| said == **kind);
    known.copied().ok_or_else(|| {
        wrong("/kind", format!("`kind` is {said}, expected one of \"{}\"", KINDS.join("\", \"")))
    })
}

/// A changed body may repeat kind and name, not alter them.
fn check_same(body: &mut Body, place: &Place) -> Result<(), Problem> {
    same(body, "kind", place.kind)?;
    same(body, "name", &place.name)
}

/// Adds a target: the keys of `[[target.<kind>]]`, and `kind`. 409 where the name is taken.
#[utoipa::path(
    post, path = "/api/v1/targets", tag = "targets",
    request_body(content = Object, example = json!({
        "kind": "postgres", "name": "pg1", "host": "127.0.0.1", "user": "holdfast", "interval": "1s", "timeout": "1s"
    })),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 201, body = Object, headers(("Location" = String))))
)]
async fn create(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Response, Problem> {
    let kind = kind_of(&mut body)?;
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = Name::new(name).map_err(|error| wrong("/name", error.to_string()))?;
    let place = Place { kind, name: name.to_string() };
    place
        .apply(&app, &access, || match Place::of(&app, &place.name) {
            None => Ok(Value::Object(body.clone())),
            Some(taken) => Err(taken.on(|section| section.taken(&app))),
        })
        .await?;
    let mut response = (StatusCode::CREATED, Json(place.shown(&app))).into_response();
    if let Ok(address) = HeaderValue::from_str(&format!("/api/v1/targets/{}", place.name)) {
        response.headers_mut().insert(LOCATION, address);
    }
    Ok(response)
}

/// The target's section as it is in force, secrets masked, with its kind.
#[utoipa::path(
    get, path = "/api/v1/targets/{name}/config", tag = "targets", params(("name" = String, Path)),
    security(("token" = ["monitoring:read"]), ("key" = ["monitoring:read"])),
    responses((status = 200, body = Object))
)]
async fn show(
    _: Access<MonitoringRead>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(Place::find(&app, &name)?.shown(&app)))
}

/// Replaces what was set at run time; what the body leaves out has its default again,
/// or the file's value. 409 names the file and line that define a key.
#[utoipa::path(
    put, path = "/api/v1/targets/{name}", tag = "targets", params(("name" = String, Path)),
    request_body(content = Object),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = Object))
)]
async fn replace(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Json<Value>, Problem> {
    let place = Place::find(&app, &name)?;
    check_same(&mut body, &place)?;
    let whole = || Ok(place.on(|section| section.whole(&app, &body)));
    place.apply(&app, &access, whole).await?;
    Ok(Json(place.shown(&app)))
}

/// Changes keys at run time: a JSON merge patch, `null` takes a run-time value away.
#[utoipa::path(
    patch, path = "/api/v1/targets/{name}", tag = "targets", params(("name" = String, Path)),
    request_body(content = Object, content_type = "application/merge-patch+json"),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 200, body = Object))
)]
async fn patch(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Json<Value>, Problem> {
    let place = Place::find(&app, &name)?;
    check_same(&mut body, &place)?;
    place.apply(&app, &access, || Ok(Value::Object(body.clone()))).await?;
    Ok(Json(place.shown(&app)))
}

/// Removes a target that was created at run time. 409 names the file and line of one
/// that the file defines.
#[utoipa::path(
    delete, path = "/api/v1/targets/{name}", tag = "targets", params(("name" = String, Path)),
    security(("token" = ["targets:write"]), ("key" = ["targets:write"])),
    responses((status = 204))
)]
async fn remove(
    access: Access<TargetsWrite>,
    State(app): State<AppState>,
    ApiPath(name): ApiPath<String>,
) -> Result<StatusCode, Problem> {
    let place = Place::find(&app, &name)?;
    place.apply(&app, &access, || Ok(Value::Null)).await?;
    Ok(StatusCode::NO_CONTENT)
}
