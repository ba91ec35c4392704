//! Both ends of a connection that has logged in, under a script of packets, ticks and answers of the drivers.
//!
//! A step is its kind (one byte), a length (u16, big-endian) and so many bytes: see [`Step`].

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::conn::client::{ClientConfig, ClientOutput};
use protocol::conn::hub::{HubConfig, HubOutput};
use protocol::conn::{ClientEnd, HubEnd};
use protocol::frame::{ClientFrame, Go, Packet, Request, RequestId};
use protocol::id::Nonce;
use protocol::key::{AgentKey, HubKey};
use protocol::limits::Limits;
use protocol::refusal::Refusal;

/// One step of a script.
enum Step<'a> {
    /// A packet reaches the hub.
    ToHub(Packet),
    /// A packet reaches the client.
    ToClient(Packet),
    /// So many seconds pass.
    Tick(i64),
    /// The client makes the request of this frame.
    Ask(&'a [u8]),
    /// What both ends have to send is delivered.
    Deliver,
    /// The hub's driver lets transfers begin that wait, or refuses what is open.
    Drive { is_go: bool },
}

struct World {
    hub: HubEnd,
    client: ClientEnd,
    now: i64,
    open: BTreeMap<RequestId, Request>,
    uploads: BTreeMap<RequestId, u64>,
    to_hub: Vec<Packet>,
    to_client: Vec<Packet>,
    is_in: bool,
}

pub(crate) fn both_ends(bytes: &[u8]) {
    let mut world = World::logged_in();
    let mut rest = bytes;
    while let Some((step, after)) = next(rest) {
        world.take(step);
        world.drain();
        rest = after;
    }
}

fn next(bytes: &[u8]) -> Option<(Step<'_>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(3)?;
    let length = usize::from(u16::from_be_bytes([head[1], head[2]])).min(rest.len());
    let (payload, rest) = rest.split_at(length);
    let text = || Packet::Text(String::from_utf8_lossy(payload).into_owned());
    let step = match head[0] % 8 {
        0 => Step::ToHub(text()),
        1 => Step::ToHub(Packet::Binary(payload.to_vec())),
        2 => Step::ToClient(text()),
        3 => Step::ToClient(Packet::Binary(payload.to_vec())),
        4 => Step::Tick(i64::from(payload.first().copied().unwrap_or(1))),
        5 => Step::Ask(payload),
        6 => Step::Deliver,
        _ => Step::Drive { is_go: payload.first().is_none_or(|byte| byte % 2 == 0) },
    };
    Some((step, rest))
}

impl World {
    fn logged_in() -> Self {
        let hub = HubConfig {
            key: HubKey::from_seed(&[1; 32]),
            origins: vec!["local".into()],
            join: None,
            limits: Limits::default(),
        };
        let client = ClientConfig {
            key: AgentKey::from_seed(&[3; 32]),
            seat: None,
            origin: "local".into(),
            known: None,
            join: None,
            invite: None,
            nonce: Nonce::from_bytes([5; 32]),
        };
        let mut world = Self {
            hub: HubEnd::new(Arc::new(hub), Nonce::from_bytes([4; 32]), 0),
            client: ClientEnd::new(client, 0),
            now: 0,
            open: BTreeMap::new(),
            uploads: BTreeMap::new(),
            to_hub: Vec::new(),
            to_client: Vec::new(),
            is_in: false,
        };
        for _ in 0..4 {
            world.drain();
            world.take(Step::Deliver);
        }
        world.drain();
        assert!(world.is_in, "an honest pair logs in");
        world
    }

    fn take(&mut self, step: Step<'_>) {
        match step {
            Step::ToHub(packet) => self.hub.receive(packet, self.now),
            Step::ToClient(packet) => self.client.receive(packet, self.now),
            Step::Tick(seconds) => {
                self.now += seconds * 1000;
                self.hub.tick(self.now);
                self.client.tick(self.now);
            }
            Step::Ask(frame) => {
                if let Ok(ClientFrame::Request(id, request)) =
                    ClientFrame::parse(&String::from_utf8_lossy(frame))
                {
                    let asked = match request {
                        Request::Cancel(cancel) => self.client.cancel(cancel.id).map(|()| id),
                        request => self.client.request(&request),
                    };
                    // A full or closed client says so; nothing is lost by that here.
                    asked.ok();
                }
            }
            Step::Deliver => {
                for packet in std::mem::take(&mut self.to_hub) {
                    self.hub.receive(packet, self.now);
                }
                for packet in std::mem::take(&mut self.to_client) {
                    self.client.receive(packet, self.now);
                }
            }
            Step::Drive { is_go } => self.drive(is_go),
        }
    }

    fn drive(&mut self, is_go: bool) {
        for (id, request) in std::mem::take(&mut self.open) {
            match request {
                Request::PutBlob(put) if is_go && self.hub.is_open(id) => {
                    self.hub.go(id, Go { offset: put.size / 2, size: put.size }, self.now);
                    self.uploads.insert(id, put.size - put.size / 2);
                }
                Request::GetBlob(get) if is_go => {
                    self.hub.go(id, Go { offset: get.offset, size: get.offset + 3 }, self.now);
                    self.hub.send_chunk(id, b"abc");
                }
                _ => self.hub.answer(id, &Err(Refusal::not_found())),
            }
        }
    }

    /// Takes what both ends put out, and holds them to their promises.
    fn drain(&mut self) {
        while let Some(output) = self.hub.poll() {
            match output {
                HubOutput::Send(packet) => self.to_client.push(packet),
                HubOutput::Request(id, request) => {
                    assert!(self.is_in, "no request before the login");
                    assert!(self.open.insert(id, request).is_none(), "a number is used once");
                    assert!(self.open.len() <= 32, "32 requests at most");
                }
                HubOutput::Chunk { id, bytes, last } => {
                    let left = self.uploads.get_mut(&id).expect("chunks come after the go");
                    *left = left.checked_sub(bytes.len() as u64).expect("no more than announced");
                    assert!(!bytes.is_empty() && last == (*left == 0));
                }
                HubOutput::Cancelled(id) => {
                    self.open.remove(&id);
                    self.uploads.remove(&id);
                }
                HubOutput::Pass(_) => unreachable!("the hub is open"),
                HubOutput::LoggedIn(_) => self.is_in = true,
                HubOutput::Close(_) => assert!(self.hub.deadline().is_none()),
            }
        }
        while let Some(output) = self.client.poll() {
            match output {
                ClientOutput::Send(packet) => self.to_hub.push(packet),
                ClientOutput::Go(id, go) => {
                    assert!(go.offset <= go.size);
                    // An upload sends its whole rest if it may; of a download the call says no.
                    self.client.send_chunk(
                        id,
                        &vec![0; usize::try_from((go.size - go.offset).min(1024)).expect("small")],
                    );
                }
                ClientOutput::Closed(_) => assert!(self.client.deadline().is_none()),
                ClientOutput::LoggedIn(_)
                | ClientOutput::Answered(..)
                | ClientOutput::Chunk(..)
                | ClientOutput::Event(_) => {}
            }
        }
    }
}
