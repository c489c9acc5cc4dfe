//! The prober against targets that are really there, and one store that is a list.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::base::time::SystemClock;
use crate::model::event::EventType;
use crate::model::probe::OutcomeClass;
use crate::runtime::bus::{Message, Subscription};

/// Keeps the streams it was given.
#[derive(Default)]
struct List(Mutex<Vec<(String, Timestamp)>>);

impl Keeper for List {
    fn keep(&self, stream: &str, at: Timestamp, probed: &Probed) {
        assert_eq!(probed.record.at, at);
        assert!(!probed.frame.is_empty());
        self.0.lock().unwrap().push((stream.to_owned(), at));
    }

    fn state(&self, _stream: &str, _at: Timestamp, _frame: &Frame) {}
}

struct Running {
    config: watch::Sender<Arc<Config>>,
    prober: Prober,
    statuses: watch::Receiver<Arc<Vec<TargetStatus>>>,
    kept: Arc<List>,
    events: Subscription,
    supervisor: Supervisor,
}

/// Nobody listens there: a probe is over at once, and hard.
fn refusing(name: &str, more: &str) -> String {
    format!(
        "[[target.postgres]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = 1\ninterval = \"1h\"\n{more}\n"
    )
}

fn config(sections: &[String]) -> Arc<Config> {
    Arc::new(toml::from_str(&sections.concat()).unwrap())
}

fn start(sections: &[String]) -> Running {
    let clock = Arc::new(SystemClock::new());
    let supervisor = Supervisor::new(clock.clone());
    let surroundings = Surroundings {
        agent: String::from("test"),
        clock: clock.clone(),
        supervisor: supervisor.clone(),
        environment: Arc::new(BTreeMap::new()),
    };
    let bus = Bus::new(clock.clone(), 64);
    let events = bus.subscribe(None);
    let config = watch::Sender::new(config(sections));
    let kept = Arc::new(List::default());
    let shown = watch::Sender::default();
    let statuses = shown.subscribe();
    let breakers = Breakers::new(clock.clone(), BTreeMap::new());
    let prober = Prober::start(config.subscribe(), surroundings, kept.clone(), bus, breakers, shown);
    Running { config, prober, statuses, kept, events, supervisor }
}

impl Running {
    /// Waits until every one of `names`, and nobody else, was probed.
    async fn probed(&mut self, names: &[&str]) -> Arc<Vec<TargetStatus>> {
        let all = |statuses: &Arc<Vec<TargetStatus>>| {
            statuses.iter().map(|status| status.name.as_str()).eq(names.iter().copied())
                && statuses.iter().all(|status| status.last.is_some())
        };
        let found = tokio::time::timeout(Duration::from_secs(20), self.statuses.wait_for(all)).await;
        found.expect("in time").expect("the prober runs").clone()
    }

    fn probes_of(&self, stream: &str) -> usize {
        self.kept.0.lock().unwrap().iter().filter(|(kept, _)| kept == stream).count()
    }
}

#[tokio::test]
async fn a_target_is_probed_at_once_and_its_change_of_class_is_told_once() {
    let mut running = start(&[refusing("pg1", "")]);
    let statuses = running.probed(&["pg1"]).await;
    assert_eq!(statuses[0].class, Some(OutcomeClass::Hard));
    assert_eq!((statuses[0].probes, statuses[0].failed, statuses[0].error_share), (1, 1, 1.0));

    let record = running.prober.probe_now("pg1").await.unwrap();
    assert_eq!(record.class, OutcomeClass::Hard);
    assert!(record.at > statuses[0].last.as_ref().unwrap().at);
    assert_eq!(running.probes_of("postgres/pg1"), 2);

    let Message::Event(event) = running.events.next().await else { panic!("a gap") };
    assert_eq!(event.kind, EventType::Target);
    assert_eq!((&event.data["name"], &event.data["class"]), (&"pg1".into(), &"hard".into()));
    assert_eq!(event.data["code"], "refused");
    assert_eq!(running.events.try_next(), None);
}

#[tokio::test]
async fn changing_one_target_does_not_disturb_another() {
    let mut running = start(&[refusing("pg1", ""), refusing("pg2", "password = \"a\"")]);
    let before = running.probed(&["pg1", "pg2"]).await;

    // A secret is part of what is compared, though it is never shown.
    running.config.send_replace(config(&[
        refusing("pg3", ""),
        refusing("pg1", ""),
        refusing("pg2", "password = \"b\""),
    ]));
    running.statuses.mark_unchanged();
    running.probed(&["pg3", "pg1", "pg2"]).await;
    running.prober.probe_now("pg2").await.unwrap();
    assert_eq!(running.probes_of("postgres/pg1"), 1);
    let after = running.probed(&["pg3", "pg1", "pg2"]).await;
    assert_eq!(after[1].last, before[0].last);
    // Another password does not make it another server: what was known is kept.
    assert!(after[2].probes >= 2);

    running.config.send_replace(config(&[refusing("pg1", "")]));
    running.probed(&["pg1"]).await;
    assert_eq!(
        running.prober.probe_now("pg2").await,
        Err(ProbeNowError::Unknown { name: String::from("pg2") })
    );
    assert!(running.supervisor.shutdown(Duration::from_secs(8)).await.is_empty());
}

#[tokio::test]
async fn switching_collecting_off_and_on_stops_and_starts_probing() {
    let off = |sections: &[String]| {
        let mut off = Config::clone(&config(sections));
        off.collect.enabled = false;
        Arc::new(off)
    };
    let sections = [refusing("pg1", "")];
    let mut running = start(&sections);
    running.probed(&["pg1"]).await;
    running.config.send_replace(off(&sections));
    running.probed(&[]).await;
    assert!(matches!(running.prober.probe_now("pg1").await, Err(ProbeNowError::Unknown { .. })));
    running.config.send_replace(config(&sections));
    running.probed(&["pg1"]).await;
}

#[tokio::test]
async fn one_name_is_one_target() {
    let twice = refusing("pg1", "") + "user = \"other\"\n";
    let mut running = start(&[refusing("pg1", ""), twice]);
    running.probed(&["pg1"]).await;
}
