//! The client's end of a connection: it checks the hub before it signs anything, then numbers requests and their transfers.

use std::collections::{BTreeMap, VecDeque};

use crate::frame::{
    Answer, Cancel, Challenge, ClientFrame, Empty, Event, Go, Hello, HubFrame, Packet, Request, RequestId,
    RequestKind, Welcome, chunk_packet, split_chunk,
};
use crate::id::Nonce;
use crate::key::{AgentKey, HubId, InviteKey, JoinKey};
use crate::limits::{LOGIN_WAIT_MILLIS, Limits, PING_SECONDS_MAX, PROTOCOL, STRAY_BYTES_MAX};
use crate::refusal::{Refusal, RefusalCode};
use crate::signed::{self, Signed};
use crate::statement::{Login, PASS, Seat, UnixMillis};

/// What is remembered of a hub under its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownHub {
    /// Its key.
    pub hub: HubId,
    /// The highest protocol level seen.
    pub protocol: u32,
}

/// With what a client logs in.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The seat's key.
    pub key: AgentKey,
    /// The user's word for the seat.
    pub seat: Option<Signed<Seat>>,
    /// The origin as dialled.
    pub origin: String,
    /// What is known of the hub there; `None` on the first connection.
    pub known: Option<KnownHub>,
    /// The key of the join secret, for closed hubs.
    pub join: Option<JoinKey>,
    /// The key of the session that is to be joined; at a closed hub it passes, before any join secret.
    pub invite: Option<InviteKey>,
    /// Fresh and random.
    pub nonce: Nonce,
}

/// What the driver has to do.
#[derive(Debug)]
pub enum ClientOutput {
    /// Send a packet.
    Send(Packet),
    /// The hub proved its key; pin it when it is new. Requests may be made now.
    LoggedIn(Box<LoggedIn>),
    /// A request has ended.
    Answered(RequestId, Result<Answer, Refusal>),
    /// A transfer begins at this offset; of an upload with [`ClientEnd::send_chunk`].
    Go(RequestId, Go),
    /// A chunk of the download with this number.
    Chunk(RequestId, Vec<u8>),
    /// A hint.
    Event(Event),
    /// The connection is over; open requests have no answer.
    Closed(ClientFault),
}

/// What the hub said of itself, proven.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// The hub's key and level, to remember.
    pub hub: KnownHub,
    /// What the hub allows.
    pub limits: Limits,
    /// The hub's clock when it answered.
    pub now: UnixMillis,
}

/// Why the client's end of a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientFault {
    /// Another key than the one known for this origin; nothing was signed.
    #[error("the hub has another key than before: {found} instead of {expected}")]
    HubKeyChanged {
        /// The key that is known.
        expected: HubId,
        /// The key it showed.
        found: HubId,
    },
    /// A lower protocol level than before, or one this version does not speak; nothing was signed.
    #[error("the hub speaks protocol {offered}, expected {expected}")]
    ProtocolLevel {
        /// The level it offers.
        offered: u32,
        /// The level that was expected.
        expected: u32,
    },
    /// The hub's answer to the login does not prove that it holds its key, for this login.
    #[error("the hub does not prove its key")]
    WrongHub,
    /// A closed hub refused the login, which did not go by a join secret.
    #[error("the hub is closed, and without its join secret it refuses the login")]
    NoPass,
    /// The hub refused the connection.
    #[error("the hub refuses the connection: {0}")]
    Refused(Refusal),
    /// The hub sent what is not the protocol's.
    #[error("the hub sent a frame that is not the protocol's")]
    BadFrame,
    /// The hub did not answer in time.
    #[error("the hub does not answer")]
    Silent,
    /// The connection was lost.
    #[error("the connection to the hub was lost")]
    Disconnected,
}

/// Says why a request cannot be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The connection has not logged in, or is over.
    #[error("the connection is not ready for requests")]
    NotReady,
    /// Every slot is taken.
    #[error("too many open requests")]
    TooMany,
}

/// The client's end of one connection.
#[derive(Debug)]
pub struct ClientEnd {
    config: ClientConfig,
    state: State,
    out: VecDeque<ClientOutput>,
    limits: Limits,
    heard: UnixMillis,
}

#[derive(Debug)]
enum State {
    AwaitChallenge { since: UnixMillis },
    AwaitWelcome { login: Login, has_no_pass: bool, since: UnixMillis },
    Ready(Ready),
    Closed,
}

#[derive(Debug)]
struct Ready {
    newest: RequestId,
    open: BTreeMap<RequestId, Open>,
    ping: Option<RequestId>,
    /// When the last ping went out, or the login was done.
    pinged: UnixMillis,
    stray_bytes: u64,
}

#[derive(Debug)]
struct Open {
    kind: RequestKind,
    asked: Asked,
    /// What is still to come or to go, once the transfer has begun.
    remaining: Option<u64>,
}

/// What the answer to a request must agree with.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// The whole size of an upload.
    Size(u64),
    /// The first byte of a download.
    Offset(u64),
    /// The entry after which a reader goes on.
    After(u64),
    Anything,
}

impl Asked {
    /// Says whether a transfer may begin as `go` has it.
    fn allows(self, go: &Go) -> bool {
        go.offset <= go.size
            && match self {
                Self::Size(size) => go.size == size,
                Self::Offset(offset) => go.offset == offset,
                Self::After(_) | Self::Anything => false,
            }
    }
}

impl ClientEnd {
    /// Begins a connection; the hub speaks first.
    pub fn new(config: ClientConfig, now: UnixMillis) -> Self {
        let state = State::AwaitChallenge { since: now };
        Self { config, state, out: VecDeque::new(), limits: Limits::default(), heard: now }
    }

    /// Returns the next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<ClientOutput> {
        self.out.pop_front()
    }

    /// Returns when [`tick`](Self::tick) must be called if nothing comes in before.
    pub fn deadline(&self) -> Option<UnixMillis> {
        match &self.state {
            State::AwaitChallenge { since } | State::AwaitWelcome { since, .. } => {
                Some(since + LOGIN_WAIT_MILLIS)
            }
            State::Ready(ready) => {
                let lived = self.heard.max(ready.pinged);
                Some(match ready.ping {
                    Some(_) => lived + self.ping_millis(),
                    // Every request waits: the answer to one of them is the sign of life.
                    None if self.is_full(ready) => lived + self.ping_millis() * 2,
                    // Also while much comes in: of a client that only downloads the hub hears nothing else.
                    None => ready.pinged + self.ping_millis(),
                })
            }
            State::Closed => None,
        }
    }

    /// Lets time pass: asks the hub for a sign of life now and then, and gives it up when none comes.
    pub fn tick(&mut self, now: UnixMillis) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match &self.state {
            State::Ready(ready) if ready.ping.is_none() && !self.is_full(ready) => {
                if let (Ok(id), State::Ready(ready)) =
                    (self.request(&Request::Ping(Empty {})), &mut self.state)
                {
                    ready.ping = Some(id);
                    ready.pinged = now;
                }
            }
            State::Closed => {}
            _ => self.close(ClientFault::Silent),
        }
    }

    /// Takes note that the socket is gone.
    pub fn disconnected(&mut self) {
        self.close(ClientFault::Disconnected);
    }

    /// Takes a packet from the hub.
    pub fn receive(&mut self, packet: Packet, now: UnixMillis) {
        self.heard = now;
        if matches!(self.state, State::Closed) {
            return;
        }
        match packet {
            Packet::Text(text) => match HubFrame::parse(&text) {
                Ok(frame) => self.frame(frame, now),
                Err(_) => self.close(ClientFault::BadFrame),
            },
            Packet::Binary(bytes) => match split_chunk(bytes) {
                Some((id, chunk)) => self.chunk(id, chunk),
                None => self.close(ClientFault::BadFrame),
            },
        }
    }

    /// Says whether a request can be made now: the login is done, the connection stands, and the hub allows one more.
    pub fn has_slot(&self) -> bool {
        matches!(&self.state, State::Ready(ready) if !self.is_full(ready))
    }

    /// Makes a request and returns its number.
    ///
    /// # Errors
    ///
    /// [`RequestError`] before the login is done, after the connection is over, and when as many requests are open as the hub
    /// allows. A connection whose numbers are used up is over.
    pub fn request(&mut self, request: &Request) -> Result<RequestId, RequestError> {
        if !self.has_slot() && matches!(self.state, State::Ready(_)) {
            return Err(RequestError::TooMany);
        }
        let State::Ready(ready) = &mut self.state else { return Err(RequestError::NotReady) };
        let Some(id) = ready.newest.checked_add(1) else {
            self.close(ClientFault::Disconnected);
            return Err(RequestError::NotReady);
        };
        ready.newest = id;
        let asked = match request {
            Request::PutBlob(put) => Asked::Size(put.size),
            Request::GetBlob(get) => Asked::Offset(get.offset),
            Request::Pull(pull) => Asked::After(pull.after),
            _ => Asked::Anything,
        };
        ready.open.insert(id, Open { kind: request.kind(), asked, remaining: None });
        self.out.push_back(ClientOutput::Send(Packet::Text(ClientFrame::request(id, request))));
        Ok(id)
    }

    /// Ends a request; no answer to it will come.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub fn cancel(&mut self, id: RequestId) -> Result<(), RequestError> {
        if let State::Ready(ready) = &mut self.state {
            ready.open.remove(&id);
        }
        self.request(&Request::Cancel(Cancel { id })).map(drop)
    }

    /// Sends a chunk of an upload that may go; returns `false` when it has ended.
    ///
    /// # Panics
    ///
    /// When the chunk is longer than what remains of the announced size: our own mistake.
    pub fn send_chunk(&mut self, id: RequestId, chunk: &[u8]) -> bool {
        let State::Ready(ready) = &mut self.state else { return false };
        let Some(Open { kind: RequestKind::PutBlob, remaining: Some(remaining), .. }) =
            ready.open.get_mut(&id)
        else {
            return false;
        };
        let left = remaining.checked_sub(chunk.len() as u64);
        *remaining = left.expect("a chunk lies within the announced size");
        self.out.push_back(ClientOutput::Send(chunk_packet(id, chunk)));
        true
    }

    fn frame(&mut self, frame: HubFrame, now: UnixMillis) {
        match (&mut self.state, frame) {
            (State::AwaitChallenge { .. }, HubFrame::Challenge(challenge)) => {
                self.challenged(*challenge, now);
            }
            (State::AwaitWelcome { .. }, HubFrame::Welcome(welcome)) => self.welcomed(*welcome, now),
            (State::Ready(_), HubFrame::Go(id, go)) => self.go(id, go),
            (State::Ready(_), HubFrame::Ok(id, value)) => self.answered(id, Ok(value)),
            (State::Ready(_), HubFrame::Err(Some(id), refusal)) => self.answered(id, Err(refusal)),
            (State::AwaitWelcome { has_no_pass: true, .. }, HubFrame::Err(_, refusal))
                if refusal.code == RefusalCode::LoginRefused =>
            {
                self.close(ClientFault::NoPass);
            }
            (_, HubFrame::Err(_, refusal)) => self.close(ClientFault::Refused(refusal)),
            (State::Ready(_), HubFrame::Event(event)) => self.out.push_back(ClientOutput::Event(event)),
            (State::Ready(_), HubFrame::Unknown) => {}
            _ => self.close(ClientFault::BadFrame),
        }
    }

    /// Looks at the hub before anything is signed, then composes the login.
    fn challenged(&mut self, challenge: Challenge, now: UnixMillis) {
        let known = self.config.known;
        if let Some(known) = known.filter(|known| known.hub != challenge.hub) {
            return self.close(ClientFault::HubKeyChanged { expected: known.hub, found: challenge.hub });
        }
        let expected = known.map_or(PROTOCOL, |known| known.protocol.max(PROTOCOL));
        if challenge.protocol < expected {
            return self.close(ClientFault::ProtocolLevel { offered: challenge.protocol, expected });
        }
        if challenge.limits.open_requests_max == 0 {
            // Every other limit is a hint that costs a refusal; nothing could be asked of this hub.
            return self.close(ClientFault::BadFrame);
        }
        let login = Login {
            hub: challenge.hub,
            origin: self.config.origin.clone(),
            nonce: challenge.nonce,
            client_nonce: self.config.nonce,
            protocol: PROTOCOL,
            needs: Vec::new(),
        };
        let signed = signed::sign(&self.config.key, login.clone());
        // Without either the login may still hold: an agent that is in a room of the hub needs no pass.
        let invite = self.config.invite.as_ref().map(InviteKey::as_pass);
        // The invite is for this hub; the join secret may be another hub's.
        let has_no_pass = challenge.closed && (self.config.join.is_none() || invite.is_some());
        let pass = invite.or_else(|| self.config.join.clone()).filter(|_| challenge.closed);
        let pass = pass.map(|key| signed::countersign(&key, PASS, &signed.digest()));
        let hello = Hello { login: signed.signed().clone(), seat: self.config.seat.clone(), pass };
        self.limits = challenge.limits;
        self.state = State::AwaitWelcome { login, has_no_pass, since: now };
        self.out.push_back(ClientOutput::Send(Packet::Text(ClientFrame::hello(&hello))));
    }

    fn welcomed(&mut self, welcome: Welcome, now: UnixMillis) {
        let State::AwaitWelcome { login, .. } = &self.state else { return };
        let proof = welcome.hub.verify().ok().filter(|proof| {
            let said = proof.statement();
            proof.by() == login.hub
                && said.agent == self.config.key.public()
                && said.origin == login.origin
                && said.nonce == login.nonce
                && said.client_nonce == login.client_nonce
                && said.protocol == login.protocol
        });
        let Some(proof) = proof else { return self.close(ClientFault::WrongHub) };
        // Once a level was seen, a lower one stops the client, so what is remembered only rises.
        let seen = self.config.known.map_or(login.protocol, |known| known.protocol.max(login.protocol));
        let hub = KnownHub { hub: login.hub, protocol: seen };
        let logged_in = LoggedIn { hub, limits: self.limits.clone(), now: proof.statement().now };
        self.state =
            State::Ready(Ready { newest: 0, open: BTreeMap::new(), ping: None, pinged: now, stray_bytes: 0 });
        self.out.push_back(ClientOutput::LoggedIn(Box::new(logged_in)));
    }

    fn go(&mut self, id: RequestId, go: Go) {
        let State::Ready(ready) = &mut self.state else { return };
        match ready.open.get_mut(&id) {
            Some(Open { asked, remaining: remaining @ None, .. }) if asked.allows(&go) => {
                *remaining = Some(go.size - go.offset);
                self.out.push_back(ClientOutput::Go(id, go));
            }
            // The answer to a request that was cancelled meanwhile.
            None => {}
            Some(_) => self.close(ClientFault::BadFrame),
        }
    }

    fn answered(&mut self, id: RequestId, outcome: Result<serde_json::Value, Refusal>) {
        let State::Ready(ready) = &mut self.state else { return };
        if ready.ping == Some(id) {
            ready.ping = None;
            ready.open.remove(&id);
            return;
        }
        let Some(open) = ready.open.remove(&id) else { return };
        let incomplete = open.kind == RequestKind::GetBlob && open.remaining != Some(0);
        let outcome = match outcome {
            Err(refusal) => Err(refusal),
            Ok(_) if incomplete => {
                Err(Refusal::new(RefusalCode::HashMismatch, "the hub ended a download before its last byte"))
            }
            Ok(value) => match (Answer::from_value(open.kind, value), open.asked) {
                // Entries between would be missing unseen.
                (Ok(Answer::Pull(pulled)), Asked::After(after)) if pulled.start.seq != after => {
                    return self.close(ClientFault::BadFrame);
                }
                (Ok(answer), _) => Ok(answer),
                (Err(_), _) => return self.close(ClientFault::BadFrame),
            },
        };
        if open.kind == RequestKind::Cancel {
            // Little of what was cancelled follows this answer, and it is counted anew.
            ready.stray_bytes = 0;
        } else {
            self.out.push_back(ClientOutput::Answered(id, outcome));
        }
    }

    fn chunk(&mut self, id: RequestId, bytes: Vec<u8>) {
        let State::Ready(ready) = &mut self.state else { return self.close(ClientFault::BadFrame) };
        let length = bytes.len() as u64;
        match ready.open.get_mut(&id) {
            Some(Open { kind: RequestKind::GetBlob, remaining: Some(remaining), .. })
                if (1..=*remaining).contains(&length) =>
            {
                *remaining -= length;
                self.out.push_back(ClientOutput::Chunk(id, bytes));
            }
            Some(_) => self.close(ClientFault::BadFrame),
            None => {
                ready.stray_bytes += length.max(1);
                if ready.stray_bytes > STRAY_BYTES_MAX {
                    self.close(ClientFault::BadFrame);
                }
            }
        }
    }

    /// Leaves one number to give.
    #[cfg(test)]
    pub(super) fn use_up_numbers(&mut self) {
        if let State::Ready(ready) = &mut self.state {
            ready.newest = RequestId::MAX - 1;
        }
    }

    fn is_full(&self, ready: &Ready) -> bool {
        ready.open.len() as u64 >= self.limits.open_requests_max
    }

    fn ping_millis(&self) -> i64 {
        i64::try_from(self.limits.ping_seconds.clamp(1, PING_SECONDS_MAX)).unwrap_or(30) * 1000
    }

    fn close(&mut self, fault: ClientFault) {
        if !matches!(self.state, State::Closed) {
            self.state = State::Closed;
            self.out.push_back(ClientOutput::Closed(fault));
        }
    }
}
