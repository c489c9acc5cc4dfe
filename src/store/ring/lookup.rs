//! Questions to the head: what a series has in memory, its last value, which
//! series there are.

use std::sync::Arc;

use super::Sample;
use super::head::Head;
use super::index::NEVER;
use super::matcher::Matching;
use super::recent::Recent;
use crate::base::time::Timestamp;
use crate::model::query::SeriesInfo;
use crate::model::selector::Selector;
use crate::store::{LatestSample, StoreError};

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

    /// Ids and keys of series that match any selector, families together.
    pub(super) fn matching(&self, selectors: &[Selector]) -> Result<Vec<(u32, Arc<str>)>, StoreError> {
        let matching: Vec<Matching> = selectors.iter().map(Matching::new).collect::<Result<_, _>>()?;
        let all = self.index.ordered().iter().filter_map(|id| Some((*id, self.index.get(*id)?)));
        let found = all.filter(|(_, series)| {
            matching.is_empty() || matching.iter().any(|matching| matching.accepts(&series.key))
        });
        Ok(found.map(|(id, series)| (id, Arc::clone(&series.key))).collect())
    }

    /// Series that match any selector (all when there is none), families
    /// together. `oldest` is the oldest time the store still holds.
    ///
    /// # Errors
    /// A regular expression that is not valid; more than `limit` series.
    pub fn series(
        &self,
        selectors: &[Selector],
        oldest: Timestamp,
        limit: usize,
    ) -> Result<Vec<SeriesInfo>, StoreError> {
        let found = self.matching(selectors)?;
        if found.len() > limit {
            return Err(StoreError::TooManySeries { found: found.len(), limit });
        }
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
        Ok(found.into_iter().filter_map(info).collect())
    }
}
