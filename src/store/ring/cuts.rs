//! The times of a group cut at the steps of a query, once for all its series.
//!
//! The pattern: a division per sample and series was most of what a query of raw
//! samples cost. All series of a stream share their times, so which samples belong
//! to which step is the same for all of them. One would get it wrong by taking
//! positions in the times for places in a column: a column with gaps holds values
//! only where its runs say so ([`Places`]).

use std::ops::Range;

use super::line::Steps;

/// Samples next to each other that the same point is the first to see.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// The point.
    pub index: usize,
    /// Positions in the times of the group.
    pub positions: Range<u32>,
    /// After the point before; only the lookback of the first point reaches further.
    pub in_step: bool,
}

/// Cuts the times in `(window.start, window.end]`; they ascend.
pub(super) fn cut(steps: &Steps, times: &[i64], window: &Range<i64>, pieces: &mut Vec<Piece>) {
    pieces.clear();
    let mut start = times.partition_point(|at| *at <= window.start);
    let end = times.partition_point(|at| *at <= window.end);
    while start < end {
        let Some(index) = steps.index(times[start]) else { return };
        let point = steps.at(index);
        let before = point.saturating_sub(steps.step);
        let in_step = times[start] > before;
        let until = if in_step { point } else { before };
        let more = times[start + 1..end].iter().take_while(|at| **at <= until).count();
        let next = start + 1 + more;
        pieces.push(Piece { index, positions: start as u32..next as u32, in_step });
        start = next;
    }
}

/// Where the values of ascending stretches of positions stand in a column.
#[derive(Debug)]
pub(super) struct Places<'a> {
    /// Empty: a value at every position.
    runs: &'a [Range<u32>],
    everywhere: bool,
    /// Values of the runs that were passed.
    before: u32,
}

impl<'a> Places<'a> {
    pub(super) fn new(runs: &'a [Range<u32>]) -> Self {
        Self { runs, everywhere: runs.is_empty(), before: 0 }
    }

    /// Places of the values at `positions`, and the last position that has one;
    /// `None` when there are none.
    pub(super) fn of(&mut self, positions: &Range<u32>) -> Option<(Range<usize>, usize)> {
        if self.everywhere {
            let last = positions.end.checked_sub(1).filter(|last| *last >= positions.start)?;
            return Some((positions.start as usize..positions.end as usize, last as usize));
        }
        while let Some((run, rest)) = self.runs.split_first().filter(|(run, _)| run.end <= positions.start) {
            self.before += run.end - run.start;
            self.runs = rest;
        }
        let first = self.runs.first().filter(|run| run.start < positions.end)?;
        let start = self.before + positions.start.saturating_sub(first.start);
        let inside = self.runs.iter().take_while(|run| run.start < positions.end);
        let (mut end, mut last) = (start, 0);
        for run in inside {
            let part = run.start.max(positions.start)..run.end.min(positions.end);
            end += part.end.saturating_sub(part.start);
            last = part.end.saturating_sub(1);
        }
        (end > start).then_some((start as usize..end as usize, last as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_the_runs() {
        let mut places = Places::new(&[1..3, 5..9]);
        let of: Vec<_> =
            [0..1, 1..2, 2..6, 6..7, 7..20, 20..30].iter().map(|positions| places.of(positions)).collect();
        let expected = [None, Some((0..1, 1)), Some((1..3, 5)), Some((3..4, 6)), Some((4..6, 8)), None];
        assert_eq!(of, expected);
        assert_eq!(Places::new(&[]).of(&(3..7)), Some((3..7, 6)));
        assert_eq!(Places::new(&[]).of(&(3..3)), None);
    }
}
