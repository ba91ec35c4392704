//! `git parler hub`: run a hub here, or look after the local one.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use client::files;
use client::local_hub::{LocalAddress, LocalHub, LocalRecord};
use client::report::Hub as Answer;
use client::settings::HubAddress;
use hub::{Config, Listen, Names, Ready};
use protocol::key::JoinKey;
use protocol::limits::JOIN_SECRET_CHARACTERS_MIN;

use crate::cli::Hub;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::interrupt;
use crate::limits::STOP_TIME_MAX;
use crate::local_child;
use crate::start_hub;

pub(crate) fn run(context: &Context, arguments: &Hub) -> Result<(), Failure> {
    let local = context.settings.data_folder.join("hub");
    if arguments.status {
        return status(context, &local);
    }
    if arguments.stop {
        return stop(context, &local);
    }
    if arguments.local_child {
        return local_child::run(arguments.folder.as_deref().unwrap_or(&local));
    }
    let folder = arguments.folder.clone().unwrap_or_else(|| context.settings.data_folder.join("served"));
    let listen = address(arguments.listen.as_deref().unwrap_or(LISTEN_DEFAULT))?;
    let addresses = addresses(arguments, listen)?;
    let names: Vec<String> = addresses.iter().map(HubAddress::origin).collect();
    // Behind a proxy the hub itself listens on loopback, and is reached from everywhere.
    let is_reached = !listen.ip().is_loopback() || addresses.iter().any(|address| !address.is_loopback());
    files::private_dir(&folder)?;
    let secret = secret(arguments, is_reached, &folder)?;
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .init();
    let config = Config {
        names: Names::Urls(names.clone()),
        join: secret.as_ref().map(|(secret, _)| JoinKey::from_join_secret(secret).public()),
        limits: arguments.limits.0.clone(),
        ..Config::new(folder.clone(), vec![Listen::Tcp(listen)])
    };
    serve(config, |ready| {
        let listening = match &ready.addresses[0] {
            Listen::Tcp(address) => format!("ws://{address}"),
            Listen::Unix(path) => path.display().to_string(),
        };
        let url = names.first().cloned().unwrap_or(listening);
        let answer = Answer {
            url,
            hub_key: ready.hub_key,
            pid: std::process::id(),
            data: folder.display().to_string(),
        };
        announce(context, &answer, secret.as_ref().map(|(_, path)| path.as_path()));
        Ok(())
    })
}

/// Runs a hub until it is told to end by SIGINT or SIGTERM.
pub(crate) fn serve(
    config: Config,
    ready: impl FnOnce(&Ready) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Code::Io, error))?;
    runtime.block_on(async {
        let told = interrupt::asked_to_end()
            .map_err(|error| Failure::new(Code::Io, format!("signals cannot be received: {error}")))?;
        let mut said = Ok(());
        hub::run(config, |is| said = ready(&is), told).await?;
        said
    })
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    let port = |text: &str| text.parse::<u16>().ok().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let found = port(text).or_else(|| text.to_socket_addrs().ok().and_then(|mut found| found.next()));
    found.ok_or_else(|| {
        Failure::new(Code::Usage, format!("`{text}` is no address to listen at"))
            .hint(format!("give a host and a port, for example `--listen {LISTEN_DEFAULT}`"))
    })
}

/// Returns the addresses by which clients reach the hub; beyond loopback there must be one.
fn addresses(arguments: &Hub, listen: SocketAddr) -> Result<Vec<HubAddress>, Failure> {
    if arguments.url.is_empty() && !listen.ip().is_loopback() {
        return Err(Failure::new(
            Code::Usage,
            "a hub beyond loopback needs the URL under which clients reach it",
        )
        .hint("add `--url wss://<host>` (behind a proxy with TLS) or `--url ws://<host>:<port>`"));
    }
    let parse = |url: &String| match url.parse::<HubAddress>() {
        Ok(address @ HubAddress::Url { .. }) => Ok(address),
        Ok(HubAddress::Local) => Err(Failure::new(Code::Usage, "`local` is the local hub's name")),
        Err(error) => Err(Failure::new(Code::Usage, error)),
    };
    arguments.url.iter().map(parse).collect()
}

/// Returns the join secret and its file, when the hub is to be closed: always when it is reached from elsewhere, unless told
/// otherwise.
fn secret(arguments: &Hub, is_reached: bool, folder: &Path) -> Result<Option<(String, PathBuf)>, Failure> {
    if let Some(path) = &arguments.join_secret_file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Code::Io, format!("cannot read {}: {error}", path.display())))?;
        let secret = text.trim().to_owned();
        if secret.chars().count() < JOIN_SECRET_CHARACTERS_MIN {
            let message = format!(
                "the join secret in {} has fewer than {JOIN_SECRET_CHARACTERS_MIN} characters",
                path.display()
            );
            return Err(
                Failure::new(Code::Usage, message).hint("without the option, the hub makes a good one")
            );
        }
        return Ok(Some((secret, path.clone())));
    }
    if arguments.open || !is_reached {
        return Ok(None);
    }
    let path = folder.join("join-secret");
    Ok(Some((local_child::join_secret(&path)?, path)))
}

fn announce(context: &Context, answer: &Answer, secret: Option<&Path>) {
    let ui = &context.ui;
    if ui.is_json() {
        ui.answer(answer);
    } else {
        ui.line(format_args!("The hub listens: {}", answer.url));
        ui.line(format_args!("  key   {}", answer.hub_key));
        ui.line(format_args!("  data  {}", answer.data));
    }
    let mut lines = format!("to use it: git config --global parler.hub {}", answer.url);
    if let Some(path) = secret {
        lines += &format!(
            "\nit is closed; give colleagues a copy of {}, and to each: git config --global parler.joinSecretFile <file>",
            path.display()
        );
    }
    ui.hint(lines);
}

/// Returns what the local hub says of itself in its address file, whether or not it still runs.
fn named(folder: &Path) -> Result<Option<LocalRecord>, Failure> {
    let data = folder.parent().unwrap_or(folder);
    Ok(LocalHub::new(data, env!("CARGO_PKG_VERSION"), None).record()?)
}

/// Returns what the running local hub says of itself, when it accepts connections.
fn running(folder: &Path) -> Result<Option<LocalRecord>, Failure> {
    Ok(named(folder)?.filter(|record| match &record.address {
        LocalAddress::Unix(path) => std::os::unix::net::UnixStream::connect(path).is_ok(),
        LocalAddress::Tcp(address) => std::net::TcpStream::connect_timeout(address, CONNECT_TIMEOUT).is_ok(),
    }))
}

fn local_answer(record: &LocalRecord, folder: &Path) -> Answer {
    Answer {
        url: record.address.to_string(),
        hub_key: record.hub_key,
        pid: record.pid,
        data: folder.display().to_string(),
    }
}

fn not_running() -> Failure {
    Failure::new(Code::HubUnreachable, "the local hub does not run")
        .hint("nothing to do: the next command that needs it starts it")
}

fn status(context: &Context, folder: &Path) -> Result<(), Failure> {
    let record = running(folder)?.ok_or_else(not_running)?;
    let answer = local_answer(&record, folder);
    if context.ui.is_json() {
        context.ui.answer(&answer);
    } else {
        context.ui.line(format_args!("The local hub runs as process {} ({})", answer.pid, record.version));
        context.ui.line(format_args!("  address  {}", answer.url));
        context.ui.line(format_args!("  key      {}", answer.hub_key));
        context.ui.line(format_args!("  data     {}", answer.data));
    }
    Ok(())
}

fn stop(context: &Context, folder: &Path) -> Result<(), Failure> {
    let record = running(folder)?.ok_or_else(not_running)?;
    start_hub::terminate(record.pid).map_err(|error| {
        Failure::new(Code::Io, format!("process {} cannot be ended: {error}", record.pid))
    })?;
    let began = Instant::now();
    // Its last act is to take its address back: then everything it was told is on the disk, and its lock is free.
    while named(folder)?.is_some_and(|now| now.pid == record.pid) && start_hub::is_alive(record.pid) {
        if began.elapsed() > STOP_TIME_MAX {
            let message = format!("process {} does not end", record.pid);
            return Err(Failure::new(Code::HubUnreachable, message).hint(format!("kill -9 {}", record.pid)));
        }
        std::thread::sleep(STOP_POLL);
    }
    let answer = local_answer(&record, folder);
    if context.ui.is_json() {
        context.ui.answer(&answer);
    } else {
        context.ui.line(format_args!("The local hub has ended (it was process {})", record.pid));
    }
    Ok(())
}

const LISTEN_DEFAULT: &str = "127.0.0.1:7419";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const STOP_POLL: Duration = Duration::from_millis(20);
