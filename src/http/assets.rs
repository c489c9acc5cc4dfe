//! The page, from inside the binary.
//!
//! The build leaves each file with its `.br` and `.gz` beside it; here the best
//! one the browser takes is handed out as it lies in the binary, never copied and
//! never compressed. Names below `assets/` carry a hash of the content, so they
//! may be kept for ever; everything else is asked for again with its ETag. A path
//! without an extension is a place inside the page and answers `index.html`.

use std::borrow::Cow;

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::error::Problem;
use super::registry::Registry;

#[derive(rust_embed::Embed)]
#[folder = "$OUT_DIR/web/"]
struct Files;

/// The page sets styles by script only, which the policy does not touch; so there
/// is no `unsafe-inline`.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

pub fn routes<R: Registry>(registry: R) -> R {
    registry
        .page("/", get(to_page))
        .page("/dashboard.html", get(to_page))
        .page("/ui", get(to_page))
        .page("/ui/", get(index))
        .page("/ui/{*path}", get(file))
}

async fn to_page() -> Redirect {
    Redirect::to("/ui/")
}

async fn index(headers: HeaderMap) -> Result<Response, Problem> {
    serve("index.html", &headers)
}

async fn file(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_place = !last.contains('.') && !path.starts_with("assets/");
    serve(if is_place { "index.html" } else { &path }, &headers)
}

fn serve(path: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let kind = content_type(path);
    let missing = || Problem::not_found("the page has no such file");
    // The compressed forms are not files of their own.
    let kind = kind.ok_or_else(missing)?;
    let (file, encoding) = best(path, headers).ok_or_else(missing)?;
    let tag = etag(&file.metadata.sha256_hash());
    let immutable = path.starts_with("assets/");
    let cache = if immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag);

    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let bytes = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Response::new(Body::from(bytes))
    };
    let out = response.headers_mut();
    let tag = HeaderValue::from_str(&tag).map_err(|_| Problem::internal())?;
    out.insert(ETAG, tag);
    out.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    out.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    out.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    out.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    out.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    if let Some(encoding) = encoding {
        out.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    Ok(response)
}

/// The smallest form that the client takes, with its encoding.
fn best(path: &str, headers: &HeaderMap) -> Option<(rust_embed::EmbeddedFile, Option<&'static str>)> {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    for (encoding, extension) in [("br", ".br"), ("gzip", ".gz")] {
        if accepts(accepted, encoding)
            && let Some(file) = Files::get(&format!("{path}{extension}"))
        {
            return Some((file, Some(encoding)));
        }
    }
    Files::get(path).map(|file| (file, None))
}

/// Whether a client whose `Accept-Encoding` is `header` takes the encoding.
pub fn accepts(header: &str, encoding: &str) -> bool {
    header.split(',').any(|part| {
        let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
        let refused = parameters.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        name.trim().eq_ignore_ascii_case(encoding) && !refused
    })
}

fn etag(hash: &[u8]) -> String {
    let digits: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

/// By extension; only what the build makes. `None` is not a file of the page.
fn content_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_taken_as_the_client_says() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(accepts("br;q=0.5", "br"));
        assert!(!accepts("br;q=0, gzip", "br"));
        assert!(!accepts("", "gzip") && !accepts("brotli", "br"));
    }

    #[test]
    fn the_page_is_inside_and_its_compressed_forms_have_no_path() {
        assert!(serve("index.html", &HeaderMap::new()).is_ok());
        assert!(serve("index.html.br", &HeaderMap::new()).is_err());
        assert!(serve("nothing.js", &HeaderMap::new()).is_err());
    }
}
