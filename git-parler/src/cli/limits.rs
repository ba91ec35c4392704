//! The limits of a hub as options of `git parler hub`, made from the protocol's one table.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use protocol::limits::{Limit, Limits, Unit};

/// What the options of a hub's limits say.
#[derive(Debug, Clone, Default)]
pub(crate) struct LimitOptions(pub(crate) Limits);

impl FromArgMatches for LimitOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = Self::default();
        options.update_from_arg_matches(matches)?;
        Ok(options)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for limit in Limits::TABLE {
            if let Some(value) = matches.get_one::<u64>(limit.name) {
                (limit.set)(&mut self.0, *value);
            }
        }
        Ok(())
    }
}

impl Args for LimitOptions {
    fn augment_args(command: Command) -> Command {
        command.args(Limits::TABLE.iter().map(option))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn option(limit: &'static Limit) -> Arg {
    let (value_name, parser): (_, Parser) = match limit.unit {
        Unit::Count => ("n", |text| number(text, &[])),
        Unit::Bytes => ("size", |text| number(text, BYTES)),
        Unit::Seconds => ("time", |text| number(text, SECONDS)),
    };
    Arg::new(limit.name)
        .long(limit.name.replace('_', "-"))
        .value_name(value_name)
        .value_parser(parser)
        .help(format!("Limit {} [default: {}]", limit.about, shown(limit.default, limit.unit)))
        .help_heading("Limits")
}

type Parser = fn(&str) -> Result<u64, String>;

/// Reads a number with one of the suffixes of `steps`, in either case.
fn number(text: &str, steps: &[(&str, u64)]) -> Result<u64, String> {
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
fn shown(value: u64, unit: Unit) -> String {
    let steps = match unit {
        Unit::Count => &[],
        Unit::Bytes => BYTES,
        Unit::Seconds => SECONDS,
    };
    let step = steps.iter().find(|(_, step)| value > 0 && value.is_multiple_of(*step));
    step.map_or_else(|| value.to_string(), |(suffix, step)| format!("{}{suffix}", value / step))
}

const BYTES: &[(&str, u64)] = &[("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)];
const SECONDS: &[(&str, u64)] = &[("d", 24 * 3600), ("h", 3600), ("m", 60), ("s", 1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_count_as_git_counts_them() {
        for (text, value) in [("25m", 25 << 20), ("1G", 1 << 30), ("7", 7), ("0", 0)] {
            assert_eq!(number(text, BYTES), Ok(value));
        }
        assert_eq!(number("30m", SECONDS), Ok(1800));
        for wrong in ["", "m", "-1", "1.5m", "99999999999g", "5x"] {
            assert!(number(wrong, BYTES).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_limit_is_an_option_that_sets_it() {
        for limit in Limits::TABLE {
            let name = format!("--{}", limit.name.replace('_', "-"));
            let command = LimitOptions::augment_args(Command::new("hub"));
            let matches =
                command.try_get_matches_from(["hub", &name, "7"]).expect("an option for each limit");
            let options = LimitOptions::from_arg_matches(&matches).expect("parsed");
            assert_eq!((limit.value)(&options.0), 7, "{name}");
        }
    }
}
