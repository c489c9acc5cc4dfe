//! The head: what it takes, refuses, keeps and gives back.

use super::super::*;
use super::rig::{Rig, START, frame, options};
use crate::model::frame::Frame;
use crate::model::selector::{MatchOp, Matcher, Selector};
use crate::model::series::Kind;
use crate::store::StoreError;

fn bits(samples: &[Sample]) -> Vec<(i64, u64)> {
    samples.iter().map(|sample| (sample.at, sample.value.to_bits())).collect()
}

fn all(head: &Head, key: &str) -> Vec<(i64, u64)> {
    bits(&head.samples(key, Timestamp(i64::MIN), Timestamp(i64::MAX)))
}

fn naive(rig: &Rig, key: &str) -> Vec<(i64, u64)> {
    rig.naive[key].iter().map(|(at, value)| (*at, value.to_bits())).collect()
}

/// A day of a host with gaps, two orders of series, and a slow target.
fn busy(ticks: i64) -> Rig {
    let mut rig = Rig::new();
    for tick in 1..=ticks {
        let at = START + tick * 1000 + tick % 3;
        let (count, wave) = (tick as f64, (tick as f64 / 50.0).sin());
        let mut values = vec![("count", count), ("wave", wave), ("flat", 7.5)];
        if tick % 100 > 80 {
            values.remove(1);
        }
        if tick % 1000 > 500 {
            values.reverse();
        }
        if tick == 250 {
            values.push(("once", f64::from_bits(0x7ff8_0000_0000_1234)));
        }
        rig.tick("host", at, &values);
        if tick % 60 == 0 {
            rig.tick("postgres/pg1", at + 500, &[("pg_up", 1.0), ("lag", -0.0)]);
        }
        if tick % 30 == 0 {
            rig.flush();
            rig.compact(at);
        }
    }
    rig
}

#[test]
fn every_sample_of_the_last_thousand_is_there_to_the_bit() {
    let rig = busy(8000);
    for key in ["count", "flat"] {
        let (held, expected) = (all(&rig.head, key), naive(&rig, key));
        assert!(held.len() >= 1000, "{key}: {}", held.len());
        assert_eq!(held, expected[expected.len() - held.len()..], "{key}");
    }
    assert_eq!(all(&rig.head, "pg_up"), naive(&rig, "pg_up"));
    assert_eq!(all(&rig.head, "lag"), naive(&rig, "lag"));
    let (at, value) = rig.head.latest("wave").unwrap();
    let (expected_at, expected) = rig.naive["wave"].iter().next_back().unwrap();
    assert_eq!((at.millis(), value), (*expected_at, *expected));
}

#[test]
fn a_restart_brings_back_what_was_flushed() {
    let mut rig = busy(8000);
    rig.flush();
    let head = rig.restarted();
    for key in ["count", "wave", "flat", "pg_up", "lag"] {
        let (held, expected) = (all(&head, key), naive(&rig, key));
        let line = rig.head.compacted_through().millis();
        let fresh = |all: &[(i64, u64)]| all.iter().copied().filter(|(at, _)| *at > line).collect::<Vec<_>>();
        assert_eq!(fresh(&held), fresh(&expected), "{key}");
        assert_eq!(held, expected[expected.len() - held.len()..], "{key}");
        assert_eq!(head.latest(key), rig.head.latest(key));
    }
    assert!(all(&head, "count").len() >= 1000);
    // A series that fell silent long ago is still known, with its last value.
    assert_eq!(
        head.latest("once").map(|(at, value)| (at, value.to_bits())),
        Some((Timestamp(START + 250_001), 0x7ff8_0000_0000_1234))
    );
    assert_eq!(head.stats().series, rig.head.stats().series);
}

#[test]
fn the_tail_brings_back_what_was_not_flushed() {
    let mut head = Head::new(options());
    let mut kept = Vec::new();
    let mut tail = tail::header(1, 1);
    let at = |tick: i64| Timestamp(START + tick * 1000);
    for tick in 1..=40 {
        let values = [("a", tick as f64), ("b", 5.0), ("new", 1.0)];
        head.append(
            "host",
            at(tick),
            &frame(if tick < 35 { &values[..2] } else { &values }),
            Some(&mut tail),
        );
        if tick == 30 {
            let block = head.seal().unwrap();
            head.flushed(&block.series);
            kept.push(block);
            tail = tail::header(1, 2);
        }
    }
    let mut back = Head::new(options());
    kept[0].series.iter().for_each(|row| back.restore_series(row));
    back.restore_block(&kept[0].bytes).unwrap();
    assert_eq!(back.replay_tail(&tail, 1), 4 * 2 + 6 * 3);
    for key in ["a", "b", "new"] {
        assert_eq!(all(&back, key), all(&head, key), "{key}");
    }
    // Again, as when the old and the new file overlap: nothing doubles.
    assert_eq!(back.replay_tail(&tail, 1), 0);
    // What came back is flushed next, the new series' row with it.
    let block = back.seal().unwrap();
    assert_eq!((block.samples, block.series.len()), (26, 1));
}

#[test]
fn ids_of_a_lost_flush_do_not_mix_up_series() {
    // The block with the rows of these series never reached the disk.
    let mut head = Head::new(options());
    let mut first = tail::header(1, 1);
    head.append("b", Timestamp(START), &frame(&[("late", 1.0)]), Some(&mut first));
    head.append("a", Timestamp(START), &frame(&[("early", 2.0)]), Some(&mut first));
    head.seal();
    let mut second = tail::header(1, 2);
    head.append("a", Timestamp(START + 1000), &frame(&[("early", 3.0)]), Some(&mut second));
    head.append("b", Timestamp(START + 1000), &frame(&[("late", 4.0)]), Some(&mut second));
    let mut back = Head::new(options());
    assert_eq!(back.replay_tail(&second, 1), 2);
    assert_eq!(back.latest("early").unwrap().1, 3.0);
    assert_eq!(back.latest("late").unwrap().1, 4.0);
}

#[test]
fn a_clock_that_stands_or_jumps_back_is_clamped() {
    let mut rig = Rig::new();
    assert_eq!(rig.tick("host", START + 5000, &[("a", 1.0)]).at, Timestamp(START + 5000));
    for asked in [START + 5000, START, START - 50_000] {
        let report = rig.tick("host", asked, &[("a", 2.0)]);
        assert!(report.at.millis() > START + 5000);
    }
    assert_eq!(all(&rig.head, "a"), naive(&rig, "a"));
    assert_eq!(rig.naive["a"].len(), 4);
    // Not into an hour that is being written either.
    rig.compact(START + 2 * HOUR_MS);
    let line = rig.head.compacted_through().millis();
    let report = rig.tick("other", line - 50_000, &[("b", 1.0)]);
    assert!(report.at > rig.head.compacted_through());
}

#[test]
fn the_cap_refuses_the_next_series_until_others_are_idle() {
    let mut head = Head::new(HeadOptions { max_series: 3, ..options() });
    let names = ["a", "b", "c", "d"].map(|name| (name, 1.0));
    let report = head.append("host", Timestamp(START), &frame(&names), None);
    assert_eq!((report.accepted, report.refused), (3, 1));
    assert!(head.latest("d").is_none());
    let report = head.append("host", Timestamp(START + 1000), &frame(&names), None);
    assert_eq!((report.accepted, report.refused), (3, 1));
    // Two of them fall silent for more than an hour.
    for minute in 1..=70 {
        head.append("host", Timestamp(START + minute * MINUTE_MS), &frame(&names[..1]), None);
    }
    let report = head.append("host", Timestamp(START + 71 * MINUTE_MS), &frame(&names), None);
    assert_eq!((report.accepted, report.refused), (3, 1), "a, b and c again, d is the next");
    assert_eq!(head.stats().refused_total, 3);
}

#[test]
fn idle_series_leave_the_index_when_asked() {
    let mut rig = Rig::new();
    rig.tick("host", START + 1000, &[("old", 1.0), ("young", 1.0)]);
    rig.tick("host", START + 3 * HOUR_MS, &[("young", 1.0)]);
    assert!(rig.head.retire(Timestamp(START + HOUR_MS)).is_empty(), "its sample is in no hour yet");
    rig.compact(START + 3 * HOUR_MS);
    assert_eq!(rig.head.retire(Timestamp(START + HOUR_MS)), [SeriesId(0)]);
    assert!(rig.head.latest("old").is_none());
    rig.tick("host", START + 4 * HOUR_MS, &[("young", 2.0), ("old", 9.0)]);
    assert_eq!(rig.head.latest("old").unwrap().1, 9.0);
    rig.flush();
    assert_eq!(
        rig.blocks[0].series.iter().map(|row| row.id.0).collect::<Vec<_>>(),
        [1, 2],
        "ids are not used twice"
    );
}

#[test]
fn a_key_twice_in_a_frame_counts_once() {
    let mut rig = Rig::new();
    for tick in 0..3 {
        let report = rig.tick("host", START + tick * 1000, &[("a", 1.0), ("a", 1.0), ("b", 2.0)]);
        assert_eq!((report.accepted, report.duplicate), (2, 1));
    }
    rig.flush();
    assert_eq!(all(&rig.head, "a").len(), 3);
}

#[test]
fn a_full_memory_sheds_the_oldest_and_counts_it() {
    let mut head = Head::new(HeadOptions { max_bytes: 20_000, keep: 10, ..options() });
    let mut value = 0.1f64;
    for tick in 1..20_000 {
        value = (value * 3.9 * (1.0 - value)).abs();
        head.append("host", Timestamp(START + tick * 1000), &frame(&[("noise", value)]), None);
    }
    head.seal();
    let stats = head.stats();
    assert!(stats.bytes <= 20_000 && stats.shed_total > 10_000, "{stats:?}");
    let held = head.samples("noise", Timestamp(0), Timestamp(i64::MAX));
    assert_eq!(held.len() as u64 + stats.shed_total, 19_999);
    assert_eq!(held[held.len() - 1].value, value);
}

#[test]
fn latest_values_come_family_by_family() {
    let mut head = Head::new(options());
    let mut frame = Frame::new();
    frame.family("h_x", Kind::Gauge, "").push(&[], 1.0);
    frame.family("h", Kind::Histogram, "help");
    frame.push_suffixed("_sum", &[], 1.0).push_suffixed("_bucket", &[("le", "1")], 2.0);
    head.append("host", Timestamp(START), &frame, None);
    let mut seen = Vec::new();
    head.visit_latest(Timestamp(START - 1), &mut |sample| {
        seen.push((sample.family.to_owned(), sample.key.to_owned(), sample.help.to_owned()));
    });
    let keys: Vec<&str> = seen.iter().map(|(_, key, _)| key.as_str()).collect();
    assert_eq!(keys, ["h_bucket{le=\"1\"}", "h_sum", "h_x"]);
    assert_eq!((seen[0].0.as_str(), seen[0].2.as_str()), ("h", "help"));
    let mut none = 0;
    head.visit_latest(Timestamp(START), &mut |_| none += 1);
    assert_eq!(none, 0);
}

#[test]
fn matchers_are_those_of_prometheus() {
    let mut head = Head::new(options());
    let mut frame = Frame::new();
    frame
        .gauge("up", "")
        .push(&[("job", "a"), ("path", "x\ny")], 1.0)
        .push(&[("job", "ab")], 1.0)
        .push(&[], 1.0);
    head.append("host", Timestamp(START), &frame, None);
    let count = |label: &str, op: MatchOp, value: &str| {
        let matcher = Matcher { label: label.to_owned(), op, value: value.to_owned() };
        let search = Search::new(&[Selector { matchers: vec![matcher] }])?;
        search.among(&head.keys(), 10).map(|found| head.describe(found, Timestamp(0)).len())
    };
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    for (label, op, value, expected) in [
        ("job", Equal, "a", 1),
        ("job", NotEqual, "a", 2),
        ("job", Equal, "", 1),
        ("job", Regex, "a", 1),
        ("job", Regex, "a.*", 2),
        ("job", Regex, "a|zz", 1),
        ("job", NotRegex, "a.*", 1),
        ("job", Regex, "", 1),
        ("path", Regex, "x.y", 1),
        ("__name__", Equal, "up", 3),
        ("__name__", Regex, "u.", 3),
        ("__name__", NotRegex, "u", 3),
    ] {
        assert_eq!(count(label, op, value).unwrap(), expected, "{label} {op:?} {value}");
    }
    // The last is short, but has hundreds of thousands of states.
    for bad in ["(", "a)(b", "[z", "(.{0,50}){0,40}zz"] {
        assert!(matches!(count("job", Regex, bad), Err(StoreError::BadMatcher { .. })), "{bad}");
    }
    assert!(matches!(
        Search::new(&[]).unwrap().among(&head.keys(), 2),
        Err(StoreError::TooManySeries { found: 3, limit: 2 })
    ));
}

#[test]
fn names_that_change_all_the_time_do_not_pile_up() {
    let mut head = Head::new(HeadOptions { max_series: 8, ..options() });
    for hour in 0..50i64 {
        let at = Timestamp(START + 2 * hour * HOUR_MS);
        let name = format!("name_{hour}");
        head.append("host", at, &frame(&[("always", 1.0), (&name, 1.0)]), None);
        assert!(head.stats().series <= 4 * 8, "{:?}", head.stats());
    }
    assert!(head.latest("always").is_some() && head.latest("name_49").is_some());
    assert!(head.latest("name_0").is_none());
    // Their rows go with the next that retire, and only once.
    assert_eq!(head.retire(Timestamp(START)).len(), 51 - head.stats().series);
    assert!(head.retire(Timestamp(START)).is_empty());
}

#[test]
fn an_import_of_old_samples_costs_no_new_ones() {
    let mut head = Head::new(HeadOptions { max_bytes: 20_000, keep: 10, ..options() });
    let id = head.intern("old", "old", Kind::Gauge, "", Timestamp(START + HOUR_MS)).unwrap();
    head.set_compacted_through(Timestamp(START - HOUR_MS));
    let sample = |at: i64| (id, Sample { at, value: (at as f64).sin() });
    for part in [2000..3000, 0..1000] {
        head.insert(&part.map(|second| sample(START + second * 1000)).collect::<Vec<_>>());
    }
    head.set_compacted_through(Timestamp(START + HOUR_MS));
    let mut value = 0.1f64;
    for tick in 1..1500 {
        value = (value * 3.9 * (1.0 - value)).abs();
        head.append("host", Timestamp(START + HOUR_MS + tick * 1000), &frame(&[("noise", value)]), None);
    }
    head.seal();
    assert_eq!(head.stats().shed_total, 0, "{:?}", head.stats());
    assert_eq!(all(&head, "noise").len(), 1499);
}

#[test]
fn while_memory_is_short_less_of_what_the_file_has_is_held_and_nothing_else_goes() {
    let mut rig = busy(8000);
    let line = rig.head.compacted_through().millis();
    let fresh = |head: &Head| all(head, "count").into_iter().filter(|(at, _)| *at > line).collect::<Vec<_>>();
    let (held, not_in_file) = (rig.head.stats().bytes, fresh(&rig.head));
    rig.head.keep_frames(10);
    let eased = rig.head.stats();
    assert!(eased.bytes < held, "{} of {held}", eased.bytes);
    assert_eq!((fresh(&rig.head), eased.shed_total), (not_in_file, 0));
    assert_eq!(all(&rig.head, "count"), fresh(&rig.head));
}
