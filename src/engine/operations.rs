//! Per-operation figures of a target over any window, read from its series.
//!
//! The series are the only record: they survive a restart as all samples do, and reach
//! back as far as the tiers. One operation is read after the other, so that a month of
//! one at a time is in memory.

use crate::base::time::Timestamp;
use crate::logic::operations::{Held, figures};
use crate::model::operation::TargetOperations;
use crate::model::query::{SamplesQuery, SeriesSamples};
use crate::model::selector::{MatchOp, Matcher, Selector};
use crate::model::series::{labels_of, name_of};
use crate::store::{Store, StoreError};

/// Whether it went well, how long it took, whether that was slow.
const SUCCESS: &str = "holdfast_probe_operation_success";
const DURATION: &str = "holdfast_probe_operation_duration_seconds";
const SLOW: &str = "holdfast_probe_operation_slow";
/// Kinds of operation that a target may have.
const MOST_OPERATIONS: usize = 64;
/// Samples and rows of one operation: a day each second, a month by the minute and two
/// years by the hour, of three series.
const MOST_SAMPLES: usize = 500_000;

/// The figures of every operation of `target` in `(from, to]`. Blocking: reads the file.
///
/// # Errors
/// What reading samples meets, see [`Store::samples`].
pub fn read(
    store: &Store,
    target: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<TargetOperations, StoreError> {
    let known = store.series(&[selector(SUCCESS, &[("target", target)])], MOST_OPERATIONS)?;
    let mut answer = TargetOperations { from, to, resolutions: Vec::new(), operations: Vec::new() };
    for series in known {
        let labels = labels_of(&series.key);
        let Some((_, operation)) = labels.iter().find(|(label, _)| label == "operation") else { continue };
        let labels = [("target", target), ("operation", operation.as_str())];
        let query = SamplesQuery {
            selector: selector(&format!("{SUCCESS}|{DURATION}|{SLOW}"), &labels),
            from,
            to,
            max_series: 3,
            max_samples: MOST_SAMPLES,
        };
        let samples = store.samples(&query)?;
        let of = |name: &str| -> Option<&SeriesSamples> {
            samples.series.iter().find(|series| name_of(&series.key) == name)
        };
        let found = figures(operation, Held { success: of(SUCCESS), duration: of(DURATION), slow: of(SLOW) });
        if found.total > 0 {
            answer.operations.push(found);
        }
        answer.resolutions.extend(samples.resolutions);
    }
    answer.resolutions.sort_unstable();
    answer.resolutions.dedup();
    Ok(answer)
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
