//! The canary cycle: PUT, HEAD, GET and compare, LIST, DELETE and see it gone.
//!
//! ```text
//! put --> head --> get --> list --> delete --> (head is 404) --> sweep leftovers
//! ```
//! Every configured operation is recorded in every cycle: a store that refuses
//! writes but serves reads shows as exactly that. A share of the deadline is kept
//! for DELETE, so that a slow store does not fill with canaries; an operation whose
//! time is spent before it begins is `not_tried`. Without a canary (not
//! configured, or not stored) HEAD asks for the bucket and GET for an object that
//! does not exist, whose absence is the healthy answer. **Invariant:** no key
//! outside the agent's own prefix is named in any request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use tokio::time::Instant;

use super::canary::{Canary, is_leftover};
use super::outcome::{self, elements, text_of};
use super::request::Bucket;
use crate::base::secret::Secret;
use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::config::target::object_store::Operation;
use crate::model::probe::{OperationOutcome, OutcomeClass};
use crate::runtime::http_client::{Answer, HttpClient};
use crate::targets::outcome::{NOT_TRIED, Outcome};

/// Answers larger than this are cut off, bytes. A listing of [`LISTED`] keys needs
/// about a quarter of it.
const MAX_BODY: usize = 256 << 10;
/// Keys asked for in one listing.
const LISTED: usize = 200;
/// Leftovers deleted in one cycle.
const SWEPT: usize = 10;
/// Added to the deadline before another cycle's canary counts as left over: the
/// clocks of two agents with one name may differ.
const GRACE: Duration = Duration::from_secs(120);
/// The part of the deadline that only DELETE and the sweep may use.
const KEPT_FOR_DELETE: u32 = 4;

/// What one cycle needs.
pub struct Cycle {
    pub bucket: Arc<Bucket>,
    pub client: HttpClient,
    pub secret: Secret,
    pub prefix: String,
    pub operations: Vec<Operation>,
    pub clock: Arc<dyn Clock>,
    pub now: Timestamp,
    pub timeout: Duration,
    /// Of the requests that follow.
    pub deadline: Instant,
    /// Ask for leftovers though `list` is not one of the operations.
    pub looks_for_leftovers: bool,
}

/// The operations of a cycle, and how long it took without the sweep.
pub struct Ran {
    pub operations: Vec<OperationOutcome>,
    pub latency_ms: f64,
}

/// The operations in the order of the cycle, whatever the order in the file.
const ORDER: [Operation; 5] =
    [Operation::Put, Operation::Head, Operation::Get, Operation::List, Operation::Delete];

impl Cycle {
    /// Runs the configured operations one after the other.
    pub async fn run(mut self) -> Ran {
        let started = self.clock.monotonic();
        let deletes = self.operations.contains(&Operation::Delete);
        let leaves = deletes && self.operations.contains(&Operation::Put);
        let end = self.deadline;
        let early = if leaves { end - self.timeout / KEPT_FOR_DELETE } else { end };
        let canary = Canary::new(&self.prefix, self.now, !deletes);
        let mut stored = false;
        let mut leftovers = Vec::new();
        let mut operations = Vec::new();
        for operation in ORDER {
            if !self.operations.contains(&operation) {
                continue;
            }
            self.deadline = if operation == Operation::Delete { end } else { early };
            if Instant::now() >= self.deadline {
                operations.push(self.not_tried(&operations).named(operation.word(), 0.0));
                continue;
            }
            let began = self.clock.monotonic();
            let present = stored.then_some(&canary);
            let done = match operation {
                Operation::Put => self.put(&canary).await,
                Operation::Head => self.head(present).await,
                Operation::Get => self.get(present).await,
                Operation::List => self.list(present, &mut leftovers).await,
                Operation::Delete => self.delete(&canary, stored).await,
            };
            if operation == Operation::Put {
                stored = done.is_ok();
            }
            operations.push(done.named(operation.word(), self.millis_since(began)));
        }
        let latency_ms = self.millis_since(started);
        self.deadline = end;
        if leaves && self.looks_for_leftovers && !self.operations.contains(&Operation::List) {
            // Not an operation of the target: whether it is permitted is not its state.
            let _ = self.list(None, &mut leftovers).await;
        }
        if deletes {
            self.sweep(leftovers).await;
        }
        Ran { operations, latency_ms }
    }

    /// The time went to the operations before: their class, and a timeout where each
    /// of them went well.
    fn not_tried(&self, before: &[OperationOutcome]) -> Outcome {
        let worst = before.iter().map(|done| done.class).max().unwrap_or(OutcomeClass::Ok);
        let class = if worst == OutcomeClass::Ok { OutcomeClass::Hard } else { worst };
        let spent = self.timeout.as_millis();
        let detail = format!("not tried: the operations before it took their share of the {spent}ms");
        Outcome::new(class, NOT_TRIED, detail)
    }

    fn millis_since(&self, began: Monotonic) -> f64 {
        self.clock.monotonic().since(began).as_secs_f64() * 1000.0
    }

    async fn put(&self, canary: &Canary) -> Outcome {
        match self.call(Method::PUT, &canary.key, "", canary.body.clone()).await {
            Ok(answer) if answer.status.is_success() => Outcome::ok(),
            Ok(answer) => outcome::of_answer(&answer, true),
            Err(outcome) => outcome,
        }
    }

    async fn head(&self, canary: Option<&Canary>) -> Outcome {
        let path = canary.map_or("", |canary| canary.key.as_str());
        let answer = match self.call(Method::HEAD, path, "", Bytes::new()).await {
            Ok(answer) => answer,
            Err(outcome) => return outcome,
        };
        if !answer.status.is_success() {
            return outcome::of_answer(&answer, false);
        }
        let length = answer.headers.get(header::CONTENT_LENGTH).and_then(|text| text.to_str().ok());
        let expected = canary.map(|canary| canary.body.len().to_string());
        match expected {
            Some(expected) if length != Some(expected.as_str()) => {
                let found = length.unwrap_or("no length");
                corrupt(&format!("{expected} bytes were stored and HEAD tells of {found}"))
            }
            _ => Outcome::ok(),
        }
    }

    async fn get(&self, canary: Option<&Canary>) -> Outcome {
        let absent = self.absent();
        let path = canary.map_or(absent.as_str(), |canary| canary.key.as_str());
        let answer = match self.call(Method::GET, path, "", Bytes::new()).await {
            Ok(answer) => answer,
            Err(outcome) => return outcome,
        };
        match canary {
            Some(canary) if answer.status == StatusCode::OK => {
                if answer.body == canary.body {
                    Outcome::ok()
                } else {
                    corrupt("what was read back differs from what was stored")
                }
            }
            None if is_no_such_key(&answer) => Outcome::ok(),
            _ => outcome::of_answer(&answer, true),
        }
    }

    async fn list(&self, canary: Option<&Canary>, leftovers: &mut Vec<String>) -> Outcome {
        let query = format!("list-type=2&max-keys={LISTED}&prefix={}", self.prefix.replace('/', "%2F"));
        let answer = match self.call(Method::GET, "", &query, Bytes::new()).await {
            Ok(answer) if answer.status == StatusCode::OK => answer,
            Ok(answer) => return outcome::of_answer(&answer, true),
            Err(outcome) => return outcome,
        };
        let document = String::from_utf8_lossy(&answer.body);
        if !document.contains("<ListBucketResult") {
            return Outcome::new(OutcomeClass::Hard, "protocol", "the answer to LIST is not a listing");
        }
        let longest = self.timeout + GRACE;
        let mut listed = canary.is_none() || text_of(&document, "IsTruncated") == Some("true");
        for key in elements(&document, "Key").take(LISTED) {
            listed |= canary.is_some_and(|canary| canary.key == key);
            if is_leftover(&self.prefix, key, self.now, longest) {
                leftovers.push(key.to_owned());
            }
        }
        if listed {
            Outcome::ok()
        } else {
            Outcome::new(OutcomeClass::Soft, "not_listed", "the listing lacks the object just stored")
        }
    }

    /// Also asked for when the canary was not acknowledged: it may be there.
    async fn delete(&self, canary: &Canary, stored: bool) -> Outcome {
        let absent = self.absent();
        let puts = self.operations.contains(&Operation::Put);
        let key = if puts { canary.key.as_str() } else { absent.as_str() };
        match self.call(Method::DELETE, key, "", Bytes::new()).await {
            Ok(answer) if answer.status.is_success() || is_no_such_key(&answer) => {}
            Ok(answer) => return outcome::of_answer(&answer, true),
            Err(outcome) => return outcome,
        }
        if !stored {
            return Outcome::ok();
        }
        match self.call(Method::HEAD, key, "", Bytes::new()).await {
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => Outcome::ok(),
            Ok(answer) if answer.status.is_success() => {
                Outcome::new(OutcomeClass::Soft, "not_deleted", "the object is still there after DELETE")
            }
            Ok(answer) => outcome::of_answer(&answer, false),
            Err(outcome) => outcome,
        }
    }

    /// Deletes canaries of cycles that never ended, as far as the deadline allows.
    async fn sweep(&self, leftovers: Vec<String>) {
        for key in leftovers.into_iter().take(SWEPT) {
            match self.call(Method::DELETE, &key, "", Bytes::new()).await {
                Ok(answer) if answer.status.is_success() => tracing::debug!(key, "leftover canary deleted"),
                // The next cycle tries again.
                Ok(_) | Err(_) => return,
            }
        }
    }

    async fn call(&self, method: Method, path: &str, query: &str, body: Bytes) -> Result<Answer, Outcome> {
        let request = self.bucket.request(&self.secret, method, path, query, body).await;
        let request = request.map_err(|error| Outcome::configuration("request", error.to_string()))?;
        let sent = self.client.send(request, MAX_BODY, self.deadline).await;
        sent.map_err(|error| outcome::of_error(&error))
    }

    /// A key that is never stored.
    fn absent(&self) -> String {
        format!("{}absent", self.prefix)
    }
}

fn corrupt(detail: &str) -> Outcome {
    Outcome::new(OutcomeClass::Hard, "corrupt", detail)
}

/// A missing object, as opposed to a missing bucket.
fn is_no_such_key(answer: &Answer) -> bool {
    answer.status == StatusCode::NOT_FOUND
        && text_of(&String::from_utf8_lossy(&answer.body), "Code") == Some("NoSuchKey")
}
