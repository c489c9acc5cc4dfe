//! The log: to standard error, in text or JSON, its level changeable at run time.

use std::io::IsTerminal as _;
use std::sync::Arc;

use tokio::sync::watch;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, reload};

use crate::config::Config;
use crate::config::log::{Format, Level, Log};
use crate::runtime::supervisor::{Phase, Policy, Supervisor};

/// Changes the level of the running log.
pub type LevelHandle = reload::Handle<LevelFilter, Registry>;

/// Starts the log of the process. A second call leaves the first in place.
pub fn start(log: &Log) -> LevelHandle {
    let (filter, handle) = reload::Layer::new(filter(log.level));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match log.format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    handle
}

/// Follows `log.level` of the configuration.
pub fn follow(supervisor: &Supervisor, config: watch::Receiver<Arc<Config>>, handle: LevelHandle) {
    supervisor.spawn("log level", Policy::Restart, Phase::Engine, move |stop| {
        let (mut config, handle) = (config.clone(), handle.clone());
        async move {
            loop {
                let level = filter(config.borrow_and_update().log.level);
                handle.modify(|now| *now = level)?;
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    changed = config.changed() => if changed.is_err() { return Ok(()) },
                }
            }
        }
    });
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}
