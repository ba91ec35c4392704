//! `git parler wait`: until there is something for this seat.

use std::time::{Duration, Instant};

use client::report::Wait as Answer;
use client::{Client, Outage, READER};

use crate::cli::Wait;
use crate::commands::recv::WAIT_AT_ONCE;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::network;

pub(crate) fn run(context: &Context, arguments: &Wait) -> Result<(), Failure> {
    let answer = network::with_client(context, async |client| {
        network::until_interrupted(something(context, client, arguments.time)).await
    })?;
    if context.ui.is_json() {
        context.ui.answer(&answer);
    }
    Ok(())
}

async fn something(
    context: &Context,
    client: &mut Client,
    time: Option<Duration>,
) -> Result<Answer, Failure> {
    let (began, mut outage) = (Instant::now(), Outage::new());
    loop {
        let left = time.map_or(WAIT_AT_ONCE, |time| time.saturating_sub(began.elapsed()));
        let asked = unread(client, left.min(WAIT_AT_ONCE)).await;
        let asked =
            if left.is_zero() { Some(asked?) } else { network::outlast(context, &mut outage, asked).await? };
        match asked {
            Some(answer) if answer.unread > 0 => return Ok(answer),
            Some(_) if left.is_zero() => return Err(Failure::of(Code::NothingNew)),
            Some(_) => network::tend(context, client).await,
            None => {}
        }
    }
}

/// Counts what is there, once something is or `wait` is over.
async fn unread(client: &mut Client, wait: Duration) -> Result<Answer, client::Error> {
    let room = client.room().await?;
    let mut unread = client.unread(room, READER).await?;
    if unread == 0 && !wait.is_zero() {
        client.news(None, wait).await?;
        unread = client.unread(room, READER).await?;
    }
    Ok(Answer { room, unread })
}
