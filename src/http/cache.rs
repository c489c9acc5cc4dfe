//! Answers to queries over a range, kept for whoever asks the same.
//!
//! A dashboard asks for the same ranges in every browser that shows it, and again when it
//! is loaded anew; over a day an expression costs a hundred times what its answer costs to
//! copy. Only ranges whose ends lie on their own step are kept: others are never asked for
//! twice. The pattern: a list with two bounds, bytes and entries, of which the one that was
//! used longest ago goes. One would get it wrong by keeping an answer that ends now for
//! longer than its step: the next point would be missing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use serde::Serialize;

use crate::base::time::{Monotonic, Timestamp};
use crate::config::cache::Cache as Settings;
use crate::model::memory::Pressure;

/// All answers together, bytes of texts and keys.
const MOST_BYTES: usize = 4 << 20;
const MOST_ENTRIES: usize = 512;
/// One answer; larger ones would push out all others.
const LARGEST: usize = 1 << 20;
/// Samples of the last moments may still come in.
const SETTLED: Duration = Duration::from_secs(2);

struct Entry {
    /// What was asked for, in words: patterns are tried on it.
    query: String,
    answer: Bytes,
    until: Monotonic,
    used: u64,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<String, Entry>,
    bytes: usize,
    /// Bytes of [`MOST_BYTES`] that may not be used, because memory is short.
    given_up: usize,
    uses: u64,
    hits: u64,
    misses: u64,
    evictions: u64,
    expirations: u64,
}

/// See the module.
#[derive(Default)]
pub struct AnswerCache(Mutex<Inner>);

/// How the cache does. Counts are since the agent started.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CacheStats {
    pub enabled: bool,
    pub ttl_seconds: f64,
    pub entries: usize,
    pub bytes: usize,
    /// Less while memory is short.
    pub max_bytes: usize,
    pub hits: u64,
    pub misses: u64,
    /// Hits of all, 0 to 1; null before the first.
    pub hit_rate: Option<f64>,
    /// Answers that gave way to others.
    pub evictions: u64,
    /// Answers whose time was over.
    pub expirations: u64,
}

/// A range of times with even steps.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub start: Timestamp,
    pub end: Timestamp,
    pub step: Duration,
}

impl Asked {
    /// How long an answer that was made at `now` stays right; `None`: it is not worth keeping.
    fn lasts(&self, now: Timestamp, settings: &Settings) -> Option<Duration> {
        let step = i64::try_from(self.step.as_millis()).ok().filter(|step| *step > 0)?;
        let even = self.start.millis() % step == 0 && self.end.millis() % step == 0;
        let settled = self.end <= now.minus(SETTLED);
        (settings.enabled && even && settled).then(|| settings.ttl.0.min(self.step))
    }
}

impl AnswerCache {
    /// The answer that is kept under `key`. What would never be kept is no miss.
    pub fn get(
        &self,
        key: &str,
        asked: Asked,
        now: (Monotonic, Timestamp),
        settings: &Settings,
    ) -> Option<Bytes> {
        asked.lasts(now.1, settings)?;
        let mut inner = self.lock();
        inner.uses += 1;
        let uses = inner.uses;
        let found = inner.entries.get_mut(key).filter(|entry| entry.until > now.0).map(|entry| {
            entry.used = uses;
            entry.answer.clone()
        });
        *(if found.is_some() { &mut inner.hits } else { &mut inner.misses }) += 1;
        found
    }

    /// Keeps an answer for as long as it stays right.
    pub fn put(
        &self,
        key: String,
        query: String,
        answer: &Bytes,
        asked: Asked,
        now: (Monotonic, Timestamp),
        settings: &Settings,
    ) {
        let Some(lasts) = asked.lasts(now.1, settings) else { return };
        let size = key.len() + query.len() + answer.len();
        let mut inner = self.lock();
        inner.remove(&key);
        inner.expire(now.0);
        // One that is large is not worth all others.
        if size > LARGEST.min(inner.most() / 4) {
            return;
        }
        inner.make_room(size);
        inner.uses += 1;
        let (used, until) = (inner.uses, Monotonic(now.0.0 + lasts));
        inner.bytes += size;
        inner.entries.insert(key, Entry { query, answer: answer.clone(), until, used });
    }

    /// Keeps no more than is right under `pressure`.
    pub fn fit(&self, pressure: Pressure) {
        let mut inner = self.lock();
        inner.given_up = match pressure {
            Pressure::None => 0,
            Pressure::Low => MOST_BYTES / 2,
            Pressure::High => MOST_BYTES / 8 * 7,
            Pressure::Critical => MOST_BYTES,
        };
        if inner.bytes > inner.most() {
            inner.make_room(0);
            // The table itself, too.
            inner.entries.shrink_to_fit();
        }
    }

    /// What the answers take now.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Drops the answers to queries that `pattern` matches; how many there were.
    pub fn clear(&self, pattern: &str) -> usize {
        let mut inner = self.lock();
        let matching = inner.entries.iter().filter(|(_, entry)| matches(pattern, &entry.query));
        let keys: Vec<String> = matching.map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| inner.remove(key));
        keys.len()
    }

    pub fn stats(&self, now: Monotonic, settings: &Settings) -> CacheStats {
        let mut inner = self.lock();
        inner.expire(now);
        let asked = inner.hits + inner.misses;
        CacheStats {
            enabled: settings.enabled,
            ttl_seconds: settings.ttl.0.as_secs_f64(),
            entries: inner.entries.len(),
            bytes: inner.bytes,
            max_bytes: inner.most(),
            hits: inner.hits,
            misses: inner.misses,
            hit_rate: (asked > 0).then(|| inner.hits as f64 / asked as f64),
            evictions: inner.evictions,
            expirations: inner.expirations,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn most(&self) -> usize {
        MOST_BYTES - self.given_up
    }

    /// Drops what was used longest ago until one more of `size` bytes fits.
    fn make_room(&mut self, size: usize) {
        while self.entries.len() >= MOST_ENTRIES || self.bytes + size > self.most() {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
            self.evictions += 1;
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= key.len() + entry.query.len() + entry.answer.len();
        }
    }

    fn expire(&mut self, now: Monotonic) {
        let over = self.entries.iter().filter(|(_, entry)| entry.until <= now);
        let over: Vec<String> = over.map(|(key, _)| key.clone()).collect();
        self.expirations += over.len() as u64;
        over.iter().for_each(|key| self.remove(key));
    }
}

/// Whether `text` is what `pattern` says: `*` is any text, `?` one letter.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // The last star, and how much of the text it takes.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[seen] => (at, seen) = (at + 1, seen + 1),
            _ => {
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                (at, seen) = (place + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::units::Span;

    const HOUR: i64 = 3_600_000;

    fn asked() -> Asked {
        Asked { start: Timestamp(0), end: Timestamp(HOUR), step: Duration::from_secs(60) }
    }

    fn at(seconds: u64) -> (Monotonic, Timestamp) {
        (Monotonic(Duration::from_secs(seconds)), Timestamp(2 * HOUR))
    }

    fn put(cache: &AnswerCache, key: &str, bytes: usize, now: u64) {
        let answer = Bytes::from(vec![b'x'; bytes]);
        cache.put(key.to_owned(), key.to_owned(), &answer, asked(), at(now), &Settings::default());
    }

    fn has(cache: &AnswerCache, key: &str, now: u64) -> bool {
        cache.get(key, asked(), at(now), &Settings::default()).is_some()
    }

    #[test]
    fn an_answer_is_kept_for_its_step_and_counted() {
        let cache = AnswerCache::default();
        assert!(!has(&cache, "up", 0));
        put(&cache, "up", 10, 0);
        assert!(has(&cache, "up", 59) && !has(&cache, "up", 60));
        let stats = cache.stats(at(60).0, &Settings::default());
        assert_eq!((stats.hits, stats.misses, stats.entries, stats.bytes), (1, 2, 0, 0));
        assert_eq!((stats.expirations, stats.evictions), (1, 0));
    }

    #[test]
    fn what_is_never_asked_for_twice_is_not_kept() {
        let odd = Asked { start: Timestamp(1), ..asked() };
        let young = Asked { end: Timestamp(2 * HOUR), ..asked() };
        let on = Settings::default();
        let off = Settings { enabled: false, ttl: Span::from_secs(300) };
        for (asked, settings, lasts) in
            [(odd, &on, false), (young, &on, false), (asked(), &off, false), (asked(), &on, true)]
        {
            assert_eq!(asked.lasts(Timestamp(2 * HOUR), settings).is_some(), lasts, "{asked:?}");
        }
    }

    #[test]
    fn both_bounds_hold_and_what_was_used_longest_ago_goes() {
        let cache = AnswerCache::default();
        for number in 0..5 {
            put(&cache, &format!("q{number}"), LARGEST - 10, 0);
            assert!(has(&cache, "q0", 0), "it was used last");
        }
        assert!(!has(&cache, "q1", 0), "it was used longest ago");
        put(&cache, "too large", LARGEST, 0);
        assert!(!has(&cache, "too large", 0));
        let stats = cache.stats(at(0).0, &Settings::default());
        assert!(stats.bytes <= MOST_BYTES && stats.evictions > 0, "{stats:?}");
        for number in 0..2 * MOST_ENTRIES {
            put(&cache, &number.to_string(), 1, 0);
        }
        assert_eq!(cache.stats(at(0).0, &Settings::default()).entries, MOST_ENTRIES);
    }

    #[test]
    fn under_pressure_less_is_kept_and_afterwards_as_much_as_before() {
        let cache = AnswerCache::default();
        let most = |cache: &AnswerCache| cache.stats(at(0).0, &Settings::default()).max_bytes;
        for number in 0..15 {
            put(&cache, &format!("q{number}"), MOST_BYTES / 16, 0);
        }
        for pressure in Pressure::ALL {
            cache.fit(pressure);
            assert!(cache.bytes() <= most(&cache), "{pressure:?}: {}", cache.bytes());
        }
        assert_eq!((cache.bytes(), most(&cache)), (0, 0));
        put(&cache, "small", 1, 0);
        assert!(!has(&cache, "small", 0));
        cache.fit(Pressure::Low);
        put(&cache, "small", 1, 0);
        assert!(has(&cache, "small", 0) && most(&cache) == MOST_BYTES / 2);
        cache.fit(Pressure::None);
        assert!(has(&cache, "small", 0) && most(&cache) == MOST_BYTES);
    }

    #[test]
    fn a_pattern_clears_what_it_matches() {
        let cache = AnswerCache::default();
        for query in ["rate(up[5m])", "node_load1", "node_load5"] {
            put(&cache, query, 1, 0);
        }
        assert_eq!((cache.clear("node_load?"), cache.clear("node_*"), cache.clear("*")), (2, 0, 1));
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_stars_around_a_part(text in "[a-c*?]{0,12}", from in 0_usize..12, to in 0_usize..12) {
            let literal: String = text.chars().filter(char::is_ascii_alphabetic).collect();
            prop_assert!(matches(&literal, &literal));
            let (from, to) = (from.min(literal.len()), to.min(literal.len()));
            let part = literal.get(from..to).unwrap_or_default();
            let around = format!("*{part}*");
            prop_assert!(matches(&around, &literal));
            let _ = matches(&text, &literal);
        }
    }
}
