//! Everything that alerting knows, under one lock: the state of every rule, the events,
//! who was told what, and what is not stored yet.
//!
//! The pattern: whatever happens, a round, a command, an event, a delivery, goes in here
//! and comes out as rows. They are committed in one transaction while the lock is held, so
//! rows are stored in the order in which they were made. What could not be committed stays
//! in [`Core::unsaved`] and goes with the next one. One would get it wrong by telling
//! anybody before the commit: after a crash nobody would know of what was told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::compiled::{Answered, Compiled, Evaluated};
use super::recovery;
use super::text::{Ids, Writer};
use crate::base::time::Timestamp;
use crate::logic::alert::{
    Change, Command, Events, Full, Input, News, Now, Raise, Refused, RuleState, Sample, Settings, goes_on,
};
use crate::logic::notify::{self, Notifier, Occurrence, Policy};
use crate::model::alert::{Alert, AlertState, Happening};
use crate::model::rule::{Rule, RuleOf};
use crate::promql::{Labels, template};

/// Events that may be active at a time.
const MOST_EVENTS: usize = 2000;
/// News that nobody could be told yet, because nothing can be stored.
const MOST_NEWS: usize = 4096;
/// A pending alert is stored with the next commit, and after this at the latest.
const LAZY: Duration = Duration::from_secs(30);

/// How the evaluation of a rule goes.
#[derive(Clone, Debug, Default)]
pub struct RuleHealth {
    pub last_at: Option<Timestamp>,
    pub error: Option<String>,
    /// Label sets that the last answer had.
    pub instances: usize,
    /// How long the last evaluation took.
    pub took: Duration,
}

/// One rule: the state of its instances, and apart from that the state of those that an
/// override is for.
struct Judged {
    of: Arc<RuleOf>,
    base: RuleState,
    /// As many as the rule has variants; `None` where those instances are no alerts.
    variants: Vec<Option<RuleState>>,
    policy: Arc<Policy>,
    health: RuleHealth,
}

/// A row of an alert that the store does not have yet.
enum Unsaved {
    Put(Box<Alert>),
    Delete,
}

/// News to be told once it is stored.
pub struct NewsItem {
    pub what: Happening,
    pub alert: Arc<Alert>,
}

/// What is to be committed.
pub struct Rows {
    pub put: Vec<Alert>,
    pub delete: Vec<String>,
    pub plan: notify::Plan,
}

impl Rows {
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.delete.is_empty() && self.plan.is_empty()
    }
}

/// See the module.
pub struct Core {
    pub ids: Ids,
    rules: HashMap<String, Judged>,
    events: Events,
    pub notifier: Notifier,
    unsaved: BTreeMap<String, Unsaved>,
    /// Pending alerts that may wait, and since when the oldest does.
    lazy: BTreeMap<String, Unsaved>,
    lazy_since: Option<Timestamp>,
    news: Vec<NewsItem>,
    /// Anything that lists show changed since they were made.
    pub changed: bool,
    no_policy: Arc<Policy>,
    /// Object stores whose recovery is no news.
    pub silent: BTreeSet<String>,
}

/// How the life cycle reads a rule's answers.
pub fn settings_of(compiled: &Compiled, start_grace: Duration) -> Settings {
    let (falling, threshold) = compiled.comparison();
    Settings { lookback: start_grace, falling, threshold, ..Settings::default() }
}

fn states(compiled: &Compiled, start_grace: Duration) -> (RuleState, Vec<Option<RuleState>>) {
    let settings = settings_of(compiled, start_grace);
    let state = |rule: &Rule| RuleState::new(Arc::new(rule.clone()), settings);
    let of = &compiled.of;
    let variants = of.variants.iter().map(|variant| variant.rule.as_ref().map(&state)).collect();
    (state(&of.rule), variants)
}

impl Judged {
    fn all(&mut self) -> impl Iterator<Item = &mut RuleState> {
        std::iter::once(&mut self.base).chain(self.variants.iter_mut().flatten())
    }

    /// The state that an alert with these labels belongs to.
    fn place(&mut self, labels: &BTreeMap<String, String>) -> &mut RuleState {
        let value = |name: &str| labels.get(name).map_or("", String::as_str);
        match self.of.variant(value).and_then(|place| self.variants.get_mut(place)) {
            Some(Some(state)) => state,
            _ => &mut self.base,
        }
    }
}

impl Core {
    pub fn new(notifier: Notifier) -> Self {
        Self {
            ids: Ids::new(),
            rules: HashMap::new(),
            events: Events::new(MOST_EVENTS),
            notifier,
            unsaved: BTreeMap::new(),
            lazy: BTreeMap::new(),
            lazy_since: None,
            news: Vec::new(),
            changed: true,
            no_policy: Arc::default(),
            silent: BTreeSet::new(),
        }
    }

    /// Takes other rules. An edit that leaves the expression alone keeps every state; rules
    /// that are gone resolve their alerts.
    pub fn take_rules(&mut self, compiled: &[Compiled], now: Now, start_grace: Duration) {
        let mut before = std::mem::take(&mut self.rules);
        for one in compiled {
            let policy = Arc::new(Policy::of(one.rule(), one.timed.lookback));
            let name = one.rule().name.clone();
            let judged = match before.remove(&name) {
                Some(known) if known.of == one.of => known,
                Some(known) => self.edit(known, one, policy, now, start_grace),
                None => {
                    let (base, variants) = states(one, start_grace);
                    Judged { of: one.of.clone(), base, variants, policy, health: RuleHealth::default() }
                }
            };
            self.rules.insert(name, judged);
        }
        for (_, mut gone) in before {
            let changes: Vec<Change> =
                gone.all().flat_map(|state| state.retire(now, "the rule was removed")).collect();
            let policy = gone.policy.clone();
            self.absorb(changes, &policy, now);
        }
        self.changed = true;
    }

    fn edit(
        &mut self,
        mut known: Judged,
        one: &Compiled,
        policy: Arc<Policy>,
        now: Now,
        start_grace: Duration,
    ) -> Judged {
        let mut changes = Vec::new();
        let same_places = known.of.variants.len() == one.of.variants.len()
            && known
                .of
                .variants
                .iter()
                .zip(&one.of.variants)
                .all(|(old, new)| old.labels == new.labels && old.rule.is_some() == new.rule.is_some());
        let mut judged = if same_places {
            changes.extend(known.base.change_rule(Arc::new(one.of.rule.clone()), now));
            for (state, variant) in known.variants.iter_mut().zip(&one.of.variants) {
                if let Some((state, rule)) = state.as_mut().zip(variant.rule.as_ref()) {
                    changes.extend(state.change_rule(Arc::new(rule.clone()), now));
                }
            }
            Judged { of: one.of.clone(), policy, ..known }
        } else {
            // Instances may belong elsewhere now: they are taken up as after a start.
            let alerts: Vec<Alert> =
                known.all().flat_map(|state| state.alerts().cloned().collect::<Vec<_>>()).collect();
            let (base, variants) = states(one, start_grace);
            let health = known.health.clone();
            let mut judged = Judged { of: one.of.clone(), base, variants, policy, health };
            for alert in alerts {
                let state = judged.place(&alert.labels.clone());
                changes.extend(state.restore(vec![alert], now, Some(now.wall)));
            }
            judged
        };
        let ids: Vec<String> = judged
            .all()
            .flat_map(|state| state.alerts().map(|alert| alert.id.clone()).collect::<Vec<_>>())
            .collect();
        let policy = judged.policy.clone();
        self.absorb(changes, &policy, now);
        ids.iter().for_each(|id| self.notifier.set_policy(id, &policy));
        judged
    }

    /// Takes up what was stored, after [`Core::take_rules`]. `down_since`: when the former
    /// process was last known to live.
    pub fn restore(&mut self, alerts: Vec<Alert>, now: Now, down_since: Option<Timestamp>) {
        let mut events = Vec::new();
        let (mut orphans, mut restored) = (Vec::new(), Vec::new());
        for alert in alerts.into_iter().filter(goes_on) {
            if alert.is_event() {
                events.push(alert);
            } else if let Some(judged) = self.rules.get_mut(&alert.rule) {
                let labels = alert.labels.clone();
                let changes = judged.place(&labels).restore(vec![alert], now, down_since);
                restored.push((changes, judged.policy.clone()));
            } else {
                orphans.push(alert);
            }
        }
        self.events.restore(events, now);
        for (changes, policy) in restored {
            self.absorb(changes, &policy, now);
        }
        for alert in orphans {
            let rule = Rule { name: alert.rule.clone(), ..Rule::default() };
            let mut state = RuleState::new(Arc::new(rule), Settings::default());
            let mut changes = state.restore(vec![alert], now, down_since);
            changes.extend(state.retire(now, "the rule was removed"));
            let policy = self.no_policy.clone();
            self.absorb(changes, &policy, now);
        }
        self.changed = true;
    }

    /// Judges what rules answered. `query` is for texts that ask for more.
    pub fn judge(
        &mut self,
        compiled: &[Compiled],
        evaluated: Vec<Evaluated>,
        now: Now,
        query: template::Query<'_>,
    ) {
        for Evaluated { rule, result, took, enough } in evaluated {
            let Some(name) = compiled.get(rule).map(|one| &one.rule().name) else { continue };
            let Some(judged) = self.rules.get_mut(name) else { continue };
            judged.health = RuleHealth {
                last_at: Some(now.wall),
                error: result.as_ref().err().cloned(),
                instances: result.as_ref().map_or(0, Vec::len),
                took,
            };
            let mut changes = Vec::new();
            match result {
                Err(message) => {
                    let mut writer = Writer { ids: &self.ids, now: now.wall, samples: &[], query };
                    changes = judged.base.step(now, Input::Failed(&message), &mut writer).changes;
                }
                Ok(samples) if judged.of.variants.is_empty() => {
                    step(&mut judged.base, &samples, enough, now, (&self.ids, query), &mut changes);
                }
                Ok(samples) => {
                    let mut parts: Vec<Vec<Answered>> = vec![Vec::new(); judged.of.variants.len() + 1];
                    for sample in samples {
                        let place = judged.of.variant(|name| sample.labels.value(name));
                        parts[place.map_or(0, |place| place + 1)].push(sample);
                    }
                    let mut parts = parts.into_iter();
                    let base = parts.next().unwrap_or_default();
                    step(&mut judged.base, &base, enough, now, (&self.ids, query), &mut changes);
                    for (state, part) in judged.variants.iter_mut().zip(parts) {
                        if let Some(state) = state {
                            step(state, &part, enough, now, (&self.ids, query), &mut changes);
                        }
                    }
                }
            }
            if !changes.is_empty() {
                let policy = judged.policy.clone();
                self.absorb(changes, &policy, now);
            }
        }
        let changes = self.events.step(now);
        let policy = self.no_policy.clone();
        self.absorb(changes, &policy, now);
    }

    /// Takes in changes: rows to store, news to tell.
    fn absorb(&mut self, changes: Vec<Change>, policy: &Arc<Policy>, now: Now) {
        if changes.is_empty() {
            return;
        }
        self.changed = true;
        let mut occurrences = Vec::new();
        for change in &changes {
            let id = change.alert.id.clone();
            let put = || Unsaved::Put(Box::new(change.alert.clone()));
            match change.news {
                News::Dropped => {
                    self.lazy.remove(&id);
                    self.unsaved.insert(id.clone(), Unsaved::Delete);
                    self.notifier.forget(&id);
                }
                // An event that is repeated every minute must not be written every minute.
                News::Step(_) | News::Touched
                    if change.can_wait() || change.news == News::Touched && change.alert.is_event() =>
                {
                    self.lazy.insert(id, put());
                    self.lazy_since.get_or_insert(now.wall);
                }
                News::Step(_) | News::Touched => {
                    self.lazy.remove(&id);
                    self.unsaved.insert(id, put());
                }
            }
            let what = match change.news {
                News::Step(what) => Some(what),
                News::Touched => None,
                News::Dropped => continue,
            };
            occurrences.push(Occurrence { alert: &change.alert, policy, what });
            if let Some(what) = what.filter(|_| self.news.len() < MOST_NEWS) {
                self.news.push(NewsItem { what, alert: Arc::new(change.alert.clone()) });
            }
        }
        self.notifier.apply(&occurrences, now);
        let recovered: Vec<Raise> = occurrences
            .iter()
            .filter_map(|one| recovery::follows(one.what?, one.alert, self.alerts(), &self.silent, now.wall))
            .collect();
        for raise in recovered {
            if let Err(error) = self.raise(raise, now) {
                tracing::warn!(%error, "a recovery is not told");
            }
        }
    }

    /// Does what an operator wants with an alert, and answers it.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn command(&mut self, id: &str, command: Command, now: Now) -> Result<Alert, Refused> {
        if let Some(alert) = self.events.find(id).cloned() {
            let changes = self.events.command(id, command, now)?;
            let alert = changes.last().map_or(alert, |change| change.alert.clone());
            let policy = self.no_policy.clone();
            self.absorb(changes, &policy, now);
            return Ok(alert);
        }
        let found = self.rules.values_mut().find_map(|judged| {
            let policy = judged.policy.clone();
            judged
                .all()
                .find_map(|state| Some((state.find(id).cloned()?, state)))
                .map(|found| (found, policy))
        });
        let ((alert, state), policy) = found.ok_or(Refused::Unknown)?;
        let changes = state.command(id, command, now)?;
        let alert = changes.last().map_or(alert, |change| change.alert.clone());
        self.absorb(changes, &policy, now);
        Ok(alert)
    }

    /// Begins an event or brings it up to date, and answers it.
    ///
    /// # Errors
    /// [`Full`].
    pub fn raise(&mut self, raise: Raise, now: Now) -> Result<Option<Alert>, Full> {
        let key = raise.key.clone();
        let ids = &self.ids;
        let changes = self.events.raise(raise, now, &mut || ids.draw(now.wall))?;
        let last = changes.last().map(|change| change.alert.clone());
        let alert = last.or_else(|| self.events.alerts().find(|alert| alert.key == key).cloned());
        let policy = self.no_policy.clone();
        self.absorb(changes, &policy, now);
        Ok(alert)
    }

    /// The same for many at once; how many found no room.
    pub fn raise_all(&mut self, raises: Vec<Raise>, now: Now) -> usize {
        let (ids, mut changes, mut refused) = (&self.ids, Vec::new(), 0);
        for raise in raises {
            match self.events.raise(raise, now, &mut || ids.draw(now.wall)) {
                Ok(more) => changes.extend(more),
                Err(Full(_)) => refused += 1,
            }
        }
        let policy = self.no_policy.clone();
        self.absorb(changes, &policy, now);
        refused
    }

    /// Everything that is pending or more.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        let judged = self.rules.values();
        let states =
            judged.flat_map(|judged| std::iter::once(&judged.base).chain(judged.variants.iter().flatten()));
        let of_rules = states.flat_map(RuleState::alerts);
        of_rules.chain(self.events.alerts()).filter(|alert| alert.state != AlertState::Inactive)
    }

    /// How the evaluation of a rule goes.
    pub fn health(&self, rule: &str) -> Option<&RuleHealth> {
        self.rules.get(rule).map(|judged| &judged.health)
    }

    /// Policies by alert, to restore the notifier with.
    pub fn policy(&self, alert: &Alert) -> Arc<Policy> {
        self.rules.get(&alert.rule).map_or_else(|| self.no_policy.clone(), |judged| judged.policy.clone())
    }

    /// What is to be committed now.
    pub fn take_rows(&mut self, now: Now) -> Rows {
        self.notifier.tick(now);
        let plan = self.notifier.take();
        let waited = self.lazy_since.is_some_and(|since| now.wall.since(since) >= LAZY || now.wall < since);
        if waited || !self.unsaved.is_empty() || !plan.is_empty() {
            let lazy = std::mem::take(&mut self.lazy);
            for (id, row) in lazy {
                self.unsaved.entry(id).or_insert(row);
            }
            self.lazy_since = None;
        }
        let mut rows = Rows { put: Vec::new(), delete: Vec::new(), plan };
        for (id, row) in std::mem::take(&mut self.unsaved) {
            match row {
                Unsaved::Put(alert) => rows.put.push(*alert),
                Unsaved::Delete => rows.delete.push(id),
            }
        }
        rows
    }

    /// They could not be committed: they go with the next.
    pub fn not_committed(&mut self, rows: Rows) {
        for alert in rows.put {
            self.unsaved.entry(alert.id.clone()).or_insert_with(|| Unsaved::Put(Box::new(alert)));
        }
        for id in rows.delete {
            self.unsaved.entry(id).or_insert(Unsaved::Delete);
        }
        self.notifier.not_committed(rows.plan);
    }

    /// What may be told now that it is stored.
    pub fn take_news(&mut self) -> Vec<NewsItem> {
        std::mem::take(&mut self.news)
    }
}

fn step(
    state: &mut RuleState,
    answered: &[Answered],
    enough: bool,
    now: Now,
    (ids, query): (&Ids, template::Query<'_>),
    changes: &mut Vec<Change>,
) {
    // One allocation a rule and round; the keys are shared.
    let samples: Vec<Sample<'_>> =
        answered.iter().map(|one| Sample { key: &one.key, value: one.value, enough }).collect();
    let mut writer = Writer { ids, now: now.wall, samples: answered, query };
    let outcome = state.step(now, Input::Samples(&samples), &mut writer);
    if outcome.refused > 0 {
        tracing::warn!(rule = state.rule().name, refused = outcome.refused, "a rule has too many label sets");
    }
    changes.extend(outcome.changes);
}

/// Labels of an event from plain pairs.
pub fn event_key(labels: &BTreeMap<String, String>) -> String {
    Labels::new(labels.iter()).to_key()
}
