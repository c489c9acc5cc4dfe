//! The signals that the agent hears: stop twice, and read the configuration again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::AppError;

/// What the process may be told.
pub struct Signals {
    pub interrupt: Signal,
    pub terminate: Signal,
    pub hangup: Signal,
}

impl Signals {
    /// # Errors
    /// The system does not let them be heard.
    pub fn listen() -> Result<Self, AppError> {
        let on =
            |kind| signal(kind).map_err(|error| AppError::Failed(format!("cannot hear signals: {error}")));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// SIGINT or SIGTERM.
    pub async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
