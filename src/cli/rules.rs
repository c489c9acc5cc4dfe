//! `holdfast rules`: rule files of Prometheus, checked and tested without the agent; what
//! asks the agent is in [`rules_agent`].
//!
//! `test` reads promtool's unit-test files; what it prints of a failed case is what
//! promtool prints, with the place in the file before it. Cases that need what we do not
//! have are counted and listed apart: they are neither right nor wrong.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Global;
use super::exit::{CONFIGURATION, Done, FAILED, Failure, OK};
use super::glob::expand;
use super::output::{note, print, print_json};
use super::rules_agent;
use super::surroundings::Surroundings;
use crate::base::prometheus_duration::show;
use crate::logic::rule_file::{self, RuleFile};
use crate::logic::rule_test::{self, Outcome, Subject, TestFile, Verdict};
use crate::logic::yaml::Fault;

#[derive(Subcommand, Debug)]
pub enum RulesCommand {
    /// Run unit tests of rules in promtool's format
    Test(FilesArguments),
    /// Check rule files of Prometheus
    Lint(FilesArguments),
    /// List the rules of the agent
    Ls,
    /// Take over rule files of Prometheus into the agent
    Import(rules_agent::ImportArguments),
    /// Say what a rule of the agent would have done on the stored history
    Replay(rules_agent::ReplayArguments),
}

#[derive(Args, Debug)]
pub struct FilesArguments {
    /// YAML files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// # Errors
/// A file cannot be read, or the agent that is asked refused.
pub fn rules(command: &RulesCommand, global: &Global, surroundings: &Surroundings) -> Done {
    match command {
        RulesCommand::Test(arguments) => test(&arguments.files, global),
        RulesCommand::Lint(arguments) => lint(&arguments.files, global),
        RulesCommand::Ls => rules_agent::list(global, surroundings),
        RulesCommand::Import(arguments) => rules_agent::import(arguments, global, surroundings),
        RulesCommand::Replay(arguments) => rules_agent::replay(arguments, global, surroundings),
    }
}

/// What is wrong with a file, or could be.
#[derive(Clone, Debug)]
struct Trouble {
    file: String,
    fault: Fault,
}

impl Trouble {
    fn line(&self) -> String {
        format!("{}:{}", self.file, self.fault)
    }

    fn json(&self) -> Value {
        let place = self.fault.place;
        json!({"file": self.file, "line": place.line, "column": place.column, "message": self.fault.message})
    }
}

fn text_of(path: &Path) -> Result<String, Failure> {
    let what = format!("cannot read {}", path.display());
    let bytes = std::fs::read(path).map_err(|error| Failure::io(&what, &error))?;
    String::from_utf8(bytes).map_err(|_| Failure::new(CONFIGURATION, format!("{what}: it is not UTF-8")))
}

/// The rules of a file, or what is wrong with it.
fn rules_of(path: &Path) -> Result<Result<RuleFile, Vec<Trouble>>, Failure> {
    Ok(rule_file::read(&text_of(path)?).map_err(|faults| located(path, faults)))
}

fn located(path: &Path, faults: Vec<Fault>) -> Vec<Trouble> {
    let file = path.display().to_string();
    faults.into_iter().map(|fault| Trouble { file: file.clone(), fault }).collect()
}

fn lint(files: &[PathBuf], global: &Global) -> Done {
    let mut answers = Vec::new();
    let mut code = OK;
    for path in files {
        let (rules, groups, faults, warnings) = match rules_of(path)? {
            Ok(file) => {
                (file.rules().count(), file.groups.len(), Vec::new(), located(path, file.duplicates()))
            }
            Err(faults) => (0, 0, faults, Vec::new()),
        };
        for trouble in &faults {
            note(&trouble.line());
        }
        for trouble in &warnings {
            note(&format!("warning: {}", trouble.line()));
        }
        let file = path.display().to_string();
        if !faults.is_empty() {
            code = CONFIGURATION;
        } else if !global.json {
            print(&format!("{file}: {} in {}\n", counted(rules, "rule"), counted(groups, "group")))?;
        }
        let json = |list: &[Trouble]| list.iter().map(Trouble::json).collect::<Vec<_>>();
        answers.push(json!({
            "file": file,
            "valid": faults.is_empty(),
            "groups": groups,
            "rules": rules,
            "problems": json(&faults),
            "warnings": json(&warnings),
        }));
    }
    if global.json {
        print_json(&json!({"files": answers}))?;
    }
    Ok(code)
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Cases by what became of them.
#[derive(Clone, Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    refused: usize,
    /// What the refused ones need, each once.
    needs: Vec<&'static str>,
    /// Files that cannot be tested at all.
    broken: usize,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Wrong { .. } | Verdict::Error(_) => self.failed += 1,
            Verdict::Refused(reason) => {
                self.refused += 1;
                let need = need_of(reason);
                if !self.needs.contains(&need) {
                    self.needs.push(need);
                }
            }
        }
    }

    fn line(&self) -> String {
        let mut line = format!("{} passed, {} refused", self.passed, self.refused);
        if !self.needs.is_empty() {
            let _ = write!(line, " ({})", self.needs.join(", "));
        }
        let _ = write!(line, ", {} failed", self.failed);
        if self.broken > 0 {
            let _ = write!(line, ", {} not readable", counted(self.broken, "file"));
        }
        line
    }

    fn code(&self) -> u8 {
        match (self.failed, self.broken) {
            (0, 0) => OK,
            (0, _) => CONFIGURATION,
            _ => FAILED,
        }
    }
}

fn need_of(reason: &str) -> &'static str {
    if reason.contains("native histograms") { "native histograms" } else { "experimental PromQL" }
}

fn test(files: &[PathBuf], global: &Global) -> Done {
    let mut tally = Tally::default();
    let mut answers = Vec::new();
    for path in files {
        let file = path.display().to_string();
        let outcomes = match outcomes(path)? {
            Ok(outcomes) => outcomes,
            Err(troubles) => {
                tally.broken += 1;
                for trouble in &troubles {
                    note(&trouble.line());
                }
                let problems: Vec<_> = troubles.iter().map(Trouble::json).collect();
                answers.push(json!({"file": file, "problems": problems, "cases": []}));
                continue;
            }
        };
        for outcome in &outcomes {
            tally.count(&outcome.verdict);
            if !global.json {
                print(&text_of_outcome(&file, outcome))?;
            }
        }
        let cases: Vec<_> = outcomes.iter().map(json_of_outcome).collect();
        answers.push(json!({"file": file, "problems": [], "cases": cases}));
    }
    if global.json {
        print_json(&json!({
            "files": answers,
            "passed": tally.passed,
            "refused": tally.refused,
            "failed": tally.failed,
        }))?;
    } else {
        print(&format!("{}\n", tally.line()))?;
    }
    Ok(tally.code())
}

/// Runs one test file.
fn outcomes(path: &Path) -> Result<Result<Vec<Outcome>, Vec<Trouble>>, Failure> {
    let file = match rule_test::read(&text_of(path)?) {
        Ok(file) => file,
        Err(faults) => return Ok(Err(located(path, faults))),
    };
    let mut rules = Vec::new();
    let mut troubles = Vec::new();
    for path in rule_paths(path, &file) {
        match rules_of(&path)? {
            Ok(read) => rules.push(read),
            Err(faults) => troubles.extend(faults),
        }
    }
    if !troubles.is_empty() {
        return Ok(Err(troubles));
    }
    Ok(Ok(rule_test::run(&file, &rules, &|| false)))
}

/// The rule files that a test file names, beside it unless they begin with a slash.
fn rule_paths(test: &Path, file: &TestFile) -> Vec<PathBuf> {
    let beside = test.parent().unwrap_or(Path::new(""));
    let mut paths = Vec::new();
    for (pattern, place) in &file.rule_files {
        let found = expand(&beside.join(pattern));
        if found.is_empty() {
            note(&format!("warning: {}:{place}: no file matches `{pattern}`", test.display()));
        }
        paths.extend(found);
    }
    paths
}

fn text_of_outcome(file: &str, outcome: &Outcome) -> String {
    let mut text = String::new();
    if outcome.verdict == Verdict::Passed {
        return text;
    }
    let name = if outcome.test.is_empty() { String::new() } else { format!(" {}", outcome.test) };
    let _ = writeln!(text, "{file}:{}:{name}", outcome.place);
    let subject = match &outcome.subject {
        Subject::Expr(expr) => format!("expr: {expr:?}"),
        Subject::Alert(name) => format!("alertname: {name}"),
    };
    let _ = writeln!(text, "    {subject}, time: {},", show(outcome.at));
    match &outcome.verdict {
        Verdict::Passed => {}
        Verdict::Wrong { expected, got } => {
            for (word, lines) in [("exp", expected), ("got", got)] {
                let mut word = format!("{word}:");
                if lines.is_empty() {
                    let _ = writeln!(text, "        {word} nothing");
                }
                for line in lines {
                    let _ = writeln!(text, "        {word} {line}");
                    word = String::from("    ");
                }
            }
        }
        Verdict::Error(message) => {
            let _ = writeln!(text, "        err: {message}");
        }
        Verdict::Refused(reason) => {
            let _ = writeln!(text, "        refused: {reason}");
        }
    }
    text
}

fn json_of_outcome(outcome: &Outcome) -> Value {
    let (kind, subject) = match &outcome.subject {
        Subject::Expr(expr) => ("expr", expr),
        Subject::Alert(name) => ("alert", name),
    };
    let mut case = json!({
        "test": outcome.test,
        "line": outcome.place.line,
        "column": outcome.place.column,
        "kind": kind,
        "subject": subject,
        "time": show(outcome.at),
    });
    match &outcome.verdict {
        Verdict::Passed => case["verdict"] = json!("passed"),
        Verdict::Wrong { expected, got } => {
            case["verdict"] = json!("failed");
            case["expected"] = json!(expected);
            case["got"] = json!(got);
        }
        Verdict::Error(message) => {
            case["verdict"] = json!("failed");
            case["message"] = json!(message);
        }
        Verdict::Refused(reason) => {
            case["verdict"] = json!("refused");
            case["message"] = json!(reason);
        }
    }
    case
}
