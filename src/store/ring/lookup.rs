//! Questions to the head: what a series has in memory, its last value, which
//! series there are.
//!
//! Regular expressions come from users and may be slow. The pattern: a caller
//! compiles them ([`Search::new`]), takes the list of keys from the head, which
//! costs one pointer, and matches them ([`Search::among`]) without the lock that
//! guards the head. One would get it wrong by matching under it: every append
//! would wait for the slowest expression anyone sends.

use std::sync::Arc;

use super::Sample;
use super::head::Head;
use super::index::NEVER;
use super::matcher::Matching;
use super::recent::Recent;
use crate::base::time::Timestamp;
use crate::model::query::SeriesInfo;
use crate::model::selector::Selector;
use crate::store::{LatestSample, NewestSample, StoreError};

impl Head {
    /// The samples of `ids` (ascending) in `(from, to]` that are in memory.
    pub(super) fn recent(&self, ids: &[u32], from: i64, to: i64) -> Recent {
        let mut recent = Recent::default();
        for stream in &self.streams {
            let inside = stream.segments.iter().filter(|segment| segment.last > from && segment.first <= to);
            recent.segments.extend(inside.cloned());
            stream.each_open(ids, |index, at, value| {
                if at > from && at <= to {
                    recent.open.push((index, Sample { at, value }));
                }
            });
        }
        recent.window = (from, to);
        recent
    }

    /// Samples of one series in `(from, to]` that are in memory, by time.
    #[cfg(test)]
    pub fn samples(&self, key: &str, from: Timestamp, to: Timestamp) -> Vec<Sample> {
        let Some(id) = self.index.find(key) else { return Vec::new() };
        let mut found = Vec::new();
        self.recent(&[id], from.millis(), to.millis())
            .each(&[id], |_, at, value| found.push(Sample { at, value }));
        found.sort_by_key(|sample| sample.at);
        found.dedup_by_key(|sample| sample.at);
        found
    }

    /// The last sample of a series.
    pub fn latest(&self, key: &str) -> Option<(Timestamp, f64)> {
        let series = self.index.get(self.index.find(key)?)?;
        (series.last != NEVER).then_some((Timestamp(series.last), series.last_value))
    }

    /// Visits the last sample of each of `ids` that has one: index in `ids`, sample.
    pub fn newest(&self, ids: &[u32], visit: &mut dyn FnMut(usize, NewestSample)) {
        for (index, id) in ids.iter().enumerate() {
            if let Some(series) = self.index.get(*id).filter(|series| series.last != NEVER) {
                visit(index, NewestSample { at: series.last, value: series.last_value, count: series.count });
            }
        }
    }

    /// Visits the last sample of every series that has one after `since`,
    /// families together.
    pub fn visit_latest(&self, since: Timestamp, visit: &mut dyn FnMut(LatestSample<'_>)) {
        for id in self.index.ordered() {
            let Some(series) = self.index.get(*id).filter(|series| series.last > since.millis()) else {
                continue;
            };
            let (family, kind, help) = self.index.family_of(series);
            let at = Timestamp(series.last);
            visit(LatestSample { key: &series.key, family, kind, help, at, value: series.last_value });
        }
    }

    /// All ids and keys, families together; cheap.
    pub fn keys(&self) -> Keys {
        self.index.keys()
    }

    /// What is known about series that were found. Those that left the index in
    /// the meantime are left out. `oldest` is the oldest time the store holds.
    pub fn describe(&self, found: Vec<(u32, Arc<str>)>, oldest: Timestamp) -> Vec<SeriesInfo> {
        let info = |(id, key): (u32, Arc<str>)| {
            let series = self.index.get(id)?;
            let (_, kind, help) = self.index.family_of(series);
            Some(SeriesInfo {
                key: key.to_string(),
                kind,
                help: help.to_owned(),
                first: Timestamp(series.first.min(series.last).max(oldest.millis())),
                last: Timestamp(series.last),
                last_value: series.last_value,
            })
        };
        found.into_iter().filter_map(info).collect()
    }
}

/// Ids and keys of all series at one moment, families together.
pub type Keys = Arc<[(u32, Arc<str>)]>;

/// Selectors ready to be asked; see the module.
#[derive(Debug)]
pub struct Search {
    matching: Vec<Matching>,
}

impl Search {
    /// Compiles the selectors.
    ///
    /// # Errors
    /// A regular expression that is not valid or too large.
    pub fn new(selectors: &[Selector]) -> Result<Self, StoreError> {
        Ok(Self { matching: selectors.iter().map(Matching::new).collect::<Result<_, _>>()? })
    }

    /// Series that match any selector (all when there is none), in the order of `keys`.
    ///
    /// # Errors
    /// There are more than `limit`.
    pub fn among(&self, keys: &Keys, limit: usize) -> Result<Vec<(u32, Arc<str>)>, StoreError> {
        let accepts = |key: &str| self.matching.iter().any(|matching| matching.accepts(key));
        let matches = |(_, key): &&(u32, Arc<str>)| self.matching.is_empty() || accepts(key);
        let found: Vec<_> = keys.iter().filter(matches).cloned().collect();
        if found.len() > limit {
            return Err(StoreError::TooManySeries { found: found.len(), limit });
        }
        Ok(found)
    }
}
