//! Getting to a place of the log at which everything is verified: forward from the head, or between two verified points.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::Digest;
use protocol::limits::PULL_ENTRIES_MAX;
use protocol::room::{RangeChecks, Reading, verify_range};
use protocol::statement::LogPoint;
use serde_json::json;

use super::Room;
use super::evidence::as_shown;
use super::pull::{Page, Step, Wanted, one_line, points};
use crate::error::Error;
use crate::limits::{KEPT_AFTER_ENTRIES, NEAR_ENTRIES, PASSING_POINTS_MAX, PRUNED_AGAIN_MAX};
use crate::link::{Link, LinkError};

/// What stands in the way to a place of the log.
pub(super) enum Way {
    /// Nothing: from there on a page can be checked.
    Open,
    /// The log is there from this point on only.
    Pruned(LogPoint),
    /// The hub shows another history, or none so far.
    Shut,
}

impl Room {
    /// Reads headers behind the head until `target` or the end of the log; says whether the target was reached. What the owner
    /// has signed further on is reached first, or nothing up to it counts.
    pub(super) async fn extend_to(&mut self, link: &Link, target: u64) -> Result<bool, Error> {
        let mut again = 0;
        loop {
            let is_there = if self.is_behind_anchor() {
                let mut trial = self.on_trial();
                let walked = trial.walk(link, 0, &mut again).await;
                // What it found counts, however it ended.
                self.conclude(trial);
                walked? && !self.is_behind_anchor()
            } else if self.state.head().seq >= target {
                return Ok(true);
            } else {
                self.walk(link, target, &mut again).await?
            };
            if !is_there {
                return Ok(false);
            }
        }
    }

    /// Says whether the owner has signed a point of the log that was not reached yet.
    pub(super) fn is_behind_anchor(&self) -> bool {
        self.state.newest() > self.state.head().seq
    }

    /// Returns what is known, to be read on with until the points are met that the owner has signed.
    fn on_trial(&self) -> Self {
        let (memory, state, passing) = (self.memory.clone(), self.state.clone(), self.passing.clone());
        Self { passing, is_trial: true, ..Self::of(self.me, memory, state, None) }
    }

    /// Takes over what a trial has found: all of it where it met what the owner has signed, whatever it found behind that; else
    /// no more than that it did not.
    fn conclude(&mut self, trial: Self) {
        self.is_shown_fork |= trial.is_shown_fork;
        self.is_news |= trial.is_news;
        if !trial.is_behind_anchor() {
            (self.state, self.passing) = (trial.state, trial.passing);
        } else if let Some(fork) = trial.state.fork() {
            self.state.note_fork(fork.clone());
        }
    }

    /// Reads page after page until `target`, on trial until all that the owner has signed; says whether that was reached. Stops
    /// early, without a fault, where the owner is found to have signed what lies further on.
    async fn walk(&mut self, link: &Link, target: u64, again: &mut usize) -> Result<bool, Error> {
        let mut kept = self.state.head().seq;
        loop {
            let after = self.state.head().seq;
            let goal = if self.is_trial { target.max(self.state.newest()) } else { target };
            if after >= goal || (!self.is_trial && self.is_behind_anchor()) {
                return Ok(true);
            }
            if after - kept >= KEPT_AFTER_ENTRIES {
                // What is interrupted goes on from here the next time.
                self.keep()?;
                kept = after;
            }
            let wanted = Wanted { after, limit: PULL_ENTRIES_MAX, bodies: false, wait: None };
            match self.page(link, wanted).await? {
                Step::Page(page) if page.is_cut => return Ok(false),
                Step::Page(page) if page.log_end.seq <= page.end.seq => return Ok(page.end.seq >= goal),
                Step::Page(_) => {}
                Step::Pruned(base) => {
                    *again += 1;
                    if *again > PRUNED_AGAIN_MAX || !self.go_on_at(link, base).await? {
                        return Ok(false);
                    }
                }
                Step::Forked => return Ok(false),
            }
        }
    }

    /// Goes on at `base`, since what is before it has expired; says whether that can be. Behind the head reading starts anew
    /// there.
    pub(super) async fn go_on_at(&mut self, link: &Link, base: LogPoint) -> Result<bool, Error> {
        if self.value(base.seq).is_some_and(|known| known != base.log) {
            let what = "the log begins at another value than before".to_owned();
            self.note_fork(base.seq, what, &json!({ "base": base }));
            return Ok(false);
        }
        if base.seq <= self.state.head().seq {
            return Ok(true);
        }
        // Acts and leaves do not expire, and say who is in the room there.
        if !self.follow_chain(link).await? {
            return Ok(false);
        }
        self.is_news = true;
        // Whether it leads to what the owner has signed further on is found out on trial, before it counts.
        if self.is_trial || self.state.newest() <= base.seq {
            let is_checked = self.state.known_behind(base.seq).is_some();
            self.state.start_at(base, is_checked);
        }
        Ok(true)
    }

    /// Makes sure that a page of `limit` entries behind `after` can be checked entry by entry.
    pub(super) async fn reach(&mut self, link: &Link, after: u64, limit: u64) -> Result<Way, Error> {
        // A backlog is to arrive at what the owner has signed before any of it is shown.
        if !self.extend_to(link, after).await? && after >= self.state.head().seq {
            return Ok(Way::Shut);
        }
        let head = self.state.head().seq;
        let last = after.saturating_add(limit).min(head);
        if after >= head || (after..=last).all(|seq| self.value(seq).is_some()) {
            return Ok(Way::Open);
        }
        self.fold(link, after, last).await
    }

    /// Folds headers between two verified points, so that every value from `after` to `last` is known.
    async fn fold(&mut self, link: &Link, after: u64, last: u64) -> Result<Way, Error> {
        let passed = self.passing.range(..=after).next_back().map_or(0, |(seq, _)| *seq);
        let mut from = self.state.known_before(after).map_or(passed, |known| known.seq.max(passed));
        let until = self.state.known_behind(last).map_or(last, |known| known.seq);
        let (mut found, mut again): (BTreeMap<u64, _>, _) = (BTreeMap::new(), 0);
        while from < until {
            let limit = PULL_ENTRIES_MAX.min(until - from);
            let wanted = Wanted { after: from, limit, bodies: false, wait: None };
            let mut pulled = match self.pull(link, wanted).await {
                Ok(pulled) => pulled,
                Err(LinkError::Refused(refusal)) => {
                    let base = refusal.base.as_deref().copied().filter(|base| base.seq > from);
                    let Some(base) = base else { return Err(LinkError::Refused(refusal).into()) };
                    again += 1;
                    if base.seq > after {
                        return Ok(Way::Pruned(base));
                    }
                    if again > PRUNED_AGAIN_MAX {
                        return Err(Error::Contradiction { room: self.id() });
                    }
                    from = base.seq;
                    found = BTreeMap::from([(base.seq, base.log)]);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            pulled.entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let checks = RangeChecks {
                members: self.state.members(),
                counters: None,
                accepted: self.state.accepted(),
            };
            let known = |seq| self.value(seq).or_else(|| found.get(&seq).copied());
            let outcome = verify_range(checks, pulled.start, pulled.entries.clone(), known);
            if let Some(fault) = outcome.fault {
                let what = one_line(&fault);
                self.note_fork(fault.seq(), what, &as_shown(&pulled));
                return Ok(Way::Shut);
            }
            if outcome.end.seq == from {
                return Err(Error::Contradiction { room: self.id() });
            }
            found.extend(
                points(&pulled, pulled.entries.len()).into_iter().map(|point| (point.seq, point.log)),
            );
            from = outcome.end.seq;
        }
        // All of it at once: only now it has met a verified point behind it.
        self.pass(found.into_iter().map(|(seq, log)| LogPoint { seq, log }));
        Ok(Way::Open)
    }

    /// Keeps values for this reading.
    pub(super) fn pass(&mut self, points: impl IntoIterator<Item = LogPoint>) {
        if self.passing.len() > PASSING_POINTS_MAX {
            self.passing.clear();
        }
        self.passing.extend(points.into_iter().map(|point| (point.seq, point.log)));
    }

    /// Returns what verified reading of the places `wanted` gives, oldest first; those that have expired are left out, and
    /// so is all from where the hub shows another history.
    pub(crate) async fn readings(
        &mut self,
        link: &Link,
        mut wanted: BTreeSet<u64>,
    ) -> Result<Vec<Reading>, Error> {
        let mut found = Vec::new();
        while let Some(seq) = wanted.first().copied() {
            let (after, limit) = (seq - 1, together(&wanted));
            let step = match self.reach(link, after, limit).await? {
                Way::Open => self.page(link, Wanted { after, limit, bodies: true, wait: None }).await?,
                Way::Pruned(base) => Step::Pruned(base),
                Way::Shut => Step::Forked,
            };
            match step {
                Step::Page(Page { readings, end, is_cut, .. }) => {
                    found.extend(readings.into_iter().filter(|reading| wanted.contains(&reading.seq())));
                    if is_cut || end.seq == after {
                        break;
                    }
                    wanted = wanted.split_off(&(end.seq + 1));
                }
                Step::Pruned(base) if self.go_on_at(link, base).await? => {
                    wanted = wanted.split_off(&(base.seq.max(seq) + 1));
                }
                Step::Pruned(_) | Step::Forked => break,
            }
        }
        if self.is_shown_fork {
            self.keep()?;
        }
        Ok(found)
    }

    /// Makes sure that the log has the statement with this digest as entry `seq`, as the hub says; where it was said to be and is
    /// not, the hub shows another history than the one it has answered for.
    ///
    /// # Errors
    /// [`Error::Forked`] when it does not stand there; as [`Room::read`] otherwise.
    pub(crate) async fn check_stands(&mut self, link: &Link, seq: u64, digest: Digest) -> Result<(), Error> {
        let after = seq.saturating_sub(1);
        let step = match self.reach(link, after, 1).await? {
            Way::Open => self.page(link, Wanted { after, limit: 1, bodies: false, wait: None }).await?,
            Way::Pruned(base) => Step::Pruned(base),
            Way::Shut => Step::Forked,
        };
        let stands = match &step {
            Step::Page(page) => page.readings.iter().any(|reading| match reading {
                Reading::Good(message) => message.seq == seq && message.header.digest() == digest,
                Reading::Act(act) => act.seq == seq && act.act.digest() == digest,
                Reading::Repeated { .. } | Reading::Invalid { .. } | Reading::NotMember { .. } => false,
            }),
            // Expired already, and nobody can tell any more.
            Step::Pruned(_) => true,
            Step::Forked => false,
        };
        if !stands {
            let what = format!("entry {seq} is not what the hub said to have stored there");
            self.note_fork(seq, what, &json!({ "stored": { "seq": seq, "digest": digest } }));
        }
        self.keep()?;
        if stands { Ok(()) } else { self.check_fork() }
    }

    /// Returns the verified messages at the places `wanted`, oldest first; what does not verify is left out.
    #[cfg(test)]
    pub(crate) async fn messages(
        &mut self,
        link: &Link,
        wanted: BTreeSet<u64>,
    ) -> Result<Vec<protocol::room::CheckedMessage>, Error> {
        let readings = self.readings(link, wanted).await?;
        let good = readings.into_iter().filter_map(|reading| match reading {
            Reading::Good(message) => Some(*message),
            _ => None,
        });
        Ok(good.collect())
    }
}

/// Counts from the first of `wanted` to the last that is near enough to be read with it.
fn together(wanted: &BTreeSet<u64>) -> u64 {
    let (mut first, mut last) = (None, 0);
    for seq in wanted {
        let first = *first.get_or_insert(*seq);
        if last > 0 && (seq - last > NEAR_ENTRIES || seq - first >= PULL_ENTRIES_MAX) {
            break;
        }
        last = *seq;
    }
    last - first.unwrap_or(last) + 1
}
