//! Why an expression has no value.

use crate::promql::ast::Span;
use crate::promql::source::SourceError;

/// Of which sort an error is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// The question makes no sense: its times, or a matcher.
    BadData,
    /// The data do not fit the expression: two samples where one is meant.
    Execution,
    /// More series, samples or steps than allowed.
    TooMuch,
    /// Whoever asked said stop.
    Timeout,
    /// The samples could not be had.
    Unavailable,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    pub kind: ErrorKind,
    pub message: String,
    /// The part of the text it is about, where that is known.
    pub span: Option<Span>,
}

impl EvalError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), span: None }
    }

    pub(super) fn execution(span: Span, message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Execution, message: message.into(), span: Some(span) }
    }

    /// With that place unless there is a closer one already.
    pub(super) fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }
}

impl From<SourceError> for EvalError {
    fn from(error: SourceError) -> Self {
        let kind = match error {
            SourceError::BadMatcher(_) => ErrorKind::BadData,
            SourceError::TooMuch(_) => ErrorKind::TooMuch,
            SourceError::Unavailable(_) => ErrorKind::Unavailable,
        };
        Self::new(kind, error.to_string())
    }
}
