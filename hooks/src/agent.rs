//! Hooks of agent hosts: at which moments an agent is told that something waits for it, in which words, and when it is let be.

use serde_json::{Value, json};

use crate::limits::{NAME_CHARS_MAX, NAMES_MAX};

/// A program in which an agent works, and which runs hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Claude Code.
    ClaudeCode,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// Cursor.
    Cursor,
    /// OpenCode, by a plugin of ours.
    OpenCode,
}

/// What has come for an agent at its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A session with its model begins.
    Start,
    /// A human has said something.
    Prompt,
    /// It has ended its turn.
    End,
}

/// What waits for an agent that it has neither received nor been told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News<'a> {
    /// Messages.
    pub messages: u64,
    /// Handoffs.
    pub handoffs: u64,
    /// Whose they are, cleaned.
    pub names: &'a [String],
}

/// How the turn that ends has come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Whether a hook has made the agent go on, where the host says so.
    pub is_woken: Option<bool>,
    /// How often a hook has in a row.
    pub wakes: u32,
    /// How often it may.
    pub wakes_max: u32,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What the host reads; nothing where there is nothing to say.
    pub output: Option<String>,
    /// How often a hook has made the agent go on in a row now.
    pub wakes: u32,
}

impl Host {
    /// Returns the host of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "claude-code" => Self::ClaudeCode,
            "codex" => Self::Codex,
            "gemini" => Self::Gemini,
            "cursor" => Self::Cursor,
            "opencode" => Self::OpenCode,
            _ => return None,
        })
    }

    /// Returns the events of this host that are listened to, by its own names.
    ///
    /// ```
    /// use hooks::{Host, Moment};
    ///
    /// assert_eq!(Host::Gemini.events()[0], ("AfterAgent", Moment::End));
    /// ```
    pub const fn events(self) -> [(&'static str, Moment); 3] {
        let (end, start, prompt) = match self {
            Self::ClaudeCode | Self::Codex => ("Stop", "SessionStart", "UserPromptSubmit"),
            Self::Gemini => ("AfterAgent", "SessionStart", "BeforeAgent"),
            Self::Cursor => ("stop", "sessionStart", "beforeSubmitPrompt"),
            Self::OpenCode => ("session.idle", "session.created", "chat.message"),
        };
        [(end, Moment::End), (start, Moment::Start), (prompt, Moment::Prompt)]
    }

    /// Returns what an event of this host is.
    pub fn moment(self, event: &str) -> Option<Moment> {
        self.events().into_iter().find(|(name, _)| *name == event).map(|(_, moment)| moment)
    }

    /// Says whether what is said at this moment comes to the agent at all.
    const fn hears(self, moment: Moment) -> bool {
        match (self, moment) {
            (_, Moment::End)
            | (Self::ClaudeCode | Self::Codex | Self::Gemini, _)
            | (Self::Cursor, Moment::Start) => true,
            (Self::Cursor | Self::OpenCode, Moment::Start | Moment::Prompt) => false,
        }
    }

    /// Puts `text` into the form in which this host takes it.
    fn output(self, moment: Moment, text: &str) -> String {
        let event = self.events().into_iter().find(|(_, known)| *known == moment).map(|(name, _)| name);
        let answer: Value = match (self, moment) {
            (Self::OpenCode, _) => return text.to_owned(),
            (Self::ClaudeCode | Self::Codex, Moment::End) => json!({"decision": "block", "reason": text}),
            (Self::Gemini, Moment::End) => json!({"decision": "deny", "reason": text}),
            (Self::Cursor, Moment::End) => json!({"followup_message": text}),
            (Self::Cursor, _) => json!({"additional_context": text}),
            (_, Moment::Start | Moment::Prompt) => {
                json!({"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}})
            }
        };
        answer.to_string()
    }
}

impl News<'_> {
    /// Says so in one sentence, in which nothing of a peer stands but names; `None` where there is nothing.
    ///
    /// ```
    /// let names = ["ada/alice".to_owned()];
    /// let news = hooks::News { messages: 2, handoffs: 1, names: &names };
    /// assert_eq!(news.sentence().unwrap(), "2 new messages and 1 new handoff from ada/alice: call parler_recv");
    /// ```
    pub fn sentence(&self) -> Option<String> {
        let count = |count: u64, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 new {one}")),
            count => Some(format!("{count} new {many}")),
        };
        let messages = count(self.messages, "message", "messages");
        let what = [messages, count(self.handoffs, "handoff", "handoffs")];
        let what = what.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let mut names: Vec<String> = self.names.iter().take(NAMES_MAX).map(|name| shortened(name)).collect();
        match self.names.len().saturating_sub(NAMES_MAX) {
            0 => {}
            1 => names.push("1 other".to_owned()),
            others => names.push(format!("{others} others")),
        }
        (!what.is_empty()).then(|| format!("{what} from {}: call parler_recv", names.join(", ")))
    }
}

fn shortened(name: &str) -> String {
    let mut chars = name.chars();
    let short: String = chars.by_ref().take(NAME_CHARS_MAX).collect();
    if chars.next().is_some() { short + "…" } else { short }
}

/// Says what a host is answered. An agent that has ended its turn goes on where there is news, at most `wakes_max` times in a row;
/// then it is let be until a human speaks to it, or there is nothing new.
pub fn reply(host: Host, moment: Moment, news: &News<'_>, turn: &Turn) -> Reply {
    let wakes = match (moment, turn.is_woken) {
        (Moment::Start | Moment::Prompt, _) | (Moment::End, Some(false)) => 0,
        (Moment::End, _) => turn.wakes,
    };
    let Some(sentence) = news.sentence() else {
        return Reply { output: None, wakes: if moment == Moment::End { 0 } else { wakes } };
    };
    if !host.hears(moment) || (moment == Moment::End && wakes >= turn.wakes_max) {
        return Reply { output: None, wakes };
    }
    let output = Some(host.output(moment, &sentence));
    Reply { output, wakes: wakes + u32::from(moment == Moment::End) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [Host; 5] = [Host::ClaudeCode, Host::Codex, Host::Gemini, Host::Cursor, Host::OpenCode];
    const TURN: Turn = Turn { is_woken: None, wakes: 0, wakes_max: 3 };

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_sentence_counts_and_names_and_says_nothing_else() {
        let ada = names(&["ada/a"]);
        let many = names(&["a", "b", "c", "d", "e"]);
        let long = names(&[&"x".repeat(100)]);
        for (messages, handoffs, names, sentence) in [
            (0, 0, &ada, None),
            (1, 0, &ada, Some("1 new message from ada/a: call parler_recv".to_owned())),
            (0, 2, &ada, Some("2 new handoffs from ada/a: call parler_recv".to_owned())),
            (
                3,
                1,
                &many,
                Some("3 new messages and 1 new handoff from a, b, c, 2 others: call parler_recv".to_owned()),
            ),
            (
                1,
                0,
                &long,
                Some(format!("1 new message from {}…: call parler_recv", "x".repeat(NAME_CHARS_MAX))),
            ),
        ] {
            assert_eq!(News { messages, handoffs, names }.sentence(), sentence);
        }
    }

    #[test]
    fn each_host_is_answered_in_its_own_form() {
        let ada = names(&["ada"]);
        let news = News { messages: 1, handoffs: 0, names: &ada };
        let sentence = "1 new message from ada: call parler_recv";
        let context = |event: &str| {
            format!(
                r#"{{"hookSpecificOutput":{{"hookEventName":"{event}","additionalContext":"{sentence}"}}}}"#
            )
        };
        let block = format!(r#"{{"decision":"block","reason":"{sentence}"}}"#);
        for (host, end, start, prompt) in [
            (
                Host::ClaudeCode,
                block.clone(),
                Some(context("SessionStart")),
                Some(context("UserPromptSubmit")),
            ),
            (Host::Codex, block.clone(), Some(context("SessionStart")), Some(context("UserPromptSubmit"))),
            (
                Host::Gemini,
                block.replace("block", "deny"),
                Some(context("SessionStart")),
                Some(context("BeforeAgent")),
            ),
            (
                Host::Cursor,
                format!(r#"{{"followup_message":"{sentence}"}}"#),
                Some(format!(r#"{{"additional_context":"{sentence}"}}"#)),
                None,
            ),
            (Host::OpenCode, sentence.to_owned(), None, None),
        ] {
            let output = |moment| reply(host, moment, &news, &TURN).output;
            assert_eq!(
                (output(Moment::End), output(Moment::Start), output(Moment::Prompt)),
                (Some(end), start, prompt)
            );
        }
    }

    #[test]
    fn an_agent_is_let_be_after_so_many_times_in_a_row() {
        let ada = names(&["ada"]);
        let (news, none) =
            (News { messages: 1, handoffs: 0, names: &ada }, News { messages: 0, handoffs: 0, names: &ada });
        for host in HOSTS {
            let mut wakes = 0;
            let mut ends = |news: &News<'_>, is_woken| {
                let said = reply(host, Moment::End, news, &Turn { wakes, is_woken, ..TURN });
                wakes = said.wakes;
                said.output.is_some()
            };
            let woken: Vec<_> = (0..5).map(|turn| ends(&news, Some(turn > 0))).collect();
            assert_eq!(woken, [true, true, true, false, false], "{host:?}");
            // A human has spoken, as the host says.
            assert!(ends(&news, Some(false)));
            // Where it does not say, the row ends when there is nothing new.
            assert!(ends(&news, None) && ends(&news, None) && !ends(&news, None));
            assert!(!ends(&none, None) && ends(&news, None));
            let prompted = reply(host, Moment::Prompt, &none, &Turn { wakes: 3, ..TURN });
            assert_eq!(prompted, Reply { output: None, wakes: 0 });
        }
    }

    #[test]
    fn every_event_of_every_host_is_known() {
        for host in HOSTS {
            for (event, moment) in host.events() {
                assert_eq!(host.moment(event), Some(moment));
            }
            assert_eq!(host.moment("PreToolUse"), None);
        }
        assert_eq!(Host::named("vscode"), None);
    }
}
