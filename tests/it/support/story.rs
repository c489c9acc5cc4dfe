//! A story over hours, told to the shipped rules in a moment: the clock is set forward,
//! series are written as prober and sampler write them, every rule that is due is
//! evaluated, and one channel takes what it is sent, or does not.

use std::collections::BTreeSet;
use std::time::Duration;

use holdfast::base::time::{Clock as _, Timestamp};
use holdfast::engine::alerting::{Rounds, Shown};
use holdfast::logic::breaker::{Call, Settings};
use holdfast::logic::notify::Outcome;
use holdfast::model::alert::AlertState;
use holdfast::model::notice::{Notice, NoticeKind};
use holdfast::model::probe::OutcomeClass;
use holdfast::runtime::breaker::Breaker;

use super::app::{One, TestApp};

/// The channel that records.
pub const CHANNEL: &str = "[[channel.webhook]]\nname = 'ops'\nurl = 'http://127.0.0.1:9/'\n";
/// Between two rounds.
pub const STEP: Duration = Duration::from_secs(5);

/// See the module.
pub struct Story {
    pub app: TestApp,
    rounds: Option<Rounds>,
    /// What was delivered, and when.
    pub sent: Vec<(Timestamp, Notice)>,
    /// Whether deliveries fail.
    pub cut: bool,
    /// Rules whose alerts fired, and those of them that something muted.
    pub fired: BTreeSet<String>,
    pub muted: BTreeSet<String>,
}

impl Story {
    pub async fn with(file: &str) -> Self {
        let app = TestApp::with(&format!("{CHANNEL}{file}")).await;
        let rounds = Some(app.rounds().await);
        let (fired, muted) = Default::default();
        Self { app, rounds, sent: Vec::new(), cut: false, fired, muted }
    }

    pub fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// The alert of a rule that is listed, if it is one.
    pub fn alert(&self, rule: &str) -> Option<Shown> {
        let alerts = self.app.alerting().alerts();
        let found: Vec<&Shown> = alerts.iter().filter(|shown| shown.alert.rule == rule).collect();
        assert!(found.len() < 2, "{found:?}");
        found.first().map(|shown| (*shown).clone())
    }

    /// Evaluates what is due by the rules of other text from now on.
    pub async fn edit(&mut self, file: &str) {
        self.rounds = Some(self.app.rounds_of(&format!("{CHANNEL}{file}")).await);
    }

    /// One step of time; then `series` are there, are judged, and who is owed is told.
    pub async fn step(&mut self, series: &[One<'_>]) {
        self.app.clock.advance(STEP);
        self.judge(series).await;
    }

    /// The same without letting time pass.
    pub async fn judge(&mut self, series: &[One<'_>]) {
        self.app.sample(self.now(), series);
        let rounds = self.rounds.take().expect("the round before ended");
        self.rounds = self.app.alerting().round(rounds).await;
        for shown in self.app.alerting().alerts().iter() {
            if matches!(shown.alert.state, AlertState::Firing | AlertState::Nodata) {
                self.fired.insert(shown.alert.rule.clone());
                if shown.muted.is_muted() {
                    self.muted.insert(shown.alert.rule.clone());
                }
            }
        }
        self.deliver().await;
    }

    async fn deliver(&mut self) {
        let took = Duration::from_millis(5);
        for notice in self.app.alerting().due("ops", 10).await {
            let id = notice.id.clone();
            let outcome = if self.cut {
                Outcome::Failed { answer: String::from("refused"), took, retry_after: None }
            } else {
                self.sent.push((self.now(), notice));
                Outcome::Delivered { answer: String::from("200"), took }
            };
            self.app.alerting().report(&id, outcome, 0.5).await.expect("the store is there");
        }
    }

    /// Kind and rules of all that was sent.
    pub fn told(&self) -> Vec<(NoticeKind, String)> {
        let rules = |notice: &Notice| {
            let rules: Vec<&str> = notice.alerts.iter().map(|alert| alert.rule.as_str()).collect();
            rules.join(", ")
        };
        self.sent.iter().map(|(_, notice)| (notice.kind, rules(notice))).collect()
    }

    /// Looks away from the messages about another cause.
    pub fn without(mut self, rule: &str) -> Self {
        self.sent.retain(|(_, notice)| notice.alerts.iter().any(|alert| alert.rule != rule));
        self
    }

    /// One firing and one resolve of `rule` were sent in the whole story, and no word more.
    #[track_caller]
    pub fn assert_one_message_of(&self, rule: &str) {
        let expected = [NoticeKind::Firing, NoticeKind::Resolved].map(|kind| (kind, rule.to_owned()));
        assert_eq!(self.told(), expected);
    }
}

/// A target as the prober sees it, with its breaker.
pub struct Probed {
    kind: &'static str,
    operations: &'static [&'static str],
    breaker: Breaker,
}

impl Probed {
    pub fn new(story: &Story, kind: &'static str, operations: &'static [&'static str]) -> Self {
        let settings = Settings {
            failure_threshold: 3,
            window: Duration::from_secs(300),
            minimum_calls: 10,
            failure_share: 0.5,
            slow_call: Duration::from_secs(2),
            slow_share: 0.8,
            open_for: Duration::from_secs(60),
            max_open_for: Duration::from_secs(600),
            half_open_calls: 2,
            close_after: 2,
            call_timeout: Duration::from_secs(5),
        };
        let breaker = Breaker::new(settings, None, story.app.clock.clone(), 7, || {});
        Self { kind, operations, breaker }
    }

    /// One probe: whether the target answers, and how long it takes.
    pub fn probe(&self, story: &Story, answers: bool, seconds: f64) {
        let class = if answers { OutcomeClass::Ok } else { OutcomeClass::Hard };
        let call = Call { class, took: Duration::from_secs_f64(seconds) };
        match self.breaker.acquire() {
            Ok(permit) => permit.report_call(call),
            Err(_) => self.breaker.probed(call),
        }
        let open = f64::from(u8::from(self.breaker.view().state.is_open()));
        let success = f64::from(u8::from(answers));
        let labels: &[(&str, &str)] = &[("kind", self.kind), ("target", "main")];
        let of =
            |operation: &'static str| vec![("kind", self.kind), ("operation", operation), ("target", "main")];
        let operations: Vec<_> = self.operations.iter().map(|operation| of(operation)).collect();
        let mut series: Vec<One<'_>> = vec![
            ("probe_success", labels, success),
            ("probe_duration_seconds", labels, seconds),
            ("holdfast_breaker_open", labels, open),
        ];
        series.extend(
            operations
                .iter()
                .map(|labels| -> One<'_> { ("holdfast_probe_operation_success", labels, success) }),
        );
        series.extend(
            operations
                .iter()
                .map(|labels| -> One<'_> { ("holdfast_probe_operation_duration_seconds", labels, seconds) }),
        );
        series.sort_by_key(|one| one.0);
        story.app.sample_of("probe", story.now(), &series);
    }
}
