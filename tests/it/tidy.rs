//! The house rules that no compiler knows, read from the sources.
//!
//! Each test names what it protects; ARCHITECTURE.md has the reasons.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers of `src/`, lowest first; modules on one line may not import each
/// other.
const LAYERS: [&[&str]; 9] = [
    &["base"],
    &["model"],
    &["promql"],
    &["config", "logic"],
    &["store", "runtime"],
    &["channels", "collectors", "targets"],
    &["engine"],
    &["http"],
    &["app", "cli"],
];

/// Layers whose modules do no I/O.
const PURE: [&str; 4] = ["base", "model", "logic", "promql"];

/// Words of I/O and of the wall clock, and the one file that may hold them.
const IMPURE: [&str; 6] = ["tokio::", "redb::", "axum::", "std::fs", "std::net", "SystemTime"];

const MOST_LINES: usize = 600;

struct Source {
    /// Below the root, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// The first folder or file below `src/`, without its ending.
    fn module(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        let first = below.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("tests.rs")
            || self.path.ends_with("testing.rs")
    }

    /// The text without comments and without what follows the inline tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        lines
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folders: &[&str], endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        walk(&root().join(folder), endings, &mut found);
    }
    assert!(!found.is_empty(), "no sources below {folders:?}");
    found
}

fn walk(folder: &Path, endings: &[&str], found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if !path.ends_with("node_modules") && !path.ends_with("dist") {
                walk(&path, endings, found);
            }
        } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
            let below = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            found.push(Source { path: below, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

fn rust() -> Vec<Source> {
    sources(&["src", "tests", "benches"], &[".rs"])
}

fn level(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn report(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn imports_point_downwards() {
    let mut offences = Vec::new();
    for source in sources(&["src"], &[".rs"]) {
        let module = source.module().unwrap_or_default().to_owned();
        if ["main", "lib"].contains(&module.as_str()) {
            continue;
        }
        let Some(own) = level(&module) else {
            offences.push(format!("{}: module `{module}` is in no layer", source.path));
            continue;
        };
        for (at, line) in source.code() {
            if line.contains("crate::{") {
                offences.push(format!("{}:{at}: name the module, not `crate::{{`", source.path));
            }
            for used in line.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(theirs) = level(&used) else { continue };
                let sideways = theirs == own && used != module && module != "app" && module != "cli";
                if theirs > own || sideways {
                    offences.push(format!("{}:{at}: {module} may not use {used}", source.path));
                }
            }
        }
    }
    report("imports go down the layers only", &offences);
}

#[test]
fn leaves_and_engine_parts_do_not_know_their_siblings() {
    let mut offences = Vec::new();
    for source in sources(&["src/channels", "src/collectors", "src/targets", "src/engine"], &[".rs"]) {
        let parts: Vec<&str> = source.path.split('/').collect();
        let (folder, file) = (parts[1], parts[2].trim_end_matches(".rs"));
        if file == "mod" {
            continue;
        }
        for (at, line) in source.code() {
            // A leaf's shared helpers live in the folder's own small modules.
            let shared = [
                "source", "outcome", "record", "testing", "course", "door", "trust", "look", "web", "wording",
            ];
            for used in line.split(&format!("crate::{folder}::")).skip(1) {
                let used: String = used.chars().take_while(|c| c.is_lowercase() || *c == '_').collect();
                let is_module = root().join(format!("src/{folder}/{used}.rs")).exists()
                    || root().join(format!("src/{folder}/{used}")).is_dir();
                if is_module && !used.is_empty() && used != file && !shared.contains(&used.as_str()) {
                    offences.push(format!("{}:{at}: {file} may not use its sibling {used}", source.path));
                }
            }
        }
    }
    report("siblings meet only through what is above or below them", &offences);
}

#[test]
fn pure_modules_do_no_io() {
    let mut offences = Vec::new();
    for source in sources(&["src"], &[".rs"]) {
        let module = source.module().unwrap_or_default();
        if !PURE.contains(&module) || source.path == "src/base/time.rs" || source.is_test() {
            continue;
        }
        for (at, line) in source.code() {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                offences.push(format!("{}:{at}: `{word}`", source.path));
            }
        }
    }
    report("base, model, logic and promql do no I/O and read no clock", &offences);
}

#[test]
fn each_library_has_one_home() {
    let homes: [(&[&str], &[&str]); 3] = [
        (&["redb::", "use redb", "postcard::"], &["store"]),
        (&["axum::", "use axum"], &["http"]),
        (&["std::env::var"], &["cli", "main"]),
    ];
    let mut offences = Vec::new();
    for source in sources(&["src"], &[".rs"]) {
        let module = source.module().unwrap_or_default().to_owned();
        if source.is_test() {
            continue;
        }
        for (words, allowed) in homes {
            if allowed.contains(&module.as_str()) {
                continue;
            }
            for (at, line) in source.code() {
                if words.iter().any(|word| line.contains(word)) {
                    offences.push(format!("{}:{at}: belongs in {allowed:?}: {}", source.path, line.trim()));
                }
            }
        }
    }
    report("each library has one home", &offences);
}

#[test]
fn files_are_small_documented_and_ascii() {
    let mut offences = Vec::new();
    for source in rust() {
        let lines = source.text.lines().count();
        if lines > MOST_LINES {
            offences.push(format!("{}: {lines} lines, more than {MOST_LINES}", source.path));
        }
        if !source.text.starts_with("//!") && !source.path.ends_with("main.rs") {
            offences.push(format!("{}: does not open with its `//!` purpose", source.path));
        }
        if !source.is_test() {
            let foreign = source.code().find(|(_, line)| !line.is_ascii());
            if let Some((at, _)) = foreign {
                offences.push(format!("{}:{at}: not ASCII", source.path));
            }
        }
    }
    for source in sources(&["web/src"], &[".ts", ".tsx", ".css"]) {
        let lines = source.text.lines().count();
        if lines > MOST_LINES {
            offences.push(format!("{}: {lines} lines, more than {MOST_LINES}", source.path));
        }
    }
    report("files are small and say what they are for", &offences);
}

#[test]
fn nothing_is_left_undone() {
    // Assembled so that this file does not find itself.
    let words = [
        ["to", "do!("].concat(),
        ["unimple", "mented!("].concat(),
        ["db", "g!("].concat(),
        ["FIX", "ME"].concat(),
        ["TO", "DO"].concat(),
        ["#[ig", "nore"].concat(),
    ];
    let mut offences = Vec::new();
    for source in sources(&["src", "tests", "benches", "web/src"], &[".rs", ".ts", ".tsx", ".sh"]) {
        for (at, line) in source.text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                offences.push(format!("{}:{}: {}", source.path, at + 1, line.trim()));
            }
        }
    }
    report("nothing is left for later in the code", &offences);
}

#[test]
fn no_test_sleeps() {
    let mut offences = Vec::new();
    for source in rust().into_iter().filter(Source::is_test) {
        for (at, line) in source.text.lines().enumerate() {
            let sleeps = ["thread::", "time::"].iter().any(|from| line.contains(&format!("{from}sleep(")));
            if sleeps {
                offences.push(format!("{}:{}: {}", source.path, at + 1, line.trim()));
            }
        }
    }
    report("tests wait for conditions, not for time", &offences);
}

#[test]
fn outside_input_cannot_panic() {
    let mut offences = Vec::new();
    for source in sources(&["src"], &[".rs"]) {
        if source.is_test() {
            continue;
        }
        for (at, line) in source.code() {
            if line.contains(".unwrap()") || line.contains("panic!(") {
                offences.push(format!("{}:{at}: {}", source.path, line.trim()));
            }
        }
    }
    report("no unwrap or panic outside tests", &offences);
}
