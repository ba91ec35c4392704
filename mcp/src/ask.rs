//! Asking the human through the host, in both eras of the protocol: the older one has requests from server to client, in the
//! newer one the tool answers that input is wanted and is called again with it.

use rmcp::model::{
    CallToolResponse, ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction,
    ElicitationSchema, ErrorCode, InputRequest, InputRequests, InputRequiredResult, InputResponses,
    RequestStateCodec, SealOptions, ServerRequest,
};
use rmcp::service::{PeerRequestOptions, RequestContext, RoleServer, ServiceError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::host::Problem;
use crate::limits::QUESTION_TIME_MAX;
use crate::server::is_newer;

/// A question to the human.
#[derive(Debug)]
pub(crate) struct Question {
    /// By which name its answer comes back.
    pub(crate) name: &'static str,
    /// What the answer is for: the tool and whom it is about. An answer to something else does not count.
    pub(crate) about: String,
    /// The question.
    pub(crate) text: String,
    /// What may be answered.
    pub(crate) form: ElicitationSchema,
}

/// What came of a question.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The tool has to answer with this and is called again.
    Again(CallToolResponse),
    /// The human filled the form in.
    Answered(Value),
    /// Nobody answered, or somebody who is not there: what hosts without a human say is no "no".
    Unanswered,
    /// The host cannot ask.
    CannotAsk,
}

/// What a call that comes again brings.
#[derive(Debug, Default)]
pub(crate) struct Returned {
    pub(crate) answers: Option<InputResponses>,
    pub(crate) state: Option<String>,
}

/// What is sealed into the state, so that an answer is to this server's question and to no other.
#[derive(Serialize, Deserialize)]
struct Sealed {
    name: String,
}

/// Seals the states of this process.
#[derive(Debug)]
pub(crate) struct Asker {
    codec: RequestStateCodec,
}

impl Asker {
    /// Makes a key of its own: a state does not outlast the server.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self { codec: RequestStateCodec::try_new(key).expect("32 bytes are enough") })
    }

    /// Asks the human, or reads what the human answered.
    pub(crate) async fn ask(
        &self,
        context: &RequestContext<RoleServer>,
        returned: Returned,
        question: Question,
    ) -> Result<Asked, Problem> {
        if !can_ask(context) {
            return Ok(Asked::CannotAsk);
        }
        let form = ElicitRequestParams::FormElicitationParams {
            meta: None,
            message: question.text.clone(),
            requested_schema: question.form.clone(),
        };
        if is_newer(context) {
            return self.ask_by_answer(returned, &question, form);
        }
        ask_by_request(context, form).await
    }

    fn ask_by_answer(
        &self,
        returned: Returned,
        question: &Question,
        form: ElicitRequestParams,
    ) -> Result<Asked, Problem> {
        let answer = returned.answers.as_ref().and_then(|answers| answers.get(question.name));
        if let Some(answer) = answer {
            let refused = |why: &str| Problem {
                code: "bad_request",
                message: format!("the answer to the question does not count: {why}"),
                hint: Some("call the tool again without an answer".to_owned()),
            };
            let state = returned.state.ok_or_else(|| refused("its state is missing"))?;
            let sealed = self.codec.open_json_with::<Sealed>(&state, question.about.as_bytes());
            let sealed = sealed.map_err(|_| refused("its state is not of this question, or too old"))?;
            if sealed.name != question.name {
                return Err(refused("its state is of another question"));
            }
            let result = serde_json::from_value::<ElicitResult>(answer.clone());
            return Ok(result.map_or(Asked::Unanswered, accepted));
        }
        let options = SealOptions::new().associated_data(question.about.as_bytes()).ttl(QUESTION_TIME_MAX);
        let sealed = self.codec.seal_json_with(&Sealed { name: question.name.to_owned() }, &options);
        let sealed = sealed.map_err(|error| Problem {
            code: "internal",
            message: format!("the question cannot be sealed: {error}"),
            hint: None,
        })?;
        let mut requests = InputRequests::new();
        requests.insert(question.name.to_owned(), InputRequest::Elicitation(ElicitRequest::new(form)));
        Ok(Asked::Again(InputRequiredResult::new(Some(requests), Some(sealed)).into()))
    }
}

/// Says whether the host shows forms to its human.
fn can_ask(context: &RequestContext<RoleServer>) -> bool {
    let declared = context.client_capabilities().and_then(|of| of.elicitation);
    // Neither kind named means forms, as the older revisions have it.
    declared.is_some_and(|kinds| kinds.form.is_some() || kinds.url.is_none())
}

/// Asks by a request of its own, which is withdrawn when the call is cancelled.
async fn ask_by_request(
    context: &RequestContext<RoleServer>,
    form: ElicitRequestParams,
) -> Result<Asked, Problem> {
    let request = ServerRequest::ElicitRequest(ElicitRequest::new(form));
    let sent = context.peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
    let Ok(mut question) = sent else { return Ok(Asked::Unanswered) };
    let withdrawn = tokio::select! {
        answer = &mut question.rx => {
            return Ok(match answer {
                Ok(Ok(ClientResult::ElicitResult(result))) => accepted(result),
                // A host that declares it and does not know it is one that cannot.
                Ok(Err(ServiceError::McpError(error))) if error.code == ErrorCode::METHOD_NOT_FOUND => Asked::CannotAsk,
                Ok(Ok(_) | Err(_)) | Err(_) => Asked::Unanswered,
            });
        }
        () = context.ct.cancelled() => "the call was cancelled",
        () = tokio::time::sleep(QUESTION_TIME_MAX) => "nobody answered",
    };
    // The host may be gone by now; then there is no question any more.
    question.cancel(Some(withdrawn.to_owned())).await.ok();
    Ok(Asked::Unanswered)
}

fn accepted(result: ElicitResult) -> Asked {
    match (result.action, result.content) {
        (ElicitationAction::Accept, Some(content)) => Asked::Answered(content),
        _ => Asked::Unanswered,
    }
}
