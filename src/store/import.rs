//! Backfill: samples not older than the raw retention, merged with what is there.
//!
//! Samples of hours that are in the file are merged into those hours, one
//! transaction each; later ones go through the head and a flush. The audit row is
//! in the first transaction, so that a backfill cut off in between is on record. One
//! would get it wrong by merging into an hour whose raw blob gave way to the cap:
//! its rows of a minute know more than the few samples that came.

use std::collections::BTreeMap;

use redb::ReadableDatabase;

use super::api::{ImportReport, ImportSample, StoreError};
use super::blobs::{self, page_bytes};
use super::change::put_audit;
use super::fault::Fault;
use super::flush::{holding_of, hour_number, put_hour, put_series};
use super::records::Holding;
use super::ring::{Hour, Sample, SeriesId, merge_hour, merge_rows};
use super::shared::{lock, read};
use super::tables::{CLASS_HOUR, CLASS_RAW, RING};
use super::writer::Writer;
use crate::model::access::AuditEntry;

/// Clocks of machines differ by less.
const FUTURE_MS: i64 = 5_000;

/// Samples whose series are known.
type Batch = Vec<(SeriesId, Sample)>;

impl Writer {
    /// See [`super::Store::import`].
    pub fn import(
        &mut self,
        samples: &[ImportSample],
        mut audit: Option<AuditEntry>,
    ) -> Result<ImportReport, StoreError> {
        self.ensure_open()?;
        let mut report = ImportReport::default();
        let (late, hours) = self.sort_in(samples, &mut report);
        for (hour, samples) in hours {
            // Merging the hours before may have cost this one its raw blob.
            if lock(&self.shared.ledger).raw_gave_way(hour_number(hour)) {
                report.out_of_range += samples.len() as u64;
                continue;
            }
            let merged = self.merge(hour, &samples, audit.as_ref())?;
            audit = None;
            report.accepted += merged.accepted;
            report.duplicate += merged.duplicate;
        }
        let inserted = lock(&self.shared.front).head.insert(&late);
        report.accepted += inserted.accepted;
        report.duplicate += inserted.duplicate;
        self.write_block(0, audit.as_ref())?;
        let (now, monotonic) = (self.shared.clock.now(), self.shared.clock.monotonic());
        self.compact_closed(self.real_time.peek(now, monotonic))?;
        Ok(report)
    }

    /// What the head takes, and the rest by hour.
    fn sort_in(
        &mut self,
        samples: &[ImportSample],
        report: &mut ImportReport,
    ) -> (Batch, BTreeMap<Hour, Batch>) {
        let now = self.shared.clock.now();
        let oldest = now.minus(self.shared.options.raw_retention).millis();
        let mut without_raw: BTreeMap<u32, bool> = BTreeMap::new();
        {
            let ledger = lock(&self.shared.ledger);
            for number in samples.iter().map(|sample| hour_number(Hour::of(sample.at))) {
                without_raw.entry(number).or_insert_with(|| ledger.raw_gave_way(number));
            }
        }
        let (mut late, mut hours) = (Batch::new(), BTreeMap::<Hour, Batch>::new());
        let mut front = lock(&self.shared.front);
        let compacted = front.head.compacted_through();
        for sample in samples {
            let at = sample.at.millis();
            let hour = Hour::of(sample.at);
            let gave_way = without_raw.get(&hour_number(hour)).copied().unwrap_or(false);
            if at <= oldest.max(0) || at > now.millis().saturating_add(FUTURE_MS) || gave_way {
                report.out_of_range += 1;
                continue;
            }
            let id = front.head.intern(&sample.key, &sample.family, sample.kind, &sample.help, sample.at);
            let Some(id) = id else {
                report.refused += 1;
                continue;
            };
            let taken = (id, Sample { at, value: sample.value });
            if sample.at > compacted {
                late.push(taken);
            } else {
                hours.entry(hour).or_default().push(taken);
            }
        }
        (late, hours)
    }

    /// Merges samples into an hour of the file.
    fn merge(
        &mut self,
        hour: Hour,
        samples: &[(SeriesId, Sample)],
        audit: Option<&AuditEntry>,
    ) -> Result<super::ring::Inserted, StoreError> {
        let number = hour_number(hour);
        // The 1h rows of this hour may be joined with those of its day.
        let (has_raw, day) = {
            let ledger = lock(&self.shared.ledger);
            let day = ledger.hour.range(..=number).next_back().map(|(_, holding)| *holding);
            (ledger.raw.contains_key(&number), day.filter(|holding| holding.end > number))
        };
        let [raw, rows] = self.read_hour(number, has_raw, day).map_err(|fault| fault.error())?;
        let damaged = |error: super::ring::Corrupt| StoreError::Unavailable {
            reason: format!("the stored hour {number} cannot be merged: {error}"),
        };
        let (blobs, merged) = merge_hour(raw.as_deref(), hour, samples).map_err(damaged)?;
        let (mut hour_rows, mut rows_holding) = (blobs.hour_row.clone(), holding_of(hour, &blobs.hour_row));
        if let (Some(day), Some(rows)) = (day, rows) {
            hour_rows = merge_rows(&[&rows, &blobs.hour_row]).map_err(damaged)?;
            rows_holding = Holding { len: hour_rows.len() as u64, ..day };
        }
        let fresh = lock(&self.shared.front).head.take_new_series();
        self.unsaved_series(fresh);
        let series = self.unsaved_series(blobs.series.clone());
        let audit_number = self.next_audit;
        let need = page_bytes(blobs.raw.len() as u64)
            + page_bytes(blobs.minute.len() as u64)
            + page_bytes(hour_rows.len() as u64)
            + series.len() as u64 * 512;
        self.write_samples(need, &mut |tx| {
            put_hour(tx, &blobs, (rows_holding, &hour_rows))?;
            put_series(tx, &series)?;
            audit.map_or(Ok(()), |entry| put_audit(tx, audit_number, entry))
        })?;
        if audit.is_some() {
            self.next_audit = audit_number + 1;
        }
        self.series_saved();
        {
            let mut ledger = lock(&self.shared.ledger);
            ledger.raw.insert(number, holding_of(hour, &blobs.raw));
            ledger.minute.insert(number, holding_of(hour, &blobs.minute));
            ledger.hour.insert(rows_holding.start, rows_holding);
        }
        // What memory still holds of that hour would hide the new samples.
        lock(&self.shared.front).head.insert(samples);
        Ok(merged)
    }

    /// The raw blob of an hour, and the 1h rows it shares with its day.
    fn read_hour(
        &self,
        number: u32,
        has_raw: bool,
        day: Option<Holding>,
    ) -> Result<[Option<Vec<u8>>; 2], Fault> {
        let db = read(&self.shared.db);
        let db = db.as_ref().ok_or_else(|| Fault::Broken(String::from("it is shut")))?;
        let ring = db.begin_read()?.open_table(RING)?;
        let raw = has_raw.then(|| blobs::read_whole(&ring, CLASS_RAW, number)).transpose()?;
        let rows = day.map(|day| blobs::read_whole(&ring, CLASS_HOUR, day.start)).transpose()?;
        Ok([raw, rows])
    }
}
