//! The rejoin script against programs that only write down how they were called.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::REJOIN;

/// What each program does. A pipe beside it named as it is with `.hold` holds it up.
const PROGRAM: &str = r#"#!/bin/sh
cd "${0%/*}/.."
program=${0##*/}
echo "$program" >>calls
if [ -e "$program.hold" ]; then : >"$program.held"; cat "$program.hold"; fi
case $program in
pg_rewind) [ ! -e no_rewind ] ;;
pg_basebackup) mkdir data.new && echo new >data.new/which ;;
esac
"#;

/// A host with the data directory of pg1, a server that was replaced by pg2.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        fs::create_dir(host.at("bin")).unwrap();
        for program in ["pg_ctl", "pg_rewind", "pg_basebackup", "psql"] {
            host.program(&format!("bin/{program}"), PROGRAM);
        }
        host.directory("data", "old");
        let user = Command::new("id").arg("-un").output().unwrap();
        let user = String::from_utf8(user.stdout).unwrap();
        let (data, bin) = (host.at("data"), host.at("bin"));
        let line = |line: &str| match line.split_once(' ') {
            Some((name @ ("pg1" | "pg2"), _)) => {
                format!("{name} h 5432 local {} {} {}\n", data.display(), bin.display(), user.trim())
            }
            _ => format!("{line}\n"),
        };
        host.program("rejoin", &REJOIN.lines().map(line).collect::<String>());
        host
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn directory(&self, name: &str, which: &str) {
        fs::create_dir(self.at(name)).unwrap();
        fs::write(self.at(name).join("which"), format!("{which}\n")).unwrap();
    }

    fn which(&self, name: &str) -> String {
        fs::read_to_string(self.at(name).join("which")).unwrap().trim().to_owned()
    }

    fn called(&self, program: &str) -> bool {
        fs::read_to_string(self.at("calls")).is_ok_and(|calls| calls.lines().any(|call| call == program))
    }

    fn script(&self) -> Command {
        let mut script = Command::new("sh");
        script.arg(self.at("rejoin")).args(["pg1", "pg2"]);
        script
    }

    fn run(&self) -> Output {
        self.script().output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_second_run_leaves_the_first_ones_copy_alone() {
    let host = Host::new();
    fs::write(host.at("no_rewind"), "").unwrap();
    pipe(&host.at("pg_basebackup.hold"));
    let mut first = host.script().spawn().unwrap();
    // Opening the pipe waits for the program that reads it.
    let hold = fs::OpenOptions::new().write(true).open(host.at("pg_basebackup.hold")).unwrap();
    let second = host.run();
    assert_eq!(second.status.code(), Some(75), "{second:?}");
    assert!(said(&second).contains("an earlier rejoin of pg1 still runs"), "{second:?}");
    drop(hold);
    assert!(first.wait().unwrap().success());
    assert_eq!((host.which("data"), host.which("data.old")), (String::from("new"), String::from("old")));
    fs::remove_file(host.at("pg_basebackup.hold")).unwrap();
    fs::remove_file(host.at("no_rewind")).unwrap();
    assert!(host.run().status.success(), "nobody holds the lock any more");
}

#[test]
fn the_pid_file_of_a_server_that_runs_stays() {
    let host = Host::new();
    let mut server = Command::new("sleep").arg("600").current_dir(host.at("data")).spawn().unwrap();
    let file = host.at("data").join("postmaster.pid");
    fs::write(&file, format!("{}\n", server.id())).unwrap();
    let refused = host.run();
    let (stays, rewound) = (file.exists(), host.called("pg_rewind"));
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!((refused.status.code(), stays, rewound), (Some(1), true, false), "{refused:?}");
    assert!(said(&refused).contains("does not stop"), "{refused:?}");
    let after = host.run();
    assert!(after.status.success() && !file.exists() && host.called("pg_rewind"), "{after:?}");
}

#[test]
fn a_run_that_was_killed_between_the_two_directories_is_gone_on_with() {
    // The copy was whole: it takes its place.
    let host = Host::new();
    fs::rename(host.at("data"), host.at("data.old")).unwrap();
    host.directory("data.new", "new");
    fs::write(host.at("data.new").join("rejoin.copied"), "pg2\n").unwrap();
    let ran = host.run();
    assert!(ran.status.success() && !host.called("pg_rewind"), "{ran:?}");
    assert_eq!(host.which("data"), "new");
    assert!(!host.at("data").join("rejoin.copied").exists());
    // There is only what was there before.
    let host = Host::new();
    fs::rename(host.at("data"), host.at("data.old")).unwrap();
    let ran = host.run();
    assert!(ran.status.success() && host.called("pg_rewind"), "{ran:?}");
    assert_eq!(host.which("data"), "old");
}
