//! The protocol of failover groups as a pure state machine.
//!
//! ```text
//! observing -> steady -> suspect -> J1 begin(e+1): no route, old connections reset
//!   -> cut every standby that answers -> choose -> J3 fence hook (where it is waited for)
//!   -> J4 intent: one candidate, once per epoch
//!   -> promote -> verify -> J6 route(e+1) -> repoint the others, fence the old primary
//! ```
//! One observer decides, so nothing is voted on. What makes that safe is order: the
//! route goes before anything is done to a server, standbys stop following before
//! they are compared, and every outside effect is preceded by a commit that says it
//! may have happened. What makes it bearable is doubt: `evidence.rs` says which looks
//! mean a dead primary and which mean a restart, a broken path, or us.
//!
//! Parts: `core` (the step), `watch` (looks at one member), `evidence` (verdict),
//! `judge` (who may take over, what forbids it), `work` (an operation), `decide` (its middle), `head` (its end), `reconcile`
//! (what is put right at rest), `observe` (the first head; when to look), `command`
//! (operators), `quorum` (synchronous settings).

mod command;
mod core;
mod decide;
mod event;
mod evidence;
mod head;
mod judge;
mod observe;
mod quorum;
mod reconcile;
mod watch;
mod work;

pub use self::core::{Core, Decision};
pub use self::event::*;
pub use self::evidence::Verdict;
pub use self::watch::{Failed, Watch};
