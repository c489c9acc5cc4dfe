//! The cookie of a session of the page.
//!
//! A browser sends it with whatever asks for our address, so it proves who the user is and
//! not that they wanted it: hence `SameSite=Strict`, and beside it the `Origin` of whatever
//! changes something. Cookies do not tell ports apart: another program of this host could
//! set one of ours, which the prefix `__Host-` prevents where TLS allows it.

use axum::http::header::{COOKIE, HOST, ORIGIN, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};

use crate::base::secret::Secret;

const SECURE: &str = "__Host-holdfast_session";
const PLAIN: &str = "holdfast_session";
/// Cookies that are looked at.
const MOST: usize = 64;

/// The value of our cookie, if the request has one.
pub fn presented(headers: &HeaderMap, secure: bool) -> Option<&str> {
    let name = if secure { SECURE } else { PLAIN };
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).take(MOST);
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// What sets the cookie for at most `seconds`; `None` for a value that no header may have.
pub fn set(value: &Secret, seconds: u64, secure: bool) -> Option<HeaderValue> {
    let (name, more) = if secure { (SECURE, "; Secure") } else { (PLAIN, "") };
    let text =
        format!("{name}={}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{more}", value.expose());
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// What takes it back.
pub fn clear(secure: bool) -> HeaderValue {
    HeaderValue::from_static(if secure {
        "__Host-holdfast_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"
    } else {
        "holdfast_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
    })
}

/// Whether the request is more than a look. A WebSocket is: no rule of browsers about
/// origins holds for what comes back through it.
pub fn changes_something(parts: &Parts) -> bool {
    !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS)
        || parts.headers.contains_key(UPGRADE)
}

/// Whether `Origin` says that the page is ours: host and port that were asked for, and
/// the scheme. Origins that may call us have no part in a user's session.
pub fn is_of_own_page(parts: &Parts, secure: bool) -> bool {
    let host = parts.uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| parts.headers.get(HOST)?.to_str().ok());
    let origin = parts.headers.get(ORIGIN).and_then(|value| value.to_str().ok());
    let (Some(host), Some((scheme, authority))) = (host, origin.and_then(|origin| origin.split_once("://")))
    else {
        return false;
    };
    scheme == if secure { "https" } else { "http" } && authority.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn ours_is_found_among_others_by_its_whole_name() {
        let parts =
            parts("GET", &[("cookie", "a=b; xholdfast_session=1; holdfast_session=2;c"), ("cookie", "d=e")]);
        assert_eq!(presented(&parts.headers, false), Some("2"));
        assert_eq!(presented(&parts.headers, true), None);
        let value = Secret::new("v");
        let set = set(&value, 9, true).unwrap();
        assert_eq!(set, "__Host-holdfast_session=v; Path=/; Max-Age=9; HttpOnly; SameSite=Strict; Secure");
        assert!(!format!("{set:?}").contains("=v"));
    }

    #[test]
    fn only_the_own_page_may_change_something() {
        for (method, upgrade, changes) in
            [("GET", false, false), ("HEAD", false, false), ("POST", false, true), ("GET", true, true)]
        {
            let upgrade: &[_] = if upgrade { &[("upgrade", "websocket")] } else { &[] };
            assert_eq!(changes_something(&parts(method, upgrade)), changes, "{method}");
        }
        let from = |origin: &str| parts("POST", &[("host", "nas:3003"), ("origin", origin)]);
        assert!(is_of_own_page(&from("http://NAS:3003"), false));
        assert!(is_of_own_page(&from("https://nas:3003"), true));
        for foreign in ["https://nas:3003", "http://nas:3004", "http://nas", "null", "http://nas:3003.evil"] {
            assert!(!is_of_own_page(&from(foreign), false), "{foreign}");
        }
        assert!(!is_of_own_page(&parts("POST", &[("host", "nas:3003")]), false));
    }
}
