//! How one operation ended, before it has a name and a duration.
//!
//! Each kind has its own table from what its server says to a class; what the
//! network says is the same for all and stands here.

use crate::model::probe::{OperationOutcome, OutcomeClass};
use crate::runtime::network_failure::NetworkFailure;

/// Longest detail that is kept, in characters: a server chooses the text.
const MAX_DETAIL: usize = 300;

/// The code of an operation that was not tried, because no time was left for it.
pub const NOT_TRIED: &str = "not_tried";

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    pub class: OutcomeClass,
    /// A stable word; empty when all went well.
    pub code: String,
    pub detail: String,
}

impl Outcome {
    pub fn ok() -> Self {
        Self { class: OutcomeClass::Ok, code: String::new(), detail: String::new() }
    }

    pub fn new(class: OutcomeClass, code: impl Into<String>, detail: impl AsRef<str>) -> Self {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        let detail = detail.as_ref().chars().take(MAX_DETAIL).map(printable).collect();
        Self { class, code: code.into(), detail }
    }

    /// The peer was not reached or did not finish: hard, whatever the kind.
    pub fn network(failure: NetworkFailure, detail: impl AsRef<str>) -> Self {
        Self::new(OutcomeClass::Hard, failure.word(), detail)
    }

    pub fn timeout(detail: impl AsRef<str>) -> Self {
        Self::network(NetworkFailure::Timeout, detail)
    }

    /// Something here is not set up right, whatever state the target is in.
    pub fn configuration(code: &str, detail: impl AsRef<str>) -> Self {
        Self::new(OutcomeClass::Alive, code, detail)
    }

    pub fn is_ok(&self) -> bool {
        self.class == OutcomeClass::Ok
    }

    /// Whether nothing was heard of the peer that belongs to its protocol.
    pub fn is_unreached(&self) -> bool {
        self.class == OutcomeClass::Hard
    }

    pub fn named(self, operation: &str, latency_ms: f64) -> OperationOutcome {
        OperationOutcome {
            operation: operation.to_owned(),
            class: self.class,
            code: self.code,
            detail: self.detail,
            latency_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_fill_the_record() {
        let outcome = Outcome::new(OutcomeClass::Hard, "x", "\u{1b}[31m".repeat(1000));
        assert_eq!(outcome.detail.chars().count(), MAX_DETAIL);
        assert!(!outcome.detail.contains('\u{1b}'));
    }
}
