//! Channels in the configuration: what is a slip, what may be set at run time, what shows.

use holdfast::base::time::Timestamp;
use holdfast::config::load::{Loaded, Sources, load_text};
use holdfast::config::origin::Origin;
use holdfast::config::overlay::{Change, Overlay, PatchError, patched};
use holdfast::config::reserved::permitted;
use holdfast::config::view;
use serde_json::{Value, json};

fn load(document: &str, environment: &[(&str, &str)]) -> Result<Loaded, String> {
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let sources = Sources { environment, ..Sources::default() };
    load_text(sources, "h.toml", document, Overlay::default()).map_err(|problems| problems.to_string())
}

fn change() -> Change {
    Change { by: "token:admin".into(), at: Timestamp(1_795_166_565_250) }
}

fn patch(loaded: &Loaded, patch: Value) -> Result<Loaded, PatchError> {
    patched(loaded, &patch, &change())
}

#[test]
fn every_slip_has_its_key_and_its_place() {
    for (document, expected) in [
        (
            "[[channel.webhook]]\nname = \"a\"",
            "h.toml:1:1: key channel.webhook[a]: no url, expected one of url_file, url_env, url",
        ),
        (
            "[[channel.webhook]]\nname = \"a\"\nurl = \"http://u:geheim@h/\"",
            "h.toml:3:7: key channel.webhook[a].url: has credentials in it, expected them in keys of their own",
        ),
        (
            "[[channel.webhook]]\nname = \"a\"\nurl = \"http://h/\"\nbody = \"\"\"\n{{ title }}\n  {{ titel }}\"\"\"",
            "h.toml:4:8: key channel.webhook[a].body: in the template, line 2, column 6: unknown name `titel`, expected one of alerts, ",
        ),
        (
            "[[channel.webhook]]\nname = \"a\"\nurl = \"http://h/\"\nsecret = \"whsec_*\"",
            "h.toml:4:10: key channel.webhook[a].secret: it does not end in Base64",
        ),
        (
            "[[channel.webhook]]\nname = \"a\"\nurl = \"http://h/\"\nheaders = [\"X: 1\", \"Host: b\"]",
            "h.toml:4:20: key channel.webhook[a].headers: `Host: b` is not a header, expected \"Name: value\"",
        ),
        (
            "[[channel.slack]]\nname = \"a\"\nurl = \"geheim\"",
            "h.toml:3:7: key channel.slack[a].url: it is not an address, expected http://HOST:PORT/",
        ),
        (
            "[[channel.slack]]\nname = \"a\"\nurl = \"http://h/\"\n[[channel.ntfy]]\nname = \"a\"\ntopic = \"t\"",
            "h.toml:5:8: key channel.ntfy[a].name: the name `a` is already taken by channel.slack[a]",
        ),
        (
            "[[channel.email]]\nname = \"a\"\nhost = \"h\"\nfrom = \"a@b.example\"\nto = [\"a@b.example\", \"x\"]",
            "h.toml:5:22: key channel.email[a].to: `x` is no mail address",
        ),
        (
            "[[channel.email]]\nname = \"a\"\nhost = \"h\"\nfrom = \"a@b.example\"\nto = [\"a@b.example\"]\ntls = \"none\"\nuser = \"u\"\npassword = \"geheim\"",
            "h.toml:7:8: key channel.email[a].user: the password would be sent in clear",
        ),
        (
            "[[channel.file]]\nname = \"a\"\npath = \"../x\"",
            "h.toml:3:8: key channel.file[a].path: `../x` is neither a plain name nor an absolute path",
        ),
        (
            "[[channel.exec]]\nname = \"a\"\ncommand = [\"bin/x\"]",
            "h.toml:3:11: key channel.exec[a].command: `bin/x` is no program, expected an absolute path or a plain name",
        ),
        (
            "[[channel.heartbeat]]\nname = \"a\"\nurl = \"http://h/\"\ninterval = \"5s\"\ntimeout = \"10s\"",
            "h.toml:5:11: key channel.heartbeat[a].timeout: 10s is longer than the interval of 5s",
        ),
        (
            "[[channel.console]]\nname = \"a\"\ntimeout = \"10ms\"",
            "h.toml:3:11: key channel.console[a].timeout: 10ms, expected 100ms to 5m",
        ),
        (
            "[[channel.slack]]\nname = \"a\"\nurll = \"http://h/\"",
            "h.toml:3:1: key channel.slack[a].urll: unknown key, expected one of name, url, url_file, url_env, tls_ca_file, enabled, timeout, send_resolved, title, body, did you mean `url`?",
        ),
    ] {
        let said = load(document, &[]).expect_err(document);
        assert!(said.contains(expected), "{document}\n got: {said}\nwant: {expected}");
        assert!(!said.contains("geheim"), "{said}");
    }
}

#[test]
fn a_variable_alone_makes_a_channel_and_its_address_is_a_secret() {
    let hook = "https://hooks.example/services/geheim";
    let loaded = load("", &[("SLACK_WEBHOOK_URL", hook)]).unwrap();
    let slack = &loaded.config.channel.slack[0];
    assert_eq!((slack.name.as_str(), slack.url.as_ref().unwrap().expose()), ("slack", hook));
    let views = view::values(&loaded);
    let url = views.iter().find(|view| view.key == "channel.slack[slack].url").unwrap();
    assert_eq!((&url.value, url.pinned), (&json!("***"), true));
    let shown = format!("{loaded:?} {} {}", loaded.effective, view::export(&loaded));
    assert!(!shown.contains("geheim"), "{shown}");
    // With the same name in the file the variable says the address, and the file the rest.
    let file = "[[channel.slack]]\nname = \"slack\"\nurl = \"https://other.example/x\"\ntimeout = \"3s\"\n";
    let loaded = load(file, &[("SLACK_WEBHOOK_URL", hook)]).unwrap();
    let slack = &loaded.config.channel.slack[0];
    assert_eq!((slack.url.as_ref().unwrap().expose(), slack.timeout.to_string().as_str()), (hook, "3s"));
    assert!(load("", &[("SLACK_WEBHOOK_URL", " ")]).unwrap().config.channel.slack.is_empty());
}

#[test]
fn a_short_interval_of_a_heartbeat_shortens_a_timeout_that_nobody_gave() {
    let loaded =
        load("[[channel.heartbeat]]\nname = \"a\"\nurl = \"http://h/\"\ninterval = \"5s\"", &[]).unwrap();
    assert_eq!(loaded.config.channel.heartbeat[0].timeout.to_string(), "5s");
}

#[test]
fn channels_are_set_at_run_time_as_targets_are_and_programs_are_not() {
    let loaded = load("[[channel.exec]]\nname = \"script\"\ncommand = [\"true\"]\n", &[]).unwrap();
    let hook = json!({"channel": {"slack": {"chat": {"url": "https://hooks.example/geheim"}}}});
    let next = patch(&loaded, hook).unwrap();
    assert_eq!(next.config.channel.slack[0].name.as_str(), "chat");
    // Sealed like a password: without its sealed text it is not stored.
    assert!(!next.overlay.to_stored().to_string().contains("geheim"));
    let mut sealed = next.overlay.clone();
    sealed.seal(|key, text| Ok::<_, String>(format!("sealed {key} {}", text.len()))).unwrap();
    assert!(sealed.to_stored().to_string().contains("sealed channel.slack[chat].url 28"));

    // What does not name the program may be changed.
    let off = patch(&loaded, json!({"channel": {"exec": {"script": {"enabled": false}}}})).unwrap();
    assert!(!off.config.channel.exec[0].enabled);
    for wish in [
        json!({"channel": {"exec": {"script": {"command": ["reboot"]}}}}),
        json!({"channel": {"exec": {"other": {"command": ["reboot"]}}}}),
        json!({"channel": {"exec": {"script": null}}}),
    ] {
        let refused = patch(&loaded, wish.clone());
        assert!(matches!(refused, Err(PatchError::Pinned(_))), "{wish}");
    }
    // A store that holds one all the same does not bring it in.
    let other = load("[[channel.exec]]\nname = \"other\"\ncommand = [\"true\"]\n", &[]).unwrap();
    let mut stored = patch(&other, json!({"channel": {"exec": {"other": {"enabled": true}}}}))
        .unwrap()
        .overlay
        .to_stored();
    let at = stored["changes"]["channel.exec[other].enabled"].clone();
    for key in ["name", "command"] {
        stored["changes"][format!("channel.exec[other].{key}")] = at.clone();
    }
    stored["values"]["channel"]["exec"]["other"] =
        json!({"name": "other", "enabled": true, "command": ["reboot"]});
    let overlay = Overlay::from_stored(&stored, |_, text| Ok(text.to_owned())).unwrap();
    let loaded = load_text(Sources::default(), "h.toml", "", overlay).unwrap();
    assert!(loaded.config.channel.exec.is_empty());
}

#[test]
fn what_a_channel_sends_elsewhere_and_writes_is_named_by_whoever_may() {
    let by = Origin::Runtime { by: "token:x".into(), at: change().at };
    let loaded = load("", &[("OPS_SECRET", "geheim")]).unwrap();
    let from_variable =
        json!({"channel": {"ntfy": {"n": {"topic": "t", "url": "http://h/", "token_env": "OPS_SECRET"}}}});
    let next = patch(&loaded, from_variable).unwrap();
    assert!(permitted(&loaded, &next, &by, false).is_err());
    assert!(permitted(&loaded, &next, &by, true).is_ok());
    let moved = patch(&next, json!({"channel": {"ntfy": {"n": {"url": "http://elsewhere/"}}}})).unwrap();
    assert!(permitted(&next, &moved, &by, false).is_err());
    // A file is written to, so only one of the agent's own folder is free.
    let own = patch(&loaded, json!({"channel": {"file": {"f": {"path": "a.jsonl"}}}})).unwrap();
    assert!(permitted(&loaded, &own, &by, false).is_ok());
    let foreign = patch(&loaded, json!({"channel": {"file": {"f": {"path": "/etc/cron.d/x"}}}})).unwrap();
    let refused = permitted(&loaded, &foreign, &by, true).unwrap_err().to_string();
    assert!(
        refused.contains("key channel.file[f].path: only the configuration file can name a file outside"),
        "{refused}"
    );
}
