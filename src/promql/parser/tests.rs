//! Expressions that are read, and what is said of those that are not.

use proptest::prelude::*;

use super::super::ast::{At, Shift, Type};
use super::*;

fn shown(text: &str) -> String {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

/// The tree without its places.
fn tree(text: &str) -> String {
    fn strip(expr: &mut Expr) {
        expr.span = Span::default();
        match &mut expr.kind {
            Kind::Negative(inner) | Kind::Positive(inner) | Kind::Paren(inner) => strip(inner),
            Kind::Subquery(subquery) => strip(&mut subquery.expr),
            Kind::Call(_, arguments) => arguments.iter_mut().for_each(strip),
            Kind::Aggregate(aggregate) => {
                aggregate.parameter.iter_mut().for_each(strip);
                strip(&mut aggregate.expr);
            }
            Kind::Binary(binary) => {
                strip(&mut binary.left);
                strip(&mut binary.right);
            }
            Kind::Number(_) | Kind::Text(_) | Kind::Selector(_) | Kind::Range(..) => {}
        }
    }
    let mut expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    strip(&mut expr);
    format!("{expr:?}")
}

#[test]
fn one_spelling_for_each_tree() {
    for (text, canonical) in [
        (" up { } # all", "up"),
        ("{\"up\"}", "up"),
        ("{'a.b', \"c d\"=`e`}", "{__name__=\"a.b\",\"c d\"=\"e\"}"),
        ("sum({x=~'a|b',})by(y)", "sum by (y) (up)".replace("up", "{x=~\"a|b\"}").as_str()),
        ("SUM WITHOUT() (up)", "sum without () (up)"),
        ("count_values('v', up)", "count_values(\"v\", up)"),
        ("topk by (a, b,) (2, up)", "topk by (a, b) (2, up)"),
        ("up[300]offset-1m30s@0x10", "up[5m] @ 16.000 offset -1m30s"),
        ("rate(up[90s:]@end())", "rate(up[1m30s:] @ end())"),
        ("up @ start() offset 50", "up @ start() offset 50s"),
        ("a*ON(x,y)GROUP_LEFT(z)b", "a * on (x, y) group_left (z) b"),
        ("1 + on() group_left(x) a", "1 + a"),
        ("a >= BOOL ignoring() group_right b", "a >= bool ignoring () group_right () b"),
        ("1h + .5e1 - 0x1f", "3600 + 5 - 31"),
        ("- inf ^ NaN", "-Inf ^ NaN"),
        ("1e30 + 1e-30", "1e30 + 1e-30"),
        ("by + offset + sum + start + fill + step", "by + offset + sum + start + fill + step"),
        ("on:x:rate5m or :y", "on:x:rate5m or :y"),
        ("day_of_week() atan2 vector(pi())", "day_of_week() atan2 vector(pi())"),
        ("label_join(up, 'a', '\\t', \"b\")", "label_join(up, \"a\", \"\\t\", \"b\")"),
        ("{__name__=~'a.*', __name__!='ab'}", "{__name__=~\"a.*\",__name__!=\"ab\"}"),
        ("{on='1', by='2', inf='3'}", "{on=\"1\",by=\"2\",inf=\"3\"}"),
        ("{__name__='inf'}", "{__name__=\"inf\"}"),
    ] {
        assert_eq!(shown(text), canonical, "{text}");
        assert_eq!(tree(text), tree(canonical), "{text}");
    }
}

#[test]
fn operators_bind_by_their_levels() {
    for (text, brackets) in [
        ("a or b and c > d + e * f ^ g", "a or (b and (c > (d + (e * (f ^ g)))))"),
        ("a - b - c", "(a - b) - c"),
        ("a ^ b ^ c", "a ^ (b ^ c)"),
        ("-a ^ b * c", "(-(a ^ b)) * c"),
        ("a % b atan2 c / d", "((a % b) atan2 c) / d"),
        ("a unless b and c or d", "((a unless b) and c) or d"),
        ("a ^ -b + c", "(a ^ (-b)) + c"),
        ("-a offset 1m", "-(a offset 1m)"),
        ("a offset -2 * b", "(a offset -2) * b"),
    ] {
        let bare = |text: &str| {
            tree(text).replace("Paren(", "").replace(')', "").replace("span: Span { start: 0, end: 0 }", "")
        };
        let mut stripped = bare(brackets);
        // A bracket is a node of its own around the same node.
        while let Some(at) = stripped.find("Expr { kind: Expr { kind: ") {
            stripped.replace_range(at..at + "Expr { kind: ".len(), "");
        }
        let count = |text: &str| text.replace([' ', ',', '}'], "");
        assert_eq!(count(&bare(text)), count(&stripped), "{text}");
    }
}

#[test]
fn ranges_and_shifts_are_in_milliseconds() {
    let Kind::Range(selector, range) = parse("up[1.5] offset 2 @ -1.25").unwrap().kind else { panic!() };
    assert_eq!(range, 1500);
    assert_eq!(selector.shift, Shift { offset: 2000, at: Some(At::Time(-1250)) });
    for (text, found) in [
        ("1 + time()", Type::Scalar),
        ("'a'", Type::String),
        ("1 > bool 2", Type::Scalar),
        ("-(up)", Type::Vector),
        ("(up[5m])", Type::Matrix),
        ("up[5m:]", Type::Matrix),
    ] {
        assert_eq!(parse(text).unwrap().value_type(), found, "{text}");
    }
}

#[test]
fn says_where_and_what_was_expected() {
    for (text, at, message) in [
        ("", "1:1", "expected an expression, found nothing"),
        ("# only words", "1:1", "expected an expression, found nothing"),
        ("rate(up[foo])", "1:9", "expected a duration in `[`, found `foo`"),
        ("rate(up[5m)", "1:11", "expected `:` or `]`, found `)`"),
        ("up[5m:1m", "1:9", "expected `]`, found the end"),
        ("up[0]", "1:4", "expected a duration of at least 1ms"),
        ("up[5m*2]", "1:6", "arithmetic of durations is experimental"),
        ("up[step()]", "1:4", "arithmetic of durations is experimental"),
        ("up offset (5m)", "1:11", "arithmetic of durations is experimental"),
        ("up[5]\n  [5m]", "2:3", "a range goes behind a selector"),
        ("up offset 5m[5m]", "1:13", "goes in front of `offset`"),
        ("sum(up", "1:7", "expected an operator, `,` or `)`, found the end"),
        ("(up", "1:4", "expected an operator or `)`, found the end"),
        ("up)", "1:3", "expected an operator or the end, found `)`"),
        ("up up", "1:4", "expected an operator or the end, found `up`"),
        ("up +", "1:5", "expected an expression, found the end"),
        ("\u{e9}", "1:1", "unexpected character '\u{e9}'"),
        ("'\u{e9}\u{e9}' + ]", "1:8", "expected an expression, found `]`"),
        ("5x", "1:1", "`5x` is neither a number nor a duration"),
        ("up offset 5m offset 6m", "1:14", "`offset` is given twice"),
        ("up @ 1 @ 2", "1:8", "`@` is given twice"),
        ("up @ Inf", "1:6", "out of range"),
        ("(up) offset 5m", "1:6", "goes right behind a selector"),
        ("up{a=~'('}", "1:7", "not a regular expression"),
        ("up{'a' 'b'}", "1:8", "expected one of `=`"),
        ("{}", "1:1", "means every series"),
        ("{a=~'.*',b!='c',c=''}", "1:1", "means every series"),
        ("up{__name__='b'}", "1:4", "given twice"),
        ("{'a','b'}", "1:6", "given twice"),
        ("sum by (a b) (up)", "1:11", "expected `,` or `)`, found `b`"),
        ("sum by (1) (up)", "1:9", "expected a label or `)`, found `1`"),
        ("sum by up", "1:8", "expected `(` and a list of labels"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(format!("{}:{}", error.line, error.column), at, "{text}: {error}");
        assert_eq!(error.to_string(), format!("{at}: parse error: {}", error.message));
    }
}

#[test]
fn types_and_counts_are_checked() {
    for (text, at, message) in [
        ("rate(up)", 6, "`rate` takes a range vector here, found an instant vector"),
        ("abs(1, 2)", 1, "`abs` takes 1 argument(s), found 2"),
        ("round()", 1, "`round` takes 1 or 2 argument(s), found 0"),
        ("label_join(up, 'a')", 1, "at least 3 argument(s)"),
        ("label_join(up, 'a', 'b', up)", 26, "takes a string here, found an instant vector"),
        ("topk(up)", 1, "`topk` takes 2 argument(s), found 1"),
        ("topk(up, up)", 6, "takes a scalar here"),
        ("sum(1)", 5, "takes an instant vector here, found a scalar"),
        ("1 > 2", 3, "needs `bool`"),
        ("up + bool up", 6, "`bool` only goes with comparisons"),
        ("up and 1", 4, "goes between two instant vectors"),
        ("up + on(a) 1", 4, "`on` and `ignoring` go between two instant vectors"),
        ("up and on(a) group_left up", 14, "many to many"),
        ("up + group_left up", 6, "expected `on` or `ignoring`"),
        ("up + on(a) group_left(a) up", 4, "stands in `on` and in `group_left`"),
        ("up[5m] + 1", 1, "found a range vector"),
        ("-'a'", 1, "a sign goes in front of"),
        ("1[5m:]", 1, "a subquery goes behind an instant vector"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(error.column, at, "{text}: {error}");
    }
}

#[test]
fn what_prometheus_has_behind_a_flag_is_refused_by_name_and_place() {
    for (text, column, message) in [
        ("1 + mad_over_time(up[5m])", 5, "`mad_over_time` is experimental"),
        ("histogram_sum(up)", 1, "`histogram_sum` needs native histograms"),
        ("limitk(1, up)", 1, "`limitk` is experimental"),
        ("limit_ratio by (a) (1, up)", 1, "`limit_ratio` is experimental"),
        ("up * on(a) fill(0) up", 12, "`fill` is experimental"),
        ("rate(up[5m] anchored)", 13, "`anchored` is experimental"),
        ("step()", 1, "`step` is experimental"),
        ("frob(up)", 1, "unknown function `frob`"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(error.column, column, "{text}");
    }
}

#[test]
fn neither_depth_nor_height_nor_length_is_without_bound() {
    for (text, message) in [
        (format!("{}1{}", "(".repeat(9000), ")".repeat(9000)), "nests deeper"),
        (format!("{}1", "-".repeat(9000)), "nests deeper"),
        (format!("1{}", " ^ 1".repeat(9000)), "nests deeper"),
        (format!("1{}", " + 1".repeat(9000)), "levels deep"),
        (format!("up{}", "[5m:]".repeat(9000)), "instant vector"),
        ("1".repeat(LONGEST + 1), "longer than"),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.message.contains(message), "{error}");
    }
    let most = format!("1{}", " + 1".repeat(DEEPEST - 1));
    assert_eq!(parse(&most).unwrap().to_string(), most);
}

/// Texts of expressions, all of which are sound.
fn vectors() -> impl Strategy<Value = String> {
    let shift = prop_oneof![
        4 => Just(String::new()),
        1 => "offset -?[1-9]m",
        1 => "@ (-?[0-9]{1,3}(\\.5)?|start\\(\\)|end\\(\\))",
    ];
    let selector =
        ("(up|a:b|sum|offset|\\{x=\"\\\\\\\\n'\"\\}|\\{'q[.]r',y!~\"a[.][*]\"\\}|up\\{x!='',\\})", shift)
            .prop_map(|(selector, shift)| format!("{selector} {shift}"));
    selector.prop_recursive(5, 40, 3, |inner| {
        let operator = "(\\+|-|\\*|/|%|\\^|==|!=|>|<=| atan2 |> bool|< bool)";
        let matching = "(|on \\(\\)|on \\(x\\)|ignoring \\('y[.]z', x\\)|on \\(x\\) group_left \\(\\)|ignoring \\(\\) group_right \\(z\\))";
        prop_oneof![
            (inner.clone(), operator, matching, inner.clone()).prop_map(|(l, o, m, r)| format!("{l} {o} {m} {r}")),
            (inner.clone(), "(and|or|unless)( on \\(x\\)|)", inner.clone()).prop_map(|(l, o, r)| format!("{l} {o} {r}")),
            (inner.clone(), operator, "(-?[0-9]{1,3}|1h5m|0x1F|1e-7|NaN|-?Inf)").prop_map(|(l, o, r)| format!("({l} {o} {r})")),
            inner.clone().prop_map(|e| format!("({e})")),
            inner.clone().prop_map(|e| format!("-{e}")),
            inner.clone().prop_map(|e| format!("+({e})")),
            inner.clone().prop_map(|e| format!("rate(({e})[5m:30s] offset 1m)")),
            inner.clone().prop_map(|e| format!("quantile_over_time(scalar({e}), ({e})[1h:])")),
            inner.clone().prop_map(|e| format!("label_replace({e}, 'a', \"$1\\t\", `b`, '(.*)')")),
            (inner.clone(), "(sum|topk by \\(x\\)|count_values without \\(\\))").prop_map(|(e, op)| match &op[..1] {
                "t" => format!("{op} (3, {e})"),
                "c" => format!("{op} ('v', {e})"),
                _ => format!("{op} ({e}) without ('x y')"),
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_as_the_same_tree(text in vectors()) {
        let canonical = shown(&text);
        prop_assert_eq!(tree(&text), tree(&canonical), "{}", canonical);
        prop_assert_eq!(shown(&canonical), canonical);
    }

    #[test]
    fn never_panics(text in "\\PC{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn never_panics_near_the_grammar(
        text in "(sum|rate|up|by|on|bool|offset|group_left|and|1e|0x|5m|inf|[\\[\\](){}@:,.+*/^%=!<>~\"'`\\\\# \n\u{e9}-]){0,25}",
    ) {
        if let Err(error) = parse(&text) {
            prop_assert!(error.start <= error.end && error.end <= text.len(), "{:?}", error);
            prop_assert!(text.get(error.start..error.end).is_some());
        }
    }
}
