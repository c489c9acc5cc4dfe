//! What a target's own section says about its alerts: an object store has a threshold of
//! its own for slowness, and may want no alerts at all.
//!
//! Both become variants of the shipped rules, in front of those that the rule's section
//! has, so nothing else needs to know of these keys.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::config::target::object_store::ObjectStore;
use crate::model::rule::{Clear, Judgement, RuleOf, Variant};
use crate::model::severity::Severity;

/// Rules that tell of an object store's failures.
const OF_STORES: [&str; 7] = [
    "circuit_breaker_open",
    "service_down",
    "error_rate",
    "high_error_rate",
    "slow_response",
    "response_time",
    "service_degraded",
];
const SLOW: &str = "slow_response";

/// Adds the variants that `config`'s object stores ask for.
pub fn apply(config: &Config, rules: &mut [RuleOf]) {
    for store in &config.target.object_store {
        for of in rules.iter_mut().filter(|of| OF_STORES.contains(&of.rule.name.as_str())) {
            if let Some(variant) = variant(store, of) {
                of.variants.insert(0, variant);
            }
        }
    }
}

fn variant(store: &ObjectStore, of: &RuleOf) -> Option<Variant> {
    let labels = BTreeMap::from([(String::from("target"), store.name.to_string())]);
    if !store.alert_on_failure {
        return Some(Variant { labels, rule: None });
    }
    if of.rule.name != SLOW {
        return None;
    }
    let mut rule = of.rule.clone();
    let Judgement::Levels(levels) = &mut rule.judgement else { return None };
    let limit = levels.limits.get_mut(&Severity::Medium)?;
    let wanted = store.slow_response.0.as_secs_f64();
    if *limit == wanted {
        return None;
    }
    *limit = wanted;
    // A value is clear when it is a fifth below, as with the default of 2 s.
    levels.clear = Clear::Margin(wanted / 5.0);
    Some(Variant { labels, rule: Some(rule) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::{Sources, load_text};
    use crate::config::overlay::Overlay;

    #[test]
    fn a_store_has_its_own_threshold_or_none_at_all() {
        let text = |more: &str| {
            format!(
                "[[target.object_store]]\nname = 'a'\nendpoint = 'http://127.0.0.1:1'\nregion = 'r'\nbucket = 'b'\n\
                 access_key_id = 'k'\nsecret_access_key = 's'\n{more}"
            )
        };
        let rules = |more: &str| {
            let loaded = load_text(Sources::default(), "h.toml", &text(more), Overlay::default()).unwrap();
            let (mut rules, _) = super::super::rules(&loaded.config.rule, &mut |_, _, _| {});
            apply(&loaded.config, &mut rules);
            rules.into_iter().filter(|of| !of.variants.is_empty()).collect::<Vec<_>>()
        };
        assert!(rules("").is_empty(), "the default is that of the rule");
        let slow = rules("slow_response = '5s'\n");
        let Judgement::Levels(levels) = &slow[0].variants[0].rule.as_ref().unwrap().judgement else {
            panic!()
        };
        assert_eq!((slow.len(), levels.limits[&Severity::Medium]), (1, 5.0));
        let silent = rules("alert_on_failure = false\n");
        assert_eq!(silent.len(), OF_STORES.len());
        assert!(silent.iter().all(|of| of.variants[0].rule.is_none()));
    }
}
