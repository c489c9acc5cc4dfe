//! A clock that runs ahead and comes back.

use super::*;

const DAY: i64 = 24 * HOUR;

/// The points of the first series, `None` for none.
fn points(store: &Store, start: i64, end: i64) -> Vec<f64> {
    let answer = query(store, start, end, SECOND).unwrap();
    answer.series.first().map_or_else(Vec::new, |series| series.points.clone())
}

#[test]
fn history_goes_on_at_real_time_after_a_jump_there_and_back() {
    for jump in [12 * HOUR, 31 * DAY] {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut options = options(&dir.path().join("holdfast.redb"));
        options.tail = Some(Some(dir.path().join("tail")));
        let clock = clock();
        let (mut store, _) = open(&options, &clock);
        let tick = |store: &Store, at: i64, value: f64| {
            clock.jump_to(Timestamp(at));
            append(store, at, 1, value);
        };
        let real = |second: i64| START + second * SECOND;
        for second in 1..=60 {
            tick(&store, real(second), second as f64);
        }
        // The hour at hand is closed in there, and one of the future.
        for (hour, second) in [(0, 0), (0, 1), (2, 0), (2, 1)] {
            tick(&store, real(61 + second) + jump + hour * HOUR, -1.0);
            block(store.flush(0)).unwrap();
        }
        for second in 61..=120 {
            tick(&store, real(second), second as f64);
        }
        let new: Vec<f64> = (61..=120).map(f64::from).collect();
        let check = |store: &Store, when: &str| {
            assert_eq!(points(store, real(61), real(120)), new, "{when}, {jump}");
            let latest = store.latest("test_value{n=\"0\"}");
            assert_eq!(latest, Some((Timestamp(real(120)), 120.0)), "{when}, {jump}");
        };
        check(&store, "at once");
        // Killed before and after a flush.
        drop(store);
        store = open(&options, &clock).0;
        check(&store, "from the tail");
        block(store.flush(0)).unwrap();
        drop(store);
        store = open(&options, &clock).0;
        check(&store, "from the blocks");
        // The hour closes again, with what was in it before.
        let closed = START + HOUR + 10 * SECOND;
        tick(&store, closed, 7.0);
        let before = store.stats().compactions_total;
        block(store.flush(0)).unwrap();
        assert!(store.stats().compactions_total > before, "{jump}");
        drop(store);
        store = open(&options, &clock).0;
        tick(&store, closed + SECOND, 8.0);
        assert_eq!(points(&store, real(61), real(120)), new, "closed, {jump}");
        assert_eq!(points(&store, closed, closed + SECOND), [7.0, 8.0], "{jump}");
        if jump < DAY {
            let old: Vec<f64> = (1..=60).map(f64::from).collect();
            assert_eq!(points(&store, real(1), real(60)), old, "not retired: {jump}");
        }
    }
}
