//! Who asks, and whether they may.
//!
//! Every handler takes an [`Access`] whose type names the scope, so a handler
//! without one stands out in its signature, and the test that walks the OpenAPI
//! document finds one that forgot. In the order of the checks: a token that came
//! with the request decides alone; else the session whose cookie came with it, while it
//! lasts; else the peer of the unix socket; else loopback may read, unless a proxy passed
//! the request on. What a token or a session allows is looked up with every request, so a
//! revocation takes effect at once.

pub mod cookie;
pub mod hosts;
pub mod lockout;
pub mod login;
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
use crate::base::time::{Monotonic, Timestamp};
use crate::config::auth::Anonymous;
use crate::logic::token;
use crate::model::access::{Holder, Principal, Scope, Session};
use crate::store::{Accounts, Held};

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
    /// What let the caller in.
    pub pass: Pass,
    scope: PhantomData<S>,
}

impl<S: Wanted> FromRequestParts<AppState> for Access<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let Caller { principal, pass, .. } = Caller::of(parts, app)?;
        if principal.may(S::SCOPE) {
            return Ok(Self { principal, pass, scope: PhantomData });
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

/// What let a caller in, for as long as it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    Anonymous,
    Socket,
    /// `auth.admin_key`.
    Key,
    /// By its id.
    Token(String),
    /// By its id.
    Session(String),
}

impl Pass {
    /// Whether it would still let the caller in: for answers that take their time.
    pub fn holds(&self, app: &App) -> bool {
        let Ok(store) = app.store() else { return true };
        let accounts = store.accounts();
        let now = app.now();
        match self {
            Self::Anonymous => app.config.borrow().auth.anonymous == Anonymous::Read,
            Self::Socket => true,
            Self::Key => app.config.borrow().auth.admin_key.is_some(),
            Self::Token(id) => holder(&accounts, &Holder::Token(id.clone()), now).is_some(),
            Self::Session(id) => accounts
                .sessions
                .get(id)
                .is_some_and(|held| ends(app, held) > now && holder(&accounts, &held.holder, now).is_some()),
        }
    }
}

/// Who asks, whatever they may.
#[derive(Debug)]
pub struct Caller {
    pub principal: Principal,
    pub pass: Pass,
    /// When the pass ends if nobody does anything.
    pub expires_at: Option<Timestamp>,
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        Self::of(parts, app)
    }
}

impl Caller {
    fn of(parts: &Parts, app: &App) -> Result<Self, Problem> {
        let visitor = Visitor::of(parts, app)?;
        if let Some(text) = presented(&parts.headers)? {
            return by_token(app, &visitor.client, text);
        }
        if let Some(cookie) = cookie::presented(&parts.headers, visitor.secure)
            && let Some(caller) = by_cookie(app, cookie)?
        {
            // Without this a page of another port of this host could act as its user.
            if cookie::changes_something(parts) && !cookie::is_of_own_page(parts, visitor.secure) {
                let detail = "a session changes something only for the agent's own page";
                return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail)
                    .hint("programs send a token instead of a cookie"));
            }
            return Ok(caller);
        }
        let open = |principal, pass| Self { principal, pass, expires_at: None };
        match visitor.client {
            Client::Socket { uid } => Ok(open(of_socket(uid, app.uid), Pass::Socket)),
            Client::Network { local: true, .. } if visitor.anonymous == Anonymous::Read => {
                let principal =
                    Principal { who: String::from(ANONYMOUS), scopes: vec![Scope::MonitoringRead] };
                Ok(open(principal, Pass::Anonymous))
            }
            Client::Network { .. } => Err(unauthorized()),
        }
    }
}

/// Where a request is from.
#[derive(Clone, Copy, Debug)]
pub struct Visitor {
    pub client: Client,
    /// Whether nobody reads along between the browser and us, as far as we are told.
    pub secure: bool,
    anonymous: Anonymous,
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        Self::of(parts, app)
    }
}

impl Visitor {
    fn of(parts: &Parts, app: &App) -> Result<Self, Problem> {
        // Without a peer nobody vouches for where the request came from.
        let peer = *parts.extensions.get::<Peer>().ok_or_else(unauthorized)?;
        let config = app.config.borrow();
        let trusted = &config.http.trusted_proxies;
        Ok(Self {
            client: peer::client_of(peer, &parts.headers, trusted),
            secure: peer::is_secure(peer, &parts.headers, trusted),
            anonymous: config.auth.anonymous,
        })
    }

    /// Who a token is that did not come as a header.
    ///
    /// # Errors
    /// As for a header: 401, and 429 after too many.
    pub fn by_token(&self, app: &App, text: &str) -> Result<Caller, Problem> {
        by_token(app, &self.client, text.trim())
    }

    /// For the audit log.
    pub fn shown(&self) -> String {
        match self.client {
            Client::Network { address, .. } => address.to_string(),
            Client::Socket { uid } => format!("the socket, user {uid}"),
        }
    }
}

/// What a token or a user may do now, and until when; `None` when there is none any more.
fn holder(accounts: &Accounts, of: &Holder, now: Timestamp) -> Option<(Principal, Option<Timestamp>)> {
    match of {
        Holder::Token(id) => {
            let token = accounts.tokens.get(id)?;
            let lasts = token.expires_at.is_none_or(|end| now < end);
            let principal = Principal { who: format!("token:{}", token.name), scopes: token.scopes.clone() };
            lasts.then_some((principal, token.expires_at))
        }
        Holder::User(name) => {
            let user = accounts.users.get(name)?;
            Some((Principal { who: format!("user:{name}"), scopes: user.role.scopes() }, None))
        }
    }
}

/// When a session ends if it is not used again.
pub fn ends(app: &App, session: &Held<Session>) -> Timestamp {
    let idle = app.config.borrow().auth.session_idle;
    let used = session.used().unwrap_or(session.created_at);
    used.plus(idle.0).min(session.expires_at)
}

/// The session of a cookie; `None` when it is over, which is what a browser that was left
/// open sends.
fn by_cookie(app: &App, text: &str) -> Result<Option<Caller>, Problem> {
    let Some(presented) = token::parse_session(text) else { return Ok(None) };
    let accounts = app.store()?.accounts();
    let now = app.now();
    let held = accounts.sessions.get(presented.id).filter(|held| presented.proves(&held.digest));
    let Some(held) = held.filter(|held| ends(app, held) > now) else { return Ok(None) };
    let Some((principal, until)) = holder(&accounts, &held.holder, now) else { return Ok(None) };
    held.touch(now);
    let end = ends(app, held);
    let expires_at = Some(until.map_or(end, |until| until.min(end)));
    Ok(Some(Caller { principal, pass: Pass::Session(held.id.clone()), expires_at }))
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

fn by_token(app: &App, client: &Client, text: &str) -> Result<Caller, Problem> {
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
    let is_key = app.config.borrow().auth.admin_key.as_ref().is_some_and(|key| key.matches(text));
    if is_key {
        let principal = Principal { who: String::from("admin_key"), scopes: vec![Scope::Admin] };
        return Ok(Caller { principal, pass: Pass::Key, expires_at: None });
    }
    let accounts = app.store()?.accounts();
    let today = app.now();
    let held = token::parse(text)
        .and_then(|presented| token::verify(presented, accounts.tokens.values().map(|held| &**held), today));
    if let Some(held) = held {
        held.touch(today);
        let principal = Principal { who: format!("token:{}", held.name), scopes: held.scopes.clone() };
        return Ok(Caller { principal, pass: Pass::Token(held.id.clone()), expires_at: held.expires_at });
    }
    Err(wrong(app, address, locked.is_some(), now, refused()))
}

/// Takes note of a wrong token or password. `locked`: whether the address was locked out
/// before, which the log knows already.
fn wrong(app: &App, address: Option<IpAddr>, locked: bool, now: Monotonic, refused: Problem) -> Problem {
    let Some(address) = address else { return refused };
    match app.lockout.wrong(address, now) {
        None => refused,
        Some(left) => {
            if !locked {
                tracing::warn!(%address, "too many wrong tokens or passwords: locked out");
            }
            locked_out(left)
        }
    }
}

fn refused() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "bad_token", "the token is unknown or expired")
}

fn locked_out(left: std::time::Duration) -> Problem {
    let detail = "too many wrong tokens or passwords from this address";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "locked_out", detail)
        .retry_after(left.as_secs() + 1)
        .limit(lockout::POLICY)
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
