//! Who asks, and whether they may.
//!
//! Every handler takes an [`Access`] whose type names the scope, so a handler
//! without one stands out in its signature, and the test that walks the OpenAPI
//! document finds one that forgot. In the order of the checks: a token that came
//! with the request decides alone; else the peer of the unix socket; else
//! loopback may read, unless a proxy passed the request on.

pub mod hosts;
pub mod lockout;
pub mod peer;

use std::marker::PhantomData;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

use self::peer::{Client, Peer};
use super::error::Problem;
use super::state::{App, AppState};
use crate::base::time::Monotonic;
use crate::config::auth::Anonymous;
use crate::logic::token;
use crate::model::access::{Principal, Scope};

/// A scope as a type.
pub trait Wanted: Send + Sync + 'static {
    const SCOPE: Scope;
}

macro_rules! scopes {
    ($($name:ident),+) => {$(
        #[derive(Debug)]
        pub struct $name;

        impl Wanted for $name {
            const SCOPE: Scope = Scope::$name;
        }
    )+};
}

scopes!(MonitoringRead, MonitoringWrite, TargetsWrite, ConfigWrite, Admin);

/// Proof that the caller may use a handler of scope `S`.
#[derive(Debug)]
pub struct Access<S> {
    pub principal: Principal,
    scope: PhantomData<S>,
}

impl<S: Wanted> FromRequestParts<AppState> for Access<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        // Without a peer nobody vouches for where the request came from.
        let peer = *parts.extensions.get::<Peer>().ok_or_else(unauthorized)?;
        let principal = authenticate(app, peer, &parts.headers)?;
        if principal.may(S::SCOPE) {
            return Ok(Self { principal, scope: PhantomData });
        }
        let word = S::SCOPE.word();
        if principal.who == ANONYMOUS {
            return Err(unauthorized().hint(format!("this needs a token with the scope `{word}`; {WHERE}")));
        }
        let detail = format!("{} lacks the scope `{word}`", principal.who);
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
    }
}

const ANONYMOUS: &str = "anonymous";
const WHERE: &str =
    "send it as `Authorization: Bearer <token>`; the first one is in `admin.token` in the data directory";

fn unauthorized() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "this needs a token").hint(WHERE)
}

fn authenticate(app: &App, peer: Peer, headers: &HeaderMap) -> Result<Principal, Problem> {
    let config = app.config.borrow();
    let client = peer::client_of(peer, headers, &config.http.trusted_proxies);
    let anonymous = config.auth.anonymous;
    drop(config);
    if let Some(text) = presented(headers)? {
        return by_token(app, &client, text);
    }
    match client {
        Client::Socket { uid } => Ok(of_socket(uid, app.uid)),
        Client::Network { local: true, .. } if anonymous == Anonymous::Read => {
            Ok(Principal { who: String::from(ANONYMOUS), scopes: vec![Scope::MonitoringRead] })
        }
        Client::Network { .. } => Err(unauthorized()),
    }
}

/// The token text of the request, wherever it stands.
fn presented(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let bearer = value.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        return bearer.map(Some).ok_or_else(unauthorized);
    }
    let value = headers.get("x-api-key").or_else(|| headers.get("x-admin-key"));
    value.map(|value| value.to_str().map(str::trim).map_err(|_| unauthorized())).transpose()
}

fn by_token(app: &App, client: &Client, text: &str) -> Result<Principal, Problem> {
    let now = app.services.clock.monotonic();
    let (address, local) = match client {
        Client::Network { address, local } => (Some(*address), *local),
        Client::Socket { .. } => (None, true),
    };
    let locked = address.and_then(|address| app.lockout.locked(address, now));
    if let Some(left) = locked
        && !local
    {
        return Err(locked_out(left));
    }
    let stored = app.store()?.tokens();
    let held = token::parse(text).and_then(|presented| token::verify(presented, &stored, app.now()));
    if let Some(held) = held {
        return Ok(Principal { who: format!("token:{}", held.name), scopes: held.scopes.clone() });
    }
    Err(wrong_token(app, address, locked.is_some(), now))
}

/// `locked`: whether the address was locked out before, which the log knows already.
fn wrong_token(app: &App, address: Option<IpAddr>, locked: bool, now: Monotonic) -> Problem {
    let Some(address) = address else { return refused() };
    match app.lockout.wrong(address, now) {
        None => refused(),
        Some(left) => {
            if !locked {
                tracing::warn!(%address, "too many wrong tokens: locked out");
            }
            locked_out(left)
        }
    }
}

fn refused() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "bad_token", "the token is unknown or expired")
}

fn locked_out(left: std::time::Duration) -> Problem {
    let detail = "too many wrong tokens from this address";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "locked_out", detail)
        .retry_after(left.as_secs() + 1)
        .limit(&lockout::POLICY)
}

/// The owner of the agent and root may do everything, who else can reach the
/// socket may read.
fn of_socket(uid: u32, own: u32) -> Principal {
    let who = if uid == 0 { String::from("socket:root") } else { format!("socket:{uid}") };
    let scope = if uid == 0 || uid == own { Scope::Admin } else { Scope::MonitoringRead };
    Principal { who, scopes: vec![scope] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_trusts_root_and_the_own_user() {
        assert!(of_socket(0, 1000).may(Scope::Admin));
        assert!(of_socket(1000, 1000).may(Scope::Admin));
        let other = of_socket(1001, 1000);
        assert!(other.may(Scope::MonitoringRead) && !other.may(Scope::ConfigWrite));
    }

    #[test]
    fn a_token_is_found_in_each_header_and_other_schemes_are_refused() {
        let headers = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, axum::http::HeaderValue::from_static(value));
            headers
        };
        for (name, value) in [("authorization", "bearer  t"), ("x-api-key", "t"), ("x-admin-key", "t ")] {
            assert_eq!(presented(&headers(name, value)).unwrap(), Some("t"), "{name}");
        }
        assert!(presented(&headers("authorization", "Basic dDp0")).is_err());
        assert_eq!(presented(&HeaderMap::new()).unwrap(), None);
    }
}
