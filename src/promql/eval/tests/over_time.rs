//! Ranges, subqueries, and the functions of their windows.

use super::*;

#[test]
fn windows_are_open_on_the_left() {
    let memory = memory(&[("m", "1 2 3 stale 5")]);
    for (text, at, expected) in [
        ("count_over_time(m[20s])", 20, ["{} 2"].as_slice()),
        ("count_over_time(m[20001ms])", 20, &["{} 3"]),
        ("count_over_time(m[20s])", 40, &["{} 1"]),
        ("sum_over_time(m[1h])", 40, &["{} 11"]),
        ("avg_over_time(m[1h])", 20, &["{} 2"]),
        ("min_over_time(m[20s])", 20, &["{} 2"]),
        ("max_over_time(m[1h] offset 20s)", 40, &["{} 3"]),
        ("last_over_time(m[1h])", 30, &["m 3"]),
        ("first_over_time(m[1h])", 30, &["m 1"]),
        ("present_over_time(m[10s])", 30, &[]),
        ("stdvar_over_time(m[20s])", 20, &["{} 0.25"]),
        ("stddev_over_time(m[20s])", 20, &["{} 0.5"]),
        ("quantile_over_time(0.5, m[1h])", 40, &["{} 2.5"]),
        ("changes(m[1h])", 40, &["{} 3"]),
        ("resets(m[1h])", 40, &["{} 0"]),
        ("idelta(m[1h])", 40, &["{} 2"]),
        ("deriv(m[1h])", 20, &["{} 0.1"]),
        ("predict_linear(m[1h], 10)", 20, &["{} 4"]),
        ("predict_linear(m[1h] @ 20, 10)", 30, &["{} 5"]),
    ] {
        assert_eq!(shown(&memory, text, at), expected, "{text}");
    }
}

#[test]
fn rates_reach_to_the_edges_of_the_window() {
    // (10 s, 60 s] holds 20 to 60: 8 in 40 s, 10 s short on the left, none on the right.
    let steady = memory(&[("m", "10 12 14 16 18 20 22")]);
    assert_eq!(shown(&steady, "increase(m[50s])", 60), ["{} 10"]);
    assert_eq!(shown(&steady, "rate(m[50s])", 60), ["{} 0.2"]);
    assert_eq!(shown(&steady, "delta(m[50s])", 60), ["{} 10"]);
    assert_eq!(shown(&steady, "irate(m[50s])", 60), ["{} 0.2"]);
    // The series begins in the window: half a distance beyond the first sample.
    assert_eq!(shown(&steady, "delta(m[2m])", 60), ["{} 13"]);
    // A counter that was 10 at the first sample was 0 fifty seconds before it, so the
    // half distance holds; one that was 0.5 was 0 after 2.5 s.
    assert_eq!(shown(&steady, "increase(m[2m])", 60), ["{} 13"]);
    let young = memory(&[("m", "0.5 2.5 4.5 6.5")]);
    assert_eq!(shown(&young, "increase(m[2m])", 30), ["{} 6.5"]);
    // A reset loses what was there before: 10 to 14, then 1 to 3 from 0.
    let reset = memory(&[("m", "10 12 14 1 3")]);
    assert_eq!(shown(&reset, "increase(m[50s])", 40), ["{} 8.75"]);
    assert_eq!(shown(&reset, "irate(m[25s])", 30), ["{} 0.1"]);
    assert_eq!(shown(&reset, "resets(m[1h])", 40), ["{} 1"]);
    assert_eq!(shown(&reset, "rate(m[10s])", 40), [""; 0], "one sample has no rate");
}

#[test]
fn a_straight_line_is_exact_where_sums_are_not() {
    let memory = memory(&[("flat", "0.1 0.1 0.1"), ("up", "Inf Inf"), ("one", "1")]);
    assert_eq!(shown(&memory, "deriv(flat[1m])", 20), ["{} 0"]);
    assert_eq!(shown(&memory, "predict_linear(flat[1m], 1h)", 20), ["{} 0.1"]);
    assert_eq!(shown(&memory, "deriv(up[1m])", 20), ["{} NaN"]);
    assert_eq!(shown(&memory, "deriv(one[1m])", 20), [""; 0]);
}

#[test]
fn subqueries_step_at_multiples_of_their_step() {
    let memory = memory(&[("m", "0 1 2 3 4 5 6 7 8 9")]);
    // (5 s, 65 s] every 20 s: 20, 40, 60.
    assert_eq!(shown(&memory, "sum_over_time(m[1m:20s])", 65), ["{} 12"]);
    assert_eq!(shown(&memory, "sum_over_time(m[1m:20s])", 60), ["{} 12"], "0 is out, 60 in");
    assert_eq!(shown(&memory, "sum_over_time(m[1m:20s] offset 20s)", 85), ["{} 12"]);
    assert_eq!(shown(&memory, "sum_over_time(m[1m:20s] @ 65)", 5), ["{} 12"]);
    assert_eq!(shown(&memory, "count_over_time(vector(1)[2m:])", 130), ["{} 2"], "every minute");
    assert_eq!(shown(&memory, "max_over_time(rate(m[20s])[1m:10s])", 90), ["{} 0.1"]);
    assert_eq!(shown(&memory, "m[1m:40s]", 85), ["m [(40000, 4.0), (80000, 8.0)]"]);
    assert_eq!(shown(&memory, "sum_over_time(m[5s:20s])", 15), [""; 0], "no step in between");
}

#[test]
fn steps_of_a_range_see_what_an_instant_sees() {
    let memory = memory(&[
        ("m{a=\"1\"}", "0 1 2 stale - 5 6 7"),
        ("m{a=\"2\"}", "- - 9 9 1 NaN 2 3"),
        ("n{a=\"1\"}", "1 1 1 1 1 1 1 1"),
    ]);
    for text in [
        "m",
        "rate(m[30s])",
        "avg_over_time(m[25s])",
        "sum by (a) (m) + time()",
        "topk(1, m)",
        "m > n or n",
        "m * on (a) group_left n unless m > 5",
        "count_values('v', m)",
        "quantile_over_time(0.5, m[30s:5s])",
        "timestamp(m)",
        "predict_linear(m[50s] @ end(), 5)",
        "max_over_time(m[20s] @ start() offset -30s)",
        "scalar(n) + scalar(m)",
        "absent(m)",
        "minute()",
    ] {
        let expr = parse(text).unwrap();
        let whole = ranged(&memory, text, 70).unwrap_or_else(|error| panic!("{text}: {error}"));
        for second in (0..=70).step_by(10) {
            // `@ start()` and `@ end()` mean the whole range.
            let alone = text.replace("start()", "0").replace("end()", "70");
            let mut expected = shown(&memory, &alone, second);
            if matches!(expr.value_type(), crate::promql::Type::Scalar) {
                expected[0].insert_str(0, "{} ");
            }
            let mut found: Vec<String> = Vec::new();
            for series in &whole {
                let point = series.points.iter().find(|(at, _)| *at == second * 1000);
                found.extend(point.map(|(_, value)| format!("{} {value}", series.labels)));
            }
            found.sort();
            assert_eq!(found, expected, "{text} at {second}");
        }
    }
}

#[test]
fn a_selector_asks_once_for_all_it_looks_at() {
    let memory = memory(&[("m", "1 2 3")]);
    let asked = |text: &str| {
        memory.asked.borrow_mut().clear();
        ranged(&memory, text, 20).unwrap();
        memory
            .asked
            .borrow()
            .iter()
            .map(|asked| (asked.from, asked.to, asked.newest_only))
            .collect::<Vec<_>>()
    };
    assert_eq!(asked("m"), [(-300_000, 20_000, false)]);
    assert_eq!(asked("rate(m[1m] offset 10s)"), [(-70_000, 10_000, false)]);
    assert_eq!(asked("m @ 10"), [(-290_000, 10_000, true)]);
    assert_eq!(asked("sum_over_time(m[1m:7s])"), [(-356_000, 14_000, false)]);
    assert_eq!(asked("m + m").len(), 2);
    memory.asked.borrow_mut().clear();
    shown(&memory, "m", 20);
    assert!(memory.asked.borrow()[0].newest_only);
}
