//! What jobs and applications report, up to the alerts of the shipped rules.

use std::time::Duration;

use serde_json::{Value, json};

use holdfast::base::time::Clock as _;
use holdfast::model::alert::AlertState;

use super::support::app::TestApp;
use super::support::client::Ask;

const STEP: Duration = Duration::from_secs(15);

impl TestApp {
    /// So many seconds pass, with all that ticks; what `each` does is done at every step.
    async fn pass(&self, seconds: u64, each: impl AsyncFn(&Self)) {
        for _ in 0..seconds / STEP.as_secs() {
            each(self).await;
            self.clock.advance(STEP);
            self.tick().await;
        }
    }

    /// Everything ticks.
    async fn tick(&self) {
        self.tasks.get().unwrap().tick().await;
        self.reports.get().unwrap().tick().await;
        self.round().await;
    }

    async fn report(&self, path: &str, body: &Value) {
        let answer = self.ask_as_admin(Ask::post(path, "application/json", body.to_string())).await;
        assert!(answer.status < 300, "{path}: {}", answer.text());
    }

    /// A task that ends.
    async fn end(&self, id: &str, how: &str) {
        self.report("/api/v1/tasks", &json!({ "name": "import", "id": id })).await;
        self.report(&format!("/api/v1/tasks/{id}/{how}"), &json!({})).await;
    }

    /// Rules that fire, each with its severity.
    fn firing(&self) -> Vec<String> {
        let alerts = self.alerting().alerts();
        let firing = alerts.iter().map(|held| &held.alert).filter(|alert| alert.state == AlertState::Firing);
        let mut words: Vec<String> =
            firing.map(|alert| format!("{} {}", alert.rule, alert.severity.word())).collect();
        words.sort_unstable();
        words
    }
}

fn operation(source: &str, duration_ms: f64, success: bool) -> Value {
    json!({ "source": source, "operation": "pay", "duration_ms": duration_ms, "success": success })
}

async fn nothing(_: &TestApp) {}

#[tokio::test]
async fn a_check_that_is_down_is_an_alert_until_it_reports() {
    let app = TestApp::with("[[check]]\nname = 'nightly'\nperiod = '1m'\ngrace = '30s'\n").await;
    app.tick().await;
    let url = app.ask_as_admin(Ask::get("/api/v1/checks/nightly")).await.json()["ping_url"].clone();
    app.get(url.as_str().unwrap()).await;
    app.pass(75, nothing).await;
    assert_eq!(app.firing(), [""; 0], "late is not down");
    app.pass(15, nothing).await;
    assert_eq!(app.firing(), ["check_down high"]);
    app.get(url.as_str().unwrap()).await;
    app.pass(15, nothing).await;
    assert_eq!(app.firing(), [""; 0]);
}

#[tokio::test]
async fn failed_tasks_are_an_alert_for_an_hour_and_many_a_rate() {
    let app = TestApp::start().await;
    app.end("a", "complete").await;
    app.pass(30, nothing).await;
    assert_eq!(app.firing(), [""; 0]);
    app.end("b", "fail").await;
    app.pass(45, nothing).await;
    assert_eq!(app.firing(), ["task_failure medium"], "two are too few for a rate");
    for number in 0..10 {
        app.end(&number.to_string(), if number == 0 { "fail" } else { "complete" }).await;
    }
    app.pass(60, nothing).await;
    assert_eq!(app.firing(), ["job_failure_rate medium", "task_failure medium"]);
    app.pass(660, nothing).await;
    assert_eq!(app.firing(), ["task_failure medium"]);
    app.pass(3600, nothing).await;
    assert_eq!(app.firing(), [""; 0]);
}

#[tokio::test]
async fn an_application_that_falls_silent_is_an_alert_until_it_reports() {
    let app = TestApp::start().await;
    app.report("/events/operation", &operation("shop", 20.0, true)).await;
    app.pass(120, nothing).await;
    assert_eq!(app.firing(), [""; 0]);
    app.pass(900, nothing).await;
    assert_eq!(app.firing().len(), 1);
    assert!(app.firing()[0].ends_with(" critical"), "{:?}", app.firing());
    app.report("/events/failure", &json!({ "source": "shop", "kind": "restarted" })).await;
    app.pass(15, nothing).await;
    assert_eq!(app.firing(), [""; 0]);
}

#[tokio::test]
async fn slow_and_failing_operations_are_alerts_with_levels() {
    let app = TestApp::start().await;
    let busy = async |app: &TestApp| {
        // Of twenty, two take 7 s and three fail.
        for number in 0..20 {
            let duration_ms = if number < 2 { 7000.0 } else { 40.0 };
            app.report("/events/operation", &operation("shop", duration_ms, number >= 3)).await;
        }
    };
    app.pass(285, busy).await;
    assert_eq!(app.firing(), [""; 0]);
    app.pass(330, busy).await;
    assert_eq!(app.firing(), ["high_response_time medium", "operation_error_rate medium"]);
    let well = async |app: &TestApp| app.report("/events/operation", &operation("shop", 40.0, true)).await;
    app.pass(600, well).await;
    assert_eq!(app.firing(), [""; 0]);
}

#[tokio::test]
async fn a_few_jobs_of_a_new_name_are_not_counted_as_many() {
    let app = TestApp::with("").await;
    let finished = |failure: f64, success: f64| {
        let series = |result, value| {
            let labels: [(&str, &str); 2] = [("name", "nightly"), ("result", result)];
            (labels, value)
        };
        let all = [series("failure", failure), series("success", success)];
        let all = all
            .each_ref()
            .map(|(labels, value)| ("holdfast_tasks_finished_total", labels.as_slice(), *value));
        app.sample(app.clock.now(), &all);
    };
    finished(0.0, 0.0);
    app.clock.advance(Duration::from_secs(1));
    finished(3.0, 4.0);
    app.clock.advance(Duration::from_millis(600));
    app.round().await;
    assert_eq!(app.firing(), ["task_failure medium"], "seven are not ten");
    app.clock.advance(Duration::from_secs(15));
    finished(4.0, 6.0);
    app.clock.advance(Duration::from_secs(5));
    app.round().await;
    assert_eq!(app.firing(), ["job_failure_rate medium", "task_failure medium"]);
}
