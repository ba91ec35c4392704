//! `git parler whoami`: user, seat, hub; and the way of the user's key to another machine.

use std::path::Path;

use protocol::clean;

use crate::cli::Whoami;
use crate::context::Context;
use crate::error::Failure;
use crate::network;

pub(crate) fn run(context: &Context, arguments: &Whoami) -> Result<(), Failure> {
    let settings = network::settings(context)?;
    let answer = match (&arguments.export_user, &arguments.import_user) {
        (Some(file), _) => client::export_user(&settings, file)?,
        (None, Some(file)) => client::import_user(&settings, file)?,
        (None, None) => client::whoami(&settings)?,
    };
    if context.ui.is_json() {
        context.ui.answer(&answer);
        return Ok(());
    }
    context.ui.line(format_args!("name  {}", clean::line(&answer.me.name)));
    context.ui.line(format_args!("seat  {} ({})", answer.me.id, clean::line(&answer.seat)));
    context.ui.line(format_args!("user  {}", answer.user));
    context.ui.line(format_args!("hub   {}", answer.hub));
    if let Some(file) = &arguments.export_user {
        tell_exported(context, file);
    }
    Ok(())
}

fn tell_exported(context: &Context, file: &Path) {
    context.ui.line(format_args!("The user's key stands in {} now", file.display()));
    context.ui.hint(
        "on the other machine: git parler whoami --import-user <file>\nthen remove it: whoever has the file is this user",
    );
}
