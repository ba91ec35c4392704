//! `git parler whoami`: user, seat, hub.

use protocol::clean;

use crate::context::Context;
use crate::error::Failure;
use crate::network;

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let answer = client::whoami(&network::settings(context)?)?;
    if context.ui.is_json() {
        context.ui.answer(&answer);
        return Ok(());
    }
    context.ui.line(format_args!("name  {}", clean::line(&answer.me.name)));
    context.ui.line(format_args!("seat  {} ({})", answer.me.id, clean::line(&answer.seat)));
    context.ui.line(format_args!("user  {}", answer.user));
    context.ui.line(format_args!("hub   {}", answer.hub));
    Ok(())
}
