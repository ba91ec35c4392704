//! The way from a command to the hub: what the client is told, and the runtime it works in.

use std::fs;
use std::sync::Arc;

use client::link::LinkError;
use client::report::text;
use client::settings::{HubAddress, JoinSecret, RoomChoice};
use client::{Client, HubTurn, Outage, Progress};
use protocol::clean;
use protocol::invite::SessionKey;
use protocol::limits::NAME_BYTES_MAX;
use protocol::statement::is_name;

use crate::announce;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::interrupt;
use crate::start_hub::Starter;
use crate::ui::Unit;

/// Tells the client what it needs to know about this command's surroundings: the room that is chosen, and its hub.
pub(crate) fn settings(context: &Context) -> Result<client::Settings, Failure> {
    let room = room(context);
    let hub = address(context, &room)?;
    Ok(client::Settings { room, ..at(context, hub)? })
}

/// As [`settings`], for who asks to join by `key`: at the hub that the key names, unless `--hub` names another.
pub(crate) fn settings_for(context: &Context, key: SessionKey) -> Result<client::Settings, Failure> {
    let hub = match key.origin() {
        Some(origin) if !context.settings.has_hub_option => origin.parse().map_err(Failure::from)?,
        _ => stated(context)?,
    };
    Ok(client::Settings { invite: Some(key), ..at(context, hub)? })
}

/// As [`settings`], for who opens a session: at the hub that is set, whatever is in use.
pub(crate) fn settings_to_open(context: &Context) -> Result<client::Settings, Failure> {
    at(context, stated(context)?)
}

/// As [`settings`], for who goes to the session that `selector` names, or home.
pub(crate) fn settings_to_use(
    context: &Context,
    selector: Option<&str>,
) -> Result<client::Settings, Failure> {
    let room = selector.map_or(RoomChoice::Home, |selector| RoomChoice::Named(selector.to_owned()));
    let hub = address(context, &room)?;
    Ok(client::Settings { room, ..at(context, hub)? })
}

/// Tells the client of the surroundings that do not depend on the room.
fn at(context: &Context, hub: HubAddress) -> Result<client::Settings, Failure> {
    let join_secret = match &context.settings.join_secret_file {
        None => None,
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Failure::new(Code::Io, format!("cannot read the join secret in {}: {error}", path.display()))
            })?;
            Some(JoinSecret::new(&text))
        }
    };
    Ok(client::Settings {
        data: context.settings.data_folder.clone(),
        cache: context.settings.cache_folder.clone(),
        hub,
        name: name(context)?,
        seat_dir: context.seat_dir(),
        join_secret,
        insecure: context.settings.is_insecure,
        ca_file: context.settings.ca_file.clone(),
        room: RoomChoice::InUse,
        invite: None,
        reconnect_max: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Returns the room to work in: what `--room` says, then `parler.session`, then what is in use.
fn room(context: &Context) -> RoomChoice {
    match context.settings.room.as_ref().or(context.settings.session.as_ref()) {
        None => RoomChoice::InUse,
        Some(text) if text == "home" => RoomChoice::Home,
        Some(text) => RoomChoice::Named(text.clone()),
    }
}

/// Returns the hub of the session that is named, else of the one in use, unless `--hub` names another; for the home, the one
/// that is set.
fn address(context: &Context, room: &RoomChoice) -> Result<HubAddress, Failure> {
    if context.settings.has_hub_option || *room == RoomChoice::Home {
        return stated(context);
    }
    let data = &context.settings.data_folder;
    let named = match room {
        RoomChoice::Named(selector) => client::whereabouts(data, env!("CARGO_PKG_VERSION"), selector)?,
        RoomChoice::InUse | RoomChoice::Home => None,
    };
    let found = match named {
        Some(named) => Some(named),
        None => client::in_use(data, context.seat_dir().as_deref())?,
    };
    found.map_or_else(|| stated(context), |found| found.origin.parse().map_err(Failure::from))
}

/// Returns the hub that is set, or the local one.
fn stated(context: &Context) -> Result<HubAddress, Failure> {
    match &context.settings.hub {
        None => Ok(HubAddress::Local),
        Some(url) => url.parse().map_err(Failure::from),
    }
}

/// Connects to the hub of the room that is chosen, does `work`, and says goodbye.
pub(crate) fn with_client<T>(
    context: &Context,
    work: impl AsyncFnOnce(&mut Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_client_at(context, settings(context)?, work)
}

/// As [`with_client`], with other settings.
pub(crate) fn with_client_at<T>(
    context: &Context,
    settings: client::Settings,
    work: impl AsyncFnOnce(&mut Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let starter = Arc::new(Starter::new(settings.data.join("hub")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Code::Io, error))?;
    runtime.block_on(async {
        let joins = settings.invite.is_some();
        let connected = Client::connect(settings, Some(starter)).await;
        let mut client =
            connected.map_err(|error| if joins { Failure::from(error) } else { explain(context, error) })?;
        if client.is_new_hub() {
            context.ui.remark(text::new_hub(&client.origin(), &client.hub()));
        }
        if let Some(millis) = client.clock_skew() {
            context.ui.warn(text::clock_skew(millis));
        }
        let done = work(&mut client).await;
        for lost in client.take_undelivered() {
            context.ui.warn(text::undelivered(&lost));
        }
        match done.as_ref().err().map(|failure| failure.code) {
            None | Some(Code::NothingNew) => tend(context, &mut client).await,
            Some(Code::HubUnreachable | Code::Interrupted) => {}
            // It may have been meant to keep somebody out who asks by an auto key.
            Some(_) => context.pending.note(client.look_at_gates().await.waiting),
        }
        client.close().await;
        if done.as_ref().err().is_none_or(|failure| failure.code != Code::HubUnreachable) {
            announce::wake(context);
        }
        done
    })
}

/// Lets in who asks by a key that says so, in any session of this user, and takes note of how many wait for a decision.
pub(crate) async fn tend(context: &Context, client: &mut Client) {
    let tended = client.tend_gates().await;
    for decision in &tended.let_in {
        context.ui.remark(text::admitted(decision));
    }
    context.pending.note(tended.waiting);
}

/// Returns what the client's error is to a person. Says what a closed hub does not: that it knows this seat no more, because it is
/// in no session there.
pub(crate) fn explain(context: &Context, error: client::Error) -> Failure {
    let refused_by = match &error {
        client::Error::Link(LinkError::NoJoinSecret { origin } | LinkError::LoginRefused { origin }) => {
            Some(origin.clone())
        }
        _ => None,
    };
    let in_use = client::in_use(&context.settings.data_folder, context.seat_dir().as_deref());
    let was_in_a_session =
        |origin: &String| in_use.is_ok_and(|found| found.is_some_and(|found| found.origin == *origin));
    match refused_by.filter(was_in_a_session) {
        Some(origin) if context.settings.join_secret_file.is_none() => {
            let message = format!(
                "the hub at {origin} does not let this seat in any more: it was put out of its session"
            );
            Failure::new(Code::LoginRefused, message).hint(
                "`git parler use home` goes back to your home; for another admission ask the owner for a key",
            )
        }
        _ => error.into(),
    }
}

/// Takes the outcome of a question that is asked until somebody else has acted; `None` where it is to be asked again, since the
/// hub is away, which is told once.
pub(crate) async fn outlast<T>(
    context: &Context,
    outage: &mut Outage,
    outcome: Result<T, client::Error>,
) -> Result<Option<T>, Failure> {
    let told = |turn: HubTurn<'_>| match turn {
        HubTurn::Lost(error) => {
            context.ui.remark(format_args!("{error}; waiting for it to come back, Ctrl-C ends the waiting."));
        }
        HubTurn::Back => context.ui.remark("The hub is back."),
    };
    Ok(outage.outlast(outcome, told).await?)
}

/// Does `work` until it is done or Ctrl-C is pressed, which ends it as [`Code::Interrupted`].
pub(crate) async fn until_interrupted<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        // First, so that Ctrl-C is listened to before the work says anything.
        biased;
        pressed = interrupt::pressed() => match pressed {
            Ok(()) => Err(Failure::of(Code::Interrupted)),
            Err(error) => Err(Failure::new(Code::Io, format!("cannot listen for Ctrl-C: {error}"))),
        },
        done = work => done,
    }
}

/// Shows a transfer of `size` bytes.
pub(crate) fn progress(context: &Context, title: &str, size: u64) -> Progress {
    let progress = context.ui.progress(title, Unit::Bytes, size);
    Arc::new(move |done, _| progress.reach(done))
}

/// Returns the name that others see: the one that is set, else one made of the login and the worktree.
fn name(context: &Context) -> Result<String, Failure> {
    let Some(name) = &context.settings.name else { return Ok(default_name(context)) };
    if is_name(name) {
        return Ok(name.clone());
    }
    let message = format!("`parler.name` is no name: {WHAT_A_NAME_IS}");
    Err(Failure::new(Code::Usage, message).hint("set another: git config --global parler.name <name>"))
}

/// What a name has to be, for those who chose another.
pub(crate) const WHAT_A_NAME_IS: &str = "a name is one line of 1 to 100 bytes, all of which can be seen";

/// The login, a slash, and the folder of the worktree.
fn default_name(context: &Context) -> String {
    let login = ["USER", "LOGNAME"].into_iter().find_map(|name| context.environment.text(name));
    let login = login.unwrap_or_else(|| format!("user{}", rustix::process::getuid().as_raw()));
    let mut name = clean::line(&login).into_owned();
    if let Some(folder) = folder_name(context) {
        name = format!("{name}/{folder}");
    }
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    name
}

/// Returns the name of the worktree's folder, or of the repository's where it is bare.
pub(crate) fn folder_name(context: &Context) -> Option<String> {
    let repo = context.repository_if_any()?;
    let folder = repo.workdir().unwrap_or_else(|| repo.git_dir());
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.file_name().map(|name| clean::line(&name.to_string_lossy()).into_owned())
}
