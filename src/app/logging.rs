//! The log: to standard error, and to files, in text or JSON; its level changeable at run
//! time.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

use super::log_file::LogFile;
use crate::config::Config;
use crate::config::log::{Format, Level, Log};
use crate::runtime::supervisor::{Phase, Policy, Supervisor};

/// Changes the level of the running log.
pub type LevelHandle = reload::Handle<LevelFilter, Registry>;

/// Starts the log of the process. A second call leaves the first in place.
pub fn start(log: &Log, data_dir: &Path) -> LevelHandle {
    let (filter, handle) = reload::Layer::new(filter(log.level));
    let file = |name: &String| LogFile::new(name, data_dir, log.max_size.0, log.keep);
    let colours = std::io::stderr().is_terminal();
    let mut outputs = vec![lines(log.format, colours, std::io::stderr)];
    outputs.extend(log.file.as_ref().map(|name| lines(log.format, false, file(name))));
    let errors = log.error_file.as_ref().map(|name| lines(log.format, false, file(name)));
    outputs.extend(errors.map(|errors| errors.with_filter(LevelFilter::ERROR).boxed()));
    let _ = tracing_subscriber::registry().with(filter).with(outputs).try_init();
    handle
}

fn lines<S, W>(format: Format, colours: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_target(false);
    match format {
        Format::Text => lines.with_ansi(colours).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    }
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
