//! What an operator asks of the store: its figures, retention now, the file cut.
//!
//! Cleaning up and cutting are jobs of the writer, between two commits. Cutting moves
//! pages with the file held, so queries wait for it and nothing is refused; it is not done
//! while a query reads. One would get it wrong by counting what went from what is left:
//! the writer counts what it is about to remove, so a dry run says the same.

use redb::{
    Key, ReadTransaction, ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition, TableError,
    TableHandle as _,
};
use serde::Serialize;

use super::api::StoreError;
use super::blobs::page_bytes;
use super::fault::Fault;
use super::shared::{lock, read};
use super::tables::{self, CLASS_HOUR, CLASS_MINUTE, CLASS_RAW, Checked, Visitor};
use super::writer::{Job, Writer};
use super::{Store, alerts, notices, silences};

/// One table of the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = StoreTable)]
pub struct TableFigures {
    pub table: String,
    pub rows: u64,
    /// Keys and values, bytes.
    pub stored_bytes: u64,
    /// Of its tree, bytes.
    pub metadata_bytes: u64,
    /// Free inside its pages, bytes.
    pub fragmented_bytes: u64,
    pub pages: u64,
    pub height: u32,
}

/// The store's file, table by table.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = StoreFile)]
pub struct StoreFile {
    pub file_bytes: u64,
    pub cap_bytes: u64,
    /// In pages of no table: free, or redb's own.
    pub free_bytes: u64,
    /// Share of the file that is neither keys and values nor trees, 0 to 1.
    pub fragmentation: f64,
    pub cache: StoreCache,
    pub tables: Vec<TableFigures>,
}

/// redb's page cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct StoreCache {
    pub limit_bytes: u64,
    pub used_bytes: u64,
    /// Pages that were asked for since the file was opened, and were there or not.
    pub hits: u64,
    pub misses: u64,
    /// Pages that gave way to others.
    pub evictions: u64,
}

/// What left by retention, or would.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = StoreCleanup)]
pub struct Cleaned {
    pub dry_run: bool,
    /// Blobs of the tiers: hours of samples, hours of 1m rows, hours or days of 1h rows.
    pub raw: u64,
    pub minute: u64,
    pub hour: u64,
    /// Series whose data has left.
    pub series: u64,
    /// Alerts, silences and rows of the delivery log whose time is over.
    pub alerts: u64,
    pub silences: u64,
    pub deliveries: u64,
    /// Bytes of pages that are free then, about.
    pub bytes: u64,
}

/// What cutting the file gained.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = StoreCompaction)]
pub struct Compacted {
    /// Length of the file, bytes.
    pub before_bytes: u64,
    pub after_bytes: u64,
    pub gained_bytes: u64,
    pub duration_ms: u64,
}

struct Figures<'a> {
    tx: &'a ReadTransaction,
    tables: Vec<TableFigures>,
}

impl Visitor for Figures<'_> {
    fn table<K: Key + 'static, V: Checked + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Fault> {
        let open = match self.tx.open_table(table) {
            Ok(open) => open,
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let stats = open.stats()?;
        self.tables.push(TableFigures {
            table: table.name().to_owned(),
            rows: open.len()?,
            stored_bytes: stats.stored_bytes(),
            metadata_bytes: stats.metadata_bytes(),
            fragmented_bytes: stats.fragmented_bytes(),
            pages: stats.leaf_pages() + stats.branch_pages(),
            height: stats.tree_height(),
        });
        Ok(())
    }
}

impl Store {
    /// Figures of the file, table by table. Blocking: reads the whole file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file is shut or cannot be read.
    pub fn file(&self) -> Result<StoreFile, StoreError> {
        let shared = &self.inner.shared;
        let tx = self.open_snapshot()?;
        let mut figures = Figures { tx: &tx, tables: Vec::new() };
        tables::visit(&mut figures).map_err(|fault| fault.error())?;
        let stats = read(&shared.db).as_ref().map(redb::Database::cache_stats);
        let count = |figure: fn(&redb::CacheStats) -> u64| stats.as_ref().map_or(0, figure);
        let cache = StoreCache {
            limit_bytes: shared.options.cache as u64,
            used_bytes: count(|stats| stats.used_bytes() as u64),
            hits: count(|stats| stats.read_hits() + stats.write_hits()),
            misses: count(|stats| stats.read_misses() + stats.write_misses()),
            evictions: count(redb::CacheStats::evictions),
        };
        let file_bytes = shared.file_len();
        let sum = |part: fn(&TableFigures) -> u64| figures.tables.iter().map(part).sum::<u64>();
        let useful = sum(|table| table.stored_bytes + table.metadata_bytes);
        let wasted = sum(|table| table.fragmented_bytes);
        Ok(StoreFile {
            file_bytes,
            cap_bytes: shared.limit,
            free_bytes: file_bytes.saturating_sub(useful + wasted),
            fragmentation: if file_bytes == 0 {
                0.0
            } else {
                1.0 - useful.min(file_bytes) as f64 / file_bytes as f64
            },
            cache,
            tables: figures.tables,
        })
    }

    /// Enforces retention now; with `dry_run` it only counts.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::DiskFull`].
    pub async fn cleanup(&self, dry_run: bool) -> Result<Cleaned, StoreError> {
        self.inner.writer.ask(|reply| Job::Cleanup(dry_run, reply)).await
    }

    /// Cuts the file to what is in use. Queries wait meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also while a query reads.
    pub async fn compact(&self) -> Result<Compacted, StoreError> {
        self.inner.writer.ask(Job::Compact).await
    }
}

impl Writer {
    /// See [`Store::cleanup`].
    pub fn cleanup(&mut self, dry_run: bool) -> Result<Cleaned, StoreError> {
        self.ensure_open()?;
        let (_, now) = self.times();
        let (doomed, oldest) = self.outlived(now);
        let mut cleaned = Cleaned { dry_run, ..Cleaned::default() };
        {
            let ledger = lock(&self.shared.ledger);
            for (class, start) in &doomed {
                match *class {
                    CLASS_RAW => cleaned.raw += 1,
                    CLASS_MINUTE => cleaned.minute += 1,
                    CLASS_HOUR => cleaned.hour += 1,
                    _ => {}
                }
                let length = ledger.tier(*class).get(start).map_or(0, |holding| holding.len);
                cleaned.bytes += page_bytes(length);
            }
        }
        cleaned.series = lock(&self.shared.front).head.silent(oldest) as u64;
        if let Some(tx) = self.shared.snapshot()? {
            let count = || -> Result<_, Fault> {
                Ok([
                    alerts::overdue(&tx, now)?.len(),
                    silences::overdue(&tx, now)?.len(),
                    notices::overdue(&tx, now)?.len(),
                ])
            };
            let [alerts, silences, deliveries] =
                count().map_err(|fault| fault.error())?.map(|count| count as u64);
            cleaned = Cleaned { alerts, silences, deliveries, ..cleaned };
        }
        if !dry_run {
            self.retire(now)?;
            self.looked_through = None;
            self.retire_rows(now)?;
        }
        Ok(cleaned)
    }

    /// See [`Store::compact`].
    pub fn compact(&mut self) -> Result<Compacted, StoreError> {
        self.ensure_open()?;
        let (before_bytes, began) = (self.shared.file_len(), self.shared.clock.monotonic());
        self.cut_file().map_err(|reason| StoreError::Unavailable { reason })?;
        let after_bytes = self.shared.file_len();
        let duration = self.shared.clock.monotonic().since(began);
        Ok(Compacted {
            before_bytes,
            after_bytes,
            gained_bytes: before_bytes.saturating_sub(after_bytes),
            duration_ms: duration.as_millis() as u64,
        })
    }
}
