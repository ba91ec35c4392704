//! The way from a command to the hub: what the client is told, and the runtime it works in.

use std::fs;
use std::sync::Arc;

use client::settings::{HubAddress, JoinSecret, RoomChoice};
use client::{Client, Progress};

use crate::context::Context;
use crate::error::{Code, Failure};
use crate::start_hub::Starter;
use crate::ui::Unit;

/// Tells the client what it needs to know about this command's surroundings.
pub(crate) fn settings(context: &Context) -> Result<client::Settings, Failure> {
    let hub = match &context.settings.hub {
        None => HubAddress::Local,
        Some(url) => url.parse().map_err(Failure::from)?,
    };
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
        name: context.settings.name.clone().unwrap_or_else(|| default_name(context)),
        seat_dir: context.seat_dir(),
        join_secret,
        insecure: context.settings.is_insecure,
        ca_file: context.settings.ca_file.clone(),
        room: RoomChoice::InUse,
        invite: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Connects to the hub, does `work`, and says goodbye.
pub(crate) fn with_client<T>(
    context: &Context,
    work: impl AsyncFnOnce(&mut Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if context.settings.room.is_some() || context.settings.session.is_some() {
        return Err(Failure::new(Code::Unsupported, "this version knows no rooms but your home")
            .hint("leave `--room` and `parler.session` away"));
    }
    let settings = settings(context)?;
    let starter = Arc::new(Starter::new(settings.data.join("hub")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Code::Io, error))?;
    runtime.block_on(async {
        let origin = settings.hub.origin();
        let mut client = Client::connect(settings, Some(starter)).await?;
        if client.is_new_hub() {
            let key = client.hub();
            context.ui.remark(format_args!("{origin} is a new hub; its key {key} is expected from now on."));
        }
        let done = work(&mut client).await;
        client.close().await;
        done
    })
}

/// Shows a transfer of `size` bytes.
pub(crate) fn progress(context: &Context, title: &str, size: u64) -> Progress {
    let progress = context.ui.progress(title, Unit::Bytes, size);
    Arc::new(move |done, _| progress.reach(done))
}

/// The login, a slash, and the folder of the worktree.
fn default_name(context: &Context) -> String {
    let login = ["USER", "LOGNAME"].into_iter().find_map(|name| context.environment.text(name));
    let login = login.unwrap_or_else(|| format!("user{}", rustix::process::getuid().as_raw()));
    match folder_name(context) {
        Some(folder) => format!("{login}/{folder}"),
        None => login,
    }
}

/// Returns the name of the worktree's folder, or of the repository's where it is bare.
pub(crate) fn folder_name(context: &Context) -> Option<String> {
    let repo = context.repository_if_any()?;
    let folder = repo.workdir().unwrap_or_else(|| repo.git_dir());
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.file_name().map(|name| protocol::clean::line(&name.to_string_lossy()).into_owned())
}
