//! Sessions: opening one, asking to join one, and letting somebody in by the human's word.

use std::time::Duration;

use client::report::{self, Agent, Decision, text::short, when};
use client::{JoinOutcome, OpenSession};
use protocol::frame::JoinerState;
use protocol::id::RoomId;
use protocol::words::words;
use rmcp::handler::server::tool::{InputResponses, RequestState, schema_for_output};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResponse, CallToolResult, ElicitationSchema, EnumSchema};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ask::{Asked, Question, Returned};
use crate::call::{unless_cancelled, usage, wait_of, waiting};
use crate::clients::Lent;
use crate::host::{Problem, Purpose, session_key};
use crate::limits::{KEY_DEFAULT, KEY_SECONDS_MAX, NAMES_MAX};
use crate::render::{self, Which};
use crate::reply::Reply;
use crate::server::Server;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Open {
    /// What who joins should know: the task, what is done, what is open
    recap: String,
    /// What it is about, in one line
    topic: Option<String>,
    /// Seconds that its key lives; default: 7 days
    ttl: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Join {
    /// The session key, gp1-…
    key: String,
    /// Seconds to wait for the owner, 0 to 50
    wait: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Approve {
    /// Who asks: the words of the id, its beginning, or the name
    joiner: String,
    /// What the human is proposed
    decision: Choice,
    /// Id or topic of the session; default: the one in use
    session: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Choice {
    Approve,
    Deny,
}

/// Answer of `parler_join_session`: as `join --json`, and what the human reads to the owner.
#[derive(Debug, Serialize, JsonSchema)]
struct Joined {
    #[serde(flatten)]
    join: report::Join,
    words: String,
    more: bool,
}

/// Answer of `parler_approve_join`.
#[derive(Debug, Serialize, JsonSchema)]
struct Approval {
    #[schemars(with = "String")]
    room: RoomId,
    joiner: Agent,
    state: Standing,
    /// What the human looks at, as long as it is not decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<report::JoinRequest>,
    /// What the human runs where the host cannot ask, or has not got an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Standing {
    Pending,
    Member,
    Denied,
    NeedsHuman,
}

#[tool_router(router = "session_tools", vis = "pub(crate)")]
impl Server {
    #[tool(
        name = "parler_open_session",
        title = "Open a session",
        description = "Open a session with other people's agents. Give the human the join line: whoever has it may ask to join.",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = false, open_world_hint = true),
        output_schema = schema_for_output::<report::Open>()
    )]
    async fn open_session(
        &self,
        Parameters(open): Parameters<Open>,
        context: RequestContext<RoleServer>,
    ) -> CallToolResult {
        self.end(unless_cancelled(&context, self.open(open)).await)
    }

    #[tool(
        name = "parler_join_session",
        title = "Join a session",
        description = "Ask to join by a key. Read the words to the human; call again with the same key until the owner has decided.",
        annotations(read_only_hint = false, destructive_hint = false, idempotent_hint = true, open_world_hint = true),
        output_schema = schema_for_output::<Joined>()
    )]
    async fn join_session(
        &self,
        Parameters(join): Parameters<Join>,
        context: RequestContext<RoleServer>,
    ) -> CallToolResult {
        let outcome = match wait_of(join.wait) {
            Ok(wait) => {
                let asking = self.ask_to_join(&context, &join.key, wait);
                waiting(&context, "still waiting", Some(wait), asking).await
            }
            Err(problem) => Err(problem),
        };
        self.end(outcome)
    }

    #[tool(
        name = "parler_approve_join",
        title = "Let somebody in",
        description = "Ask the human whether somebody may join, who compares the words. A denial is final.",
        annotations(read_only_hint = false, destructive_hint = true, idempotent_hint = true, open_world_hint = true),
        output_schema = schema_for_output::<Approval>()
    )]
    async fn approve_join(
        &self,
        Parameters(approve): Parameters<Approve>,
        InputResponses(answers): InputResponses,
        RequestState(state): RequestState,
        context: RequestContext<RoleServer>,
    ) -> CallToolResponse {
        match self.decide(&context, approve, Returned { answers, state }).await {
            Ok(Decided::Again(again)) => again,
            Ok(Decided::Reply(reply)) => self.end(Ok(reply)).into(),
            Err(problem) => self.end(Err(problem)).into(),
        }
    }
}

/// What a call about a joiner ends with.
enum Decided {
    Again(CallToolResponse),
    Reply(Reply),
}

impl Server {
    async fn open(&self, open: Open) -> Result<Reply, Problem> {
        let seconds = open.ttl.unwrap_or(KEY_DEFAULT.0);
        if !(1..=KEY_SECONDS_MAX).contains(&seconds) {
            return Err(usage(&format!("`ttl` is 1 to {KEY_SECONDS_MAX} seconds")));
        }
        let mut lent = self.lend(Purpose::Open).await?;
        let session = OpenSession {
            topic: open.topic,
            recap: Some(open.recap),
            ttl: Duration::from_secs(seconds),
            max_uses: KEY_DEFAULT.1,
            auto: false,
            no_history: false,
        };
        let opened = lent.open_session(session).await.map_err(|error| lent.problem(error))?;
        let is_local = lent.origin() == "local";
        let text = format!(
            "Session {} is open and in use. Show the human this line, for who is to join within {}:\n{}\nNobody comes in before the \
             human says so: parler_approve_join",
            short(&opened.room.to_string()),
            when::left(opened.expires, client::seat::now()),
            opened.join_line
        );
        let reply = Reply::new(text, &opened);
        lent.give_back().await;
        self.watches().moved();
        Ok(if is_local { reply.note(LOCAL_HUB) } else { reply })
    }

    async fn ask_to_join(
        &self,
        context: &RequestContext<RoleServer>,
        key: &str,
        wait: Duration,
    ) -> Result<Reply, Problem> {
        let key = session_key(key)?;
        let mut lent = self.lend(Purpose::Join(key.clone())).await?;
        let me = lent.me();
        let mut joining = lent.join(&key, &me.name).await.map_err(|error| lent.problem(error))?;
        let wait = (!wait.is_zero()).then_some(wait);
        let outcome = lent.join_state(&mut joining, wait).await.map_err(|error| lent.problem(error))?;
        let words = words(&me.id);
        let outside = |state, text: String| {
            let (session, room, messages, cursor) = (None, None, Vec::new(), 0);
            let join = report::Join { session, room, state, messages, cursor };
            Reply::new(text, &Joined { join, words: words.clone(), more: false })
        };
        match outcome {
            JoinOutcome::Member(room) => self.enter(context, lent, room, words).await,
            JoinOutcome::Pending => Ok(outside(
                JoinerState::Pending,
                format!(
                    "Pending: the owner has to let this agent in. Its words, for the human to read to the owner: {words}\nCall again \
                     with the same key to go on waiting"
                ),
            )),
            JoinOutcome::Denied => Ok(outside(
                JoinerState::Denied,
                "Denied: the owner has turned this agent away, for good".to_owned(),
            )),
            JoinOutcome::Removed => {
                Ok(outside(JoinerState::Removed, "Removed: this agent has left, or was put out".to_owned()))
            }
        }
    }

    /// Reads the context of a session that was just entered.
    async fn enter(
        &self,
        context: &RequestContext<RoleServer>,
        mut lent: Lent,
        room: RoomId,
        words: String,
    ) -> Result<Reply, Problem> {
        self.watches().moved();
        let news = self.read_new(&mut lent, room, Duration::ZERO).await?;
        let received = news.received.clone();
        let said = render::messages(&received, lent.me().id, Which::New);
        let text = format!("Member of session {}, which is in use now\n{said}", short(&room.to_string()));
        let join = report::Join {
            session: Some(room),
            room: Some(room),
            state: JoinerState::Member,
            messages: received.messages,
            cursor: received.cursor,
        };
        self.deliver(context, lent, news);
        Ok(Reply::new(text, &Joined { join, words, more: received.more }))
    }

    async fn decide(
        &self,
        context: &RequestContext<RoleServer>,
        approve: Approve,
        returned: Returned,
    ) -> Result<Decided, Problem> {
        let found = async {
            let mut lent = self.lend_in(approve.session.clone()).await?;
            let room = lent.room().await.map_err(|error| lent.problem(error))?;
            let asked = lent.asks(&approve.joiner).await.map_err(|error| lent.problem(error))?;
            Ok((lent, room, asked))
        };
        let (mut lent, room, asked) = unless_cancelled(context, found).await?;
        let request = match asked {
            client::Asked::Waits(request) => request,
            client::Asked::Decided(decision) => {
                lent.give_back().await;
                return Ok(Decided::Reply(decided(decision)));
            }
        };
        let since = when::ago(request.first_seen, client::seat::now());
        let question = Question {
            name: "decision",
            // A later request of the same agent is another question.
            about: format!("parler_approve_join\0{room}\0{}\0{}", request.id, request.first_seen),
            text: render::question(&request, &since),
            form: form(approve.decision),
        };
        let asking = self.asker().ask(context, returned, question);
        let decision = match waiting(context, "the human is asked", None, asking).await? {
            Asked::Again(again) => return Ok(Decided::Again(again)),
            Asked::Answered(content) => match content.get("decision").and_then(Value::as_str) {
                Some("approve") => Some(Choice::Approve),
                Some("deny") => Some(Choice::Deny),
                _ => None,
            },
            Asked::Unanswered => None,
            Asked::CannotAsk if self.agent_may_approve().await? => Some(approve.decision),
            Asked::CannotAsk => {
                return Ok(Decided::Reply(undecided(room, request, &since, Standing::NeedsHuman)));
            }
        };
        let Some(decision) = decision else {
            return Ok(Decided::Reply(undecided(room, request, &since, Standing::Pending)));
        };
        let id = request.id.to_string();
        let deciding = async {
            // What the human has seen is what counts, and a question stays open for minutes.
            match lent.asks(&id).await.map_err(|error| lent.problem(error))? {
                client::Asked::Waits(now) if is_same(&now, &request) => {}
                client::Asked::Waits(_) => return Ok(None),
                client::Asked::Decided(decision) => return Ok(Some(decision)),
            }
            let decided = match decision {
                Choice::Approve => lent.approve(&id, None).await,
                Choice::Deny => lent.deny(&id).await,
            };
            decided.map(Some).map_err(|error| lent.problem(error))
        };
        let reply = match unless_cancelled(context, deciding).await? {
            Some(decision) => decided(decision),
            None => undecided(room, request, &since, Standing::Pending)
                .note("the request has changed since the human was asked: call again"),
        };
        lent.give_back().await;
        Ok(Decided::Reply(reply))
    }
}

/// Says whether a request is still what a human was asked about.
fn is_same(now: &report::JoinRequest, then: &report::JoinRequest) -> bool {
    (&now.name, now.key, now.first_seen) == (&then.name, then.key, then.first_seen)
}

/// Says what was decided.
fn decided(decision: Decision) -> Reply {
    let Decision { room, joiner, state } = decision;
    let name = report::text::name(&joiner);
    let (state, text) = match state {
        JoinerState::Member => (Standing::Member, format!("{name} is a member now")),
        JoinerState::Denied => (Standing::Denied, format!("{name} is turned away, for good")),
        JoinerState::Pending | JoinerState::Removed => (Standing::Pending, format!("{name} is no member")),
    };
    Reply::new(text, &Approval { room, joiner, state, request: None, command: None })
}

/// Says what the human looks at and has to run where the host cannot ask, or got no answer.
fn undecided(room: RoomId, mut request: report::JoinRequest, since: &str, state: Standing) -> Reply {
    request.confusable_with.truncate(NAMES_MAX);
    let command =
        format!("git parler approve --room {} {}", short(&room.to_string()), request.words.replace(' ', "-"));
    let joiner = Agent { id: request.id, name: request.name.clone() };
    let name = report::text::name(&joiner);
    let first = match state {
        Standing::NeedsHuman => "Needs the human",
        _ => "Pending: not decided by the human",
    };
    let text = format!(
        "{first}, who compares the words with those that the joiner reads out and lets {name} in with: {command}\n{}",
        render::about(&request, since)
    );
    let (request, command) = (Some(request), Some(command));
    Reply::new(text, &Approval { room, joiner, state, request, command })
}

/// What is said of a hub that others do not reach.
const LOCAL_HUB: &str = "its hub serves this machine only; for others the human runs: git parler hub --help";

fn form(proposed: Choice) -> ElicitationSchema {
    let proposed = match proposed {
        Choice::Approve => "approve",
        Choice::Deny => "deny",
    };
    let choice = EnumSchema::builder(vec!["approve".to_owned(), "deny".to_owned()])
        .title("Let them in?")
        .enum_titles(vec!["Let them in".to_owned(), "Turn them away, for good".to_owned()])
        .and_then(|choice| choice.with_default(proposed))
        .expect("as many titles as choices, and one of them proposed");
    ElicitationSchema::builder()
        .required_enum_schema("decision", choice.build())
        .build()
        .expect("a form of one choice")
}
