//! What can be known of an expression without computing it: for rules, which must plan
//! when to look, how far back, and what a threshold is.

use super::ast::{Binary, BinaryOp, Expr, Kind, Type};

/// The comparison at the top of an expression, with its literal threshold.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Threshold<'a> {
    /// What is compared.
    pub expr: &'a Expr,
    /// With the number on its right side: `80 < x` is `x > 80`.
    pub op: BinaryOp,
    pub value: f64,
    /// 0 or 1 instead of dropping what does not compare.
    pub bool: bool,
}

/// The comparison at the top, if one side is a number and the other an instant vector.
pub fn threshold(expr: &Expr) -> Option<Threshold<'_>> {
    let Kind::Binary(binary) = &expr.bare().kind else { return None };
    let Binary { op, bool, left, right, .. } = binary.as_ref();
    if !op.is_comparison() {
        return None;
    }
    let literal = |side: &Expr| match &side.bare().kind {
        Kind::Number(value) => Some(*value),
        _ => None,
    };
    let (expr, op, value) = match (literal(left), literal(right)) {
        (None, Some(value)) => (left, *op, value),
        (Some(value), None) => (right, mirrored(*op), value),
        _ => return None,
    };
    (expr.value_type() == Type::Vector).then_some(Threshold { expr, op, value, bool: *bool })
}

const fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::GreaterOrEqual => BinaryOp::LessOrEqual,
        BinaryOp::LessOrEqual => BinaryOp::GreaterOrEqual,
        same => same,
    }
}

/// How many milliseconds before the time of evaluation the oldest sample lies that an
/// expression may look at, where selectors without a range look `lookback` back. What a
/// time behind `@` fixes does not count; 0 if nothing is looked at.
pub fn longest_look_back(expr: &Expr, lookback: i64) -> i64 {
    let own = match &expr.kind {
        Kind::Selector(selector) if selector.shift.at.is_none() => {
            lookback.saturating_add(selector.shift.offset)
        }
        Kind::Range(selector, range) if selector.shift.at.is_none() => {
            range.saturating_add(selector.shift.offset)
        }
        Kind::Subquery(subquery) => {
            let inner = longest_look_back(&subquery.expr, lookback);
            return match subquery.shift.at {
                None => inner.saturating_add(subquery.range).saturating_add(subquery.shift.offset).max(0),
                Some(_) => 0,
            };
        }
        _ => 0,
    };
    let below = expr.children().into_iter().map(|child| longest_look_back(child, lookback));
    below.fold(own.max(0), i64::max)
}

/// The names of the metrics that selectors fix, each once, sorted.
pub fn metric_names(expr: &Expr) -> Vec<&str> {
    let mut names = Vec::new();
    collect_names(expr, &mut names);
    names.sort_unstable();
    names.dedup();
    names
}

fn collect_names<'a>(expr: &'a Expr, names: &mut Vec<&'a str>) {
    if let Kind::Selector(selector) | Kind::Range(selector, _) = &expr.kind {
        names.extend(selector.name());
    }
    for child in expr.children() {
        collect_names(child, names);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    #[test]
    fn finds_the_threshold_at_the_top() {
        for (text, op, value) in [
            ("100 * (1 - a / b) > 80", BinaryOp::Greater, 80.0),
            ("80 < bool a", BinaryOp::Greater, 80.0),
            ("(a >= (-1e3))", BinaryOp::GreaterOrEqual, -1000.0),
            ("5m == a", BinaryOp::Equal, 300.0),
        ] {
            let expr = parse(text).unwrap();
            let found = threshold(&expr).unwrap();
            assert_eq!((found.op, found.value), (op, value), "{text}");
            assert_eq!(found.bool, text.contains("bool"));
        }
        for text in ["a", "a > b", "a > 1 and b", "1 > bool 2", "a + 1", "a > time()"] {
            assert_eq!(threshold(&parse(text).unwrap()), None, "{text}");
        }
    }

    #[test]
    fn adds_up_how_far_back_is_looked() {
        const MINUTE: i64 = 60_000;
        for (text, minutes) in [
            ("1", 0),
            ("a", 5),
            ("a offset 10m", 15),
            ("a offset -10m", 0),
            ("rate(a[30m]) > b", 30),
            ("rate(a[30m] @ 0)", 0),
            ("max_over_time(rate(a[5m])[1h:1m] offset 10m)", 75),
            ("avg_over_time(a[1h:])", 65),
        ] {
            let expr = parse(text).unwrap();
            assert_eq!(longest_look_back(&expr, 5 * MINUTE), minutes * MINUTE, "{text}");
        }
    }

    #[test]
    fn names_the_metrics() {
        let expr = parse("sum(rate(b[5m])) / on () a{x=\"1\"} or b or {__name__=~\"c.*\"}").unwrap();
        assert_eq!(metric_names(&expr), ["a", "b"]);
    }
}
