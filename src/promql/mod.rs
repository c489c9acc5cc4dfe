//! PromQL: reading it, and answering it from whatever holds samples.
//!
//! The semantics are those of Prometheus 3 without feature flags, on samples of
//! numbers: ranges and the look-back are open on the left, durations are numbers and
//! numbers durations. What is not here (native histograms, experimental functions and
//! modifiers) is refused when the text is read, by name and place; nothing is computed
//! another way. The parser is our own because its errors must say where and what was
//! expected, and because the one crate there is brings a parser generator and a regex
//! engine.

pub mod ast;
pub mod eval;
pub mod function;
pub mod inspect;
pub mod labels;
pub mod parser;
pub mod regex;
pub mod selector;
pub mod source;
pub mod subset;
pub mod template;

mod display;

pub use ast::{Expr, Type};
pub use labels::Labels;
pub use parser::{ParseError, parse};
