//! Handing commits over, and looking at those of others. Neither changes a repository.

use std::path::PathBuf;
use std::sync::Arc;

use client::report;
use protocol::id::BlobPrefix;
use rmcp::handler::server::tool::schema_for_output;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::{transferring, unless_cancelled};
use crate::clients::off_runtime;
use crate::host::{Built, Previewed, Problem, Range};
use crate::limits::ROWS_MAX;
use crate::render;
use crate::reply::Reply;
use crate::resources;
use crate::server::Server;
use crate::stop::Stoppable;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Push {
    /// What the other side has, such as main; default: parler.base, else the whole history travels
    base: Option<String>,
    /// What to hand over; default: HEAD
    rev: Option<String>,
    /// One line about it; default: the subject of the newest commit
    summary: Option<String>,
    /// Folder of the repository; default: where this agent works
    repo: Option<String>,
    /// Id or topic of the session; default: the one in use
    session: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fetch {
    /// Id of the handoff, at least its first 4 digits
    id: String,
    /// Folder of the repository to compare with; default: where this agent works
    repo: Option<String>,
    /// Id or topic of the session; default: the one in use
    session: Option<String>,
}

/// Answer of `parler_fetch`: as `show --json`, where the verified bytes are, and how a human takes them in.
#[derive(Debug, Serialize, JsonSchema)]
struct Fetched {
    #[serde(flatten)]
    show: report::Show,
    path: String,
    apply_with: String,
    /// Whether there is more of something than is told here.
    more: bool,
}

#[tool_router(router = "handoff_tools", vis = "pub(crate)")]
impl Server {
    #[tool(
        name = "parler_push",
        title = "Hand commits over",
        description = "Offer commits to the session, signed; others look before they take them. Name a base that they have.",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = true),
        output_schema = schema_for_output::<report::Push>()
    )]
    async fn push(
        &self,
        Parameters(push): Parameters<Push>,
        context: RequestContext<RoleServer>,
    ) -> CallToolResult {
        self.end(self.hand_over(&context, push).await)
    }

    #[tool(
        name = "parler_fetch",
        title = "Look at a handoff",
        description = "Verify a handoff and show its author, commits and files. It enters no repository; the human applies it.",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = true),
        output_schema = schema_for_output::<Fetched>()
    )]
    async fn fetch(
        &self,
        Parameters(fetch): Parameters<Fetch>,
        context: RequestContext<RoleServer>,
    ) -> CallToolResult {
        self.end(self.look_at(&context, fetch).await)
    }
}

impl Server {
    async fn hand_over(&self, context: &RequestContext<RoleServer>, push: Push) -> Result<Reply, Problem> {
        let mut lent = unless_cancelled(context, self.lend_in(push.session)).await?;
        let spooled = lent.spool().bundle_file().map_err(|error| lent.problem(error.into()))?;
        let range = Range {
            repo: repository(push.repo, context),
            rev: push.rev,
            base: push.base,
            summary: push.summary,
            size_max: lent.limits().blob_bytes_max,
        };
        let (repositories, ct) = (Arc::clone(self.repositories()), context.ct.clone());
        // It ends early by itself once the call is cancelled: what it writes to takes no more.
        let (spooled, built) = off_runtime(move || {
            let mut spooled = spooled;
            let built = repositories.build(&range, &mut Stoppable::new(spooled.file_mut(), &ct));
            (spooled, built)
        })
        .await;
        let Built { part, answer, is_whole } = built?;
        let client = &mut lent;
        let posted = transferring(context, "sending", async move |progress| {
            let posted = client.push(spooled.path(), part, Some(progress)).await;
            posted.map_err(|error| client.problem(error))
        });
        let posted = posted.await?;
        let answer = report::Push {
            room: Some(posted.room),
            seq: Some(posted.seq),
            deduplicated: posted.deduplicated,
            ..answer
        };
        let id = answer.id.to_string();
        let done = if answer.deduplicated { "was handed over before" } else { "handed over" };
        let mut text = format!(
            "{} {done}: {} ({}); on the other side: git parler apply {}",
            report::text::short(&id),
            report::text::commits(answer.commits),
            report::text::size(answer.size),
            report::text::short(&id)
        );
        if is_whole {
            text += "\nnote: the whole history travels; with `base` only what the other side lacks does";
        }
        let reply = Reply::new(text, &answer).link(resources::of_bundle(&id));
        Ok(reply.remarks(&lent.give_back().await))
    }

    async fn look_at(&self, context: &RequestContext<RoleServer>, fetch: Fetch) -> Result<Reply, Problem> {
        let prefix: BlobPrefix = fetch.id.trim().parse().map_err(|error| Problem {
            code: "usage",
            message: format!("`id` is {error}"),
            hint: Some(
                "parler_recv names the handoffs; an id is made of digits and letters a to f".to_owned(),
            ),
        })?;
        let mut lent = unless_cancelled(context, self.lend_in(fetch.session)).await?;
        let found = async { lent.find(prefix).await.map_err(|error| lent.problem(error)) };
        let handoff = unless_cancelled(context, found).await?;
        let (client, wanted) = (&lent, &handoff);
        let fetched = transferring(context, "receiving", async move |progress| {
            client.fetch(wanted, Some(progress)).await.map_err(|error| client.problem(error))
        });
        let blob = fetched.await?;
        let (path, summary) = (blob.path().to_string_lossy().into_owned(), handoff.part.summary.clone());
        let (repositories, repo) = (Arc::clone(self.repositories()), repository(fetch.repo, context));
        let previewed = off_runtime(move || repositories.preview(repo, handoff, blob)).await?;
        let Previewed { answer: show, apply_with } = previewed;
        let text = render::handoff(&show, &summary, &apply_with);
        let mut fetched = Fetched { show, path, apply_with, more: false };
        fetched.cut();
        let reply = Reply::new(text, &fetched).link(resources::of_bundle(&fetched.show.apply.id.to_string()));
        Ok(reply.remarks(&lent.give_back().await))
    }
}

impl Fetched {
    /// Leaves so many rows of each list as a result may have.
    fn cut(&mut self) {
        let show = &mut self.show;
        let lengths = [
            show.apply.commits.len(),
            show.stat.len(),
            show.apply.surface.len(),
            show.apply.prerequisites.len(),
            show.prerequisites_missing.len(),
            show.apply.refs.len(),
        ];
        self.more = lengths.iter().any(|length| *length > ROWS_MAX);
        show.apply.commits.truncate(ROWS_MAX);
        show.stat.truncate(ROWS_MAX);
        show.apply.surface.truncate(ROWS_MAX);
        show.apply.prerequisites.truncate(ROWS_MAX);
        show.prerequisites_missing.truncate(ROWS_MAX);
        show.apply.refs.truncate(ROWS_MAX);
    }
}

/// Returns the repository that a call means: the one that it names, else the one that its host says it works in.
fn repository(named: Option<String>, context: &RequestContext<RoleServer>) -> Option<PathBuf> {
    named.map(PathBuf::from).or_else(|| {
        let turn = context.meta.get("x-codex-turn-metadata")?;
        // As an object, or as the text of one.
        let turn = match turn {
            Value::String(text) => &serde_json::from_str(text).ok()?,
            other => other,
        };
        workspace(turn).map(PathBuf::from)
    })
}

/// Returns the only workspace of a turn; of several nobody knows which is meant.
fn workspace(turn: &Value) -> Option<String> {
    let workspaces = turn.get("workspaces")?;
    let mut paths: Vec<String> = match workspaces {
        Value::Object(map) => map.keys().cloned().collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if paths.len() == 1 { paths.pop() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_workspace_of_a_turn_is_known_where_there_is_one() {
        assert_eq!(workspace(&json!({ "workspaces": { "/a": {} } })).as_deref(), Some("/a"));
        assert_eq!(workspace(&json!({ "workspaces": ["/a"] })).as_deref(), Some("/a"));
        assert_eq!(workspace(&json!({ "workspaces": { "/a": {}, "/b": {} } })), None);
        assert_eq!(workspace(&json!({})), None);
    }
}
