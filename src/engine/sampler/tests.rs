//! The sampler against collectors of the test's own, with real threads.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::*;
use crate::base::time::{ManualClock, SystemClock};
use crate::base::units::Span;
use crate::model::host::CollectorStatus;
use crate::runtime::bus::Message;

/// Keeps the keys of every frame.
#[derive(Default)]
struct Frames(Mutex<Vec<(Timestamp, Vec<String>)>>);

impl Frames {
    fn last(&self) -> Vec<String> {
        self.0.lock().unwrap().last().map(|frame| frame.1.clone()).unwrap_or_default()
    }
}

impl Sink for Frames {
    fn append(&self, at: Timestamp, frame: &Frame) -> AppendReport {
        let keys = frame.iter().map(|sample| sample.key.to_owned()).collect();
        self.0.lock().unwrap().push((at, keys));
        AppendReport { accepted: frame.len(), refused: 0 }
    }

    fn stats(&self) -> StoreStats {
        StoreStats { file_bytes: 4096, ..StoreStats::default() }
    }
}

struct Plain(&'static str);

impl Collector for Plain {
    fn name(&self) -> &'static str {
        self.0
    }

    fn collect(&mut self, _: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        match self.0 {
            "gone" => return Err(CollectError::Absent),
            "broken" => return Err(CollectError::Failed(String::from("no such luck"))),
            "panicking" => panic!("on purpose"),
            name => frame.gauge(name, "").push(&[], 1.0),
        };
        Ok(())
    }
}

/// Waits in its first run until the test opens the gate.
struct Hanging {
    gate: Option<Receiver<()>>,
}

static GATE: Mutex<Option<Receiver<()>>> = Mutex::new(None);

impl Collector for Hanging {
    fn name(&self) -> &'static str {
        "hanging"
    }

    fn deadline(&self) -> Duration {
        Duration::from_millis(30)
    }

    fn collect(&mut self, _: Tick, frame: &mut Frame) -> Result<(), CollectError> {
        if let Some(gate) = self.gate.take() {
            gate.recv().unwrap();
        }
        frame.gauge("hanging", "").push(&[], 1.0);
        Ok(())
    }
}

fn plain(_: &Roots) -> Vec<Box<dyn Collector>> {
    let names = ["first", "gone", "broken", "panicking", "last"];
    names.into_iter().map(|name| Box::new(Plain(name)) as Box<dyn Collector>).collect()
}

fn hanging(_: &Roots) -> Vec<Box<dyn Collector>> {
    let gate = GATE.lock().unwrap().take();
    vec![Box::new(Plain("first")), Box::new(Hanging { gate }), Box::new(Plain("last"))]
}

struct Bench {
    view: watch::Sender<Arc<HostView>>,
    frames: Arc<Frames>,
    bus: Bus,
    config: watch::Sender<Arc<Config>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<TaskResult>,
}

#[expect(clippy::disallowed_methods, reason = "a test holds its own task")]
fn start_at(clock: Arc<dyn Clock>, collectors: fn(&Roots) -> Vec<Box<dyn Collector>>) -> Bench {
    let mut wanted = Config::default();
    wanted.collect.interval = Span::from_millis(20);
    let config = watch::Sender::new(Arc::new(wanted));
    let bus = Bus::new(clock.clone(), 64);
    let frames = Arc::new(Frames::default());
    let view = watch::Sender::default();
    let parts = Parts {
        clock,
        config: config.subscribe(),
        sink: frames.clone(),
        bus: bus.clone(),
        collectors,
        view: view.clone(),
    };
    let sampler = Arc::new(Sampler::new(parts));
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let stop = stop.clone();
        async move { sampler.run(stop).await }
    });
    Bench { view, frames, bus, config, stop, task }
}

fn start(collectors: fn(&Roots) -> Vec<Box<dyn Collector>>) -> Bench {
    start_at(Arc::new(SystemClock::new()), collectors)
}

impl Bench {
    /// Waits until the view is as wanted.
    async fn until(&self, wanted: impl Fn(&HostView) -> bool) -> Arc<HostView> {
        let mut view = self.view.subscribe();
        let seen = view.wait_for(|view| wanted(view));
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("in time").unwrap().clone()
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn state_of(view: &HostView, name: &str) -> Option<CollectorStatus> {
    view.collectors.iter().find(|status| status.name == name).cloned()
}

#[tokio::test]
async fn one_that_fails_or_panics_does_not_cost_the_others_anything() {
    let bench = start(plain);
    let view = bench.until(|view| view.ticks >= 2).await;
    let states: Vec<_> = view.collectors.iter().map(|status| (status.name, status.state)).collect();
    let expected =
        [("first", "ok"), ("gone", "absent"), ("broken", "failed"), ("panicking", "failed"), ("last", "ok")];
    assert_eq!(states, expected);
    assert_eq!(state_of(&view, "broken").unwrap().error.as_deref(), Some("no such luck"));
    assert!(bench.frames.last().starts_with(&[String::from("first"), String::from("last")]));
    let first = bench.frames.0.lock().unwrap()[0].1.clone();
    for key in [
        "holdfast_collector_duration_seconds{collector=\"first\"}",
        "holdfast_collector_success{collector=\"broken\"}",
        "holdfast_store_file_bytes",
    ] {
        assert!(first.iter().any(|found| found == key), "{key} in {first:?}");
    }
    assert!(!first.iter().any(|key| key.contains("gone")), "absent is absent");
    bench.end().await;
}

#[tokio::test]
async fn a_stuck_collector_holds_nothing_up_and_rejoins() {
    let (open, gate): (SyncSender<()>, _) = sync_channel(1);
    *GATE.lock().unwrap() = Some(gate);
    let bench = start(hanging);
    let is = |state: &'static str| {
        move |view: &HostView| state_of(view, "hanging").is_some_and(|status| status.state == state)
    };
    let stuck = bench.until(is("stuck")).await;
    assert_eq!(state_of(&stuck, "last").unwrap().state, "ok");
    let later = bench.until(|view| view.ticks > stuck.ticks + 2).await;
    assert_eq!(state_of(&later, "hanging").unwrap().state, "stuck");
    assert_eq!(bench.frames.last(), ["first", "last"]);

    open.send(()).unwrap();
    bench.until(is("ok")).await;
    assert_eq!(bench.frames.last(), ["first", "hanging", "last"]);
    bench.end().await;
}

#[tokio::test]
async fn configuration_changes_are_followed_and_listeners_hear_every_tick() {
    let bench = start(plain);
    let mut events = bench.bus.subscribe(None);
    for _ in 0..2 {
        let Message::Event(event) = events.next().await else { panic!("a gap") };
        assert_eq!(event.kind, EventType::Metrics);
        assert!(event.data["collected_at_ms"].is_i64());
    }
    bench.config.send_modify(|config| {
        Arc::make_mut(config).collect.disable = vec![String::from("last")];
    });
    let view = bench.until(|view| state_of(view, "last").is_none()).await;
    assert!(state_of(&view, "first").is_some());
    bench.config.send_modify(|config| Arc::make_mut(config).collect.enabled = false);
    let off = bench.until(|view| view.collectors.is_empty()).await;
    assert_eq!(off.summary.collected_at_ms, 0, "nothing old is shown");
    bench.config.send_modify(|config| Arc::make_mut(config).collect.enabled = true);
    let ticks = bench.frames.0.lock().unwrap().len();
    bench.until(|_| bench.frames.0.lock().unwrap().len() > ticks).await;
    let frames = bench.frames.0.lock().unwrap().clone();
    assert!(frames.windows(2).all(|pair| pair[0].0 < pair[1].0), "times rise");
    bench.end().await;
}

#[tokio::test]
async fn a_clock_that_goes_back_is_told_once_and_times_still_rise() {
    let clock = Arc::new(ManualClock::at(Timestamp(1_000_000)));
    let bench = start_at(clock.clone(), plain);
    let seen = bench.until(|view| view.ticks >= 2).await.ticks;
    clock.jump_to(Timestamp(400_000));
    bench.until(|view| view.ticks > seen + 3).await;
    let mut events = bench.bus.subscribe(Some(0));
    let jumps: Vec<_> = std::iter::from_fn(|| events.try_next())
        .filter_map(|message| match message {
            Message::Event(event) if event.kind == EventType::System => Some(event.data.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(jumps, [json!({"action": "clock_jumped", "back_seconds": 600.0})]);
    let frames = bench.frames.0.lock().unwrap().clone();
    assert!(frames.windows(2).all(|pair| pair[0].0 < pair[1].0), "times rise");
    bench.end().await;
}
