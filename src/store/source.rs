//! The store as the source of PromQL.
//!
//! One question of the evaluator is one reading of samples. A window of hours is read in
//! rows of a minute, one of months in rows of an hour: a rate over a day needs no second.
//! What was used, and what could not be read, is kept beside the answers, because an
//! answer made from minutes should say so.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::{Store, StoreError};
use crate::base::time::Timestamp;
use crate::model::query::{Resolution, SamplesQuery};
use crate::model::selector::Selector;
use crate::promql::source::{Request, Series, Source, SourceError};

/// Longer windows are read in rows of a minute, beyond the second in rows of an hour, ms.
const RAW_UP_TO: i64 = 6 * 3_600_000;
const MINUTE_UP_TO: i64 = 60 * 86_400_000;
/// Remarks that are kept of one query.
const MOST_WARNINGS: usize = 16;

/// See the module.
pub struct StoreSource {
    store: Store,
    warnings: RefCell<Vec<String>>,
    resolutions: RefCell<BTreeSet<Resolution>>,
}

impl StoreSource {
    pub fn new(store: Store) -> Self {
        Self { store, warnings: RefCell::default(), resolutions: RefCell::default() }
    }

    /// What could not be read so far.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }

    /// What the answers so far were made from, finest first.
    pub fn resolutions(&self) -> Vec<Resolution> {
        self.resolutions.borrow().iter().copied().collect()
    }
}

impl Source for StoreSource {
    fn select(&self, request: &Request<'_>) -> Result<Vec<Series>, SourceError> {
        let span = request.to.saturating_sub(request.from);
        let finest = match span {
            _ if span <= RAW_UP_TO => Resolution::Raw,
            _ if span <= MINUTE_UP_TO => Resolution::Minute,
            _ => Resolution::Hour,
        };
        let answer = self.store.samples(&SamplesQuery {
            selector: Selector { matchers: request.matchers.to_vec() },
            from: Timestamp(request.from),
            to: Timestamp(request.to),
            finest,
            max_series: request.max_series,
            max_samples: request.max_samples,
        })?;
        self.resolutions.borrow_mut().extend(answer.resolutions);
        let mut warnings = self.warnings.borrow_mut();
        let room = MOST_WARNINGS.saturating_sub(warnings.len());
        warnings.extend(answer.damaged.iter().take(room).map(ToString::to_string));
        Ok(answer.series.into_iter().map(Series::from).collect())
    }
}

impl From<StoreError> for SourceError {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::BadMatcher { .. } => Self::BadMatcher(text),
            StoreError::TooManySeries { .. }
            | StoreError::TooManyPoints { .. }
            | StoreError::TooManySamples { .. } => Self::TooMuch(text),
            StoreError::InUse { .. }
            | StoreError::TooNew { .. }
            | StoreError::Open { .. }
            | StoreError::Unavailable { .. }
            | StoreError::DiskFull => Self::Unavailable(text),
        }
    }
}
