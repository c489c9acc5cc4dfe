//! The series that are known: key to id, and what is said about each.
//!
//! Looked up for every sample of every tick, so a lookup allocates nothing:
//! the keys are shared texts and the map is asked with a `&str`. The cap
//! counts series with a sample in the last hour; the count is an upper bound
//! that is made exact only when the cap is reached, at most every ten seconds.
//! Idle series are known as long as the ring has their data, but no more than
//! [`KNOWN`] times the cap: beyond, those that are idle longest go, and their
//! rows with the next [`Index::retire`]. One would get it wrong without that:
//! names that change every hour would pile up for two years.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::bytes::Corrupt;
use super::head::BRIDGE_MS;
use super::lookup::Keys;
use super::{HOUR_MS, SeriesId};
use crate::model::series::Kind;

const RECORD_VERSION: u8 = 1;
/// Between two exact counts of the active series.
const RECOUNT_MS: i64 = 10_000;
/// Series that are known at most, for each that may be active.
const KNOWN: usize = 4;
/// `last` of a series no sample of which has been seen.
pub(super) const NEVER: i64 = i64::MIN;

/// One row of the index as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesRecord {
    pub id: SeriesId,
    pub key: String,
    pub family: String,
    pub kind: Kind,
    pub help: String,
    /// Time of the first sample, ms; `i64::MAX` when there was none.
    pub first: i64,
    /// Last sample when the row was written: right for idle series, old for
    /// active ones, whose last sample is in the flush blocks.
    pub last: i64,
    pub last_value: f64,
}

/// The stored form, version 1. `last_value` by its bits, `kind` by number.
#[derive(Serialize, Deserialize)]
struct RecordV1<'a> {
    id: u32,
    key: &'a str,
    family: &'a str,
    kind: u8,
    help: &'a str,
    first: i64,
    last: i64,
    last_value: u64,
}

/// By the number that stands for them in rows and tails.
pub(super) const KINDS: [Kind; 5] =
    [Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary, Kind::Unknown];

impl SeriesRecord {
    /// Version byte, then postcard.
    pub fn encode(&self) -> Vec<u8> {
        let row = RecordV1 {
            id: self.id.0,
            key: &self.key,
            family: &self.family,
            kind: KINDS.iter().position(|kind| *kind == self.kind).unwrap_or(4) as u8,
            help: &self.help,
            first: self.first,
            last: self.last,
            last_value: self.last_value.to_bits(),
        };
        let bytes = vec![RECORD_VERSION];
        // Writing to a growing buffer cannot fail; an empty row is refused when read.
        postcard::to_extend(&row, bytes).unwrap_or_default()
    }

    /// # Errors
    /// [`Corrupt`] when the version is unknown or the bytes are not a row.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        const DAMAGED: Corrupt = Corrupt("a row of the series index");
        let (version, body) = bytes.split_first().ok_or(DAMAGED)?;
        if *version != RECORD_VERSION {
            return Err(Corrupt("a row of the series index has an unknown version"));
        }
        let (row, rest) = postcard::take_from_bytes::<RecordV1<'_>>(body).map_err(|_| DAMAGED)?;
        if !rest.is_empty() {
            return Err(DAMAGED);
        }
        Ok(Self {
            id: SeriesId(row.id),
            key: row.key.to_owned(),
            family: row.family.to_owned(),
            kind: *KINDS.get(usize::from(row.kind)).ok_or(DAMAGED)?,
            help: row.help.to_owned(),
            first: row.first,
            last: row.last,
            last_value: f64::from_bits(row.last_value),
        })
    }
}

/// What a family's series share.
#[derive(Debug)]
struct Family {
    name: Arc<str>,
    kind: Kind,
    help: Arc<str>,
}

/// One series in memory.
#[derive(Debug)]
pub(super) struct Series {
    pub key: Arc<str>,
    family: u32,
    pub first: i64,
    pub last: i64,
    pub last_value: f64,
    /// Samples since it is known here; wraps around.
    pub count: u32,
    /// The stored row does not have this `last` yet.
    pub stale: bool,
    /// The stored row does not exist yet.
    pub unsaved: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Index {
    ids: HashMap<Arc<str>, u32>,
    /// By id; `None` where a series was retired.
    series: Vec<Option<Series>>,
    families: Vec<Family>,
    family_ids: HashMap<Arc<str>, u32>,
    /// Ids by (family, key), sorted when it is asked for.
    order: OnceLock<Vec<u32>>,
    /// The same with their keys, made when it is asked for.
    keys: OnceLock<Keys>,
    max_active: usize,
    active: usize,
    counted_at: i64,
    /// Gone for lack of room; their rows are still there.
    evicted: Vec<SeriesId>,
    pub refused: u64,
}

impl Index {
    pub(super) fn new(max_active: usize) -> Self {
        Self {
            ids: HashMap::new(),
            series: Vec::new(),
            families: Vec::new(),
            family_ids: HashMap::new(),
            order: OnceLock::new(),
            keys: OnceLock::new(),
            max_active,
            active: 0,
            counted_at: i64::MIN,
            evicted: Vec::new(),
            refused: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Upper bound of the series with a sample in the last hour.
    pub(super) fn active(&self) -> usize {
        self.active
    }

    pub(super) fn find(&self, key: &str) -> Option<u32> {
        self.ids.get(key).copied()
    }

    pub(super) fn get(&self, id: u32) -> Option<&Series> {
        self.series.get(id as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Series> {
        self.series.get_mut(id as usize)?.as_mut()
    }

    pub(super) fn family_of(&self, series: &Series) -> (&str, Kind, &str) {
        self.families
            .get(series.family as usize)
            .map_or(("", Kind::Unknown, ""), |family| (&family.name, family.kind, &family.help))
    }

    /// Ids ordered by (family, key), so that families are together.
    pub(super) fn ordered(&self) -> &[u32] {
        self.order.get_or_init(|| {
            let mut known: Vec<(&Series, u32)> =
                self.series.iter().zip(0..).filter_map(|(series, id)| Some((series.as_ref()?, id))).collect();
            known.sort_unstable_by(|left, right| self.rank(left.0).cmp(&self.rank(right.0)));
            known.into_iter().map(|(_, id)| id).collect()
        })
    }

    /// Ids and keys in that order.
    pub(super) fn keys(&self) -> Keys {
        let key = |id: &u32| Some((*id, Arc::clone(&self.get(*id)?.key)));
        Arc::clone(self.keys.get_or_init(|| self.ordered().iter().filter_map(key).collect()))
    }

    pub(super) fn record(&self, id: u32) -> Option<SeriesRecord> {
        let series = self.get(id)?;
        let (family, kind, help) = self.family_of(series);
        Some(SeriesRecord {
            id: SeriesId(id),
            key: series.key.to_string(),
            family: family.to_owned(),
            kind,
            help: help.to_owned(),
            first: series.first,
            last: series.last,
            last_value: series.last_value,
        })
    }

    /// Whether a sample at `at` keeps the cap, for a series whose last sample
    /// was at `last`. Counts it as active when it was not.
    pub(super) fn admit(&mut self, last: i64, at: i64) -> bool {
        let hour_ago = at.saturating_sub(HOUR_MS);
        if last > hour_ago {
            return true;
        }
        // A count of the future is none: the clock went back.
        let counted = (0..RECOUNT_MS).contains(&at.saturating_sub(self.counted_at));
        if self.active >= self.max_active && !counted {
            self.counted_at = at;
            self.active = self.series.iter().flatten().filter(|series| series.last > hour_ago).count();
        }
        if self.active >= self.max_active {
            self.refused += 1;
            return false;
        }
        self.active += 1;
        true
    }

    /// The id of `key`, new if need be; `None` when the cap refuses it.
    pub(super) fn intern(&mut self, key: &str, family: &str, kind: Kind, help: &str, at: i64) -> Option<u32> {
        if let Some(id) = self.find(key) {
            return Some(id);
        }
        if !self.make_room(at) || !self.admit(NEVER, at) {
            return None;
        }
        let id = u32::try_from(self.series.len()).ok()?;
        let series = self.build(key, family, kind, help);
        self.insert(id, Series { first: i64::MAX, unsaved: true, ..series });
        Some(id)
    }

    /// Lets series go that are idle longest when too many are known, some at once
    /// because finding them looks at all; false when none may go.
    fn make_room(&mut self, at: i64) -> bool {
        let most = self.max_active.saturating_mul(KNOWN);
        if self.len() < most {
            return true;
        }
        let hour_ago = at.saturating_sub(HOUR_MS);
        let known = self.series.iter().zip(0..).filter_map(|(series, id)| Some((series.as_ref()?, id)));
        let idle = known.filter(|(series, _)| series.last != NEVER && series.last <= hour_ago);
        let mut idle: Vec<(i64, u32)> = idle.map(|(series, id)| (series.last, id)).collect();
        idle.sort_unstable();
        idle.truncate(self.len() - most + 1 + self.max_active / 8);
        let gone: Vec<u32> = idle.into_iter().map(|(_, id)| id).collect();
        self.forget(&gone);
        self.evicted.extend(gone.iter().copied().map(SeriesId));
        if self.len() >= most {
            self.refused += 1;
            return false;
        }
        true
    }

    fn forget(&mut self, gone: &[u32]) {
        for id in gone {
            if let Some(series) = self.series.get_mut(*id as usize).and_then(Option::take) {
                self.ids.remove(&*series.key);
            }
        }
        self.keys = OnceLock::new();
        if let Some(order) = self.order.get_mut() {
            order.retain(|id| self.series.get(*id as usize).is_some_and(Option::is_some));
        }
    }

    pub(super) fn restore(&mut self, record: &SeriesRecord) {
        // A damaged id must not reserve memory for four billion rows.
        if record.id.0 as usize > self.series.len() + (1 << 20) || self.find(&record.key).is_some() {
            return;
        }
        let series = self.build(&record.key, &record.family, record.kind, &record.help);
        let series =
            Series { first: record.first, last: record.last, last_value: record.last_value, ..series };
        // Sorted once when all are there.
        self.order = OnceLock::new();
        self.insert(record.id.0, series);
    }

    fn build(&mut self, key: &str, family: &str, kind: Kind, help: &str) -> Series {
        let family = self.family(family, kind, help);
        let key = Arc::from(key);
        Series { key, family, first: 0, last: NEVER, last_value: 0.0, count: 0, stale: false, unsaved: false }
    }

    fn family(&mut self, name: &str, kind: Kind, help: &str) -> u32 {
        if let Some(id) = self.family_ids.get(name) {
            let known = &mut self.families[*id as usize];
            // A restart may come with another type or text: the newest word counts.
            if known.kind != kind || &*known.help != help {
                known.kind = kind;
                known.help = Arc::from(help);
            }
            return *id;
        }
        let id = self.families.len() as u32;
        let name: Arc<str> = Arc::from(name);
        self.families.push(Family { name: Arc::clone(&name), kind, help: Arc::from(help) });
        self.family_ids.insert(name, id);
        id
    }

    fn insert(&mut self, id: u32, series: Series) {
        let before =
            |other: &u32| self.get(*other).is_some_and(|other| self.rank(other) < self.rank(&series));
        let place = self.order.get().map(|order| order.partition_point(before));
        if let Some((order, place)) = self.order.get_mut().zip(place) {
            order.insert(place, id);
        }
        self.keys = OnceLock::new();
        self.ids.insert(Arc::clone(&series.key), id);
        let needed = id as usize + 1;
        if self.series.len() < needed {
            self.series.resize_with(needed, || None);
        }
        self.series[id as usize] = Some(series);
    }

    fn rank<'a>(&'a self, series: &'a Series) -> (&'a str, &'a str) {
        (self.family_of(series).0, &series.key)
    }

    /// Notes a sample in the row of its series.
    pub(super) fn note(&mut self, id: u32, at: i64, value: f64) {
        if let Some(series) = self.get_mut(id) {
            series.count = series.count.wrapping_add(1);
            if at >= series.last {
                series.last = at;
                series.last_value = value;
                series.stale = true;
            }
            series.first = series.first.min(at);
        }
    }

    /// Makes the sample at `at`, which came after the last, the newer one, when the
    /// last is of a future that did not come.
    pub(super) fn rewind(&mut self, id: u32, at: i64) {
        if let Some(series) = self.get_mut(id).filter(|held| held.last.saturating_sub(at) > BRIDGE_MS) {
            series.last = at.saturating_sub(1);
            series.first = series.first.min(at);
        }
    }

    /// Series whose last sample is before `before`, and those that had to go already.
    pub(super) fn silent(&self, before: i64) -> usize {
        self.series.iter().flatten().filter(|series| series.last < before).count() + self.evicted.len()
    }

    /// Forgets series whose last sample is before `before`. Answers them and those
    /// that had to go since the last time.
    pub(super) fn retire(&mut self, before: i64) -> Vec<SeriesId> {
        let known = self.series.iter().zip(0..).filter_map(|(series, id)| Some((series.as_ref()?, id)));
        let gone: Vec<u32> = known.filter(|(series, _)| series.last < before).map(|(_, id)| id).collect();
        self.forget(&gone);
        let mut rows = std::mem::take(&mut self.evicted);
        rows.extend(gone.into_iter().map(SeriesId));
        rows
    }
}
