//! The head as the source of rules: asked the same every second, so what was found once
//! is kept.
//!
//! A selector is resolved to series when series come or go, not when it is asked. Of an
//! instant selector only the newest sample of each series is looked at. Of a short range
//! the samples are kept beside the rule and each round adds what is new; the count that
//! the store keeps per series says whether that was one sample, else the window is read
//! anew. Long ranges are read from the store each time: their rules run seldom. One would
//! get it wrong by keeping answers: the window moves although no sample came.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use crate::model::selector::{MatchOp, Matcher};
use crate::model::series::name_of;
use crate::promql::Labels;
use crate::promql::labels::NAME;
use crate::promql::regex;
use crate::promql::source::{Request, Series, Source, SourceError};
use crate::store::ring::Keys;
use crate::store::{NewestSample, Store, StoreSource};

/// Longer windows are not kept, ms.
const KEPT_UP_TO: i64 = 10 * 60_000;
/// Samples kept at most over all windows, 16 bytes each: a minute of ten thousand series.
/// A window beyond it is read from the store in each round.
const MOST_KEPT: usize = 700_000;
/// A selector that was not asked for so many rounds is forgotten.
const IDLE_ROUNDS: u64 = 120;

/// See the module.
pub struct HeadSource {
    store: Store,
    stored: StoreSource,
    state: RefCell<State>,
    /// Of the fullest window since the rule began.
    filled: Cell<Option<f64>>,
}

#[derive(Default)]
struct State {
    keys: Option<Keys>,
    /// Where the series of a metric stand among the keys.
    names: HashMap<Box<str>, Range<usize>>,
    labels: HashMap<u32, Labels>,
    selectors: HashMap<Asked, Found>,
    kept: usize,
    round: u64,
}

/// Which selector of which rule: the place of its matchers in memory, and how far it
/// looks back. Verified against the matchers, so a place that was used again is harmless.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Asked {
    place: usize,
    span: i64,
}

struct Found {
    matchers: Vec<Matcher>,
    /// For which keys it was resolved.
    keys: Option<Keys>,
    ids: Vec<u32>,
    labels: Vec<Labels>,
    window: Option<Window>,
    round: u64,
}

/// Samples of a range, for each series of the selector in its order.
struct Window {
    to: i64,
    series: Vec<Held>,
}

impl Window {
    /// For other series: those that stay keep their samples.
    fn for_series(self, before: &[u32], now: &[u32]) -> Self {
        let mut held: HashMap<u32, Held> = before.iter().copied().zip(self.series).collect();
        let series = now.iter().map(|id| held.remove(id).unwrap_or_default()).collect();
        Self { to: self.to, series }
    }
}

#[derive(Default)]
struct Held {
    count: u32,
    samples: VecDeque<(i64, f64)>,
}

impl HeadSource {
    pub fn new(store: Store) -> Self {
        Self {
            stored: StoreSource::new(store.clone()),
            store,
            state: RefCell::default(),
            filled: Cell::new(None),
        }
    }

    /// Begins a round: what is asked from here on is of one moment.
    pub fn begin(&self) {
        let mut state = self.state.borrow_mut();
        state.round += 1;
        let round = state.round;
        if round.is_multiple_of(IDLE_ROUNDS) {
            state.selectors.retain(|_, found| round - found.round < IDLE_ROUNDS);
            state.kept = state.selectors.values().map(Found::kept).sum();
        }
        let keys = self.store.keys();
        if !state.keys.as_ref().is_some_and(|known| Arc::ptr_eq(known, &keys)) {
            state.take_keys(keys);
        }
    }

    /// Begins a rule, see [`HeadSource::filled`].
    pub fn begin_rule(&self) {
        self.filled.set(None);
    }

    /// Which share, 0 to 1, of their range the samples of the fullest window span; 1 where
    /// the rule looks at no range. An agent that just started has little to judge by.
    pub fn filled(&self) -> f64 {
        self.filled.get().unwrap_or(1.0)
    }

    fn note_filled(&self, request: &Request<'_>, answer: &[Series]) {
        let span = request.to.saturating_sub(request.from).max(1) as f64;
        let oldest = |series: &Series| {
            let row = series.rows.first().map(|row| row.start);
            row.or(series.samples.first().map(|(at, _)| *at))
        };
        let oldest = answer.iter().filter_map(oldest).min();
        let share = oldest.map_or(0.0, |oldest| request.to.saturating_sub(oldest) as f64 / span);
        self.filled.set(Some(self.filled.get().map_or(share, |filled| filled.max(share)).min(1.0)));
    }

    /// Forgets everything: the rules are others now.
    pub fn clear(&self) {
        *self.state.borrow_mut() = State::default();
    }
}

impl State {
    fn take_keys(&mut self, keys: Keys) {
        self.names.clear();
        let mut start = 0;
        while let Some((_, key)) = keys.get(start) {
            let name = name_of(key);
            let end = start + keys[start..].partition_point(|(_, other)| name_of(other) == name).max(1);
            // A family's names may interleave: then the whole list is looked through.
            match self.names.get_mut(name) {
                Some(range) => range.end = end,
                None => drop(self.names.insert(Box::from(name), start..end)),
            }
            start = end;
        }
        let known: std::collections::HashSet<u32> = keys.iter().map(|(id, _)| *id).collect();
        self.labels.retain(|id, _| known.contains(id));
        self.keys = Some(keys);
    }

    fn labels(&mut self, id: u32, key: &str) -> Labels {
        self.labels.entry(id).or_insert_with(|| Labels::from_key(key)).clone()
    }

    /// Ids and labels of the series that match.
    fn resolve(&mut self, matchers: &[Matcher]) -> Result<(Vec<u32>, Vec<Labels>), SourceError> {
        let Some(keys) = self.keys.clone() else { return Ok((Vec::new(), Vec::new())) };
        let tests = matchers.iter().map(Test::new).collect::<Result<Vec<_>, _>>()?;
        let fixed = matchers.iter().find(|matcher| matcher.label == NAME && matcher.op == MatchOp::Equal);
        let range = match fixed {
            Some(matcher) => self.names.get(matcher.value.as_str()).cloned().unwrap_or(0..0),
            None => 0..keys.len(),
        };
        let (mut ids, mut found) = (Vec::new(), Vec::new());
        for (id, key) in keys.get(range).unwrap_or(&[]) {
            let labels = self.labels(*id, key);
            if tests.iter().all(|test| test.holds(&labels)) {
                ids.push(*id);
                found.push(labels);
            }
        }
        Ok((ids, found))
    }
}

impl Found {
    fn kept(&self) -> usize {
        let held = self.window.iter().flat_map(|window| &window.series);
        held.map(|held| held.samples.len()).sum()
    }
}

/// One matcher, compiled.
struct Test<'a> {
    matcher: &'a Matcher,
    regex: Option<regex_lite::Regex>,
}

impl<'a> Test<'a> {
    fn new(matcher: &'a Matcher) -> Result<Self, SourceError> {
        let regex = match matcher.op {
            MatchOp::Regex | MatchOp::NotRegex => Some(
                regex::compile(&matcher.value).map_err(|error| SourceError::BadMatcher(error.to_string()))?,
            ),
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Self { matcher, regex })
    }

    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.value(&self.matcher.label);
        let matches = match &self.regex {
            Some(regex) => regex.is_match(value),
            None => value == self.matcher.value,
        };
        matches == matches!(self.matcher.op, MatchOp::Equal | MatchOp::Regex)
    }
}

impl Source for HeadSource {
    fn select(&self, request: &Request<'_>) -> Result<Vec<Series>, SourceError> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let span = if request.newest_only { 0 } else { request.to.saturating_sub(request.from) };
        if span > KEPT_UP_TO {
            let answer = self.stored.select(request)?;
            self.note_filled(request, &answer);
            return Ok(answer);
        }
        let asked = Asked { place: request.matchers.as_ptr() as usize, span };
        let fresh = |found: &Found| {
            found.matchers == request.matchers
                && found.keys.as_ref().zip(state.keys.as_ref()).is_some_and(|(a, b)| Arc::ptr_eq(a, b))
        };
        if !state.selectors.get(&asked).is_some_and(fresh) {
            let (ids, labels) = state.resolve(request.matchers)?;
            let before = state.selectors.remove(&asked).filter(|found| found.matchers == request.matchers);
            let window = before.and_then(|found| Some(found.window?.for_series(&found.ids, &ids)));
            let (matchers, keys) = (request.matchers.to_vec(), state.keys.clone());
            let found = Found { matchers, keys, ids, labels, window, round: state.round };
            state.selectors.insert(asked, found);
        }
        let round = state.round;
        let Some(found) = state.selectors.get_mut(&asked) else { return Ok(Vec::new()) };
        found.round = round;
        if found.ids.len() > request.max_series {
            let (count, limit) = (found.ids.len(), request.max_series);
            return Err(SourceError::TooMuch(format!(
                "the query matches {count} series, more than the limit of {limit}"
            )));
        }
        if request.newest_only {
            return newest(&self.store, found, request).map_or_else(|| self.stored.select(request), Ok);
        }
        let before = found.kept();
        let answer = match follow(&self.store, found, request) {
            Some(answer) => answer,
            None => {
                let answer = read(&self.store, &self.stored, found, request)?;
                if state.kept.saturating_sub(before) + found.kept() > MOST_KEPT {
                    found.window = None;
                }
                answer
            }
        };
        state.kept = (state.kept + found.kept()).saturating_sub(before);
        self.note_filled(request, &answer);
        Ok(answer)
    }
}

/// The newest samples; `None` when one is newer than the time that is asked about.
fn newest(store: &Store, found: &Found, request: &Request<'_>) -> Option<Vec<Series>> {
    let mut answer = Vec::with_capacity(found.ids.len());
    let mut later = false;
    store.newest(&found.ids, &mut |index, sample| {
        later |= sample.at > request.to;
        if sample.at > request.from
            && let Some(labels) = found.labels.get(index)
        {
            answer.push(Series::new(labels.clone(), vec![(sample.at, sample.value)]));
        }
    });
    (!later).then_some(answer)
}

/// Adds what is new to the window and answers from it; `None` when it must be read anew.
fn follow(store: &Store, found: &mut Found, request: &Request<'_>) -> Option<Vec<Series>> {
    let window = found.window.as_mut().filter(|window| window.to <= request.to)?;
    window.to = request.to;
    let mut whole = true;
    store.newest(&found.ids, &mut |index, sample| {
        whole &= window.series.get_mut(index).is_some_and(|held| held.follow(sample));
    });
    if !whole {
        return None;
    }
    let mut answer = Vec::with_capacity(found.ids.len());
    for (held, labels) in window.series.iter_mut().zip(&found.labels) {
        while held.samples.front().is_some_and(|(at, _)| *at <= request.from) {
            held.samples.pop_front();
        }
        // Only the last may be newer than what is asked for.
        let newer = held.samples.iter().rev().take_while(|(at, _)| *at > request.to).count();
        let count = held.samples.len() - newer;
        if count > 0 {
            let mut samples = Vec::with_capacity(count);
            samples.extend(held.samples.iter().take(count).copied());
            answer.push(Series::new(labels.clone(), samples));
        }
    }
    Some(answer)
}

impl Held {
    /// Takes in the newest sample; whether no other came in between.
    fn follow(&mut self, sample: NewestSample) -> bool {
        let last = self.samples.back().map_or(i64::MIN, |(at, _)| *at);
        if sample.count == self.count {
            return true;
        }
        let next = sample.count == self.count.wrapping_add(1);
        self.count = sample.count;
        if sample.at > last && next {
            self.samples.push_back((sample.at, sample.value));
            return true;
        }
        // Read just before it was counted.
        sample.at == last && next
    }
}

/// Reads the window from the store and keeps it.
fn read(
    store: &Store,
    stored: &StoreSource,
    found: &mut Found,
    request: &Request<'_>,
) -> Result<Vec<Series>, SourceError> {
    found.window = None;
    let mut series: Vec<Held> = found.ids.iter().map(|_| Held::default()).collect();
    // Counted first: what comes while it is read is then counted again, and told by its time.
    store.newest(&found.ids, &mut |index, sample| {
        if let Some(held) = series.get_mut(index) {
            held.count = sample.count;
        }
    });
    let answer = stored.select(request)?;
    let places: HashMap<&Labels, usize> = found.labels.iter().zip(0..).collect();
    for one in &answer {
        if let Some(held) = places.get(&one.labels).and_then(|place| series.get_mut(*place)) {
            held.samples.extend(one.samples.iter().copied());
        }
    }
    found.window = Some(Window { to: request.to, series });
    Ok(answer)
}
