//! Operators between vectors.

use super::super::ErrorKind;
use super::*;

fn disks() -> Memory {
    memory(&[
        ("used{disk=\"a\",host=\"1\"}", "30"),
        ("used{disk=\"b\",host=\"1\"}", "80"),
        ("used{disk=\"a\",host=\"2\"}", "50"),
        ("size{disk=\"a\",host=\"1\"}", "100"),
        ("size{disk=\"b\",host=\"1\"}", "100"),
        ("info{host=\"1\",room=\"x\"}", "1"),
        ("info{host=\"2\",room=\"y\"}", "1"),
    ])
}

#[test]
fn samples_match_by_their_labels() {
    for (text, expected) in [
        ("used / size", ["{disk=\"a\",host=\"1\"} 0.3", "{disk=\"b\",host=\"1\"} 0.8"].as_slice()),
        ("used < size - 60", &["used{disk=\"a\",host=\"1\"} 30"]),
        ("used < bool size - 60", &["{disk=\"a\",host=\"1\"} 1", "{disk=\"b\",host=\"1\"} 0"]),
        ("used{disk='b'} > on (disk) size", &[]),
        ("used{disk='b'} < on (disk) size{disk='b'}", &["{disk=\"b\"} 80"]),
        ("used{host='2'} < ignoring (host) size{disk='a'}", &["used{disk=\"a\"} 50"]),
        ("used{disk='a'} * on (host) info", &["{host=\"1\"} 30", "{host=\"2\"} 50"]),
        (
            "used * on (host) group_left (room, none) info",
            &[
                "{disk=\"a\",host=\"1\",room=\"x\"} 30",
                "{disk=\"a\",host=\"2\",room=\"y\"} 50",
                "{disk=\"b\",host=\"1\",room=\"x\"} 80",
            ],
        ),
        (
            "info{room='x'} - on (host) group_right used",
            &["{disk=\"a\",host=\"1\"} -29", "{disk=\"b\",host=\"1\"} -79"],
        ),
        ("used > on (host) group_left (disk) info{room='y'}", &["used{host=\"2\"} 50"]),
        ("used{host='2'} + used{host='1'}", &[]),
        ("sum(used) / on () sum(size)", &["{} 0.8"]),
    ] {
        assert_eq!(shown(&disks(), text, 0), expected, "{text}");
    }
}

#[test]
fn sets_look_at_labels_alone() {
    for (text, expected) in [
        ("used and size", ["used{disk=\"a\",host=\"1\"} 30", "used{disk=\"b\",host=\"1\"} 80"].as_slice()),
        ("used unless size", &["used{disk=\"a\",host=\"2\"} 50"]),
        ("used{disk='b'} or size", &["size{disk=\"a\",host=\"1\"} 100", "used{disk=\"b\",host=\"1\"} 80"]),
        ("used and on (host) info{room='y'}", &["used{disk=\"a\",host=\"2\"} 50"]),
        ("used unless ignoring (disk, host) vector(1)", &[]),
        ("used{disk='b'} and none", &[]),
        ("none or used{disk='b'}", &["used{disk=\"b\",host=\"1\"} 80"]),
        ("used{disk='b'} unless none", &["used{disk=\"b\",host=\"1\"} 80"]),
    ] {
        assert_eq!(shown(&disks(), text, 0), expected, "{text}");
    }
}

#[test]
fn several_matches_are_named() {
    for (text, message) in [
        ("info * on (host) used", "duplicate series for the match group {host=\"1\"} on the right hand-side"),
        ("used * on (host) info", "many-to-one matching must be explicit"),
        ("used * on (host) group_left used", "on the right hand-side"),
        ("used * on (host) group_right used", "on the left hand-side"),
        ("used > on (host) group_left (disk) info", "grouping labels must ensure unique matches"),
    ] {
        let error = refused(&disks(), text, 0);
        assert_eq!(error.kind, ErrorKind::Execution, "{text}");
        assert!(error.message.contains(message), "{text}: {error}");
    }
}

#[test]
fn rows_of_a_group_may_take_turns() {
    let memory = memory(&[
        ("old{host=\"1\"}", "1 2 stale"),
        ("new{host=\"1\"}", "- - 3 4"),
        ("limit{host=\"1\",v=\"1\"}", "10 10 stale"),
        ("limit{host=\"1\",v=\"2\"}", "- - 20 20"),
    ]);
    let points = |text: &str| {
        let series = ranged(&memory, text, 30).unwrap_or_else(|error| panic!("{text}: {error}"));
        series.into_iter().map(|series| (series.labels.to_string(), series.points)).collect::<Vec<_>>()
    };
    let all = vec![(0, 11.0), (10_000, 12.0), (20_000, 23.0), (30_000, 24.0)];
    assert_eq!(points("(old or new) + on (host) limit"), [(String::from("{host=\"1\"}"), all)]);
    let turns = [
        (String::from("{host=\"1\",v=\"1\"}"), vec![(0, 11.0), (10_000, 12.0)]),
        (String::from("{host=\"1\",v=\"2\"}"), vec![(20_000, 23.0), (30_000, 24.0)]),
    ];
    assert_eq!(points("(old or new) + on (host) group_left (v) limit"), turns);
    assert_eq!(points("-(old or new)")[0].1.len(), 4);
    // A row that begins while the other lasts is one too many at that step.
    let both = super::memory(&[("a{x=\"1\"}", "1 1 1"), ("b{x=\"1\"}", "- 1 1"), ("c", "1 1 1")]);
    let error = ranged(&both, "c + on () {x='1'}", 20).unwrap_err();
    assert!(error.message.contains("[b{x=\"1\"}, a{x=\"1\"}]"), "{error}");
}
