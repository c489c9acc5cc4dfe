//! What is done with checks: pings, pausing, looking.

use std::time::Duration;

use super::board::{self, Plan, task_id};
use super::{KeepError, TaskKeeper, random};
use crate::base::secret::Secret;
use crate::logic::check::{Event, Moment, RunChange};
use crate::model::access::AuditEntry;
use crate::model::check::{CheckStatus, CheckView, Ping, PingId, PingKind};
use crate::runtime::supervisor::Supervisor;
use crate::store::{Change, Write};

/// Of one check; each is a commit, and the disk has its budget.
pub const PINGS_PER_MINUTE: u32 = 60;

/// What a ping is addressed to.
#[derive(Clone, Copy, Debug)]
pub enum Address<'a> {
    Id(PingId),
    Slug { key: &'a str, slug: &'a str },
}

/// A ping as it came.
#[derive(Clone, Debug)]
pub struct PingRequest {
    pub kind: PingKind,
    pub exit: Option<u8>,
    pub rid: Option<String>,
    /// Already cut to what is kept.
    pub body: String,
}

impl PingRequest {
    /// What is told of the task that it ends.
    fn says(&self) -> Option<String> {
        match self.exit {
            Some(exit) => Some(format!("exit status {exit}")),
            None => Some(self.body.clone()).filter(|body| !body.is_empty()),
        }
    }
}

impl TaskKeeper {
    /// Takes a ping; durable when it returns.
    ///
    /// # Errors
    /// [`KeepError::UnknownAddress`], [`KeepError::TooMany`], or the store's.
    pub async fn ping(&self, address: Address<'_>, request: PingRequest) -> Result<(), KeepError> {
        let name = self.check_at(address).ok_or(KeepError::UnknownAddress)?;
        let (this, new_task) = (self.clone(), task_id()?);
        self.in_turn(&name.clone(), async move {
            let now = this.moment();
            let plan = this.plan_ping(&name, &request, &new_task, now)?;
            this.carry_out(plan, None, false).await
        })
        .await
    }

    fn plan_ping(
        &self,
        name: &str,
        request: &PingRequest,
        new_task: &str,
        now: Moment,
    ) -> Result<Plan, KeepError> {
        let mut board = self.board();
        let watched = board.checks.get_mut(name).ok_or(KeepError::UnknownAddress)?;
        board::admit(watched, PINGS_PER_MINUTE, now.mono).map_err(|wait| KeepError::TooMany { wait })?;
        let mut check = watched.check.clone();
        let event = Event::Ping { kind: request.kind, rid: request.rid.as_deref(), task: new_task };
        let effects = check.step(board::event(&watched.section, event), watched.pace(), now);
        let took = effects.runs.iter().find_map(|run| match run {
            RunChange::Ended { took, .. } => *took,
            _ => None,
        });
        let ping = Ping {
            number: check.pings(),
            at: now.wall,
            kind: request.kind,
            exit: request.exit,
            rid: request.rid.clone(),
            duration_seconds: took.map(|took| took.as_secs_f64()),
            body: request.body.clone(),
        };
        let plan = Plan::new(now.mono).with_ping(ping);
        Ok(board.plan(plan, name, check, &effects, now, request.says().as_deref()))
    }

    fn check_at(&self, address: Address<'_>) -> Option<String> {
        let board = self.board();
        match address {
            Address::Id(id) => board.by_id(id),
            Address::Slug { key, slug } => {
                let held = board.key.as_ref().is_some_and(|held| held.matches(key));
                if held { board.by_slug(slug) } else { None }
            }
        }
    }

    /// Whether `key` is the ping key.
    pub fn is_key(&self, key: &str) -> bool {
        self.board().key.as_ref().is_some_and(|held| held.matches(key))
    }

    /// What pings by slug carry; `None` until it was drawn.
    pub fn ping_key(&self) -> Option<Secret> {
        self.board().key.clone()
    }

    /// Draws a new ping key; the former is good for nothing when this returns.
    ///
    /// # Errors
    /// The store's.
    pub async fn draw_key(&self, who: Option<&str>) -> Result<(), KeepError> {
        let text = PingId(random()?).text().replace('-', "");
        let key = Secret::new(text);
        let audit = who.map(|who| self.audit(who, "check.ping_key", "", "a new one was drawn"));
        let (this, writes) = (self.clone(), vec![Write::PutPingKey(key.clone())]);
        self.in_turn("", async move {
            this.inner.parts.store.commit(Change { writes, audit }).await?;
            this.board().key = Some(key);
            Ok(())
        })
        .await
    }

    /// Every check, by name. `secrets`: with what it is pinged by.
    pub fn checks(&self, secrets: bool) -> Vec<CheckView> {
        let now = self.moment();
        let board = self.board();
        let key = board.key.as_ref().filter(|_| secrets);
        board.checks.values().map(|watched| view(watched, key, secrets, now)).collect()
    }

    /// One check.
    pub fn check(&self, name: &str, secrets: bool) -> Option<CheckView> {
        let now = self.moment();
        let board = self.board();
        let key = board.key.as_ref().filter(|_| secrets);
        board.checks.get(name).map(|watched| view(watched, key, secrets, now))
    }

    /// The pings of a check that are kept, newest first, and how many.
    ///
    /// # Errors
    /// [`KeepError::UnknownCheck`] or the store's.
    pub async fn pings(
        &self,
        name: &str,
        limit: usize,
        offset: usize,
    ) -> Result<(Vec<Ping>, u64), KeepError> {
        if !self.board().checks.contains_key(name) {
            return Err(KeepError::UnknownCheck(name.to_owned()));
        }
        let (store, name) = (self.inner.parts.store.clone(), name.to_owned());
        let read = Supervisor::blocking(move || store.pings(&name, limit, offset)).await;
        Ok(read.ok_or(KeepError::Failed)??)
    }

    /// Stops waiting for a check; the next start, success or failure resumes it.
    ///
    /// # Errors
    /// [`KeepError::UnknownCheck`] or the store's.
    pub async fn pause(&self, name: &str, who: &str) -> Result<CheckView, KeepError> {
        self.command(name, who, Event::Pause, "check.pause").await
    }

    /// Waits for a paused check again, as for a new one.
    ///
    /// # Errors
    /// [`KeepError::UnknownCheck`], [`KeepError::Off`] or the store's.
    pub async fn resume(&self, name: &str, who: &str) -> Result<CheckView, KeepError> {
        let off = self.board().checks.get(name).is_some_and(|watched| !watched.section.enabled);
        if off {
            return Err(KeepError::Off(name.to_owned()));
        }
        self.command(name, who, Event::Resume, "check.resume").await
    }

    async fn command(
        &self,
        name: &str,
        who: &str,
        event: Event<'static>,
        action: &str,
    ) -> Result<CheckView, KeepError> {
        let audit = self.audit(who, action, name, "");
        let (this, own) = (self.clone(), name.to_owned());
        self.in_turn(name, async move {
            let now = this.moment();
            let plan = {
                let mut board = this.board();
                let watched = board.checks.get(&own).ok_or(KeepError::UnknownCheck(own.clone()))?;
                let mut check = watched.check.clone();
                let effects = check.step(event, watched.pace(), now);
                if effects.is_empty() {
                    return Ok(());
                }
                board.plan(Plan::new(now.mono), &own, check, &effects, now, None)
            };
            this.carry_out(plan, Some(audit), false).await
        })
        .await?;
        self.check(name, false).ok_or(KeepError::UnknownCheck(name.to_owned()))
    }

    /// Drops what is kept of a check that is configured no more: its id leads nowhere
    /// when this returns.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget(&self, name: &str) -> Result<(), KeepError> {
        self.follow().await?;
        if self.board().absent.remove(name).is_some() {
            let writes = vec![Write::DeleteCheck { name: name.to_owned() }];
            self.inner.parts.store.commit(Change { writes, audit: None }).await?;
        }
        Ok(())
    }

    fn audit(&self, who: &str, action: &str, object: &str, detail: &str) -> AuditEntry {
        AuditEntry {
            at: self.moment().wall,
            who: who.to_owned(),
            action: action.to_owned(),
            object: object.to_owned(),
            detail: detail.to_owned(),
        }
    }
}

fn view(watched: &board::Watched, key: Option<&Secret>, secrets: bool, now: Moment) -> CheckView {
    let (section, check) = (&watched.section, &watched.check);
    let saved = check.saved();
    let due = check.due(watched.pace(), now);
    let (last_start, running) = check.runs();
    let slug = section.slug();
    CheckView {
        name: section.name.to_string(),
        slug: slug.to_owned(),
        description: section.description.clone(),
        enabled: section.enabled,
        status: if section.enabled { saved.status } else { CheckStatus::Paused },
        reason: saved.reason,
        since: saved.since,
        period: section.period.to_string(),
        grace: section.grace.to_string(),
        start_timeout: section.run().to_string(),
        last_ping: saved.last_ping,
        last_start,
        running,
        last_duration_seconds: saved.last_duration_ms.map(|ms| Duration::from_millis(ms).as_secs_f64()),
        next_due: due.map(|(late, _)| late),
        down_at: due.map(|(_, down)| down),
        pings: saved.pings,
        uuid: secrets.then(|| saved.id.text()),
        ping_url: secrets.then(|| format!("/ping/{}", saved.id.text())),
        slug_url: key.map(|key| format!("/ping/{}/{slug}", key.expose())),
    }
}
