//! Prompts: what a human picks from the host's menu.

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{ErrorData, GetPromptResult, PromptMessage, Role};
use rmcp::{prompt, prompt_router};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::server::Server;

#[derive(Debug, Deserialize, JsonSchema)]
struct Share {
    /// What the session is about
    topic: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Join {
    /// The key that the owner of the session gave you
    key: String,
}

#[prompt_router(router = "all_prompts", vis = "pub(crate)")]
impl Server {
    #[prompt(
        name = "share",
        title = "Share this work",
        description = "Open a session and offer the commits of this branch"
    )]
    async fn share(&self, Parameters(share): Parameters<Share>) -> Result<GetPromptResult, ErrorData> {
        let topic = share.topic.map_or_else(String::new, |topic| format!(" with the topic {topic:?}"));
        let text = format!(
            "Open a session with parler_open_session{topic}: sum up in the recap what we are doing and what is still open. Show me \
             the line for who is to join, word for word. Then offer the commits of this branch with parler_push, on top of the \
             branch it came from."
        );
        Ok(said("Share this work", text))
    }

    #[prompt(
        name = "join",
        title = "Join a session",
        description = "Ask to join a session and read what was said"
    )]
    async fn join(&self, Parameters(join): Parameters<Join>) -> Result<GetPromptResult, ErrorData> {
        let text = format!(
            "Ask to join with parler_join_session and this key: {}\nShow me the words that it answers with, so that I can read them \
             to the owner. While it says pending, call it again with the same key and wait. Once we are in, sum up what was said.",
            protocol::clean::line(&join.key)
        );
        Ok(said("Join a session", text))
    }
}

fn said(what: &str, text: String) -> GetPromptResult {
    GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).with_description(what)
}
