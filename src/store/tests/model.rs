//! The store against a plain map: whatever is appended, flushed, compacted,
//! imported and reopened, in whatever order, the same samples come back.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::access::AuditEntry;
use crate::model::query::{SamplesQuery, is_no_value};
use crate::model::series::Kind;
use crate::store::ImportSample;

const STEP: i64 = 60 * SECOND;

#[derive(Clone, Debug)]
enum Action {
    /// So many ticks of a minute, with a value for series 0 and, when odd, 1.
    Append(Vec<i32>),
    /// Time passes without samples.
    Pause(u8),
    Flush,
    Reopen,
    Close,
    /// Backfill so many minutes before now.
    Import(u16, i32),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => prop::collection::vec(-1000..1000i32, 1..40).prop_map(Action::Append),
        1 => (1..90u8).prop_map(Action::Pause),
        4 => Just(Action::Flush),
        1 => Just(Action::Reopen),
        1 => Just(Action::Close),
        2 => (1..300u16, -1000..1000i32).prop_map(|(back, value)| Action::Import(back, value)),
    ]
}

fn series(number: usize) -> String {
    format!("test_value{{n=\"{number}\"}}")
}

fn imported(at: i64, value: f64) -> ImportSample {
    ImportSample {
        key: series(0),
        family: String::from("test_value"),
        kind: Kind::Gauge,
        help: String::from("A value."),
        at: Timestamp(at),
        value,
    }
}

fn audit(at: i64) -> AuditEntry {
    let [who, action, object, detail] = ["test", "import", "", ""].map(String::from);
    AuditEntry { at: Timestamp(at), who, action, object, detail }
}

/// The step is the distance of the samples and the lookback one step, so each
/// point is the sample of that time or nothing.
fn stored(store: &Store, now: i64) -> [BTreeMap<i64, f64>; 2] {
    let question = RangeQuery {
        selector: Selector::name("test_value"),
        start: Timestamp(START - 400 * STEP),
        end: Timestamp(now),
        step: Duration::from_millis(STEP as u64),
        lookback: Duration::from_millis(STEP as u64),
        max_series: 10,
        max_points: 1_000_000,
    };
    let answer = store.query_range(&question).unwrap();
    [0, 1].map(|number| {
        let found = answer.series.iter().find(|found| found.key == series(number));
        let points = found.map(|found| found.points.as_slice()).unwrap_or_default();
        let times = (0i64..).map(|index| START - 400 * STEP + index * STEP);
        times.zip(points.iter().copied()).filter(|(_, value)| !is_no_value(*value)).collect()
    })
}

/// The same from the samples themselves. A row of a minute is of the one sample at its end.
fn sampled(store: &Store, now: i64) -> [BTreeMap<i64, f64>; 2] {
    let question = SamplesQuery {
        selector: Selector::name("test_value"),
        finest: crate::model::query::Resolution::Raw,
        from: Timestamp(START - 401 * STEP),
        to: Timestamp(now),
        max_series: 10,
        max_samples: 1_000_000,
    };
    let answer = store.samples(&question).unwrap();
    [0, 1].map(|number| {
        let found = answer.series.iter().filter(|found| found.key == series(number));
        found
            .flat_map(|found| found.rows.iter().map(|row| (row.end, row.last)).chain(found.samples()))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_samples_come_back(actions in prop::collection::vec(action(), 1..40)) {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut options = options(&dir.path().join("holdfast.redb"));
        options.tail = Some(Some(dir.path().join("tail")));
        let clock = clock();
        let mut store = open(&options, &clock).0;
        let mut model = [BTreeMap::new(), BTreeMap::new()];
        let mut now = START;
        for action in actions {
            match action {
                Action::Append(values) => for value in values {
                    now += STEP;
                    clock.advance(Duration::from_millis(STEP as u64));
                    let count = 1 + usize::from(value % 2 != 0);
                    append(&store, now, count, f64::from(value));
                    for (number, samples) in model.iter_mut().enumerate().take(count) {
                        samples.insert(now, f64::from(value) + number as f64);
                    }
                },
                Action::Pause(minutes) => {
                    now += i64::from(minutes) * STEP;
                    clock.advance(Duration::from_millis((i64::from(minutes) * STEP) as u64));
                }
                Action::Flush => block(store.flush(0)).unwrap(),
                Action::Reopen => {
                    drop(store);
                    store = open(&options, &clock).0;
                }
                Action::Close => {
                    block(store.close(0)).unwrap();
                    drop(store);
                    store = open(&options, &clock).0;
                }
                Action::Import(back, value) => {
                    let at = now - i64::from(back) * STEP;
                    let sample = imported(at, f64::from(value));
                    let report = block(store.import(vec![sample], audit(at))).unwrap();
                    let new = !model[0].contains_key(&at);
                    prop_assert_eq!((report.accepted, report.duplicate), (u64::from(new), u64::from(!new)));
                    model[0].entry(at).or_insert(f64::from(value));
                }
            }
            let found = stored(&store, now);
            prop_assert_eq!(&found, &model);
            prop_assert_eq!(&sampled(&store, now), &model);
        }
    }
}
