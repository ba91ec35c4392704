//! Talking: saying something, reading what is new, and where one stands.

use std::time::Duration;

use client::report;
use protocol::id::RoomId;
use protocol::statement::Role;
use rmcp::handler::server::tool::schema_for_output;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

use crate::call::{unless_cancelled, wait_of, waiting};
use crate::clients::Lent;
use crate::delivery::{Delivery, READER};
use crate::host::Problem;
use crate::limits::{MESSAGES_MAX, RESULT_BYTES_MAX, TURN_WAIT_MIN};
use crate::render::{self, Which};
use crate::reply::Reply;
use crate::server::Server;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Say {
    /// What to say
    text: String,
    /// Id or topic of the session; default: the one in use
    session: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Recv {
    /// Seconds to wait for something new, 0 to 50
    wait: Option<u64>,
    /// Read again what stands behind this place; the cursor stays
    after: Option<u64>,
    /// Id or topic of the session; default: the one in use
    session: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StatusOf {
    /// Id or topic of the session; default: the one in use
    session: Option<String>,
}

/// Answer of `parler_recv`: as `recv --json`, and who asks to join.
#[derive(Debug, Serialize, JsonSchema)]
struct Received {
    #[serde(flatten)]
    received: report::Received,
    pending: Vec<report::JoinRequest>,
}

/// Answer of `parler_status`: as `status --json`, and what this agent is in the session.
#[derive(Debug, Serialize, JsonSchema)]
struct Status {
    #[serde(flatten)]
    status: report::Status,
    #[schemars(with = "Option<String>")]
    role: Option<Role>,
}

/// What is new to the reader, and the turn to read on behind it.
pub(crate) struct News {
    pub(crate) received: report::Received,
    turn: OwnedMutexGuard<()>,
}

#[tool_router(router = "chat_tools", vis = "pub(crate)")]
impl Server {
    #[tool(
        name = "parler_send",
        title = "Send a message",
        description = "Say something in the session, to all its members.",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true),
        output_schema = schema_for_output::<report::Send>()
    )]
    async fn send(
        &self,
        Parameters(say): Parameters<Say>,
        context: RequestContext<RoleServer>,
    ) -> CallToolResult {
        self.end(unless_cancelled(&context, self.say(say)).await)
    }

    #[tool(
        name = "parler_recv",
        title = "Read what is new",
        description = "Read new messages and handoffs of others, each once; waits for them if asked to. Not the human's own recv.",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = false, open_world_hint = true),
        output_schema = schema_for_output::<Received>()
    )]
    async fn recv(
        &self,
        Parameters(recv): Parameters<Recv>,
        context: RequestContext<RoleServer>,
    ) -> CallToolResult {
        let outcome = match wait_of(recv.wait) {
            Ok(wait) => waiting(&context, "still waiting", Some(wait), self.hear(&context, recv, wait)).await,
            Err(problem) => Err(problem),
        };
        self.end(outcome)
    }

    #[tool(
        name = "parler_status",
        title = "Where this agent stands",
        description = "Who this agent is, its hub and session, who is in it, who asks to join, and how much is unread.",
        annotations(read_only_hint = true, destructive_hint = false, idempotent_hint = true, open_world_hint = true),
        output_schema = schema_for_output::<Status>()
    )]
    async fn status(
        &self,
        Parameters(of): Parameters<StatusOf>,
        context: RequestContext<RoleServer>,
    ) -> CallToolResult {
        self.end(unless_cancelled(&context, self.look(of.session)).await)
    }
}

impl Server {
    async fn say(&self, say: Say) -> Result<Reply, Problem> {
        let mut lent = self.lend_in(say.session).await?;
        let sent = lent.send(&say.text).await.map_err(|error| lent.problem(error))?;
        let reply = Reply::new(format!("Sent as {} {}", sent.seq, lent.place(sent.room)), &sent);
        lent.give_back().await;
        Ok(reply)
    }

    async fn hear(
        &self,
        context: &RequestContext<RoleServer>,
        recv: Recv,
        wait: Duration,
    ) -> Result<Reply, Problem> {
        let mut lent = self.lend_in(recv.session).await?;
        if let Some(after) = recv.after {
            return self.hear_again(lent, after, wait).await;
        }
        let room = lent.room().await.map_err(|error| lent.problem(error))?;
        let news = self.read_new(&mut lent, room, wait).await?;
        let reply = self.heard(&mut lent, news.received.clone(), Which::New).await;
        self.deliver(context, lent, news);
        Ok(reply)
    }

    async fn hear_again(&self, mut lent: Lent, after: u64, wait: Duration) -> Result<Reply, Problem> {
        if !wait.is_zero() {
            lent.news(Some(after), wait).await.map_err(|error| lent.problem(error))?;
        }
        let log = lent.log(Some(after), MESSAGES_MAX).await;
        let mut received = log.map_err(|error| lent.problem(error))?;
        render::cut(&mut received);
        let reply = self.heard(&mut lent, received, Which::Earlier).await;
        lent.give_back().await;
        Ok(reply)
    }

    /// Reads what is new in `room` to this reader, as much as one result has, once it is this call's turn.
    pub(crate) async fn read_new(
        &self,
        lent: &mut Lent,
        room: RoomId,
        wait: Duration,
    ) -> Result<News, Problem> {
        // An answer with earlier messages may still be on its way; what it brings is not read twice.
        let patience = Instant::now() + wait.max(TURN_WAIT_MIN);
        let turn = timeout_at(patience, self.deliveries().turn(room)).await.map_err(|_| Problem {
            code: "too_many",
            message: "another call waits for messages of this session already".to_owned(),
            hint: Some("wait for that one".to_owned()),
        })?;
        let left = patience.saturating_duration_since(Instant::now()).min(wait);
        let read = lent.recv(READER, MESSAGES_MAX, Some(left)).await;
        let mut received = read.map_err(|error| lent.problem(error))?;
        render::cut(&mut received);
        Ok(News { received, turn })
    }

    /// Has the cursor move behind what was read once the answer of this call was written.
    pub(crate) fn deliver(&self, context: &RequestContext<RoleServer>, mut client: Lent, news: News) {
        if !context.ct.is_cancelled() {
            let News { received, turn } = news;
            let then = Box::pin(async move {
                // What was shown counts as shown on this machine, whether the hub hears of it or not; a file that cannot be written
                // brings the same messages once more.
                client.ack(received.room, READER, received.cursor).await.ok();
                client.give_back().await;
            });
            self.deliveries().begin(context.id.clone(), Delivery { turn, then });
        }
    }

    async fn heard(&self, lent: &mut Lent, received: report::Received, which: Which) -> Reply {
        let (mut pending, failure) = match lent.pending(received.room).await {
            Ok(pending) => (pending, None),
            Err(error) => (Vec::new(), Some(lent.problem(error))),
        };
        render::cut_requests(&mut pending);
        let mut text = render::messages(&received, lent.me().id, which);
        if !pending.is_empty() {
            text = format!("{text}\n{}", asking(&pending));
        }
        let reply = Reply::new(text, &Received { received, pending });
        match failure {
            Some(problem) => reply.note(format!("who asks to join is not known: {}", problem.message)),
            None => reply,
        }
    }

    async fn look(&self, session: Option<String>) -> Result<Reply, Problem> {
        let mut lent = self.lend_in(session).await?;
        let mut status = lent.status(READER).await.map_err(|error| lent.problem(error))?;
        let role = status.session.and_then(|room| lent.role(room));
        let first = match (status.session, role) {
            (None, _) | (_, None) => "At home, among the user's own worktrees".to_owned(),
            (Some(room), Some(Role::Owner)) => format!("Owner of session {room}"),
            (Some(room), Some(Role::Member)) => format!("Member of session {room}"),
        };
        let (members, pending) = (status.members.len(), status.pending.len());
        let mut left = RESULT_BYTES_MAX;
        render::cut_rows(&mut status.members, &mut left);
        render::cut_requests(&mut status.pending);
        let names: Vec<_> = status.members.iter().map(report::text::name).collect();
        let mut text = format!(
            "{first}; {} unread\nhub: {}\nthis agent: {}\n{members} here: {}",
            status.unread,
            status.hub.origin,
            report::text::name(&status.me),
            names.join(", ")
        );
        if pending > 0 {
            text = format!("{text}\n{}", asking(&status.pending));
        }
        let reply = Reply::new(text, &Status { status, role });
        lent.give_back().await;
        Ok(reply)
    }
}

/// Says who asks to join, and what to do about it.
fn asking(pending: &[report::JoinRequest]) -> String {
    format!("{}\nthe human decides: call parler_approve_join", render::pending(pending))
}
