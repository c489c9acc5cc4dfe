//! From what applications report to series.
//!
//! The pattern: reports are added up in memory, and a frame of the sums is written at
//! every tick for what changed, and for all of it now and then, so that a rate has
//! samples to go by. A new counter is written as zero just before its first value,
//! because a rate cannot see a step from nothing. Counters begin at zero with each start
//! of the agent, which rates and increases take for the reset it is. One would get it
//! wrong by taking whatever name comes: every list here has a bound, and what is beyond
//! it is refused aloud.

mod histogram;
mod valid;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use self::histogram::{ANYTHING, Histogram, SECONDS};
use crate::base::time::Timestamp;
use crate::model::frame::Frame;
use crate::model::report::{FailureEvent, FailureReport, FigureKind, FigureReport, OperationReport};
use crate::model::series::{Kind, write_key};

/// Applications that are remembered.
pub const MOST_SOURCES: usize = 200;
/// Operations of all sources together; each is some fifteen series.
pub const MOST_OPERATIONS: usize = 100;
/// Kinds of failure of all sources together.
const MOST_FAILURES: usize = 200;
/// Series of figures.
pub const MOST_FIGURES: usize = 1000;
/// What was not reported for so long is forgotten: an application that was removed must
/// not be missed for ever.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(86_400);
/// How old a failure, and a figure, may be when it is reported.
const OLDEST_FAILURE: Duration = Duration::from_secs(7 * 86_400);
const OLDEST_FIGURE: Duration = Duration::from_secs(300);
/// Stands for the kinds of failure beyond the bound.
const OTHER: &str = "other";

pub const HEARTBEAT: &str = "holdfast_source_heartbeat_timestamp_seconds";

/// Something that is counted.
#[derive(Clone, PartialEq, Debug)]
struct Counted<T> {
    value: T,
    /// No frame had it yet, or not as it is now.
    fresh: bool,
    changed: bool,
    last: Timestamp,
}

impl<T> Counted<T> {
    fn new(value: T, now: Timestamp) -> Self {
        Self { value, fresh: true, changed: true, last: now }
    }

    fn touch(&mut self, now: Timestamp) -> &mut T {
        (self.changed, self.last) = (true, now);
        &mut self.value
    }
}

#[derive(Clone, PartialEq, Debug)]
struct Operation {
    success: u64,
    failure: u64,
    took: Histogram,
}

#[derive(Clone, PartialEq, Debug)]
enum Sum {
    Counter(f64),
    /// The value, and when it was so.
    Gauge(f64, Timestamp),
    Histogram(Histogram),
}

#[derive(Clone, PartialEq, Debug)]
struct Figure {
    name: String,
    labels: BTreeMap<String, String>,
    help: String,
    sum: Sum,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Reports {
    sources: BTreeMap<String, Counted<()>>,
    operations: BTreeMap<(String, String), Counted<Operation>>,
    failures: BTreeMap<(String, String), Counted<u64>>,
    /// By the key of the series.
    figures: BTreeMap<String, Counted<Figure>>,
}

/// The frames of one tick.
#[derive(Debug, Default)]
pub struct Frames {
    /// Zeros of counters that begin, to be stored before the other.
    pub zeros: Frame,
    pub frame: Frame,
}

impl Reports {
    /// A source that reported in an earlier run.
    pub fn restore_source(&mut self, source: &str, last: Timestamp) {
        if self.sources.len() < MOST_SOURCES {
            self.sources.insert(source.to_owned(), Counted::new((), last));
        }
    }

    /// # Errors
    /// What is wrong with the report.
    pub fn operation(&mut self, report: &OperationReport, now: Timestamp) -> Result<(), String> {
        let OperationReport { source, operation, duration_ms, success, .. } = report;
        valid::word("source", source)?;
        valid::word("operation", operation)?;
        if !(0.0..=1e12).contains(duration_ms) {
            return Err(format!("`duration_ms` is {duration_ms}, expected 0 to 1e12"));
        }
        self.heard(source, now)?;
        let key = (source.clone(), operation.clone());
        if self.operations.len() >= MOST_OPERATIONS && !self.operations.contains_key(&key) {
            return Err(format!(
                "this would be the operation {} of all sources, expected at most {MOST_OPERATIONS}: put what varies elsewhere",
                MOST_OPERATIONS + 1
            ));
        }
        let none = || Operation { success: 0, failure: 0, took: Histogram::new(SECONDS) };
        let entry = self.operations.entry(key).or_insert_with(|| Counted::new(none(), now)).touch(now);
        *(if *success { &mut entry.success } else { &mut entry.failure }) += 1;
        entry.took.observe(duration_ms / 1000.0);
        Ok(())
    }

    /// The failure as it is to be kept, without its number.
    ///
    /// # Errors
    /// What is wrong with the report.
    pub fn failure(&mut self, report: &FailureReport, now: Timestamp) -> Result<FailureEvent, String> {
        let FailureReport { source, kind, message, at } = report;
        valid::word("source", source)?;
        valid::word("kind", kind)?;
        let at = valid::time(*at, OLDEST_FAILURE, now)?;
        self.heard(source, now)?;
        let mut key = (source.clone(), kind.clone());
        if self.failures.len() >= MOST_FAILURES && !self.failures.contains_key(&key) {
            key = (OTHER.to_owned(), OTHER.to_owned());
        }
        *self.failures.entry(key).or_insert_with(|| Counted::new(0, now)).touch(now) += 1;
        let message = valid::cut(message).to_owned();
        Ok(FailureEvent { number: 0, at, source: source.clone(), kind: kind.clone(), message })
    }

    fn heard(&mut self, source: &str, now: Timestamp) -> Result<(), String> {
        if self.sources.len() >= MOST_SOURCES && !self.sources.contains_key(source) {
            return Err(format!(
                "this would be the source {}, expected at most {MOST_SOURCES}: put what varies elsewhere",
                MOST_SOURCES + 1
            ));
        }
        let entry = self.sources.entry(source.to_owned()).or_insert_with(|| Counted::new((), now));
        entry.touch(now);
        Ok(())
    }

    /// # Errors
    /// What is wrong with the report.
    pub fn figure(&mut self, report: &FigureReport, now: Timestamp) -> Result<(), String> {
        let value = valid::figure(report)?;
        let at = valid::time(report.timestamp, OLDEST_FIGURE, now)?;
        let FigureReport { name, kind, labels, unit, .. } = report;
        let known = self.figures.values().map(|figure| &figure.value).find(|figure| figure.name == *name);
        if let Some(other) = known.map(|figure| word_of(&figure.sum)).filter(|word| *word != kind.word()) {
            return Err(format!("`{name}` is reported as a {other}, expected the same type every time"));
        }
        let pairs: Vec<(&str, &str)> =
            labels.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut key = String::new();
        write_key(&mut key, name, &pairs);
        if !self.figures.contains_key(&key) {
            let sum = match kind {
                FigureKind::Counter => Sum::Counter(0.0),
                FigureKind::Gauge => Sum::Gauge(value, at),
                FigureKind::Histogram => Sum::Histogram(Histogram::new(ANYTHING)),
                FigureKind::Timer => Sum::Histogram(Histogram::new(SECONDS)),
            };
            let held: usize = self.figures.values().map(|figure| series_of(&figure.value.sum)).sum();
            if held + series_of(&sum) > MOST_FIGURES {
                return Err(format!(
                    "no more than {MOST_FIGURES} series of figures are kept: put what varies elsewhere"
                ));
            }
            let help = match unit {
                Some(unit) if *kind != FigureKind::Timer => format!("Reported by an application, in {unit}."),
                _ => String::from("Reported by an application."),
            };
            let figure = Figure { name: name.clone(), labels: labels.clone(), help, sum };
            self.figures.insert(key.clone(), Counted::new(figure, now));
        }
        let Some(figure) = self.figures.get_mut(&key) else { return Ok(()) };
        match &mut figure.touch(now).sum {
            Sum::Counter(sum) => *sum += value,
            Sum::Gauge(held, since) if at >= *since => (*held, *since) = (value, at),
            Sum::Gauge(..) => return Err(String::from("a newer value of this gauge was reported")),
            Sum::Histogram(histogram) => histogram.observe(value),
        }
        Ok(())
    }

    /// What changed since the last frames, or with `all` everything that counts up, and
    /// every source. Forgets what is too old.
    pub fn write(&mut self, now: Timestamp, all: bool) -> Frames {
        let recent = |last: Timestamp| now.since(last) <= FORGOTTEN_AFTER;
        self.sources.retain(|_, source| recent(source.last));
        self.operations.retain(|_, operation| recent(operation.last));
        self.failures.retain(|_, failure| recent(failure.last));
        self.figures.retain(|_, figure| recent(figure.last));
        let mut frames = Frames::default();
        self.write_sources(all, &mut frames.frame);
        self.write_operations(all, &mut frames);
        self.write_failures(all, &mut frames);
        self.write_figures(all, &mut frames);
        frames
    }

    fn write_sources(&mut self, all: bool, frame: &mut Frame) {
        let mut family =
            frame.gauge(HEARTBEAT, "When the application last reported, seconds since the epoch.");
        for (source, entry) in self.sources.iter_mut().filter(|(_, entry)| all || entry.changed) {
            entry.changed = false;
            family = family.push(&[("source", source)], entry.last.seconds());
        }
    }

    fn write_operations(&mut self, all: bool, frames: &mut Frames) {
        let none = Operation { success: 0, failure: 0, took: Histogram::new(SECONDS) };
        for ((source, operation), entry) in
            self.operations.iter_mut().filter(|(_, entry)| all || entry.changed)
        {
            let labels = [("operation", operation.as_str()), ("source", source.as_str())];
            if entry.fresh {
                write_operation(&none, labels, &mut frames.zeros);
            }
            write_operation(&entry.value, labels, &mut frames.frame);
            (entry.fresh, entry.changed) = (false, false);
        }
    }

    fn write_failures(&mut self, all: bool, frames: &mut Frames) {
        const NAME: &str = "holdfast_failure_events_total";
        const HELP: &str = "Failures that applications reported since the agent started.";
        frames.frame.counter(NAME, HELP);
        frames.zeros.counter(NAME, HELP);
        for ((source, kind), entry) in self.failures.iter_mut().filter(|(_, entry)| all || entry.changed) {
            let labels = [("kind", kind.as_str()), ("source", source.as_str())];
            if entry.fresh {
                frames.zeros.push(&labels, 0.0);
            }
            frames.frame.push(&labels, entry.value as f64);
            (entry.fresh, entry.changed) = (false, false);
        }
    }

    fn write_figures(&mut self, all: bool, frames: &mut Frames) {
        for entry in self.figures.values_mut() {
            // A gauge is what it was said to be when it was said, and not known since.
            let repeats = all && !matches!(entry.value.sum, Sum::Gauge(..));
            if !(repeats || entry.changed) {
                continue;
            }
            if entry.fresh {
                let zero = match &entry.value.sum {
                    Sum::Counter(_) => Some(Sum::Counter(0.0)),
                    Sum::Histogram(histogram) => Some(Sum::Histogram(histogram.emptied())),
                    Sum::Gauge(..) => None,
                };
                if let Some(sum) = zero {
                    write_figure(&Figure { sum, ..entry.value.clone() }, &mut frames.zeros);
                }
            }
            write_figure(&entry.value, &mut frames.frame);
            (entry.fresh, entry.changed) = (false, false);
        }
    }
}

fn write_operation(operation: &Operation, labels: [(&str, &str); 2], frame: &mut Frame) {
    let [by_operation, by_source] = labels;
    frame
        .counter(
            "holdfast_operations_total",
            "Operations that applications reported since the agent started.",
        )
        .push(&[by_operation, ("result", "failure"), by_source], operation.failure as f64)
        .push(&[by_operation, ("result", "success"), by_source], operation.success as f64);
    let help = "How long operations took that applications reported, in seconds.";
    operation.took.write(&labels, frame.family("holdfast_operation_duration_seconds", Kind::Histogram, help));
}

fn write_figure(figure: &Figure, frame: &mut Frame) {
    let labels: Vec<(&str, &str)> =
        figure.labels.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (name, help) = (figure.name.as_str(), figure.help.clone());
    match &figure.sum {
        Sum::Counter(sum) => drop(frame.counter(name, help).push(&labels, *sum)),
        Sum::Gauge(value, _) => drop(frame.gauge(name, help).push(&labels, *value)),
        Sum::Histogram(histogram) => histogram.write(&labels, frame.family(name, Kind::Histogram, help)),
    }
}

/// How many series it is.
fn series_of(sum: &Sum) -> usize {
    match sum {
        Sum::Counter(_) | Sum::Gauge(..) => 1,
        Sum::Histogram(histogram) => histogram.series(),
    }
}

fn word_of(sum: &Sum) -> &'static str {
    match sum {
        Sum::Counter(_) => "counter",
        Sum::Gauge(..) => "gauge",
        Sum::Histogram(histogram) if histogram.is_of(SECONDS) => "timer",
        Sum::Histogram(_) => "histogram",
    }
}
