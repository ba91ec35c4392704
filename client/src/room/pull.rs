//! One page of a room's log: asked for, checked against what is known, and taken over.

use std::time::Duration;

use protocol::frame::{Answer, Entry, Pull, Pulled, Request};
use protocol::id::Digest;
use protocol::refusal::RefusalCode;
use protocol::room::{Flag, RangeChecks, RangeOutcome, Reading, extend, verify_range};
use protocol::statement::LogPoint;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Room;
use super::chain::read_chain;
use super::evidence::as_shown;
use crate::error::Error;
use crate::link::{Link, LinkError};

/// What asking for a page gave.
pub(super) enum Step {
    /// Entries that were checked.
    Page(Page),
    /// The log is there from this point on only.
    Pruned(LogPoint),
    /// Another history than before, without an entry that could be read.
    Forked,
}

/// Entries that were checked, up to what shows another history.
pub(super) struct Page {
    pub(super) readings: Vec<Reading>,
    /// The point after the last of them.
    pub(super) end: LogPoint,
    /// The end of the log, by the hub's word.
    pub(super) log_end: LogPoint,
    /// Whether reading stopped before what shows another history.
    pub(super) is_cut: bool,
}

/// Which page is wanted.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) after: u64,
    pub(super) limit: u64,
    pub(super) bodies: bool,
    pub(super) wait: Option<Duration>,
}

impl Room {
    /// Asks for entries behind a point that is verified and takes them over. Behind the head they extend what is known.
    pub(super) async fn page(&mut self, link: &Link, wanted: Wanted) -> Result<Step, Error> {
        let after = wanted.after;
        let pulled = match self.pull(link, wanted).await {
            Ok(pulled) => pulled,
            Err(LinkError::Refused(refusal)) => {
                let base = refusal.base.as_deref().copied().filter(|base| base.seq > after);
                return match (refusal.code, base) {
                    (RefusalCode::Pruned, Some(base)) => Ok(Step::Pruned(base)),
                    // Behind the end, at a point that the hub has shown before.
                    (RefusalCode::BadRequest, _) if after <= self.state.head().seq => {
                        self.rolled_back(after, &json!({ "after": after, "refusal": refusal }));
                        Ok(Step::Forked)
                    }
                    _ => Err(LinkError::Refused(refusal).into()),
                };
            }
            Err(error) => return Err(error.into()),
        };
        let is_shorter = pulled.end.seq < self.state.newest();
        if is_shorter {
            self.rolled_back(pulled.end.seq, &as_shown(&pulled));
        }
        let step = self.take(pulled, wanted)?;
        Ok(match step {
            Step::Page(page) => Step::Page(Page { is_cut: page.is_cut || is_shorter, ..page }),
            other => other,
        })
    }

    fn take(&mut self, mut pulled: Pulled, wanted: Wanted) -> Result<Step, Error> {
        let (start, head) = (pulled.start, self.state.head());
        let is_new = start.seq == head.seq;
        // Those behind the head are for a page of their own, in which numbers are counted.
        let limit = if is_new { wanted.limit } else { wanted.limit.min(head.seq.saturating_sub(start.seq)) };
        pulled.entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        if pulled.entries.is_empty() && pulled.end.seq > start.seq {
            return Err(Error::Contradiction { room: self.id() });
        }
        let outcome = self.verify(&pulled, is_new.then_some(self.state.counters().clone()).as_ref());
        let points = points(&pulled, outcome.readings.len());
        let (end, is_anchored) = (outcome.end, outcome.is_anchored);
        let mut fault = outcome.fault.map(|fault| (fault.seq(), one_line(&fault)));
        if fault.is_none() && !is_anchored {
            // Who asks has verified the value at the start; this is the second lock of the door.
            return Err(Error::Contradiction { room: self.id() });
        }
        if fault.is_none()
            && (pulled.end.seq < end.seq || (pulled.end.seq == end.seq && pulled.end.log != end.log))
        {
            fault = Some((end.seq, "the hub names another end of the log than its entries have".to_owned()));
        }
        if is_new {
            self.is_news |= !points.is_empty();
            self.state.extend(points, outcome.members, outcome.counters);
            self.note_anchors(|| as_shown(&pulled));
            let odd = self.note_readings(&outcome.readings, &pulled);
            if let Some(what) = odd {
                self.keep_evidence(start.seq, &what, &as_shown(&pulled));
            }
        } else {
            // The numbers were counted when it was new; the texts may come for the first time.
            let is_odd =
                |reading: &&Reading| matches!(reading, Reading::Invalid { .. } | Reading::NotMember { .. });
            if let Some(seq) = outcome.readings.iter().find(is_odd).map(Reading::seq) {
                self.keep_evidence(seq, &not_written(seq), &as_shown(&pulled));
            }
            self.pass(points);
        }
        let is_cut = fault.is_some();
        if let Some((seq, what)) = fault {
            self.note_fork(seq, what, &as_shown(&pulled));
        }
        let readings = outcome.readings.into_iter().map(|reading| self.flagged(reading)).collect();
        Ok(Step::Page(Page { readings, end, log_end: pulled.end, is_cut }))
    }

    /// Checks the entries of a page; `counters` are given where it extends what is known.
    pub(super) fn verify(
        &mut self,
        pulled: &Pulled,
        counters: Option<&protocol::room::Counters>,
    ) -> RangeOutcome {
        for seat in &pulled.seats {
            // A statement that does not hold makes nobody a member, and no more than that.
            if let Ok(seat) = seat.clone().verify() {
                self.state.members_mut().note_seat(&seat);
            }
        }
        let checks = RangeChecks { members: self.state.members(), counters, accepted: self.state.accepted() };
        verify_range(checks, pulled.start, pulled.entries.clone(), |seq| self.value(seq))
    }

    /// Returns the verified log value after entry `seq`, where one is kept.
    pub(super) fn value(&self, seq: u64) -> Option<Digest> {
        self.state.known(seq).or_else(|| self.passing.get(&seq).copied())
    }

    /// Remembers what is odd about new entries; says what is odd, if anything.
    fn note_readings(&mut self, readings: &[Reading], pulled: &Pulled) -> Option<String> {
        let mut odd = None;
        for reading in readings {
            let (seq, flag) = match reading {
                Reading::Good(message) if message.is_after_gap => (message.seq, Flag::Gap),
                Reading::Repeated { seq, flag, .. } => (*seq, *flag),
                Reading::Invalid { seq } | Reading::NotMember { seq, .. } => {
                    odd.get_or_insert_with(|| not_written(*seq));
                    continue;
                }
                Reading::Good(_) | Reading::Act(_) => continue,
            };
            odd.get_or_insert_with(|| format!("the numbers of the author of entry {seq} do not follow"));
            if !self.state.note_flag(seq, flag) {
                let what = "more entries are odd than any hub has by mistake".to_owned();
                self.note_fork(seq, what, &as_shown(pulled));
            }
        }
        odd
    }

    /// Gives a message that was found odd when it was new as what it was then.
    fn flagged(&self, reading: Reading) -> Reading {
        let Reading::Good(mut message) = reading else { return reading };
        match self.state.flag(message.seq) {
            Some(Flag::Gap) => message.is_after_gap = true,
            Some(flag @ (Flag::Replayed | Flag::Fork)) => {
                return Reading::Repeated { seq: message.seq, author: message.header.by(), flag };
            }
            Some(Flag::Unchecked) | None => {}
        }
        Reading::Good(message)
    }

    /// Takes note that the log is shorter than it was, here or for the owner.
    fn rolled_back(&mut self, end: u64, shown: &Value) {
        let what = format!("the log goes back from entry {} to {end}", self.state.newest());
        self.note_fork(end, what, shown);
    }

    /// Asks for the owner's acts that were not seen yet and follows them; says whether they continue the chain.
    pub(super) async fn follow_chain(&mut self, link: &Link) -> Result<bool, Error> {
        let mut members = self.state.members().clone();
        let after = members.chain_seq().min(self.state.head().seq);
        let (mut shown, mut fault) = (Value::Null, None);
        let contradicts = |at: LogPoint| {
            at.seq > self.state.accepted() && self.state.known(at.seq).is_some_and(|log| log != at.log)
        };
        let follow = |after, entries: Vec<Entry>| {
            let page = json!({ "chain": entries });
            fault = members.follow(entries).err().map(|error| (after, one_line(&error)));
            if shown.is_null() && (fault.is_some() || members.anchors().any(contradicts)) {
                shown = page;
            }
            fault.is_none()
        };
        read_chain(link, self.id(), after, follow).await?;
        if let Some((after, what)) = fault {
            self.note_fork(after, what, &shown);
            return Ok(false);
        }
        *self.state.members_mut() = members;
        Ok(self.note_anchors(|| shown.clone()))
    }

    /// Asks for a page. A wait outlasts what one request can wait for, and breaks of the connection.
    pub(super) async fn pull(&self, link: &Link, wanted: Wanted) -> Result<Pulled, LinkError> {
        let Wanted { after, limit, bodies, wait } = wanted;
        let until = wait.map(|wait| Instant::now() + wait);
        let room = self.id();
        let ask = |wait_ms| Request::Pull(Pull { room, after, limit, bodies, wait_ms });
        let is_wanted = |answer: &Answer| match answer {
            Answer::Pull(pulled) => !pulled.entries.is_empty() || pulled.end.seq != after,
            _ => true,
        };
        match link.request_until(until, ask, is_wanted).await? {
            Answer::Pull(pulled) => Ok(pulled),
            _ => unreachable!("an answer is read by the kind of its request"),
        }
    }
}

fn not_written(seq: u64) -> String {
    format!("entry {seq} is not what a member wrote")
}

/// Returns the points after the first `count` entries of a page.
pub(super) fn points(pulled: &Pulled, count: usize) -> Vec<LogPoint> {
    let mut point = pulled.start;
    let entries = pulled.entries.iter().take(count);
    entries
        .map(|entry| {
            point = extend(&point, &entry.content.digest());
            point
        })
        .collect()
}

/// Returns an error and what caused it in one line.
pub(super) fn one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
