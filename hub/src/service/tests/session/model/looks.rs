//! What an agent of the model finds when it looks, and what it should find.

use protocol::frame::{EntryContent, Find, Rooms};

use super::*;

impl World {
    pub(super) async fn state(&mut self, who: Who, whose: Who) {
        let Some(asked) = self.agent(whose).asked.clone() else { return };
        let answer = self.bench.state(&seat(who), asked.id).await;
        let state = if who != whose {
            return assert_eq!(answer, Err(Refusal::not_found()));
        } else if self.agent(who).denied {
            JoinerState::Denied
        } else if self.floor(who).is_some() {
            JoinerState::Member
        } else if asked.decided {
            JoinerState::Removed
        } else if self.is_pending(&asked) {
            JoinerState::Pending
        } else if asked.until > self.now() {
            return assert_eq!(answer, Err(Refusal::key_refused()));
        } else {
            return assert_eq!(answer, Err(Refusal::not_found()));
        };
        let genesis = (state == JoinerState::Member).then(|| seat(0).session(1).signed().clone());
        assert_eq!(answer, Ok(JoinStanding { state, genesis }));
    }

    pub(super) async fn requests(&mut self, who: Who) {
        let answer = self.bench.requests(&seat(who), self.room).await.map(|list| {
            let waiting: Vec<_> = list.requests.iter().map(|row| row.ask.join.digest()).collect();
            let keys: Vec<_> =
                list.keys.iter().map(|row| (row.key.digest(), row.uses, row.revoked)).collect();
            (waiting, keys.into_iter().collect::<BTreeSet<_>>())
        });
        let mut waiting: Vec<_> = self.agents.iter().filter_map(|agent| agent.asked.as_ref()).collect();
        waiting.retain(|asked| self.is_pending(asked));
        waiting.sort_by_key(|asked| asked.no);
        let waiting = waiting.iter().map(|asked| asked.id).collect();
        let keys = self.keys.iter().map(|(key, kept)| {
            let statement = seat(0).key_to(self.room, invite(*key).public(), KEY_LIFE, uses_max(*key));
            (statement.digest(), kept.uses, kept.revoked)
        });
        let expected =
            if self.is_owner(who) { Ok((waiting, keys.collect())) } else { Err(RefusalCode::NotOwner) };
        self.check(who, answer, expected);
    }

    pub(super) async fn pull(&mut self, who: Who, after: u64) {
        let answer = self.bench.pull(&seat(who), self.room, after).await;
        let floor = self.floor(who).unwrap_or_default();
        let expected = if after > self.end.seq {
            Err(RefusalCode::BadRequest)
        } else if after < floor {
            Err(RefusalCode::Pruned)
        } else {
            let above = (1..).zip(&self.log).filter(|(seq, _)| *seq > after);
            Ok((floor, above.map(|(seq, line)| (seq, line.text())).collect::<Vec<_>>()))
        };
        let found = answer.map(|page| {
            let entries = page.entries.iter().map(|entry| match &entry.content {
                EntryContent::Message { message, body } => {
                    (entry.seq, Some((message.by(), body.clone().unwrap_or_default())))
                }
                EntryContent::Membership(_) => (entry.seq, None),
            });
            (page.base.seq, entries.collect())
        });
        self.check(who, found, expected);
    }

    pub(super) async fn chain(&mut self, who: Who, after: u64) {
        let request = Request::Chain(Chain { room: self.room, after });
        let answer = answered!(self.bench.ask(&seat(who), request), Chain);
        let found =
            answer.map(|page| (page.end, page.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>()));
        let is_chain = |line: &Line| matches!(line, Line::Done | Line::Said { leaves: true, .. });
        let above = (1..).zip(&self.log).filter(|(seq, line)| *seq > after && is_chain(line));
        self.check(who, found, Ok((self.chain, above.map(|(seq, _)| seq).collect())));
    }

    pub(super) async fn ack(&mut self, who: Who, seq: u64) {
        let ack = Ack { room: self.room, reader: "cli".into(), seq };
        let acked = answered!(self.bench.ask(&seat(who), Request::Ack(ack)), Ack);
        let floor = self.floor(who);
        let expected = if seq > self.end.seq {
            Err(RefusalCode::BadRequest)
        } else {
            let cursor = self.agents[usize::from(who)].cursor.max(seq).max(floor.unwrap_or_default());
            if floor.is_some() {
                self.agent(who).cursor = cursor;
            }
            Ok(cursor)
        };
        self.check(who, acked.map(|acked| acked.cursor), expected);
    }

    pub(super) async fn get(&mut self, who: Who, blob: u8) {
        let answer = self.bench.download(&seat(who), self.room, id_of(blob)).await;
        let expected = if self.has_blob(who, blob) { Ok(bytes_of(blob)) } else { Err(Refusal::not_found()) };
        assert_eq!(answer, expected);
    }

    pub(super) async fn handoffs(&mut self, who: Who) {
        let request = Handoffs { room: self.room, before: None, limit: 100 };
        let answer = answered!(self.bench.ask(&seat(who), Request::Handoffs(request)), Handoffs);
        let found =
            answer.map(|list| list.references.iter().map(|row| (row.seq, row.blob)).collect::<Vec<_>>());
        self.check(who, found, Ok(self.references(self.floor(who).unwrap_or_default())));
    }

    pub(super) async fn find(&mut self, who: Who, blob: u8) {
        let request = Request::Find(Find { prefix: id_of(blob).into() });
        let Ok(Answer::Find(list)) = self.bench.ask(&seat(who), request).await else { panic!("a list") };
        let found: Vec<_> = list.references.iter().map(|row| (row.seq, row.blob)).collect();
        let mut expected = self.floor(who).map(|floor| self.references(floor)).unwrap_or_default();
        expected.retain(|(_, other)| *other == id_of(blob));
        assert_eq!(found, expected);
    }

    pub(super) async fn rooms(&mut self, who: Who) {
        let request = Rooms { after: None, reader: Some("cli".into()) };
        let Ok(Answer::Rooms(list)) = self.bench.ask(&seat(who), Request::Rooms(request)).await else {
            panic!("a list")
        };
        let found: Vec<_> =
            list.rooms.iter().map(|row| (row.room, row.end, row.cursor, row.pending)).collect();
        let asked = self.agents.iter().filter_map(|agent| agent.asked.as_ref());
        let waiting = asked.filter(|asked| self.is_pending(asked)).count() as u64;
        let expected = self.floor(who).map(|floor| {
            let cursor = self.agents[usize::from(who)].cursor.max(floor);
            (self.room, self.end, Some(cursor), self.is_owner(who).then_some(waiting))
        });
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }
}
