//! Work that may hang in a system call (a file on a dead mount, a resolver): one
//! at a time per owner, on a thread of its own.
//!
//! The pattern: such a call cannot be cancelled, so whoever waits for it gives up
//! at a deadline and the thread stays behind until the call returns. Until then
//! its owner starts no other, so there are never more stuck threads than owners.
//! Wrong would be the shared pool of blocking threads: a hung file that is read
//! every few seconds takes all of its threads, and with them the store's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::supervisor::Supervisor;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum SolitaryError {
    /// What was started earlier has not returned yet; nothing was started.
    #[error("the one before has not ended")]
    Busy,
    #[error("no answer from the system within {}ms", waited.as_millis())]
    Late { waited: Duration },
    #[error("it panicked")]
    Panicked,
    #[error("no thread for it: {0}")]
    Thread(#[from] io::Error),
}

/// The owner's place for one piece of work; clones share it.
#[derive(Clone, Debug)]
pub struct Solitary {
    place: Arc<Semaphore>,
}

impl Default for Solitary {
    fn default() -> Self {
        Self { place: Arc::new(Semaphore::new(1)) }
    }
}

impl Solitary {
    /// Runs `work` on a thread called `name` and waits until `deadline`; until
    /// `turn` for what was started before it.
    ///
    /// # Errors
    /// [`SolitaryError`]; after `Late` the work goes on with nobody waiting.
    pub async fn run<R, W>(
        &self,
        name: &str,
        turn: Instant,
        deadline: Instant,
        work: W,
    ) -> Result<R, SolitaryError>
    where
        W: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let started = Instant::now();
        let place = timeout_at(turn, self.place.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(SolitaryError::Busy) };
        let (answer, answered) = oneshot::channel();
        Supervisor::thread(name, move || {
            let result = work();
            // Free before the answer: whoever has it may start the next at once.
            drop(place);
            let _ = answer.send(result);
        })?;
        match timeout_at(deadline, answered).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(SolitaryError::Panicked),
            Err(_) => Err(SolitaryError::Late { waited: started.elapsed() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[tokio::test]
    async fn what_hangs_is_not_started_twice_and_does_not_stay_in_the_way_for_good() {
        let solitary = Solitary::default();
        let now = Instant::now();
        let (release, released) = sync_channel::<()>(0);
        let hung = solitary.run("test", now, now, move || released.recv()).await;
        assert!(matches!(hung, Err(SolitaryError::Late { .. })), "{hung:?}");
        let soon = now + Duration::from_secs(20);
        let second = solitary.run("test", now, soon, || ()).await;
        assert!(matches!(second, Err(SolitaryError::Busy)), "{second:?}");
        release.send(()).unwrap();
        assert_eq!(solitary.run("test", soon, soon, || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_panic_leaves_the_place_free() {
        let solitary = Solitary::default();
        let soon = Instant::now() + Duration::from_secs(20);
        let ended = solitary.run("test", soon, soon, || panic!("boom")).await;
        assert!(matches!(ended, Err::<(), _>(SolitaryError::Panicked)));
        assert_eq!(solitary.run("test", soon, soon, || 7).await.unwrap(), 7);
    }
}
