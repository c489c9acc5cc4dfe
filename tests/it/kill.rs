//! `kill -9` at random moments under load: the agent opens every time, nothing
//! it acknowledged is gone, and the samples lost are those of two ticks at most.
//!
//! `HOLDFAST_KILLS` sets how often (tests/campaign.sh says 100); the times to
//! /livez and /readyz are printed, not asserted.

#![expect(clippy::disallowed_methods, reason = "the times of the real process are what is looked at")]

use std::time::{Duration, Instant};

use crate::support::agent::{Agent, escape};
use crate::support::random::Random;

const TICK_MS: i64 = 1000;

/// Imports one sample and returns whether it was acknowledged.
fn import(agent: &Agent, name: &str, value: usize, at_ms: i64) -> bool {
    let (seconds, millis) = (at_ms / 1000, at_ms % 1000);
    let text = format!("# TYPE {name} gauge\n{name} {value} {seconds}.{millis:03}\n# EOF\n");
    let authorization = format!("Authorization: Bearer {}", agent.token());
    let headers = [authorization.as_str(), "Content-Type: application/openmetrics-text"];
    let answer = agent.call("POST", "/api/v1/ingest/openmetrics", &headers, &text);
    answer.is_ok_and(|answer| answer.status == 200 && answer.json()["accepted"] == 1)
}

/// Tries `path` until it answers 200 and returns the time since the start.
fn first_success(agent: &Agent, path: &str) -> Duration {
    let limit = Duration::from_secs(30);
    loop {
        if agent.call("GET", path, &[], "").is_ok_and(|answer| answer.status == 200) {
            return agent.started.elapsed();
        }
        assert!(agent.started.elapsed() < limit, "{path} did not answer within {limit:?}");
        std::thread::yield_now();
    }
}

fn spread(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let show = |at: usize| times[at].as_secs_f64() * 1000.0;
    println!(
        "{name}: min {:.1} median {:.1} max {:.1} ms",
        show(0),
        show(times.len() / 2),
        show(times.len() - 1)
    );
}

#[test]
fn a_killed_agent_loses_nothing_it_acknowledged() {
    let kills: u64 = std::env::var("HOLDFAST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let seed: u64 = std::env::var("HOLDFAST_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(20_261_120);
    println!("seed {seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let (mut live, mut ready, mut worst_loss) = (Vec::new(), Vec::new(), 0);
    let mut acknowledged: Vec<(String, i64)> = Vec::new();
    let mut agent = Agent::start(&data_dir, "");
    for round in 0..kills {
        // Load: durable imports until a random moment has come.
        let until = Instant::now() + Duration::from_millis(1500 + random.below(2500));
        let mut last = None;
        while Instant::now() < until {
            let (seen, _) = agent.latest("node_load1").expect("the host is watched");
            last = Some(seen);
            let value = acknowledged.len();
            let name = format!("kill_{}", value % 50);
            let at = seen - 60_000 - random.below(3_600_000) as i64;
            if import(&agent, &name, value, at) {
                acknowledged.push((name, at));
            }
        }
        agent.kill();
        agent = Agent::launch(&data_dir, "");
        live.push(first_success(&agent, "/livez"));
        ready.push(first_success(&agent, "/readyz"));

        let last = last.expect("at least one look");
        let (from, to) = (last - 20 * TICK_MS, last);
        let query = format!(
            "/api/v1/query_range?query={}&start={from}&end={to}&step=1s&lookback=1s",
            escape("node_load1")
        );
        let before = agent.get(&query).json();
        let values = before["series"][0]["values"].as_array().cloned().unwrap_or_default();
        let lost = values.iter().rev().take_while(|value| value.is_null()).count();
        worst_loss = worst_loss.max(lost);
        assert!(lost <= 2, "round {round}: {lost} ticks before the kill are gone: {before}");
    }
    for (value, (name, at)) in acknowledged.iter().enumerate() {
        let query = format!("/api/v1/query_range?query={name}&start={at}&end={at}&step=1s&lookback=1s");
        let answer = agent.get(&query).json();
        let held = answer["series"][0]["values"][0].as_f64();
        assert_eq!(held, Some(value as f64), "{name} at {at} was acknowledged: {answer}");
    }
    println!(
        "{kills} kills, {} acknowledged writes all there, worst loss {worst_loss} ticks",
        acknowledged.len()
    );
    spread("/livez", live);
    spread("/readyz", ready);
}
