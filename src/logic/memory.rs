//! From what is seen of memory to how hard it presses.
//!
//! ```text
//!        a look past the next bound            60 s below the bound of this step, by a tenth
//! none --------> low --------> high --------> critical
//!      <--------     <--------      <--------
//! ```
//! One step at a look: what was given back at this one shows at the next. Back is slow and
//! needs more than being just below, because what is given back is what brought it below:
//! one would get it wrong by one bound for both ways, and fill the caches only to empty them.

use std::time::Duration;

use crate::base::time::Monotonic;
use crate::model::memory::{Pressure, Reading};

/// Share of a limit, and percent of time waited, from which on each step is wanted.
const BOUNDS: [(Pressure, f64, f64); 3] =
    [(Pressure::Low, 0.85, 10.0), (Pressure::High, 0.92, 25.0), (Pressure::Critical, 0.97, 50.0)];
/// So far below its bound a step is left.
const MARGIN: f64 = 0.1;
/// The same for time waited, as a part of its bound.
const WAITED: f64 = 0.5;
/// For so long it must stay there.
const CALM: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Course {
    pressure: Pressure,
    calm_since: Option<Monotonic>,
}

impl Course {
    pub fn pressure(&self) -> Pressure {
        self.pressure
    }

    /// Takes one look; what it was before when that changes it.
    pub fn look(&mut self, reading: &Reading, now: Monotonic) -> Option<Pressure> {
        let before = self.pressure;
        if wanted(reading) > before {
            self.calm_since = None;
            self.pressure = step(before, 1);
        } else if before != Pressure::None && is_calm(reading, before) {
            let since = *self.calm_since.get_or_insert(now);
            if now.since(since) >= CALM {
                self.pressure = step(before, -1);
                self.calm_since = Some(now);
            }
        } else {
            self.calm_since = None;
        }
        (self.pressure != before).then_some(before)
    }
}

fn step(from: Pressure, by: isize) -> Pressure {
    let at = usize::from(from.step()).saturating_add_signed(by);
    Pressure::ALL.get(at).copied().unwrap_or(from)
}

/// A figure that is none counts as nothing.
fn figures(reading: &Reading) -> (f64, f64) {
    let share = reading.uses.iter().map(|used| used.share()).fold(0.0, f64::max);
    (share, reading.waited_percent.filter(|waited| waited.is_finite()).unwrap_or(0.0))
}

fn wanted(reading: &Reading) -> Pressure {
    let (share, waited) = figures(reading);
    let past = BOUNDS.iter().rev().find(|(_, most, wait)| share >= *most || waited >= *wait);
    past.map_or(Pressure::None, |(pressure, ..)| *pressure)
}

fn is_calm(reading: &Reading, at: Pressure) -> bool {
    let (share, waited) = figures(reading);
    let bound = BOUNDS.iter().find(|(pressure, ..)| *pressure == at);
    bound.is_none_or(|(_, most, wait)| share < most - MARGIN && waited < wait * WAITED)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::memory::{Scope, Use};

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn used(percent: u64) -> Reading {
        let used = Use { scope: Scope::Process, used_bytes: percent, limit_bytes: 100 };
        Reading { uses: vec![used], ..Reading::default() }
    }

    fn waited(percent: f64) -> Reading {
        Reading { waited_percent: Some(percent), ..Reading::default() }
    }

    #[test]
    fn pressure_grows_a_step_at_a_look_and_goes_back_slowly() {
        let mut course = Course::default();
        assert_eq!(course.look(&used(84), at(0)), None);
        let grown: Vec<_> =
            (1..=4).map(|second| (course.look(&used(99), at(second)), course.pressure())).collect();
        let expected = [
            (Some(Pressure::None), Pressure::Low),
            (Some(Pressure::Low), Pressure::High),
            (Some(Pressure::High), Pressure::Critical),
            (None, Pressure::Critical),
        ];
        assert_eq!(grown, expected);
        // Just below the bound is not calm, and a peak in between begins anew.
        assert!((5..200).all(|second| course.look(&used(90), at(second)).is_none()));
        assert!((200..259).all(|second| course.look(&used(70), at(second)).is_none()));
        assert_eq!(course.look(&used(95), at(259)), None);
        assert!((260..320).all(|second| course.look(&used(70), at(second)).is_none()));
        let back: Vec<u64> =
            (320..600).filter(|second| course.look(&used(70), at(*second)).is_some()).collect();
        assert_eq!((back, course.pressure()), (vec![320, 380, 440], Pressure::None));
    }

    #[test]
    fn waiting_for_memory_presses_without_any_limit() {
        let mut course = Course::default();
        assert_eq!(course.look(&waited(9.9), at(0)), None);
        assert_eq!(course.look(&waited(10.0), at(1)), Some(Pressure::None));
        assert!((2..100).all(|second| course.look(&waited(6.0), at(second)).is_none()), "not calm yet");
        assert_eq!(course.look(&waited(f64::NAN), at(100)), None);
        assert_eq!(course.look(&Reading::default(), at(160)), Some(Pressure::Low));
    }

    #[test]
    fn the_tightest_limit_counts() {
        let mut course = Course::default();
        let mut reading = used(10);
        reading.uses.push(Use { scope: Scope::Group, used_bytes: 93, limit_bytes: 100 });
        reading.uses.push(Use { scope: Scope::Group, used_bytes: 93, limit_bytes: 0 });
        course.look(&reading, at(0));
        course.look(&reading, at(5));
        course.look(&reading, at(10));
        assert_eq!(course.pressure(), Pressure::High);
    }

    proptest! {
        #[test]
        fn never_more_than_a_step_and_never_back_within_a_minute(
            looks in prop::collection::vec((0_u64..130, 0.0..100.0_f64), 1..200),
        ) {
            let mut course = Course::default();
            let mut grown_at = 0;
            for (second, (percent, wait)) in looks.into_iter().enumerate() {
                let reading = Reading { waited_percent: Some(wait), ..used(percent) };
                let second = second as u64;
                let before = course.pressure();
                let told = course.look(&reading, at(second));
                let now = course.pressure();
                prop_assert!(now.step().abs_diff(before.step()) <= 1);
                prop_assert_eq!(told, (now != before).then_some(before));
                if now > before {
                    grown_at = second;
                }
                prop_assert!(now >= before || second - grown_at >= 60);
            }
        }
    }
}
