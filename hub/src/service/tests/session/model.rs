//! Random requests by owners, members, and those who are pending, denied, removed or strangers, against a model that knows
//! nothing of `protocol::room`.
//!
//! The property: no sequence of requests gives a non-member one byte, admits without a signature of the owner's user key,
//! or admits more than a key allows.

mod looks;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::prop;
use protocol::room::{ChainEnd, extend};

use self::steps::{Doing, Step, step};
use super::*;
use crate::cast::property;
use crate::clock::Clock as _;

const SEATS: u8 = 8;
const SEATS_OF_A_USER: u8 = 2;
const BLOBS: u8 = 3;
const KEYS: u8 = 3;
const KEY_LIFE: i64 = 3 * DAY;
const PENDING_MAX: u64 = 2;

/// Who acts: the number of a seat. The first two are the owner's.
type Who = u8;

/// What is true of one agent.
#[derive(Debug, Default)]
struct Agent {
    vouched_until: Option<i64>,
    /// The entry above which it reads, while it is admitted.
    stay: Option<u64>,
    denied: bool,
    removed: bool,
    asked: Option<Waiting>,
    said: u64,
    last: Option<(Post, u64)>,
    cursor: u64,
    sent: BTreeSet<u8>,
}

#[derive(Debug, Clone)]
struct Waiting {
    id: Digest,
    no: usize,
    key: u8,
    until: i64,
    decided: bool,
}

#[derive(Debug)]
struct Kept {
    uses: u64,
    revoked: bool,
}

fn uses_max(key: u8) -> u64 {
    u64::from(key % 2) + 1
}

/// An entry of the log.
#[derive(Debug)]
enum Line {
    Said { who: Who, body: String, blob: Option<u8>, leaves: bool },
    Done,
}

struct World {
    bench: Bench,
    room: RoomId,
    agents: Vec<Agent>,
    keys: BTreeMap<u8, Kept>,
    log: Vec<Line>,
    end: LogPoint,
    acts: Vec<(Append, u64)>,
    chain: ChainEnd,
    closed: bool,
    blobs: BTreeSet<u8>,
    filed: usize,
}

fn seat(who: Who) -> Player {
    player(who / SEATS_OF_A_USER, who % SEATS_OF_A_USER)
}

fn bytes_of(blob: u8) -> Vec<u8> {
    vec![blob; usize::from(blob) * 100 + 1]
}

fn id_of(blob: u8) -> BlobId {
    BlobId::of(&bytes_of(blob))
}

impl World {
    fn now(&self) -> i64 {
        self.bench.clock.now()
    }

    fn agent(&mut self, who: Who) -> &mut Agent {
        &mut self.agents[usize::from(who)]
    }

    fn is_owner(&self, who: Who) -> bool {
        let agent = &self.agents[usize::from(who)];
        agent.vouched_until.is_some_and(|until| until > self.now()) && !agent.removed
    }

    /// Returns the floor of who is in the room.
    fn floor(&self, who: Who) -> Option<u64> {
        if self.is_owner(who) { Some(0) } else { self.agents[usize::from(who)].stay }
    }

    fn has_blob(&self, who: Who, blob: u8) -> bool {
        let Some(floor) = self.floor(who) else { return false };
        let above = self.references(floor).iter().any(|(_, other)| *other == id_of(blob));
        self.blobs.contains(&blob)
            && (floor == 0 || above || self.agents[usize::from(who)].sent.contains(&blob))
    }

    fn references(&self, floor: u64) -> Vec<(u64, BlobId)> {
        let rows = (1..).zip(&self.log).filter_map(|(seq, line)| match line {
            Line::Said { blob: Some(blob), .. } if seq > floor => Some((seq, id_of(*blob))),
            _ => None,
        });
        let mut rows: Vec<_> = rows.collect();
        rows.reverse();
        rows
    }

    fn is_live(&self, key: u8) -> bool {
        let is_usable = |kept: &Kept| !kept.revoked && kept.uses < uses_max(key);
        self.keys.get(&key).is_some_and(is_usable) && self.now() < START + KEY_LIFE && !self.closed
    }

    fn is_pending(&self, asked: &Waiting) -> bool {
        !asked.decided && asked.until > self.now() && self.is_live(asked.key)
    }

    /// Compares an answer to somebody in the room with what it has to be; to anybody else there is one answer.
    fn check<T: std::fmt::Debug + PartialEq>(
        &self,
        who: Who,
        answer: Result<T, Refusal>,
        expected: Result<T, RefusalCode>,
    ) {
        if self.floor(who).is_none() {
            return assert_eq!(answer, Err(Refusal::not_found()));
        }
        assert_eq!((who, answer.map_err(|refusal| refusal.code)), (who, expected));
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Vouch(who, ms) => {
                // Statements of one moment would be of one age.
                self.bench.clock.advance(1);
                self.bench.note_seat(&seat(who), ms.into()).await;
                self.agent(who).vouched_until = Some(self.now() + i64::from(ms));
            }
            Step::TimePasses(ms) => self.bench.clock.advance(ms.into()),
            Step::DaysPass(days) => self.bench.clock.advance(days * DAY),
            Step::Sweep => self.sweep().await,
            Step::PutKey(who, key) => self.put_key(who, key).await,
            Step::Revoke(who, key) => self.revoke(who, key).await,
            Step::Join(who, key) => self.join(who, key).await,
            Step::State(who, whose) => self.state(who, whose).await,
            Step::Requests(who) => self.requests(who).await,
            Step::Append(who, signer, doing) => self.append(who, signer, doing).await,
            Step::AppendAgain(who, act) => self.append_again(who, act).await,
            Step::Post(who, blob, leaves) => self.post(who, blob, leaves).await,
            Step::PostAgain(who) => self.post_again(who).await,
            Step::Put(who, blob) => self.put(who, blob).await,
            Step::Look(who, seq, blob) => {
                self.pull(who, seq.into()).await;
                self.chain(who, seq.into()).await;
                self.ack(who, seq.into()).await;
                self.get(who, blob).await;
                self.handoffs(who).await;
                for blob in 0..BLOBS {
                    self.find(who, blob).await;
                }
                self.rooms(who).await;
            }
        }
    }

    async fn sweep(&mut self) {
        janitor::expire(&self.bench.service).await.unwrap();
        for who in 0..SEATS {
            let Some(asked) = self.agent(who).asked.clone() else { continue };
            let day = self.now() + DAY;
            let is_dead = !asked.decided && !self.is_live(asked.key);
            let until = if is_dead { asked.until.min(day) } else { asked.until };
            let is_over = until <= self.now();
            self.agent(who).asked = (!is_over).then_some(Waiting { until, ..asked });
        }
    }

    async fn put_key(&mut self, who: Who, key: u8) {
        let statement =
            seat(0).key_to(self.room, invite(key).public(), KEY_LIFE, uses_max(key)).signed().clone();
        let answer = self.bench.ask(&seat(who), Request::PutKey(PutKey { key: statement })).await.map(drop);
        let expected = match (self.is_owner(who), self.closed) {
            (false, _) => Err(RefusalCode::NotOwner),
            (true, true) => Err(RefusalCode::Closed),
            (true, false) => {
                self.keys.entry(key).or_insert(Kept { uses: 0, revoked: false });
                Ok(())
            }
        };
        self.check(who, answer, expected);
    }

    async fn revoke(&mut self, who: Who, key: u8) {
        let request = RevokeKey { room: self.room, invite: invite(key).public() };
        let answer = self.bench.ask(&seat(who), Request::RevokeKey(request)).await.map(drop);
        let expected = match (self.is_owner(who), self.keys.get_mut(&key)) {
            (false, _) => Err(RefusalCode::NotOwner),
            (true, None) => Err(RefusalCode::NotFound),
            (true, Some(kept)) => {
                kept.revoked = true;
                Ok(())
            }
        };
        self.check(who, answer, expected);
    }

    async fn join(&mut self, who: Who, key: u8) {
        // Two requests of one moment would be one.
        self.bench.clock.advance(1);
        let (now, is_inside) = (self.now(), self.floor(who).is_some());
        let ask = seat(who).asks(self.room, &invite(key), now);
        let id = ask.join.digest();
        let answer = self.bench.hand_in(&seat(who), ask).await;
        let asked = self.agent(who).asked.clone();
        if !self.keys.contains_key(&key) || self.agent(who).denied || !(self.is_live(key) || is_inside) {
            return assert_eq!(answer, Err(Refusal::key_refused()));
        }
        if let Some(asked) = asked.filter(|asked| is_inside || self.is_pending(asked)) {
            return assert_eq!(answer, Ok(asked.id), "who asks again has the same request");
        }
        let waits = |asked: &&Waiting| asked.key == key && !asked.decided && asked.until > now;
        let waiting = self.agents.iter().filter_map(|agent| agent.asked.as_ref()).filter(waits).count();
        if !is_inside && waiting as u64 >= PENDING_MAX {
            return assert_eq!(answer.unwrap_err().code, RefusalCode::TooMany);
        }
        assert_eq!(answer, Ok(id));
        self.filed += 1;
        let no = self.filed;
        let asked = Waiting { id, no, key, until: now + 7 * DAY, decided: is_inside };
        self.agent(who).asked = Some(asked);
    }

    /// Says why the owner's act is not taken, if it is not.
    fn fault(&self, doing: Doing) -> Option<RefusalCode> {
        let agent = |who: Who| &self.agents[usize::from(who)];
        if self.closed {
            return Some(RefusalCode::Closed);
        }
        match doing {
            Doing::Admit(_, _, Some(key)) if !self.is_live(key) => Some(RefusalCode::KeyRefused),
            Doing::Admit(who, ..) | Doing::Deny(who) if agent(who).stay.is_some() => {
                Some(RefusalCode::BadRequest)
            }
            Doing::Admit(who, ..) | Doing::Deny(who) if agent(who).denied => Some(RefusalCode::Denied),
            Doing::Remove(who) => {
                let is_seat = agent(who).vouched_until.is_some() && !agent(who).removed;
                (!is_seat && agent(who).stay.is_none()).then_some(RefusalCode::BadRequest)
            }
            Doing::Admit(..) | Doing::Deny(_) | Doing::Close => None,
        }
    }

    fn carry_out(&mut self, doing: Doing) {
        let (now, seq) = (self.now(), self.end.seq);
        match doing {
            Doing::Admit(who, has_history, key) => {
                self.agent(who).stay = Some(if has_history { 0 } else { seq });
                if let Some(kept) = key.and_then(|key| self.keys.get_mut(&key)) {
                    kept.uses += 1;
                }
            }
            Doing::Deny(who) => self.agent(who).denied = true,
            Doing::Remove(who) => {
                self.agent(who).stay = None;
                self.agent(who).removed = true;
            }
            Doing::Close => self.closed = true,
        }
        if let Doing::Admit(who, ..) | Doing::Deny(who) = doing
            && let Some(asked) = self.agent(who).asked.as_mut().filter(|asked| !asked.decided)
        {
            asked.decided = true;
            asked.until = now + 7 * DAY;
        }
    }

    async fn append(&mut self, who: Who, signer: Who, doing: Doing) {
        let op = match doing {
            Doing::Admit(whom, has_history, key) => {
                let key = key.map(|key| invite(key).public());
                admit(seat(whom).agent(), self.end, has_history, key)
            }
            Doing::Deny(whom) => Op::Deny { agents: vec![seat(whom).agent()] },
            Doing::Remove(whom) => Op::Remove { agent: seat(whom).agent() },
            Doing::Close => Op::Close,
        };
        let act = seat(signer).act(self.room, self.chain, op);
        let request = Append { room: self.room, membership: act.signed().clone() };
        let answer: Result<_, Refusal> = self.hand_on(who, request.clone()).await;
        let is_owners = signer / SEATS_OF_A_USER == 0;
        let fault = if is_owners { self.fault(doing) } else { Some(RefusalCode::NotOwner) };
        if let Some(fault) = fault {
            return self.check(who, answer, Err(fault));
        }
        self.carry_out(doing);
        self.end = extend(&self.end, &act.digest());
        self.chain = ChainEnd { n: self.chain.n + 1, digest: act.digest() };
        self.log.push(Line::Done);
        self.acts.push((request, self.end.seq));
        assert_eq!(answer, Ok(self.end.seq), "its signature authorises it, whoever hands it in");
        assert!(self.keys.iter().all(|(key, kept)| kept.uses <= uses_max(*key)));
    }

    async fn hand_on(&self, who: Who, request: Append) -> Result<u64, Refusal> {
        let appended = answered!(self.bench.ask(&seat(who), Request::Append(request)), Append);
        appended.map(|appended| appended.seq)
    }

    async fn append_again(&mut self, who: Who, act: u8) {
        let Some((request, seq)) = self.acts.get(usize::from(act)).cloned() else { return };
        assert_eq!(self.hand_on(who, request).await, Ok(seq));
    }

    async fn post(&mut self, who: Who, blob: Option<u8>, leaves: bool) {
        let body = format!(r#"{{"parts":[{{"kind":"text","text":"{who} {}"}}]}}"#, self.log.len());
        let blobs: Vec<_> = blob.iter().map(|blob| id_of(*blob)).collect();
        let n = self.agent(who).said + 1;
        let mut header = seat(who).message(self.room, n, self.end, &body, &blobs).statement().clone();
        header.leave = leaves;
        let message = sign(&seat(who).key, header);
        let post = Post { room: self.room, message: message.signed().clone(), body: body.clone() };
        let posted = answered!(self.bench.ask(&seat(who), Request::Post(post.clone())), Post);
        let answer = posted.map(|posted| posted.seq);
        if self.floor(who).is_none() || self.closed {
            return self.check(who, answer, Err(RefusalCode::Closed));
        }
        if leaves && self.is_owner(who) {
            return self.check(who, answer, Err(RefusalCode::BadStatement));
        }
        if blob.is_some_and(|blob| !self.has_blob(who, blob)) {
            return self.check(who, answer, Err(RefusalCode::NotFound));
        }
        self.end = extend(&self.end, &message.digest());
        self.check(who, answer, Ok(self.end.seq));
        self.log.push(Line::Said { who, body, blob, leaves });
        let seq = self.end.seq;
        let agent = self.agent(who);
        agent.said = n;
        agent.last = Some((post, seq));
        if leaves {
            agent.stay = None;
        }
    }

    async fn put(&mut self, who: Who, blob: u8) {
        let answer = self.bench.upload(&seat(who), self.room, &bytes_of(blob)).await;
        let present = self.has_blob(who, blob);
        let is_refused = self.closed && !present;
        let expected = if is_refused { Err(RefusalCode::Closed) } else { Ok(PutDone { present }) };
        self.check(who, answer, expected);
        if self.floor(who).is_some() && !present && !is_refused {
            self.blobs.insert(blob);
            self.agent(who).sent.insert(blob);
        }
    }

    async fn post_again(&mut self, who: Who) {
        let Some((post, seq)) = self.agent(who).last.clone() else { return };
        let leaves = matches!(&self.log[usize::try_from(seq).unwrap() - 1], Line::Said { leaves: true, .. });
        let posted = answered!(self.bench.ask(&seat(who), Request::Post(post)), Post);
        let answer = posted.map(|posted| posted.seq);
        // Who left may have lost the answer to that.
        if leaves { assert_eq!(answer, Ok(seq)) } else { self.check(who, answer, Ok(seq)) }
    }
}

impl Line {
    fn text(&self) -> Option<(protocol::key::AgentId, String)> {
        match self {
            Self::Said { who, body, .. } => Some((seat(*who).agent(), body.clone())),
            Self::Done => None,
        }
    }
}

proptest::proptest! {
    #![proptest_config(property(128))]

    #[test]
    fn no_sequence_of_requests_gives_a_non_member_one_byte_or_admits_without_the_owner(
        steps in prop::collection::vec(step(), 1..120)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let limits = Limits {
                sends_per_agent_minute_max: 10_000,
                blobs_per_agent_hour_max: 10_000,
                // What becomes of blobs that nobody reads is another test's.
                blob_idle_days: 365_000,
                requests_per_address_max: PENDING_MAX,
                requests_per_key_max: PENDING_MAX,
                ..Limits::default()
            };
            let bench = Bench::new(limits);
            let room = bench.open_session(&seat(0)).await;
            let mut world = World {
                bench,
                room,
                agents: (0..SEATS).map(|_| Agent::default()).collect(),
                keys: BTreeMap::new(),
                log: Vec::new(),
                end: LogPoint::start(room),
                acts: Vec::new(),
                chain: ChainEnd { n: 0, digest: room.into() },
                closed: false,
                blobs: BTreeSet::new(),
                filed: 0,
            };
            world.agent(0).vouched_until = Some(START + SEAT_MS);
            for step in steps {
                world.take(step).await;
            }
        });
    }
}
