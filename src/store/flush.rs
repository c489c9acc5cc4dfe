//! From memory to the file: the flush, the hour, and what leaves the ring.
//!
//! A flush writes one block of all series with whatever rides along, in one
//! table, because each further page costs a quarter of a byte per sample. When an
//! hour is over its samples become one blob per tier, its blocks go and its
//! probes are filed, in one transaction. Hours of 1h rows become one blob per day.
//! One would get it wrong by sealing the head again while a block still waits for
//! its commit: with a dead disk the blocks would pile up beyond the head's bound.

use std::sync::atomic::Ordering;

use redb::WriteTransaction;

use super::alerts;
use super::api::{StoreCondition, StoreError};
use super::blobs::{self, page_bytes, put_tier, remove_tier};
use super::change::put_audit;
use super::fault::Fault;
use super::ledger::Block;
use super::notices;
use super::open::EVENT_RESERVE;
use super::probes;
use super::record::Raw;
use super::records::{FlushRecord, Holding};
use super::ring::{Hour, HourBlobs, HourInput, SeriesRecord, encode_hour, merge_rows};
use super::shared::lock;
use super::silences;
use super::tables::{
    ALERTS, CLASS_BLOCK, CLASS_HOUR, CLASS_MINUTE, CLASS_RAW, DELIVERIES, META, META_CLEAN,
    META_EVENT_CEILING, SERIES, SILENCES,
};
use super::tail_file::{self, TailFile};
use super::writer::Writer;
use crate::base::time::Timestamp;
use crate::model::access::AuditEntry;

/// Hours compacted in one flush at most; a backlog takes several.
const HOURS_AT_ONCE: usize = 48;
const DAY_HOURS: u32 = 24;
/// A file with more in use than this is not cut at a close: a second or two on a
/// slow card, and a day of 500 series fits.
const CUT_BYTES: u64 = 32 << 20;
/// Series that fell silent stay in the index at least this long.
const KEEP_SERIES_MS: i64 = 2 * 3_600_000;

/// A sealed flush until it is durable.
#[derive(Debug)]
pub struct Held {
    record: FlushRecord,
    samples: u64,
    /// Number of the last probe inside.
    last_probe: u64,
}

/// Hours since the epoch, as the tables number them.
pub fn hour_number(hour: Hour) -> u32 {
    u32::try_from(hour.0).unwrap_or(0)
}

pub fn put_series(tx: &WriteTransaction, series: &[SeriesRecord]) -> Result<(), Fault> {
    if series.is_empty() {
        return Ok(());
    }
    let mut table = tx.open_table(SERIES)?;
    for record in series {
        table.insert(record.id.0, record.encode().as_slice())?;
    }
    Ok(())
}

/// Puts the three blobs of an hour.
pub fn put_hour(tx: &WriteTransaction, blobs: &HourBlobs, hour_rows: (Holding, &[u8])) -> Result<(), Fault> {
    put_tier(tx, CLASS_RAW, holding_of(blobs.hour, &blobs.raw), &blobs.raw)?;
    put_tier(tx, CLASS_MINUTE, holding_of(blobs.hour, &blobs.minute), &blobs.minute)?;
    put_tier(tx, CLASS_HOUR, hour_rows.0, hour_rows.1)
}

pub fn holding_of(hour: Hour, blob: &[u8]) -> Holding {
    let start = hour_number(hour);
    Holding { start, end: start.saturating_add(1), len: blob.len() as u64 }
}

impl Writer {
    /// See [`super::Store::flush`].
    pub fn flush(&mut self, last_event: u64) -> Result<(), StoreError> {
        let (closing, real) = self.times();
        // First, because it makes room, and what is too old goes without new data too.
        // A failure is logged and shows again below if it lasts.
        let _ = self.retire(real);
        let _ = self.retire_rows(real);
        let mut result = self.write_block(last_event, None);
        // On a full disk too: an hour is smaller than its blocks, and makes them
        // superfluous.
        if matches!(result, Ok(()) | Err(StoreError::DiskFull)) {
            let compacted = self.compact_closed(closing);
            result = if self.held.is_some() { result.and(compacted) } else { compacted };
        }
        match &result {
            Ok(()) => {
                let was_full = *lock(&self.shared.condition) == StoreCondition::DiskFull;
                if was_full {
                    self.shared.set_condition(StoreCondition::Ok);
                }
            }
            Err(StoreError::DiskFull) => self.shared.set_condition(StoreCondition::DiskFull),
            Err(_) => {}
        }
        result
    }

    /// Index rows that must be in the next commit. They stay until
    /// [`Self::series_saved`], so that a failed one loses none.
    pub fn unsaved_series(&mut self, more: Vec<SeriesRecord>) -> Vec<SeriesRecord> {
        for record in more {
            self.unsaved.retain(|held| held.id != record.id);
            self.unsaved.push(record);
        }
        self.unsaved.clone()
    }

    pub fn series_saved(&mut self) {
        let saved = std::mem::take(&mut self.unsaved);
        lock(&self.shared.front).head.flushed(&saved);
    }

    /// Takes what is pending out of the head and starts the next tail.
    fn seal(&mut self) {
        let block = {
            let mut front = lock(&self.shared.front);
            let block = front.head.seal();
            if let (Some(tail), Some(_)) = (&mut front.tail, &block) {
                tail.rotate();
            }
            block
        };
        let (probes, last_probe) = lock(&self.shared.probes).pending();
        if block.is_none() && probes.is_empty() {
            return;
        }
        let mut record = FlushRecord { last: i64::MIN, samples: Vec::new(), probes };
        record.last = record.probes.iter().map(super::records::StoredProbe::at).max().unwrap_or(i64::MIN);
        let mut samples = 0;
        if let Some(block) = block {
            samples = block.samples;
            if block.samples > 0 {
                record.last = record.last.max(block.last.millis());
                record.samples = block.bytes;
            }
            self.unsaved_series(block.series);
        }
        self.shared.counters.held.store(samples, Ordering::Relaxed);
        self.held = Some(Held { record, samples, last_probe });
    }

    /// Writes what is pending, with an audit row when there is one. A block that
    /// could not be written before goes first.
    pub fn write_block(&mut self, last_event: u64, audit: Option<&AuditEntry>) -> Result<(), StoreError> {
        if self.held.is_some() {
            self.write_held(last_event, None)?;
        }
        self.seal();
        self.write_held(last_event, audit)
    }

    fn write_held(&mut self, last_event: u64, audit: Option<&AuditEntry>) -> Result<(), StoreError> {
        let raised = last_event.saturating_add(EVENT_RESERVE);
        let raise = last_event.saturating_add(EVENT_RESERVE / 2) > self.event_ceiling;
        if self.held.is_none() && !raise && audit.is_none() {
            return Ok(());
        }
        let series = self.unsaved_series(Vec::new());
        // It stays until the commit: a panic on the way must not lose it.
        let blob = self.held.as_ref().map(|held| Raw::encode(&held.record));
        let blob = blob.as_ref().map_or(&[][..], |blob| blob.bytes());
        let (number, audit_number) = (self.next_block, self.next_audit);
        let need = page_bytes(blob.len() as u64) + series.len() as u64 * 512;
        self.write_samples(need, &mut |tx| {
            // A commit that failed may be durable all the same.
            blobs::remove(tx, CLASS_BLOCK, number)?;
            blobs::put(tx, CLASS_BLOCK, number, blob)?;
            put_series(tx, &series)?;
            if raise {
                tx.open_table(META)?.insert(META_EVENT_CEILING, raised)?;
            }
            audit.map_or(Ok(()), |entry| put_audit(tx, audit_number, entry))
        })?;
        if raise {
            self.event_ceiling = raised;
        }
        if audit.is_some() {
            self.next_audit = audit_number + 1;
        }
        self.series_saved();
        if let Some(held) = self.held.take() {
            self.next_block = self.next_block.wrapping_add(1);
            let block = Block { len: blob.len() as u64, last: held.record.last };
            lock(&self.shared.ledger).blocks.insert(number, block);
            lock(&self.shared.probes).flushed(held.last_probe);
            self.shared.counters.held.fetch_sub(held.samples, Ordering::Relaxed);
        }
        // Without a sealed block the old tails have nothing that is not durable.
        let old = lock(&self.shared.front).tail.as_mut().map(TailFile::take_old);
        tail_file::remove(&old.unwrap_or_default());
        self.shared.counters.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The time that closes hours, and the one that retires; see [`RealTime`].
    pub fn times(&mut self) -> (Timestamp, Timestamp) {
        let (now, monotonic) = (self.shared.clock.now(), self.shared.clock.monotonic());
        (self.real_time.closing(now, monotonic), self.real_time.retiring(now, monotonic))
    }

    /// Compacts the hours that are over at `now`.
    pub fn compact_closed(&mut self, now: Timestamp) -> Result<(), StoreError> {
        for _ in 0..HOURS_AT_ONCE {
            let mut input = {
                let mut front = lock(&self.shared.front);
                let Some(hour) = front.head.closed_hour(now) else { break };
                front.head.hour_input(hour)
            };
            if !self.add_stored(&mut input)? {
                lock(&self.shared.front).head.compacted(input.hour());
                continue;
            }
            let blobs = encode_hour(&input);
            drop(input);
            self.write_hour(blobs)?;
        }
        Ok(())
    }

    /// Adds what the file has of an hour, which is there already where the clock went
    /// back; false when its raw samples gave way, so that nothing can be added.
    fn add_stored(&self, input: &mut HourInput) -> Result<bool, StoreError> {
        let number = hour_number(input.hour());
        let (raw, minute) = {
            let ledger = lock(&self.shared.ledger);
            (ledger.raw.contains_key(&number), ledger.minute.contains_key(&number))
        };
        if !raw {
            return Ok(!minute);
        }
        let read = || -> Result<Vec<u8>, Fault> {
            let db = super::shared::read(&self.shared.db);
            let db = db.as_ref().ok_or_else(|| Fault::Broken(String::from("it is shut")))?;
            let ring = redb::ReadableDatabase::begin_read(db)?.open_table(super::tables::RING)?;
            blobs::read_whole(&ring, CLASS_RAW, number)
        };
        if let Err(error) = input.add_stored(&read().map_err(|fault| fault.error())?) {
            tracing::error!(hour = number, %error, "a stored hour is damaged: it is written anew");
        }
        Ok(true)
    }

    fn write_hour(&mut self, blobs: HourBlobs) -> Result<(), StoreError> {
        let hour = blobs.hour;
        let end = hour.end().millis();
        let series = self.unsaved_series(blobs.series.clone());
        let probes = lock(&self.shared.probes).unfiled();
        let gone: Vec<u32> = {
            let ledger = lock(&self.shared.ledger);
            ledger.blocks.iter().filter(|(_, block)| block.last <= end).map(|(number, _)| *number).collect()
        };
        let need = page_bytes(blobs.raw.len() as u64)
            + page_bytes(blobs.minute.len() as u64)
            + page_bytes(blobs.hour_row.len() as u64)
            + series.len() as u64 * 512
            + probes::page_bytes(&probes);
        let rows = holding_of(hour, &blobs.hour_row);
        let uses = self.unsaved_uses();
        self.write_samples(need, &mut |tx| {
            uses.put(tx)?;
            if blobs.samples > 0 {
                put_hour(tx, &blobs, (rows, &blobs.hour_row))?;
            }
            put_series(tx, &series)?;
            probes::file(tx, &probes)?;
            gone.iter().try_for_each(|number| blobs::remove(tx, CLASS_BLOCK, *number))
        })?;
        {
            let mut ledger = lock(&self.shared.ledger);
            if blobs.samples > 0 {
                let start = hour_number(hour);
                ledger.raw.insert(start, holding_of(hour, &blobs.raw));
                ledger.minute.insert(start, holding_of(hour, &blobs.minute));
                ledger.hour.insert(start, rows);
            }
            for number in &gone {
                ledger.blocks.remove(number);
            }
        }
        self.uses_saved(&uses);
        lock(&self.shared.probes).filed(&probes);
        self.series_saved();
        lock(&self.shared.front).head.compacted(hour);
        if self.held.as_ref().is_some_and(|held| held.record.last <= end) {
            // Its samples are in the hours; its probes are still pending.
            self.held = None;
            self.shared.counters.held.store(0, Ordering::Relaxed);
        }
        self.shared.counters.compactions.fetch_add(1, Ordering::Relaxed);
        self.join_days(hour)
    }

    /// Joins the 1h rows of days that are over into one blob each.
    fn join_days(&mut self, hour: Hour) -> Result<(), StoreError> {
        let today = hour_number(hour).saturating_add(1) / DAY_HOURS;
        let day = |holding: &Holding| holding.start / DAY_HOURS;
        let over: Vec<Holding> = {
            let ledger = lock(&self.shared.ledger);
            ledger.hour.values().copied().take_while(|holding| day(holding) < today).collect()
        };
        // A day begun at ten is whole with fourteen hours: it is joined when it has one part.
        let mut days = over.chunk_by(|left, right| day(left) == day(right)).filter(|parts| parts.len() > 1);
        days.try_for_each(|parts| self.join_day(parts))
    }

    /// Joins the parts of one day. One that cannot be read stays as it is.
    fn join_day(&mut self, parts: &[Holding]) -> Result<(), StoreError> {
        let Some((first, last)) = parts.first().copied().zip(parts.last().copied()) else { return Ok(()) };
        let read = || -> Result<Vec<Vec<u8>>, Fault> {
            let db = super::shared::read(&self.shared.db);
            let db = db.as_ref().ok_or_else(|| Fault::Broken(String::from("it is shut")))?;
            let ring = redb::ReadableDatabase::begin_read(db)?.open_table(super::tables::RING)?;
            parts.iter().map(|part| blobs::read_whole(&ring, CLASS_HOUR, part.start)).collect()
        };
        let read = read().map_err(|fault| fault.error())?;
        let slices: Vec<&[u8]> = read.iter().map(Vec::as_slice).collect();
        let joined = match merge_rows(&slices) {
            Ok(joined) => joined,
            Err(error) => {
                tracing::error!(day = first.start / DAY_HOURS, %error, "the 1h rows of a day cannot be joined");
                return Ok(());
            }
        };
        let whole = Holding { start: first.start, end: last.end, len: joined.len() as u64 };
        self.write_samples(page_bytes(whole.len), &mut |tx| {
            parts.iter().try_for_each(|part| remove_tier(tx, CLASS_HOUR, part.start))?;
            put_tier(tx, CLASS_HOUR, whole, &joined)
        })?;
        let mut ledger = lock(&self.shared.ledger);
        for part in parts {
            ledger.hour.remove(&part.start);
        }
        ledger.hour.insert(whole.start, whole);
        Ok(())
    }

    /// Drops what is older than its retention, and the index rows of series whose
    /// data has left the ring.
    pub fn retire(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let (doomed, oldest) = self.outlived(now);
        let series = lock(&self.shared.front).head.retire(oldest);
        if doomed.is_empty() && series.is_empty() {
            return Ok(());
        }
        self.transact(&mut |tx| {
            doomed.iter().try_for_each(|(class, start)| remove_tier(tx, *class, *start))?;
            let mut table = tx.open_table(SERIES)?;
            for id in &series {
                table.remove(id.0)?;
            }
            Ok(())
        })?;
        let mut ledger = lock(&self.shared.ledger);
        for (class, start) in doomed {
            ledger.tier_mut(class).remove(&start);
        }
        Ok(())
    }

    /// Blobs that outlived their retention, and since when a series must have been silent
    /// to go.
    pub fn outlived(&self, now: Timestamp) -> (Vec<(u8, u32)>, Timestamp) {
        let options = &self.shared.options;
        let tiers = [
            (CLASS_RAW, options.raw_retention),
            (CLASS_MINUTE, options.minute_retention),
            (CLASS_HOUR, options.hour_retention),
        ];
        let ledger = lock(&self.shared.ledger);
        let mut doomed = Vec::new();
        for (class, retention) in tiers {
            let before = now.minus(retention).millis().div_euclid(super::ring::HOUR_MS);
            let old = ledger.tier(class).values().take_while(|holding| i64::from(holding.end) <= before);
            doomed.extend(old.map(|holding| (class, holding.start)));
        }
        let oldest = tiers.iter().filter_map(|(class, _)| ledger.since(*class)).min();
        (doomed, Timestamp(oldest.unwrap_or(i64::MAX).min(now.millis() - KEEP_SERIES_MS)))
    }

    /// Drops alerts, silences and rows of the delivery log whose time is over. Once an
    /// hour, because finding them takes reading all of them.
    pub fn retire_rows(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let hour = now.millis().div_euclid(super::ring::HOUR_MS);
        if self.looked_through == Some(hour) {
            return Ok(());
        }
        let Some(tx) = self.shared.snapshot()? else { return Ok(()) };
        let find = || -> Result<_, Fault> {
            Ok((alerts::overdue(&tx, now)?, silences::overdue(&tx, now)?, notices::overdue(&tx, now)?))
        };
        let (alerts, silences, logged) = find().map_err(|fault| fault.error())?;
        if alerts.len() + silences.len() + logged.len() > 0 {
            self.transact(&mut |tx| {
                let mut table = tx.open_table(ALERTS)?;
                alerts.iter().try_for_each(|id| table.remove(id.as_str()).map(drop))?;
                let mut table = tx.open_table(SILENCES)?;
                silences.iter().try_for_each(|id| table.remove(id.as_str()).map(drop))?;
                let mut table = tx.open_table(DELIVERIES)?;
                logged.iter().try_for_each(|number| table.remove(number).map(drop))?;
                Ok(())
            })?;
        }
        self.looked_through = Some(hour);
        Ok(())
    }

    /// Last flush, clean mark, and the file cut when that pays: it rewrites pages,
    /// which costs flash and, with nothing to bound it but their number, time.
    pub fn close(&mut self, last_event: u64) -> Result<(), StoreError> {
        let flushed = self.flush(last_event);
        let clean = u64::from(flushed.is_ok());
        let uses = self.unsaved_uses();
        self.transact(&mut |tx| {
            uses.put(tx)?;
            let mut meta = tx.open_table(META)?;
            meta.insert(META_EVENT_CEILING, last_event)?;
            meta.insert(META_CLEAN, clean)?;
            Ok(())
        })?;
        let (length, used) = (self.shared.file_len(), lock(&self.shared.ledger).used());
        if flushed.is_ok() && used <= CUT_BYTES && length.saturating_sub(used) > length / 4 {
            self.compact_file();
        }
        flushed?;
        if let Some(tail) = &mut lock(&self.shared.front).tail {
            tail.remove_all();
        }
        Ok(())
    }
}
