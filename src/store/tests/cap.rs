//! The cap: however long it runs, the file stays inside, and the newest history
//! stays with it.

use super::*;

fn run_hours(cap: u64, hours: i64, series: u64) -> (f64, u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir.path().join("holdfast.redb"));
    options.cap = cap;
    let clock = clock();
    let (store, _) = open(&options, &clock);
    let mut longest = 0;
    for turn in 1..=hours * 6 {
        for tick in (turn - 1) * 20 + 1..=turn * 20 {
            clock.advance(Duration::from_secs(30));
            store.append("host", Timestamp(START + tick * 30 * SECOND), &noisy_frame(tick, series));
        }
        block(store.flush(0)).unwrap();
        longest = longest.max(std::fs::metadata(&options.path).unwrap().len());
    }
    assert!(longest <= cap, "{longest} is more than the cap of {cap}");
    let stats = store.stats();
    assert_eq!(stats.samples_shed_total, 0);
    assert!(stats.raw_since_ms.unwrap() > START, "the cap was never reached: {stats:?}");
    assert!(stats.minute_since_ms <= stats.raw_since_ms);
    // Queries answer over the whole time, from whatever is left.
    let end = START + hours * HOUR;
    let answer = query(&store, stats.hour_since_ms.unwrap() + HOUR, end, HOUR).unwrap();
    assert_eq!(answer.series.len() as u64, series);
    block(store.close(0)).unwrap();
    let closed = std::fs::metadata(&options.path).unwrap().len();
    assert!(closed <= cap);
    drop(store);
    assert!(open(&options, &clock).1.clean);
    let used = stats.used_bytes as f64 / cap as f64;
    (used, stats.reopens_total)
}

#[test]
fn a_tiny_cap_is_respected_over_many_hours() {
    // Caps at, below and above what doubling would reach by itself.
    for cap in [4 << 20, (8 << 20) - 1, 6 << 20] {
        let (used, reopens) = run_hours(cap, 40, 100);
        println!("cap {cap}: {:.0} % used, {reopens} reopenings", used * 100.0);
        assert!(used > 0.6, "only {used:.2} of a cap of {cap} are used");
        assert_eq!(reopens, 0, "the ledger was wrong about a cap of {cap}");
    }
}

#[test]
fn trimmed_probes_and_audit_rows_take_no_room() {
    use crate::base::id::Name;
    use crate::model::probe::{OutcomeClass, ProbeRecord};
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir.path().join("holdfast.redb"));
    options.cap = 4 << 20;
    let clock = clock();
    let (store, _) = open(&options, &clock);
    let mut probe = ProbeRecord {
        target: Name::new("pg1").unwrap(),
        kind: String::from("postgres"),
        at: Timestamp(START),
        class: OutcomeClass::Ok,
        latency_ms: 1.0,
        operations: Vec::new(),
    };
    // 2,000 probes are kept of the 28,800 that come.
    for turn in 1..=8 * 12 {
        for second in (turn - 1) * 300 + 1..=turn * 300 {
            clock.advance(Duration::from_secs(1));
            probe.at = Timestamp(START + second * SECOND);
            store.record_probe(&probe);
            if second % 30 == 0 {
                append(&store, START + second * SECOND, 3, 1.0);
            }
        }
        block(store.flush(0)).unwrap();
    }
    let stats = store.stats();
    assert_eq!(stats.raw_since_ms, Some(START), "history gave way to rows that are gone: {stats:?}");
    let rows = crate::store::shared::lock(&store.inner.shared.ledger).rows;
    assert!((2000..2100).contains(&rows), "{rows}");
}

#[test]
fn an_import_near_the_cap_costs_no_rows() {
    use crate::model::access::AuditEntry;
    use crate::model::series::Kind;
    use crate::store::ImportSample;
    const HOURS: i64 = 24;
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir.path().join("holdfast.redb"));
    options.cap = 4 << 20;
    let clock = clock();
    let (store, _) = open(&options, &clock);
    for tick in 1..=HOURS * 720 {
        clock.advance(Duration::from_secs(5));
        store.append("host", Timestamp(START + tick * 5 * SECOND), &noisy_frame(tick, 32));
        if tick % 120 == 0 {
            block(store.flush(0)).unwrap();
        }
    }
    let raw_since = store.stats().raw_since_ms.unwrap();
    assert!(raw_since > START, "the cap was never reached");
    let hour_rows = |from: i64| {
        let end = START + (HOURS - 1) * HOUR;
        let answer = query(&store, from + HOUR, end, 10 * 60 * SECOND).unwrap();
        let own = answer.series.iter().filter(|series| series.key.contains("n=\""));
        let points = own.flat_map(|series| series.points.iter());
        points.filter(|value| !crate::model::query::is_no_value(**value)).count()
    };
    let before = hour_rows(raw_since);
    // As much again for every hour whose samples are there.
    let mut samples = Vec::new();
    for tick in (raw_since - START) / (5 * SECOND) + 1..(HOURS - 1) * 720 {
        for number in 0..50 {
            samples.push(ImportSample {
                key: format!("test_value{{old=\"{number}\"}}"),
                family: String::from("test_value"),
                kind: Kind::Gauge,
                help: String::from("A value."),
                at: Timestamp(START + tick * 5 * SECOND),
                value: noise(-tick, number),
            });
        }
    }
    let [who, action, object, detail] = ["test", "import", "", ""].map(String::from);
    let audit = AuditEntry { at: Timestamp(START), who, action, object, detail };
    let offered = samples.len() as u64;
    let report = block(store.import(samples, audit)).unwrap();
    assert!(report.out_of_range > 0, "nothing gave way: {report:?}");
    assert_eq!(report.accepted + report.out_of_range, offered);
    assert_eq!(hour_rows(raw_since), before, "rows of a minute were made anew from a part of the samples");
}
