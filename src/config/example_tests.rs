//! The example file, which names every key, and the sections that have an order of their own.

use serde_json::json;

use super::load::{Loaded, Sources, load_text};
use super::overlay::Overlay;
use super::problem::Problems;
use super::view;

fn text(text: &str) -> Result<Loaded, Problems> {
    load_text(Sources::default(), "h.toml", text, Overlay::default())
}

/// The only message about `document`.
fn message(document: &str) -> String {
    let problems = text(document).unwrap_err().0;
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

const EXAMPLE: &str = include_str!("../../holdfast.example.toml");

#[test]
fn the_example_is_valid_and_says_the_defaults() {
    let loaded = text(EXAMPLE).unwrap_or_else(|problems| panic!("{problems}"));
    for view in view::values(&loaded) {
        assert_eq!(view.value, view.default, "{}", view.key);
    }
}

/// With the lines that are only examples.
#[test]
fn the_example_has_every_key_with_its_default_and_a_comment() {
    let is_option = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
    };
    let full: Vec<_> = EXAMPLE.lines().map(|line| if is_option(line) { &line[1..] } else { line }).collect();
    let full = full.join("\n");
    let (tree, problems) = super::file::parse("example", &full, super::schema::shape());
    assert!(problems.is_empty(), "{problems:?}");
    super::read::read::<super::Config>(&tree).unwrap();
    let mut given = Vec::new();
    tree.leaves(&mut |key, leaf| given.push((key.clone(), leaf.value.clone())));
    let keys = super::schema::shape().values(&|list| super::load::names(&tree, list));
    // One item of a list may show what another cannot have.
    let place = |key: &super::tree::Key| -> Vec<String> {
        let step = |step: &super::tree::Step| match step {
            super::tree::Step::Key(key) => key.clone(),
            super::tree::Step::Item(_) => String::from("[]"),
        };
        key.0.iter().map(step).collect()
    };
    let places: std::collections::HashSet<_> = given.iter().map(|(key, _)| place(key)).collect();
    for key in keys {
        assert!(places.contains(&place(&key)), "the example lacks {key}");
    }
    let targets = super::target::KINDS.iter().map(|kind| format!("target.{kind}"));
    let channels = super::channel::KINDS.iter().map(|kind| format!("channel.{kind}"));
    for list in targets.chain(channels).chain([String::from("failover.group")]) {
        let list = super::tree::Key::parse(&list);
        let name = super::load::names(&tree, &list).pop().unwrap_or_else(|| panic!("no example of {list}"));
        let defaults = super::load::item_defaults(&tree, &list, &name);
        for (key, value) in given.iter().filter(|(key, _)| key.is_within(&list)) {
            if let Some(default) = defaults.get(key.last()).filter(|value| !value.is_null()) {
                assert_eq!(value, default, "{key}");
            }
        }
    }
}

/// Routes are one value, so the schema does not know their keys.
#[test]
fn the_example_has_every_key_of_a_route_with_its_default() {
    let route: super::route::Route = serde_json::from_value(json!({"channels": []})).unwrap();
    let keys = serde_json::to_value(route).unwrap();
    let after = EXAMPLE.split_once("#[[route]]\n").unwrap().1;
    for (key, default) in keys.as_object().unwrap() {
        let line = after.lines().find(|line| line.starts_with(&format!("#{key} = ")));
        let line = line.unwrap_or_else(|| panic!("the example lacks route.{key}"));
        if !["match", "channels"].contains(&key.as_str()) {
            assert_eq!(line, format!("#{key} = {default}"));
        }
    }
}

#[test]
fn routes_and_quiet_hours_say_what_is_wrong_with_them() {
    let channels = "[[channel.console]]\nname = \"ops\"\n[[channel.heartbeat]]\nname = \"alive\"\nurl = \"http://127.0.0.1/x\"\n";
    for (document, expected) in [
        (
            "[[route]]\n[[route]]\nchannels = [\"x\"]",
            "h.toml:7:1: key route: route 2 names the channel `x`, which does not exist; there are: ops",
        ),
        (
            "[[route]]\nchannels = [\"alive\"]",
            "key route: route 1 names the channel `alive`, a heartbeat, which takes no messages",
        ),
        (
            "[[route]]\nmatch = { severity = \"> bad\" }",
            "route 1 matches `severity` with `> bad`, expected for example \">= high\" or \"critical\"",
        ),
        (
            "[[route]]\nmatch = { team = \"=~ (\" }",
            "route 1 matches `team` with `(`, which is no regular expression: ",
        ),
        ("[[route]]\nmatch = { \"a b\" = \"c\" }", "route 1 matches `a b`, which is not the name of a label"),
        ("[[route]]\nrepeat = \"1s\"", "route 1 has a `repeat` of 1s, expected 1m to 30d"),
        ("[[route]]\ngroup_window = \"2h\"", "route 1 has a `group_window` of 2h, expected at most 1h"),
        ("[[route]]\nchanels = []", "key route"),
        ("[quiet_hours]\nfrom = \"22:00\"", "key quiet_hours.to: missing beside `from`"),
        (
            "[quiet_hours]\nfrom = \"25:00\"\nto = \"07:00\"",
            "h.toml:7:8: key quiet_hours.from: `25:00` is not a time of day, expected for example \"22:00\"",
        ),
        (
            "[quiet_hours]\ntimezone = \"Mars\"",
            "key quiet_hours.timezone: `Mars` is not a time zone of this host",
        ),
    ] {
        let message = message(&format!("{channels}{document}"));
        assert!(message.contains(expected), "{message}");
    }
    let unknown = message("[[route]]\nchanels = []");
    assert!(unknown.contains("chanels") && unknown.contains("group_by"), "{unknown}");
}

#[test]
fn routes_read_as_they_are_written() {
    use crate::model::rule::Compare;
    use crate::model::selector::MatchOp;
    use crate::model::severity::Severity;
    let loaded = text(
        "[[route]]\nmatch = { severity = \">= high\", a = \"=~ b.*\", c = \"!= d\", e = \"f\" }\nchannels = []\ncontinue = true\n\
         [[route]]\nmatch = { severity = \"warning\" }\n",
    );
    let routes = loaded.unwrap().config.route.clone();
    let first = routes[0].model().unwrap();
    assert_eq!((first.severity, first.continues), (Some((Compare::AtLeast, Severity::High)), true));
    let matchers: Vec<_> =
        first.matchers.iter().map(|m| (m.label.as_str(), m.op, m.value.as_str())).collect();
    assert_eq!(
        matchers,
        [("a", MatchOp::Regex, "b.*"), ("c", MatchOp::NotEqual, "d"), ("e", MatchOp::Equal, "f")]
    );
    assert_eq!(first.channels, Some(vec![]));
    let second = routes[1].model().unwrap();
    assert_eq!((second.severity, second.channels), (Some((Compare::Equal, Severity::Medium)), None));
}
