//! One source in memory: the frames since the last seal as rows, and before
//! them sealed segments.
//!
//! Rows, because a tick brings one value for every series in nearly always
//! the same order: pushing is one comparison and one store per sample. A seal
//! turns the rows into columns and encodes them (see [`segment`]). Segments of
//! 30 s would cost much memory for their heads, so neighbours are joined like
//! the levels of a log-structured tree: each value is encoded again a few
//! times at most.

use std::collections::VecDeque;
use std::sync::Arc;

use super::HOUR_MS;
use super::column::Effort;
use super::head::BRIDGE_MS;
use super::presence;
use super::segment;
use super::segment::{Grid, GridColumn};

/// Joined segments stop growing here.
const JOIN_UP_TO: usize = 256;
/// Rows are sealed by themselves at this many frames or values (2 MB).
const OPEN_FRAMES: usize = 1024;
const OPEN_VALUES: usize = 1 << 18;

/// Encoded samples of one stream.
#[derive(Debug)]
pub(super) struct Segment {
    pub bytes: Box<[u8]>,
    pub first: i64,
    pub last: i64,
    pub times: usize,
    pub samples: u64,
}

impl Segment {
    pub(super) fn of(grid: &Grid) -> Option<Self> {
        let mut bytes = Vec::new();
        if !grid.times.is_empty() {
            segment::encode(grid, Effort::Quick, &mut bytes);
        }
        Self::with(grid, bytes.into_boxed_slice())
    }

    /// A segment whose bytes are known to hold `grid`.
    pub(super) fn with(grid: &Grid, bytes: Box<[u8]>) -> Option<Self> {
        let (first, last) = (*grid.times.first()?, *grid.times.last()?);
        Some(Self { bytes, first, last, times: grid.times.len(), samples: grid.samples() as u64 })
    }
}

#[derive(Clone, Copy, Debug)]
struct OpenFrame {
    at: i64,
    layout: usize,
    /// Where its values start; it has as many as its layout has series.
    offset: usize,
}

/// The newest frame, and the values of the one before when it has the same layout.
pub(super) struct Newest<'a> {
    pub layout: &'a [u32],
    pub values: &'a [f64],
    pub before: Option<&'a [f64]>,
}

/// A frame being taken in.
#[derive(Debug)]
struct Row {
    at: i64,
    offset: usize,
    /// How much of the last layout the frame has followed.
    followed: usize,
    /// The frame's own layout once it left the last one.
    own: Option<Vec<u32>>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Stream {
    pub name: String,
    /// Series ids in frame order; the last is the current one.
    layouts: Vec<Vec<u32>>,
    frames: Vec<OpenFrame>,
    values: Vec<f64>,
    row: Option<Row>,
    pub segments: VecDeque<Arc<Segment>>,
    /// Time of the newest frame.
    pub last: i64,
    /// The tail file knows the layout and the values of the newest frame.
    pub in_tail: bool,
}

impl Stream {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            layouts: Vec::new(),
            frames: Vec::new(),
            values: Vec::new(),
            row: None,
            segments: VecDeque::new(),
            last: i64::MIN,
            in_tail: false,
        }
    }

    pub(super) fn begin(&mut self, at: i64) {
        self.row = Some(Row { at, offset: self.values.len(), followed: 0, own: None });
    }

    /// The series that stood here in the frame before.
    pub(super) fn expected(&self) -> Option<u32> {
        self.layouts.last()?.get(self.row.as_ref()?.followed).copied()
    }

    pub(super) fn push(&mut self, id: u32, value: f64) {
        let Some(row) = &mut self.row else { return };
        self.values.push(value);
        let current = self.layouts.last().map_or(&[][..], Vec::as_slice);
        if row.own.is_none() {
            if current.get(row.followed) == Some(&id) {
                row.followed += 1;
                return;
            }
            row.own = Some(current[..row.followed].to_vec());
        }
        if let Some(own) = &mut row.own {
            own.push(id);
        }
        // Find the way back into the last layout, so that `expected` helps again.
        let ahead = current.get(row.followed..).unwrap_or(&[]);
        if let Some(skipped) = ahead.iter().take(256).position(|other| *other == id) {
            row.followed += skipped + 1;
        }
    }

    /// Ends the frame; false when it had no value.
    pub(super) fn end(&mut self) -> bool {
        let Some(row) = self.row.take() else { return false };
        if self.values.len() == row.offset {
            return false;
        }
        let current = self.layouts.last().map_or(0, Vec::len);
        if let Some(own) = row.own {
            self.layouts.push(own);
            self.in_tail = false;
        } else if row.followed != current {
            let shorter = self.layouts.last().map(|layout| layout[..row.followed].to_vec());
            self.layouts.extend(shorter);
            self.in_tail = false;
        }
        self.frames.push(OpenFrame { at: row.at, layout: self.layouts.len() - 1, offset: row.offset });
        self.last = self.last.max(row.at);
        true
    }

    pub(super) fn is_full(&self) -> bool {
        self.frames.len() >= OPEN_FRAMES || self.values.len() >= OPEN_VALUES
    }

    pub(super) fn open_samples(&self) -> usize {
        self.values.len()
    }

    pub(super) fn open_first(&self) -> Option<i64> {
        self.frames.first().map(|frame| frame.at)
    }

    /// The newest frame.
    pub(super) fn newest(&self) -> Option<Newest<'_>> {
        let row = |frame: &OpenFrame| {
            let length = self.layouts.get(frame.layout)?.len();
            self.values.get(frame.offset..frame.offset + length)
        };
        let last = self.frames.last()?;
        let before = self.frames.len().checked_sub(2).and_then(|at| self.frames.get(at));
        let before = before.filter(|frame| frame.layout == last.layout).and_then(row);
        Some(Newest { layout: self.layouts.get(last.layout)?, values: row(last)?, before })
    }

    /// Visits open samples of `ids` (ascending): index in `ids`, time, value.
    pub(super) fn each_open(&self, ids: &[u32], mut visit: impl FnMut(usize, i64, f64)) {
        let wanted = |layout: &Vec<u32>| -> Vec<(usize, usize)> {
            let found = layout.iter().enumerate().map(|(at, id)| (at, ids.binary_search(id)));
            found.filter_map(|(at, index)| index.ok().map(|index| (at, index))).collect()
        };
        let mut places: Option<(usize, Vec<(usize, usize)>)> = None;
        for frame in &self.frames {
            if places.as_ref().is_none_or(|(layout, _)| *layout != frame.layout) {
                places = Some((frame.layout, wanted(&self.layouts[frame.layout])));
            }
            for (at, index) in places.iter().flat_map(|(_, places)| places) {
                visit(*index, frame.at, self.values[frame.offset + at]);
            }
        }
    }

    /// Turns the rows into columns.
    fn grid(&self) -> Grid {
        let mut ids: Vec<u32> = self.layouts.iter().flatten().copied().collect();
        ids.sort_unstable();
        ids.dedup();
        let empty = |id: &u32| GridColumn { id: *id, ..GridColumn::default() };
        let mut columns: Vec<GridColumn> = ids.iter().map(empty).collect();
        let place = |layout: &Vec<u32>| -> Vec<usize> {
            layout.iter().map(|id| ids.binary_search(id).unwrap_or(0)).collect()
        };
        let places: Vec<Vec<usize>> = self.layouts.iter().map(place).collect();
        for (position, frame) in self.frames.iter().enumerate() {
            for (at, column) in places[frame.layout].iter().enumerate() {
                columns[*column].values.push(self.values[frame.offset + at]);
                presence::push(&mut columns[*column].runs, position as u32);
            }
        }
        columns.retain(|column| !column.values.is_empty());
        for column in &mut columns {
            if column.values.len() == self.frames.len() {
                column.runs.clear();
            }
        }
        Grid { times: self.frames.iter().map(|frame| frame.at).collect(), columns }
    }

    /// Encodes the rows; `None` when there are none.
    pub(super) fn seal(&mut self) -> Option<Arc<Segment>> {
        let sealed = Segment::of(&self.grid()).map(Arc::new);
        self.frames.clear();
        self.values.clear();
        // A burst's memory is given back; a tick's stays.
        self.values.shrink_to(OPEN_VALUES / 8);
        self.in_tail = false;
        if self.layouts.len() > 1 {
            self.layouts.drain(..self.layouts.len() - 1);
        }
        let sealed = sealed?;
        self.adopt(Arc::clone(&sealed));
        Some(sealed)
    }

    /// Takes a segment in behind the others as it is. For a start, which must
    /// be quick: small segments only cost some memory until they are trimmed.
    pub(super) fn restore(&mut self, segment: Segment) {
        // Where the clock went back, the later word counts.
        let went_back = self.last.saturating_sub(segment.last) > BRIDGE_MS;
        self.last = if went_back { segment.last } else { self.last.max(segment.last) };
        self.segments.push_back(Arc::new(segment));
    }

    /// Takes a segment in behind the others and joins small neighbours.
    pub(super) fn adopt(&mut self, segment: Arc<Segment>) {
        self.last = self.last.max(segment.last);
        self.segments.push_back(segment);
        while let [.., before, last] = self.segments.make_contiguous() {
            let small = before.times <= last.times && before.times + last.times <= JOIN_UP_TO;
            let apart = before.last >= last.first || last.first - before.last > HOUR_MS;
            if !small || apart {
                return;
            }
            let (Ok(first), Ok(second)) = (segment::decode(&before.bytes), segment::decode(&last.bytes))
            else {
                return;
            };
            let Some(joined) = Segment::of(&segment::join(first, second)) else { return };
            self.segments.truncate(self.segments.len() - 2);
            self.segments.push_back(Arc::new(joined));
        }
    }

    /// Lets go of segments up to `through` while `keep` frames remain, and of
    /// those before `oldest` in any case.
    pub(super) fn trim(&mut self, through: i64, oldest: i64, keep: usize) {
        let mut held = self.frames.len() + self.segments.iter().map(|segment| segment.times).sum::<usize>();
        // Each on its own: one of the future must not keep those behind it.
        self.segments.retain(|segment| {
            let spare = held - segment.times >= keep || segment.last < oldest;
            let goes = segment.last <= through && spare;
            held -= if goes { segment.times } else { 0 };
            !goes
        });
    }

    /// Whether a frame at `at` has been taken in.
    pub(super) fn covers(&self, at: i64) -> bool {
        let open = self.frames.first().zip(self.frames.last()).map(|(first, last)| (first.at, last.at));
        let sealed = self.segments.iter().map(|segment| (segment.first, segment.last));
        sealed.chain(open).any(|(first, last)| first <= at && at <= last)
    }

    pub(super) fn bytes(&self) -> usize {
        self.values.len() * 8 + self.segments.iter().map(|segment| segment.bytes.len()).sum::<usize>()
    }
}
