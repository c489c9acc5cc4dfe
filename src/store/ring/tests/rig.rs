//! A store in a map: a head, blobs by hour, and every sample as it came.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::*;
use crate::model::frame::Frame;
use crate::model::query::{RangeAnswer, RangeQuery, Resolution};
use crate::model::selector::Selector;
use crate::store::StoreError;

/// 2026-11-20T00:00:00Z, a full hour.
pub const START: i64 = 1_795_132_800_000;

pub fn options() -> HeadOptions {
    HeadOptions { max_series: 1000, keep: 1000, max_bytes: 64 << 20 }
}

/// Stored blobs by resolution and start.
#[derive(Default)]
pub struct Shelf(pub BTreeMap<(Resolution, i64), (i64, Vec<u8>)>);

impl Shelf {
    pub fn put(&mut self, blobs: &HourBlobs) {
        let (start, end) = (blobs.hour.start().millis(), blobs.hour.end().millis());
        for (resolution, bytes) in [
            (Resolution::Raw, &blobs.raw),
            (Resolution::Minute, &blobs.minute),
            (Resolution::Hour, &blobs.hour_row),
        ] {
            self.0.insert((resolution, start), (end, bytes.clone()));
        }
    }
}

impl Blobs for Shelf {
    fn list(
        &self,
        resolution: Resolution,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<BlobRef>, StoreError> {
        let all = self.0.iter().filter(|((tier, _), _)| *tier == resolution);
        let refs = all.map(|((_, start), (end, _))| BlobRef { resolution, start: *start, end: *end });
        Ok(refs.filter(|blob| blob.end > from.millis() && blob.start < to.millis()).collect())
    }

    fn read(
        &self,
        blob: &BlobRef,
        offset: usize,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let (_, bytes) = &self.0[&(blob.resolution, blob.start)];
        out.clear();
        out.extend_from_slice(
            &bytes[offset.min(bytes.len())..bytes.len().min(offset.saturating_add(length))],
        );
        Ok(())
    }
}

/// See the module.
pub struct Rig {
    pub head: Head,
    pub shelf: Shelf,
    pub blocks: Vec<FlushBlock>,
    pub rows: Vec<SeriesRecord>,
    pub naive: BTreeMap<String, BTreeMap<i64, f64>>,
}

impl Rig {
    pub fn new() -> Self {
        Self {
            head: Head::new(options()),
            shelf: Shelf::default(),
            blocks: Vec::new(),
            rows: Vec::new(),
            naive: BTreeMap::new(),
        }
    }

    /// Appends one frame of (series name, value) pairs.
    pub fn tick(&mut self, stream: &str, at: i64, values: &[(&str, f64)]) -> Appended {
        let report = self.head.append(stream, Timestamp(at), &frame(values), None);
        for (name, value) in values {
            self.naive.entry((*name).to_owned()).or_default().insert(report.at.millis(), *value);
        }
        report
    }

    pub fn flush(&mut self) {
        if let Some(block) = self.head.seal() {
            self.head.flushed(&block.series);
            self.rows.extend(block.series.iter().cloned());
            self.blocks.push(block);
        }
    }

    /// Compacts every hour that is over at `now`.
    pub fn compact(&mut self, now: i64) {
        while let Some(hour) = self.head.closed_hour(Timestamp(now)) {
            let made = encode_hour(&self.head.hour_input(hour));
            self.rows.extend(made.series.iter().cloned());
            self.shelf.put(&made);
            self.head.compacted(hour);
        }
    }

    /// What a restart makes of the blobs, blocks and rows.
    pub fn restarted(&self) -> Head {
        let mut head = Head::new(options());
        self.rows.iter().for_each(|row| head.restore_series(row));
        let newest = self.shelf.0.iter().rev().find(|((tier, _), _)| *tier == Resolution::Raw);
        if let Some((_, (end, raw))) = newest {
            head.set_compacted_through(Timestamp(*end));
            head.restore_hour(raw).unwrap();
        }
        let through = head.compacted_through().millis();
        for block in self.blocks.iter().filter(|block| block.last.millis() > through) {
            head.restore_block(&block.bytes).unwrap();
        }
        head
    }

    pub fn query(&self, name: &str, start: i64, end: i64, step: i64, lookback: i64) -> RangeAnswer {
        let query = RangeQuery {
            selector: Selector::name(name),
            start: Timestamp(start),
            end: Timestamp(end),
            step: Duration::from_millis(step as u64),
            lookback: Duration::from_millis(lookback as u64),
            max_series: 100,
            max_points: 100_000,
        };
        plan(&self.head, &query).unwrap().evaluate(&self.shelf).unwrap()
    }

    /// The value each step should see, as bits.
    pub fn expected(&self, name: &str, start: i64, end: i64, step: i64, lookback: i64) -> Vec<Option<u64>> {
        let empty = BTreeMap::new();
        let samples = self.naive.get(name).unwrap_or(&empty);
        let steps = (start..=end).step_by(step as usize);
        steps
            .map(|at| samples.range(at - lookback + 1..=at).next_back().map(|(_, value)| value.to_bits()))
            .collect()
    }
}

/// As the store does it.
pub fn plan(head: &Head, query: &RangeQuery) -> Result<RangePlan, StoreError> {
    let search = Search::new(std::slice::from_ref(&query.selector))?;
    head.plan(query, &search.among(&head.keys(), query.max_series)?)
}

pub fn frame(values: &[(&str, f64)]) -> Frame {
    let mut frame = Frame::new();
    for (name, value) in values {
        frame.gauge(name, "A value.").push(&[], *value);
    }
    frame
}

/// The points of the only series of an answer; all empty when there is none.
pub fn points(answer: &RangeAnswer, count: usize) -> Vec<Option<u64>> {
    match answer.series.as_slice() {
        [] => vec![None; count],
        [one] => one
            .points
            .iter()
            .map(|value| (!crate::model::query::is_no_value(*value)).then_some(value.to_bits()))
            .collect(),
        _ => panic!("more than one series"),
    }
}
