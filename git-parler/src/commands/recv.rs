//! `git parler recv` and `log`: what was said in the room, new to this reader or all of it.

use std::time::{Duration, Instant};

use client::report::Received;
use client::{Client, Outage, READER};
use protocol::limits::PULL_WAIT_MILLIS_MAX;

use crate::cli::{Log, Recv};
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::{feed, network};

pub(crate) fn run(context: &Context, arguments: &Recv) -> Result<(), Failure> {
    network::with_client(context, async |client| match (arguments.follow, arguments.wait) {
        (true, _) => network::until_interrupted(follow(context, client)).await,
        (false, Some(wait)) => network::until_interrupted(wait_for(context, client, wait)).await,
        (false, None) => all_new(context, client).await,
    })
}

/// Hands on what is new at once, page by page; with `--json` one page, which says whether there is more.
async fn all_new(context: &Context, client: &mut Client) -> Result<(), Failure> {
    let mut is_empty = true;
    loop {
        let received = client.recv(READER, PAGE, None).await?;
        is_empty &= received.messages.is_empty();
        let goes_on = hand_on(context, client, &received).await? && received.more && !context.ui.is_json();
        feed::check(&received)?;
        if !goes_on {
            break;
        }
    }
    if is_empty && !context.ui.is_json() {
        context.ui.remark("Nothing new.");
    }
    Ok(())
}

/// Hands on what is new, or else what comes within `wait`.
async fn wait_for(context: &Context, client: &mut Client, wait: Duration) -> Result<(), Failure> {
    let (began, mut outage) = (Instant::now(), Outage::new());
    loop {
        let left = wait.saturating_sub(began.elapsed());
        let asked = client.recv(READER, PAGE, Some(left.min(WAIT_AT_ONCE))).await;
        let received =
            if left.is_zero() { Some(asked?) } else { network::outlast(context, &mut outage, asked).await? };
        let Some(received) = received else { continue };
        if !received.messages.is_empty() || !received.flags.is_empty() {
            let goes_on = hand_on(context, client, &received).await?;
            feed::check(&received)?;
            return if goes_on && received.more && !context.ui.is_json() {
                all_new(context, client).await
            } else {
                Ok(())
            };
        }
        if left.is_zero() {
            return Err(Failure::of(Code::NothingNew));
        }
        network::tend(context, client).await;
    }
}

/// Hands on what is new and what comes, until nobody reads any more.
async fn follow(context: &Context, client: &mut Client) -> Result<(), Failure> {
    let mut outage = Outage::new();
    loop {
        let asked = client.recv(READER, PAGE, Some(WAIT_AT_ONCE)).await;
        let Some(received) = network::outlast(context, &mut outage, asked).await? else { continue };
        network::tend(context, client).await;
        if received.messages.is_empty() && received.flags.is_empty() {
            continue;
        }
        if context.ui.is_json() {
            context.ui.answer_more(&received);
        } else {
            print(context, client, &received);
        }
        let goes_on = match acknowledge(context, client, &received).await {
            // What was shown counts as shown here, whether the hub hears of it or not.
            Err(failure) if failure.code == Code::HubUnreachable => true,
            other => other?,
        };
        feed::check(&received)?;
        if !goes_on {
            return Ok(());
        }
    }
}

/// Prints a page and moves the cursor behind it; says whether somebody still reads.
async fn hand_on(context: &Context, client: &mut Client, received: &Received) -> Result<bool, Failure> {
    if context.ui.is_json() {
        context.ui.answer(received);
    } else {
        print(context, client, received);
    }
    acknowledge(context, client, received).await
}

/// Moves the cursor behind what has reached its reader, and not before.
async fn acknowledge(context: &Context, client: &mut Client, received: &Received) -> Result<bool, Failure> {
    if !context.ui.has_delivered() {
        return Ok(false);
    }
    client.ack(received.room, READER, received.cursor).await?;
    Ok(true)
}

fn print(context: &Context, client: &Client, received: &Received) {
    feed::remark(&context.ui, received);
    context.ui.text(&feed::lines(&context.ui, &received.messages, client.me().id));
}

pub(crate) fn log(context: &Context, arguments: &Log) -> Result<(), Failure> {
    let mut text = String::new();
    let last = network::with_client(context, async |client| {
        let mut after = arguments.after;
        loop {
            let page = client.log(Some(after), LOG_PAGE).await?;
            if context.ui.is_json() {
                return Ok(page);
            }
            feed::remark(&context.ui, &page);
            text += &feed::lines(&context.ui, &page.messages, client.me().id);
            if !page.more || page.cursor <= after {
                return Ok(page);
            }
            after = page.cursor;
        }
    })?;
    if context.ui.is_json() {
        context.ui.answer(&last);
    } else {
        context.ui.page(|out| out.write_all(text.as_bytes()));
    }
    feed::check(&last)
}

/// How many entries are taken at once.
const PAGE: u64 = 256;
/// How many entries of the log one answer has at most.
const LOG_PAGE: u64 = 10_000;
/// How long one question to the hub may wait.
pub(crate) const WAIT_AT_ONCE: Duration = Duration::from_millis(PULL_WAIT_MILLIS_MAX);
