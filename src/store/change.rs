//! Changes: rows that are durable before the answer, with their audit row.
//!
//! They may use what the samples must leave free in the file, so they still work
//! on a full disk. One would get it wrong by updating the cached rows before the
//! commit: a reader would act on a token that a power cut takes back.

use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::accounts::{self, Uses};
use super::alerts;
use super::api::{Change, StoreError, Write};
use super::breakers::BreakerRecord;
use super::checks::{self, CheckRecord};
use super::failover;
use super::fault::Fault;
use super::jobs::{self, FailureRecord, TaskRecord};
use super::notices::{self, NoticeRecord, TellingRecord};
use super::record::Raw;
use super::records::{AuditRecord, OverlayRecord};
use super::room::For;
use super::shared::write;
use super::silences::SilenceRecord;
use super::tables::{ALERTS, AUDIT, BREAKERS, CHECKS, CONFIG, FAILURES, OUTBOX, SILENCES, TASKS, TELLINGS};
use super::writer::Writer;
use crate::base::secret::Secret;
use crate::model::access::AuditEntry;

/// Rows of the audit log.
pub const AUDIT_ROWS: u64 = 10_000;
/// Of these, rows of backfills at most: a large file brings one for each of its parts.
const IMPORT_ROWS: u64 = 1000;
const IMPORT: &str = "import";
/// The document that holds what pings by slug carry.
pub const PING_KEY: &str = "ping_key";
/// Pages a change may touch, bytes.
const CHANGE_BYTES: u64 = 64 << 10;
/// Of these, what one alert takes, with its history or in a message.
const ALERT_BYTES: u64 = 4 << 10;
/// What a failover group of the most members takes, when all of them are cut.
const GROUP_BYTES: u64 = 64 << 10;

/// Adds an audit row and drops the oldest beyond the bound.
pub fn put_audit(tx: &WriteTransaction, number: u64, entry: &AuditEntry) -> Result<(), Fault> {
    let mut table = tx.open_table(AUDIT)?;
    table.insert(number, Raw::encode(&AuditRecord::of(entry)))?;
    if entry.action == IMPORT && table.len()? > IMPORT_ROWS {
        let mut imports = Vec::new();
        for row in table.iter()? {
            let (number, value) = row?;
            if value.value().decode().is_ok_and(|record| record.action() == IMPORT) {
                imports.push(number.value());
            }
        }
        let excess = imports.len().saturating_sub(IMPORT_ROWS as usize);
        for number in imports.into_iter().take(excess) {
            table.remove(number)?;
        }
    }
    while table.len()? > AUDIT_ROWS {
        table.pop_first()?;
    }
    Ok(())
}

fn put(tx: &WriteTransaction, write: &Write) -> Result<(), Fault> {
    match write {
        write if accounts::concerns(write) => accounts::apply(tx, write)?,
        Write::PutOverlay(overlay) => {
            let record = OverlayRecord { json: overlay.to_string() };
            tx.open_table(CONFIG)?.insert("overlay", Raw::encode(&record))?;
        }
        Write::PutBreaker { target, identity, saved } => {
            let record = BreakerRecord::of(identity, saved);
            tx.open_table(BREAKERS)?.insert(target.as_str(), Raw::encode(&record))?;
        }
        Write::DeleteBreaker { target } => {
            tx.open_table(BREAKERS)?.remove(target.as_str())?;
        }
        Write::PutAlert(alert) => alerts::put(tx, alert)?,
        Write::DeleteAlert { id } => {
            tx.open_table(ALERTS)?.remove(id.as_str())?;
        }
        Write::PutCheck { name, saved } => {
            tx.open_table(CHECKS)?.insert(name.as_str(), Raw::encode(&CheckRecord::of(saved)))?;
        }
        Write::DeleteCheck { name } => checks::delete(tx, name)?,
        Write::PutPing { check, ping } => checks::put_ping(tx, check, ping)?,
        Write::PutTask(task) => {
            tx.open_table(TASKS)?.insert(task.number, Raw::encode(&TaskRecord::of(task)))?;
        }
        Write::DeleteTask { number } => drop(tx.open_table(TASKS)?.remove(number)?),
        Write::PutFailure(event) => {
            tx.open_table(FAILURES)?.insert(event.number, Raw::encode(&FailureRecord::of(event)))?;
        }
        Write::DeleteFailuresBelow { number } => jobs::delete_failures_below(tx, *number)?,
        Write::PutPingKey(key) => {
            let record = OverlayRecord { json: serde_json::Value::from(key.expose()).to_string() };
            tx.open_table(CONFIG)?.insert(PING_KEY, Raw::encode(&record))?;
        }
        Write::PutFailover { group, durable, entries } => failover::put(tx, group, durable, entries)?,
        Write::DeleteFailover { group } => failover::delete(tx, group)?,
        _ => put_notice(tx, write)?,
    }
    Ok(())
}

/// The writes of notifications.
fn put_notice(tx: &WriteTransaction, write: &Write) -> Result<(), Fault> {
    match write {
        Write::PutSilence(silence) => {
            let record = SilenceRecord::of(silence);
            tx.open_table(SILENCES)?.insert(silence.id.as_str(), Raw::encode(&record))?;
        }
        Write::DeleteSilence { id } => {
            tx.open_table(SILENCES)?.remove(id.as_str())?;
        }
        Write::PutNotice(notice) => {
            let record = NoticeRecord::of(notice);
            tx.open_table(OUTBOX)?.insert(notice.id.as_str(), Raw::encode(&record))?;
        }
        Write::DeleteNotice { id } => {
            tx.open_table(OUTBOX)?.remove(id.as_str())?;
        }
        Write::LogNotice(notice) => notices::log(tx, notice)?,
        Write::PutTelling(telling) => {
            let record = TellingRecord::of(telling);
            tx.open_table(TELLINGS)?.insert(telling.alert.as_str(), Raw::encode(&record))?;
        }
        Write::DeleteTelling { alert } => {
            tx.open_table(TELLINGS)?.remove(alert.as_str())?;
        }
        _ => {}
    }
    Ok(())
}

/// Pages that a write takes beyond [`CHANGE_BYTES`], from above.
fn bytes(write: &Write) -> u64 {
    match write {
        Write::PutAlert(_) => ALERT_BYTES,
        Write::PutNotice(notice) | Write::LogNotice(notice) => notice.alerts.len() as u64 * ALERT_BYTES,
        Write::PutFailover { entries, .. } => GROUP_BYTES + entries.len() as u64 * ALERT_BYTES,
        _ => 0,
    }
}

/// What pings by slug carry; `None` before it was drawn, or when it does not decode.
pub fn read_ping_key(tx: &redb::ReadTransaction) -> Result<Option<Secret>, Fault> {
    let Some(value) = tx.open_table(CONFIG)?.get(PING_KEY)? else { return Ok(None) };
    let record = value.value().decode().map_err(|error| error.to_string());
    match record.and_then(|record| serde_json::from_str(&record.json).map_err(|error| error.to_string())) {
        Ok(key) => Ok(Some(key)),
        Err(error) => {
            tracing::error!(error, "the stored ping key is skipped");
            Ok(None)
        }
    }
}

/// The newest rows first.
pub fn read_audit(
    tx: &redb::ReadTransaction,
    limit: usize,
    offset: usize,
) -> Result<(Vec<AuditEntry>, u64), Fault> {
    let table = tx.open_table(AUDIT)?;
    let mut rows = Vec::new();
    for row in table.iter()?.rev().skip(offset).take(limit) {
        let (number, value) = row?;
        match value.value().decode() {
            Ok(record) => rows.push(record.entry()),
            Err(error) => tracing::warn!(number = number.value(), %error, "an audit row is skipped"),
        }
    }
    Ok((rows, table.len()?))
}

impl Writer {
    /// All changes in one transaction.
    pub fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.ensure_open()?;
        // On a full disk, and under a cap with nothing left to give, the reserve is
        // there for exactly this; the transaction finds out whether it is enough.
        let need = CHANGE_BYTES + changes.iter().flat_map(|change| &change.writes).map(bytes).sum::<u64>();
        let _ = self.make_room(need, For::Change);
        self.ensure_open()?;
        let first = self.next_audit;
        // With a row of these, because their pages are written then.
        let writes = || changes.iter().flat_map(|change| &change.writes);
        let uses = if writes().any(accounts::concerns) { self.unsaved_uses() } else { Uses::default() };
        self.transact(&mut |tx| {
            let mut number = first;
            uses.put(tx)?;
            for change in changes {
                change.writes.iter().try_for_each(|write| put(tx, write))?;
                if let Some(entry) = &change.audit {
                    put_audit(tx, number, entry)?;
                    number += 1;
                }
            }
            Ok(())
        })?;
        let audited = changes.iter().filter(|change| change.audit.is_some()).count() as u64;
        self.next_audit = first + audited;
        self.uses_saved(&uses);
        let mut cached = write(&self.shared.cached);
        for change in changes.iter().flat_map(|change| &change.writes) {
            match change {
                Write::PutOverlay(overlay) => cached.overlay = overlay.clone(),
                // The others are read once, at the start, or from the file.
                change => cached.accounts.follow(change),
            }
        }
        Ok(())
    }
}
