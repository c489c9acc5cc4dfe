//! Selectors, functions of single samples, and aggregations.

use super::super::ErrorKind;
use super::*;

#[test]
fn a_selector_takes_the_newest_sample_that_is_not_too_old() {
    let memory = memory(&[("up{a=\"1\"}", "1 2 stale"), ("up{a=\"2\"}", "3"), ("down", "4")]);
    assert_eq!(shown(&memory, "up", 19), ["up{a=\"1\"} 2", "up{a=\"2\"} 3"]);
    assert_eq!(shown(&memory, "up", 20), ["up{a=\"2\"} 3"], "the first one ended");
    assert_eq!(shown(&memory, "up", 299), ["up{a=\"2\"} 3"]);
    assert_eq!(shown(&memory, "up", 300), [""; 0], "the look-back is open on the left");
    assert_eq!(shown(&memory, "{__name__=~\".*n\",a!~\"2\"}", 5), ["down 4"]);
    assert_eq!(shown(&memory, "up offset 10s", 25), ["up{a=\"1\"} 2", "up{a=\"2\"} 3"]);
    assert_eq!(shown(&memory, "up offset -10s", 10), ["up{a=\"2\"} 3"]);
    assert_eq!(shown(&memory, "up{a='1'} @ 12 offset 10s", 4000), ["up{a=\"1\"} 1"]);
    assert_eq!(shown(&memory, "up{a='1'}[20s]", 19), ["up{a=\"1\"} [(0, 1.0), (10000, 2.0)]"]);
    assert_eq!(shown(&memory, "'text'", 0), ["text"]);
}

#[test]
fn functions_drop_the_name_and_comparisons_keep_it() {
    let memory = memory(&[("up{a=\"1\"}", "-2.5"), ("up{a=\"2\"}", "NaN")]);
    for (text, expected) in [
        ("abs(up)", ["{a=\"1\"} 2.5", "{a=\"2\"} NaN"].as_slice()),
        ("-up", &["{a=\"1\"} 2.5", "{a=\"2\"} NaN"]),
        ("+up", &["up{a=\"1\"} -2.5", "up{a=\"2\"} NaN"]),
        ("up < 0", &["up{a=\"1\"} -2.5"]),
        ("0 > up", &["up{a=\"1\"} -2.5"]),
        ("up < bool 0", &["{a=\"1\"} 1", "{a=\"2\"} 0"]),
        ("2 * up", &["{a=\"1\"} -5", "{a=\"2\"} NaN"]),
        ("ceil(up) % 3", &["{a=\"1\"} -2", "{a=\"2\"} NaN"]),
        ("round(up)", &["{a=\"1\"} -2", "{a=\"2\"} NaN"]),
        ("round(up, 5)", &["{a=\"1\"} 0", "{a=\"2\"} NaN"]),
        ("clamp(up, -1, 1)", &["{a=\"1\"} -1", "{a=\"2\"} NaN"]),
        ("clamp(up, 1, -1)", &[]),
        ("clamp_max(up, -3)", &["{a=\"1\"} -3", "{a=\"2\"} NaN"]),
        ("sgn(up)", &["{a=\"1\"} -1", "{a=\"2\"} NaN"]),
        ("timestamp(up)", &["{a=\"1\"} 0", "{a=\"2\"} 0"]),
        ("timestamp(-up)", &["{a=\"1\"} 5", "{a=\"2\"} 5"]),
        ("deg(vector(pi()))", &["{} 180"]),
        ("scalar(up)", &["NaN"]),
        ("scalar(up{a='1'})", &["-2.5"]),
        ("vector(time())", &["{} 5"]),
        ("year(vector(1e9)) + month(vector(1e9)) / 100", &["{} 2001.09"]),
        ("minute()", &["{} 0"]),
        ("1 - -1 ^ 2", &["2"]),
    ] {
        assert_eq!(shown(&memory, text, 5), expected, "{text}");
    }
}

#[test]
fn dropping_names_must_not_make_twins() {
    let memory = memory(&[("a{x=\"1\"}", "1"), ("b{x=\"1\"}", "2"), ("b{x=\"2\"}", "3")]);
    for text in [
        "-{x='1'}",
        "abs({x='1'})",
        "{x='1'} * 2",
        "rate({x='1'}[1m:10s])",
        "label_replace(b, 'x', 'same', '', '')",
        "label_join(b, 'x', '-')",
    ] {
        let error = refused(&memory, text, 20);
        assert_eq!(error.kind, ErrorKind::Execution, "{text}");
        assert!(error.message.contains("same labelset"), "{text}: {error}");
        assert!(error.span.is_some(), "{text}");
    }
    assert_eq!(shown(&memory, "{x='1'} > 1", 20), ["b{x=\"1\"} 2"]);
}

#[test]
fn labels_are_made_from_labels() {
    let memory = memory(&[("m{src=\"eth0.5\",b=\"y\"}", "1")]);
    for (text, expected) in [
        (
            "label_replace(m, 'vlan', '$2 of $dev', 'src', '(?P<dev>\\\\w+)\\\\.(\\\\d+)')",
            "m{b=\"y\",src=\"eth0.5\",vlan=\"5 of eth0\"} 1",
        ),
        ("label_replace(m, 'vlan', 'x', 'src', 'eth')", "m{b=\"y\",src=\"eth0.5\"} 1"),
        ("label_replace(m, 'src', '', 'b', '.*')", "m{b=\"y\"} 1"),
        ("label_replace(m, '__name__', 'n', '', '')", "n{b=\"y\",src=\"eth0.5\"} 1"),
        ("label_join(m, 'b', '-', 'src', 'none', 'b')", "m{b=\"eth0.5--y\",src=\"eth0.5\"} 1"),
        ("label_join(m, 'b', '-')", "m{src=\"eth0.5\"} 1"),
    ] {
        assert_eq!(shown(&memory, text, 0), [expected], "{text}");
    }
    assert!(refused(&memory, "label_replace(m, '', 'x', 'b', '.*')", 0).message.contains("name of a label"));
    assert!(
        refused(&memory, "label_replace(m, 'x', 'x', 'b', '(')", 0).message.contains("regular expression")
    );
}

#[test]
fn aggregations_make_one_sample_for_each_group() {
    let memory = memory(&[
        ("m{a=\"1\",b=\"1\"}", "1"),
        ("m{a=\"1\",b=\"2\"}", "3"),
        ("m{a=\"2\",b=\"1\"}", "8"),
        ("n{a=\"2\",b=\"2\"}", "8"),
    ]);
    for (text, expected) in [
        ("sum(m)", ["{} 12"].as_slice()),
        ("sum by (a) (m)", &["{a=\"1\"} 4", "{a=\"2\"} 8"]),
        ("sum without (b) (m)", &["{a=\"1\"} 4", "{a=\"2\"} 8"]),
        ("avg by (b, none) (m)", &["{b=\"1\"} 4.5", "{b=\"2\"} 3"]),
        ("count by (__name__) ({a=~'.+'})", &["m 3", "n 1"]),
        ("max(m) - min(m)", &["{} 7"]),
        ("group by (a) (m)", &["{a=\"1\"} 1", "{a=\"2\"} 1"]),
        ("stdvar by (a) (m)", &["{a=\"1\"} 1", "{a=\"2\"} 0"]),
        ("stddev(m{a='1'})", &["{} 1"]),
        ("quantile(0.5, m)", &["{} 3"]),
        ("quantile(2, m)", &["{} inf"]),
        ("topk(1, m)", &["m{a=\"2\",b=\"1\"} 8"]),
        ("bottomk by (a) (1, m)", &["m{a=\"1\",b=\"1\"} 1", "m{a=\"2\",b=\"1\"} 8"]),
        ("topk(0, m)", &[]),
        ("topk(-1, m)", &[]),
        ("count_values('v', {a=~'.+'})", &["{v=\"1\"} 1", "{v=\"3\"} 1", "{v=\"8\"} 2"]),
        ("count_values by (a) ('v', {a='2'})", &["{a=\"2\",v=\"8\"} 2"]),
        ("count_values without (b) ('a', m)", &["{a=\"1\"} 1", "{a=\"3\"} 1", "{a=\"8\"} 1"]),
        ("count_values('v', m / 0)", &["{v=\"+Inf\"} 3"]),
        ("sum(none)", &[]),
    ] {
        assert_eq!(shown(&memory, text, 0), expected, "{text}");
    }
    assert!(refused(&memory, "topk(NaN, m)", 0).message.contains("takes a count"));
    let warned = ask(&memory, "quantile(2, m)", 0).unwrap().warnings;
    assert_eq!(warned, ["quantile value should be between 0 and 1, got 2"]);
}

#[test]
fn sorting_puts_what_is_no_number_last() {
    let memory =
        memory(&[("m{a=\"1\"}", "2"), ("m{a=\"2\"}", "NaN"), ("m{a=\"3\"}", "-1"), ("m{a=\"4\"}", "5")]);
    for (text, order) in
        [("sort(m)", "3142"), ("sort_desc(m)", "4132"), ("topk(4, m)", "4132"), ("bottomk(2, m)", "31")]
    {
        let Value::Vector(samples) = ask(&memory, text, 0).unwrap().value else { panic!("{text}") };
        let found: String = samples.iter().map(|sample| sample.labels.value("a")).collect();
        assert_eq!(found, order, "{text}");
    }
}

#[test]
fn absence_has_the_labels_that_are_certain() {
    let memory = memory(&[("m{a=\"1\"}", "1 2")]);
    for (text, expected) in [
        ("absent(m)", [""; 0].as_slice()),
        ("absent(m{a='2',b=~'x',c='3'})", &["{a=\"2\",c=\"3\"} 1"]),
        ("absent(m{a='2',a='3',b!='x',b='y'})", &["{b=\"y\"} 1"]),
        ("absent(sum(m{a='2'}))", &["{} 1"]),
        ("absent_over_time(m[1m])", &[]),
        ("absent_over_time(m{a='1'}[5s] offset -40s)", &["{a=\"1\"} 1"]),
        ("absent_over_time((m{a='2'})[1m:])", &["{} 1"]),
    ] {
        assert_eq!(shown(&memory, text, 10), expected, "{text}");
    }
    let series = ranged(&memory, "absent(m offset 10s)", 20).unwrap();
    assert_eq!(series[0].points, [(0, 1.0)]);
}

#[test]
fn buckets_of_one_histogram_are_found_by_their_labels() {
    let memory = memory(&[
        ("h_bucket{le=\"1\",a=\"1\"}", "2"),
        ("h_bucket{le=\"+Inf\",a=\"1\"}", "4"),
        ("h_bucket{le=\"2e0\",a=\"1\"}", "4"),
        ("h_bucket{le=\"1\",a=\"2\"}", "1"),
        ("h_bucket{le=\"Inf\",a=\"2\"}", "1"),
        ("h_bucket{le=\"some\",a=\"3\"}", "1"),
    ]);
    assert_eq!(shown(&memory, "histogram_quantile(0.75, h_bucket)", 0), ["{a=\"1\"} 1.5", "{a=\"2\"} 0.75"]);
    assert_eq!(shown(&memory, "histogram_fraction(1, 1.5, h_bucket)", 0), ["{a=\"1\"} 0.25", "{a=\"2\"} 0"]);
    let warned = ask(&memory, "histogram_quantile(0.75, h_bucket)", 0).unwrap().warnings;
    assert!(warned.len() == 1 && warned[0].contains("malformed") && warned[0].contains("some"), "{warned:?}");
}
