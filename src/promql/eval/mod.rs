//! Computes an expression from samples.
//!
//! A node of the tree is computed once, for all steps of the query: it takes whole
//! [`Frame`](frame::Frame)s (a row for each series, a cell for each step) and makes one.
//! So labels are handled once for each series and not once for each sample, a selector
//! asks its source once, and an instant query is a range query of one step. Wrong would
//! be to look at a cell without asking whether there is a sample: see
//! [`is_no_value`](crate::model::query::is_no_value).
//!
//! What a query may take is bounded by [`Limits`]: every cell, sample and step that is
//! made is counted, and `stop` is asked between portions of work.

mod absent;
mod aggregate;
mod binary;
mod call;
mod date;
mod error;
mod frame;
mod histogram;
mod label;
mod math;
mod pairs;
mod query;
mod rate;
mod select;
mod sets;
mod stats;
#[cfg(test)]
mod tests;
mod topk;
mod value;
mod window;

pub use error::{ErrorKind, EvalError};
pub use query::{instant, range};
pub use value::{Answer, Limits, RangeSeries, Sample, Value};
