//! The systemd probe with the systemctl of this machine, whatever it is booted with.

use std::path::Path;

use holdfast::model::probe::OutcomeClass::{Alive, Ok as Fine};
use holdfast::targets::Depth;

use super::support::probing::{assert_outcome, operation, probe, target, value};

fn section(unit: &str) -> String {
    format!("[[target.systemd]]\nname = \"unit\"\nunit = \"{unit}\"\ntimeout = \"5s\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_asked_for_where_systemd_runs_and_its_absence_is_said_elsewhere() {
    // As sd_booted(3) asks.
    let booted = Path::new("/run/systemd/system").is_dir();
    let mut slice = target(&section("-.slice"));
    assert_eq!(slice.address(), "-.slice");
    let probed = probe(&mut *slice).await;
    let missing = probe(&mut *target(&section("holdfast-no-such.service"))).await;
    assert_eq!(value(&missing.frame, "node_systemd_unit_state", &[]), None);
    if booted {
        assert_outcome(&probed.record, "show", Fine, "");
        let state = [("name", "-.slice"), ("state", "active"), ("target", "unit")];
        assert_eq!(value(&probed.frame, "node_systemd_unit_state", &state), Some(1.0));
        assert_outcome(&missing.record, "show", Alive, "not-found");
    } else {
        for record in [&probed.record, &missing.record, &slice.probe(Depth::Light).await.record] {
            let done = operation(record, "show");
            assert_eq!(done.class, Alive, "{done:?}");
            // A machine without the program at all says so instead.
            assert!(["not_systemd", "systemctl"].contains(&done.code.as_str()), "{done:?}");
            assert!(!done.detail.is_empty(), "{done:?}");
        }
    }
}
