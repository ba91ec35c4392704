//! The pages that explain `git parler` and its commands, as text for `git parler help`.

use crate::cli;

/// Returns the page of `git parler`, or of the command `verb`, as text; `None` where there is no such command.
pub(crate) fn text(verb: Option<&str>) -> Option<String> {
    let mut command = cli::command();
    command.build();
    let Some(verb) = verb else {
        return Some(command.render_long_help().to_string());
    };
    let verb = verb.strip_prefix("git-parler-").unwrap_or(verb);
    let found = command.find_subcommand_mut(verb).filter(|found| !found.is_hide_set())?;
    Some(found.render_long_help().to_string())
}
