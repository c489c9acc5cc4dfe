//! The samples of series in a window, for what computes over all of them: rates,
//! averages, quantiles.
//!
//! The head answers first, then each stretch of the file from the finest resolution
//! that has it. The pattern: a chunk becomes a run as it is decoded. The times are
//! shared by all series of a stream, and a chunk of one value stays one value, so a
//! day of fifty series takes a fraction of what pairs would. One would get it wrong by
//! counting only at the end: the limit is there to bound the memory.

use std::ops::Range;
use std::sync::Arc;

use super::column::{Values, value_of};
use super::cuts::Places;
use super::head::Head;
use super::plan::{Asked, Blobs};
use super::recent::Recent;
use super::stored::{Reading, Sink};
use super::tier::Row;
use crate::model::query::{
    Resolution, RunValues, SampleRun, SamplesAnswer, SamplesQuery, SeriesSamples, TierRow,
};
use crate::store::StoreError;

/// A query with everything the head had to say to it.
#[derive(Debug)]
pub struct SamplesPlan {
    asked: Asked,
    recent: Recent,
    /// What stored blobs answer for.
    stored: Range<i64>,
    finest: Resolution,
    limit: usize,
}

impl Head {
    /// Takes a snapshot of the samples in memory of the series that a
    /// [`Search`](super::Search) for `query.selector` found.
    pub fn plan_samples(&self, query: &SamplesQuery, found: &[(u32, Arc<str>)]) -> SamplesPlan {
        let asked = Asked::new(found);
        let (from, to) = (query.from.millis(), query.to.millis());
        let recent = self.recent(&asked.ids, from.max(self.compacted_through().millis()), to);
        let stored = from..to.min(self.stored_through);
        SamplesPlan { asked, recent, stored, finest: query.finest, limit: query.max_samples }
    }
}

impl SamplesPlan {
    /// Reads what is stored. What cannot be read is left out and named in the answer.
    ///
    /// # Errors
    /// [`StoreError::TooManySamples`]; what [`Blobs::list`] answers.
    pub fn evaluate(&self, blobs: &dyn Blobs) -> Result<SamplesAnswer, StoreError> {
        let ids = &self.asked.ids;
        let mut gathered = Gathered::new(ids.len(), self.limit);
        let recent = self.recent.feed(ids, &mut gathered)?;
        gathered.close();
        let mut reading = Reading::new(blobs, ids, &mut gathered);
        reading.used.extend(recent.then_some(Resolution::Raw));
        // What is finer than wanted comes last: it is all there is where a tier is damaged.
        let mut order = [Resolution::Raw, Resolution::Minute, Resolution::Hour];
        order.sort_by_key(|resolution| *resolution < self.finest);
        reading.stretch(self.stored.clone(), order)?;
        let (resolutions, damaged) = reading.finish();
        let series = self.asked.answer(gathered.series, |one, key| one.finish(key));
        Ok(SamplesAnswer { series, resolutions, damaged })
    }
}

/// One series while it is read.
#[derive(Debug, Default)]
struct Gathering {
    /// Samples that come one by one.
    open: Vec<(i64, f64)>,
    /// In the order they were read: of two samples of a time the first counts.
    runs: Vec<SampleRun>,
    rows: Vec<TierRow>,
}

/// All series while they are read.
#[derive(Debug)]
struct Gathered {
    series: Vec<Gathering>,
    left: usize,
    limit: usize,
    /// Positions inside the window of the group at hand, and the times there.
    inside: Range<u32>,
    times: Option<Arc<[i64]>>,
}

impl Gathered {
    fn new(count: usize, limit: usize) -> Self {
        let series = (0..count).map(|_| Gathering::default()).collect();
        Self { series, left: limit, limit, inside: 0..0, times: None }
    }

    fn spend(&mut self, count: usize) -> Result<(), StoreError> {
        let left = self.left.checked_sub(count);
        self.left = left.ok_or(StoreError::TooManySamples { limit: self.limit })?;
        Ok(())
    }

    /// Makes runs of the samples that came one by one.
    fn close(&mut self) {
        for one in &mut self.series {
            let open = std::mem::take(&mut one.open);
            one.runs.extend(run_of(open));
        }
    }

    /// The times of a column inside the window.
    fn times(&mut self, times: &[i64], runs: &[Range<u32>]) -> Arc<[i64]> {
        let inside = self.inside.start as usize..self.inside.end as usize;
        if runs.is_empty() {
            let made = || times.get(inside).unwrap_or(&[]).into();
            return Arc::clone(self.times.get_or_insert_with(made));
        }
        let positions = runs.iter().flat_map(|run| run.start as usize..run.end as usize);
        positions.filter(|at| inside.contains(at)).filter_map(|at| times.get(at).copied()).collect()
    }
}

impl Sink for Gathered {
    fn group(&mut self, times: &[i64], window: &Range<i64>) {
        let start = times.partition_point(|at| *at <= window.start) as u32;
        let end = times.partition_point(|at| *at <= window.end) as u32;
        self.inside = start..end.max(start);
        self.times = None;
    }

    fn column(
        &mut self,
        index: usize,
        times: &[i64],
        runs: &[Range<u32>],
        values: Values<'_>,
    ) -> Result<bool, StoreError> {
        let Some((range, _)) = Places::new(runs).of(&self.inside) else { return Ok(false) };
        self.spend(range.len())?;
        let values = match values {
            Values::Same(value) => RunValues::Same(value),
            Values::Numbers(numbers, scale) => {
                let numbers = numbers.get(range).unwrap_or(&[]);
                RunValues::Each(numbers.iter().map(|number| value_of(*number, scale)).collect())
            }
            Values::Floats(floats) => RunValues::Each(floats.get(range).unwrap_or(&[]).to_vec()),
        };
        let run = SampleRun::new(self.times(times, runs), values);
        if let Some(one) = self.series.get_mut(index) {
            one.runs.push(run);
        }
        Ok(true)
    }

    fn rows(&mut self, index: usize, rows: &[Row], unit: i64) -> Result<(), StoreError> {
        self.spend(rows.len())?;
        let row = |row: &Row| TierRow {
            start: row.end.saturating_sub(unit),
            end: row.end,
            min: row.min,
            max: row.max,
            sum: row.sum,
            last: row.last,
            count: row.count,
        };
        if let Some(one) = self.series.get_mut(index) {
            one.rows.extend(rows.iter().map(row));
        }
        Ok(())
    }

    fn sample(&mut self, index: usize, at: i64, value: f64) -> Result<(), StoreError> {
        self.spend(1)?;
        if let Some(one) = self.series.get_mut(index) {
            one.open.push((at, value));
        }
        Ok(())
    }
}

/// One run of samples in any order; of two of a time the first counts.
fn run_of(mut samples: Vec<(i64, f64)>) -> Option<SampleRun> {
    samples.sort_by_key(|(at, _)| *at);
    samples.dedup_by_key(|(at, _)| *at);
    let times: Arc<[i64]> = samples.iter().map(|(at, _)| *at).collect();
    let values = RunValues::Each(samples.into_iter().map(|(_, value)| value).collect());
    (!times.is_empty()).then(|| SampleRun::new(times, values))
}

impl Gathering {
    fn finish(mut self, key: String) -> Option<SeriesSamples> {
        if self.ascends() {
            self.runs.sort_by_key(first);
        } else {
            // In the order they were read, see `runs`.
            self.runs = run_of(self.runs.iter().flat_map(SampleRun::iter).collect()).into_iter().collect();
        }
        self.rows.sort_by_key(|row| row.end);
        let runs = &self.runs;
        self.rows.retain(|row| !holds(runs, row));
        if self.rows.is_empty() && self.runs.is_empty() {
            return None;
        }
        Some(SeriesSamples { key, rows: self.rows, runs: self.runs })
    }

    /// Whether the runs need no more than to be put in order: times ascend in each,
    /// and none reaches into another.
    fn ascends(&self) -> bool {
        let mut spans: Vec<_> =
            self.runs.iter().map(|run| (first(run), run.times().last().copied())).collect();
        spans.sort_unstable();
        spans.windows(2).all(|pair| pair[0].1 < pair[1].0)
            && self.runs.iter().all(|run| run.times().is_sorted_by(|left, right| left < right))
    }
}

fn first(run: &SampleRun) -> Option<i64> {
    run.times().first().copied()
}

/// Whether a sample lies in the time of the row. Runs and their times ascend.
fn holds(runs: &[SampleRun], row: &TierRow) -> bool {
    let at = runs.partition_point(|run| run.times().last().is_some_and(|last| *last <= row.start));
    let Some(times) = runs.get(at).map(SampleRun::times) else { return false };
    let after = times.partition_point(|at| *at <= row.start);
    times.get(after).is_some_and(|at| *at <= row.end)
}
