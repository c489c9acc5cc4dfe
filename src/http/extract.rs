//! Extractors whose refusals are problems: [`ApiJson`], [`ApiOptional`], [`ApiPath`], [`ApiQuery`].
//!
//! axum's own answer in plain text, take unknown parameters, and wait for a body
//! as long as the client likes; these do not.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use super::error::Problem;
use super::parameters::Parameters;

/// Largest body unless a path says otherwise, bytes.
pub const BODY_LIMIT: usize = 1024 * 1024;
/// Of a body that is too large, so much more is read to be dropped, bytes.
const DROPPED: usize = 8 * 1024 * 1024;
/// A client that sends nothing for this long is given up.
pub const BODY_PAUSE: Duration = Duration::from_secs(10);
/// A body that is not ingestion must be there within this time.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// A JSON body.
#[derive(Debug)]
pub struct ApiJson<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_json(request.headers())?;
        let body = read_body(request.into_body(), BODY_LIMIT).await?;
        from_json(&body).map(Self)
    }
}

/// A JSON body that may be left out.
#[derive(Debug)]
pub struct ApiOptional<T>(pub T);

impl<S: Sync, T: DeserializeOwned + Default> FromRequest<S> for ApiOptional<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read_body(body, BODY_LIMIT).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        check_json(&parts.headers)?;
        from_json(&body).map(Self)
    }
}

/// A JSON body that is one object or a list of them.
#[derive(Debug)]
pub struct ApiList<T> {
    pub items: Vec<T>,
    /// Whether it was a list.
    pub many: bool,
}

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for ApiList<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_json(request.headers())?;
        let body = read_body(request.into_body(), BODY_LIMIT).await?;
        let many = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        let items = if many { from_json(&body)? } else { vec![from_json(&body)?] };
        Ok(Self { items, many })
    }
}

fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = media_type(headers);
    if kind == "application/json" || kind.ends_with("+json") {
        return Ok(());
    }
    let detail = format!("the body is `{kind}`, expected `application/json`");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
}

/// Reads a JSON text, naming the place of what is wrong.
///
/// # Errors
/// 400 with the JSON pointer.
pub fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer_of(error.path());
        let detail = error.into_inner().to_string();
        Problem::new(StatusCode::BAD_REQUEST, "bad_json", format!("the body is not as expected: {detail}"))
            .field(pointer, detail)
    })?;
    reader.end().map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_json", format!("after the body: {error}"))
    })?;
    Ok(value)
}

/// RFC 6901.
fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// The whole body, at most `limit` bytes of it, within [`BODY_DEADLINE`].
///
/// # Errors
/// 413 when it is larger, 408 when it does not come.
pub async fn read_body(body: Body, limit: usize) -> Result<Bytes, Problem> {
    tokio::time::timeout(BODY_DEADLINE, gather(body, limit)).await.unwrap_or_else(|_| Err(too_slow()))
}

/// A body that is a little too large is read to its end and dropped: who sends it would
/// else lose the answer to the reset of the connection.
async fn gather(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let last = limit.saturating_add(DROPPED);
    if body.size_hint().lower() > last as u64 {
        return Err(too_large(limit));
    }
    let (mut whole, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "body_ended", "the connection ended inside the body")
        })?;
        let Ok(chunk) = frame.into_data() else { continue };
        length = length.saturating_add(chunk.len());
        if length > last {
            break;
        }
        if length <= limit {
            whole.extend_from_slice(&chunk);
        } else {
            whole = Vec::new();
        }
    }
    if length > limit { Err(too_large(limit)) } else { Ok(Bytes::from(whole)) }
}

pub fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is larger than {} MiB, which is the limit here", limit / (1024 * 1024));
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
}

pub fn too_slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body did not arrive in time")
}

/// `Content-Type` without its parameters, in lower case.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Variable parts of the path.
#[derive(Debug)]
pub struct ApiPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::new(StatusCode::BAD_REQUEST, "bad_path", error.body_text())),
        }
    }
}

/// Query parameters; a parameter the type does not know is refused.
#[derive(Debug)]
pub struct ApiQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "bad_query", "the query string is not valid")
        })?;
        let parameters = Parameters::new(pairs.0).map_err(|name| {
            Problem::bad_parameter(&name, "too many parameters, or a value that is too long")
        })?;
        T::deserialize(&parameters)
            .map(Self)
            .map_err(|error| Problem::bad_parameter(&error.name, error.message))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        number: u8,
    }

    #[test]
    fn bad_json_names_the_place() {
        for (text, pointer) in [
            (r#"{"list": [{"number": 1}, {"number": "x"}]}"#, "/list/1/number"),
            (r#"{"list": [{"numer": 1}]}"#, "/list/0/numer"),
            (r#"{"list": 5}"#, "/list"),
            ("[", ""),
        ] {
            let problem = from_json::<Outer>(text.as_bytes()).unwrap_err();
            assert_eq!(
                (problem.status.as_u16(), problem.errors[0].pointer.as_str()),
                (400, pointer),
                "{text}"
            );
        }
        assert_eq!(from_json::<Outer>(b"{\"list\": []} x").unwrap_err().status.as_u16(), 400);
        assert!(from_json::<Outer>(br#"{"list": [{"number": 1}]}"#).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let problem = read_body(Body::from_stream(never), BODY_LIMIT).await.unwrap_err();
        assert_eq!(problem.status, StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn a_body_may_be_as_large_as_the_limit() {
        assert!(read_body(Body::from(vec![0; 10]), 10).await.is_ok());
        for more in [1, DROPPED, DROPPED + 1] {
            let problem = read_body(Body::from(vec![0; 10 + more]), 10).await.unwrap_err();
            assert_eq!(problem.status, StatusCode::PAYLOAD_TOO_LARGE);
        }
        // Nobody said beforehand how much there is.
        let chunk = || Some(Ok::<_, std::io::Error>(Bytes::from_static(&[0; 4096])));
        let endless = futures_util::stream::iter(std::iter::from_fn(chunk));
        let problem = read_body(Body::from_stream(endless), 10).await.unwrap_err();
        assert_eq!(problem.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
