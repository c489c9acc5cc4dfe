//! What a first start would make, made before it: for a host without a screen, whose owner
//! must know the certificate and a password before they can log in from elsewhere.

use std::sync::Arc;

use super::bind::open_tls;
use super::directory::Directory;
use super::{AppError, store_options};
use crate::base::secret::Secret;
use crate::base::time::{Clock, SystemClock};
use crate::config::Config;
use crate::logic::password;
use crate::model::access::{AuditEntry, Role, User};
use crate::store::{Change, Store, Write};

/// Who may log in first, as an administrator.
#[derive(Debug)]
pub struct FirstUser {
    pub name: String,
    pub password: Secret,
}

/// What is there now.
#[derive(Debug)]
pub struct Prepared {
    /// SHA-256 of the certificate, if there is one.
    pub fingerprint: Option<String>,
}

/// Makes the data directory, the certificate, the store with its admin token, and the user.
/// Blocking: until all of it is on the disk.
///
/// # Errors
/// [`AppError`]: the directory is in use or cannot be written, the password is not good
/// enough, there is such a user.
pub fn prepare(config: &Config, user: &FirstUser) -> Result<Prepared, AppError> {
    let failed = |reason: String| AppError::Failed(reason);
    password::check(&user.name, user.password.expose()).map_err(|error| failed(error.to_string()))?;
    let directory = Directory::claim(&config.data_dir)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let now = clock.now();
    let tls = open_tls(config, now)?;
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)
        .map_err(|error| failed(format!("the system gives no random numbers: {error}")))?;
    let hash = password::hash(user.password.expose(), salt);
    let hash = hash.ok_or_else(|| failed(String::from("the password cannot be hashed")))?;
    let (store, _) = Store::open(store_options(&directory, &config.storage), clock, &mut |_| {})?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        directory.ensure_token(&store, now).await?;
        if store.accounts().users.contains_key(&user.name) {
            return Err(failed(format!("there is a user `{}` already", user.name)));
        }
        let row = User {
            name: user.name.clone(),
            role: Role::Admin,
            password: hash,
            created_at: now,
            password_at: now,
        };
        let audit = AuditEntry {
            at: now,
            who: String::from("setup"),
            action: String::from("user.create"),
            object: user.name.clone(),
            detail: String::from("role admin"),
        };
        store.commit(Change { writes: vec![Write::PutUser(row)], audit: Some(audit) }).await?;
        store.close(0).await?;
        Ok(())
    })?;
    Ok(Prepared { fingerprint: tls.map(|tls| tls.fingerprint()) })
}
