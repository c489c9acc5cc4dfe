//! What texts of alerts ask the store for: `{{ query "up" | first | value }}`.
//!
//! Texts are written while the alerts are locked, so this is bounded over the whole round:
//! in expressions, in series of each, and in time. An expression that many alerts ask is
//! evaluated once. What is too much is an error, which the text then shows. One would get
//! it wrong by answering for the present: the round has one moment, and a title must not
//! contradict the value beside it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::compiled::vector;
use crate::base::time::{Clock, Monotonic, Timestamp};
use crate::promql::eval::Limits;
use crate::promql::parse;
use crate::promql::template::Element;
use crate::store::{Store, StoreSource};

/// Expressions of one round.
const MOST_EXPRESSIONS: usize = 200;
/// Series that a selector may match, and samples that an expression may take.
const MOST_SERIES: usize = 10_000;
const MOST_SAMPLES: usize = 100_000;
/// All of a round together.
const TIME: Duration = Duration::from_millis(500);

type Answer = Result<Vec<Element>, String>;

/// See the module.
pub struct Lookup {
    source: StoreSource,
    clock: Arc<dyn Clock>,
    at: Timestamp,
    /// When the first expression was asked.
    began: Cell<Option<Monotonic>>,
    known: RefCell<HashMap<String, Answer>>,
}

impl Lookup {
    /// Answers for the time `at`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, at: Timestamp) -> Self {
        let source = StoreSource::new(store);
        Self { source, clock, at, began: Cell::new(None), known: RefCell::default() }
    }

    /// The vector of `expr`. Blocking: reads the store.
    ///
    /// # Errors
    /// It is no expression, no vector, or too much; in words.
    pub fn answer(&self, expr: &str) -> Answer {
        if let Some(known) = self.known.borrow().get(expr) {
            return known.clone();
        }
        if self.known.borrow().len() >= MOST_EXPRESSIONS {
            return Err(format!("the texts of a round ask more than {MOST_EXPRESSIONS} expressions"));
        }
        let answer = self.evaluate(expr);
        self.known.borrow_mut().insert(expr.to_owned(), answer.clone());
        answer
    }

    fn evaluate(&self, expr: &str) -> Answer {
        let now = self.clock.monotonic();
        let began = self.began.get().unwrap_or(now);
        self.began.set(Some(began));
        let late = || self.clock.monotonic().since(began) > TIME;
        if late() {
            return Err(format!("the texts of a round took longer than {} ms", TIME.as_millis()));
        }
        let parsed = parse(expr).map_err(|error| error.to_string())?;
        let limits = Limits { max_samples: MOST_SAMPLES, max_series: MOST_SERIES, ..Limits::new(&late) };
        vector(&parsed, self.at.millis(), &self.source, &limits)
    }
}
