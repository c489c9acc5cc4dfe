//! The signals that the agent hears: stop twice, and read the configuration again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Agent, AppError};

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

impl Agent {
    /// Ends at a signal to stop; reloads on SIGHUP meanwhile.
    pub(super) async fn signals(&self, signals: &mut Signals) {
        loop {
            tokio::select! {
                _ = signals.interrupt.recv() => return,
                _ = signals.terminate.recv() => return,
                _ = signals.hangup.recv() => self.reload().await,
            }
        }
    }

    /// Reads the file again, and tells whoever sent the signal what came of it: nobody waits
    /// for an answer.
    async fn reload(&self) {
        match self.settings.reload("signal").await {
            Ok(applied) => {
                tracing::info!(changed = ?applied.changed, "configuration reloaded");
                if !applied.restart.is_empty() {
                    tracing::warn!(keys = ?applied.restart, "these take effect at the next start");
                }
            }
            Err(error) => tracing::error!(%error, "the configuration stays as it was"),
        }
    }
}
