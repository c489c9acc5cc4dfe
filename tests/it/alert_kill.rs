//! `kill -9` at random moments while alerts fire, are acknowledged and resolved, and their
//! receivers are in a bad mood: nothing that was promised is lost, nothing is told twice
//! under two names, and nothing ends that is not over.
//!
//! `HOLDFAST_ALERT_KILLS` sets how often (tests/campaign.sh says 1000).

#![expect(clippy::disallowed_methods, reason = "the real process is killed at real moments")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use holdfast::base::time::{Clock as _, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::free_port;
use crate::support::mail::MailServer;
use crate::support::moody::{Moody, Taken};
use crate::support::random::Random;

/// Rooms whose temperature is reported. The first is hot from the beginning to the end.
const ROOMS: usize = 8;
/// Posted alerts that are active at a time: the agent has room for more.
const MOST_OPEN: usize = 300;
/// Nothing more comes after so long without anything: two rounds of rules.
const QUIET: Duration = Duration::from_secs(2);
/// A step of the agent later than this is late, ms: what follows from it is not judged.
const SLACK_MS: i64 = 3000;

/// What the agent promised about an alert that was posted.
#[derive(Default)]
struct Promise {
    acknowledged: bool,
    resolved: bool,
    /// Asked to, and killed before it answered.
    perhaps_resolved: bool,
}

#[derive(Default)]
struct Room {
    hot: bool,
    /// Since when it was as it is, at each change; cold at first.
    changes: Vec<(bool, Timestamp)>,
}

struct Campaign {
    agent: Agent,
    config: String,
    random: Random,
    clock: SystemClock,
    promises: BTreeMap<String, Promise>,
    acknowledged: BTreeSet<String>,
    /// Posted, and nobody tried to resolve it yet.
    open: Vec<String>,
    rooms: Vec<Room>,
    posts: usize,
    /// Ids of mails that the agent says it sent, and of the alerts that they tell of. Read
    /// on the way: the log of the agent has an end.
    mailed: (BTreeSet<String>, BTreeSet<String>),
}

/// One call; `None` when the agent died over it.
fn call(agent: &Agent, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let authorization = format!("Authorization: Bearer {}", agent.token());
    let headers = [authorization.as_str(), "Content-Type: application/json"];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = agent.call(method, path, &headers, &body).ok()?;
    let value = if answer.body.is_empty() { Value::Null } else { serde_json::from_str(&answer.body).ok()? };
    Some((answer.status, value))
}

impl Campaign {
    fn call(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        call(&self.agent, method, path, body)
    }

    /// Reports every room as it is.
    fn report(&self) -> Option<()> {
        let metrics: Vec<Value> = self
            .rooms
            .iter()
            .enumerate()
            .map(|(room, state)| {
                let value = if state.hot { 70 } else { 20 };
                let labels = json!({ "room": room.to_string() });
                json!({ "name": "campaign_temperature", "type": "gauge", "value": value, "labels": labels })
            })
            .collect();
        let (status, answer) = self.call("POST", "/ingest/metrics", &json!({ "metrics": metrics }))?;
        assert_eq!(status, 200, "{answer}");
        Some(())
    }

    fn turn(&mut self, room: usize, hot: bool) -> Option<()> {
        let now = self.clock.now();
        self.rooms[room].hot = hot;
        self.rooms[room].changes.push((hot, now));
        self.report()
    }

    fn post(&mut self) -> Option<()> {
        self.posts += 1;
        let body =
            json!({ "severity": "high", "source": "campaign", "title": format!("posted-{}.", self.posts) });
        let (status, alert) = self.call("POST", "/api/v1/monitoring/alerts", &body)?;
        assert_eq!(status, 201, "{alert}");
        let id = text(&alert, "id").to_owned();
        self.promises.insert(id.clone(), Promise::default());
        self.open.push(id);
        Some(())
    }

    fn some_open(&mut self) -> Option<usize> {
        let open = self.open.len() as u64;
        (open > 0).then(|| self.random.below(open) as usize)
    }

    fn acknowledge(&mut self) -> Option<()> {
        let Some(at) = self.some_open() else { return Some(()) };
        let id = self.open[at].clone();
        let path = format!("/api/v1/monitoring/alerts/{id}/acknowledge");
        let (status, alert) = self.call("POST", &path, &json!({ "comment": "seen" }))?;
        assert_eq!(status, 200, "{alert}");
        self.promises.get_mut(&id)?.acknowledged = true;
        self.acknowledged.insert(id);
        Some(())
    }

    fn resolve(&mut self) -> Option<()> {
        let Some(at) = self.some_open() else { return Some(()) };
        let id = self.open.swap_remove(at);
        self.promises.get_mut(&id)?.perhaps_resolved = true;
        let path = format!("/api/v1/monitoring/alerts/{id}/resolve");
        let (status, alert) = self.call("POST", &path, &json!({ "comment": "done" }))?;
        assert_eq!(status, 200, "{alert}");
        self.promises.get_mut(&id)?.resolved = true;
        Some(())
    }

    fn queued(&self) -> Option<Vec<Value>> {
        let path = "/api/v1/monitoring/deliveries?state=queued&limit=500";
        let (status, list) = self.call("GET", path, &Value::Null)?;
        Some(list["items"].as_array().unwrap_or_else(|| panic!("{status} {list}")).clone())
    }

    /// Has what waits sent at once.
    fn hurry(&mut self, percent: u64) -> Option<usize> {
        let queued = self.queued()?;
        for row in &queued {
            if self.random.chance(percent) {
                let path = format!("/api/v1/monitoring/deliveries/{}/retry", row["id"].as_str()?);
                self.call("POST", &path, &Value::Null)?;
            }
        }
        Some(queued.len())
    }

    fn act(&mut self) -> Option<()> {
        match self.random.below(100) {
            0..25 if self.open.len() < MOST_OPEN => self.post(),
            0..25 => self.resolve(),
            25..45 => self.acknowledge(),
            45..60 => self.resolve(),
            60..80 => {
                let room = 1 + self.random.below(ROOMS as u64 - 1) as usize;
                self.turn(room, !self.rooms[room].hot)
            }
            _ => self.hurry(50).map(drop),
        }
    }

    /// Acts until the agent is killed under it, and starts it again.
    fn round(&mut self) {
        let after = Duration::from_millis(self.random.below(1400));
        let pid = rustix::process::Pid::from_raw(self.agent.pid() as i32).expect("a pid");
        let killer = std::thread::spawn(move || {
            // A moment more or less: any is as good.
            std::thread::park_timeout(after);
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill");
        });
        while self.act().is_some() {}
        killer.join().expect("the killer");
        self.agent.kill();
        self.start();
    }

    fn start(&mut self) {
        let data_dir = self.agent.data_dir.clone();
        self.agent = Agent::launch(&data_dir, &self.config);
        let limit = Instant::now() + Duration::from_secs(30);
        while !self.agent.call("GET", "/readyz", &[], "").is_ok_and(|answer| answer.status == 200) {
            assert!(Instant::now() < limit, "the agent did not come back");
            std::thread::yield_now();
        }
        self.report().expect("the agent lives");
        self.read_mailed();
    }

    fn read_mailed(&mut self) {
        let path = "/api/v1/monitoring/deliveries?channel=mail&state=delivered&limit=500";
        let (_, page) = self.call("GET", path, &Value::Null).expect("the agent lives");
        for row in page["items"].as_array().expect("items") {
            self.mailed.0.insert(text(row, "id").to_owned());
            let about = row["alerts"].as_array().into_iter().flatten();
            self.mailed.1.extend(about.map(|alert| text(alert, "id").to_owned()));
        }
    }

    fn alerts(&self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let path = format!("/api/v1/monitoring/alerts?state=all&limit=1000&offset={}", all.len());
            let (_, answer) = self.call("GET", &path, &Value::Null).expect("the agent lives");
            let page = answer["alerts"].as_array().expect("alerts").clone();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// All rooms but the first are cold, what waits is sent, and nothing more comes.
    fn end(&mut self) {
        for room in 1..ROOMS {
            if self.rooms[room].hot {
                self.turn(room, false).expect("the agent lives");
            }
        }
        let limit = Instant::now() + Duration::from_secs(120);
        let mut busy = Instant::now();
        while busy.elapsed() < QUIET {
            let left = self.hurry(100).expect("the agent lives");
            assert!(Instant::now() < limit, "{left} messages are not sent: {:?}", self.queued());
            let hot =
                self.alerts().iter().filter(|alert| alert["rule"] == "campaign" && is_active(alert)).count();
            if left > 0 || hot != 1 {
                busy = Instant::now();
            }
            self.report().expect("the agent lives");
        }
    }
}

fn is_active(alert: &Value) -> bool {
    ["firing", "recovering", "nodata", "error"].iter().any(|state| alert["state"] == *state)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// What a receiver was told of each alert: the ids of the messages that said that it fires,
/// and whether one said that it is over.
#[derive(Default)]
struct Heard {
    firing: BTreeSet<String>,
    over: bool,
}

fn heard(taken: &[Taken]) -> (BTreeMap<String, Heard>, usize, Vec<String>) {
    let mut by_alert = BTreeMap::<String, Heard>::new();
    let mut by_id = BTreeMap::<&str, &Value>::new();
    let (mut duplicates, mut wrong) = (0, Vec::new());
    for Taken { id, body } in taken {
        if id != text(body, "id") {
            wrong.push(format!("the header says {id}, the body {body}"));
        }
        if let Some(before) = by_id.insert(id, body) {
            duplicates += 1;
            if before["alerts"] != body["alerts"] || before["kind"] != body["kind"] {
                wrong.push(format!("{id} says one thing and then another: {before} {body}"));
            }
        }
        for alert in body["alerts"].as_array().into_iter().flatten() {
            let heard = by_alert.entry(text(alert, "id").to_owned()).or_default();
            match text(alert, "status") {
                "firing" => drop(heard.firing.insert(id.clone())),
                _ => heard.over = true,
            }
        }
    }
    (by_alert, duplicates, wrong)
}

/// What does not hold of the alerts that the agent knows in the end.
fn broken_promises(campaign: &Campaign, alerts: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    let by_id: BTreeMap<&str, &Value> = alerts.iter().map(|alert| (text(alert, "id"), alert)).collect();
    for (id, promise) in &campaign.promises {
        let Some(alert) = by_id.get(id.as_str()) else {
            wrong.push(format!("{id} was posted and is gone"));
            continue;
        };
        if promise.acknowledged && alert["acknowledged"] != true {
            wrong.push(format!("{id} was acknowledged: {alert}"));
        }
        let known = promise.resolved || !promise.perhaps_resolved;
        if known && promise.resolved == is_active(alert) {
            wrong.push(format!("{id} was resolved ({}): {alert}", promise.resolved));
        }
    }
    for (room, state) in campaign.rooms.iter().enumerate() {
        let name = room.to_string();
        let is_own = |alert: &&Value| alert["rule"] == "campaign" && alert["labels"]["room"] == name.as_str();
        let episodes: Vec<&Value> = alerts.iter().filter(is_own).collect();
        let phases = state.changes.iter().filter(|(hot, _)| *hot).count();
        if episodes.len() > phases {
            wrong.push(format!("room {room} was hot {phases} times and fired {} times", episodes.len()));
        }
        for episode in episodes {
            let Some(end) = episode["resolved_at"].as_str().and_then(Timestamp::parse) else { continue };
            let was_cold = state.changes.iter().enumerate().any(|(at, (hot, from))| {
                let until = state.changes.get(at + 1).map_or(i64::MAX, |(_, next)| next.millis() + SLACK_MS);
                !hot && from.millis() <= end.millis() && end.millis() <= until
            });
            if !was_cold {
                wrong.push(format!("room {room} was hot when its alert ended: {episode}"));
            }
        }
    }
    wrong
}

/// What a receiver should have been told and was not, or the other way round.
fn untold(channel: &str, heard: &BTreeMap<String, Heard>, alerts: &[Value]) -> Vec<String> {
    let mut wrong = Vec::new();
    for alert in alerts.iter().filter(is_ours) {
        match heard.get(text(alert, "id")) {
            None => wrong.push(format!("{channel} never heard of {alert}")),
            Some(heard) if heard.over == is_active(alert) => {
                wrong.push(format!("{channel} heard that it is over: {}, {alert}", heard.over));
            }
            Some(_) => {}
        }
    }
    wrong
}

/// The same of mails, which tell of many alerts in few words: the log of the agent says of
/// which, and the server has the mail.
fn unmailed(campaign: &Campaign, mails: &[Value], alerts: &[Value]) -> Vec<String> {
    let mails: String = mails.iter().map(|mail| text(mail, "text")).collect();
    let (sent, told) = &campaign.mailed;
    let lost = sent.iter().filter(|id| !mails.contains(&format!("<{id}@")));
    let lost = lost.map(|id| format!("no mail came of {id}"));
    let untold = alerts.iter().filter(is_ours).filter(|alert| !told.contains(text(alert, "id")));
    lost.chain(untold.map(|alert| format!("no mail tells of {alert}"))).collect()
}

/// Whether somebody was to be told of it.
fn is_ours(alert: &&Value) -> bool {
    (alert["rule"] == "campaign" || alert["source"] == "campaign") && alert["fired_at"].is_string()
}

fn configuration(hook: u16, late: u16, mail: u16) -> String {
    let webhook = |name: &str, port: u16| {
        format!("[[channel.webhook]]\nname = '{name}'\nurl = 'http://127.0.0.1:{port}/'\ntimeout = '1s'\n")
    };
    let mail = format!(
        "[[channel.email]]\nname = 'mail'\nhost = '127.0.0.1'\nport = {mail}\ntls = 'none'\n\
         from = 'holdfast@example.org'\nto = ['moody@example.org']\ntimeout = '1s'\n"
    );
    let rule = "[[rule]]\nname = 'campaign'\nexpr = 'campaign_temperature'\nop = '>'\nlevels = { high = 50 }\n\
                title = 'room-{{ $labels.room }}.'\n";
    format!("{}{}{mail}{rule}", webhook("hook", hook), webhook("late", late))
}

#[test]
fn a_killed_agent_keeps_what_it_promised_about_alerts() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let kills = number("HOLDFAST_ALERT_KILLS").unwrap_or(25);
    let seed = number("HOLDFAST_SEED").unwrap_or(20_261_121);
    println!("seed {seed}");
    let mut mail = MailServer::start();
    let mails = mail.collected();
    let (hook, late_port) = (Moody::start(0, seed), free_port());
    let config = configuration(hook.port, late_port, mail.port);
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(&folder.path().join("data"), &config);
    let rooms = (0..ROOMS).map(|_| Room::default()).collect();
    let mut campaign = Campaign {
        agent,
        config,
        random: Random(seed),
        clock: SystemClock::new(),
        promises: BTreeMap::new(),
        acknowledged: BTreeSet::new(),
        open: Vec::new(),
        rooms,
        posts: 0,
        mailed: Default::default(),
    };
    campaign.turn(0, true).unwrap();
    let began = Instant::now();
    for _ in 0..kills {
        campaign.round();
    }
    let took = began.elapsed();
    // Whoever was not there at all comes at the end; a new start forgets the breakers.
    hook.calm();
    let late = Moody::start(late_port, seed);
    late.calm();
    campaign.agent.kill();
    campaign.start();
    campaign.end();
    campaign.read_mailed();

    let alerts = campaign.alerts();
    let mut wrong = broken_promises(&campaign, &alerts);
    let mut retold = 0;
    for (channel, sink) in [("hook", &hook), ("late", &late)] {
        let (taken, refused) = sink.taken();
        let (heard, duplicates, contradictions) = heard(&taken);
        wrong.extend(contradictions);
        wrong.extend(untold(channel, &heard, &alerts));
        retold += heard.values().filter(|heard| heard.firing.len() > 1).count();
        println!("{channel}: {} messages taken, {refused} refused, {duplicates} duplicates", taken.len());
    }
    let mails = mails.lock().unwrap();
    wrong.extend(unmailed(&campaign, &mails, &alerts));
    println!(
        "{kills} kills in {took:?}, {} alerts, {} acknowledged, {} mails, {retold} told again beside news, {} violations",
        alerts.len(),
        campaign.acknowledged.len(),
        mails.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
