//! A bad configuration is one clear error with its place, exit 78, and nothing is
//! changed.

use crate::support::command::Home;

fn validate(home: &Home, document: &str) -> crate::support::command::Ran {
    home.write("h.toml", document);
    home.run(&["validate", "--config", "h.toml"])
}

#[test]
fn a_valid_configuration_says_so_in_one_line() {
    let home = Home::new();
    let ran = validate(&home, "[storage]\ncap = \"64MiB\"\n");
    assert_eq!((ran.code, ran.output.as_str(), ran.error.as_str()), (0, "h.toml: valid\n", ""));
    let ran = home.run(&["validate"]);
    assert_eq!((ran.code, ran.output.as_str()), (0, "no file: the defaults: valid\n"));
}

#[test]
fn every_kind_of_slip_is_one_line_with_its_place_and_exit_78() {
    let home = Home::new();
    for (document, expected) in [
        ("[storage]\ncpa = \"1GiB\"", "h.toml:2:1: key storage.cpa: unknown key"),
        ("[collect]\ninterval = 30", "h.toml:2:12: key collect.interval: expected a duration with its unit"),
        ("[storage]\ncap = \"1 apple\"", "h.toml:2:7: key storage.cap: `1 apple` is not a size"),
        (
            "[[target.postgres]]\nname = \"store\"\nhost = \"h\"",
            "h.toml:2:8: key target.postgres[store].name: `store` is what health calls a part of the agent",
        ),
        (
            "[[target.postgres]]\nname = \"a\"\nhost = \"h\"\ntls_ca_file = \"/etc/passwd\"",
            "h.toml:4:15: key target.postgres[a].tls_ca_file: has no effect: the server is not verified, expected `tls`",
        ),
        (
            "[[target.object_store]]\nname = \"a\"\nendpoint = \"http://h\"\nbucket = \"b\"\naccess_key_id = \"k\"\nsecret_access_key = \"s\"\ntls_ca_file = \"/etc/passwd\"",
            "h.toml:7:15: key target.object_store[a].tls_ca_file: has no effect: nobody is verified, expected an `endpoint`",
        ),
        (
            "[[target.object_store]]\nname = \"a\"\nendpoint = \"http://h\"\nbucket = \"../b\"\naccess_key_id = \"k\"\nsecret_access_key = \"s\"",
            "h.toml:4:10: key target.object_store[a].bucket: `../b` is not the name of a bucket",
        ),
        (
            "[[target.postgres]]\nname = \"a\"\nhost = \"h\"\n[[target.postgres]]\nname = \"a\"\nhost = \"h\"",
            "h.toml:5:1: key target.postgres[a].name: the name `a` is already taken by the one at h.toml:2:1",
        ),
        (
            "[[target.postgres]]\nname = \"a\"\nhost = \"h\"\npassword_file = \"/nonexistent/pw\"",
            "h.toml:4:17: key target.postgres[a].password_file: cannot read the file /nonexistent/pw",
        ),
        (
            "[[target.tcp]]\nname = \"a\"\naddress = \"h\"",
            "h.toml:3:11: key target.tcp[a].address: `h` is not an address, expected for example \"127.0.0.1:5000\"",
        ),
        (
            "[[target.tcp]]\nname = \"a\"\naddress = \"h:1\"\nserver_name = \"x\"",
            "h.toml:4:15: key target.tcp[a].server_name: has no effect, expected `tls` = true beside it",
        ),
        (
            "[[target.redis]]\nname = \"a\"\nurl = \"redis://h/x\"",
            "h.toml:3:7: key target.redis[a].url: does not end in the number of a database",
        ),
        (
            "[[target.redis]]\nname = \"a\"\nurl = \"redis://h\"\nuser = \"me\"",
            "h.toml:4:8: key target.redis[a].user: has no effect without a password",
        ),
        (
            "[[target.grpc]]\nname = \"a\"\naddress = \"h:1\"\ntls_ca_file = \"/etc/passwd\"",
            "h.toml:4:15: key target.grpc[a].tls_ca_file: has no effect: nobody is verified, expected `tls`",
        ),
        (
            "[[target.nostr]]\nname = \"a\"\nurl = \"http://h\"",
            "h.toml:3:7: key target.nostr[a].url: `http://h` is not an address, expected ws://HOST:PORT or wss://HOST:PORT",
        ),
        (
            "[[target.http]]\nname = \"a\"\nurl = \"http://h\"\nstatus = [200, 99]",
            "h.toml:4:10: key target.http[a].status: 99 ends no request, expected 200 to 599",
        ),
        (
            "[[channel.file]]\nname = \"log\"\npath = \"/x/log\"\n[[rule]]\nname = \"a\"\nexpr = \"up\"\nnotify = [\"log\", \"pager\"]",
            "h.toml:7:18: key rule[a].notify: names the channel `pager`, which does not exist; there are: log",
        ),
        (
            "[[rule]]\nname = \"high_cpu\"\nescalate = [\"5m: all\", \"15m: boss\"]",
            "h.toml:3:24: key rule[high_cpu].escalate: names the channel `boss`, which does not exist; there are none",
        ),
        (
            "[[channel.heartbeat]]\nname = \"beat\"\nurl = \"http://127.0.0.1/\"\n[[rule]]\nname = \"a\"\nexpr = \"up\"\nnotify = [\"beat\"]",
            "h.toml:7:11: key rule[a].notify: names the channel `beat`, a heartbeat, which takes no messages",
        ),
        (
            "[[target.systemd]]\nname = \"a\"\nunit = \"--all\"",
            "h.toml:3:8: key target.systemd[a].unit: `--all` is not the name of a unit",
        ),
        (
            "listen = [\"0.0.0.0:3003\"]",
            "h.toml:1:11: key listen: `0.0.0.0:3003` can be reached from the network",
        ),
        ("[metrics\nlisten", "h.toml:1:9: "),
    ] {
        for command in ["validate", "run"] {
            home.write("h.toml", document);
            let ran = home.run(&[command, "--config", "h.toml"]);
            assert_eq!(ran.code, 78, "{document}: {ran:?}");
            let found =
                ran.error.lines().any(|line| line.trim_start_matches("holdfast: ").starts_with(expected));
            assert!(found, "{command} {document}\n{}", ran.error);
            assert!(ran.output.is_empty(), "{ran:?}");
        }
    }
    assert!(!home.join("data").exists(), "a bad configuration changes nothing");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let home = Home::new();
    let ran = home.run(&["validate", "--config", "none.toml"]);
    assert_eq!(ran.code, 78);
    assert!(ran.error.starts_with("none.toml: cannot read the configuration: No such file"), "{ran:?}");
    let ran =
        Home::new().command(&["validate"]).env("HOLDFAST_CONFIG", "/nonexistent.toml").output().unwrap();
    assert_eq!(ran.status.code(), Some(78));
}

#[test]
fn all_problems_come_at_once_and_as_json() {
    let home = Home::new();
    home.write("h.toml", "listen = [\"nowhere\"]\n[storage]\ncap = 5\nprofil = \"flash\"\n");
    let ran = home.run(&["validate", "--config", "h.toml"]);
    assert!(ran.error.ends_with("holdfast: the configuration has 3 problems\n"), "{}", ran.error);
    let ran = home.run(&["validate", "--config", "h.toml", "--json"]);
    assert_eq!(ran.code, 78);
    let answer = ran.json();
    let problems = answer["problems"].as_array().unwrap();
    let places: Vec<_> = problems
        .iter()
        .map(|p| (p["key"].as_str().unwrap(), p["origin"]["line"].as_u64().unwrap()))
        .collect();
    assert_eq!(places, [("listen", 1), ("storage.cap", 3), ("storage.profil", 4)]);
    assert_eq!(problems[2]["suggestion"], "profile");
}

#[test]
fn a_bad_variable_or_flag_is_named() {
    let home = Home::new();
    let ran = home.command(&["validate"]).env("HOLDFAST_COLLECT_INTERVAL", "5").output().unwrap();
    let error = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(78));
    assert!(
        error.starts_with("environment variable HOLDFAST_COLLECT_INTERVAL: key collect.interval: "),
        "{error}"
    );
    let ran = home.run(&["run", "--listen", "192.0.2.1:80"]);
    assert_eq!(ran.code, 78);
    assert!(ran.error.contains("flag --listen: key listen: `192.0.2.1:80` can be reached"), "{ran:?}");
}

#[test]
fn a_slip_in_a_variable_is_a_warning() {
    let home = Home::new();
    let ran = home.command(&["validate"]).env("HOLDFAST_STORAGE_CAPP", "1GiB").output().unwrap();
    assert_eq!(ran.status.code(), Some(0));
    let error = String::from_utf8(ran.stderr).unwrap();
    assert!(error.contains("did you mean HOLDFAST_STORAGE_CAP?"), "{error}");
}

/// A target that refuses is found by `--online`, and the exit code says how bad it is.
#[test]
fn online_probes_every_target_once() {
    let home = Home::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    home.write(
        "h.toml",
        &format!("[[target.postgres]]\nname = \"pg\"\nhost = \"127.0.0.1\"\nport = {free}\n"),
    );
    let ran = home.run(&["validate", "--config", "h.toml", "--online", "--json"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    let answer = ran.json();
    assert_eq!((&answer["valid"], &answer["probes"][0]["class"]), (&true.into(), &"hard".into()));
}

#[test]
fn a_credential_in_an_address_is_refused_and_not_shown() {
    let home = Home::new();
    for (kind, key, address) in [
        ("redis", "url", "redis://me:geheim@h:6379"),
        ("redis", "url", "redis://:ge/heim@h"),
        ("grpc", "address", "me:geheim@h:1"),
        ("nostr", "url", "wss://me:geheim@h"),
        ("http", "url", "https://me:geheim@h/path"),
        ("tcp", "address", "me:geheim@h:1"),
    ] {
        let ran = validate(&home, &format!("[[target.{kind}]]\nname = \"a\"\n{key} = \"{address}\"\n"));
        let expected = format!("key target.{kind}[a].{key}: has credentials in it");
        assert!(ran.code == 78 && ran.error.contains(&expected), "{ran:?}");
        assert!(!ran.error.contains("heim") && !ran.output.contains("heim"), "{ran:?}");
    }
}
