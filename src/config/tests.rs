//! The whole of loading, from texts to values and messages.

use serde_json::{Value, json};

use super::load::{Flag, Loaded, Sources, load, load_text};
use super::origin::Origin;
use super::overlay::{Change, Overlay, PatchError, patched};
use super::problem::Problems;
use super::view;
use crate::base::time::Timestamp;

fn text(text: &str) -> Result<Loaded, Problems> {
    load_text(Sources::default(), "h.toml", text, Overlay::default())
}

/// The only message about `document`.
fn message(document: &str) -> String {
    let problems = text(document).unwrap_err().0;
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

/// Opens what was never sealed.
fn plain(_: &super::tree::Key, text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn change() -> Change {
    Change { by: "token:admin".into(), at: Timestamp(1_795_166_565_250) }
}

fn sources(environment: &[(&str, &str)]) -> Sources {
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Sources { environment, ..Sources::default() }
}

fn view_of(loaded: &Loaded, key: &str) -> view::ValueView {
    view::values(loaded).into_iter().find(|view| view.key == key).unwrap()
}

const PG1: &str = "[[target.postgres]]\nname = \"pg1\"\nhost = \"127.0.0.1\"\n";

#[test]
fn nothing_said_is_the_defaults() {
    let loaded = text("").unwrap();
    assert_eq!(loaded.config.listen, ["127.0.0.1:3003"]);
    assert!(
        view::values(&loaded).iter().all(|view| view.origin == Origin::Default && view.value == view.default)
    );
}

#[test]
fn every_slip_is_one_clear_line() {
    for (document, expected) in [
        (
            "[storage]\ncpa = \"1GiB\"\n",
            "h.toml:2:1: key storage.cpa: unknown key, expected one of profile, cap, raw_retention, minute_retention, hour_retention, max_series, tail, did you mean `cap`?",
        ),
        (
            "cap = \"1GiB\"",
            "h.toml:1:1: key cap: unknown key, expected one of listen, data_dir, auth, tls, alerting, collect, storage, target, failover, rule, check, channel, route, quiet_hours, backup, http, log, metrics, admin, cache, memory, services, did you mean `storage.cap`?",
        ),
        (
            "[colect]\ninterval = \"1s\"\n",
            "h.toml:1:2: key colect: unknown key, expected one of listen, data_dir, auth, tls, alerting, collect, storage, target, failover, rule, check, channel, route, quiet_hours, backup, http, log, metrics, admin, cache, memory, services, did you mean `collect`?",
        ),
        (
            "[collect]\ninterval = 30\n",
            "h.toml:2:12: key collect.interval: expected a duration with its unit, such as \"30s\", found the bare number 30",
        ),
        (
            "[collect]\n  interval = \"30\"",
            "h.toml:2:14: key collect.interval: `30` has no unit: expected a duration such as \"250ms\", \"30s\", \"5m\", \"2h\" or \"7d\"",
        ),
        (
            "[storage]\ncap = \"512 monkeys\"",
            "h.toml:2:7: key storage.cap: `512 monkeys` is not a size: expected for example \"64KiB\", \"512MiB\" or \"2GiB\"",
        ),
        (
            "[storage]\ncap = \"1MiB\"",
            "h.toml:2:7: key storage.cap: 1MiB is too small, expected at least 16MiB",
        ),
        (
            "[collect]\nenabled = \"yes\"",
            "h.toml:2:11: key collect.enabled: expected true or false, found the text \"yes\"",
        ),
        (
            "[log]\nlevel = \"inof\"",
            "h.toml:2:9: key log.level: unknown word \"inof\", expected one of error, warn, info, debug, trace, did you mean `info`?",
        ),
        (
            "listen = \"127.0.0.1:1\"",
            "h.toml:1:10: key listen: expected a list, such as [\"a\", \"b\"], found the text \"127.0.0.1:1\"",
        ),
        (
            "listen = [\"127.0.0.1:1\", 5]",
            "h.toml:1:26: key listen: expected a text in quotes, found the bare number 5",
        ),
        ("storage = 5", "h.toml:1:11: key storage: expected a table, found the bare number 5"),
        (
            "[target.postgres]\nname = \"x\"",
            "h.toml:1:9: key target.postgres: expected a list of tables: write [[target.postgres]] with a `name` in each",
        ),
        (
            "[[target.postgres]]\nhost = \"h\"",
            "h.toml:1:1: key target.postgres: `name` is missing: every table of this list has its own",
        ),
        ("[[target.postgres]]\nname = \"a\"", "h.toml:1:1: key target.postgres[a]: `host` is missing"),
        (
            "[[target.postgres]]\nname = \"PG 1\"\nhost=\"h\"",
            "h.toml:2:8: key target.postgres[PG 1].name: `PG 1` is not a name: expected a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`",
        ),
        (
            "[[target.postgres]]\nname = \"a\"\nhost = \"h\"\nport = 70000",
            "h.toml:4:8: key target.postgres[a].port: expected a whole number from 0 to 65535, found the bare number 70000",
        ),
        (
            "[[target.postgres]]\nname = \"a\"\nhost = \"h\"\n  pasword_file = \"x\"",
            "h.toml:4:3: key target.postgres[a].pasword_file: unknown key, expected one of name, host, port, database, user, password, password_file, password_env, tls, tls_ca_file, interval, timeout, enabled, breaker, did you mean `password_file`?",
        ),
        (
            "[[target.postgres]]\nname = \"a\"\nhost = \"h\"\npassword_file = \"/nonexistent/x\"",
            "h.toml:4:17: key target.postgres[a].password_file: cannot read the file /nonexistent/x: No such file or directory (os error 2)",
        ),
        (
            "[[target.postgres]]\nname = \"a\"\nhost = \"h\"\ninterval = \"1s\"\ntimeout = \"2s\"",
            "h.toml:5:11: key target.postgres[a].timeout: 2s is longer than the interval of 1s, expected at most that",
        ),
        (
            "[collect]\ninterval = \"50ms\"",
            "h.toml:2:12: key collect.interval: 50ms is too short, expected at least 100ms",
        ),
        (
            "metrics = { listen = \"0.0.0.0:9111\" }",
            "h.toml:1:22: key metrics.listen: `0.0.0.0:9111` can be reached from the network without TLS, expected `cert_file` and `key_file` or `self_signed = true` in section [tls]",
        ),
        ("a = ", "h.toml:1:5: "),
        ("listen = []\nlisten = []", "h.toml:2:1: duplicate key"),
    ] {
        let problems = text(document).unwrap_err().0;
        let shown = problems[0].to_string();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(shown.starts_with(expected), "{document}\n got: {shown}\nwant: {expected}");
    }
}

#[test]
fn two_targets_of_one_name_are_refused_within_a_kind_and_across_kinds() {
    let shown = message(&format!("{PG1}{PG1}"));
    assert_eq!(
        shown,
        "h.toml:5:1: key target.postgres[pg1].name: the name `pg1` is already taken by the one at h.toml:2:1, expected another name"
    );
    let bucket = "[[target.object_store]]\nname = \"pg1\"\nendpoint = \"http://127.0.0.1:3900\"\nbucket = \"b\"\naccess_key_id = \"k\"\nsecret_access_key = \"s\"\n";
    let shown = message(&format!("{PG1}{bucket}"));
    assert!(shown.starts_with("h.toml:5:8: key target.object_store[pg1].name: the name `pg1` is already taken by target.postgres[pg1]"), "{shown}");
}

#[test]
fn all_errors_come_at_once_in_the_order_of_the_file() {
    let document = "listen = [\"0.0.0.0:1\"]\n[storage]\ncap = 5\nmax_series = 0\n[[target.postgres]]\nname = \"a\"\nport = \"x\"\nhsot = \"h\"\n[log]\nlevel = \"loud\"\n";
    let problems = text(document).unwrap_err().0;
    let places: Vec<_> = problems.iter().map(|p| (p.origin.to_string(), p.key.as_str())).collect();
    let places: Vec<_> = places.iter().map(|(at, key)| (at.as_str(), *key)).collect();
    assert_eq!(
        places,
        [
            ("h.toml:1:11", "listen"),
            ("h.toml:3:7", "storage.cap"),
            ("h.toml:4:14", "storage.max_series"),
            ("h.toml:5:1", "target.postgres[a]"),
            ("h.toml:7:8", "target.postgres[a].port"),
            ("h.toml:8:1", "target.postgres[a].hsot"),
            ("h.toml:10:9", "log.level"),
        ]
    );
}

#[test]
fn a_secret_is_in_no_message_and_in_no_view() {
    let shown = message(&format!("{PG1}password = 123456789"));
    assert_eq!(shown, "h.toml:4:12: key target.postgres[pg1].password: expected a text in quotes");
    let shown = message(&format!("{PG1}password = \"hunter2"));
    assert!(!shown.contains("hunter2"), "{shown}");
    let loaded = text(&format!("{PG1}password = \"hunter2\"")).unwrap();
    assert!(loaded.config.target.postgres[0].password.as_ref().unwrap().matches("hunter2"));
    let all = format!("{}{}", serde_json::to_string(&view::values(&loaded)).unwrap(), view::export(&loaded));
    assert!(all.contains("***") && !all.contains("hunter2"), "{all}");
    assert!(all.contains("# password is a secret and is not exported; use password_file"), "{all}");
}

#[test]
fn a_missing_or_strange_file_is_said_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none.toml");
    for path in [missing.as_path(), directory.path()] {
        let sources = Sources { file: Some(path.to_owned()), ..Sources::default() };
        let shown = load(sources, Overlay::default()).unwrap_err().to_string();
        assert!(
            shown.starts_with(&format!("{}: cannot read the configuration: ", path.display())),
            "{shown}"
        );
    }
}

#[test]
fn environment_and_flags_stand_above_the_file_and_pin() {
    let mut sources = sources(&[
        ("HOLDFAST_STORAGE_CAP", "1GiB"),
        ("HOLDFAST_LISTEN", "127.0.0.1:1, [::1]:1"),
        ("HOLDFAST_STORAGE_MAX_SERIES", "77"),
        ("HOLDFAST_TARGET_POSTGRES_PG1_TIMEOUT", "2s"),
        ("MONITORING_AUTO_START", "false"),
        ("METRICS_PORT", "9111"),
    ]);
    sources.flags.push(Flag { name: "--log".into(), key: "log.format".into(), value: json!("json") });
    let file = format!("[storage]\ncap = \"64MiB\"\n{PG1}timeout = \"1s\"");
    let loaded = load_text(sources, "h.toml", &file, Overlay::default()).unwrap();
    assert_eq!(loaded.config.storage.cap.to_string(), "1GiB");
    assert_eq!(loaded.config.storage.max_series, 77);
    assert_eq!(loaded.config.listen, ["127.0.0.1:1", "[::1]:1"]);
    assert!(!loaded.config.collect.enabled);
    assert_eq!(loaded.config.metrics.listen.as_deref(), Some("127.0.0.1:9111"));
    assert_eq!(loaded.config.target.postgres[0].timeout.to_string(), "2s");
    let cap = view_of(&loaded, "storage.cap");
    assert_eq!(
        (cap.origin.to_string().as_str(), cap.pinned),
        ("environment variable HOLDFAST_STORAGE_CAP", true)
    );
    assert_eq!(view_of(&loaded, "log.format").origin, Origin::Flag { name: "--log".into() });
    let error = patched(&loaded, &json!({"storage": {"cap": "2GiB"}}), &change()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "key storage.cap: set by the environment variable HOLDFAST_STORAGE_CAP, change it there"
    );
}

#[test]
fn a_bad_variable_is_named() {
    let problems =
        load_text(sources(&[("HOLDFAST_STORAGE_CAP", "5")]), "h.toml", "", Overlay::default()).unwrap_err();
    assert!(
        problems
            .to_string()
            .starts_with("environment variable HOLDFAST_STORAGE_CAP: key storage.cap: `5` has no unit"),
        "{problems}"
    );
}

#[test]
fn two_sources_of_one_password_are_refused() {
    let file = format!("{PG1}password = \"p\"\npassword_env = \"PW\"");
    let problems = load_text(sources(&[("PW", "s")]), "h.toml", &file, Overlay::default()).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "h.toml:5:16: key target.postgres[pg1].password_env: given beside `password`, expected only one of them"
    );
}

#[test]
fn a_target_that_moved_into_the_file_is_what_the_file_says() {
    let patch = json!({"target": {"postgres": {"pg1": {"host": "run-time", "interval": "5s"}}}});
    let overlay = patched(&text("").unwrap(), &patch, &change()).unwrap().overlay;
    let loaded = load_text(Sources::default(), "h.toml", PG1, overlay).unwrap();
    let target = &loaded.config.target.postgres[0];
    assert_eq!((target.host.as_str(), target.interval.to_string().as_str()), ("127.0.0.1", "5s"));
    assert!(loaded.warnings[0].contains("target.postgres[pg1].host"), "{:?}", loaded.warnings);
}

#[test]
fn a_secret_named_by_a_variable_must_be_there() {
    let file = format!("{PG1}password_env = \"PG1_PASSWORD\"");
    let loaded = load_text(sources(&[("PG1_PASSWORD", "s3")]), "h.toml", &file, Overlay::default()).unwrap();
    assert!(view::export(&loaded).contains("password_env = \"PG1_PASSWORD\""));
    let shown = message(&file);
    assert!(shown.contains("the environment variable PG1_PASSWORD is not set"), "{shown}");
}

#[test]
fn run_time_values_lie_between_file_and_environment_and_show_as_drift() {
    let file = format!("[storage]\ncap = \"64MiB\"\n{PG1}");
    let before = text(&file).unwrap();
    let patch = json!({"storage": {"cap": "128MiB"}, "target": {"postgres": {"pg1": {"interval": "5s"}}}});
    let after = patched(&before, &patch, &change()).unwrap();
    assert_eq!(after.config.storage.cap.to_string(), "128MiB");
    assert_eq!(after.config.target.postgres[0].interval.to_string(), "5s");
    assert_ne!(view::etag(&before), view::etag(&after));
    assert_eq!(view::changed(&before, &after), ["storage.cap", "target.postgres[pg1].interval"]);
    let drift = view::drift(&after);
    assert_eq!(drift.len(), 2);
    assert_eq!((&drift[0].file, &drift[0].runtime), (&json!("64MiB"), &json!("128MiB")));
    assert_eq!((&drift[1].file, &drift[1].runtime), (&json!("30s"), &json!("5s")));
    assert_eq!(drift[0].origin, Origin::Runtime { by: "token:admin".into(), at: change().at });

    // What is stored comes back as the same configuration.
    let stored = Overlay::from_stored(&after.overlay.to_stored(), plain).unwrap();
    let again = load_text(Sources::default(), "h.toml", &file, stored).unwrap();
    assert_eq!(view::etag(&again), view::etag(&after));

    // null takes a value back to the file's.
    let back = patched(
        &after,
        &json!({"storage": {"cap": null}, "target": {"postgres": {"pg1": {"interval": null}}}}),
        &change(),
    );
    let back = back.unwrap();
    assert!(back.overlay.is_empty());
    assert_eq!(view::etag(&back), view::etag(&before));
}

#[test]
fn the_file_pins_what_it_defines() {
    let loaded = text(PG1).unwrap();
    for (patch, expected) in [
        (
            json!({"target": {"postgres": {"pg1": {"host": "h2"}}}}),
            "key target.postgres[pg1].host: defined in h.toml:3:1, change it there",
        ),
        (
            json!({"target": {"postgres": {"pg1": {"port": 1}}}}),
            "key target.postgres[pg1].port: defined in h.toml:1:1, change it there",
        ),
        (
            json!({"target": {"postgres": {"pg1": null}}}),
            "key target.postgres[pg1]: defined in h.toml:1:1, remove it there",
        ),
        (json!({"data_dir": "/x"}), "key data_dir: the run-time values live in it"),
    ] {
        let error = patched(&loaded, &patch, &change()).unwrap_err();
        assert!(matches!(error, PatchError::Pinned(_)) && error.to_string().starts_with(expected), "{error}");
    }
    assert!(view_of(&loaded, "target.postgres[pg1].host").pinned);
    assert!(!view_of(&loaded, "target.postgres[pg1].timeout").pinned);
}

#[test]
fn a_target_can_come_and_go_at_run_time() {
    let before = text("").unwrap();
    let patch = json!({"target": {"postgres": {"pg9": {"host": "127.0.0.1", "password_env": "PATH"}}}});
    let mut sources = sources(&[("PATH", "/bin")]);
    sources.file = None;
    let before = Loaded { sources: std::sync::Arc::new(sources), ..before };
    let after = patched(&before, &patch, &change()).unwrap();
    assert_eq!(after.config.target.postgres[0].name.as_str(), "pg9");
    assert!(
        view::drift(&after)
            .iter()
            .any(|drift| drift.key == "target.postgres[pg9].host" && drift.file == Value::Null)
    );
    let gone = patched(&after, &json!({"target": {"postgres": {"pg9": null}}}), &change()).unwrap();
    assert!(gone.config.target.postgres.is_empty() && gone.overlay.is_empty());
}

#[test]
fn a_wrong_patch_changes_nothing_and_says_why() {
    let loaded = text(PG1).unwrap();
    for (patch, expected) in [
        (json!({"storage": {"cpa": "1GiB"}}), "did you mean `cap`?"),
        (json!({"storage": {"cap": 5}}), "expected a size with its unit"),
        (json!({"storage": {"cap": "1KiB"}}), "too small"),
        (json!({"storage": "x"}), "expected an object"),
        (json!([]), "expected an object"),
        (json!({"target": {"postgres": [{"name": "a"}]}}), "by its name"),
        (json!({"target": {"postgres": {"new": {"port": 1}}}}), "`host` is missing"),
        (
            json!({"target": {"postgres": {"new": {"host": "h", "name": "other"}}}}),
            "the name it is addressed by",
        ),
        (
            json!({"target": {"postgres": {"new": {"host": "h", "password": "***"}}}}),
            "expected the secret itself",
        ),
        (
            json!({"target": {"postgres": {"new": {"host": "h", "password": 5}}}}),
            "key target.postgres[new].password: expected a text in quotes",
        ),
        (json!({"listen": ["0.0.0.0:80"]}), "without TLS"),
    ] {
        let error = patched(&loaded, &patch, &change()).unwrap_err();
        assert!(
            matches!(error, PatchError::Invalid(_)) && error.to_string().contains(expected),
            "{patch}: {error}"
        );
    }
}

#[test]
fn run_time_values_of_a_target_that_left_the_file_are_left_aside() {
    let with = text(PG1).unwrap();
    let after =
        patched(&with, &json!({"target": {"postgres": {"pg1": {"interval": "5s"}}}}), &change()).unwrap();
    let without = load_text(Sources::default(), "h.toml", "", after.overlay).unwrap();
    assert!(without.config.target.postgres.is_empty());
    assert!(without.warnings[0].contains("no longer defines target.postgres[pg1]"), "{:?}", without.warnings);
}

#[test]
fn an_export_says_the_same() {
    let file = format!(
        "listen = [\"127.0.0.1:1\"]\n[storage]\nprofile = \"flash\"\n{PG1}{}",
        PG1.replace("pg1", "pg2")
    );
    let before = text(&file).unwrap();
    let after =
        patched(&before, &json!({"target": {"postgres": {"pg2": {"timeout": "1s"}}}}), &change()).unwrap();
    let exported = view::export(&after);
    let again = load_text(Sources::default(), "h.toml", &exported, Overlay::default()).unwrap();
    assert_eq!(again.effective, after.effective, "{exported}");
}

#[test]
fn a_short_interval_shortens_a_timeout_that_nobody_gave() {
    let loaded = text(&format!("{PG1}interval = \"1s\"")).unwrap();
    assert_eq!(loaded.config.target.postgres[0].timeout.to_string(), "1s");
}

#[test]
fn stored_values_that_no_longer_fit_can_be_told_apart() {
    let patch = json!({"storage": {"cap": "128MiB"}, "collect": {"interval": "2s"}});
    let mut stored = patched(&text("").unwrap(), &patch, &change()).unwrap().overlay.to_stored();
    stored["values"]["storage"]["cap"] = json!("1KiB");
    let overlay = Overlay::from_stored(&stored, plain).unwrap();
    let problems = load_text(Sources::default(), "h.toml", "", overlay.clone()).unwrap_err();
    assert!(
        problems
            .to_string()
            .starts_with("run time, by token:admin at 2026-11-20T09:22:45.250Z: key storage.cap: ")
    );
    let rest = overlay.without(&problems).unwrap();
    let loaded = load_text(Sources::default(), "h.toml", "", rest.clone()).unwrap();
    assert_eq!(loaded.config.collect.interval.to_string(), "2s");
    assert!(rest.without(&problems).is_none());
    assert!(Overlay::from_stored(&json!({"version": 9, "values": {}, "changes": {}}), plain).is_err());
}

#[test]
fn debugging_shows_no_secret() {
    let file = format!("{PG1}password = \"geheim-1\"");
    let around = [("HOLDFAST_TARGET_POSTGRES_PG1_USER", "me"), ("SOME_TOKEN", "geheim-2")];
    let loaded = load_text(sources(&around), "h.toml", &file, Overlay::default()).unwrap();
    let shown = format!("{loaded:?} {loaded:#?} {:?} {:?}", loaded.sources, loaded.tree);
    assert!(!shown.contains("geheim"), "{shown}");
    assert!(shown.contains("h.toml"), "{shown}");
}

#[test]
fn a_named_pipe_is_no_password_file() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let shown = message(&format!("{PG1}password_file = \"{}\"", pipe.display()));
    assert!(shown.ends_with("is not a file"), "{shown}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_loading_panic(document in "(\\PC|[\\[\\]\\n=\"{}.,#]|target|postgres|name|storage|listen|cap){0,40}") {
        let _ = text(&document).map_err(|problems| problems.to_string());
    }

    #[test]
    fn no_patch_makes_applying_panic(
        name in "\\PC{0,8}",
        field in "(name|host|timeout|breaker|\\PC{0,4})",
        value in proptest::sample::select(vec![json!(null), json!({}), json!([]), json!("1s"), json!(-1), json!({"a": null})]),
    ) {
        let loaded = text(PG1).unwrap();
        let patch = json!({"target": {"postgres": {name: {field: value.clone()}, "pg1": value}}});
        if let Ok(next) = patched(&loaded, &patch, &change()) {
            let again = Overlay::from_stored(&next.overlay.to_stored(), plain).unwrap();
            let again = load_text(Sources::default(), "h.toml", PG1, again).unwrap();
            assert_eq!(again.effective, next.effective);
        }
    }
}
