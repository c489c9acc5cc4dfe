//! The last values of series, and what they come to: newest, mean, smallest, largest.
//!
//! How far back a thousand values reach depends on how often a series is sampled, so
//! whoever asks says so. The window is read once, in one piece, and bounded. One would get
//! it wrong by reading a day of everything: a day of a series of each second is ninety
//! times what is asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::time::Timestamp;
use crate::model::query::{Resolution, SamplesQuery, is_no_value};
use crate::model::selector::{MatchOp, Matcher, Selector};
use crate::store::{Store, StoreError};

/// Values that are looked at of one series.
pub const MOST: usize = 1000;
/// Samples and rows in memory at once: some hundred series of a thousand values, with
/// those that are read along.
const MOST_SAMPLES: usize = 500_000;
/// Series of one question.
const MOST_SERIES: usize = 1000;
/// Raw samples are held no longer than this by default.
const LONGEST: Duration = Duration::from_secs(86_400);
/// A thousand values of what is said every fifteen seconds lie in memory.
const IN_MEMORY: Duration = Duration::from_secs(6 * 3600);
/// What the clock and the pace of a source may be off, added to the window.
const SLACK: Duration = Duration::from_secs(60);

/// The values of one series, ascending in time, at most [`MOST`].
#[derive(Clone, Debug, PartialEq)]
pub struct LastValues {
    pub key: String,
    /// Time in ms and value; finite.
    pub values: Vec<(i64, f64)>,
}

/// What values come to.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Figures {
    /// The newest.
    #[serde(serialize_with = "plain")]
    pub current: f64,
    #[serde(serialize_with = "plain")]
    pub average: f64,
    #[serde(serialize_with = "plain")]
    pub min: f64,
    #[serde(serialize_with = "plain")]
    pub max: f64,
    /// How many there are.
    pub count: usize,
}

/// Whole numbers without `.0`: a client may read rows and bytes as such.
fn plain<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}

impl Figures {
    /// `values` in the order of time; `None` when there is none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values = values.into_iter().filter(|value| value.is_finite());
        let first = values.next()?;
        let mut figures = Self { current: first, average: first, min: first, max: first, count: 1 };
        let mut sum = first;
        for value in values {
            figures.current = value;
            figures.min = figures.min.min(value);
            figures.max = figures.max.max(value);
            figures.count += 1;
            sum += value;
        }
        // A sum of equal values may round beyond them.
        figures.average = (sum / figures.count as f64).clamp(figures.min, figures.max);
        Some(figures)
    }
}

/// Series of this name that have these labels.
pub fn selector(name: &str, labels: &[(&str, &str)]) -> Selector {
    let mut selector = Selector::name(name);
    selector.matchers.extend(labels.iter().map(|(label, value)| Matcher {
        label: (*label).to_owned(),
        op: MatchOp::Equal,
        value: (*value).to_owned(),
    }));
    selector
}

/// The last values up to `now` of every series that matches, where a source says one every
/// `interval`. Blocking: may read the file.
///
/// # Errors
/// What reading samples meets, see [`Store::samples`].
pub fn read(
    store: &Store,
    selector: Selector,
    interval: Duration,
    now: Timestamp,
) -> Result<Vec<LastValues>, StoreError> {
    let reach = interval.saturating_mul(MOST as u32).saturating_add(SLACK).min(LONGEST);
    window(store, selector, now.minus(reach), now, Resolution::Raw)
}

/// The last values of the series with this key, of those that memory holds. Blocking.
///
/// # Errors
/// As [`read`].
pub fn in_memory(store: &Store, key: &str, now: Timestamp) -> Result<Option<LastValues>, StoreError> {
    let labels = crate::model::series::labels_of(key);
    let labels: Vec<(&str, &str)> =
        labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let selector = selector(crate::model::series::name_of(key), &labels);
    // What is stored is read in rows of an hour, which are no values: memory alone counts.
    let found = window(store, selector, now.minus(IN_MEMORY), now, Resolution::Hour)?;
    Ok(found.into_iter().find(|one| one.key == key))
}

fn window(
    store: &Store,
    selector: Selector,
    from: Timestamp,
    to: Timestamp,
    finest: Resolution,
) -> Result<Vec<LastValues>, StoreError> {
    let query =
        SamplesQuery { selector, from, to, finest, max_series: MOST_SERIES, max_samples: MOST_SAMPLES };
    let found = store.samples(&query)?.series.into_iter().map(|series| {
        let newest = series.samples().rev().filter(|(_, value)| !is_no_value(*value) && value.is_finite());
        let mut values: Vec<(i64, f64)> = newest.take(MOST).collect();
        values.reverse();
        LastValues { key: series.key, values }
    });
    Ok(found.filter(|one| !one.values.is_empty()).collect())
}

/// The sums of series that a source says together, by time; times at which not all that
/// are there at the newest time say something are left out.
pub fn sums(series: &[LastValues]) -> Vec<f64> {
    let last = |one: &LastValues| one.values.last().map(|(at, _)| *at);
    let newest = series.iter().filter_map(last).max();
    let current: Vec<&LastValues> = series.iter().filter(|one| last(one) == newest).collect();
    let mut by_time: BTreeMap<i64, (usize, f64)> = BTreeMap::new();
    for (at, value) in current.iter().flat_map(|one| &one.values) {
        let entry = by_time.entry(*at).or_default();
        *entry = (entry.0 + 1, entry.1 + value);
    }
    let whole = by_time.into_values().filter(|(count, _)| *count == current.len());
    whole.map(|(_, sum)| sum).collect()
}

/// Failed of all, over the `reach` before each sample: for each time how many were done and
/// how many of them failed, ascending.
pub fn shares(done: &BTreeMap<i64, (u32, u32)>, reach: Duration) -> Vec<f64> {
    let reach = i64::try_from(reach.as_millis()).unwrap_or(i64::MAX);
    let (mut all, mut failed) = (0, 0);
    let mut oldest = done.iter().peekable();
    let mut shares = Vec::with_capacity(done.len());
    for (at, (count, bad)) in done {
        (all, failed) = (all + count, failed + bad);
        while let Some((_, (count, bad))) = oldest.next_if(|(then, _)| at.saturating_sub(**then) >= reach) {
            (all, failed) = (all - count, failed - bad);
        }
        shares.push(if all == 0 { 0.0 } else { f64::from(failed) / f64::from(all) });
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(key: &str, values: &[(i64, f64)]) -> LastValues {
        LastValues { key: key.to_owned(), values: values.to_vec() }
    }

    #[test]
    fn figures_are_those_of_the_values() {
        assert_eq!(Figures::of([f64::NAN]), None);
        let figures = Figures::of([2.0, 6.0, f64::INFINITY, 1.0]).unwrap();
        assert_eq!(figures, Figures { current: 1.0, average: 3.0, min: 1.0, max: 6.0, count: 3 });
    }

    #[test]
    fn what_is_gone_is_in_no_sum() {
        let gone = series("gone", &[(1, 5.0), (2, 5.0)]);
        let one = series("one", &[(1, 1.0), (2, 1.0), (3, 2.0)]);
        let young = series("young", &[(2, 10.0), (3, 20.0)]);
        assert_eq!(sums(&[gone, one, young]), [11.0, 22.0]);
        assert!(sums(&[]).is_empty());
    }

    #[test]
    fn a_share_forgets_what_is_older_than_its_reach() {
        let done = BTreeMap::from([(0, (2, 2)), (500, (2, 0)), (1000, (2, 0)), (5000, (2, 1))]);
        let got = shares(&done, Duration::from_secs(1));
        assert_eq!(got, [1.0, 0.5, 0.0, 0.5]);
    }
}
