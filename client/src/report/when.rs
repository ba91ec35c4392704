//! Times as a person reads them: how long ago, and how long still.

use protocol::statement::UnixMillis;

/// Says how long before `now` a time was; the clock that stated it may be ahead of ours.
pub fn ago(then: UnixMillis, now: UnixMillis) -> String {
    let seconds = now.saturating_sub(then) / 1000;
    if seconds < 60 { "just now".to_owned() } else { format!("{} ago", long(seconds)) }
}

/// Says how long after `now` a time is.
pub fn left(then: UnixMillis, now: UnixMillis) -> String {
    let seconds = then.saturating_sub(now).saturating_add(999) / 1000;
    if seconds <= 0 { "over".to_owned() } else { long(seconds) }
}

/// Returns a time in the largest unit of which there is one, to the nearest whole one.
fn long(seconds: i64) -> String {
    let (length, unit) = UNITS.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1, "second"));
    let count = (seconds + length / 2) / length;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

const UNITS: [(i64, &str); 3] = [(24 * 3600, "day"), (3600, "hour"), (60, "minute")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_was_is_told_in_its_largest_unit() {
        let now = 1_700_000_000_000;
        for (seconds, told) in [
            (-3600, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (5400, "2 hours ago"),
            (3 * 24 * 3600, "3 days ago"),
        ] {
            assert_eq!(ago(now - seconds * 1000, now), told);
        }
    }

    #[test]
    fn a_time_that_comes_is_told_as_what_is_left() {
        let now = 1_700_000_000_000;
        for (millis, told) in
            [(-1, "over"), (0, "over"), (1, "1 second"), (7 * 24 * 3_600_000 - 40, "7 days")]
        {
            assert_eq!(left(now + millis, now), told);
        }
    }
}
