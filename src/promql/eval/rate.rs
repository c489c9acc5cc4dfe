//! How samples move within a window: rates, slopes, changes.
//!
//! The formulas are those of Prometheus 3; see its documentation of `rate` for what
//! extrapolation is meant to do.

use super::stats::Sum;
use super::window::View;

type Points<'a> = &'a [(i64, f64)];

/// `rate`, `increase` and `delta`: the difference of the last and the first value (of a
/// counter with what was lost at resets), stretched from between the first and the last
/// sample to the window, and divided by `per`.
///
/// It is stretched to the window's edge if the next sample would be about there: nearer
/// than 1.1 times the mean distance of samples. Otherwise the series is taken to begin
/// or end within the window, half a distance beyond its samples. A counter is not
/// stretched to before it was zero.
pub(super) fn extrapolated(points: Points<'_>, view: &View<'_>, counter: bool, per: f64) -> Option<f64> {
    let [(first_at, first), .., (last_at, last)] = points else { return None };
    let mut grown = last - first;
    if counter {
        for pair in points.windows(2) {
            if pair[1].1 < pair[0].1 {
                grown += pair[0].1;
            }
        }
    }
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let sampled = seconds(last_at - first_at);
    let distance = sampled / (points.len() - 1) as f64;
    let threshold = distance * 1.1;
    let reach = |gap: f64| if gap >= threshold { distance / 2.0 } else { gap };
    let mut to_start = reach(seconds(first_at - view.start));
    if counter && grown > 0.0 && *first >= 0.0 {
        let to_zero = sampled * (first / grown);
        if to_zero < to_start {
            to_start = to_zero;
        }
    }
    let to_end = reach(seconds(view.end - last_at));
    // Prometheus rounds four times on this way and so errs by a unit or two of the last
    // place; with one division a steady counter has its exact rate.
    Some(grown * (sampled + to_start + to_end) / (sampled * per))
}

/// `irate` (per second, a reset counts from zero) and `idelta`: the last two samples.
pub(super) fn last_two(points: Points<'_>, rate: bool) -> Option<f64> {
    let [.., (before_at, before), (at, last)] = points else { return None };
    let ms = at - before_at;
    if ms == 0 {
        return None;
    }
    let grown = if rate && last < before { *last } else { last - before };
    Some(if rate { grown / (ms as f64 / 1000.0) } else { grown })
}

/// How often a value differs from the one before; `NaN` does not differ from `NaN`.
pub(super) fn changes(points: Points<'_>) -> f64 {
    let changed = |pair: &&[(i64, f64)]| {
        let (before, after) = (pair[0].1, pair[1].1);
        before != after && !(before.is_nan() && after.is_nan())
    };
    points.windows(2).filter(changed).count() as f64
}

/// How often a value is below the one before.
pub(super) fn resets(points: Points<'_>) -> f64 {
    points.windows(2).filter(|pair| pair[1].1 < pair[0].1).count() as f64
}

/// `deriv`: the slope per second of the line through the samples.
pub(super) fn slope(points: Points<'_>) -> Option<f64> {
    // From the first sample: from 1970 the squares would eat the digits.
    regression(points, points.first()?.0).map(|(slope, _)| slope)
}

/// `predict_linear`: where the line through the samples is so many seconds from `now`.
pub(super) fn predicted(points: Points<'_>, now: i64, seconds: f64) -> Option<f64> {
    regression(points, now).map(|(slope, intercept)| slope * seconds + intercept)
}

/// The line of least squares: its slope per second, and its value at `origin`.
fn regression(points: Points<'_>, origin: i64) -> Option<(f64, f64)> {
    let [(_, first), _, ..] = points else { return None };
    if points.iter().all(|(_, value)| value == first) {
        // Exact, and defined where the sums below are not.
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, *first) });
    }
    let (mut x_sum, mut y_sum, mut xy_sum, mut x2_sum) =
        (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for (at, y) in points {
        let x = (at - origin) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(*y);
        xy_sum.add(x * y);
        x2_sum.add(x * x);
    }
    let n = points.len() as f64;
    let (x, y) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x * y / n;
    let variance = x2_sum.total() - x * x / n;
    let slope = covariance / variance;
    Some((slope, y / n - slope * x / n))
}
