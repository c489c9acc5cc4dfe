//! Passwords at the door.
//!
//! A guess costs memory and time, so few are hashed at once, and whoever guesses wrong too
//! often is not even hashed, from loopback too: there the socket and a token still open.
//! A name that nobody has takes as long as one that somebody has.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;

use super::peer::Client;
use super::{locked_out, wrong};
use crate::base::secret::Secret;
use crate::http::error::Problem;
use crate::http::state::App;
use crate::logic::password;
use crate::model::access::{PasswordHash, User};
use crate::runtime::supervisor::Supervisor;

/// How long a login waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// The user whose name and password these are.
///
/// # Errors
/// 401 for a wrong one, 429 for too many of them, 503 when too many log in.
pub async fn by_password(
    app: &App,
    client: &Client,
    name: &str,
    given: Secret,
) -> Result<Arc<User>, Problem> {
    let address = match client {
        Client::Network { address, .. } => Some(*address),
        Client::Socket { .. } => None,
    };
    let user = app.store()?.accounts().users.get(name).cloned();
    let kept = user.as_ref().map_or_else(password::nobody, |user| user.password.clone());
    let turn = turn(app).await?;
    // Asked in its turn: those that waited with it may have been the tenth.
    let now = app.services.clock.monotonic();
    if let Some(left) = address.and_then(|address| app.lockout.locked(address, now)) {
        return Err(locked_out(left));
    }
    let hashed = Supervisor::blocking(move || {
        let right = password::verify(given.expose(), &kept);
        drop(turn);
        right
    });
    let right = hashed.await.ok_or_else(Problem::internal)?;
    match user.filter(|_| right) {
        Some(user) => Ok(user),
        None => {
            let refused =
                Problem::new(StatusCode::UNAUTHORIZED, "bad_password", "the user or the password is wrong");
            Err(wrong(app, address, false, now, refused))
        }
    }
}

/// What is stored of a new password.
///
/// # Errors
/// 422 when it is not good enough, 503 when too many log in.
pub async fn hash(app: &App, name: &str, new: Secret) -> Result<PasswordHash, Problem> {
    password::check(name, new.expose()).map_err(|error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_password", "the password is not good enough")
            .field("/password", error.to_string())
    })?;
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| Problem::internal())?;
    let turn = turn(app).await?;
    let hashed = Supervisor::blocking(move || {
        let kept = password::hash(new.expose(), salt);
        drop(turn);
        kept
    });
    hashed.await.flatten().ok_or_else(Problem::internal)
}

async fn turn(app: &App) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
    let turn = tokio::time::timeout(TURN, app.logins.clone().acquire_owned()).await;
    turn.ok().and_then(Result::ok).ok_or_else(|| {
        let detail = "too many logins at once";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(TURN.as_secs())
    })
}
