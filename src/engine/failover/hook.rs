//! The configured programs: a fence that proves the old primary off, and a rejoin.
//!
//! They get the names of members and nothing else, through no shell, and run as the
//! agent's user. An exit status of 0 is the only proof. Runs are told in the log and in
//! the audit, whatever they end in.

use std::future::Future;
use std::path::PathBuf;

use tokio::time::Instant;

use super::Plan;
use crate::base::id::Name;
use crate::base::time::Clock;
use crate::config::failover::expand;
use crate::logic::failover::{Action, Answer, CallError};
use crate::model::access::AuditEntry;
use crate::runtime::command::{Input, run_with};
use crate::store::{Change, Store};

/// Bytes of what a hook says that are kept.
const SAID: usize = 4096;

/// See the module.
pub struct Hooks {
    group: Name,
    fence: Option<Vec<String>>,
    rejoin: Option<Vec<String>>,
    store: Store,
    clock: std::sync::Arc<dyn Clock>,
}

impl Hooks {
    pub fn of(plan: &Plan) -> Self {
        Self {
            group: plan.name().clone(),
            fence: plan.section.fence_hook.clone(),
            rejoin: plan.section.rejoin_hook.clone(),
            store: plan.store.clone(),
            clock: plan.surroundings.clock.clone(),
        }
    }

    /// The run of the hook that `action` asks for.
    pub fn run(
        &self,
        member: &Name,
        action: &Action,
        deadline: Instant,
    ) -> impl Future<Output = Result<Answer, CallError>> + Send + use<> {
        let (name, words) = match action {
            Action::RejoinHook { primary } => {
                ("rejoin_hook", self.rejoin.as_ref().map(|hook| expand(hook, member, primary)))
            }
            _ => ("fence_hook", self.fence.as_ref().map(|hook| expand(hook, member, member))),
        };
        let (group, member, store) = (self.group.clone(), member.clone(), self.store.clone());
        let clock = self.clock.clone();
        async move {
            let result = match words.as_deref() {
                Some([program, arguments @ ..]) => run(program, arguments, deadline).await,
                _ => Err(String::from("it is not configured")),
            };
            let ended = match &result {
                Ok(()) => String::from("ended well"),
                Err(why) => why.clone(),
            };
            tracing::info!(%group, %member, hook = name, ended, "failover hook");
            let audit = AuditEntry {
                at: clock.now(),
                who: String::from("failover"),
                action: format!("failover.{name}"),
                object: format!("{group}/{member}"),
                detail: ended,
            };
            if let Err(error) = store.commit(Change { writes: Vec::new(), audit: Some(audit) }).await {
                tracing::warn!(%group, %error, "the run of a hook is not in the audit");
            }
            result.map(|()| Answer::Done).map_err(|detail| CallError { detail, unknown: true })
        }
    }
}

async fn run(program: &str, arguments: &[String], deadline: Instant) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ran = run_with(&PathBuf::from(program), &words, &Input::default(), SAID, deadline).await;
    let finished = ran.map_err(|error| error.to_string())?;
    if finished.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&finished.error);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("{program} ended with {}: {}", finished.status, last.trim()))
}
