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

use crate::call::{transferring, unless_cancelled, waiting};
use crate::clients::off_runtime;
use crate::host::{Built, Previewed, Problem, Range};
use crate::limits::{NAMES_MAX, RESULT_BYTES_MAX};
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
pub(crate) struct Fetched {
    #[serde(flatten)]
    pub(crate) show: report::Show,
    pub(crate) summary: String,
    pub(crate) path: String,
    pub(crate) apply_with: String,
    /// Whether there is more of something than is told here.
    pub(crate) more: bool,
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
        let building = off_runtime(move || {
            let mut spooled = spooled;
            let built = repositories.build(&range, &mut Stoppable::new(spooled.file_mut(), &ct));
            (spooled, built)
        });
        let (spooled, built) = waiting(context, "building", None, building).await?;
        let Built { part, answer, is_whole } = built?;
        let client = &mut lent;
        let posted = transferring(context, "sending", async move |progress| {
            let posted = client.push(spooled.path(), part, Some(progress)).await;
            posted.map_err(|error| client.problem(error))
        });
        let posted = posted.await?;
        let mut answer = report::Push {
            room: Some(posted.room),
            seq: Some(posted.seq),
            deduplicated: posted.deduplicated,
            ..answer
        };
        let id = answer.id.to_string();
        let done = if answer.deduplicated { "was handed over before" } else { "handed over" };
        let text = format!(
            "{} {done} {}: {} ({}); on the other side: git parler apply {}",
            report::text::short(&id),
            lent.place(posted.room),
            report::text::commits(answer.commits),
            report::text::size(answer.size),
            report::text::short(&id)
        );
        let mut left = RESULT_BYTES_MAX;
        render::cut_rows(&mut answer.refs, &mut left);
        render::cut_rows(&mut answer.prerequisites, &mut left);
        let mut reply = Reply::new(text, &answer).link(resources::of_bundle(&id));
        if is_whole {
            reply = reply.note("the whole history travels; with `base` only what the other side lacks does");
        }
        lent.give_back().await;
        Ok(reply)
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
        let looking = off_runtime(move || repositories.preview(repo, handoff, blob));
        let previewed = waiting(context, "looking at it", None, looking).await??;
        let Previewed { answer: show, apply_with, is_compared } = previewed;
        let mut fetched = Fetched { show, summary, path, apply_with, more: false };
        fetched.cut();
        let text = render::handoff(&fetched, is_compared);
        let reply = Reply::new(text, &fetched).link(resources::of_bundle(&fetched.show.apply.id.to_string()));
        lent.give_back().await;
        Ok(reply)
    }
}

impl Fetched {
    /// Leaves as much of it as a result may have: first of what its human has to look at.
    fn cut(&mut self) {
        let (stat, apply) = (&mut self.show.stat, &mut self.show.apply);
        for commit in &mut apply.commits {
            render::cut_line(&mut commit.subject);
        }
        for file in &mut *stat {
            render::cut_line(&mut file.path);
        }
        for finding in &mut apply.surface {
            finding.paths.truncate(NAMES_MAX);
            finding.paths.iter_mut().for_each(render::cut_line);
        }
        for reference in &mut apply.refs {
            render::cut_line(&mut reference.name);
            render::cut_line(&mut reference.branch);
        }
        apply.name.iter_mut().for_each(render::cut_line);
        render::cut_line(&mut self.summary);
        let (mut of_surface, mut left) = (RESULT_BYTES_MAX / 2, RESULT_BYTES_MAX / 2);
        let cut = [
            render::cut_rows(&mut apply.surface, &mut of_surface),
            render::cut_rows(&mut self.show.prerequisites_missing, &mut left),
            render::cut_rows(&mut apply.refs, &mut left),
            render::cut_rows(&mut apply.prerequisites, &mut left),
            render::cut_rows(&mut apply.commits, &mut left),
            render::cut_rows(stat, &mut left),
        ];
        self.more = cut.contains(&true);
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
    use client::report::{Apply, Commit, PathStat, PinnedRef, Show, Signature, SurfaceFinding};
    use protocol::id::BlobId;
    use serde_json::json;

    use super::*;

    /// A handoff with everything as long as a peer can make it.
    fn longest() -> Fetched {
        let (long, id) = ("p".repeat(32 * 1024), "a".repeat(64));
        let reference =
            || PinnedRef { name: long.clone(), branch: "\u{e9}".repeat(8 * 1024), commit: id.clone() };
        let apply = Apply {
            id: BlobId::from_bytes([7; 32]),
            refs: std::iter::repeat_with(reference).take(256).collect(),
            name: Some(long.clone()),
            tip: None,
            prerequisites: vec![id.clone(); 256],
            author: None,
            signature: Signature::Valid,
            commits: vec![Commit { id: id.clone(), subject: long.clone() }; 500],
            surface: vec![
                SurfaceFinding { code: "hook".to_owned(), paths: vec![long.clone(); 10], count: 10 };
                20
            ],
            surface_checked: true,
            already_applied: false,
        };
        let stat = vec![PathStat { path: long.clone(), added: Some(1), deleted: None }; 500];
        let show = Show { apply, stat, prerequisites_missing: vec![id; 256], claim_differs: Vec::new() };
        let (path, apply_with) = ("/cache/x".to_owned(), "git parler apply x".to_owned());
        Fetched { show, summary: "s".repeat(64 * 1024), path, apply_with, more: false }
    }

    #[test]
    fn a_result_is_bounded_whatever_a_peer_hands_over() {
        let mut fetched = longest();
        fetched.cut();
        assert!(fetched.more);
        // What the human has to look at comes first.
        assert!(!fetched.show.apply.surface.is_empty() && !fetched.show.prerequisites_missing.is_empty());
        let (text, facts) = (render::handoff(&fetched, true), json!(fetched).to_string());
        assert!(text.len() < 2 * RESULT_BYTES_MAX && facts.len() < 2 * RESULT_BYTES_MAX, "{}", text.len());
        assert!(text.contains("summary: sss") && text.contains("\u{2026}"));
    }

    #[test]
    fn what_is_short_is_told_whole() {
        let mut fetched = longest();
        let apply = &mut fetched.show.apply;
        apply.refs.clear();
        apply.prerequisites.clear();
        apply.surface.clear();
        apply.commits.truncate(1);
        apply.commits[0].subject = "retry".to_owned();
        fetched.show.prerequisites_missing.clear();
        fetched.show.stat = vec![PathStat { path: "src/a".to_owned(), added: Some(1), deleted: Some(2) }];
        fetched.summary = "retry".to_owned();
        fetched.cut();
        assert!(!fetched.more);
        let text = render::handoff(&fetched, true);
        assert!(text.contains("commit aaaaaaaaaaaa retry\nfile src/a +1 -2"), "{text}");
        assert!(text.contains("takes it in with: git parler apply x") && text.contains("/cache/x"), "{text}");
        assert!(render::handoff(&fetched, false).contains("there is no repository here to compare it with"));
    }

    #[test]
    fn the_workspace_of_a_turn_is_known_where_there_is_one() {
        assert_eq!(workspace(&json!({ "workspaces": { "/a": {} } })).as_deref(), Some("/a"));
        assert_eq!(workspace(&json!({ "workspaces": ["/a"] })).as_deref(), Some("/a"));
        assert_eq!(workspace(&json!({ "workspaces": { "/a": {}, "/b": {} } })), None);
        assert_eq!(workspace(&json!({})), None);
    }
}
