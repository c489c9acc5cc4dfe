//! Parameters as Prometheus takes them: from the query string and from a form in the body.
//!
//! Of a name that is given twice the one in the body counts, lists have both. What is not
//! known is passed over, and an empty value is none. Errors are worded as Prometheus words
//! them, because people search for those words.

use std::fmt::Display;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{Method, StatusCode};

use crate::base::prometheus_duration;
use crate::base::time::Timestamp;
use crate::http::error::Problem;
use crate::http::extract::{BODY_LIMIT, media_type, read_body};
use crate::model::selector::{MatchOp, Selector};
use crate::promql::parser::LONGEST;
use crate::promql::{self, selector};

const MOST: usize = 1024;
const MOST_SELECTORS: usize = 64;
/// Regular expressions of one request: each is tried on every series.
const MOST_EXPRESSIONS: usize = 64;

/// 400 `bad_data`.
pub fn bad_data(message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_data", message)
}

/// 400 for one parameter.
pub fn bad_parameter(name: &str, message: impl Display) -> Problem {
    bad_data(format!("invalid parameter \"{name}\": {message}"))
}

/// See the module.
#[derive(Debug, Default)]
pub struct Given(Vec<(String, String)>);

impl<S: Sync> FromRequest<S> for Given {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let kind = media_type(&parts.headers);
        let mut pairs = Self::default();
        if parts.method == Method::POST {
            if !matches!(kind.as_str(), "" | "application/x-www-form-urlencoded") {
                let detail = format!("the body is `{kind}`, expected `application/x-www-form-urlencoded`");
                return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_data", detail));
            }
            pairs.add(&read_body(body, BODY_LIMIT).await?)?;
        }
        pairs.add(parts.uri.query().unwrap_or_default().as_bytes())?;
        Ok(pairs)
    }
}

impl Given {
    fn add(&mut self, text: &[u8]) -> Result<(), Problem> {
        for (name, value) in form_urlencoded::parse(text) {
            if self.0.len() >= MOST {
                return Err(bad_data(format!("more than {MOST} parameters")));
            }
            if value.len() > LONGEST {
                return Err(bad_parameter(&name, format!("longer than {LONGEST} bytes")));
            }
            if !value.is_empty() {
                self.0.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok(())
    }

    /// The value of `name`; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    pub fn given(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of `name`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// # Errors
    /// `bad_data` for what is neither seconds since 1970 nor RFC 3339.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.given(name) else { return Ok(None) };
        let bad = || bad_parameter(name, format!("cannot parse \"{text}\" to a valid timestamp"));
        match text.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() && seconds.abs() < 1e13 => {
                Ok(Some(Timestamp((seconds * 1000.0).round() as i64)))
            }
            Ok(_) => Err(bad()),
            Err(_) => Timestamp::parse(text).map(Some).ok_or_else(bad),
        }
    }

    /// # Errors
    /// `bad_data` for what is neither seconds nor a duration of Prometheus.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Problem> {
        self.given(name).map(|text| duration(name, text)).transpose()
    }

    /// How many things to answer; `usize::MAX` where all.
    ///
    /// # Errors
    /// `bad_data` for what is no whole number.
    pub fn limit(&self, name: &str) -> Result<usize, Problem> {
        let Some(text) = self.given(name) else { return Ok(usize::MAX) };
        match text.parse::<usize>() {
            Ok(0) => Ok(usize::MAX),
            Ok(limit) => Ok(limit),
            Err(_) => Err(bad_data(format!("{name} must be a number"))),
        }
    }

    /// The selectors of `match[]`.
    ///
    /// # Errors
    /// `bad_data` with the place of what is wrong.
    pub fn selectors(&self) -> Result<Vec<Selector>, Problem> {
        const NAME: &str = "match[]";
        let selectors = self.all(NAME).map(selector).collect::<Result<Vec<_>, _>>();
        let selectors = selectors.map_err(|message| bad_parameter(NAME, message))?;
        let matchers = selectors.iter().flat_map(|selector| &selector.matchers);
        let regexes = matchers.filter(|one| matches!(one.op, MatchOp::Regex | MatchOp::NotRegex)).count();
        for (what, count, most) in [
            ("selectors", selectors.len(), MOST_SELECTORS),
            ("regular expressions", regexes, MOST_EXPRESSIONS),
        ] {
            if count > most {
                return Err(bad_parameter(NAME, format!("{count} {what}, more than the limit of {most}")));
            }
        }
        Ok(selectors)
    }
}

/// # Errors
/// As [`Given::duration`].
pub fn duration(name: &str, text: &str) -> Result<Duration, Problem> {
    let millis = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds.abs() < 9e9 => Some((seconds * 1000.0).round()),
        Ok(_) => None,
        Err(_) => prometheus_duration::parse(text).ok().map(|span| span.as_millis() as f64),
    };
    let millis =
        millis.ok_or_else(|| bad_parameter(name, format!("cannot parse \"{text}\" to a valid duration")))?;
    if millis < 0.0 {
        return Err(bad_parameter(name, format!("\"{text}\" is negative")));
    }
    Ok(Duration::from_millis(millis as u64))
}

fn selector(text: &str) -> Result<Selector, String> {
    promql::parse(text).map_err(|error| error.to_string())?;
    // Now only what is more than a selector is refused, and tells no line.
    selector::parse(text).map_err(|error| format!("1:{}: parse error: {}", error.column, error.message))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(text: &str) -> Given {
        let mut form = Given::default();
        form.add(text.as_bytes()).unwrap();
        form
    }

    #[test]
    fn reads_times_and_durations_as_prometheus_does() {
        let form = form("a=1795830172.802&b=2026-11-28T01:42:52Z&c=15s&d=0.5&e=now&f=&g=1e300&h=-5");
        assert_eq!(form.time("a").unwrap(), Some(Timestamp(1_795_830_172_802)));
        assert_eq!(form.time("b").unwrap(), Some(Timestamp(1_795_830_172_000)));
        assert_eq!(form.duration("c").unwrap(), Some(Duration::from_secs(15)));
        assert_eq!(form.duration("d").unwrap(), Some(Duration::from_millis(500)));
        assert_eq!(form.time("f").unwrap(), None);
        let detail = |problem: Problem| (problem.code, problem.detail);
        let expected = "invalid parameter \"e\": cannot parse \"now\" to a valid timestamp";
        assert_eq!(detail(form.time("e").unwrap_err()), ("bad_data", expected.to_owned()));
        let expected = "invalid parameter \"e\": cannot parse \"now\" to a valid duration";
        assert_eq!(detail(form.duration("e").unwrap_err()), ("bad_data", expected.to_owned()));
        assert!(form.time("g").is_err() && form.duration("g").is_err() && form.duration("h").is_err());
    }

    #[test]
    fn selectors_are_refused_with_their_place() {
        for (text, message) in [
            ("match[]=up%5B", "1:4: parse error: "),
            ("match[]=rate(up%5B5m%5D)", "1:1: parse error: expected a series selector"),
            ("match[]=%7B%7D", "not empty"),
        ] {
            let problem = form(text).selectors().unwrap_err();
            let start = "invalid parameter \"match[]\": ";
            assert!(problem.detail.starts_with(start) && problem.detail.contains(message), "{problem:?}");
        }
        let many = "match[]=up&".repeat(MOST_SELECTORS + 1);
        assert!(form(&many).selectors().unwrap_err().detail.contains("limit of 64"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-h%=&+.0-9eE:TZ\\-]{0,60}") {
            let form = form(&text);
            for name in ["a", "b", "c"] {
                let _ = (form.time(name), form.duration(name), form.limit(name));
            }
        }
    }
}
