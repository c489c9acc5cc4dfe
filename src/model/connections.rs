//! The connections that the agent keeps to one server.

use serde::Serialize;

use super::probe::OperationOutcome;
use crate::base::time::Timestamp;

/// Why the last connection that was not made was not.
#[derive(Clone, PartialEq, Debug, Serialize, utoipa::ToSchema)]
pub struct ConnectionError {
    #[serde(with = "crate::model::event::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub code: String,
    pub detail: String,
}

/// Counts are since the target was set up. Nobody queues for a connection: what is waited for
/// is that one opens.
#[derive(Clone, PartialEq, Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = ConnectionStats)]
pub struct Connections {
    /// Open between two probes, 0 or 1.
    pub kept: u64,
    /// Since when it is open; null where none is.
    #[serde(with = "crate::model::event::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub kept_since: Option<Timestamp>,
    pub opened: u64,
    pub failed: u64,
    /// Kept ones that were gone, or did not answer, when they were used next.
    pub lost: u64,
    /// Of those that opened, login included.
    pub opening_last_ms: Option<f64>,
    pub opening_longest_ms: Option<f64>,
    pub opening_total_ms: f64,
    /// Stays after it is over; null where all opened.
    pub last_error: Option<ConnectionError>,
}

impl Connections {
    /// One opened, after `took_ms`.
    pub fn opened(&mut self, took_ms: f64) {
        self.opened += 1;
        self.opening_total_ms += took_ms;
        self.opening_last_ms = Some(took_ms);
        self.opening_longest_ms = Some(self.opening_longest_ms.map_or(took_ms, |most| most.max(took_ms)));
    }

    /// One did not.
    pub fn failed(&mut self, at: Timestamp, why: &OperationOutcome) {
        self.failed += 1;
        self.last_error = Some(ConnectionError { at, code: why.code.clone(), detail: why.detail.clone() });
    }

    /// Whether one is open now, at `now`.
    pub fn keep(&mut self, is_open: bool, is_new: bool, now: Timestamp) {
        self.kept = u64::from(is_open);
        self.kept_since = is_open.then(|| self.kept_since.filter(|_| !is_new).unwrap_or(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::probe::OutcomeClass;

    #[test]
    fn the_age_is_that_of_the_connection_and_an_error_stays() {
        let mut all = Connections::default();
        all.opened(4.0);
        all.keep(true, true, Timestamp(1));
        all.keep(true, false, Timestamp(2));
        assert_eq!((all.kept, all.kept_since), (1, Some(Timestamp(1))));
        let refused = OperationOutcome {
            operation: String::from("connect"),
            class: OutcomeClass::Hard,
            code: String::from("refused"),
            detail: String::from("nobody listens"),
            latency_ms: 1.0,
        };
        all.failed(Timestamp(3), &refused);
        all.keep(false, false, Timestamp(3));
        assert_eq!((all.kept, all.kept_since), (0, None));
        all.opened(2.0);
        all.keep(true, true, Timestamp(4));
        assert_eq!((all.opened, all.failed, all.kept_since), (2, 1, Some(Timestamp(4))));
        assert_eq!((all.opening_last_ms, all.opening_longest_ms), (Some(2.0), Some(4.0)));
        assert_eq!(all.last_error.unwrap().code, "refused");
    }
}
