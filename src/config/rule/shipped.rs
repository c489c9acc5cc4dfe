//! The rules that come with the program: `shipped.toml` beside this file, in the words
//! of a configuration. Each is changed by a `[[rule]]` of its name.

use std::sync::OnceLock;

use serde::Deserialize;

use super::RuleSection;

const TEXT: &str = include_str!("shipped.toml");

#[derive(Deserialize)]
struct Shipped {
    rule: Vec<RuleSection>,
}

/// All of them, in the order of the file. A test reads the file, so it is one.
pub fn shipped() -> &'static [RuleSection] {
    static RULES: OnceLock<Vec<RuleSection>> = OnceLock::new();
    RULES.get_or_init(|| toml::from_str::<Shipped>(TEXT).map(|shipped| shipped.rule).unwrap_or_default())
}
