//! `holdfast run`: the agent itself.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::Global;
use super::exit::{CONFIGURATION, Done, FAILED, Failure, OK};
use super::output::note;
use super::surroundings::Surroundings;
use crate::app::{self, Ended};
use crate::config::load::{Flag, Loaded, load};
use crate::config::overlay::Overlay;

/// How the log is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Args, Debug, Default)]
pub struct RunArguments {
    /// Address of the page and the API, e.g. 127.0.0.1:3003 or unix:/run/holdfast.sock
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<String>,
    /// Format of the log
    #[arg(long, value_name = "FORMAT")]
    pub log: Option<LogFormat>,
    /// Where the host's /proc is
    #[arg(long = "path.procfs", value_name = "DIR")]
    pub procfs: Option<PathBuf>,
    /// Where the host's /sys is
    #[arg(long = "path.sysfs", value_name = "DIR")]
    pub sysfs: Option<PathBuf>,
    /// Where the host's root file system is
    #[arg(long = "path.rootfs", value_name = "DIR")]
    pub rootfs: Option<PathBuf>,
}

impl RunArguments {
    /// The keys that were given.
    fn flags(&self) -> Vec<Flag> {
        let listen = (!self.listen.is_empty()).then(|| Value::from(self.listen.clone()));
        let format = self.log.map(|format| match format {
            LogFormat::Text => Value::from("text"),
            LogFormat::Json => Value::from("json"),
        });
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| Value::from(path.display().to_string()));
        let given = [
            ("--listen", "listen", listen),
            ("--log", "log.format", format),
            ("--path.procfs", "collect.procfs", path(&self.procfs)),
            ("--path.sysfs", "collect.sysfs", path(&self.sysfs)),
            ("--path.rootfs", "collect.rootfs", path(&self.rootfs)),
        ];
        let flag = |(name, key, value): (&str, &str, Option<Value>)| {
            value.map(|value| Flag { name: name.to_owned(), key: key.to_owned(), value })
        };
        given.into_iter().filter_map(flag).collect()
    }
}

/// What to run on, before the store is open.
///
/// # Errors
/// All problems of the configuration, with exit code 78.
pub fn prepare(run: &RunArguments, global: &Global, surroundings: &Surroundings) -> Result<Loaded, Failure> {
    let sources = surroundings.sources(global, run.flags());
    load(sources, Overlay::default()).map_err(|problems| Failure::new(CONFIGURATION, problems))
}

/// Starts this program anew in this process, as it was started: whoever watches it sees no
/// end. Returns only when that is not possible; who started it has to start it again then.
fn again() -> Failure {
    use std::os::unix::process::CommandExt as _;
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).exec();
    Failure::new(FAILED, format!("cannot start again after a restore: {error}; start it by hand"))
}

/// Runs until a signal.
///
/// # Errors
/// The configuration is wrong, or the agent could not start.
pub fn run(run: &RunArguments, global: &Global, surroundings: &Surroundings) -> Done {
    let loaded = prepare(run, global, surroundings)?;
    for warning in &loaded.warnings {
        note(&format!("holdfast: warning: {warning}"));
    }
    match app::run(loaded) {
        Ok(Ended::Stopped) => Ok(OK),
        Ok(Ended::Restart) => Err(again()),
        Err(error) => Err(Failure::new(FAILED, error)),
    }
}
