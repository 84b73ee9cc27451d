//! Histories written as one line.
use super::stay::Moved;
use crate::db::columns::Time;

/// A day of the calendar all these tests share.
pub(super) fn on(day: i64) -> Time {
    Time::parse("2026-01-01T00:00:00Z").unwrap().plus_days(day)
}

/// `0 logged, 3 validated, 4 !logged`: day and state, `!` for a correction.
pub(super) fn moves(text: &str) -> Vec<Moved> {
    let moved = |part: &str| {
        let (day, to) = part.trim().split_once(' ').unwrap();
        let correction = to.starts_with('!');
        Moved { to: to.trim_start_matches('!').into(), at: on(day.parse().unwrap()), correction, seen: true }
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(moved).collect()
}
