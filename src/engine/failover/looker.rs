//! Looks at one member, one after the other, when the protocol asks for them.
//!
//! Between two looks it listens on the kept connection: when that ends, the protocol
//! hears of it at once and not at the next look. An order for an earlier time replaces
//! the one that waits; an order that comes while a look runs is for the next.

use std::time::Duration;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Input;
use crate::base::id::Name;
use crate::base::time::Clock;
use crate::targets::postgres::member::{Look, MemberLink};

/// When to look, and how.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub at: Instant,
    pub fresh: bool,
    pub canary: bool,
}

impl Order {
    /// Two orders in one: the earlier time, all that either wants.
    fn and(self, other: Self) -> Self {
        Self {
            at: self.at.min(other.at),
            fresh: self.fresh || other.fresh,
            canary: self.canary || other.canary,
        }
    }
}

/// See the module.
pub struct Looker {
    pub member: Name,
    pub link: MemberLink,
    pub clock: Arc<dyn Clock>,
    /// Deadline of a look.
    pub timeout: Duration,
    pub orders: mpsc::Receiver<Order>,
    pub events: mpsc::Sender<Input>,
}

impl Looker {
    /// Runs until nobody gives orders any more.
    pub async fn run(mut self) {
        let mut next: Option<Order> = None;
        loop {
            let Some(order) = next else {
                tokio::select! {
                    order = self.orders.recv() => match order {
                        Some(order) => next = Some(order),
                        None => return,
                    },
                    why = self.link.lost() => {
                        let lost = Input::Lost { member: self.member.clone(), why };
                        if self.events.send(lost).await.is_err() { return }
                    }
                }
                continue;
            };
            tokio::select! {
                biased;
                more = self.orders.recv() => match more {
                    Some(more) => next = Some(order.and(more)),
                    None => return,
                },
                why = self.link.lost() => {
                    let lost = Input::Lost { member: self.member.clone(), why };
                    if self.events.send(lost).await.is_err() { return }
                }
                () = tokio::time::sleep_until(order.at) => {
                    next = None;
                    if !self.look(order).await { return }
                }
            }
        }
    }

    /// `false` when nobody listens any more.
    async fn look(&mut self, order: Order) -> bool {
        let asked = self.clock.monotonic();
        let want = Look { fresh: order.fresh, canary: order.canary };
        let seen = self.link.look(want, Instant::now() + self.timeout).await;
        let member = self.member.clone();
        let looked = Input::Looked {
            member,
            asked,
            sighting: Box::new(seen.sighting),
            conninfo: seen.conninfo,
            problem: seen.problem,
        };
        self.events.send(looked).await.is_ok()
    }
}
