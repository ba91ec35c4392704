//! An agent in a host: the MCP server of a person, spoken to in lines of JSON-RPC, in either era of the protocol.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::people::Person;

/// The revision that a client of the older era speaks.
const OLDER: &str = "2025-11-25";
/// The stateless one.
const NEWER: &str = "2026-07-28";

/// What takes longer than this comes no more, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server, and the host that speaks to it.
pub(crate) struct Agent {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    newest: u64,
    is_newer: bool,
    capabilities: Value,
    /// What came that was no answer, oldest first.
    pub(crate) heard: Vec<Value>,
    /// How the host answers what the server asks the human, as a message has it; without it nothing is declared.
    human: Option<Value>,
}

impl Agent {
    /// Starts the server of `person` for a host of the older era that cannot ask its human.
    pub(crate) fn older(person: &Person<'_>) -> Self {
        Self::start(person, false, None)
    }

    /// Starts the server of `person` for a host of the newer era that cannot ask its human.
    pub(crate) fn newer(person: &Person<'_>) -> Self {
        Self::start(person, true, None)
    }

    /// Starts the server for a host whose human answers every question with `human`, an `ElicitResult`.
    pub(crate) fn with_human(person: &Person<'_>, is_newer: bool, human: Value) -> Self {
        Self::start(person, is_newer, Some(answering("result", human)))
    }

    /// Starts the server for a host of the older era that answers every question to its human with an error of its own.
    pub(crate) fn that_fails_to_ask(person: &Person<'_>, error: Value) -> Self {
        Self::start(person, false, Some(answering("error", error)))
    }

    /// Starts the server for a host of the newer era that hears nothing: whatever the server writes finds nobody.
    pub(crate) fn deaf(person: &Person<'_>) -> Self {
        Self::of(person, true, None, |output| {
            drop(output);
            channel().1
        })
    }

    fn start(person: &Person<'_>, is_newer: bool, human: Option<Value>) -> Self {
        Self::of(person, is_newer, human, lines)
    }

    fn of(
        person: &Person<'_>,
        is_newer: bool,
        human: Option<Value>,
        hears: impl FnOnce(ChildStdout) -> Receiver<String>,
    ) -> Self {
        let mut command = person.command(crate::PROGRAM);
        command.arg("mcp").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("the program starts");
        let (input, output) = (child.stdin.take(), hears(child.stdout.take().expect("it was asked for")));
        let capabilities = human.as_ref().map_or(json!({}), |_| json!({ "elicitation": {} }));
        let (newest, heard) = (0, Vec::new());
        let mut agent = Self { child, input, output, newest, is_newer, capabilities, heard, human };
        if !is_newer {
            let client = json!({ "name": "host", "version": "1" });
            let hello =
                json!({ "protocolVersion": OLDER, "capabilities": agent.capabilities, "clientInfo": client });
            let welcome = agent.ask("initialize", hello);
            assert_eq!(welcome["result"]["protocolVersion"], OLDER, "{welcome}");
            agent.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        }
        agent
    }

    /// Says a line.
    pub(crate) fn say(&mut self, message: &Value) {
        self.say_text(&message.to_string());
    }

    /// Says a line that need not be JSON.
    pub(crate) fn say_text(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(format!("{line}\n").as_bytes()).expect("the server reads");
    }

    /// Begins a request and returns its number.
    pub(crate) fn begin(&mut self, method: &str, mut params: Value) -> u64 {
        self.newest += 1;
        if self.is_newer {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": NEWER,
                "io.modelcontextprotocol/clientCapabilities": self.capabilities,
            });
            let of = params.as_object_mut().expect("parameters are an object");
            let known = of.entry("_meta").or_insert(json!({}));
            known.as_object_mut().expect("an object").extend(meta.as_object().expect("an object").clone());
        }
        let id = self.newest;
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// Reads the next line, which has to come before patience ends.
    fn read(&mut self) -> Value {
        let line = self.output.recv_timeout(PATIENCE);
        assert_ne!(line, Err(RecvTimeoutError::Timeout), "the server says nothing; heard: {:?}", self.heard);
        serde_json::from_str(&line.expect("the server has not ended")).expect("a line is JSON")
    }

    /// Begins to call a tool and returns the number of the request.
    pub(crate) fn begin_call(&mut self, tool: &str, arguments: &Value) -> u64 {
        self.begin("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// Waits for the answer to a request. What the server asks meanwhile, the human answers.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        if let Some(at) =
            self.heard.iter().position(|message| message["id"] == id && message["method"].is_null())
        {
            return self.heard.remove(at);
        }
        loop {
            let message = self.read();
            if message["method"].is_null() && message["id"] == id {
                return message;
            }
            if message["method"] == "elicitation/create" {
                let mut said = self.human.clone().expect("only who declared it is asked");
                said["id"] = message["id"].clone();
                self.say(&said);
            }
            self.heard.push(message);
        }
    }

    /// Waits for a notification of this kind.
    pub(crate) fn notified(&mut self, method: &str) -> Value {
        let known = self.heard.iter().position(|message| message["method"] == method);
        if let Some(at) = known {
            return self.heard.remove(at);
        }
        loop {
            let message = self.read();
            if message["method"] == method {
                return message;
            }
            self.heard.push(message);
        }
    }

    /// Makes a request and returns the whole answer.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        self.answer(id)
    }

    /// Calls a tool and returns its result, good or not. A question is answered by the human.
    pub(crate) fn result(&mut self, tool: &str, arguments: &Value) -> Value {
        let mut params = json!({ "name": tool, "arguments": arguments });
        loop {
            let answer = self.ask("tools/call", params.clone());
            let result = answer["result"].clone();
            assert!(result.is_object(), "{tool}: {answer}");
            if result["resultType"] != "input_required" {
                return result;
            }
            let human = &self.human.as_ref().expect("only who declared it is asked")["result"];
            let asked = result["inputRequests"].as_object().expect("questions");
            let answers = asked.keys().map(|name| (name.clone(), human.clone()));
            params["inputResponses"] = Value::Object(answers.collect());
            params["requestState"] = result["requestState"].clone();
            self.heard.push(result);
        }
    }

    /// Calls a tool that succeeds and returns its facts; each id and text in them stands in the readable form too.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let result = self.result(tool, arguments);
        assert_eq!(result["isError"], false, "{tool} {arguments}: {result}");
        result["structuredContent"].clone()
    }

    /// Calls a tool that fails and returns the sentence, which is all that there is.
    pub(crate) fn refused(&mut self, tool: &str, arguments: &Value) -> String {
        let result = self.result(tool, arguments);
        assert_eq!((&result["isError"], result.get("structuredContent")), (&json!(true), None), "{result}");
        result["content"][0]["text"].as_str().expect("a sentence").to_owned()
    }

    /// Cancels a request.
    pub(crate) fn cancel(&mut self, id: u64) {
        let params = json!({ "requestId": id, "reason": "the test says so" });
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
    }

    /// Ends the input, and returns the exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        drop(self.input.take());
        self.ends()
    }

    /// Waits for the server to end by itself, and returns the exit code.
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let ended = until("the server ends", || self.child.try_wait().expect("a process of ours"));
        ended.code()
    }

    /// Ends the input, and returns what the server still says.
    pub(crate) fn rest(mut self) -> Vec<Value> {
        drop(self.input.take());
        assert_eq!(self.ends(), Some(0));
        self.output.iter().map(|line| serde_json::from_str(&line).expect("a line is JSON")).collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.input.take());
        // It may have ended before.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Returns an answer as messages have it, without its number.
fn answering(kind: &str, said: Value) -> Value {
    let mut answer = json!({ "jsonrpc": "2.0" });
    answer[kind] = said;
    answer
}

/// Reads the lines of a server, so that who waits for one can give up.
fn lines(output: ChildStdout) -> Receiver<String> {
    let (tell, told) = channel();
    // It ends with the output, or with who listens.
    thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        lines.map(|line| tell.send(line)).take_while(Result::is_ok).count()
    });
    told
}

/// Tries something until it comes to something, or patience ends.
pub(crate) fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        thread::yield_now();
    }
}
