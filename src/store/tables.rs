//! Every table of the file, on one screen.
//!
//! The `-N` in a name changes only when the layout of the key changes: a new
//! table and a numbered migration. A change of the value raises the version byte
//! of its record instead (`record.rs`). Ring bytes (`RING`, `SERIES`) carry a
//! version of their own, written by `ring/`. One would get it wrong by adding a
//! table to the flush: every table touched costs a page per commit, and the
//! budget of written bytes has room for one.

use redb::{Key, TableDefinition, WriteTransaction};

use super::accounts::{SessionRecord, UseRecord, UserRecord};
use super::alerts::AlertRecord;
use super::breakers::BreakerRecord;
use super::checks::{CheckRecord, PingRecord};
use super::failover::{FailoverRecord, JournalRecord};
use super::fault::Fault;
use super::jobs::{FailureRecord, TaskRecord};
use super::notices::{NoticeRecord, TellingRecord};
use super::record::{Raw, Record, Stored};
use super::records::{AuditRecord, Holding, OverlayRecord, StoredProbe, TokenRecord};
use super::silences::SilenceRecord;

/// Key:   name of a number, see the `META_*` constants
/// Value: the number
pub const META: TableDefinition<&str, u64> = TableDefinition::new("meta-1");

/// Key:   (class, number, segment): `CLASS_BLOCK` with the block's sequence number, or a tier's
///        class with the hour since the epoch its blob starts at; segments count from 0
/// Value: up to 16 KiB of the blob, see `blobs.rs` for the sizes
pub const RING: TableDefinition<(u8, u32, u32), &[u8]> = TableDefinition::new("ring-1");

/// Key:   (class, first hour since the epoch) of a blob of a tier
/// Value: which hours it covers and its length
pub const HOLDINGS: TableDefinition<(u8, u32), Stored<Holding>> = TableDefinition::new("holdings-1");

/// Key:   `SeriesId`, never used again while data of the former owner is held
/// Value: `ring::SeriesRecord`, which writes its own version
pub const SERIES: TableDefinition<u32, &[u8]> = TableDefinition::new("series-1");

/// Key:   (target, time of the probe in ms)
/// Value: the probe; bounded per target
pub const PROBES: TableDefinition<(&str, i64), Stored<StoredProbe>> = TableDefinition::new("probes-1");

/// Key:   id of the token
/// Value: its digest and scopes, never the token
pub const TOKENS: TableDefinition<&str, Stored<TokenRecord>> = TableDefinition::new("tokens-1");

/// Key:   name of the user
/// Value: role and the hash of the password
pub const USERS: TableDefinition<&str, Stored<UserRecord>> = TableDefinition::new("users-1");

/// Key:   id of the session
/// Value: digest of its cookie and what it stands for; bounded
pub const SESSIONS: TableDefinition<&str, Stored<SessionRecord>> = TableDefinition::new("sessions-1");

/// Key:   (0 for a token, 1 for a session; its id)
/// Value: when it was last used, as of the last closed hour or change; goes with its row
pub const USES: TableDefinition<(u8, &str), Stored<UseRecord>> = TableDefinition::new("uses-1");

/// Key:   name of a document: `overlay`, the configuration at run time; `ping_key`
/// Value: the document as JSON text
pub const CONFIG: TableDefinition<&str, Stored<OverlayRecord>> = TableDefinition::new("config-1");

/// Key:   number of the row, counting up; order = order of the changes
/// Value: who did what; bounded
pub const AUDIT: TableDefinition<u64, Stored<AuditRecord>> = TableDefinition::new("audit-1");

/// Key:   name of the target
/// Value: the state of its breaker, written at every change of it
pub const BREAKERS: TableDefinition<&str, Stored<BreakerRecord>> = TableDefinition::new("breakers-1");

/// Key:   id of the alert
/// Value: the alert; those that are over are dropped after a week, or beyond the bound
pub const ALERTS: TableDefinition<&str, Stored<AlertRecord>> = TableDefinition::new("alerts-1");

/// Key:   id of the row
/// Value: a message for one channel that is owed; the notifier bounds their number
pub const OUTBOX: TableDefinition<&str, Stored<NoticeRecord>> = TableDefinition::new("outbox-1");

/// Key:   number of the row, counting up; order = order in which they left the outbox
/// Value: what became of the message; bounded
pub const DELIVERIES: TableDefinition<u64, Stored<NoticeRecord>> = TableDefinition::new("deliveries-1");

/// Key:   id of the alert
/// Value: what channels were told of it
pub const TELLINGS: TableDefinition<&str, Stored<TellingRecord>> = TableDefinition::new("tellings-1");

/// Key:   id of the silence
/// Value: what it mutes and when; dropped a week after its end
pub const SILENCES: TableDefinition<&str, Stored<SilenceRecord>> = TableDefinition::new("silences-1");
/// Key:   name of the check
/// Value: its id and state, written with every ping
pub const CHECKS: TableDefinition<&str, Stored<CheckRecord>> = TableDefinition::new("checks-1");

/// Key:   (check, number of the ping)
/// Value: the ping; bounded per check
pub const PINGS: TableDefinition<(&str, u64), Stored<PingRecord>> = TableDefinition::new("pings-1");

/// Key:   number of the task, counting up
/// Value: the task; bounded
pub const TASKS: TableDefinition<u64, Stored<TaskRecord>> = TableDefinition::new("tasks-1");

/// Key:   number of the failure, counting up
/// Value: what an application reported; bounded
pub const FAILURES: TableDefinition<u64, Stored<FailureRecord>> = TableDefinition::new("failures-1");

/// Key:   name of the failover group
/// Value: what the group must never forget, written before every outside effect
pub const FAILOVER: TableDefinition<&str, Stored<FailoverRecord>> = TableDefinition::new("failover-1");

/// Key:   (failover group, number of the row, counting up)
/// Value: what was made durable, for people; bounded per group
pub const JOURNAL: TableDefinition<(&str, u64), Stored<JournalRecord>> = TableDefinition::new("journal-1");

/// Which layout the file has, see `migrations.rs`.
pub const META_SCHEMA: &str = "schema_version";
/// Random identity of the file; ties a tail to it.
pub const META_STORE_ID: &str = "store_id";
/// 1 after a close, 0 while the store is open.
pub const META_CLEAN: &str = "clean";
/// No event number above this one was used.
pub const META_EVENT_CEILING: &str = "event_ceiling";
/// Bytes of all pings.
pub const META_PING_BYTES: &str = "ping_bytes";

/// Classes of blobs in `RING`: flush blocks, then the tiers.
pub const CLASS_BLOCK: u8 = 0;
pub const CLASS_RAW: u8 = 1;
pub const CLASS_MINUTE: u8 = 2;
pub const CLASS_HOUR: u8 = 3;

/// A value that tells whether it is what it should be; [`redb::Value::from_bytes`] cannot.
pub trait Checked: redb::Value {
    /// Why it is not, or nothing.
    fn fault(value: &Self::SelfType<'_>) -> Option<String>;
}

impl Checked for u64 {
    fn fault(_: &u64) -> Option<String> {
        None
    }
}

impl Checked for &[u8] {
    fn fault(_: &&[u8]) -> Option<String> {
        None
    }
}

impl<T: Record + std::fmt::Debug> Checked for Stored<T> {
    fn fault(value: &Raw<'_, T>) -> Option<String> {
        value.decode().err().map(|error| error.to_string())
    }
}

/// What is done with every table.
pub trait Visitor {
    /// # Errors
    /// Those of the file.
    fn table<K: Key + 'static, V: Checked + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Fault>;
}

/// The one list of tables: creating, copying, checking and counting go by it.
pub fn visit(visitor: &mut impl Visitor) -> Result<(), Fault> {
    visitor.table(META)?;
    visitor.table(RING)?;
    visitor.table(HOLDINGS)?;
    visitor.table(SERIES)?;
    visitor.table(PROBES)?;
    visitor.table(TOKENS)?;
    visitor.table(USERS)?;
    visitor.table(SESSIONS)?;
    visitor.table(USES)?;
    visitor.table(CONFIG)?;
    visitor.table(AUDIT)?;
    visitor.table(BREAKERS)?;
    visitor.table(ALERTS)?;
    visitor.table(OUTBOX)?;
    visitor.table(DELIVERIES)?;
    visitor.table(TELLINGS)?;
    visitor.table(SILENCES)?;
    visitor.table(CHECKS)?;
    visitor.table(PINGS)?;
    visitor.table(TASKS)?;
    visitor.table(FAILURES)?;
    visitor.table(FAILOVER)?;
    visitor.table(JOURNAL)
}

struct Create<'a>(&'a WriteTransaction);

impl Visitor for Create<'_> {
    fn table<K: Key + 'static, V: Checked + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Fault> {
        self.0.open_table(table)?;
        Ok(())
    }
}

/// Creates what is missing, so that readers never meet an absent table.
pub fn create_all(tx: &WriteTransaction) -> Result<(), Fault> {
    visit(&mut Create(tx))
}
