//! How the head comes back after a restart: index rows, the end of the newest
//! raw hour, flush blocks, tail.
//!
//! The order is that of the module's drawing. Each step skips what an earlier
//! one brought, so a tail that overlaps a block doubles nothing. One would get
//! it wrong by trusting ids in a tail: rows of series that came since the last
//! flush may have been lost, so those are found by their keys.

use std::collections::HashMap;

use super::HOUR_MS;
use super::block;
use super::bytes::Corrupt;
use super::head::{Head, IMPORT};
use super::hour;
use super::index::{KINDS, SeriesRecord};
use super::segment;
use super::segment::Grid;
use super::stream::Segment;
use super::tail;
use super::tail::{Entry, Record};

impl Head {
    /// Takes a row of the stored index.
    pub fn restore_series(&mut self, record: &SeriesRecord) {
        self.index.restore(record);
    }

    /// Takes back the end of a raw hour, so that the last values are in memory.
    ///
    /// # Errors
    /// [`Corrupt`] when the blob is not a raw hour; pieces before the damage are kept.
    pub fn restore_hour(&mut self, raw: &[u8]) -> Result<u64, Corrupt> {
        let mut samples = 0;
        hour::last_frames(raw, self.options.keep, &mut |name, grid| {
            samples += self.restore_segment(name, Segment::of(&grid), &grid);
        })?;
        Ok(samples)
    }

    /// Takes a flush block back; answers its samples.
    ///
    /// # Errors
    /// [`Corrupt`] when it is not a flush block; the head is as before.
    pub fn restore_block(&mut self, block: &[u8]) -> Result<u64, Corrupt> {
        let mut found = Vec::new();
        for (name, bytes) in block::decode(block)? {
            let grid = segment::decode(bytes)?;
            found.push((name, Segment::with(&grid, bytes.into()), grid));
        }
        let times = |pick: fn(&Grid) -> Option<&i64>| found.iter().filter_map(move |(.., grid)| pick(grid));
        let first = times(|grid| grid.times.first()).min().copied();
        let last = times(|grid| grid.times.last()).max().copied();
        // Its hours would have taken it with them, had they been closed after it came:
        // those in the file are of before the clock went back.
        if let Some(first) = first.filter(|_| last <= Some(self.compacted_through().millis())) {
            self.lower_line(first);
        }
        for (name, _, grid) in &found {
            // Blocks tell in which order samples came, but for those of any age.
            let newest = grid.times.last().filter(|_| *name != IMPORT);
            for (column, at) in grid.columns.iter().zip(newest.into_iter().cycle()) {
                self.index.rewind(column.id, *at);
            }
        }
        Ok(found.into_iter().map(|(name, segment, grid)| self.restore_segment(name, segment, &grid)).sum())
    }

    fn restore_segment(&mut self, name: &str, segment: Option<Segment>, grid: &Grid) -> u64 {
        self.note_grid(grid);
        let Some(segment) = segment else { return 0 };
        let samples = segment.samples;
        let number = self.stream(name);
        self.streams[number].restore(segment);
        samples
    }

    fn note_grid(&mut self, grid: &Grid) {
        for column in &grid.columns {
            let mut newest = None;
            segment::each(&grid.times, &column.runs, &column.values, |at, value| {
                newest = Some((at, value));
            });
            if let Some((at, value)) = newest {
                self.index.note(column.id, at, value);
            }
        }
    }

    /// Takes back the frames of a tail file that the head does not have.
    /// They are pending again; answers their samples.
    pub fn replay_tail(&mut self, bytes: &[u8], store_id: u64) -> u64 {
        let mut samples = 0;
        if tail::generation(bytes, store_id).is_none() {
            return samples;
        }
        let mut states: HashMap<String, (Vec<Option<u32>>, Vec<f64>)> = HashMap::new();
        for record in tail::records(bytes) {
            match record {
                Record::Layout { stream, entries } => {
                    let ids: Vec<_> = entries.iter().map(|entry| self.resolve(entry)).collect();
                    let values = vec![0.0; ids.len()];
                    states.insert(stream.to_owned(), (ids, values));
                }
                Record::Frame { stream, at, changes } => {
                    let Some((ids, values)) = states.get_mut(stream) else { continue };
                    for (position, value) in changes {
                        if let Some(slot) = values.get_mut(position) {
                            *slot = value;
                        }
                    }
                    samples += self.replay(stream, at, ids, values);
                }
            }
        }
        samples
    }

    fn resolve(&mut self, entry: &Entry<'_>) -> Option<u32> {
        match *entry {
            Entry::Known(id) => self.index.get(id).map(|_| id),
            Entry::Defined { key, family, kind, help } => {
                let kind = KINDS.get(usize::from(kind)).copied().unwrap_or_default();
                self.intern_at(key, family, kind, help, self.closed_through.max(0))
            }
        }
    }

    fn replay(&mut self, stream: &str, at: i64, ids: &[Option<u32>], values: &[f64]) -> u64 {
        let number = self.stream(stream);
        let line = self.streams[number].last.max(self.closed_through);
        if at <= line {
            // A tail goes back further than an hour only where the clock did.
            if self.streams[number].covers(at) || line.saturating_sub(at) <= HOUR_MS {
                return 0;
            }
        }
        self.follow_clock(number, at);
        let stream = &mut self.streams[number];
        let before = stream.open_samples();
        stream.begin(at);
        for (id, value) in ids.iter().zip(values).filter_map(|(id, value)| id.map(|id| (id, *value))) {
            stream.push(id, value);
            self.index.rewind(id, at);
            self.index.note(id, at, value);
        }
        stream.end();
        let taken = stream.open_samples() - before;
        self.seal_if_full(number);
        taken as u64
    }
}
