//! People at a closed hub: each with a data folder, a name and a repository of an own, as on machines of their own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use kit::Run;
use serde_json::Value;

use crate::served::Served;
use crate::two::Two;

/// A hub that is closed by a secret, and those who know of it.
pub(crate) struct People {
    pub(crate) two: Two,
    pub(crate) hub: Served,
}

/// Somebody with an own data folder.
pub(crate) struct Person<'a> {
    people: &'a People,
    name: String,
    dir: PathBuf,
    variables: Vec<(String, String)>,
}

impl People {
    /// Starts the hub.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// Starts the hub with more options.
    pub(crate) fn with(options: &[&str]) -> Self {
        let two = Two::new();
        fs::write(two.file("secret"), "gpj1-a long and good secret of the owner\n").expect("a file");
        let secret = two.file("secret");
        let options: Vec<_> =
            ["--join-secret-file", &secret].into_iter().chain(options.iter().copied()).collect();
        let hub = Served::start(&two.env, &two.env.path("hub"), &options);
        Self { two, hub }
    }

    /// Returns the owner: who is ahead, has set the hub, and knows its secret.
    pub(crate) fn ada(&self) -> Person<'_> {
        let mut ada = self.person("ada", self.two.ahead.clone());
        ada.variables.push(("PARLER_HUB".to_owned(), self.hub.url()));
        ada.variables.push(("PARLER_JOIN_SECRET_FILE".to_owned(), self.two.file("secret")));
        ada
    }

    /// Returns somebody else, who is behind and knows neither the hub nor its secret.
    pub(crate) fn bob(&self) -> Person<'_> {
        self.person("bob", self.two.behind.clone())
    }

    /// Returns somebody with a clone of their own of what everybody has, made on first use.
    pub(crate) fn other(&self, name: &str) -> Person<'_> {
        let clone = self.two.env.path(name);
        if !clone.exists() {
            self.two.env.git(self.two.env.root(), ["clone", "--quiet", "behind", name]);
        }
        self.person(name, clone)
    }

    fn person(&self, name: &str, dir: PathBuf) -> Person<'_> {
        Person { people: self, name: name.to_owned(), dir, variables: Vec::new() }
    }
}

impl Person<'_> {
    /// Returns `git` as this person runs it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.people.two.env.command(program);
        command.current_dir(&self.dir).env("PARLER_HOME", self.home()).env("USER", &self.name);
        command.env("LOGNAME", &self.name).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Sets a variable for all that this person runs.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Returns the person's data folder.
    pub(crate) fn home(&self) -> PathBuf {
        self.people.two.env.path(format!("p-{}", self.name))
    }

    /// Runs `git parler`, whatever comes of it.
    pub(crate) fn parler(&self, args: &[&str]) -> Run {
        let output = self.command("git").arg("parler").args(args).output().expect("git is there");
        Run::from(output)
    }

    /// As [`Person::parler`], with something on standard input.
    pub(crate) fn parler_with(&self, args: &[&str], input: &[u8]) -> Run {
        let file = self.people.two.file(&format!("input of {}", self.name));
        fs::write(&file, input).expect("a file in a temporary folder");
        let input = fs::File::open(file).expect("it was just written");
        Run::from(self.command("git").arg("parler").args(args).stdin(input).output().expect("git is there"))
    }

    /// Runs a command that succeeds and returns its standard output.
    pub(crate) fn says(&self, args: &[&str]) -> String {
        let run = self.parler(args);
        assert_eq!(run.code, Some(0), "{} {args:?}: {}{}", self.name, run.stdout, run.stderr);
        run.stdout
    }

    /// Runs a command with `--json` and returns its answer.
    pub(crate) fn answer(&self, args: &[&str]) -> Value {
        let args: Vec<_> = args.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.says(&args)).expect("the answer is JSON")
    }

    /// Runs a command with `--json` that fails, and returns exit code and error.
    pub(crate) fn refused(&self, args: &[&str]) -> (i32, String) {
        let args: Vec<_> = args.iter().copied().chain(["--json"]).collect();
        let run = self.parler(&args);
        let answer: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
        let code = answer["error"]["code"].as_str().unwrap_or("no error").to_owned();
        (run.code.expect("no signal"), code)
    }

    /// Starts a command whose output can be read while it runs.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let mut command = self.command(crate::PROGRAM);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("it was asked for"));
        let err = BufReader::new(child.stderr.take().expect("it was asked for"));
        Running { child, out, err }
    }

    /// Opens a session and returns its key.
    pub(crate) fn opens(&self, args: &[&str]) -> String {
        let args: Vec<_> = ["open"].iter().chain(args).copied().collect();
        self.answer(&args)["key"].as_str().expect("a key").to_owned()
    }

    /// Asks to join by `key`, and is let in by `owner`.
    pub(crate) fn joins(&self, key: &str, owner: &Person<'_>) -> Value {
        let asked = self.refused(&["join", "--no-wait", key]);
        assert_eq!(asked, (3, "pending".to_owned()));
        owner.says(&["approve", &self.seat()]);
        self.answer(&["join", key])
    }

    /// Returns the id of this person's seat.
    pub(crate) fn seat(&self) -> String {
        self.answer(&["whoami"])["me"]["id"].as_str().expect("an id").to_owned()
    }

    /// Returns what was said that is new to this person, as `name: text`.
    pub(crate) fn hears(&self) -> Vec<String> {
        texts(&self.answer(&["recv"]))
    }
}

/// A command that runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) out: BufReader<std::process::ChildStdout>,
    pub(crate) err: BufReader<std::process::ChildStderr>,
}

impl Running {
    /// Waits for a line on standard error that begins so, and returns the rest of it.
    pub(crate) fn told(&mut self, beginning: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.err.read_line(&mut line).expect("standard error is text");
            assert!(read > 0, "it ended before it said `{beginning}`");
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Waits for a line on standard output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("standard output is text");
        line
    }

    /// Sends Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a process of ours");
    }

    /// Waits for its end and returns its exit code and the rest of its standard output.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.out, &mut rest).expect("standard output is text");
        (self.child.wait().expect("a process of ours").code(), rest)
    }
}

/// Returns the texts of an answer of `recv`, `log` or `join`, as `name: text`.
pub(crate) fn texts(answer: &Value) -> Vec<String> {
    let messages = answer["messages"].as_array().expect("messages").iter();
    let said = messages.filter(|message| message["kind"] == "text");
    said.map(|message| {
        let name = message["from"]["name"].as_str().expect("a name");
        format!("{name}: {}", message["text"].as_str().expect("a text"))
    })
    .collect()
}

/// The output of a terminal, of which one waits for parts that need not be lines.
pub(crate) struct Lines<R> {
    out: R,
    seen: String,
}

impl<R: std::io::Read> Lines<R> {
    pub(crate) fn of(out: R) -> Self {
        Self { out, seen: String::new() }
    }

    /// Waits for `part` and returns the line in which it stands as far as it is there; drops what was before.
    pub(crate) fn until(&mut self, part: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(part) {
                let from = self.seen[..at].rfind('\n').map_or(0, |end| end + 1);
                let rest = self.seen[from..].to_owned();
                if part.ends_with(']') {
                    self.seen = self.seen[at + part.len()..].to_owned();
                    return rest;
                }
                if let Some((line, after)) = rest.split_once('\n') {
                    self.seen = after.to_owned();
                    return line.to_owned();
                }
            }
            let mut piece = [0; 4096];
            let read = self.out.read(&mut piece).expect("a terminal can be read");
            assert!(read > 0, "it ended before it said `{part}`: {}", self.seen);
            self.seen += &String::from_utf8_lossy(&piece[..read]);
        }
    }
}
