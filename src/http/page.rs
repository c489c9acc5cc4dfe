//! Lists: `{"items":[...],"total":n,"next":...}` with `limit`, `offset`, `cursor`.
//!
//! The cursor is opaque to callers; here it is the offset in letters, so that a
//! list may later resume by key without breaking anyone.

use serde::{Deserialize, Serialize};

use super::error::Problem;

const DEFAULT: usize = 100;
const MOST: usize = 1000;

/// Parameters of a list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Items to answer, 100 by default, 1000 at most.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
    /// Items to leave out at the start.
    pub offset: Option<usize>,
    /// `next` of an earlier answer; in place of `offset`.
    #[param(min_length = 1)]
    pub cursor: Option<String>,
}

/// Where a page starts and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub offset: usize,
    pub limit: usize,
}

impl Paging {
    /// # Errors
    /// 400 for a limit out of range or a cursor that is none.
    pub fn window(&self) -> Result<Window, Problem> {
        let limit = self.limit.unwrap_or(DEFAULT);
        if limit == 0 || limit > MOST {
            return Err(Problem::bad_parameter("limit", format!("expected 1 to {MOST}")));
        }
        let offset = match (&self.cursor, self.offset) {
            (Some(_), Some(_)) => {
                return Err(Problem::bad_parameter("cursor", "give either `cursor` or `offset`"));
            }
            (Some(cursor), None) => cursor
                .strip_prefix('o')
                .and_then(|digits| usize::from_str_radix(digits, 36).ok())
                .ok_or_else(|| Problem::bad_parameter("cursor", "this is not a cursor of an answer"))?,
            (None, offset) => offset.unwrap_or(0),
        };
        Ok(Window { offset, limit })
    }
}

/// One page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Items of the whole list.
    pub total: u64,
    /// Cursor of the next page; null on the last.
    pub next: Option<String>,
}

impl<T> List<T> {
    /// A page that something else cut out of a list of `total` items.
    pub fn cut(items: Vec<T>, total: u64, window: Window) -> Self {
        let end = window.offset.saturating_add(items.len());
        let more = !items.is_empty() && (end as u64) < total;
        Self { items, total, next: more.then(|| cursor(end)) }
    }

    /// Cuts the page out of the whole list.
    pub fn of(all: Vec<T>, window: Window) -> Self {
        let total = all.len() as u64;
        let items = all.into_iter().skip(window.offset).take(window.limit).collect();
        Self::cut(items, total, window)
    }
}

fn cursor(offset: usize) -> String {
    let mut digits = Vec::new();
    let mut rest = offset;
    loop {
        digits.push(char::from_digit((rest % 36) as u32, 36).unwrap_or('0'));
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    std::iter::once('o').chain(digits.into_iter().rev()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_walk_the_whole_list() {
        let mut paging = Paging { limit: Some(40), ..Paging::default() };
        let mut seen = Vec::new();
        loop {
            let list = List::of((0..100).collect::<Vec<_>>(), paging.window().unwrap());
            assert_eq!(list.total, 100);
            seen.extend(list.items);
            let Some(next) = list.next else { break };
            paging.cursor = Some(next);
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn limits_and_cursors_are_checked() {
        for bad in [
            Paging { limit: Some(0), ..Paging::default() },
            Paging { limit: Some(1001), ..Paging::default() },
            Paging { cursor: Some("?".into()), ..Paging::default() },
            Paging { cursor: Some("o1".into()), offset: Some(1), ..Paging::default() },
        ] {
            assert_eq!(bad.window().unwrap_err().status.as_u16(), 400);
        }
        let past = List::<u8>::of(vec![1], Window { offset: 9, limit: 1 });
        assert_eq!(past.next, None);
    }
}
