//! What is in memory: the index, and per stream the samples since the last
//! compaction, at least the last thousand frames.
//!
//! The head holds everything that no raw hour in the file holds yet, so a
//! query needs raw hours up to [`Head::compacted_through`] and the head from
//! there on; flush blocks are only read when the agent starts. One would get
//! it wrong by letting a sample in behind that line: it would be in the head,
//! not in the hour, and vanish with the next trim. [`Head::append`] clamps.
//!
//! A clock that went back by seconds is clamped until it has caught up. After
//! more than [`BRIDGE_MS`] the times behind were wrong, or those from now on are;
//! the head cannot know which, so it keeps both: the line goes back to the start
//! of the hour at hand and history goes on from there. Samples stamped in the
//! future stay as they are and are compacted when their hour is over. An hour
//! that is in the file already is closed again later, so a store must give what
//! it holds to [`HourInput::add_stored`] before it writes the hour anew.

use std::collections::HashMap;
use std::sync::Arc;

use super::block;
use super::bytes::Corrupt;
use super::hour;
use super::index::{Index, KINDS, SeriesRecord};
use super::segment::{Grid, GridColumn};
use super::stream::{Newest, Segment, Stream};
use super::tail;
use super::tail::Entry;
use super::{HOUR_MS, Hour, Sample, SeriesId};
use crate::base::time::Timestamp;
use crate::model::frame::Frame;
use crate::model::series::Kind;

/// An hour is closed this long after its end, so that late frames are in it.
const GRACE_MS: i64 = 5_000;
/// A clock that went back by no more is clamped.
pub(super) const BRIDGE_MS: i64 = 60_000;
/// A stream that fell silent keeps its samples in memory this long.
const SILENT_MS: i64 = 24 * HOUR_MS;
/// Name of the stream that [`Head::insert`] fills.
pub(super) const IMPORT: &str = "import";

/// Bounds of the head.
#[derive(Clone, Copy, Debug)]
pub struct HeadOptions {
    /// Series with a sample in the last hour.
    pub max_series: usize,
    /// Frames per stream that stay in memory even when they are in the file.
    pub keep: usize,
    /// Bytes of encoded and open samples; beyond, the oldest are shed.
    pub max_bytes: usize,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    pub accepted: usize,
    /// Refused by the cap on active series.
    pub refused: usize,
    /// A series that was there twice, or already has a sample at that time.
    pub duplicate: usize,
    /// The time that was used: later than asked when the clock stood still
    /// or went back a little.
    pub at: Timestamp,
}

/// What a flush writes, in one transaction.
#[derive(Clone, Debug)]
pub struct FlushBlock {
    pub bytes: Vec<u8>,
    /// Times of the oldest and the newest sample inside.
    pub first: Timestamp,
    pub last: Timestamp,
    pub samples: u64,
    /// Index rows of series that came since the block before.
    pub series: Vec<SeriesRecord>,
}

/// Figures of the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadStats {
    pub series: usize,
    /// Upper bound of the series with a sample in the last hour.
    pub active: usize,
    pub bytes: usize,
    /// In no flush block yet.
    pub samples_pending: u64,
    pub refused_total: u64,
    pub appended_total: u64,
    /// Given up before they were compacted, for lack of memory.
    pub shed_total: u64,
}

/// The samples of one hour, detached from the head.
#[derive(Debug)]
pub struct HourInput {
    pub(super) hour: Hour,
    pub(super) streams: Vec<(String, Vec<Arc<Segment>>)>,
    pub(super) idle: Vec<SeriesRecord>,
}

impl HourInput {
    pub fn hour(&self) -> Hour {
        self.hour
    }

    /// Adds the samples of the raw hour that is in the file already.
    ///
    /// # Errors
    /// [`Corrupt`] when the blob is not a raw hour; pieces before the damage are kept.
    pub fn add_stored(&mut self, raw: &[u8]) -> Result<(), Corrupt> {
        hour::last_frames(raw, usize::MAX, &mut |name, grid| {
            let Some(segment) = Segment::of(&grid).map(Arc::new) else { return };
            match self.streams.last_mut() {
                Some((last, segments)) if last == name => segments.push(segment),
                _ => self.streams.push((name.to_owned(), vec![segment])),
            }
        })
    }
}

/// What became of inserted samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    pub accepted: u64,
    /// The series already had a sample at that time.
    pub duplicate: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Head {
    pub(super) options: HeadOptions,
    pub(super) index: Index,
    pub(super) streams: Vec<Stream>,
    numbers: HashMap<String, usize>,
    /// Sealed and in no flush block yet: number of the stream, segment.
    pending: Vec<(usize, Arc<Segment>)>,
    /// Interned since the last time their rows were asked for.
    fresh: Vec<u32>,
    compacted_through: i64,
    /// The newest hour of the file ends here; later than `compacted_through`
    /// after the clock went back.
    pub(super) stored_through: i64,
    /// No sample at or before this is taken: an hour up to here is closing.
    pub(super) closed_through: i64,
    appended: u64,
    shed: u64,
}

impl Head {
    pub fn new(options: HeadOptions) -> Self {
        Self {
            options,
            index: Index::new(options.max_series),
            streams: Vec::new(),
            numbers: HashMap::new(),
            pending: Vec::new(),
            fresh: Vec::new(),
            compacted_through: i64::MIN,
            stored_through: i64::MIN,
            closed_through: i64::MIN,
            appended: 0,
            shed: 0,
        }
    }

    /// Samples up to `at` are in raw hours.
    pub fn set_compacted_through(&mut self, at: Timestamp) {
        self.compacted_through = at.millis();
        self.stored_through = self.stored_through.max(at.millis());
        self.closed_through = self.closed_through.max(at.millis());
    }

    pub fn compacted_through(&self) -> Timestamp {
        Timestamp(self.compacted_through)
    }

    pub(super) fn stream(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        self.streams.push(Stream::new(name));
        self.numbers.insert(name.to_owned(), self.streams.len() - 1);
        self.streams.len() - 1
    }

    /// Lets a stream go on at `at` when it, or the line, is more than
    /// [`BRIDGE_MS`] ahead; see the module. A jump forward starts a new segment:
    /// one across the gap would have every empty hour in it closed.
    pub(super) fn follow_clock(&mut self, number: usize, at: i64) {
        let stream = &mut self.streams[number];
        if stream.open_samples() > 0 && at.saturating_sub(stream.last) > HOUR_MS {
            self.pending.extend(stream.seal().map(|segment| (number, segment)));
        }
        if stream.last.max(self.closed_through).saturating_sub(at) <= BRIDGE_MS {
            return;
        }
        // The times of one segment ascend.
        self.pending.extend(stream.seal().map(|segment| (number, segment)));
        stream.last = at.saturating_sub(1);
        self.lower_line(at);
    }

    /// Takes samples from the start of the hour of `at` on.
    pub(super) fn lower_line(&mut self, at: i64) {
        let start = Hour::of(Timestamp(at)).start().millis();
        self.compacted_through = self.compacted_through.min(start);
        self.closed_through = self.closed_through.min(start);
    }

    /// Takes one frame of a source. `tail` receives what is to be appended to
    /// the tail file. The time is moved forward when it does not advance; when
    /// it went back by more than a minute, it is taken as it is.
    pub fn append(
        &mut self,
        stream: &str,
        at: Timestamp,
        frame: &Frame,
        tail: Option<&mut Vec<u8>>,
    ) -> Appended {
        let number = self.stream(stream);
        self.follow_clock(number, at.millis());
        let Self { streams, index, fresh, closed_through, .. } = self;
        let stream = &mut streams[number];
        let used = at.millis().max(stream.last.max(*closed_through).saturating_add(1));
        let mut report = Appended { at: Timestamp(used), ..Appended::default() };
        stream.begin(used);
        for sample in frame.iter() {
            let expected = stream
                .expected()
                .filter(|id| index.get(*id).is_some_and(|series| *series.key == *sample.key));
            let known = expected.or_else(|| index.find(sample.key));
            let id = match known {
                Some(id) => {
                    let last = index.get(id).map_or(super::index::NEVER, |series| series.last);
                    if last == used {
                        report.duplicate += 1;
                        continue;
                    }
                    index.rewind(id, used);
                    index.admit(last, used).then_some(id)
                }
                None => {
                    let new = index.intern(sample.key, sample.family, sample.kind, sample.help, used);
                    fresh.extend(new);
                    new
                }
            };
            let Some(id) = id else {
                report.refused += 1;
                continue;
            };
            index.note(id, used, sample.value);
            stream.push(id, sample.value);
            report.accepted += 1;
        }
        if stream.end() {
            match tail {
                Some(tail) => write_tail(stream, index, used, tail),
                None => stream.in_tail = false,
            }
        }
        self.appended += report.accepted as u64;
        self.seal_if_full(number);
        report
    }

    pub(super) fn seal_if_full(&mut self, number: usize) {
        if self.streams[number].is_full() {
            let sealed = self.streams[number].seal();
            self.pending.extend(sealed.map(|segment| (number, segment)));
            self.shed();
        }
    }

    fn seal_streams(&mut self) {
        for (number, stream) in self.streams.iter_mut().enumerate() {
            self.pending.extend(stream.seal().map(|segment| (number, segment)));
        }
    }

    /// Closes the rows of every stream into one block and starts over; `None`
    /// when nothing came. Call [`Head::flushed`] once the block is durable.
    pub fn seal(&mut self) -> Option<FlushBlock> {
        self.seal_streams();
        self.shed();
        let pending = std::mem::take(&mut self.pending);
        let series = self.take_new_series();
        if pending.is_empty() && series.is_empty() {
            return None;
        }
        let parts =
            pending.iter().map(|(number, segment)| (self.streams[*number].name.as_str(), &*segment.bytes));
        Some(FlushBlock {
            bytes: block::encode(parts),
            first: Timestamp(pending.iter().map(|(_, segment)| segment.first).min().unwrap_or(0)),
            last: Timestamp(pending.iter().map(|(_, segment)| segment.last).max().unwrap_or(0)),
            samples: pending.iter().map(|(_, segment)| segment.samples).sum(),
            series,
        })
    }

    /// Index rows of series that came since they were last asked for. An
    /// import writes them together with its hours.
    pub fn take_new_series(&mut self) -> Vec<SeriesRecord> {
        std::mem::take(&mut self.fresh).into_iter().filter_map(|id| self.index.record(id)).collect()
    }

    /// The rows are durable: the tail may name these series by id.
    pub fn flushed(&mut self, series: &[SeriesRecord]) {
        for record in series {
            if let Some(series) = self.index.get_mut(record.id.0) {
                series.unsaved = false;
            }
        }
    }

    /// The oldest hour with samples that is over and not in the file.
    pub fn closed_hour(&self, now: Timestamp) -> Option<Hour> {
        let hour = Hour::of(Timestamp(self.oldest_held()?));
        (hour.end().millis().saturating_add(GRACE_MS) <= now.millis()).then_some(hour)
    }

    /// Time of the oldest sample that is in no hour of the file, ms.
    fn oldest_held(&self) -> Option<i64> {
        let after = self.compacted_through.saturating_add(1);
        let sealed = self.streams.iter().flat_map(|stream| stream.segments.iter());
        let sealed = sealed.filter(|segment| segment.last >= after).map(|segment| segment.first.max(after));
        sealed.chain(self.streams.iter().filter_map(Stream::open_first)).min()
    }

    /// The samples of an hour, for [`super::encode_hour`]. From here on no
    /// sample of that hour is taken.
    pub fn hour_input(&mut self, hour: Hour) -> HourInput {
        self.seal_streams();
        self.shed();
        let (start, end) = (hour.start().millis(), hour.end().millis());
        self.closed_through = self.closed_through.max(end);
        let inside = |segment: &&Arc<Segment>| segment.last > start && segment.first <= end;
        let streams = self.streams.iter().map(|stream| {
            (stream.name.clone(), stream.segments.iter().filter(inside).map(Arc::clone).collect::<Vec<_>>())
        });
        let streams = streams.filter(|(_, segments)| !segments.is_empty()).collect();
        let idle = self.idle(end).into_iter().filter_map(|id| self.index.record(id)).collect();
        HourInput { hour, streams, idle }
    }

    /// Series whose stored row lacks their last sample, which is before `end`.
    fn idle(&self, end: i64) -> Vec<u32> {
        let ended = |id: &u32| self.index.get(*id).is_some_and(|series| series.stale && series.last <= end);
        self.index.ordered().iter().copied().filter(ended).collect()
    }

    /// The hour's blobs are durable: its samples may leave the memory.
    pub fn compacted(&mut self, hour: Hour) {
        let end = hour.end().millis();
        for id in self.idle(end) {
            if let Some(series) = self.index.get_mut(id) {
                series.stale = false;
            }
        }
        self.set_compacted_through(Timestamp(self.compacted_through.max(end)));
        let import = self.numbers.get(IMPORT).copied();
        for (number, stream) in self.streams.iter_mut().enumerate() {
            let keep = if Some(number) == import { 0 } else { self.options.keep };
            stream.trim(end, end.saturating_sub(SILENT_MS), keep);
        }
    }

    /// Holds from now on no more than `keep` frames of each stream that the file has, too.
    pub fn keep_frames(&mut self, keep: usize) {
        self.options.keep = keep;
        let through = self.compacted_through;
        self.streams.iter_mut().for_each(|stream| stream.trim(through, i64::MIN, keep));
    }

    /// Drops segments while the head is too large: first what the file has, then
    /// the oldest.
    fn shed(&mut self) {
        let mut bytes: usize = self.streams.iter().map(Stream::bytes).sum();
        while bytes > self.options.max_bytes {
            // Not only the fronts: an import puts segments of any age behind each other.
            let held = self.streams.iter().enumerate().flat_map(|(number, stream)| {
                stream.segments.iter().enumerate().map(move |(place, segment)| (number, place, segment))
            });
            let oldest = held.min_by_key(|(.., held)| (held.last > self.compacted_through, held.first));
            let Some((number, place, _)) = oldest else { return };
            let Some(gone) = self.streams[number].segments.remove(place) else { return };
            bytes -= gone.bytes.len();
            if gone.last > self.compacted_through {
                self.shed += gone.samples;
            }
            self.pending.retain(|(_, segment)| !Arc::ptr_eq(segment, &gone));
        }
    }

    /// The id of a series, new if need be; `None` when the cap refuses it.
    pub fn intern(
        &mut self,
        key: &str,
        family: &str,
        kind: Kind,
        help: &str,
        at: Timestamp,
    ) -> Option<SeriesId> {
        self.intern_at(key, family, kind, help, at.millis()).map(SeriesId)
    }

    pub(super) fn intern_at(
        &mut self,
        key: &str,
        family: &str,
        kind: Kind,
        help: &str,
        at: i64,
    ) -> Option<u32> {
        if let Some(id) = self.index.find(key) {
            return Some(id);
        }
        let id = self.index.intern(key, family, kind, help, at)?;
        self.fresh.push(id);
        Some(id)
    }

    /// Takes samples of any time, in any order. Those after
    /// [`Head::compacted_through`] are pending for the next flush; of those before,
    /// which no query looks for here, only the last value of the series is noted.
    pub fn insert(&mut self, samples: &[(SeriesId, Sample)]) -> Inserted {
        let mut report = Inserted::default();
        let mut sorted: Vec<(u32, Sample)> = samples.iter().map(|(id, sample)| (id.0, *sample)).collect();
        sorted.sort_by_key(|(id, sample)| (*id, sample.at));
        for (id, sample) in &sorted {
            self.index.note(*id, sample.at, sample.value);
        }
        sorted.retain(|(_, sample)| sample.at > self.compacted_through);
        let held = self.held(&sorted);
        let mut groups: HashMap<Vec<i64>, Vec<GridColumn>> = HashMap::new();
        for (run, held) in sorted.chunk_by(|left, right| left.0 == right.0).zip(held) {
            let id = run[0].0;
            let (mut times, mut values) = (Vec::new(), Vec::new());
            for (_, sample) in run {
                if held.binary_search(&sample.at).is_ok() || times.last() == Some(&sample.at) {
                    report.duplicate += 1;
                    continue;
                }
                times.push(sample.at);
                values.push(sample.value);
            }
            report.accepted += times.len() as u64;
            groups.entry(times).or_default().push(GridColumn { id, runs: Vec::new(), values });
        }
        let number = self.stream(IMPORT);
        for (times, columns) in groups {
            for grid in hour::slices(Grid { times, columns }) {
                let Some(segment) = Segment::of(&grid).map(Arc::new) else { continue };
                if segment.last > self.compacted_through {
                    self.pending.push((number, Arc::clone(&segment)));
                }
                self.streams[number].segments.push_back(segment);
            }
        }
        self.appended += report.accepted;
        self.shed();
        report
    }

    /// The times that memory holds of each series in `sorted`, in its order. Reads
    /// every segment once.
    fn held(&self, sorted: &[(u32, Sample)]) -> Vec<Vec<i64>> {
        let mut ids: Vec<u32> = sorted.iter().map(|(id, _)| *id).collect();
        ids.dedup();
        let times = sorted.iter().map(|(_, sample)| sample.at);
        let mut held = vec![Vec::new(); ids.len()];
        if let (Some(first), Some(last)) = (times.clone().min(), times.max()) {
            let recent = self.recent(&ids, first.saturating_sub(1), last);
            recent.each(&ids, |index, at, _| held[index].push(at));
        }
        held.iter_mut().for_each(|times| times.sort_unstable());
        held
    }

    /// Forgets series without a sample since `before`; their index rows go. Those stay whose
    /// samples are still to become hours: nobody could tell what they are of.
    pub fn retire(&mut self, before: Timestamp) -> Vec<SeriesId> {
        self.index.retire(before.millis().min(self.oldest_held().unwrap_or(i64::MAX)))
    }

    /// How many series [`Self::retire`] would forget.
    pub fn silent(&self, before: Timestamp) -> usize {
        self.index.silent(before.millis().min(self.oldest_held().unwrap_or(i64::MAX)))
    }

    pub fn stats(&self) -> HeadStats {
        let open: usize = self.streams.iter().map(Stream::open_samples).sum();
        HeadStats {
            series: self.index.len(),
            active: self.index.active().min(self.index.len()),
            bytes: self.streams.iter().map(Stream::bytes).sum(),
            samples_pending: open as u64
                + self.pending.iter().map(|(_, segment)| segment.samples).sum::<u64>(),
            refused_total: self.index.refused,
            appended_total: self.appended,
            shed_total: self.shed,
        }
    }
}

fn write_tail(stream: &mut Stream, index: &Index, at: i64, tail: &mut Vec<u8>) {
    let Some(Newest { layout, values, before }) = stream.newest() else { return };
    if !stream.in_tail {
        let entries = layout.iter().map(|id| match index.get(*id).filter(|series| series.unsaved) {
            Some(series) => {
                let (family, kind, help) = index.family_of(series);
                let kind = KINDS.iter().position(|other| *other == kind).unwrap_or(4) as u8;
                Entry::Defined { key: &series.key, family, kind, help }
            }
            None => Entry::Known(*id),
        });
        tail::put_layout(tail, &stream.name, entries);
    }
    tail::put_frame(tail, &stream.name, at, values, before.filter(|_| stream.in_tail));
    stream.in_tail = true;
}
