//! Rules, alerts and who is told, over the real store and the real life cycle.

use std::time::Duration;

use holdfast::base::time::Clock as _;
use serde_json::json;

use crate::support::app::TestApp;

const RULE: &str = "[[rule]]\nname = 'hot'\nexpr = 'temperature'\nop = '>'\nlevels = { medium = 50, critical = 80 }\n\
                    clear_margin = 5\ntitle = '{{ $labels.room }} is at {{ $value }}'\n";

impl TestApp {
    /// One second later with this temperature, evaluated.
    async fn at(&self, value: f64) {
        self.clock.advance(Duration::from_secs(1));
        self.sample(self.clock.now(), &[("temperature", &[("room", "attic")], value)]);
        self.round().await;
    }
}

#[tokio::test]
async fn an_alert_rises_falls_and_ends_as_one() {
    let app = TestApp::with(RULE).await;
    app.at(20.0).await;
    assert!(app.alerting().alerts().is_empty());
    app.at(60.0).await;
    let alerts = app.alerting().alerts();
    let first = &alerts[0].alert;
    assert_eq!((first.title.as_str(), first.severity.word()), ("attic is at 60", "medium"));
    assert_eq!((first.value, first.threshold), (Some(60.0), Some(50.0)));
    app.at(90.0).await;
    let alerts = app.alerting().alerts();
    assert_eq!((alerts.len(), alerts[0].alert.severity.word()), (1, "critical"));
    assert_eq!(alerts[0].alert.id, first.id);
    app.at(47.0).await;
    assert_eq!(app.alerting().alerts().len(), 1, "not clear by the margin yet");
    app.at(44.0).await;
    assert!(app.alerting().alerts().is_empty());
    let stored = app.store().alerts().unwrap();
    let steps: Vec<_> = stored[0].steps.iter().map(|step| json!(step.what)).collect();
    assert_eq!(steps, [json!("fired"), json!("worsened"), json!("eased"), json!("resolved")]);
}
