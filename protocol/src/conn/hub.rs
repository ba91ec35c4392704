//! The hub's end of a connection: challenge, login, then numbered requests and their transfers.

mod login;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::frame::{
    Answer, Cancel, Challenge, ClientFrame, Empty, Event, Go, Hello, HubFrame, Packet, PutBlob, Request,
    RequestId, UnreadableRequest, Welcome, chunk_packet, split_chunk,
};
use crate::id::Nonce;
use crate::key::{AgentId, HubKey, InviteId, JoinId, UserId};
use crate::limits::{Limits, POST_FRAME_BYTES_MAX, PROTOCOL, STRAY_BYTES_MAX};
use crate::refusal::{Refusal, RefusalCode};
use crate::signed::Verified;
use crate::statement::{Seat, UnixMillis};

/// What all connections of a hub share.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// The hub's key.
    pub key: HubKey,
    /// The names under which clients reach it, as they dial them.
    pub origins: Vec<String>,
    /// The public half of the join key, when the hub is closed.
    pub join: Option<JoinId>,
    /// What it allows.
    pub limits: Limits,
}

/// Who logged in.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The seat's agent.
    pub agent: AgentId,
    /// The user's word for the seat: about this agent, and of lawful length. One that has expired ends the seat early.
    pub seat: Option<Verified<Seat>>,
    /// What the login opens.
    pub access: Access,
}

/// What a login opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything that an agent may ask of this hub.
    Full,
    /// The rooms of others that it was let into, and no room of its own.
    Guest,
    /// Filing a request to join by this invite, and watching it.
    Join(InviteId),
}

/// How somebody without the join key wants to pass at a closed hub. Its signatures hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassQuestion {
    /// Who logs in.
    pub agent: AgentId,
    /// The user whose word on this seat the login brings.
    pub user: Option<UserId>,
    /// The key under the login, which may be an invite's.
    pub invite: Option<InviteId>,
}

/// What the driver has to do.
#[derive(Debug)]
pub enum HubOutput {
    /// Send a packet.
    Send(Packet),
    /// Say at [`HubEnd::pass`] what opens to an agent without the join key: it may be a seat of who owns rooms of this hub, be in
    /// rooms of others, or ask to join by an invite that lives.
    Pass(PassQuestion),
    /// Somebody logged in; requests follow.
    LoggedIn(Box<Identity>),
    /// Do what a member asks, and hand the outcome to [`HubEnd::answer`].
    Request(RequestId, Request),
    /// A chunk of the upload with this number; the last one completes the announced size.
    Chunk {
        /// The `put_blob` it belongs to.
        id: RequestId,
        /// At most 256 KiB.
        bytes: Vec<u8>,
        /// Whether it is the last.
        last: bool,
    },
    /// Stop working on a request; no answer is expected.
    Cancelled(RequestId),
    /// Send what is queued and close the socket.
    Close(CloseReason),
}

/// Why the hub ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// No login within its time.
    AuthenticationTimeout,
    /// The login did not hold.
    LoginRefused,
    /// A frame that is not the protocol's.
    BadFrame,
    /// Nothing was heard for too long.
    Idle,
    /// The hub is shutting down.
    Closing,
    /// The driver refused the connection, for example because the agent has too many.
    Refused,
}

/// The hub's end of one connection.
#[derive(Debug)]
pub struct HubEnd {
    config: Arc<HubConfig>,
    state: State,
    out: VecDeque<HubOutput>,
    heard: UnixMillis,
}

#[derive(Debug)]
enum State {
    AwaitHello { nonce: Nonce, since: UnixMillis },
    AwaitPass { login: Box<(Identity, Welcome)>, since: UnixMillis },
    Ready(Ready),
    Closed,
}

#[derive(Debug, Default)]
struct Ready {
    newest: Option<RequestId>,
    open: BTreeSet<RequestId>,
    upload: Option<Upload>,
    download: Option<RequestId>,
    stray_bytes: u64,
}

#[derive(Debug)]
struct Upload {
    id: RequestId,
    size: u64,
    /// What is still to come; none before the go.
    remaining: Option<u64>,
    progress: UnixMillis,
}

impl HubEnd {
    /// Begins a connection with a challenge over `nonce`, which must be fresh and random.
    pub fn new(config: Arc<HubConfig>, nonce: Nonce, now: UnixMillis) -> Self {
        let challenge = Challenge {
            hub: config.key.public(),
            nonce,
            protocol: PROTOCOL,
            closed: config.join.is_some(),
            limits: config.limits.clone(),
        };
        let hello = HubOutput::Send(Packet::Text(HubFrame::challenge(&challenge)));
        Self {
            config,
            state: State::AwaitHello { nonce, since: now },
            out: VecDeque::from([hello]),
            heard: now,
        }
    }

    /// Returns the next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<HubOutput> {
        self.out.pop_front()
    }

    /// Returns when [`tick`](Self::tick) must be called if nothing comes in before.
    pub fn deadline(&self) -> Option<UnixMillis> {
        match &self.state {
            State::AwaitHello { since, .. } | State::AwaitPass { since, .. } => {
                Some(since + millis(self.config.limits.authentication_seconds))
            }
            State::Ready(ready) => {
                let idle = self.heard + millis(self.config.limits.idle_seconds);
                // Before the go the client may not send, and after the last byte the disk may take its time.
                let upload =
                    ready.upload.as_ref().filter(|upload| upload.remaining.is_some_and(|bytes| bytes > 0));
                let stall =
                    upload.map(|upload| upload.progress + millis(self.config.limits.upload_stall_seconds));
                Some(stall.map_or(idle, |stall| stall.min(idle)))
            }
            State::Closed => None,
        }
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: UnixMillis) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let idle = now >= self.heard + millis(self.config.limits.idle_seconds);
        match &mut self.state {
            State::AwaitHello { .. } | State::AwaitPass { .. } => {
                self.close(CloseReason::AuthenticationTimeout);
            }
            State::Ready(ready) => match ready.upload.as_ref().map(|upload| upload.id) {
                Some(id) if !idle => {
                    self.out.push_back(HubOutput::Cancelled(id));
                    let stalled = Refusal::new(RefusalCode::RateLimited, "the upload made no progress");
                    self.answer(id, &Err(stalled));
                }
                _ => self.close(CloseReason::Idle),
            },
            State::Closed => {}
        }
    }

    /// Takes a packet from the client.
    pub fn receive(&mut self, packet: Packet, now: UnixMillis) {
        self.heard = now;
        match (&mut self.state, packet) {
            (State::Closed, _) => {}
            (State::AwaitHello { nonce, .. }, Packet::Text(text)) => {
                let nonce = *nonce;
                match ClientFrame::parse(&text) {
                    Ok(ClientFrame::Hello(hello)) => self.login(*hello, nonce, now),
                    _ => self.close(CloseReason::BadFrame),
                }
            }
            (State::Ready(_), Packet::Text(text)) => match ClientFrame::parse(&text) {
                Ok(ClientFrame::Request(id, Request::Post(_))) if text.len() > POST_FRAME_BYTES_MAX => {
                    let refusal = Refusal::new(RefusalCode::TooLarge, "the message is too large");
                    let limit = Some(POST_FRAME_BYTES_MAX as u64);
                    self.refuse_request(id, Refusal { limit, ..refusal });
                }
                Ok(ClientFrame::Request(id, request)) => self.request(id, request, now),
                Ok(ClientFrame::Unreadable(id, why)) => self.unreadable(id, why),
                _ => self.close(CloseReason::BadFrame),
            },
            (State::Ready(_), Packet::Binary(bytes)) => match split_chunk(bytes) {
                Some((id, chunk)) => self.chunk(id, chunk, now),
                None => self.close(CloseReason::BadFrame),
            },
            // Nothing may be said between a hello and its answer.
            (State::AwaitPass { .. }, _) | (State::AwaitHello { .. }, Packet::Binary(_)) => {
                self.close(CloseReason::BadFrame);
            }
        }
    }

    /// Hands the outcome of a request on. One of a request that has ended is dropped.
    pub fn answer(&mut self, id: RequestId, outcome: &Result<Answer, Refusal>) {
        if let State::Ready(ready) = &mut self.state
            && ready.end(id)
        {
            self.out.push_back(HubOutput::Send(Packet::Text(HubFrame::answer(id, outcome))));
        }
    }

    /// Lets a transfer begin: of an upload the client's bytes, of a download those of [`send_chunk`](Self::send_chunk).
    pub fn go(&mut self, id: RequestId, go: Go, now: UnixMillis) {
        let State::Ready(ready) = &mut self.state else { return };
        if !ready.open.contains(&id) {
            return;
        }
        if let Some(upload) = ready.upload.as_mut().filter(|upload| upload.id == id) {
            upload.remaining = Some(upload.size.saturating_sub(go.offset));
            upload.progress = now;
        }
        self.out.push_back(HubOutput::Send(Packet::Text(HubFrame::go(id, &go))));
    }

    /// Sends a chunk of the download with this number; dropped when that has ended. Returns whether it was sent.
    pub fn send_chunk(&mut self, id: RequestId, chunk: &[u8]) -> bool {
        let is_open = matches!(&self.state, State::Ready(ready) if ready.download == Some(id));
        if is_open {
            self.out.push_back(HubOutput::Send(chunk_packet(id, chunk)));
        }
        is_open
    }

    /// Says whether request `id` still waits for its answer.
    pub fn is_open(&self, id: RequestId) -> bool {
        matches!(&self.state, State::Ready(ready) if ready.open.contains(&id))
    }

    /// Sends a hint to a client that has logged in.
    pub fn event(&mut self, event: &Event) {
        if matches!(self.state, State::Ready(_)) {
            self.out.push_back(HubOutput::Send(Packet::Text(HubFrame::event(event))));
        }
    }

    /// Ends the connection because the hub does.
    pub fn closing(&mut self) {
        self.event(&Event { event: Event::CLOSING.into(), room: None });
        self.close(CloseReason::Closing);
    }

    /// Ends the connection with a refusal of the driver's.
    pub fn refuse(&mut self, refusal: &Refusal) {
        if !matches!(self.state, State::Closed) {
            self.out.push_back(HubOutput::Send(Packet::Text(HubFrame::refusal(refusal))));
            self.close(CloseReason::Refused);
        }
    }

    fn login(&mut self, hello: Hello, nonce: Nonce, now: UnixMillis) {
        let Some((identity, welcome, question)) = login::identify(&self.config, hello, nonce, now) else {
            return self.refuse_login();
        };
        match question {
            None => self.log_in(identity, &welcome),
            Some(question) => {
                self.state = State::AwaitPass { login: Box::new((identity, welcome)), since: now };
                self.out.push_back(HubOutput::Pass(question));
            }
        }
    }

    /// Answers [`HubOutput::Pass`]: what the login opens, if it holds.
    pub fn pass(&mut self, access: Option<Access>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::AwaitPass { login, since } => match access {
                Some(access) => {
                    let (identity, welcome) = *login;
                    self.log_in(Identity { access, ..identity }, &welcome);
                }
                None => {
                    self.state = State::AwaitPass { login, since };
                    self.refuse_login();
                }
            },
            state => self.state = state,
        }
    }

    fn log_in(&mut self, identity: Identity, welcome: &Welcome) {
        self.state = State::Ready(Ready::default());
        self.out.push_back(HubOutput::Send(Packet::Text(HubFrame::welcome(welcome))));
        self.out.push_back(HubOutput::LoggedIn(Box::new(identity)));
    }

    /// Answers a login that does not hold, whatever the reason.
    fn refuse_login(&mut self) {
        let refusal = Refusal::new(RefusalCode::LoginRefused, "the login does not hold");
        self.out.push_back(HubOutput::Send(Packet::Text(HubFrame::refusal(&refusal))));
        self.close(CloseReason::LoginRefused);
    }

    fn request(&mut self, id: RequestId, request: Request, now: UnixMillis) {
        if let Err(refusal) = self.admit(id) {
            return self.reply(id, refusal);
        }
        let State::Ready(ready) = &mut self.state else { return };
        match &request {
            Request::Ping(_) => return self.answer(id, &Ok(Answer::Ping(Empty {}))),
            Request::Cancel(Cancel { id: ended }) => {
                let ended = *ended;
                if ended != id && ready.end(ended) {
                    self.out.push_back(HubOutput::Cancelled(ended));
                }
                return self.answer(id, &Ok(Answer::Cancel(Empty {})));
            }
            Request::PutBlob(PutBlob { size, .. }) => {
                if ready.upload.is_some() {
                    return self.answer(id, &Err(one_at_a_time("upload")));
                }
                ready.upload = Some(Upload { id, size: *size, remaining: None, progress: now });
                // What the client still sent of an upload that the hub had ended lies before this request.
                ready.stray_bytes = 0;
            }
            Request::GetBlob(_) => {
                if ready.download.is_some() {
                    return self.answer(id, &Err(one_at_a_time("download")));
                }
                ready.download = Some(id);
            }
            _ => {}
        }
        self.out.push_back(HubOutput::Request(id, request));
    }

    fn unreadable(&mut self, id: RequestId, why: UnreadableRequest) {
        let (code, message) = match why {
            UnreadableRequest::Unsupported => {
                (RefusalCode::Unsupported, "this hub does not know the request")
            }
            UnreadableRequest::BadRequest => (RefusalCode::BadRequest, "the request's fields are wrong"),
        };
        self.refuse_request(id, Refusal::new(code, message));
    }

    /// Opens request `id` and ends it with `refusal` in one step.
    fn refuse_request(&mut self, id: RequestId, refusal: Refusal) {
        match self.admit(id) {
            Ok(()) => self.answer(id, &Err(refusal)),
            Err(refusal) => self.reply(id, refusal),
        }
    }

    /// Opens request `id`, or says why not; numbers must rise.
    fn admit(&mut self, id: RequestId) -> Result<(), Refusal> {
        let State::Ready(ready) = &mut self.state else { return Ok(()) };
        if ready.newest.is_some_and(|newest| id <= newest) {
            return Err(Refusal::new(RefusalCode::BadRequest, "the numbers of requests rise"));
        }
        ready.newest = Some(id);
        if ready.open.len() as u64 >= self.config.limits.open_requests_max {
            return Err(Refusal::new(RefusalCode::TooMany, "too many open requests"));
        }
        ready.open.insert(id);
        Ok(())
    }

    /// Refuses a request that was never opened; one that is open under the same number goes on.
    fn reply(&mut self, id: RequestId, refusal: Refusal) {
        self.out.push_back(HubOutput::Send(Packet::Text(HubFrame::answer(id, &Err(refusal)))));
    }

    fn chunk(&mut self, id: RequestId, bytes: Vec<u8>, now: UnixMillis) {
        let State::Ready(ready) = &mut self.state else { return };
        let length = bytes.len() as u64;
        match &mut ready.upload {
            Some(Upload { id: open, remaining: Some(remaining), progress, .. })
                if *open == id && length > 0 && length <= *remaining =>
            {
                *remaining -= length;
                *progress = now;
                let last = *remaining == 0;
                self.out.push_back(HubOutput::Chunk { id, bytes, last });
            }
            Some(Upload { id: open, remaining: Some(_), .. }) if *open == id => {
                self.out.push_back(HubOutput::Cancelled(id));
                let refusal =
                    Refusal::new(RefusalCode::BadRequest, "the upload sends other bytes than it announced");
                self.answer(id, &Err(refusal));
            }
            _ => {
                ready.stray_bytes += length.max(1);
                if ready.stray_bytes > STRAY_BYTES_MAX {
                    self.close(CloseReason::BadFrame);
                }
            }
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if let State::Ready(ready) = &self.state {
            let open: Vec<_> = ready.open.iter().copied().collect();
            self.out.extend(open.into_iter().map(HubOutput::Cancelled));
        }
        if !matches!(self.state, State::Closed) {
            self.state = State::Closed;
            self.out.push_back(HubOutput::Close(reason));
        }
    }
}

impl Ready {
    /// Ends request `id` and frees its slot; says whether it was open.
    fn end(&mut self, id: RequestId) -> bool {
        if self.upload.as_ref().is_some_and(|upload| upload.id == id) {
            self.upload = None;
        }
        if self.download == Some(id) {
            self.download = None;
        }
        self.open.remove(&id)
    }
}

fn one_at_a_time(what: &str) -> Refusal {
    Refusal::new(RefusalCode::TooMany, format!("one {what} at a time on a connection"))
}

fn millis(seconds: u64) -> UnixMillis {
    i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX).min(i64::MAX / 2)
}
