//! The server over two streams, lent a program in which something is wrong.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use client::local_hub::LocalHubControl;
use client::{Settings, VerifiedBlob, VerifiedHandoff};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines};

use super::*;
use crate::host::{Built, Previewed, Purpose, Range};

/// What is wrong with the program.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// Its settings cannot be used.
    Settings,
    /// It breaks.
    Panic,
}

impl Host for Fault {
    fn settings(&self, _purpose: &Purpose) -> Result<Settings, Problem> {
        match self {
            Self::Settings => Err(Problem {
                code: "bad_config",
                message: "`parler.hub` is nonsense".to_owned(),
                hint: Some("mend it".to_owned()),
            }),
            Self::Panic => panic!("an error of ours"),
        }
    }

    fn starter(&self, _settings: &Settings) -> Arc<dyn LocalHubControl> {
        unreachable!("there are no settings")
    }

    fn problem(&self, _error: client::Error) -> Problem {
        unreachable!("there is no client")
    }

    fn agent_may_approve(&self) -> Result<bool, Problem> {
        Ok(false)
    }
}

impl Repositories for Fault {
    fn build(&self, _range: &Range, _out: &mut dyn Write) -> Result<Built, Problem> {
        unreachable!("there is no client")
    }

    fn preview(
        &self,
        _repo: Option<PathBuf>,
        _handoff: VerifiedHandoff,
        _blob: VerifiedBlob,
    ) -> Result<Previewed, Problem> {
        unreachable!("there is no client")
    }
}

/// A client of the newer era at the other end.
struct Peer {
    input: DuplexStream,
    output: Lines<BufReader<DuplexStream>>,
    newest: u64,
    serving: tokio::task::JoinHandle<Result<(), ServeError>>,
}

impl Peer {
    fn of(fault: Fault, invite: Result<Option<SessionKey>, Problem>) -> Self {
        let ((input, theirs), (output, ours)) = (tokio::io::duplex(1 << 16), tokio::io::duplex(1 << 16));
        let (host, repositories) = (Arc::new(fault), Arc::new(fault));
        let setup = Setup { host, repositories, invite, version: "1".to_owned() };
        let serving = tokio::spawn(serve_on(setup, theirs, ours));
        Self { input, output: BufReader::new(output).lines(), newest: 0, serving }
    }

    async fn begin(&mut self, method: &str, mut params: Value) -> u64 {
        self.newest += 1;
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let request = json!({ "jsonrpc": "2.0", "id": self.newest, "method": method, "params": params });
        self.input.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        self.newest
    }

    async fn answer(&mut self, id: u64) -> Value {
        loop {
            let line = tokio::time::timeout(Duration::from_secs(60), self.output.next_line());
            let line = line.await.expect("an answer in time").unwrap().expect("the server goes on");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id {
                return message;
            }
        }
    }

    /// Asks where the agent stands, and returns the sentence.
    async fn status(&mut self) -> String {
        let id = self.begin("tools/call", json!({ "name": "parler_status", "arguments": {} })).await;
        let answer = self.answer(id).await;
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        answer["result"]["content"][0]["text"].as_str().unwrap().to_owned()
    }

    async fn end(self) {
        drop(self.input);
        assert!(self.serving.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn what_breaks_is_answered_and_the_server_goes_on() {
    let mut peer = Peer::of(Fault::Panic, Ok(None));
    for _ in 0..2 {
        let told = peer.status().await;
        assert!(told.contains("an error of git-parler itself (internal)\nhint: "), "{told}");
    }
    peer.end().await;
}

#[tokio::test]
async fn a_line_that_is_too_long_is_answered_by_its_id() {
    let mut peer = Peer::of(Fault::Settings, Ok(None));
    let text = "x".repeat(LINE_BYTES_MAX);
    let id = peer.begin("tools/call", json!({ "name": "parler_send", "arguments": { "text": text } })).await;
    let answer = peer.answer(id).await;
    let told = answer["error"]["message"].as_str().unwrap_or_default();
    assert_eq!(told, "a message has at most 16777216 bytes", "{answer}");
    assert!(peer.status().await.contains("`parler.hub` is nonsense (bad_config)\nhint: mend it"));
    peer.end().await;
}

#[tokio::test]
async fn watches_leave_the_calls_their_places() {
    let mut peer = Peer::of(Fault::Settings, Ok(None));
    for at in 0..8 {
        let uris: Vec<_> = (0..4).map(|of| format!("parler://session/s{at}-{of}")).collect();
        peer.begin("subscriptions/listen", json!({ "notifications": { "resourceSubscriptions": uris } }))
            .await;
    }
    assert!(peer.status().await.contains("(bad_config)"));
    peer.end().await;
}

#[tokio::test]
async fn a_key_that_is_none_is_told_with_each_answer() {
    let mut peer = Peer::of(Fault::Settings, crate::session_key("gp1-nonsense").map(Some));
    for _ in 0..2 {
        let told = peer.status().await;
        assert!(
            told.contains("\nnote: joining by PARLER_SESSION_KEY failed: a session key begins"),
            "{told}"
        );
    }
    peer.end().await;
}
