//! The lying hub at the command line: whatever the operator shows, nothing of it is taken for true, and nobody is told it.

mod gate;
mod home;
mod login;
mod member;
mod people;
mod session;
mod thief;

use kit::{LyingHub, Run};
use protocol::id::RoomId;
use protocol::key::AgentId;
use serde_json::{Value, json};

use crate::two::{Two, answer};

/// Words that stand in a lie and nowhere else: who finds them on a terminal was lied to.
const MARKER: &str = "surely you can trust this";

/// One user with two clones and a hub to lie to them: three handoffs lie there, of which the newest fits the reader.
struct Home {
    two: Two,
    hub: LyingHub,
    room: RoomId,
    /// The seat that reads.
    reader: AgentId,
}

impl Home {
    fn new() -> Self {
        let (two, hub) = (Two::new(), LyingHub::new(1));
        use_hub(&two, &hub.origin());
        for (behind, summary) in [("main~1", "one"), ("main~2", "two"), ("main~3", "three")] {
            two.push(&["--base", behind, "-m", summary]);
        }
        let room = hub.rooms()[0].0;
        let reader = agent(&answer(&two.env, &two.behind, "whoami", &[])["me"]["id"]);
        Self { two, hub, room, reader }
    }

    /// As [`Home::new`], with a reader who has seen everything before it is lied to.
    fn known() -> Self {
        let home = Self::new();
        assert_eq!(home.summaries(), ["one", "two", "three"]);
        home
    }

    /// Returns what the reader is shown.
    fn summaries(&self) -> Vec<String> {
        let listed = answer(&self.two.env, &self.two.behind, "list", &["--all"]);
        let handoffs = listed["handoffs"].as_array().expect("a list").iter();
        handoffs.map(|row| row["summary"].as_str().expect("a summary").to_owned()).collect()
    }

    /// Returns the id of the newest handoff, which fits the reader.
    fn newest(&self) -> String {
        let entries = self.hub.entries(self.room);
        let (message, _) = entries.last().and_then(|entry| entry.content.as_message()).expect("a message");
        let header = message.clone().verify().expect("the author signed it");
        header.statement().blobs[0].to_string()
    }

    /// Asserts that each command that reads the room fails so, changes nothing and tells nothing.
    fn refuses(&self, code: &str) {
        let before = kit::Snapshot::of(&self.two.behind);
        let newest = self.newest();
        for args in [&["list", "--all"][..], &["show", &newest], &["apply", &newest], &["status"]] {
            refused(&self.two.parler(&[args, &["--json"]].concat()), 1, code);
        }
        let run = self.two.parler(&["apply"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
        assert!(!run.stderr.contains(MARKER), "{}", run.stderr);
        assert_eq!(before.differences(), [""; 0]);
    }
}

/// Asserts that a command with `--json` fails with `exit` and `code` and lets nothing of a lie through.
fn refused(run: &Run, exit: i32, code: &str) {
    let answer: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
    assert_eq!(
        (run.code, &answer["error"]["code"]),
        (Some(exit), &json!(code)),
        "{}{}",
        run.stdout,
        run.stderr
    );
    assert!(!run.stdout.contains(MARKER) && !run.stderr.contains(MARKER), "{}{}", run.stdout, run.stderr);
}

fn use_hub(two: &Two, url: &str) {
    two.env.git(two.env.root(), ["config", "--global", "parler.hub", url]);
}

fn agent(id: &Value) -> AgentId {
    id.as_str().expect("an id").parse().expect("an agent")
}
