//! The limits of a hub as options of `git parler hub`, made from the protocol's one table.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use protocol::limits::{Limit, Limits, Unit};

use super::quantities::{BYTES, SECONDS, number, shown};

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

#[cfg(test)]
mod tests {
    use super::*;

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
