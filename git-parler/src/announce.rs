//! Commits that announce themselves. In git's time a hook only writes down which tip is to be announced; a process of its own makes
//! the announcements afterwards, in order, each as a handoff like any other.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use client::Client;
use client::seat::{Announced, Announcement, Outbox, OutboxEntry, Trouble};
use gix::ObjectId;
use gix::bstr::{BStr, ByteSlice};
use gix::glob::wildmatch::Mode;
use gix::state::InProgress;
use hooks::{Action, Event, Facts, Operation};

use crate::cli::Global;
use crate::commands::push::short;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::limits::OPERATION_TIME_MAX;
use crate::{beside, handoff, network, repo};

/// What is given as host and event to the process that makes announcements. One that finds another at work leaves.
pub(crate) const DELIVER: [&str; 2] = ["git", "deliver"];

/// Writes down what `event` comes to, and has it announced by another process.
pub(crate) fn note(context: &Context, event: Event, argument: Option<&str>) -> Result<(), Failure> {
    let repo = context.repository()?;
    let branch = repo.head_name().map_err(|error| Failure::new(Code::Io, error))?;
    let short = branch.as_ref().map(|name| name.shorten().to_owned());
    let facts = Facts {
        event,
        argument,
        is_enabled: context.settings.are_hooks_enabled,
        is_excluded: short.is_some_and(|short| is_excluded(context, short.as_bstr())),
        is_in_quarantine: context.environment.is_set("GIT_QUARANTINE_PATH"),
        operation: operation(repo),
    };
    if hooks::decide(&facts) == Action::Ignore {
        return Ok(());
    }
    let tip = repo.head_id().map_err(|_unborn| Failure::of(Code::UnbornHead))?;
    let is_within = facts.operation == Some(Operation::Sequence);
    let announcement = Announcement {
        is_within,
        branch: branch.map_or_else(|| "HEAD".to_owned(), |name| name.as_bstr().to_string()),
        tip: tip.to_string(),
        base: base(repo, event, argument).map(|id| id.to_string()),
    };
    let outbox = outbox(context)?;
    outbox.add(&announcement)?;
    // Who is at work looks again before it leaves.
    if outbox.turn()?.is_some() { beside::start(context, DELIVER) } else { Ok(()) }
}

/// Has another process make the announcements that wait here, if there are any and none does.
pub(crate) fn wake(context: &Context) {
    let waits = || {
        let outbox = outbox(context).ok()?;
        (outbox.count().ok()? > 0 && outbox.turn().ok()?.is_some()).then_some(())
    };
    if context.repository_if_any().is_some() && context.settings.are_hooks_enabled && waits().is_some() {
        // What was asked for is done; a later command tries again.
        beside::start(context, DELIVER).ok();
    }
}

/// Returns the outbox of this seat.
pub(crate) fn outbox(context: &Context) -> Result<Outbox, Failure> {
    Ok(Outbox::of(&context.settings.data_folder, context.seat_dir().as_deref())?)
}

fn is_excluded(context: &Context, branch: &BStr) -> bool {
    let patterns = &context.settings.hooks_exclude;
    patterns
        .iter()
        .any(|pattern| gix::glob::wildmatch(pattern.as_bstr(), branch, Mode::NO_MATCH_SLASH_LITERAL))
}

fn operation(repo: &gix::Repository) -> Option<Operation> {
    // Between two commits of a sequence nothing else tells of it.
    let is_sequence = || repo.git_dir().join("sequencer").is_dir();
    let Some(state) = repo.state() else { return is_sequence().then_some(Operation::Sequence) };
    Some(match state {
        InProgress::Rebase | InProgress::RebaseInteractive => Operation::Rebase,
        InProgress::ApplyMailbox
        | InProgress::ApplyMailboxRebase
        | InProgress::CherryPick
        | InProgress::CherryPickSequence
        | InProgress::Revert
        | InProgress::RevertSequence => Operation::Sequence,
        InProgress::Bisect => Operation::Bisect,
        InProgress::Merge => Operation::Merge,
    })
}

/// Returns the commit that was there before what the event tells of, where that is not the first parent.
fn base(repo: &gix::Repository, event: Event, argument: Option<&str>) -> Option<ObjectId> {
    let file = |name: &str| std::fs::read_to_string(repo.git_dir().join(name)).ok();
    let stated = match (event, argument) {
        (Event::PostRewrite, Some("rebase")) => {
            file("rebase-merge/onto").or_else(|| file("rebase-apply/onto"))
        }
        (Event::PostMerge, _) => file("ORIG_HEAD"),
        (Event::PostCommit | Event::PostRewrite, _) => None,
    };
    repo::present(repo, stated?.trim())
}

/// Makes the announcements that wait in this seat, in order, until there is none; leaves them where the hub is away, and where git
/// does not end what it is in the middle of.
pub(crate) fn deliver(global: &Global) -> Result<(), Failure> {
    let context = beside::look_around(global)?;
    let outbox = outbox(&context)?;
    while outbox.count()? > 0 {
        let Some(turn) = outbox.turn()? else { return Ok(()) };
        if !is_git_done(context.repository()?) {
            return Ok(());
        }
        let done =
            network::with_client(&context, async |client| deliver_all(&context, client, &outbox).await);
        outbox.note_troubles(|troubles| troubles.held_up = done.as_ref().err().map(trouble))?;
        // Who has come since has seen that somebody is at work, and left.
        drop(turn);
        done?;
    }
    Ok(())
}

fn trouble(failure: &Failure) -> Trouble {
    Trouble { code: failure.code.row().name.to_owned(), message: failure.message.clone() }
}

fn is_git_done(repo: &gix::Repository) -> bool {
    let began = Instant::now();
    loop {
        match operation(repo) {
            None | Some(Operation::Merge) => return true,
            Some(_) if began.elapsed() >= OPERATION_TIME_MAX => return false,
            Some(_) => sleep(LOOK_AGAIN_AFTER),
        }
    }
}

async fn deliver_all(context: &Context, client: &mut Client, outbox: &Outbox) -> Result<(), Failure> {
    let repo = context.repository()?;
    for Due { announcement, entries } in due(repo, outbox.entries()?)? {
        match announce(context, client, outbox, &announcement).await {
            Ok(()) => outbox.note_troubles(|troubles| troubles.given_up = None)?,
            Err(failure) if may_pass(failure.code) => return Err(failure),
            Err(failure) => {
                let tip = announcement.tip.clone();
                outbox.note_troubles(|troubles| troubles.given_up = Some((tip, trouble(&failure))))?;
            }
        }
        entries.into_iter().try_for_each(OutboxEntry::remove)?;
    }
    Ok(())
}

/// What is to be announced, and the entries that have come to their end then.
struct Due {
    announcement: Announcement,
    entries: Vec<OutboxEntry>,
}

/// Returns what is to be announced, in order. That is not a tip whose branch began anew before that, or that is gone; and of what
/// git made in one go only the last one, on top of what was there before.
fn due(repo: &gix::Repository, entries: Vec<OutboxEntry>) -> Result<Vec<Due>, Failure> {
    let mut newest: BTreeMap<String, usize> = BTreeMap::new();
    let mut due: Vec<Due> = Vec::new();
    for entry in entries.into_iter().rev() {
        let announcement = entry.announcement().clone();
        let Some(tip) = repo::present(repo, &announcement.tip) else {
            entry.remove()?;
            continue;
        };
        // What is on no branch stands by itself.
        let later = newest.get(&announcement.branch).filter(|_| announcement.branch != "HEAD");
        if let Some(later) = later.map(|at| &mut due[*at]) {
            let reached = repo::present(repo, &later.announcement.tip);
            if reached.is_none_or(|later| !repo::reaches(repo, later, tip)) {
                entry.remove()?;
                continue;
            }
            if announcement.is_within {
                later.announcement.base =
                    announcement.base.or_else(|| Some(repo::first_parent(repo, tip)?.to_string()));
                later.entries.push(entry);
                continue;
            }
        }
        newest.insert(announcement.branch.clone(), due.len());
        due.push(Due { announcement, entries: vec![entry] });
    }
    due.reverse();
    Ok(due)
}

/// Says what waits to be announced, what holds that up, and what was given up last, in lines for people.
pub(crate) fn troubles(context: &Context) -> Result<Vec<String>, Failure> {
    let outbox = outbox(context)?;
    let troubles = outbox.troubles()?;
    let why = |trouble: &Trouble| format!("{} ({})", trouble.message, trouble.code);
    let mut lines = Vec::new();
    match outbox.count()? {
        0 => {}
        1 => lines.push("1 commit waits to be announced".to_owned()),
        waiting => lines.push(format!("{waiting} commits wait to be announced")),
    }
    if let (Some(held_up), false) = (&troubles.held_up, lines.is_empty()) {
        lines.push(format!("  {}", why(held_up)));
    }
    if let Some((tip, given_up)) = &troubles.given_up {
        lines.push(format!("{} was not announced: {}", short(tip), why(given_up)));
    }
    Ok(lines)
}

async fn announce(
    context: &Context,
    client: &mut Client,
    outbox: &Outbox,
    announcement: &Announcement,
) -> Result<(), Failure> {
    let repo = context.repository()?;
    let room = client.room().await?;
    let announced = outbox.announced(room)?;
    let Some(tip) = repo::present(repo, &announcement.tip) else { return Ok(()) };
    let range = repo::Range {
        tips: vec![bundle::Tip { name: announcement.branch.as_str().into(), id: tip }],
        bases: bases(context, &announced, announcement, tip)?,
    };
    let outgoing = match handoff::planned(context, &range, None) {
        Err(failure) if failure.code == Code::EmptyRange => return Ok(()),
        planned => planned?,
    };
    let before = announced.get(&announcement.branch).filter(|_| announcement.branch != "HEAD");
    let is_anew = |before: &&Announced| {
        repo::present(repo, &before.tip).is_none_or(|older| !repo::reaches(repo, tip, older))
    };
    let supersedes = before.filter(is_anew).map(|before| before.id);
    let answer = handoff::hand_over(context, client, &outgoing, supersedes).await?;
    let announced = Announced { tip: announcement.tip.clone(), id: answer.id };
    outbox.note_announced(room, &announcement.branch, announced)?;
    Ok(())
}

/// Returns what the other side has: what was announced in this room, and what is set, else the upstream branch. Where there is
/// nothing of it, the commit that was there before.
fn bases(
    context: &Context,
    announced: &BTreeMap<String, Announced>,
    announcement: &Announcement,
    tip: ObjectId,
) -> Result<Vec<ObjectId>, Failure> {
    let repo = context.repository()?;
    let mut bases: Vec<_> = announced.values().filter_map(|last| repo::present(repo, &last.tip)).collect();
    let upstream = [format!("{}@{{upstream}}", announcement.branch)];
    let stated = if context.settings.base.is_empty() { &upstream[..] } else { &context.settings.base };
    bases.extend(stated.iter().filter_map(|base| repo::commit(repo, base).ok()));
    if bases.is_empty() {
        let stated = announcement.base.as_deref().and_then(|hex| repo::present(repo, hex));
        bases.extend(stated.or_else(|| repo::first_parent(repo, tip)));
    }
    Ok(bases)
}

/// Says whether what failed so may go well later, unchanged; what does not is given up, so that it does not hold up the others.
fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::HubUnreachable
            | Code::Closing
            | Code::DiskFull
            | Code::OverQuota
            | Code::RateLimited
            | Code::TooMany
            | Code::Conflict
            | Code::Stale
            | Code::Superseded
            | Code::Pruned
            | Code::Internal
            | Code::Io
            | Code::LoginRefused
            | Code::HubKeyChanged
            | Code::BadCertificate
            | Code::WrongClock
            | Code::BadConfig
    )
}

/// After which time is looked again whether git has ended what it is in the middle of.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
