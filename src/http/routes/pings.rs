//! `/ping/...`: how a check reports, by the rules of healthchecks.io.
//!
//! ```text
//! /ping/{uuid}          /ping/{key}/{slug}             success
//! /ping/{uuid}/start    /ping/{key}/{slug}/start       it begins; also fail, log
//! /ping/{uuid}/3        /ping/{key}/{slug}/3           its exit status: 0 is success
//! ```
//! What stands in the path proves who reports, so no token is asked for, and it is
//! masked wherever the path is shown. `OK` is answered when the ping is on the disk. A
//! ping is never refused for what comes with it: a longer body is cut, an unknown
//! parameter is not read. Wrong would be to be strict here: the job has done its work,
//! and its check would be down.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;

use super::check_changes;
use crate::base::id::Name;
use crate::engine::settings::Author;
use crate::engine::task_keeper::{Address, KeepError, PingRequest};
use crate::http::error::{Limit, Problem};
use crate::http::extract::{ApiPath, too_slow};
use crate::http::registry::{Registry, routes};
use crate::http::state::{App, AppState};
use crate::model::check::{PingId, PingKind};

/// Bytes of a body that are kept.
const KEPT: usize = 10_000;
/// All of the body must be there within this time, kept or not.
const BODY_DEADLINE: Duration = Duration::from_secs(30);
const LONGEST_RID: usize = 64;

/// How often one check may report.
pub const POLICY: Limit = Limit { name: "pings", quota: 60, window_seconds: 60 };

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(success)).routes(routes!(second)).routes(routes!(third))
}

/// Reports the success of the check with this id. GET, HEAD and POST are the same; the
/// first 10 kB of a body are kept. `?rid=` tells overlapping runs apart.
#[utoipa::path(
    method(get, post), path = "/ping/{uuid}", tag = "pings",
    params(("uuid" = String, Path), ("rid" = Option<String>, Query)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 408), (status = 409), (status = 507))
)]
async fn success(
    State(app): State<AppState>,
    ApiPath(uuid): ApiPath<String>,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    let id = PingId::parse(&uuid).ok_or(KeepError::UnknownAddress)?;
    take(&app, Address::Id(id), None, &uri, body).await
}

/// After the id of a check: `start`, `fail`, `log` or an exit status from 0 to 255. After
/// the ping key: the slug of a check, which reports success; with `?create=1` it is made
/// if there is none.
#[utoipa::path(
    method(get, post), path = "/ping/{uuid}/{action}", tag = "pings",
    params(
        ("uuid" = String, Path), ("action" = String, Path), ("rid" = Option<String>, Query),
        ("create" = Option<String>, Query),
    ),
    responses((status = 200, body = String, content_type = "text/plain"),
              (status = 201, body = String, content_type = "text/plain", description = "The check was made, too."),
              (status = 408), (status = 409), (status = 422), (status = 507))
)]
async fn second(
    State(app): State<AppState>,
    ApiPath((first, second)): ApiPath<(String, String)>,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    match PingId::parse(&first) {
        Some(id) => take(&app, Address::Id(id), Some(&second), &uri, body).await,
        None => take(&app, Address::Slug { key: &first, slug: &second }, None, &uri, body).await,
    }
}

/// After the ping key and the slug of a check: `start`, `fail`, `log` or an exit status.
#[utoipa::path(
    method(get, post), path = "/ping/{key}/{slug}/{action}", tag = "pings",
    params(
        ("key" = String, Path), ("slug" = String, Path), ("action" = String, Path),
        ("rid" = Option<String>, Query), ("create" = Option<String>, Query),
    ),
    responses((status = 200, body = String, content_type = "text/plain"),
              (status = 201, body = String, content_type = "text/plain", description = "The check was made, too."),
              (status = 408), (status = 409), (status = 422), (status = 507))
)]
async fn third(
    State(app): State<AppState>,
    ApiPath((key, slug, action)): ApiPath<(String, String, String)>,
    uri: Uri,
    body: Body,
) -> Result<Response, Problem> {
    take(&app, Address::Slug { key: &key, slug: &slug }, Some(&action), &uri, body).await
}

async fn take(
    app: &App,
    address: Address<'_>,
    action: Option<&str>,
    uri: &Uri,
    body: Body,
) -> Result<Response, Problem> {
    let (kind, exit) = action.map_or(Ok((PingKind::Success, None)), said)?;
    let asked = Query::<Vec<(String, String)>>::try_from_uri(uri).map(|pairs| pairs.0).unwrap_or_default();
    let asked = |name: &str| asked.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let rid = asked("rid").map(run_id).transpose()?;
    let request = PingRequest { kind, exit, rid, body: kept(body).await? };
    let keeper = app.tasks()?;
    match (keeper.ping(address, request.clone()).await, address) {
        (Err(KeepError::UnknownAddress), Address::Slug { key, slug })
            if asked("create").is_some_and(|create| create == "1") && keeper.is_key(key) =>
        {
            create(app, slug).await?;
            keeper.ping(address, request).await?;
            Ok(answer(StatusCode::CREATED, "Created"))
        }
        (done, _) => {
            done?;
            Ok(answer(StatusCode::OK, "OK"))
        }
    }
}

fn answer(status: StatusCode, text: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// What the last part of the path says.
fn said(action: &str) -> Result<(PingKind, Option<u8>), Problem> {
    match action {
        "start" => return Ok((PingKind::Start, None)),
        "fail" => return Ok((PingKind::Fail, None)),
        "log" => return Ok((PingKind::Log, None)),
        _ => {}
    }
    if action.is_empty() || !action.bytes().all(|byte| byte.is_ascii_digit()) {
        let detail = format!("`{}` is nothing a ping can say", action.escape_default());
        return Err(Problem::not_found(detail).hint("expected start, fail, log, or an exit status"));
    }
    match action.parse::<u8>() {
        Ok(0) => Ok((PingKind::Success, Some(0))),
        Ok(exit) => Ok((PingKind::Fail, Some(exit))),
        Err(_) => Err(Problem::bad_parameter("action", "an exit status is 0 to 255")),
    }
}

fn run_id(rid: String) -> Result<String, Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=LONGEST_RID).contains(&rid.len()) && rid.bytes().all(plain) {
        return Ok(rid);
    }
    let detail = format!("expected 1 to {LONGEST_RID} letters, digits, `.`, `_` or `-`, such as a UUID");
    Err(Problem::bad_parameter("rid", detail))
}

/// The text of the first [`KEPT`] bytes; the rest is read and dropped, because who
/// sends it would else not see the answer.
async fn kept(mut body: Body) -> Result<String, Problem> {
    let mut start = Vec::new();
    let read = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                let detail = "the connection ended inside the body";
                return Err(Problem::new(StatusCode::BAD_REQUEST, "body_ended", detail));
            };
            if let Ok(chunk) = frame.into_data() {
                let wanted = chunk.len().min(KEPT - start.len());
                start.extend_from_slice(&chunk[..wanted]);
            }
        }
        Ok(())
    };
    tokio::time::timeout(BODY_DEADLINE, read).await.map_err(|_| too_slow())??;
    let mut text = String::from_utf8_lossy(&start).into_owned();
    // Three bytes stand for one that is not UTF-8.
    let mut end = text.len().min(KEPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    Ok(text)
}

/// Makes a check with the defaults, for whoever has the ping key.
async fn create(app: &App, slug: &str) -> Result<(), Problem> {
    let name = Name::new(slug).map_err(|error| Problem::bad_parameter("slug", error.to_string()))?;
    let body = serde_json::Map::from_iter([(String::from("name"), name.as_str().into())]);
    match check_changes::make(app, &Author::from("ping"), name.as_str(), &body).await {
        // Another ping was faster.
        Err(problem) if problem.code == "exists" => Ok(()),
        made => made.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_says_what_happened() {
        assert_eq!(said("start").unwrap(), (PingKind::Start, None));
        assert_eq!(said("0").unwrap(), (PingKind::Success, Some(0)));
        assert_eq!(said("255").unwrap(), (PingKind::Fail, Some(255)));
        for (bad, status) in
            [("256", 400), ("99999999999999999999", 400), ("-1", 404), ("", 404), ("end", 404)]
        {
            assert_eq!(said(bad).unwrap_err().status.as_u16(), status, "{bad}");
        }
    }

    #[tokio::test]
    async fn of_a_long_body_the_beginning_is_kept() {
        assert_eq!(kept(Body::from("log")).await.unwrap(), "log");
        assert_eq!(kept(Body::from(vec![b'x'; 3 * KEPT])).await.unwrap().len(), KEPT);
        let wrong = kept(Body::from(vec![0xff; KEPT])).await.unwrap();
        assert!(wrong.len() <= KEPT && wrong.starts_with('\u{fffd}'));
    }
}
