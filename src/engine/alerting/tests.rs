//! The source of rules against the source of queries: whatever is kept between rounds, the
//! answers must be those of a store that is asked anew.

use std::sync::Arc;
use std::time::Duration;

use super::source::HeadSource;
use crate::base::time::{Clock as _, ManualClock, Timestamp};
use crate::model::frame::Frame;
use crate::promql::ast::Kind;
use crate::promql::source::{Request, Series, Source};
use crate::promql::{Expr, parse};
use crate::store::{ImportSample, Store, StoreOptions, StoreSource};

fn store(clock: &Arc<ManualClock>, directory: &std::path::Path) -> Store {
    let options = StoreOptions {
        path: directory.join("holdfast.redb"),
        cap: 64 << 20,
        raw_retention: Duration::from_secs(86_400),
        minute_retention: Duration::from_secs(30 * 86_400),
        hour_retention: Duration::from_secs(730 * 86_400),
        max_series: 1000,
        cache: 1 << 20,
        tail: Some(None),
    };
    Store::open(options, clock.clone(), &mut |_| {}).unwrap().0
}

/// What a selector sees, without its order.
fn seen(source: &dyn Source, expr: &Expr, at: i64) -> Vec<(String, Vec<(i64, u64)>)> {
    let (selector, span, newest_only) = match &expr.kind {
        Kind::Selector(selector) => (selector, 300_000, true),
        Kind::Range(selector, range) => (selector, *range, false),
        _ => panic!("{expr} is no selector"),
    };
    let request = Request {
        matchers: &selector.matchers,
        from: at - span,
        to: at,
        newest_only,
        max_series: 1000,
        max_samples: 1_000_000,
    };
    let cut = |series: Series| {
        let inside = series.samples.iter().filter(|(time, _)| *time > at - span && *time <= at);
        let inside: Vec<(i64, u64)> = inside.map(|(time, value)| (*time, value.to_bits())).collect();
        let from = if newest_only { inside.len().saturating_sub(1) } else { 0 };
        (series.labels.to_key(), inside[from..].to_vec())
    };
    let mut all: Vec<_> = source.select(&request).unwrap().into_iter().map(cut).collect();
    all.retain(|(_, samples)| !samples.is_empty());
    all.sort();
    all
}

#[tokio::test]
async fn what_is_kept_answers_as_the_store_does() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp(1_795_166_565_000)));
    let store = store(&clock, directory.path());
    let (kept, asked) = (HeadSource::new(store.clone()), StoreSource::new(store.clone()));
    let selectors =
        ["a", "a[10s]", "a{x=\"1\"}[1m]", "{__name__=~\"a|b\"}[30s]", "b", "b[5m]", "nothing[1m]"];
    // Parsed once, as rules are: what is kept is found by the place of the matchers.
    let selectors = selectors.map(|text| parse(text).unwrap());
    let mut state = 7u64;
    let mut random = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    for step in 0..400u64 {
        clock.advance(Duration::from_millis(500 + random(1500)));
        match random(40) {
            0 => clock.advance(Duration::from_secs(90)),
            1 => store.flush(0).await.unwrap(),
            2 => {
                // Between two samples that the window holds already.
                let at = clock.now().minus(Duration::from_millis(5333));
                let sample = ImportSample {
                    key: String::from("a{s=\"0\",x=\"0\"}"),
                    family: String::from("a"),
                    kind: crate::model::series::Kind::Gauge,
                    help: String::new(),
                    at,
                    value: -1.0,
                };
                store.import(vec![sample], None).await.unwrap();
            }
            _ => {}
        }
        // Rules that run seldom see several new samples at once.
        for _ in 0..1 + random(3) {
            clock.advance(Duration::from_millis(200));
            for stream in 0..1 + random(2) {
                let mut frame = Frame::new();
                let mut family = frame.gauge("a", "A value.");
                for x in 0..1 + step / 100 {
                    if random(5) > 0 {
                        family =
                            family.push(&[("x", &x.to_string()), ("s", &stream.to_string())], step as f64);
                    }
                }
                if random(3) == 0 {
                    frame.gauge("b", "Another.").push(&[], step as f64);
                }
                store.append(&format!("stream{stream}"), clock.now(), &frame);
            }
        }
        kept.begin();
        for selector in &selectors {
            let at = clock.now().millis();
            assert_eq!(seen(&kept, selector, at), seen(&asked, selector, at), "{selector} at step {step}");
        }
    }
}
