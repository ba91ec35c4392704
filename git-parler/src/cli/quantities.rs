//! Numbers with a suffix, as options take them and texts show them: sizes and times.

use std::time::Duration;

use protocol::limits::{KEY_MILLIS_MAX, Unit};

/// Reads a time such as `30s`, `10m`, `12h` or `7d`; a number alone counts seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    number(text, SECONDS).map(Duration::from_secs)
}

/// Reads the time for which a session key is to live.
pub(crate) fn life(text: &str) -> Result<Duration, String> {
    let life = duration(text)?;
    let longest = u64::try_from(KEY_MILLIS_MAX).map_or(u64::MAX, |millis| millis / 1000);
    if (1..=longest).contains(&life.as_secs()) {
        Ok(life)
    } else {
        Err(format!("a key lives between 1s and {}", shown(longest, Unit::Seconds)))
    }
}

/// Reads a number with one of the suffixes of `steps`, in either case.
pub(crate) fn number(text: &str, steps: &[(&str, u64)]) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let step =
        steps.iter().find_map(|(suffix, step)| lower.strip_suffix(suffix).map(|digits| (digits, *step)));
    let (digits, step) = step.unwrap_or((&lower, 1));
    let value = digits.parse::<u64>().ok().and_then(|value| value.checked_mul(step));
    value.filter(|value| *value <= protocol::limits::JSON_INTEGER_MAX).ok_or_else(|| match steps {
        [] => "a whole number is expected".to_owned(),
        _ => {
            let suffixes: Vec<_> = steps.iter().rev().map(|(suffix, _)| *suffix).collect();
            format!("a whole number is expected, which may end in {}", suffixes.join(", "))
        }
    })
}

/// Writes a number with the largest suffix that divides it.
pub(crate) fn shown(value: u64, unit: Unit) -> String {
    let steps = match unit {
        Unit::Count => &[],
        Unit::Bytes => BYTES,
        Unit::Seconds => SECONDS,
    };
    let step = steps.iter().find(|(_, step)| value > 0 && value.is_multiple_of(*step));
    step.map_or_else(|| value.to_string(), |(suffix, step)| format!("{}{suffix}", value / step))
}

/// The suffixes of sizes, as git has them.
pub(crate) const BYTES: &[(&str, u64)] = &[("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)];
/// The suffixes of times.
pub(crate) const SECONDS: &[(&str, u64)] = &[("d", 24 * 3600), ("h", 3600), ("m", 60), ("s", 1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_count_as_git_counts_them() {
        for (text, value) in [("25m", 25 << 20), ("1G", 1 << 30), ("7", 7), ("0", 0)] {
            assert_eq!(number(text, BYTES), Ok(value));
        }
        assert_eq!(duration("30m"), Ok(Duration::from_secs(1800)));
        for wrong in ["", "m", "-1", "1.5m", "99999999999g", "5x"] {
            assert!(number(wrong, BYTES).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_lives_at_least_a_second_and_at_most_a_year() {
        assert_eq!(life("7d"), Ok(Duration::from_secs(7 * 24 * 3600)));
        assert_eq!(life("367d"), Err("a key lives between 1s and 366d".to_owned()));
        assert!(life("0").is_err() && life("soon").is_err());
    }
}
