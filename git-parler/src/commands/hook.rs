//! `git parler hook`: what git and agent hosts start. It never fails, and says nothing.

use hooks::Event;

use crate::announce;
use crate::cli::{Global, Hook};
use crate::config::Environment;
use crate::context::Context;
use crate::error::Failure;
use crate::ui::Ui;

/// Where a probe says what it looks for.
pub(crate) const PROBE: &str = "PARLER_HOOKS_PROBE";

pub(crate) fn run(global: &Global, arguments: &Hook) {
    let environment = Environment::of_process();
    if let Some(probe) = environment.text(PROBE) {
        let ui = Ui::plain(false);
        ui.line(probe);
        // Who probes sees that nothing came.
        drop(ui.finish());
        return;
    }
    // Whoever has started this goes on, whatever is wrong here: `git parler hooks status` says it.
    drop(act(global, arguments));
}

fn act(global: &Global, arguments: &Hook) -> Result<(), Failure> {
    let argument = arguments.arguments.first().map(String::as_str);
    match (arguments.host.as_str(), arguments.event.as_str()) {
        ("git", announce::DELIVER) => announce::deliver(global),
        // Another version may have written the script.
        ("git", event) => match named(event, argument) {
            Some(event) => announce::note(&Context::look_around(global)?, event, argument),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn named(event: &str, argument: Option<&str>) -> Option<Event> {
    if event == hooks::BY_ARGUMENT { Event::of_argument(argument) } else { Event::named(event) }
}
