//! `git parler list`: the handoffs of the room, newest last.

use client::report::{HandoffState, List as Answer, ListedHandoff};
use protocol::clean;

use crate::cli::List;
use crate::commands::push::{commits, short};
use crate::context::Context;
use crate::error::Failure;
use crate::incoming::Here;
use crate::ui::{Paint, Ui, Unit};
use crate::{feed, network};

pub(crate) fn run(context: &Context, arguments: &List) -> Result<(), Failure> {
    let here = Here::look(context)?;
    let (shown, hidden): (Vec<_>, Vec<_>) = network::with_client(context, async |client| {
        let room = client.room().await?;
        Ok(client.handoffs(room).await?)
    })?
    .into_iter()
    .partition(|handoff| arguments.all || here.fits(handoff));
    let report = |handoff: &client::VerifiedHandoff| {
        let report = handoff.report();
        let state = if here.has_applied(handoff) { HandoffState::Applied } else { report.state };
        ListedHandoff { state, ..report }
    };
    let answer = Answer { handoffs: shown.iter().map(report).collect() };
    if context.ui.is_json() {
        context.ui.answer(&answer);
        return Ok(());
    }
    print(&context.ui, &answer.handoffs);
    match (answer.handoffs.len(), hidden.len()) {
        (0, 0) => context.ui.remark("No handoffs yet."),
        (_, 0) => {}
        (0, _) => context.ui.hint("nothing fits this repository; `git parler list --all` shows the others"),
        (_, hidden) => {
            context.ui.hint(format_args!("{hidden} more do not fit this repository: git parler list --all"));
        }
    }
    Ok(())
}

fn print(ui: &Ui, handoffs: &[ListedHandoff]) {
    let width = |text: fn(&ListedHandoff) -> String| {
        handoffs.iter().map(|handoff| text(handoff).chars().count()).max().unwrap_or(0)
    };
    let (author_width, commits_width, size_width) = (width(author), width(count), width(size));
    for handoff in handoffs {
        let id = handoff.id.to_string();
        ui.line(format_args!(
            "{} {:7} {:author_width$} {:>commits_width$} {:>size_width$}  {}",
            ui.paint(Paint::Commit, short(&id)),
            state(handoff.state),
            author(handoff),
            count(handoff),
            size(handoff),
            clean::line(&handoff.summary)
        ));
    }
}

fn author(handoff: &ListedHandoff) -> String {
    feed::plain_or_quoted(&handoff.author.name)
}

fn count(handoff: &ListedHandoff) -> String {
    commits(handoff.commits)
}

fn size(handoff: &ListedHandoff) -> String {
    Unit::Bytes.show(handoff.size)
}

const fn state(state: HandoffState) -> &'static str {
    match state {
        HandoffState::New => "new",
        HandoffState::Fetched => "fetched",
        HandoffState::Applied => "applied",
        HandoffState::Expired => "expired",
    }
}
