//! What opening the store found, for the log.

use crate::store::OpenReport;

/// Says in the log what was found.
pub fn report_opening(report: &OpenReport) {
    if let Some(path) = &report.moved_aside {
        tracing::error!(path = %path.display(), "the store was damaged: it was moved aside, a new one was begun");
    }
    if !report.clean {
        let repaired_ms = report.repaired_in.as_millis() as u64;
        tracing::warn!(repaired_ms, samples = report.recovered_samples, "the last run ended uncleanly");
    }
    match &report.tail {
        Some(path) => {
            tracing::info!(path = %path.display(), "unflushed samples are mirrored in memory-backed storage")
        }
        None => tracing::warn!("no memory-backed storage: a crash loses the samples of one flush interval"),
    }
}
