//! Tokens, users and sessions: rows that every request looks up, and when each was last
//! used.
//!
//! The pattern: readers take [`Accounts`], three pointers to what the last commit left, and
//! note a use in memory. Uses are written with what is written anyway: the next change of
//! a row of these, the next closed hour, the end. So a crash may forget the uses of an hour;
//! a session then counts as unused for longer than it was, and ends early rather than late.
//! One would get it wrong by writing each use, which is a commit per request.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use redb::{ReadTransaction, ReadableTable as _, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::api::Write;
use super::fault::Fault;
use super::record::{Raw, Record};
use super::records::TokenRecord;
use super::shared::read;
use super::tables::{SESSIONS, TOKENS, USERS, USES};
use super::writer::Writer;
use crate::base::time::Timestamp;
use crate::model::access::{Holder, PasswordHash, Role, Session, Token, User};

/// Kinds in the key of a use.
const TOKEN: u8 = 0;
const SESSION: u8 = 1;
/// A use within this time of the one before is not news, milliseconds.
const FINENESS: i64 = 1000;
const NEVER: i64 = i64::MIN;

/// A row and its last use.
#[derive(Debug)]
pub struct Held<T> {
    row: T,
    used: AtomicI64,
    /// What the file has of `used`.
    saved: AtomicI64,
}

impl<T> Held<T> {
    fn new(row: T) -> Self {
        Self { row, used: AtomicI64::new(NEVER), saved: AtomicI64::new(NEVER) }
    }

    /// When it was last used, as far as that is remembered.
    pub fn used(&self) -> Option<Timestamp> {
        Some(self.used.load(Relaxed)).filter(|at| *at != NEVER).map(Timestamp)
    }

    /// Takes note of a use.
    pub fn touch(&self, now: Timestamp) {
        let before = self.used.load(Relaxed);
        if before == NEVER || now.millis().saturating_sub(before).abs() >= FINENESS {
            self.used.store(now.millis(), Relaxed);
        }
    }

    fn was_used(&self, at: i64) {
        self.used.store(at, Relaxed);
        self.saved.store(at, Relaxed);
    }

    /// The use that the file does not have.
    fn unsaved(&self) -> Option<i64> {
        let used = self.used.load(Relaxed);
        (used != self.saved.load(Relaxed)).then_some(used)
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.row
    }
}

impl AsRef<Token> for Held<Token> {
    fn as_ref(&self) -> &Token {
        &self.row
    }
}

type Rows<T> = Arc<BTreeMap<String, Arc<Held<T>>>>;

/// See the module; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// By id.
    pub tokens: Rows<Token>,
    /// By name.
    pub users: Arc<BTreeMap<String, Arc<User>>>,
    /// By id.
    pub sessions: Rows<Session>,
}

impl Accounts {
    /// Takes over what a commit wrote. A row that is written anew keeps its uses.
    pub fn follow(&mut self, write: &Write) {
        match write {
            Write::PutToken(token) => put(&mut self.tokens, &token.id, token.clone()),
            Write::DeleteToken { id } => drop(Arc::make_mut(&mut self.tokens).remove(id)),
            Write::PutUser(user) => {
                Arc::make_mut(&mut self.users).insert(user.name.clone(), Arc::new(user.clone()));
            }
            Write::DeleteUser { name } => drop(Arc::make_mut(&mut self.users).remove(name)),
            Write::PutSession(session) => put(&mut self.sessions, &session.id, session.clone()),
            Write::DeleteSession { id } => drop(Arc::make_mut(&mut self.sessions).remove(id)),
            _ => {}
        }
    }

    /// Keeps what `before` remembers and the file does not.
    pub fn remember(&self, before: &Self) {
        for (id, held) in self.tokens.iter() {
            before
                .tokens
                .get(id)
                .into_iter()
                .for_each(|old| held.used.store(old.used.load(Relaxed), Relaxed));
        }
        for (id, held) in self.sessions.iter() {
            before
                .sessions
                .get(id)
                .into_iter()
                .for_each(|old| held.used.store(old.used.load(Relaxed), Relaxed));
        }
    }

    /// Uses that the file does not have.
    fn unsaved(&self) -> Vec<(u8, String, i64)> {
        let tokens = self.tokens.iter().filter_map(|(id, held)| Some((TOKEN, id.clone(), held.unsaved()?)));
        let sessions =
            self.sessions.iter().filter_map(|(id, held)| Some((SESSION, id.clone(), held.unsaved()?)));
        tokens.chain(sessions).collect()
    }

    fn saved(&self, uses: &[(u8, String, i64)]) {
        for (kind, id, at) in uses {
            let saved = match *kind {
                TOKEN => self.tokens.get(id).map(|held| &held.saved),
                _ => self.sessions.get(id).map(|held| &held.saved),
            };
            if let Some(saved) = saved {
                saved.store(*at, Relaxed);
            }
        }
    }
}

fn put<T: Clone>(rows: &mut Rows<T>, id: &str, row: T) {
    let fresh = Held::new(row);
    if let Some(old) = rows.get(id) {
        fresh.used.store(old.used.load(Relaxed), Relaxed);
        fresh.saved.store(old.saved.load(Relaxed), Relaxed);
    }
    Arc::make_mut(rows).insert(id.to_owned(), Arc::new(fresh));
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct UserRecord {
    /// Its word; one this version does not know reads as the least.
    role: String,
    salt: [u8; 16],
    digest: [u8; 32],
    memory: u32,
    passes: u32,
    lanes: u32,
    created_at: i64,
    password_at: i64,
}

impl Record for UserRecord {
    const NAME: &'static str = "holdfast::User";
    const VERSION: u8 = 1;
}

impl UserRecord {
    fn of(user: &User) -> Self {
        let PasswordHash { salt, digest, memory, passes, lanes } = user.password.clone();
        Self {
            role: user.role.word().to_owned(),
            salt,
            digest,
            memory,
            passes,
            lanes,
            created_at: user.created_at.millis(),
            password_at: user.password_at.millis(),
        }
    }

    fn user(self, name: &str) -> User {
        let role = Role::ALL.into_iter().find(|role| role.word() == self.role).unwrap_or(Role::Viewer);
        let Self { salt, digest, memory, passes, lanes, .. } = self;
        User {
            name: name.to_owned(),
            role,
            password: PasswordHash { salt, digest, memory, passes, lanes },
            created_at: Timestamp(self.created_at),
            password_at: Timestamp(self.password_at),
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SessionRecord {
    digest: [u8; 32],
    /// Of a token, else of a user.
    by_token: bool,
    holder: String,
    created_at: i64,
    expires_at: i64,
}

impl Record for SessionRecord {
    const NAME: &'static str = "holdfast::Session";
    const VERSION: u8 = 1;
}

impl SessionRecord {
    fn of(session: &Session) -> Self {
        let (by_token, holder) = match &session.holder {
            Holder::Token(id) => (true, id.clone()),
            Holder::User(name) => (false, name.clone()),
        };
        Self {
            digest: session.digest,
            by_token,
            holder,
            created_at: session.created_at.millis(),
            expires_at: session.expires_at.millis(),
        }
    }

    fn session(self, id: &str) -> Session {
        Session {
            id: id.to_owned(),
            digest: self.digest,
            holder: if self.by_token { Holder::Token(self.holder) } else { Holder::User(self.holder) },
            created_at: Timestamp(self.created_at),
            expires_at: Timestamp(self.expires_at),
        }
    }
}

/// When a token or a session was last used.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct UseRecord {
    at: i64,
}

impl Record for UseRecord {
    const NAME: &'static str = "holdfast::Use";
    const VERSION: u8 = 1;
}

/// Puts or removes a row; what was known of the use of a removed one goes with it.
pub fn apply(tx: &WriteTransaction, write: &Write) -> Result<(), Fault> {
    match write {
        Write::PutToken(token) => {
            tx.open_table(TOKENS)?.insert(token.id.as_str(), Raw::encode(&TokenRecord::of(token)))?;
        }
        Write::DeleteToken { id } => {
            tx.open_table(TOKENS)?.remove(id.as_str())?;
            tx.open_table(USES)?.remove((TOKEN, id.as_str()))?;
        }
        Write::PutUser(user) => {
            tx.open_table(USERS)?.insert(user.name.as_str(), Raw::encode(&UserRecord::of(user)))?;
        }
        Write::DeleteUser { name } => drop(tx.open_table(USERS)?.remove(name.as_str())?),
        Write::PutSession(session) => {
            let record = SessionRecord::of(session);
            tx.open_table(SESSIONS)?.insert(session.id.as_str(), Raw::encode(&record))?;
        }
        Write::DeleteSession { id } => {
            tx.open_table(SESSIONS)?.remove(id.as_str())?;
            tx.open_table(USES)?.remove((SESSION, id.as_str()))?;
        }
        _ => {}
    }
    Ok(())
}

/// Whether [`apply`] has something to do for it.
pub fn concerns(write: &Write) -> bool {
    matches!(
        write,
        Write::PutToken(_)
            | Write::DeleteToken { .. }
            | Write::PutUser(_)
            | Write::DeleteUser { .. }
            | Write::PutSession(_)
            | Write::DeleteSession { .. }
    )
}

/// A row that does not decode is skipped and logged: one bad token must not cost the
/// history.
pub fn load(tx: &ReadTransaction) -> Result<Accounts, Fault> {
    let mut accounts = Accounts::default();
    let skipped = |table: &str, key: &str, error: &dyn std::fmt::Display| {
        tracing::error!(table, key, %error, "a stored row is skipped");
    };
    for row in tx.open_table(TOKENS)?.iter()? {
        let (id, value) = row?;
        match value.value().decode() {
            Ok(token) => accounts.follow(&Write::PutToken(token.token(id.value()))),
            Err(error) => skipped("tokens", id.value(), &error),
        }
    }
    for row in tx.open_table(USERS)?.iter()? {
        let (name, value) = row?;
        match value.value().decode() {
            Ok(user) => accounts.follow(&Write::PutUser(user.user(name.value()))),
            Err(error) => skipped("users", name.value(), &error),
        }
    }
    for row in tx.open_table(SESSIONS)?.iter()? {
        let (id, value) = row?;
        match value.value().decode() {
            Ok(session) => accounts.follow(&Write::PutSession(session.session(id.value()))),
            Err(error) => skipped("sessions", id.value(), &error),
        }
    }
    for row in tx.open_table(USES)?.iter()? {
        let (key, value) = row?;
        let (kind, id) = key.value();
        // Without it the row counts as never used.
        let Ok(UseRecord { at }) = value.value().decode() else { continue };
        match kind {
            TOKEN => accounts.tokens.get(id).into_iter().for_each(|held| held.was_used(at)),
            _ => accounts.sessions.get(id).into_iter().for_each(|held| held.was_used(at)),
        }
    }
    Ok(accounts)
}

/// Uses on their way to the file.
#[derive(Debug, Default)]
pub struct Uses(Vec<(u8, String, i64)>);

impl Uses {
    pub fn put(&self, tx: &WriteTransaction) -> Result<(), Fault> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut table = tx.open_table(USES)?;
        for (kind, id, at) in &self.0 {
            table.insert((*kind, id.as_str()), Raw::encode(&UseRecord { at: *at }))?;
        }
        Ok(())
    }
}

impl Writer {
    /// Uses that the file does not have, for the transaction that is about to be made.
    pub fn unsaved_uses(&self) -> Uses {
        Uses(read(&self.shared.cached).accounts.unsaved())
    }

    /// They are durable.
    pub fn uses_saved(&self, uses: &Uses) {
        read(&self.shared.cached).accounts.saved(&uses.0);
    }
}

#[cfg(test)]
#[path = "tests/accounts.rs"]
mod tests;
