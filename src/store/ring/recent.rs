//! A snapshot of the head's samples in a stretch of time: shared segments and
//! copies of the open rows, so that a query decodes without holding a lock.

use std::sync::Arc;

use super::Sample;
use super::column::Buffers;
use super::segment;
use super::segment::Cursor;
use super::stored::Sink;
use super::stream::Segment;
use crate::store::StoreError;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recent {
    pub segments: Vec<Arc<Segment>>,
    /// (index in the ids asked for, sample).
    pub open: Vec<(usize, Sample)>,
    /// Excluded start, included end.
    pub window: (i64, i64),
}

impl Recent {
    /// Visits the samples of `ids` (ascending): index in `ids`, time, value.
    /// Segments follow each other in time within a stream; a series that two
    /// streams report may go back in time.
    pub(super) fn each(&self, ids: &[u32], mut visit: impl FnMut(usize, i64, f64)) {
        let (from, to) = self.window;
        let mut values = Vec::new();
        for held in &self.segments {
            let Ok(mut cursor) = Cursor::new(&held.bytes) else { continue };
            for (index, id) in ids.iter().enumerate() {
                if !matches!(cursor.seek(*id), Ok(true)) {
                    continue;
                }
                let Ok(runs) = cursor.read(&mut values).map(<[_]>::to_vec) else { break };
                segment::each(&cursor.head.times, &runs, &values, |at, value| {
                    if at > from && at <= to {
                        visit(index, at, value);
                    }
                });
            }
        }
        for (index, sample) in &self.open {
            visit(*index, sample.at, sample.value);
        }
    }

    /// Gives the samples of `ids` (ascending) to `sink`; whether there was any.
    pub(super) fn feed(&self, ids: &[u32], sink: &mut dyn Sink) -> Result<bool, StoreError> {
        let window = self.window.0..self.window.1;
        let mut buffers = Buffers::default();
        let mut any = false;
        for held in &self.segments {
            let Ok(mut cursor) = Cursor::new(&held.bytes) else { continue };
            let times = cursor.head.times.clone();
            sink.group(&times, &window);
            for (index, id) in ids.iter().enumerate() {
                if !matches!(cursor.seek(*id), Ok(true)) {
                    continue;
                }
                let Ok((runs, values)) = cursor.read_stored(&mut buffers) else { break };
                any |= sink.column(index, &times, runs, values)?;
            }
        }
        for (index, sample) in &self.open {
            any = true;
            sink.sample(*index, sample.at, sample.value)?;
        }
        Ok(any)
    }
}
