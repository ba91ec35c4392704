//! `git parler mcp`: the MCP server for agents, on standard input and output, and what it is lent of this program.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::local_hub::LocalHubControl;
use client::report::text::short;
use client::{Settings, VerifiedBlob, VerifiedHandoff};
use mcp::{Built, Host, Previewed, Problem, Purpose, Range, Repositories, Setup};
use protocol::invite::SessionKey;

use crate::cli::Global;
use crate::commands::show;
use crate::config::Environment;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::handoff;
use crate::incoming::Incoming;
use crate::network;
use crate::start_hub::Starter;

pub(crate) fn run(environment: &Environment, global: &Global) -> Result<(), Failure> {
    let lender = Arc::new(Lender {
        // The host's word on where its agent works counts before where it happened to start this.
        place: environment.path("CLAUDE_PROJECT_DIR").filter(|path| path.is_dir()),
        // Standard output is the transport's, and nobody reads the other.
        global: Global { json: true, quiet: true, no_progress: true, progress: false, ..global.clone() },
    });
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let host: Arc<dyn Host> = lender.clone();
    let setup = Setup { host, repositories: lender, invite: invite(environment), version };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Code::Io, error))?;
    #[cfg(feature = "conformance")]
    if let Some(address) = environment.text("CONFORMANCE_ADDRESS") {
        let listening = runtime.block_on(tokio::net::TcpListener::bind(address));
        let listening = listening.map_err(|error| Failure::new(Code::Io, error))?;
        return Ok(runtime.block_on(mcp::serve_http(setup, listening))?);
    }
    let served = runtime.block_on(mcp::serve(setup));
    // A thread of the runtime may still sit in a read of standard input, and what it would read is for nobody.
    runtime.shutdown_background();
    Ok(served?)
}

/// Reads the key by which the server asks to join at its start.
fn invite(environment: &Environment) -> Result<Option<SessionKey>, Problem> {
    environment.text("PARLER_SESSION_KEY").map(|text| mcp::session_key(&text)).transpose()
}

/// What the server is lent: this program's settings, sentences and repositories, looked at anew for each call.
struct Lender {
    /// Where the agent works, as far as its host said; else the current folder.
    place: Option<PathBuf>,
    global: Global,
}

impl Lender {
    fn context(&self, repo: Option<&Path>) -> Result<Context, Failure> {
        let place = self.place.as_deref().unwrap_or(Path::new("."));
        let place = repo.map_or_else(|| place.to_owned(), |repo| place.join(repo));
        Context::look_around_at(&place, &self.global)
    }

    fn settings(&self, purpose: &Purpose) -> Result<Settings, Failure> {
        let context = self.context(None)?;
        match purpose {
            Purpose::Work(None) => network::settings(&context),
            Purpose::Work(Some(session)) => network::settings_to_use(
                &context,
                Some(session.as_str()).filter(|session| *session != "home"),
            ),
            Purpose::Open => network::settings_to_open(&context),
            Purpose::Join(key) => network::settings_for(&context, key.clone()),
        }
    }

    fn build(&self, range: &Range, out: &mut dyn Write) -> Result<Built, Failure> {
        let context = self.context(range.repo.as_deref())?;
        let (revisions, bases): (Vec<_>, Vec<_>) =
            (range.rev.iter().cloned().collect(), range.base.iter().cloned().collect());
        let outgoing = handoff::plan(&context, &revisions, &bases, range.summary.as_deref())?;
        let mut out = BufWriter::new(out);
        let created = handoff::write(&context, &outgoing, Some(range.size_max), &mut out)?;
        out.flush().map_err(|error| Failure::new(Code::Io, format!("cannot write to the spool: {error}")))?;
        let part = handoff::part(&context, &outgoing, &created)?;
        Ok(Built { part, answer: handoff::answer(&outgoing, &created), is_whole: outgoing.is_whole })
    }

    fn preview(
        &self,
        repo: Option<&Path>,
        handoff: VerifiedHandoff,
        blob: VerifiedBlob,
    ) -> Result<Previewed, Failure> {
        let context = self.context(repo)?;
        if repo.is_some() {
            context.repository()?;
        }
        let id = handoff.id().to_string();
        let answer = show::look(&context, &mut Incoming::of(handoff, blob.into_file()?)?)?.answer;
        let folder =
            context.repository_if_any().map(|repo| repo.workdir().unwrap_or(repo.git_dir()).to_owned());
        let place = match folder.and_then(|folder| folder.canonicalize().ok()) {
            Some(folder) => format!(" -C {}", quoted(&folder.to_string_lossy())),
            None => String::new(),
        };
        let apply_with = format!("git{place} parler apply {}", short(&id));
        Ok(Previewed { answer, apply_with, is_compared: context.repository_if_any().is_some() })
    }
}

impl Host for Lender {
    fn settings(&self, purpose: &Purpose) -> Result<Settings, Problem> {
        self.settings(purpose).map_err(problem)
    }

    fn starter(&self, settings: &Settings) -> Arc<dyn LocalHubControl> {
        Arc::new(Starter::new(settings.data.join("hub")))
    }

    fn problem(&self, error: client::Error) -> Problem {
        problem(match self.context(None) {
            Ok(context) => network::explain(&context, error),
            Err(_) => error.into(),
        })
    }

    fn agent_may_approve(&self) -> Result<bool, Problem> {
        Ok(self.context(None).map_err(problem)?.settings.agent_may_approve)
    }
}

impl Repositories for Lender {
    fn build(&self, range: &Range, out: &mut dyn Write) -> Result<Built, Problem> {
        self.build(range, out).map_err(problem)
    }

    fn preview(
        &self,
        repo: Option<PathBuf>,
        handoff: VerifiedHandoff,
        blob: VerifiedBlob,
    ) -> Result<Previewed, Problem> {
        self.preview(repo.as_deref(), handoff, blob).map_err(problem)
    }
}

fn problem(failure: Failure) -> Problem {
    Problem { code: failure.code.row().name, message: failure.message, hint: failure.hint }
}

/// Returns a path as a shell reads it.
fn quoted(path: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "/._-+,@".contains(character);
    if path.chars().all(is_plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_read_more_into_it() {
        assert_eq!(quoted("/home/ada/app-2"), "/home/ada/app-2");
        assert_eq!(quoted("/home/ada/it's $(x)"), "'/home/ada/it'\\''s $(x)'");
    }
}
