//! Reading an answer: is it taken, is it to be tried again and when, and how it is shown.
//!
//! | status | verdict |
//! |---|---|
//! | 2xx | delivered |
//! | 408, 425, 429, 5xx | again, not before `Retry-After` |
//! | 3xx | again: redirects are not followed, but a portal in between may go away |
//! | other 4xx | refused |

use std::time::Duration;

use http::HeaderMap;
use http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};
use jiff::fmt::rfc2822;

use crate::base::secret::MASK;
use crate::base::time::Timestamp;
use crate::base::words::{clip, lasting, one_line};
use crate::channels::outcome::Verdict;
use crate::runtime::http_client::Answer;

/// Nobody waits longer than this because the other side said so.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// Characters of a body that stand in the one line about a delivery.
const QUOTED: usize = 200;

/// See the module.
pub fn verdict(answer: &Answer, now: Timestamp) -> Verdict {
    match answer.status.as_u16() {
        200..=299 => Verdict::Delivered,
        408 | 425 | 429 | 100..=199 | 300..=399 | 500.. => {
            Verdict::Retry { after: retry_after(&answer.headers, now) }
        }
        _ => Verdict::Refused,
    }
}

/// `Retry-After`: seconds (some servers send fractions), or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok().map(bounded);
    }
    let at = rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    Some(bounded(Timestamp::from_millis(at).since(now)))
}

/// A wait that somebody else asked for.
pub fn bounded(wait: Duration) -> Duration {
    wait.min(LONGEST_WAIT)
}

/// One line about it.
pub fn describe(answer: &Answer, verdict: Verdict) -> String {
    let reason = answer.status.canonical_reason().unwrap_or_default();
    let mut text = format!("HTTP {} {reason}", answer.status.as_u16()).trim_end().to_owned();
    if let Some(to) = answer.headers.get(LOCATION).filter(|_| answer.status.is_redirection()) {
        text.push_str(&format!(", which leads to {}", String::from_utf8_lossy(to.as_bytes())));
    }
    if let Verdict::Retry { after: Some(wait) } = verdict {
        text.push_str(&format!(", try again in {}", lasting(wait)));
    }
    let body = one_line(&String::from_utf8_lossy(&answer.body));
    if verdict != Verdict::Delivered && !body.is_empty() {
        text.push_str(&format!(": {}", clip(&body, QUOTED)));
    }
    text
}

/// Status, headers and the beginning of the body.
pub fn shown(answer: &Answer) -> String {
    let reason = answer.status.canonical_reason().unwrap_or_default();
    let mut text = format!("HTTP {} {reason}\n", answer.status.as_u16());
    for (name, value) in &answer.headers {
        let value = if name == SET_COOKIE { MASK.into() } else { String::from_utf8_lossy(value.as_bytes()) };
        text.push_str(&format!("{name}: {value}\n"));
    }
    if !answer.body.is_empty() {
        let plain = |c: char| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c };
        text.push('\n');
        text.extend(String::from_utf8_lossy(&answer.body).chars().map(plain));
    }
    text
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::*;

    fn answer(status: u16, header: Option<&str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::from_static(b"busy\nnow"),
        }
    }

    /// 2026-11-20T09:22:45.250Z.
    const NOW: Timestamp = Timestamp(1_795_166_565_250);

    #[test]
    fn the_status_decides() {
        for (status, expected) in [
            (200, Verdict::Delivered),
            (204, Verdict::Delivered),
            (302, Verdict::Retry { after: None }),
            (400, Verdict::Refused),
            (401, Verdict::Refused),
            (404, Verdict::Refused),
            (410, Verdict::Refused),
            (408, Verdict::Retry { after: None }),
            (425, Verdict::Retry { after: None }),
            (429, Verdict::Retry { after: None }),
            (500, Verdict::Retry { after: None }),
            (503, Verdict::Retry { after: None }),
        ] {
            assert_eq!(verdict(&answer(status, None), NOW), expected, "{status}");
        }
    }

    #[test]
    fn when_to_come_again_is_seconds_or_a_date_with_a_bound() {
        for (text, millis) in [
            ("120", Some(120_000)),
            ("1.5", Some(1500)),
            ("Fri, 20 Nov 2026 09:23:45 GMT", Some(59_750)),
            ("Fri, 20 Nov 2026 09:00:00 GMT", Some(0)),
            ("999999999", Some(86_400_000)),
            ("-5", None),
            ("NaN", None),
            ("soon", None),
        ] {
            let after = millis.map(Duration::from_millis);
            assert_eq!(verdict(&answer(429, Some(text)), NOW), Verdict::Retry { after }, "{text}");
        }
    }

    #[test]
    fn a_line_quotes_why_it_was_not_taken() {
        let busy = answer(429, Some("90"));
        let said = describe(&busy, verdict(&busy, NOW));
        assert_eq!(said, "HTTP 429 Too Many Requests, try again in 1 min 30 s: busy now");
        let fine = answer(200, None);
        assert_eq!(describe(&fine, verdict(&fine, NOW)), "HTTP 200 OK");
        assert_eq!(shown(&busy), "HTTP 429 Too Many Requests\nretry-after: 90\n\nbusy\nnow");
    }
}
