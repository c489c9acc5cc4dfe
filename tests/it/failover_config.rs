//! Failover groups in the configuration: what is a slip, what may be set at run time, what
//! follows for the members.

use holdfast::base::time::Timestamp;
use holdfast::config::load::{Loaded, Sources, load_text};
use holdfast::config::overlay::{Change, Overlay, PatchError, patched};
use serde_json::{Value, json};

const TARGETS: &str = "[[target.postgres]]\nname = \"pg1\"\nhost = \"h1\"\n[[target.postgres]]\nname = \"pg2\"\nhost = \"/run/pg\"\n[[target.postgres]]\nname = \"pg3\"\nhost = \"h3\"\n";
/// Stands on line 10 of a document that begins with [`TARGETS`].
const GROUP: &str =
    "[[failover.group]]\nname = \"main\"\nmembers = [\"pg1\", \"pg3\"]\nlisten = \"127.0.0.1:6432\"\n";

fn load(document: &str) -> Result<Loaded, String> {
    load_text(Sources::default(), "h.toml", document, Overlay::default())
        .map_err(|problems| problems.to_string())
}

fn group(more: &str) -> Result<Loaded, String> {
    load(&format!("{TARGETS}{GROUP}{more}"))
}

fn patch(loaded: &Loaded, patch: Value) -> Result<Loaded, PatchError> {
    patched(loaded, &patch, &Change { by: "token:admin".into(), at: Timestamp(1_795_166_565_250) })
}

fn second(keys: Value) -> Value {
    let mut group = json!({"members": ["pg3"], "listen": "127.0.0.1:6440"});
    group.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    json!({"failover": {"group": {"second": group}}})
}

#[test]
fn every_slip_has_its_key_and_its_place() {
    let main = "[[failover.group]]\nname = \"main\"\n";
    for (document, expected) in [
        (
            format!("{main}listen = \"127.0.0.1:1\"\n"),
            "h.toml:10:1: key failover.group[main]: `members` is missing",
        ),
        (
            format!("{main}members = [\"pg1\", \"pg9\"]\nlisten = \"127.0.0.1:1\"\n"),
            "h.toml:12:19: key failover.group[main].members: there is no Postgres target `pg9`; there are: pg1, pg2, pg3",
        ),
        (
            format!("{main}members = [\"pg2\"]\nlisten = \"127.0.0.1:1\"\n"),
            "h.toml:12:12: key failover.group[main].members: `pg2` is reached through the directory /run/pg",
        ),
        (
            format!("{main}members = [\"pg1\", \"pg1\"]\nlisten = \"127.0.0.1:1\"\n"),
            "h.toml:12:19: key failover.group[main].members: `pg1` is a member twice",
        ),
        (
            format!("{main}members = []\nlisten = \"127.0.0.1:1\"\n"),
            "h.toml:12:11: key failover.group[main].members: nobody, expected the names",
        ),
        (
            format!(
                "{GROUP}[[failover.group]]\nname = \"b\"\nmembers = [\"pg3\"]\nlisten = \"127.0.0.1:1\"\n"
            ),
            "h.toml:16:12: key failover.group[b].members: `pg3` is already a member of `main`",
        ),
        (
            format!("{GROUP}listen_read = \"127.0.0.1:6432\"\n"),
            "h.toml:14:15: key failover.group[main].listen_read: `127.0.0.1:6432` is already taken by failover.group[main].listen",
        ),
        (
            format!("{GROUP}listen_read = \"127.0.0.1:3003\"\n"),
            "`127.0.0.1:3003` is already taken by listen, expected another port",
        ),
        (format!("{GROUP}listen_read = \"127.0.0.1:0\"\n"), "port 0 is another one after each start"),
        (format!("{GROUP}listen_read = \"nas\"\n"), "`nas` is not an address, expected for example"),
        (
            format!("{GROUP}kind = \"object_store\"\n"),
            "h.toml:14:8: key failover.group[main].kind: `object_store` groups are not in this version yet",
        ),
        (
            format!("{GROUP}kind = \"mysql\"\n"),
            "unknown word \"mysql\", expected one of postgres, object_store",
        ),
        (format!("{GROUP}mode = \"automatic\"\n"), "expected one of auto, manual, router"),
        (
            format!("{GROUP}tier = \"fenced\"\n"),
            "h.toml:14:8: key failover.group[main].tier: nothing proves the old primary off, expected a `fence_hook`",
        ),
        (
            format!("{GROUP}tier = \"sync\"\nfence_on_return = true\n"),
            "h.toml:15:19: key failover.group[main].fence_on_return: has no effect",
        ),
        (format!("{GROUP}max_per_day = 0\n"), "key failover.group[main].max_per_day: 0, expected 1 to 1000"),
        (format!("{GROUP}max_lag = 5\n"), "has no unit"),
        (format!("{GROUP}hold_max = \"1h\"\n"), "key failover.group[main].hold_max: 1h, expected at most 5m"),
        (format!("{GROUP}restart_grace = \"0s\"\n"), "would promote at a planned restart"),
        (
            format!("{GROUP}fence_hook = [\"fence\", \"{{member}}\"]\n"),
            "h.toml:14:15: key failover.group[main].fence_hook: `fence` is no program, expected an absolute path",
        ),
        (
            format!("{GROUP}rejoin_hook = [\"/r\", \"{{membre}}\"]\n"),
            "h.toml:14:22: key failover.group[main].rejoin_hook: `{membre}` stands for nothing, expected {member} or {primary}",
        ),
        (format!("{GROUP}membres = []\n"), "did you mean `members`?"),
    ] {
        let said = load(&format!("{TARGETS}{document}")).expect_err(&document);
        // A bare number is said to be one without its unit by the reader of the type.
        let expected = if expected == "has no unit" { "failover.group[main].max_lag" } else { expected };
        assert!(said.contains(expected), "{document}\n got: {said}\nwant: {expected}");
    }
}

#[test]
fn a_group_has_defaults_and_its_members_come_back_quickly() {
    let loaded = group("").unwrap();
    let main = &loaded.config.failover.group[0];
    let shown = serde_json::to_value(main).unwrap();
    assert_eq!(
        shown,
        json!({
            "name": "main", "kind": "postgres", "members": ["pg1", "pg3"], "listen": "127.0.0.1:6432",
            "mode": "auto", "tier": "auto", "max_lag": "1MiB", "cooldown": "10m", "max_per_day": 2,
            "restart_grace": "10s", "hold_max": "5s", "path_hold": "15s", "allow_path_failover": false,
            "fence_on_return": false, "failover_on_read_only": false, "max_connections": 1000, "enabled": true,
            "open_to_network": false,
        })
    );
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let waits = |loaded: &Loaded| {
        let targets = loaded.config.target.postgres.iter();
        targets.map(|target| target.breaker.open_for.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(waits(&loaded), ["1s", "1m", "1s"]);
    let given = format!("{}[target.postgres.breaker]\nopen_for = \"7s\"\n{GROUP}", TARGETS);
    assert_eq!(waits(&load(&given).unwrap()), ["1s", "1m", "7s"]);
    // The prober's own interval is nobody's surprise.
    assert_eq!(loaded.config.target.postgres[0].interval.to_string(), "30s");

    let switch = group("tier = \"switch\"\nfence_on_return = true\n").unwrap();
    assert_eq!(switch.config.failover.group[0].restart_grace.to_string(), "1m");
    let given = group("tier = \"switch\"\nrestart_grace = \"3s\"\n").unwrap();
    assert_eq!(given.config.failover.group[0].restart_grace.to_string(), "3s");
}

#[test]
fn only_the_file_opens_an_endpoint_to_the_network() {
    let refused = group("listen_read = \"0.0.0.0:6433\"\n").unwrap_err().to_string();
    assert!(refused.contains("failover.group[main].listen_read: `0.0.0.0:6433` can be reached"), "{refused}");
    assert!(refused.contains("`open_to_network = true`"), "{refused}");
    let open = group("listen_read = \"0.0.0.0:6433\"\nopen_to_network = true\n").unwrap();
    assert_eq!(open.warnings.len(), 1);
    assert!(open.warnings[0].starts_with("failover.group[main].listen_read: `0.0.0.0:6433` can be reached"));
    let loaded = load(TARGETS).unwrap();
    for listen in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
        let refused = patch(&loaded, second(json!({ "listen": listen }))).unwrap_err().to_string();
        assert!(refused.contains("which only the configuration file can say"), "{refused}");
    }
    for listen in ["127.0.0.2:1", "[::1]:1", "localhost:1"] {
        assert!(patch(&loaded, second(json!({ "listen": listen }))).unwrap().warnings.is_empty());
    }
}

#[test]
fn groups_are_set_at_run_time_and_their_programs_are_not() {
    let loaded = load(TARGETS).unwrap();
    let next = patch(&loaded, second(json!({"max_lag": "2MiB"}))).unwrap();
    assert_eq!(next.config.failover.group[0].max_lag.to_string(), "2MiB");
    for hook in ["fence_hook", "rejoin_hook"] {
        let refused = patch(&loaded, second(json!({ hook: ["/bin/sh"] })));
        assert!(matches!(refused, Err(PatchError::Pinned(_))), "{hook}");
    }
    // Neither in a group that the file defines.
    let loaded = group("fence_hook = [\"/f\"]\n").unwrap();
    for keys in [
        json!({"rejoin_hook": ["/bin/sh"]}),
        json!({"fence_hook": null}),
        json!({"members": ["pg1"]}),
        json!({"listen": "127.0.0.1:7"}),
    ] {
        let refused = patch(&loaded, json!({"failover": {"group": {"main": keys}}})).unwrap_err();
        assert!(refused.to_string().contains("h.toml:1"), "{refused}");
    }
    let patched = patch(&loaded, json!({"failover": {"group": {"main": {"mode": "manual"}}}})).unwrap();
    assert_eq!(serde_json::to_value(&patched.config.failover.group[0]).unwrap()["mode"], "manual");
    // A member cannot be taken away under its group.
    let other = patch(&load("").unwrap(), json!({"target": {"postgres": {"pg3": {"host": "h"}}}})).unwrap();
    let other = patch(&other, second(json!({}))).unwrap();
    let refused = patch(&other, json!({"target": {"postgres": {"pg3": null}}})).unwrap_err().to_string();
    assert!(refused.contains("failover.group[second].members"), "{refused}");
}
