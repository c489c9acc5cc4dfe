//! How operations went in the last minutes: those that applications report, and those of
//! probes, each by itself and all together.
//!
//! What is reported is held as counters and histograms, which are read as what they grew
//! by; a probe is one sample for each operation. One would get it wrong by taking rates:
//! they are extrapolated, and ten operations would be shown as eleven.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::time::Timestamp;
use crate::logic::latencies::{Latencies, LatencyFigures, growth};
use crate::model::query::{Resolution, SamplesQuery, SeriesSamples, is_no_value};
use crate::model::selector::{MatchOp, Matcher, Selector};
use crate::model::series::{labels_of, name_of};
use crate::store::{Store, StoreError};

/// What is reported is written this often at least: the last value before a window.
const REPORTED_EVERY: Duration = Duration::from_secs(20);
const MOST_SERIES: usize = 5000;
const MOST_SAMPLES: usize = 1_500_000;
const REPORTED: &str = "holdfast_operations_total|holdfast_operation_duration_seconds_bucket|holdfast_operation_duration_seconds_sum";
const PROBED: &str = "holdfast_probe_operation_success|holdfast_probe_operation_duration_seconds";

/// Who says that an operation took place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OperationOrigin {
    /// An application, at `/events/operation`.
    Reported,
    /// A probe of a target.
    Probe,
}

/// One operation of one application or target.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct OperationPerformance {
    /// The application, or the target.
    pub source: String,
    pub operation: String,
    pub origin: OperationOrigin,
    #[serde(flatten)]
    pub figures: LatencyFigures,
}

/// All operations of a window.
#[derive(Clone, Debug)]
pub struct Performance {
    pub all: LatencyFigures,
    pub operations: Vec<OperationPerformance>,
}

/// One operation while it is gathered.
#[derive(Debug, Default)]
struct Gathered {
    latencies: Latencies,
    /// Bound and growth, in the order of the keys.
    buckets: Vec<(f64, f64)>,
    sum: f64,
}

type Named = BTreeMap<(OperationOrigin, String, String), Gathered>;

/// The operations after `from` and up to `to`. Blocking: may read the file.
///
/// # Errors
/// What reading samples meets, see [`Store::samples`].
pub fn read(store: &Store, from: Timestamp, to: Timestamp) -> Result<Performance, StoreError> {
    let mut named = Named::new();
    for series in samples(store, REPORTED, from.minus(REPORTED_EVERY), to)? {
        reported(&series, from.millis(), &mut named);
    }
    for series in samples(store, PROBED, from, to)? {
        probed(&series, &mut named);
    }
    let mut all = Latencies::default();
    let mut operations = Vec::with_capacity(named.len());
    for ((origin, source, operation), mut gathered) in named {
        gathered.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        gathered.latencies.histogram(&gathered.buckets, gathered.sum);
        all.add(&gathered.latencies);
        let figures = gathered.latencies.figures();
        // It was reported before, and not in this window.
        if figures.count > 0 {
            operations.push(OperationPerformance { source, operation, origin, figures });
        }
    }
    Ok(Performance { all: all.figures(), operations })
}

fn samples(
    store: &Store,
    names: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<SeriesSamples>, StoreError> {
    let name = Matcher { label: String::from("__name__"), op: MatchOp::Regex, value: names.to_owned() };
    let query = SamplesQuery {
        selector: Selector { matchers: vec![name] },
        from,
        to,
        finest: Resolution::Raw,
        max_series: MOST_SERIES,
        max_samples: MOST_SAMPLES,
    };
    Ok(store.samples(&query)?.series)
}

fn values(series: &SeriesSamples) -> impl Iterator<Item = (i64, f64)> + '_ {
    series.samples().filter(|(_, value)| !is_no_value(*value))
}

fn reported(series: &SeriesSamples, from: i64, named: &mut Named) {
    let labels: BTreeMap<String, String> = labels_of(&series.key).into_iter().collect();
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    let entry = named.entry((OperationOrigin::Reported, label("source"), label("operation"))).or_default();
    let grown = growth(values(series), from);
    match name_of(&series.key) {
        "holdfast_operations_total" => {
            let failed = if label("result") == "failure" { grown } else { 0.0 };
            entry.latencies.count(grown, failed);
        }
        "holdfast_operation_duration_seconds_sum" => entry.sum += grown,
        _ => {
            let bound = labels.get("le").and_then(|bound| bound.parse::<f64>().ok());
            entry.buckets.extend(bound.map(|bound| (bound, grown)));
        }
    }
}

fn probed(series: &SeriesSamples, named: &mut Named) {
    let labels: BTreeMap<String, String> = labels_of(&series.key).into_iter().collect();
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    let entry = named.entry((OperationOrigin::Probe, label("target"), label("operation"))).or_default();
    for (_, value) in values(series) {
        if name_of(&series.key) == "holdfast_probe_operation_success" {
            entry.latencies.count(1.0, if value < 0.5 { 1.0 } else { 0.0 });
        } else {
            entry.latencies.took(value);
        }
    }
}
