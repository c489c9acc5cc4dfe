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
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::id::Name;
use crate::config::origin::Origin;
use crate::config::target::KINDS;
use crate::config::tree::{Key, Node, Step};
use crate::engine::settings::{ApplyError, Author};
use crate::http::auth::{Access, MonitoringRead, TargetsWrite};
use crate::http::error::Problem;
use crate::http::extract::{ApiJson, ApiPath};
use crate::http::state::{App, AppState};

/// Tries when others change the configuration meanwhile.
const TRIES: usize = 4;

pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(create))
        .routes(routes!(replace, patch, remove))
        .routes(routes!(show))
}

type Body = Map<String, Value>;

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

    fn key(&self) -> Key {
        Key::default().key("target").key(self.kind).item(&self.name)
    }

    /// The section in force, secrets masked, with its kind.
    fn shown(&self, app: &App) -> Value {
        let loaded = app.services.settings.loaded();
        let list = loaded.effective["target"][self.kind].as_array();
        let section = list.into_iter().flatten().find(|item| item["name"] == self.name.as_str());
        let mut shown = section.cloned().unwrap_or_default();
        if let Some(map) = shown.as_object_mut() {
            map.insert(String::from("kind"), Value::from(self.kind));
        }
        shown
    }

    /// What was set at run time, as a patch that takes all of it away.
    fn unset(&self, app: &App) -> Body {
        let own = self.key();
        let mut patch = Value::Object(Map::new());
        let set = app.services.settings.show().values;
        let set = set.iter().filter(|view| matches!(view.origin, Origin::Runtime { .. }));
        let loaded = app.services.settings.loaded();
        // What does not open is shown nowhere, and was set all the same.
        let locked = loaded.overlay.locked(&own).map(|(key, _)| key);
        for key in set.map(|view| Key::parse(&view.key)).chain(locked) {
            if !key.is_within(&own) || key.last() == "name" {
                continue;
            }
            let below = key.0[own.0.len()..].iter().map(Step::text);
            *below.fold(&mut patch, |patch, step| &mut patch[step]) = Value::Null;
        }
        match patch {
            Value::Object(map) => map,
            _ => Map::new(),
        }
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
        let settings = &app.services.settings;
        for _ in 0..TRIES {
            let etag = settings.etag();
            let patch = json!({ "target": { self.kind: { self.name.as_str(): make()? } } });
            match settings.apply(patch, &etag, Author::from(&access.principal)).await {
                Err(ApplyError::Stale { .. }) => {}
                Err(error) => return Err(self.own_pointers(error.into())),
                Ok(_) => return Ok(()),
            }
        }
        let detail = "the configuration is being changed by others: try again";
        Err(Problem::new(StatusCode::CONFLICT, "busy", detail).retry_after(1))
    }

    /// `/target/postgres[pg1]/host` is `/host` in the body that was sent.
    fn own_pointers(&self, mut problem: Problem) -> Problem {
        let prefix = format!("/target/{}[{}]", self.kind, self.name);
        for error in &mut problem.errors {
            if let Some(rest) = error.pointer.strip_prefix(&prefix) {
                error.pointer = rest.to_owned();
            }
        }
        problem
    }
}

fn wrong(pointer: &str, detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "config_invalid", detail.clone()).field(pointer, detail)
}

fn kind_of(body: &mut Body) -> Result<&'static str, Problem> {
    let said = body.remove("kind").unwrap_or_default();
    let known = KINDS.iter().find(|kind| said == **kind);
    known.copied().ok_or_else(|| {
        wrong("/kind", format!("`kind` is {said}, expected one of \"{}\"", KINDS.join("\", \"")))
    })
}

/// A changed body may repeat kind and name, not alter them.
fn same(body: &mut Body, place: &Place) -> Result<(), Problem> {
    for (key, expected) in [("kind", place.kind), ("name", place.name.as_str())] {
        if let Some(said) = body.remove(key)
            && said != expected
        {
            return Err(wrong(&format!("/{key}"), format!("`{key}` is {said}, expected \"{expected}\"")));
        }
    }
    Ok(())
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
            Some(taken) => {
                let loaded = app.services.settings.loaded();
                let origin = loaded.tree.find(&taken.key()).map(Node::origin);
                let origin = origin.map_or_else(String::new, |origin| format!(" by {origin}"));
                let detail = format!("the name `{}` is already taken{origin}", taken.name);
                Err(Problem::new(StatusCode::CONFLICT, "exists", detail.clone()).field("/name", detail))
            }
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
    same(&mut body, &place)?;
    let whole = || {
        let mut patch = Value::Object(place.unset(&app));
        lay_over(&mut patch, &Value::Object(body.clone()));
        Ok(patch)
    };
    place.apply(&app, &access, whole).await?;
    Ok(Json(place.shown(&app)))
}

/// Sets `upper` into `patch`, table by table.
fn lay_over(patch: &mut Value, upper: &Value) {
    match (patch, upper) {
        (Value::Object(patch), Value::Object(upper)) => {
            for (key, value) in upper {
                lay_over(patch.entry(key).or_insert(Value::Null), value);
            }
        }
        (patch, upper) => *patch = upper.clone(),
    }
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
    same(&mut body, &place)?;
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
