//! Two users in a session at the lying hub, each with a data folder of an own.

use std::fs;
use std::path::{Path, PathBuf};

use kit::{LyingHub, Run};
use protocol::id::RoomId;
use protocol::key::AgentId;
use serde_json::Value;

use super::{MARKER, agent};
use crate::two::Two;

/// A session that Ada has opened and to which she has admitted Bob. She has said "one" and he "two", and both were heard.
pub(super) struct Session {
    pub(super) two: Two,
    pub(super) hub: LyingHub,
    pub(super) room: RoomId,
    pub(super) key: String,
}

/// Somebody with a data folder.
pub(super) struct Person<'a> {
    session: &'a Session,
    name: &'static str,
    dir: &'a Path,
}

impl Session {
    pub(super) fn new() -> Self {
        let mut session = Self::opened();
        session.lets_in_bob();
        let (ada, bob) = (session.ada(), session.bob());
        ada.says(&["send", "one"]);
        assert_eq!(bob.hears(), ["one"]);
        bob.says(&["send", "two"]);
        assert_eq!(ada.hears().last().map(String::as_str), Some("two"));
        session
    }

    /// Returns one in which Ada is alone.
    pub(super) fn opened() -> Self {
        let (two, hub) = (Two::new(), LyingHub::new(1));
        let (room, key) = (RoomId::from_bytes([0; 32]), String::new());
        let mut session = Self { two, hub, room, key };
        let opened = session.ada().answer(&["open", "--topic", "lies"]);
        session.room = opened["room"].as_str().expect("a room").parse().expect("an id");
        opened["key"].as_str().expect("a key").clone_into(&mut session.key);
        session
    }

    fn lets_in_bob(&mut self) {
        let (ada, bob) = (self.ada(), self.bob());
        bob.asks();
        ada.says(&["approve", "bob/behind"]);
        bob.says(&["join", &self.key]);
    }

    pub(super) fn ada(&self) -> Person<'_> {
        Person { session: self, name: "ada", dir: &self.two.ahead }
    }

    pub(super) fn bob(&self) -> Person<'_> {
        Person { session: self, name: "bob", dir: &self.two.behind }
    }

    /// Returns a third, who stands in Bob's repository and is another user.
    pub(super) fn eve(&self) -> Person<'_> {
        Person { session: self, name: "eve", dir: &self.two.behind }
    }
}

impl Person<'_> {
    fn home(&self) -> PathBuf {
        self.session.two.env.path(format!("p-{}", self.name))
    }

    /// Runs `git parler`, whatever comes of it.
    pub(super) fn parler(&self, args: &[&str]) -> Run {
        let mut command = self.session.two.env.command("git");
        command.arg("parler").args(args).current_dir(self.dir).env("PARLER_HOME", self.home());
        command.env("USER", self.name).env("LOGNAME", self.name).env("PARLER_HUB", self.session.hub.origin());
        Run::from(command.output().expect("git is there"))
    }

    /// Runs a command that succeeds and returns its standard output.
    pub(super) fn says(&self, args: &[&str]) -> String {
        let run = self.parler(args);
        assert_eq!(run.code, Some(0), "{} {args:?}: {}{}", self.name, run.stdout, run.stderr);
        run.stdout
    }

    /// Runs a command with `--json` and returns its answer.
    pub(super) fn answer(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[args, &["--json"]].concat())).expect("the answer is JSON")
    }

    pub(super) fn id(&self) -> AgentId {
        agent(&self.answer(&["whoami"])["me"]["id"])
    }

    /// Opens another session, which is in use from then on.
    pub(super) fn opens(&self) -> RoomId {
        self.answer(&["open"])["room"].as_str().expect("a room").parse().expect("an id")
    }

    /// Files a request to join and does not wait.
    pub(super) fn asks(&self) {
        let run = self.parler(&["join", "--no-wait", &self.session.key]);
        assert_eq!(run.code, Some(3), "{}{}", run.stdout, run.stderr);
    }

    /// Returns what `recv` says, an entry a line: its text, or the one word for why there is none. It goes well.
    pub(super) fn hears(&self) -> Vec<String> {
        told(&self.answer(&["recv"]))
    }

    /// As [`Person::hears`], with a last line `fork` where the whole room is flagged so and the command fails for it.
    pub(super) fn hears_oddly(&self) -> Vec<String> {
        let run = self.parler(&["recv", "--json"]);
        let answer: Value = serde_json::Deserializer::from_str(&run.stdout)
            .into_iter()
            .next()
            .and_then(Result::ok)
            .expect("an answer in JSON");
        let mut told = told(&answer);
        if answer["flags"].as_array().is_some_and(|flags| flags.contains(&"fork".into())) {
            assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
            told.push("fork".to_owned());
        } else {
            assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        }
        told
    }

    /// Returns what `log` says, as [`Person::hears`] does.
    pub(super) fn remembers(&self) -> Vec<String> {
        told(&self.answer(&["log"]))
    }

    /// Asserts that nothing that a person reads holds the lie.
    pub(super) fn tells_no_lie(&self) {
        for args in [&["log"][..], &["recv"], &["sessions"], &["status"], &["requests"], &["log", "--json"]] {
            let run = self.parler(args);
            assert!(!run.stdout.contains(MARKER) && !run.stderr.contains(MARKER), "{args:?}: {}", run.stdout);
        }
    }

    /// Counts the files of evidence against the hub.
    pub(super) fn evidence(&self) -> usize {
        let folder = self.home().join("evidence");
        fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

fn told(answer: &Value) -> Vec<String> {
    let messages = answer["messages"].as_array().expect("messages").iter();
    messages
        .map(|message| {
            let flags = message["flags"].as_array().expect("flags").iter().filter_map(Value::as_str);
            let text = message["text"].as_str().unwrap_or_default().to_owned();
            let signature = message["signature"].as_str().expect("a signature");
            match signature {
                "valid" | "none" => {
                    flags.map(str::to_owned).chain([text]).collect::<Vec<_>>().join(" ").trim().to_owned()
                }
                other => {
                    assert_eq!(text, "", "of what does not hold nothing is shown");
                    other.to_owned()
                }
            }
        })
        .collect()
}
