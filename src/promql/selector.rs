//! Series selectors alone: `name`, `name{a="b",c!~"d.*"}`, `{__name__=~"x.*"}`.
//!
//! For whoever asks for series and not for a computed value. The one parser reads
//! them; what is more than a selector is refused as that.

use super::ast::{Expr, Kind, Shift};
use super::parser;
use crate::model::selector::Selector;

/// No selector needs more.
const LONGEST: usize = 8192;

/// Why a text is not a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at column {column}")]
pub struct SelectorError {
    pub message: String,
    /// In characters, counted from 1.
    pub column: usize,
    /// The text is PromQL, but more than a selector.
    pub is_expression: bool,
}

/// Reads one selector.
///
/// # Errors
/// [`SelectorError`] with the place and what was expected there.
pub fn parse(text: &str) -> Result<Selector, SelectorError> {
    if text.len() > LONGEST {
        let message = format!("the selector is longer than {LONGEST} bytes");
        return Err(SelectorError { message, column: 1, is_expression: false });
    }
    let expr = parser::parse(text).map_err(|error| SelectorError {
        // Lines are counted as one here: a selector is asked for in a parameter.
        column: text.get(..error.start).unwrap_or(text).chars().count() + 1,
        message: error.message,
        is_expression: false,
    })?;
    match expr.kind {
        Kind::Selector(selector) if selector.shift == Shift::default() => {
            Ok(Selector { matchers: selector.matchers })
        }
        _ => Err(SelectorError {
            message: format!("expected a series selector, found {}", found(&expr)),
            column: text.get(..expr.span.start).unwrap_or(text).chars().count() + 1,
            is_expression: true,
        }),
    }
}

fn found(expr: &Expr) -> &'static str {
    match expr.kind {
        Kind::Selector(_) => "a selector with `offset` or `@`",
        Kind::Range(..) => "a selector with a range",
        _ => "an expression",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::selector::MatchOp;

    fn texts(selector: &Selector) -> Vec<(&str, MatchOp, &str)> {
        selector.matchers.iter().map(|m| (m.label.as_str(), m.op, m.value.as_str())).collect()
    }

    #[test]
    fn reads_names_and_matchers() {
        let all = parse(" node_load1 { instance = \"a\\\"b\", job!~'x.*', d=~`\\d+`, e!=\"\", } ").unwrap();
        assert_eq!(
            texts(&all),
            [
                ("__name__", MatchOp::Equal, "node_load1"),
                ("instance", MatchOp::Equal, "a\"b"),
                ("job", MatchOp::NotRegex, "x.*"),
                ("d", MatchOp::Regex, "\\d+"),
                ("e", MatchOp::NotEqual, ""),
            ]
        );
        assert_eq!(parse("up{}").unwrap(), Selector::name("up"));
        assert_eq!(texts(&parse("{__name__=~\"n.*\"}").unwrap()).len(), 1);
    }

    #[test]
    fn says_where_and_what_was_expected() {
        for (text, column, message) in [
            ("", 1, "expected an expression, found nothing"),
            ("up{a}", 5, "expected one of"),
            ("up{a=b}", 6, "expected a quoted text"),
            ("up{a=\"b}", 6, "does not end"),
            ("up{a=\"b\" c=\"d\"}", 10, "expected `,` or `}`"),
            ("up{__name__=\"x\"}", 4, "given twice"),
            ("{}", 1, "not empty"),
            ("{a=\"\"}", 1, "not empty"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
            assert!(!error.is_expression, "{text}");
        }
        for text in ["rate(up[5m])", "up + 1", "up[5m]", "1 + 2", "up offset 5m"] {
            assert!(parse(text).unwrap_err().is_expression, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn never_panics_near_the_grammar(text in "[a{}=!~\"'`\\\\,_é ]{0,40}") {
            let _ = parse(&text);
        }
    }
}
