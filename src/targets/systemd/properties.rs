//! What `systemctl show` prints: `Name=value`, a line each.

/// The argument that names what is printed.
pub const PROPERTIES: &str =
    "--property=Type,LoadState,ActiveState,SubState,Result,NRestarts,TasksCurrent,MemoryCurrent";

/// A unit as the manager knows it. A property that its kind does not have is empty or
/// `None`.
#[derive(Debug, Default, PartialEq)]
pub struct Properties {
    /// `loaded`, `not-found`, `masked`, ...
    pub load: String,
    /// `active`, `failed`, ...
    pub active: String,
    /// `running`, `dead`, `auto-restart`, ...
    pub sub: String,
    /// `success`, `exit-code`, `oom-kill`, ...
    pub result: String,
    /// `Type` of a service: `simple`, `oneshot`, ...
    pub kind: String,
    pub restarts: Option<f64>,
    pub tasks: Option<f64>,
    /// Bytes.
    pub memory: Option<f64>,
}

impl Properties {
    pub fn read(text: &str) -> Self {
        let of = |name: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once('='));
            pairs.find(|(known, _)| *known == name).map(|(_, value)| value).unwrap_or_default()
        };
        let word = |name: &str| {
            let text = of(name);
            let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if plain && text.len() <= 64 { text.to_owned() } else { String::new() }
        };
        // What is not counted is `[not set]`, or the largest number in older versions.
        let number = |name: &str| {
            of(name).parse::<u64>().ok().filter(|number| *number != u64::MAX).map(|number| number as f64)
        };
        Self {
            load: word("LoadState"),
            active: word("ActiveState"),
            sub: word("SubState"),
            result: word("Result"),
            kind: word("Type"),
            restarts: number("NRestarts"),
            tasks: number("TasksCurrent"),
            memory: number("MemoryCurrent"),
        }
    }

    pub fn is_loaded(&self) -> bool {
        self.load == "loaded"
    }
}
