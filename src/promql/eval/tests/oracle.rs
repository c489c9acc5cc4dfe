//! Windows against a reading that looks at every sample for every step.

use proptest::prelude::*;

use super::*;

fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![
        6 => (-20i32..100).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(no_value()),
    ];
    proptest::collection::btree_map(0i64..300, value, 0..40)
        .prop_map(|samples| samples.into_iter().map(|(at, value)| (at * 1000, value)).collect())
}

fn is_marker(value: f64) -> bool {
    value.to_bits() == no_value().to_bits()
}

/// The function by its definition; `None` where it has no value.
fn naive(function: &str, window: &[(i64, f64)], start: i64, end: i64) -> Option<f64> {
    let values: Vec<f64> = window.iter().map(|(_, value)| *value).collect();
    let (first, last) = (window.first()?, window.last()?);
    match function {
        "count_over_time" => Some(values.len() as f64),
        "last_over_time" => Some(last.1),
        "changes" => {
            let differs = |pair: &&[f64]| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan());
            Some(values.windows(2).filter(differs).count() as f64)
        }
        "max_over_time" => {
            let numbers = values.iter().copied().filter(|value| !value.is_nan());
            Some(numbers.reduce(f64::max).unwrap_or(f64::NAN))
        }
        _ if window.len() < 2 => None,
        _ => {
            let lost: f64 = values.windows(2).filter(|pair| pair[1] < pair[0]).map(|pair| pair[0]).sum();
            let grown = last.1 - first.1 + lost;
            let distance = (last.0 - first.0) as f64 / (values.len() - 1) as f64;
            let (mut left, mut right) = ((first.0 - start) as f64, (end - last.0) as f64);
            if left >= 1.1 * distance {
                left = distance / 2.0;
            }
            if right >= 1.1 * distance {
                right = distance / 2.0;
            }
            let sampled = (last.0 - first.0) as f64;
            if grown > 0.0 && first.1 >= 0.0 {
                left = left.min(sampled * first.1 / grown);
            }
            Some(grown * (sampled + left + right) / sampled)
        }
    }
}

proptest! {
    #[test]
    fn every_step_sees_its_own_window(
        samples in samples(),
        range_seconds in 1i64..120,
        step in 1i64..50,
        offset in -60i64..60,
        which in 0usize..5,
    ) {
        let function = ["increase", "count_over_time", "last_over_time", "changes", "max_over_time"][which];
        let series = vec![Series::new(Labels::from_key("m"), samples.clone())];
        let memory = Memory { series, ..Memory::default() };
        let expr = parse(&format!("{function}(m[{range_seconds}] offset {offset})")).unwrap();
        let found = range(&expr, 0, 400_000, Duration::from_secs(step as u64), &memory, &limits()).unwrap().value;
        let mut points = found.first().map(|series| series.points.clone()).unwrap_or_default().into_iter().peekable();
        for at in (0..=400).step_by(step as usize).map(|second| second * 1000) {
            let end = at - offset * 1000;
            let start = end - range_seconds * 1000;
            let inside = |sample: &(i64, f64)| sample.0 > start && sample.0 <= end && !is_marker(sample.1);
            let window: Vec<(i64, f64)> = samples.iter().copied().filter(inside).collect();
            let point = points.next_if(|(time, _)| *time == at).map(|(_, value)| value);
            match (naive(function, &window, start, end), point) {
                (None, None) => {}
                (Some(a), Some(b)) if a.is_nan() && b.is_nan() => {}
                (Some(a), Some(b)) => prop_assert!((a - b).abs() <= 1e-9 * a.abs().max(1.0), "{at}: {a} {b}"),
                (expected, found) => prop_assert!(false, "{}: {:?} {:?}", at, expected, found),
            }
        }
    }
}
