//! The text formats of metrics: OpenMetrics 1.0 and the Prometheus text format.
//!
//! One reader takes both, line by line, so that a file of any size is read in
//! bounded memory; one writer makes either.

pub mod read;
pub mod write;
