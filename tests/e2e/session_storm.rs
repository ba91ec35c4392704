//! A session over lines that are cut all the time, through a hub that is killed: two people send and follow meanwhile.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use kit::{Line, Random, Run};
use serde_json::Value;

use crate::PROGRAM;
use crate::people::texts;
use crate::served::Served;
use crate::two::Two;

/// How often the hub is killed, and how much each of the two says meanwhile.
fn effort() -> (usize, usize) {
    if kit::is_long() { (40, 120) } else { (3, 12) }
}

struct Storm {
    two: Two,
    line: Line,
}

#[derive(Clone, Copy)]
struct Person<'a> {
    storm: &'a Storm,
    name: &'static str,
}

impl Storm {
    fn new(seed: u64, bytes_max: u64) -> Self {
        Self { two: Two::new(), line: Line::new(seed, bytes_max) }
    }

    fn start(&self) -> Served {
        let options = ["--open", "--sends-per-agent-minute-max", "100000"];
        Served::behind(&self.line, &self.two.env, "hub", &options)
    }

    fn person(&self, name: &'static str) -> Person<'_> {
        Person { storm: self, name }
    }
}

impl Person<'_> {
    fn dir(&self) -> PathBuf {
        let two = &self.storm.two;
        if self.name == "ada" { two.ahead.clone() } else { two.behind.clone() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let env = &self.storm.two.env;
        let mut command = env.command(PROGRAM);
        command.args(args).current_dir(self.dir()).env("PARLER_HOME", env.path(format!("p-{}", self.name)));
        command.env("USER", self.name).env("LOGNAME", self.name).env("PARLER_HUB", self.storm.line.origin());
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        Run::from(self.command(args).output().expect("the program starts"))
    }

    /// Runs a command with `--json` until it is done: one that finds no hub is run again, as a person would.
    fn answer(&self, args: &[&str]) -> Value {
        loop {
            let run = self.run(&[args, &["--json"]].concat());
            if run.code == Some(0) {
                return serde_json::from_str(&run.stdout).expect("the answer is JSON");
            }
            assert_eq!(run.code, Some(6), "{} {args:?}: {}{}", self.name, run.stdout, run.stderr);
        }
    }

    /// Says something; where that was not answered, looks first whether it stands there.
    fn says(&self, text: &str) {
        while self.run(&["send", text]).code != Some(0) {
            let said = self.answer(&["log"]);
            if texts(&said).iter().any(|said| said.ends_with(&format!(": {text}"))) {
                return;
            }
        }
    }

    /// Starts following, and collects until `count` texts were shown.
    fn follows(&self, count: usize) -> (Child, thread::JoinHandle<Vec<String>>) {
        let mut command = self.command(&["recv", "--follow", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let collecting = thread::spawn(move || {
            let mut shown = Vec::new();
            for line in lines {
                let answer: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
                assert_eq!(answer["flags"], serde_json::json!([]), "an honest hub is not suspected");
                shown.extend(texts(&answer));
                if shown.len() >= count {
                    break;
                }
            }
            shown
        });
        (child, collecting)
    }
}

#[test]
fn two_who_talk_through_a_storm_hear_each_other_once_and_in_order() {
    let (kills, count) = effort();
    let storm = Storm::new(3, 200_000);
    let mut hub = storm.start();
    let (ada, bob) = (storm.person("ada"), storm.person("bob"));
    let key = ada.answer(&["open"])["key"].as_str().unwrap().to_owned();
    assert_eq!(bob.run(&["join", "--no-wait", &key]).code, Some(3));
    ada.answer(&["approve", "bob/behind"]);
    bob.answer(&["join", &key]);
    let said = |name: &str| (0..count).map(|at| format!("{name}-{at}")).collect::<Vec<_>>();
    let (mut by_ada, ada_heard) = ada.follows(count);
    let (mut by_bob, bob_heard) = bob.follows(count);
    thread::scope(|scope| {
        let speakers = [ada, bob].map(|person| {
            let said = said(person.name);
            scope.spawn(move || said.iter().for_each(|text| person.says(text)))
        });
        let mut random = Random::new(5);
        for _ in 0..kills {
            let entries = storm.line.bytes_up() + 2_000 + random.below(8_000) as u64;
            while storm.line.bytes_up() < entries && speakers.iter().any(|speaker| !speaker.is_finished()) {
                thread::yield_now();
            }
            hub.kill();
            storm.line.cut_all();
            hub = storm.start();
        }
    });
    let wanted = |name: &str, seat: &str| {
        said(name).iter().map(|text| format!("{name}/{seat}: {text}")).collect::<Vec<_>>()
    };
    assert_eq!(ada_heard.join().unwrap(), wanted("bob", "behind"));
    assert_eq!(bob_heard.join().unwrap(), wanted("ada", "ahead"));
    for child in [&mut by_ada, &mut by_bob] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let logs = [ada, bob].map(|person| person.answer(&["log"])["messages"].clone());
    assert_eq!(logs[0], logs[1], "the same verified log");
    assert!(storm.line.cuts() > kills as u64, "{} cuts", storm.line.cuts());
}
