//! Sums, averages, spreads and quantiles of values.
//!
//! Sums carry their rounding errors along (Kahan's summation as Neumaier improved it),
//! as Prometheus' do: the same numbers in the same order must give the same last digit.

/// A sum and what rounding took from it.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Sum {
    value: f64,
    lost: f64,
}

impl Sum {
    pub fn add(&mut self, value: f64) {
        let sum = self.value + value;
        if sum.is_infinite() {
            self.lost = 0.0;
        } else if self.value.abs() >= value.abs() {
            self.lost += (self.value - sum) + value;
        } else {
            self.lost += (value - sum) + self.value;
        }
        self.value = sum;
    }

    pub fn total(self) -> f64 {
        self.value + self.lost
    }

    fn scaled(self, by: f64) -> Self {
        Self { value: by * self.value, lost: by * self.lost }
    }
}

pub(super) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.for_each(|value| sum.add(value));
    sum.total()
}

/// The sum over the count while the sum fits a number, from there on the mean so far
/// moved by each value.
pub(super) fn average(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count, mut overflown) = (Sum::default(), 0.0, false);
    for value in values {
        count += 1.0;
        if !overflown {
            let mut next = sum;
            next.add(value);
            if count == 1.0 || !next.value.is_infinite() {
                sum = next;
                continue;
            }
            overflown = true;
            let before = count - 1.0;
            sum = Sum { value: sum.value / before, lost: sum.lost / before };
        }
        sum = sum.scaled((count - 1.0) / count);
        sum.add(value / count);
    }
    if overflown { sum.total() } else { sum.value / count + sum.lost / count }
}

/// The mean of the squared distances from the mean, as `stdvar_over_time` has it: by
/// Welford, with both sums compensated.
pub(super) fn variance_compensated(values: impl Iterator<Item = f64>) -> f64 {
    let (mut mean, mut squares, mut count) = (Sum::default(), Sum::default(), 0.0);
    for value in values {
        count += 1.0;
        let delta = value - mean.total();
        mean.add(delta / count);
        squares.add(delta * (value - mean.total()));
    }
    squares.total() / count
}

/// The same as `stdvar` has it, with plain sums.
pub(super) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut mean, mut squares, mut count) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        if count == 1.0 {
            mean = value;
            squares = if value.is_finite() { 0.0 } else { f64::NAN };
            continue;
        }
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}

/// The largest, or smallest; `NaN` only of nothing else.
pub(super) fn extreme(values: impl Iterator<Item = f64>, largest: bool) -> f64 {
    values.fold(f64::NAN, |found, value| {
        let better = if largest { value > found } else { value < found };
        if better || found.is_nan() { value } else { found }
    })
}

/// Interpolated between the two values around the rank; sorts them. `NaN` sorts first.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_what_rounding_takes() {
        assert_eq!(sum([1.0, 1e100, 1.0, -1e100].into_iter()), 2.0);
        assert_eq!(average([1.0, 1e100, 1.0, -1e100].into_iter()), 0.5);
        assert_eq!(average([1e308, 1e308].into_iter()), 1e308);
        assert_eq!(average([f64::INFINITY, 0.0].into_iter()), f64::INFINITY);
        assert!(average([f64::INFINITY, f64::NEG_INFINITY].into_iter()).is_nan());
        assert_eq!(sum([f64::INFINITY, 1.0].into_iter()), f64::INFINITY);
    }

    #[test]
    fn spreads() {
        // Mean 5, squared distances 9 + 1 + 1 + 9.
        for of in [
            variance([2.0, 4.0, 6.0, 8.0].into_iter()),
            variance_compensated([2.0, 4.0, 6.0, 8.0].into_iter()),
        ] {
            assert_eq!(of, 5.0);
        }
        assert!(variance([f64::INFINITY, 1.0].into_iter()).is_nan());
        assert!(variance([1.0, f64::NAN].into_iter()).is_nan());
    }

    #[test]
    fn not_a_number_is_an_extreme_of_nothing_else() {
        assert_eq!(extreme([f64::NAN, 2.0, f64::NAN, 3.0].into_iter(), true), 3.0);
        assert_eq!(extreme([2.0, f64::NAN, 3.0].into_iter(), false), 2.0);
        assert!(extreme([f64::NAN].into_iter(), false).is_nan());
    }

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0]), 2.0);
        assert_eq!(quantile(0.25, &mut [1.0, 2.0, 3.0, 4.0, 5.0]), 2.0);
        assert_eq!(quantile(1.0, &mut [1.0, 9.0]), 9.0);
        assert_eq!(quantile(-0.1, &mut [1.0]), f64::NEG_INFINITY);
        assert_eq!(quantile(1.1, &mut [1.0]), f64::INFINITY);
        assert_eq!(quantile(1.0, &mut [1.0, f64::NAN]), 1.0);
        assert!(quantile(f64::NAN, &mut [1.0]).is_nan() && quantile(0.5, &mut []).is_nan());
    }
}
