//! Per-operation figures of a target over any window, read from its series.
//!
//! The series are the only record: they survive a restart as all samples do, and reach
//! back as far as the tiers. One operation is read after the other, and a window with too
//! many samples in halves, so that memory is bounded however fast a target is probed.

use std::time::Duration;

use crate::base::time::Timestamp;
use crate::logic::operations::{Held, Tally};
use crate::model::operation::TargetOperations;
use crate::model::query::{Resolution, SamplesQuery, SeriesSamples};
use crate::model::selector::{MatchOp, Matcher, Selector};
use crate::model::series::{labels_of, name_of};
use crate::store::{Store, StoreError};

/// Whether it went well, how long it took, whether that was slow.
const SUCCESS: &str = "holdfast_probe_operation_success";
const DURATION: &str = "holdfast_probe_operation_duration_seconds";
const SLOW: &str = "holdfast_probe_operation_slow";
/// Kinds of operation that a target may have.
const MOST_OPERATIONS: usize = 64;
/// Samples and rows in memory at once, of three series.
const MOST_SAMPLES: usize = 300_000;
/// Latencies of one operation: a day of ten probes a second, twice over.
const MOST_VALUES: usize = 2_000_000;
/// A window is not halved below this.
const SHORTEST: Duration = Duration::from_secs(60);

/// The figures of every operation of `target` in `(from, to]`. Blocking: reads the file.
///
/// # Errors
/// What reading samples meets, see [`Store::samples`]; [`StoreError::TooManySamples`]
/// only beyond [`MOST_VALUES`].
pub fn read(
    store: &Store,
    kind: &str,
    target: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<TargetOperations, StoreError> {
    let own = [("kind", kind), ("target", target)];
    let known = store.series(&[selector(SUCCESS, &own)], MOST_OPERATIONS)?;
    let mut answer = TargetOperations { from, to, resolutions: Vec::new(), operations: Vec::new() };
    for series in known {
        let labels = labels_of(&series.key);
        let Some((_, operation)) = labels.iter().find(|(label, _)| label == "operation") else { continue };
        let labels = [own[0], own[1], ("operation", operation.as_str())];
        let selector = selector(&format!("{SUCCESS}|{DURATION}|{SLOW}"), &labels);
        let mut tally = Tally::default();
        fold(store, &selector, from, to, &mut tally, &mut answer.resolutions)?;
        if tally.total() > 0 {
            answer.operations.push(tally.figures(operation));
        }
    }
    answer.resolutions.sort_unstable();
    answer.resolutions.dedup();
    Ok(answer)
}

/// Counts the samples of a window, in halves where they are too many to be read at once.
fn fold(
    store: &Store,
    selector: &Selector,
    from: Timestamp,
    to: Timestamp,
    tally: &mut Tally,
    resolutions: &mut Vec<Resolution>,
) -> Result<(), StoreError> {
    let query = SamplesQuery {
        selector: selector.clone(),
        from,
        to,
        finest: Resolution::Raw,
        max_series: 3,
        max_samples: MOST_SAMPLES,
    };
    let samples = match store.samples(&query) {
        Ok(samples) => samples,
        Err(StoreError::TooManySamples { .. }) if to.since(from) > SHORTEST => {
            let middle = from.plus(to.since(from) / 2);
            fold(store, selector, from, middle, tally, resolutions)?;
            return fold(store, selector, middle, to, tally, resolutions);
        }
        Err(error) => return Err(error),
    };
    let of = |name: &str| -> Option<&SeriesSamples> {
        samples.series.iter().find(|series| name_of(&series.key) == name)
    };
    tally.add(Held { success: of(SUCCESS), duration: of(DURATION), slow: of(SLOW) });
    if tally.values() > MOST_VALUES {
        return Err(StoreError::TooManySamples { limit: MOST_VALUES });
    }
    resolutions.extend(samples.resolutions);
    Ok(())
}

/// Series whose name matches and which have these labels.
fn selector(name: &str, labels: &[(&str, &str)]) -> Selector {
    let matcher = |label: &str, op: MatchOp, value: &str| Matcher {
        label: label.to_owned(),
        op,
        value: value.to_owned(),
    };
    let labels = labels.iter().map(|(label, value)| matcher(label, MatchOp::Equal, value));
    let mut matchers = vec![matcher("__name__", MatchOp::Regex, name)];
    matchers.extend(labels);
    Selector { matchers }
}
