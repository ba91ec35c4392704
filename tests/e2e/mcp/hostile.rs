//! An agent that was talked into anything: whatever its calls say, no repository changes, and nothing is written but below parler's
//! own folders. Each call is one that succeeds with one argument of it replaced, so that the tools are reached.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kit::Snapshot;
use serde_json::{Value, json};

use super::Agent;
use crate::people::{People, Person};

/// What an argument of words is replaced by; `{root}` is the folder that is looked at, `{id}` a handoff that there is.
const WORDS: [&str; 22] = [
    "HEAD",
    "HEAD~1",
    "--upload-pack=touch x",
    "--output={root}/evil",
    "-o/etc/passwd",
    "../../evil",
    "{root}/evil",
    "file://{root}/ahead",
    "main..HEAD",
    "refs/heads/main:refs/heads/evil",
    "refs/parler/../heads/evil",
    "a\nb",
    "\u{0}",
    "\u{1b}]0;evil\u{7}",
    "$(touch {root}/evil)",
    "; touch {root}/evil",
    "@{-1}",
    ":/two",
    "HEAD^{/x}",
    "{id}",
    "",
    "home",
];

/// What an argument of another type is replaced by.
fn numbers() -> Vec<Value> {
    vec![
        json!(0),
        json!(1),
        json!(-1),
        json!(51),
        json!(1.5),
        json!(u64::MAX),
        json!("1"),
        json!([]),
        json!({}),
    ]
}

/// How often each tool succeeded, and how often it refused.
#[derive(Default)]
struct Outcomes(BTreeMap<String, (usize, usize)>);

impl Outcomes {
    /// Calls a tool as it is, and then with each of its arguments replaced by each of `words` and numbers.
    fn vary(&mut self, agent: &mut Agent, tool: &str, arguments: &Value, words: &[String]) {
        self.call(agent, tool, arguments);
        for name in arguments.as_object().expect("an object").keys() {
            let words = words.iter().map(|word| json!(word));
            let others: Vec<_> = if arguments[name].is_string() { words.collect() } else { numbers() };
            for other in others {
                let mut varied = arguments.clone();
                varied[name] = other;
                self.call(agent, tool, &varied);
            }
        }
    }

    fn call(&mut self, agent: &mut Agent, tool: &str, arguments: &Value) {
        let result = agent.result(tool, arguments);
        let (went_well, refused) = self.0.entry(tool.to_owned()).or_default();
        *(if result["isError"] == false { went_well } else { refused }) += 1;
    }
}

/// All below a folder but what parler and the hub have for themselves.
struct Surroundings {
    root: PathBuf,
    names: BTreeSet<String>,
    folders: Vec<(PathBuf, Snapshot)>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Surroundings {
    fn of(root: &Path) -> Self {
        let names = Self::names(root);
        let (folders, files): (Vec<_>, Vec<_>) =
            names.iter().map(|name| root.join(name)).partition(|path| path.is_dir());
        let read = |path: PathBuf| (path.clone(), fs::read(path).expect("a file of the test's"));
        let folders = folders.into_iter().map(|path| (path.clone(), Snapshot::of(path)));
        let files = files.into_iter().map(read);
        Self { root: root.to_owned(), names, folders: folders.collect(), files: files.collect() }
    }

    fn names(root: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(root).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let names = entries.map(|name| name.into_string().expect("names of the test's are text"));
        // Data folders of people begin so; the hub has its own, and what it says in a file.
        names.filter(|name| !name.starts_with("p-") && !name.starts_with("hub")).collect()
    }

    fn hold(&self) {
        assert_eq!(Self::names(&self.root), self.names);
        for (path, folder) in &self.folders {
            assert_eq!(folder.differences(), [""; 0], "{}", path.display());
        }
        for (path, content) in &self.files {
            assert!(fs::read(path).expect("it is there") == *content, "{}", path.display());
        }
    }
}

/// Has somebody ask to join, and returns the words of the id.
fn asks(person: &Person<'_>, key: &str) -> String {
    assert_eq!(person.refused(&["join", "--no-wait", key]).0, 3);
    person.seat()
}

#[test]
fn no_call_changes_a_repository_whatever_its_arguments() {
    // More than a person says in a minute.
    let people = People::with(&["--sends-per-agent-minute-max", "10000"]);
    let (ada, bob, carol) = (people.ada(), people.bob(), people.other("carol"));
    let key = ada.opens(&["--topic", "talk"]);
    bob.joins(&key, &ada);
    let base = &people.two.base;
    let id = ada.answer(&["push", "--base", base])["id"].as_str().unwrap().to_owned();
    let joiners = ["dan", "eve", "fay"].map(|name| people.other(name));
    let joiners = joiners.each_ref().map(|joiner| asks(joiner, &key));
    let ahead = people.two.ahead.to_str().unwrap();
    people.two.env.git(ahead, ["config", "parler.mcp.agentMayApprove", "true"]);
    for repository in [&people.two.behind, &people.two.ahead] {
        crate::two::set_traps(&repository.join(".git"));
    }
    let root = people.two.env.root();
    let filled = |word: &&str| word.replace("{root}", root.to_str().unwrap()).replace("{id}", &id);
    let words: Vec<_> = WORDS.iter().map(filled).collect();
    let before = Surroundings::of(root);

    let mut outcomes = Outcomes::default();
    let mut owner = Agent::newer(&ada);
    let push = json!({ "base": base, "rev": "HEAD", "summary": "s", "repo": ahead, "session": "talk" });
    outcomes.vary(&mut owner, "parler_push", &push, &words);
    outcomes.vary(&mut owner, "parler_fetch", &json!({ "id": id, "repo": ahead, "session": "talk" }), &words);
    outcomes.vary(&mut owner, "parler_send", &json!({ "text": "t", "session": "talk" }), &words);
    outcomes.vary(&mut owner, "parler_recv", &json!({ "wait": 0, "session": "talk" }), &words);
    outcomes.vary(&mut owner, "parler_recv", &json!({ "after": 0, "session": "talk" }), &words);
    outcomes.vary(&mut owner, "parler_status", &json!({ "session": "talk" }), &words);
    for (joiner, decision) in joiners.iter().zip(["approve", "deny", "approve"]) {
        let decide = json!({ "joiner": joiner, "decision": decision, "session": "talk" });
        for (name, word) in ["joiner", "decision", "session"]
            .iter()
            .flat_map(|name| words.iter().map(move |word| (name, word)))
        {
            let mut varied = decide.clone();
            varied[name] = json!(word);
            outcomes.call(&mut owner, "parler_approve_join", &varied);
        }
        outcomes.call(&mut owner, "parler_approve_join", &decide);
    }
    outcomes.vary(
        &mut owner,
        "parler_open_session",
        &json!({ "recap": "r", "topic": "t", "ttl": 60 }),
        &words,
    );
    let mut member = Agent::older(&bob);
    outcomes.vary(&mut member, "parler_join_session", &json!({ "key": key, "wait": 0 }), &words);
    outcomes.vary(&mut member, "parler_fetch", &json!({ "id": id }), &words);
    let mut guest = Agent::newer(&carol);
    outcomes.vary(&mut guest, "parler_join_session", &json!({ "key": key, "wait": 0 }), &words);
    assert_eq!([owner, member, guest].map(Agent::end), [Some(0); 3]);
    before.hold();

    assert_eq!(outcomes.0.len(), WELL_MIN.len());
    let well: Vec<_> = outcomes.0.iter().map(|(tool, (well, _))| (tool.as_str(), *well)).collect();
    for ((tool, well), (wanted, min)) in well.iter().zip(WELL_MIN) {
        assert!(*tool == wanted && *well >= min, "{tool} went well {well} times of {:?}", outcomes.0[*tool]);
    }
}

/// How often each tool has to succeed at the least, so that it was reached by words that nobody expects.
const WELL_MIN: [(&str, usize); 8] = [
    ("parler_approve_join", 3),
    ("parler_fetch", 5),
    ("parler_join_session", 5),
    ("parler_open_session", 30),
    ("parler_push", 25),
    ("parler_recv", 7),
    ("parler_send", 15),
    ("parler_status", 1),
];
