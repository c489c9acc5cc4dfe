//! `holdfast validate`: every error of the configuration at once.

use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::Global;
use super::client::block_on;
use super::exit::{CONFIGURATION, DEGRADED, Done, Failure, OK, UNHEALTHY};
use super::output::{Table, coloured, note, print, print_json};
use super::surroundings::Surroundings;
use crate::base::secret::Secret;
use crate::base::time::SystemClock;
use crate::config::load::{Loaded, load};
use crate::config::overlay::Overlay;
use crate::model::probe::{OutcomeClass, ProbeRecord};
use crate::runtime::supervisor::Supervisor;
use crate::targets::{self, Depth};

#[derive(Args, Debug)]
pub struct ValidateArguments {
    /// Also probe every target once: exit 3 or 4 when one is not well
    #[arg(long)]
    pub online: bool,
}

/// # Errors
/// The configuration is wrong.
pub fn validate(arguments: &ValidateArguments, global: &Global, surroundings: &Surroundings) -> Done {
    let sources = surroundings.sources(global, Vec::new());
    let file = sources.file.as_ref().map(|path| path.display().to_string());
    let loaded = match load(sources, Overlay::default()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            if global.json {
                print_json(&json!({"valid": false, "file": file, "problems": problems.0}))?;
                return Ok(CONFIGURATION);
            }
            let count = problems.0.len();
            note(&problems.to_string());
            let noun = if count == 1 { "problem" } else { "problems" };
            return Err(Failure::new(CONFIGURATION, format!("the configuration has {count} {noun}")));
        }
    };
    let probes = if arguments.online { block_on(probe_all(&loaded))? } else { Vec::new() };
    if global.json {
        let mut answer = json!({"valid": true, "file": file, "warnings": loaded.warnings});
        if arguments.online {
            answer["probes"] = serde_json::to_value(&probes).unwrap_or(Value::Null);
        }
        print_json(&answer)?;
    } else {
        for warning in &loaded.warnings {
            note(&format!("warning: {warning}"));
        }
        let what = file.unwrap_or_else(|| String::from("no file: the defaults"));
        print(&format!("{what}: valid\n{}", table(&probes, surroundings)))?;
    }
    Ok(probes.iter().map(|probe| code_of(probe.class)).max().unwrap_or(OK))
}

const fn code_of(class: OutcomeClass) -> u8 {
    match class {
        OutcomeClass::Ok => OK,
        OutcomeClass::Hard => UNHEALTHY,
        _ => DEGRADED,
    }
}

/// Each target once, one after the other, each within its own deadline.
async fn probe_all(loaded: &Loaded) -> Result<Vec<ProbeRecord>, Failure> {
    let clock = Arc::new(SystemClock::new());
    let environment = loaded.sources.environment.iter();
    let around = targets::Surroundings {
        // One name for all of them: what a killed one left in a bucket, the next finds.
        agent: String::from("validate"),
        clock: clock.clone(),
        supervisor: Supervisor::new(clock),
        environment: Arc::new(
            environment.map(|(name, text)| (name.clone(), Secret::new(text.as_str()))).collect(),
        ),
    };
    let mut records = Vec::new();
    for mut target in targets::build(&loaded.config, &around) {
        records.push(target.probe(Depth::Full).await.record);
    }
    Ok(records)
}

fn table(probes: &[ProbeRecord], surroundings: &Surroundings) -> String {
    let mut table = Table::new(["TARGET", "KIND", "LATENCY", "CLASS", "DETAIL"]);
    for probe in probes {
        let detail = probe.problem().map(|problem| format!("{}: {}", problem.operation, problem.detail));
        table.row([
            probe.target.to_string(),
            probe.kind.clone(),
            format!("{:.1}ms", probe.latency_ms),
            coloured(probe.class.word(), probe.class.word(), surroundings),
            detail.unwrap_or_default(),
        ]);
    }
    if table.is_empty() { String::new() } else { table.render() }
}
