//! One-shot alerts.

use super::*;

struct Stage {
    events: Events,
    now: Now,
    ids: u32,
}

impl Stage {
    fn new() -> Self {
        let now = Now { wall: Timestamp(1_800_000_000_000), mono: Monotonic(seconds(1000)) };
        Self { events: Events::new(2), now, ids: 0 }
    }

    fn wait(&mut self, by: u64) -> &mut Self {
        self.now.wall = self.now.wall.plus(seconds(by));
        self.now.mono = Monotonic(self.now.mono.0 + seconds(by));
        self
    }

    fn raise(&mut self, key: &str, severity: Severity, lasts: u64) -> Result<Vec<News>, Full> {
        let raise = Raise {
            key: key.to_owned(),
            kind: String::from("failover_switched"),
            texts: Texts { title: key.to_owned(), ..Texts::default() },
            severity,
            value: None,
            started_at: None,
            expires_at: self.now.wall.plus(seconds(lasts)),
        };
        let ids = &mut self.ids;
        let mut id = || {
            *ids += 1;
            format!("e{ids}")
        };
        self.events.raise(raise, self.now, &mut id).map(|changes| news(&changes))
    }

    fn step(&mut self) -> Vec<News> {
        news(&self.events.step(self.now))
    }

    fn alert(&self) -> &Alert {
        self.events.alerts().next().expect("an event")
    }
}

#[test]
fn an_event_fires_at_once_and_ends_by_its_time() {
    let mut stage = Stage::new();
    assert_eq!(stage.raise("x", Severity::High, 60), Ok(steps(&[Happening::Fired])));
    assert!(stage.alert().is_event() && stage.alert().state == AlertState::Firing);
    assert_eq!(stage.wait(59).step(), []);
    let now = stage.wait(1).now;
    let changes = stage.events.step(now);
    assert_eq!(news(&changes), steps(&[Happening::Expired]));
    assert_eq!(changes[0].alert.state, AlertState::Resolved);
    assert_eq!(stage.step(), []);
}

#[test]
fn raised_again_it_is_the_same_alert() {
    let mut stage = Stage::new();
    stage.raise("x", Severity::Medium, 60).unwrap();
    assert_eq!(stage.wait(0).raise("x", Severity::Medium, 60), Ok(vec![]), "nothing new");
    assert_eq!(stage.wait(50).raise("x", Severity::Medium, 60), Ok(vec![News::Touched]));
    assert_eq!(stage.wait(50).step(), []);
    stage.events.command("e1", acknowledge(None), stage.now).unwrap();
    let news = stage.raise("x", Severity::High, 60).unwrap();
    assert_eq!(news, steps(&[Happening::Worsened, Happening::Rearmed]));
    assert_eq!(stage.raise("x", Severity::Low, 60), Ok(steps(&[Happening::Eased])));
    assert_eq!(stage.raise("x", Severity::Low, 0), Ok(steps(&[Happening::Resolved])), "ended by its sender");
    assert_eq!(stage.raise("x", Severity::Low, 0), Ok(vec![]));
    assert_eq!(stage.ids, 1);
    assert_eq!(stage.raise("x", Severity::Low, 60), Ok(steps(&[Happening::Fired])));
    assert_eq!(stage.ids, 2);
}

#[test]
fn a_jump_of_the_wall_clock_ends_no_event() {
    let mut stage = Stage::new();
    stage.raise("x", Severity::High, 60).unwrap();
    stage.now.wall = stage.now.wall.plus(DAY);
    assert_eq!(stage.wait(59).step(), []);
    stage.now.wall = stage.now.wall.minus(DAY).minus(DAY);
    assert_eq!(stage.step(), []);
    assert_eq!(stage.wait(1).step(), steps(&[Happening::Expired]));
}

#[test]
fn a_manual_resolve_holds_while_the_sender_repeats_itself() {
    let mut stage = Stage::new();
    stage.raise("x", Severity::High, 60).unwrap();
    let resolved = stage.events.command("e1", resolve(), stage.now).unwrap();
    assert_eq!(news(&resolved), steps(&[Happening::ResolvedByHand]));
    assert_eq!(stage.events.command("e1", resolve(), stage.now), Ok(vec![]));
    for _ in 0..10 {
        assert_eq!(stage.wait(30).raise("x", Severity::Emergency, 60), Ok(vec![News::Touched]));
        assert_eq!(stage.step(), []);
    }
    assert_eq!(stage.wait(60).step(), [News::Touched]);
    assert_eq!(stage.raise("x", Severity::High, 60), Ok(steps(&[Happening::Fired])));
}

#[test]
fn a_restart_keeps_events_and_there_is_a_bound() {
    let mut stage = Stage::new();
    stage.raise("x", Severity::High, 60).unwrap();
    stage.raise("y", Severity::High, 600).unwrap();
    assert_eq!(stage.raise("z", Severity::High, 60), Err(Full(2)));
    let stored: Vec<Alert> = stage.events.alerts().cloned().collect();
    stage.now = Now { wall: stage.now.wall.plus(seconds(59)), mono: Monotonic::default() };
    stage.events = Events::new(2);
    stage.events.restore(stored, stage.now);
    assert_eq!(stage.step(), []);
    assert_eq!(stage.wait(1).step(), steps(&[Happening::Expired]));
    assert_eq!(stage.alert().key, "y");
    assert_eq!(stage.raise("y", Severity::High, 0), Ok(steps(&[Happening::Resolved])));
}

#[test]
fn what_was_resolved_by_hand_takes_no_room_from_news() {
    let mut stage = Stage::new();
    stage.raise("x", Severity::High, 600).unwrap();
    stage.raise("y", Severity::High, 600).unwrap();
    for id in ["e2", "e1"] {
        let now = stage.wait(1).now;
        stage.events.command(id, resolve(), now).unwrap();
    }
    assert_eq!(stage.raise("x", Severity::High, 700), Ok(vec![News::Touched]), "there is room for itself");
    let made = stage.raise("z", Severity::High, 600).unwrap();
    assert_eq!(made, [News::Touched, News::Step(Happening::Fired)]);
    let held = |stage: &Stage, key: &str| {
        stage.events.alerts().any(|alert| alert.key == key && alert.manual.is_some())
    };
    assert!(held(&stage, "x") && !held(&stage, "y"), "the first that was resolved is let go");
    assert_eq!(stage.raise("x", Severity::High, 700), Ok(vec![]), "still held");
    stage.raise("y", Severity::High, 600).unwrap();
    assert_eq!(stage.raise("x", Severity::High, 600), Err(Full(2)), "both fire");
}
