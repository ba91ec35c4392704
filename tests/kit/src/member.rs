//! A member that does as a test tells it: any request, any statement by its own keys, over a real socket, one thing at a time.

use std::collections::VecDeque;
use std::fmt;
use std::net::TcpStream;

use protocol::conn::ClientEnd;
use protocol::conn::client::{ClientConfig, ClientFault, ClientOutput, LoggedIn};
use protocol::frame::{
    Answer, Append, Appended, AskToJoin, Asked, Chain, ChainPage, ClientFrame, Entry, Hello, HubFrame,
    OpenRoom, Packet, Post, Posted, Pull, Pulled, PutKey, Request, RequestId,
};
use protocol::id::{Digest, Nonce, RoomId, Salt};
use protocol::invite::SessionKey;
use protocol::key::{AgentId, AgentKey, InviteKey, JoinKey, UserKey};
use protocol::part::{Body, Part};
use protocol::refusal::{Refusal, RefusalCode};
use protocol::room::{ChainEnd, room_id};
use protocol::signed::{self, Signed, Verified};
use protocol::statement::{
    ASK, Admit, Genesis, Join, Key, LogPoint, Membership, Message as Header, Op, Role, RoomKind, Seat,
    UnixMillis,
};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Message, WebSocket};

/// A seat of a user, logged in; it blocks until the hub answers.
pub struct Member {
    /// The seat's key.
    pub agent: AgentKey,
    /// The user's key.
    pub user: UserKey,
    socket: WebSocket<TcpStream>,
    end: ClientEnd,
    greeting: LoggedIn,
    answers: VecDeque<(RequestId, Result<Answer, Refusal>)>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("agent", &self.agent.public()).finish_non_exhaustive()
    }
}

impl Member {
    /// Logs in at `origin`, `ws://<address>`, as the seat of a user whose keys `seed` makes.
    ///
    /// # Errors
    ///
    /// What ended the connection before the login was done.
    pub fn log_in(seed: u8, origin: &str) -> Result<Self, ClientFault> {
        Self::log_in_with(seed, origin, |_| {})
    }

    /// As [`Member::log_in`], with `change` applied to what it logs in with.
    ///
    /// # Errors
    ///
    /// What ended the connection before the login was done.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    pub fn log_in_with(
        seed: u8,
        origin: &str,
        change: impl FnOnce(&mut ClientConfig),
    ) -> Result<Self, ClientFault> {
        let (agent, user) = (AgentKey::from_seed(&[seed; 32]), UserKey::from_seed(&[seed; 32]));
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).expect("random bytes");
        let seat = Seat {
            seat: agent.public(),
            name: format!("member-{seed}"),
            issued: now(),
            expires: now() + DAY,
        };
        let mut config = ClientConfig {
            key: agent.clone(),
            seat: Some(signed::sign(&user, seat).signed().clone()),
            origin: origin.to_owned(),
            known: None,
            join: None::<JoinKey>,
            invite: None,
            nonce: Nonce::from_bytes(nonce),
        };
        change(&mut config);
        let mut socket = dial(origin);
        let mut end = ClientEnd::new(config, now());
        let greeting = loop {
            match end.poll() {
                Some(ClientOutput::LoggedIn(greeting)) => break *greeting,
                Some(ClientOutput::Closed(fault)) => return Err(fault),
                Some(output) => put_through(&mut socket, output),
                None => step(&mut socket, &mut end),
            }
        };
        Ok(Self { agent, user, socket, end, greeting, answers: VecDeque::new() })
    }

    /// Returns who it is.
    #[must_use]
    pub fn id(&self) -> AgentId {
        self.agent.public()
    }

    /// Returns what the hub said of itself.
    #[must_use]
    pub fn greeting(&self) -> &LoggedIn {
        &self.greeting
    }

    /// Makes a request and waits for the answer.
    ///
    /// # Errors
    ///
    /// What the hub refuses it with.
    ///
    /// # Panics
    ///
    /// When the connection ends instead.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, Refusal> {
        let id = self.end.request(request).expect("the connection stands");
        loop {
            if let Some(at) = self.answers.iter().position(|(answered, _)| *answered == id) {
                return self.answers.remove(at).expect("it is there").1;
            }
            match self.end.poll() {
                Some(ClientOutput::Answered(id, outcome)) => self.answers.push_back((id, outcome)),
                Some(ClientOutput::Closed(fault)) => lost(&fault),
                Some(output) => put_through(&mut self.socket, output),
                None => step(&mut self.socket, &mut self.end),
            }
        }
    }

    /// Opens a session and returns its room.
    ///
    /// # Errors
    ///
    /// As [`Member::ask`].
    pub fn open(&mut self, salt: u8) -> Result<RoomId, Refusal> {
        let hub = self.greeting.hub.hub;
        let salt = Some(Salt::from_bytes([salt; 16]));
        let genesis = Genesis { hub, kind: RoomKind::Session, salt, needs: Vec::new() };
        let genesis = signed::sign(&self.user, genesis);
        self.ask(&Request::OpenRoom(OpenRoom { genesis: genesis.signed().clone() }))?;
        Ok(room_id(&genesis))
    }

    /// Makes a session key of `secret` known and returns it.
    ///
    /// # Errors
    ///
    /// As [`Member::ask`].
    pub fn put_key(&mut self, room: RoomId, secret: u8, auto: bool) -> Result<SessionKey, Refusal> {
        let key = self.sign_key(room, secret, auto);
        self.ask(&Request::PutKey(PutKey { key }))?;
        Ok(SessionKey::new([secret; 16], room.room12(), None))
    }

    /// Signs a word on the session key of `secret`, as if the room were its own.
    #[must_use]
    pub fn sign_key(&self, room: RoomId, secret: u8, auto: bool) -> Signed<Key> {
        let invite = SessionKey::new([secret; 16], room.room12(), None).invite_key().public();
        let (issued, expires) = (now(), now() + DAY);
        let (max_uses, no_history, needs) = (8, false, Vec::new());
        let key = Key { room, invite, issued, expires, max_uses, auto, no_history, needs };
        signed::sign(&self.user, key).signed().clone()
    }

    /// Asks to join by a session key and returns the request's id.
    ///
    /// # Errors
    ///
    /// As [`Member::ask`].
    pub fn join(&mut self, key: &SessionKey, name: &str) -> Result<Digest, Refusal> {
        let request = Request::Join(Box::new(self.request_to_join(key, name)));
        match self.ask(&request)? {
            Answer::Join(Asked { request }) => Ok(request),
            other => wrong(&other),
        }
    }

    /// Returns what it would ask to join with.
    #[must_use]
    pub fn request_to_join(&self, key: &SessionKey, name: &str) -> AskToJoin {
        let invite: InviteKey = key.invite_key();
        let join = Join {
            hub: self.greeting.hub.hub,
            room12: key.room12(),
            invite: invite.public(),
            name: name.to_owned(),
            asked: now(),
            needs: Vec::new(),
        };
        let join = signed::sign(&self.agent, join);
        AskToJoin {
            ask: signed::countersign(&invite, ASK, &join.digest()),
            join: join.signed().clone(),
            seat: None,
        }
    }

    /// Signs an act of the owner at the end of the chain and hands it in.
    ///
    /// # Errors
    ///
    /// As [`Member::ask`].
    pub fn act(&mut self, room: RoomId, op: Op) -> Result<u64, Refusal> {
        let end = self.chain(room)?.end;
        let membership = self.sign_act(room, end, op).signed().clone();
        match self.ask(&Request::Append(Append { room, membership }))? {
            Answer::Append(Appended { seq }) => Ok(seq),
            other => wrong(&other),
        }
    }

    /// Signs an act of the owner behind `end`.
    #[must_use]
    pub fn sign_act(&self, room: RoomId, end: ChainEnd, op: Op) -> Verified<Membership> {
        signed::sign(&self.user, Membership { room, n: end.n + 1, prev: end.digest, op, needs: Vec::new() })
    }

    /// Admits `agent`, with all of the history, from the end of the log on.
    ///
    /// # Errors
    ///
    /// As [`Member::ask`].
    pub fn admit(&mut self, room: RoomId, agent: AgentId, name: &str) -> Result<u64, Refusal> {
        let at = self.pull(room, 0)?.end;
        let name = name.to_owned();
        self.act(
            room,
            Op::Admit(Admit { agent, name, role: Role::Member, floor: 0, at, key: None, user: None }),
        )
    }

    /// Returns the acts of a room's owner, and who left.
    ///
    /// # Errors
    ///
    /// As [`Member::ask`].
    pub fn chain(&mut self, room: RoomId) -> Result<ChainPage, Refusal> {
        match self.ask(&Request::Chain(Chain { room, after: 0 }))? {
            Answer::Chain(page) => Ok(page),
            other => wrong(&other),
        }
    }

    /// Returns one page of a room's log behind entry `after`.
    ///
    /// # Errors
    ///
    /// As [`Member::ask`].
    pub fn pull(&mut self, room: RoomId, after: u64) -> Result<Pulled, Refusal> {
        let pull = Pull { room, after, limit: 256, bodies: true, wait_ms: None };
        match self.ask(&Request::Pull(pull))? {
            Answer::Pull(pulled) => Ok(pulled),
            other => wrong(&other),
        }
    }

    /// Signs a message with `text` as its author's `n`th and puts it behind `head`; `change` is applied before it is signed.
    #[must_use]
    pub fn sign_message(
        &self,
        (room, n, head): (RoomId, u64, LogPoint),
        text: &str,
        change: impl FnOnce(&mut Header),
    ) -> (Signed<Header>, String) {
        let body = Body { parts: vec![Part::Text(text.to_owned())], reply_to: None, hops: None }.to_text();
        let mut header = Header {
            room,
            n,
            head,
            sent: now(),
            epoch: 0,
            body: Digest::of(body.as_bytes()),
            blobs: Vec::new(),
            leave: false,
            needs: Vec::new(),
        };
        change(&mut header);
        (signed::sign(&self.agent, header).signed().clone(), body)
    }

    /// As [`Member::sign_message`], as an entry at `seq` for a log that a hub makes up.
    #[must_use]
    pub fn entry(&self, seq: u64, at: (RoomId, u64, LogPoint), text: &str) -> Entry {
        let (message, body) = self.sign_message(at, text, |_| {});
        Entry::message(seq, message, Some(body))
    }

    /// Signs a message as above and posts it.
    ///
    /// # Errors
    ///
    /// As [`Member::ask`].
    pub fn post(
        &mut self,
        at: (RoomId, u64, LogPoint),
        text: &str,
        change: impl FnOnce(&mut Header),
    ) -> Result<u64, Refusal> {
        let (message, body) = self.sign_message(at, text, change);
        match self.ask(&Request::Post(Post { room: at.0, message, body }))? {
            Answer::Post(Posted { seq }) => Ok(seq),
            other => wrong(&other),
        }
    }
}

/// Connects, says `hello` and returns with which code the hub refuses it.
pub(crate) fn replay(origin: &str, hello: &Hello) -> RefusalCode {
    let mut socket = dial(origin);
    socket.read().expect("a challenge comes first");
    socket.send(Message::text(ClientFrame::hello(hello))).expect("the hub listens");
    let answer = socket.read().expect("the hub answers");
    match HubFrame::parse(answer.to_text().expect("a frame of text")) {
        Ok(HubFrame::Err(None, refusal)) => refusal.code,
        other => taken(&other),
    }
}

/// Opens a WebSocket.
fn dial(origin: &str) -> WebSocket<TcpStream> {
    let address = origin.trim_start_matches("ws://");
    let stream = TcpStream::connect(address).expect("somebody listens there");
    let mut request = format!("ws://{address}/").into_client_request().expect("a URL");
    let subprotocol = protocol::limits::SUBPROTOCOL.parse().expect("a header's value");
    request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol);
    tokio_tungstenite::tungstenite::client(request, stream).expect("a hub agrees to a WebSocket").0
}

fn put_through(socket: &mut WebSocket<TcpStream>, output: ClientOutput) {
    let message = match output {
        ClientOutput::Send(Packet::Text(text)) => Message::text(text),
        ClientOutput::Send(Packet::Binary(bytes)) => Message::binary(bytes),
        _ => return,
    };
    // A socket that is gone shows when it is read.
    socket.send(message).ok();
}

fn step(socket: &mut WebSocket<TcpStream>, end: &mut ClientEnd) {
    match socket.read() {
        Ok(Message::Text(text)) => end.receive(Packet::Text(text.as_str().to_owned()), now()),
        Ok(Message::Binary(bytes)) => end.receive(Packet::Binary(bytes.into()), now()),
        Ok(_) => {}
        Err(_) => end.disconnected(),
    }
}

#[expect(clippy::panic, reason = "a test that goes on without its connection is broken")]
fn lost(fault: &ClientFault) -> ! {
    panic!("the connection ended: {fault}")
}

#[expect(clippy::panic, reason = "a hub that lets in whom it must not is the end of a test")]
fn taken(frame: &Result<HubFrame, protocol::json::JsonError>) -> ! {
    panic!("the hub does not refuse it: {frame:?}")
}

#[expect(clippy::panic, reason = "an answer is read by the kind of its request")]
fn wrong(answer: &Answer) -> ! {
    panic!("an answer of another kind: {answer:?}")
}

/// Returns the time of this machine.
pub(crate) fn now() -> UnixMillis {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
    UnixMillis::try_from(since.as_millis()).expect("a clock before the end of time")
}

const DAY: UnixMillis = 24 * 3600 * 1000;
