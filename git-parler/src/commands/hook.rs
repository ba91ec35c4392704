//! `git parler hook`: what git and agent hosts start. It never fails, and says nothing.

use hooks::{Event, Host};

use crate::cli::{Global, Hook};
use crate::config::Environment;
use crate::context::Context;
use crate::error::Failure;
use crate::ui::Ui;
use crate::{agent_hook, announce};

/// Where a probe says what it looks for.
pub(crate) const PROBE: &str = "PARLER_HOOKS_PROBE";

pub(crate) fn run(global: &Global, arguments: &Hook) {
    let environment = Environment::of_process();
    if let Some(probe) = environment.text(PROBE) {
        say(&probe);
        return;
    }
    // Whoever has started this goes on, whatever is wrong here: `git parler hooks status` says it.
    drop(act(global, arguments));
}

fn act(global: &Global, arguments: &Hook) -> Result<(), Failure> {
    let argument = arguments.arguments.first().map(String::as_str);
    match (arguments.host.as_str(), arguments.event.as_str()) {
        words if words == announce::DELIVER.into() => announce::deliver(global),
        words if words == agent_hook::LISTEN.into() => agent_hook::listen(global),
        // Another version may have written the script.
        ("git", event) => match named(event, argument) {
            Some(event) => announce::note(&Context::look_around(global)?, event, argument),
            None => Ok(()),
        },
        (host, event) => {
            let Some(host) = Host::named(host) else { return Ok(()) };
            let Some(moment) = host.moment(event) else { return Ok(()) };
            if let Some(answer) = agent_hook::answer(global, host, moment)? {
                say(&answer);
            }
            Ok(())
        }
    }
}

/// Whether whoever has started this still listens is theirs to know.
fn say(line: &str) {
    let ui = Ui::plain(false);
    ui.line(line);
    drop(ui.finish());
}

fn named(event: &str, argument: Option<&str>) -> Option<Event> {
    if event == hooks::BY_ARGUMENT { Event::of_argument(argument) } else { Event::named(event) }
}
