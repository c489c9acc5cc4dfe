//! Random series against a life cycle written as plainly as can be: it keeps every reading
//! in a list, knows one label set, and looks back through the list for every duration.

use proptest::prelude::*;

use super::*;

use AlertState::{Error, Firing, Inactive, Nodata, Pending, Recovering};

/// One reading: when, and the worst level that held; none where there was no data.
type Line = (u64, Option<Option<Severity>>);

struct Naive {
    levels: bool,
    absent: Absent,
    hold: u64,
    clear_for: u64,
    grace: u64,
    list: Vec<Line>,
    state: AlertState,
    severity: Severity,
    /// It fired in this episode, and whether for a value.
    fired: bool,
    valued: bool,
    since: u64,
}

impl Naive {
    /// The worst level that the value is beyond, or has not left if it is the one that fires.
    fn worst(&self, value: f64) -> Option<Severity> {
        if !self.levels {
            return Some(Severity::High);
        }
        let fires =
            self.valued && (self.state == Firing || (self.fired && [Nodata, Error].contains(&self.state)));
        let stays = |level: Severity, clear: f64| fires && self.severity >= level && value >= clear;
        if value >= 95.0 || stays(Severity::Critical, 93.0) {
            Some(Severity::Critical)
        } else if value >= 80.0 || stays(Severity::Medium, 78.0) {
            Some(Severity::Medium)
        } else {
            None
        }
    }

    /// Since when every reading was at `level` or worse.
    fn held(&self, level: Severity) -> Option<u64> {
        let readings = self.list.iter().rev().filter_map(|(at, worst)| Some((*at, (*worst)?)));
        readings.take_while(|(_, worst)| *worst >= Some(level)).last().map(|(at, _)| at)
    }

    fn enter(&mut self, state: AlertState, now: u64) {
        (self.state, self.since) = (state, now);
    }

    fn step(&mut self, now: u64, value: Option<f64>) {
        let value = value.filter(|value| !self.levels || !value.is_nan());
        let Some(value) = value else {
            if !self.levels || self.absent == Absent::Ok {
                self.list.push((now, Some(None)));
                return self.clear(now);
            }
            return self.missing(now);
        };
        let ends = [Nodata, Error].contains(&self.state) && !self.fired;
        if ends {
            self.list.clear();
            self.enter(Inactive, now);
        }
        let worst = self.worst(value);
        self.list.push((now, Some(worst)));
        let standing =
            (self.fired && self.state != Pending && self.state != Inactive).then_some(self.severity);
        let levels = [Severity::Critical, Severity::High, Severity::Medium];
        let inside = |level: &Severity| {
            worst.is_some_and(|worst| worst >= *level)
                && (standing.is_some_and(|standing| *level <= standing)
                    || self.held(*level).is_some_and(|since| now - since >= self.hold))
        };
        let own = |level: &Severity| self.levels == (*level != Severity::High);
        let level = levels.iter().filter(|level| own(level)).find(|level| inside(level)).copied();
        match (level, worst) {
            (Some(level), _) => {
                self.severity = level;
                (self.fired, self.valued) = (true, true);
                if self.state != Firing {
                    self.enter(Firing, now);
                }
            }
            (None, Some(_)) if self.state == Inactive => self.enter(Pending, now),
            (None, Some(_)) => {}
            (None, None) => self.clear(now),
        }
    }

    fn clear(&mut self, now: u64) {
        match self.state {
            Firing | Nodata | Error if self.fired && self.clear_for > 0 => self.enter(Recovering, now),
            Recovering if now - self.since < self.clear_for => {}
            _ => {
                self.enter(Inactive, now);
                (self.fired, self.valued) = (false, false);
            }
        }
    }

    fn missing(&mut self, now: u64) {
        self.list.push((now, None));
        let first = self.list.iter().rev().take_while(|(_, worst)| worst.is_none()).last();
        let known = self.list.iter().any(|(_, worst)| worst.is_some());
        if !known || now - first.map_or(now, |(at, _)| *at) < self.grace {
            return;
        }
        let to = match self.absent {
            Absent::Alert => Firing,
            Absent::Error => Error,
            Absent::Keep | Absent::Ok => Nodata,
        };
        if self.state == to {
            return;
        }
        if self.state == Inactive {
            (self.severity, self.valued) = (Severity::Medium, false);
        }
        if self.state == Pending {
            // A level that was pending fires as what it would have fired as.
            let longest = self.held(Severity::Medium);
            let critical = self.held(Severity::Critical) == longest;
            self.severity = if critical { Severity::Critical } else { Severity::Medium };
            self.valued = true;
        }
        if self.state == Recovering {
            self.valued = false;
        }
        self.fired |= to == Firing;
        self.enter(to, now);
    }
}

fn values() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        1 => Just(None),
        1 => Just(Some(f64::NAN)),
        8 => prop::sample::select(vec![0.0, 77.9, 78.0, 79.0, 80.0, 92.9, 93.0, 94.0, 95.0, f64::INFINITY])
            .prop_map(Some),
    ]
}

fn absences() -> impl Strategy<Value = Absent> {
    prop::sample::select(vec![Absent::Keep, Absent::Ok, Absent::Alert, Absent::Error])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_states_are_those_of_a_list(
        levels: bool,
        absent in absences(),
        hold in prop::sample::select(vec![0u64, 20, 60]),
        clear_for in prop::sample::select(vec![0u64, 20, 60]),
        grace in prop::sample::select(vec![0u64, 15, 40]),
        // Runs make long times likely enough.
        series in prop::collection::vec((values(), 1u64..30, 1usize..5), 1..40),
    ) {
        let mut rule = level_rule(|levels| {
            (levels.absent, levels.clear_for, levels.absent_grace) =
                (absent, seconds(clear_for), seconds(grace));
        });
        if !levels {
            rule = prometheus_rule(seconds(clear_for));
        }
        rule.hold = seconds(hold);
        let mut table = Table::new(rule);
        let start = table.now.wall;
        let mut naive = Naive {
            levels, absent, hold, clear_for, grace,
            list: Vec::new(), state: Inactive, severity: Severity::Medium,
            fired: false, valued: false, since: 0,
        };
        let mut now = 0;
        for (value, gap, times) in series {
            for _ in 0..times {
                now += gap;
                let samples: Vec<_> = value.map(|value| ("a", value)).into_iter().collect();
                table.wait(gap).step(&samples);
                naive.step(now, value);
                let shown = table.state.alerts().next();
                let state = shown.map_or(Inactive, |alert| alert.state);
                prop_assert_eq!(state, naive.state, "at {} after {:?}", now, value);
                if let Some(alert) = shown {
                    prop_assert_eq!(alert.since.since(start), seconds(naive.since));
                    if state != Pending {
                        prop_assert_eq!(alert.severity, naive.severity, "at {}", now);
                    }
                }
            }
        }
    }
}
