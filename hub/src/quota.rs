//! How often an agent may do something: one number per agent, forgotten once it says nothing any more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use protocol::key::AgentId;
use protocol::statement::UnixMillis;

use crate::limits::RATES_REMEMBERED_MAX;

/// Allows so many acts in a period, all of them at once if need be, by the generic cell rate algorithm: each act
/// moves the agent's theoretical next time on by one share of the period.
#[derive(Debug)]
pub(crate) struct Rate {
    acts_max: u64,
    period_ms: i64,
    next: Mutex<HashMap<AgentId, UnixMillis>>,
}

/// Too often: the same act may succeed after so many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooOften {
    pub(crate) retry_after_ms: u64,
}

impl Rate {
    /// Returns a rate of `acts_max` acts in `period_ms` milliseconds.
    pub(crate) fn new(acts_max: u64, period_ms: i64) -> Self {
        Self { acts_max: acts_max.max(1), period_ms, next: Mutex::default() }
    }

    /// Says whether the agent may act now.
    pub(crate) fn check(&self, agent: AgentId, now: UnixMillis) -> Result<(), TooOften> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let early = next.get_mut(&agent).map_or(0, |next| {
            // Later ones are of a clock that was set back since.
            *next = (*next).min(now.saturating_add(self.period_ms));
            *next + self.share() - self.period_ms - now
        });
        if early > 0 { Err(TooOften { retry_after_ms: early.unsigned_abs() }) } else { Ok(()) }
    }

    /// Counts one act.
    pub(crate) fn count(&self, agent: AgentId, now: UnixMillis) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.len() >= RATES_REMEMBERED_MAX {
            // Later ones are of a clock that was set back since.
            next.retain(|_, next| (now + 1..=now.saturating_add(self.period_ms)).contains(next));
        }
        let entry = next.entry(agent).or_insert(now);
        *entry = (*entry).max(now) + self.share();
    }

    fn share(&self) -> i64 {
        // Rounded up, so that a period never holds more than the maximum.
        let acts = i64::try_from(self.acts_max).unwrap_or(i64::MAX);
        (self.period_ms + acts - 1) / acts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::player;

    #[test]
    fn a_burst_is_allowed_and_the_next_waits_for_its_share() {
        let (ana, bob) = (player(0, 1).agent(), player(1, 1).agent());
        let rate = Rate::new(3, 60_000);
        for _ in 0..3 {
            assert_eq!(rate.check(ana, 0), Ok(()));
            rate.count(ana, 0);
        }
        assert_eq!(rate.check(ana, 0), Err(TooOften { retry_after_ms: 20_000 }));
        assert_eq!(rate.check(ana, 19_999), Err(TooOften { retry_after_ms: 1 }));
        assert_eq!(rate.check(ana, 20_000), Ok(()));
        assert_eq!(rate.check(bob, 0), Ok(()));
    }

    #[test]
    fn a_clock_that_was_set_back_costs_one_share() {
        let ana = player(0, 1).agent();
        let rate = Rate::new(3, 60_000);
        rate.count(ana, 1_000_000_000);
        assert_eq!(rate.check(ana, 0), Err(TooOften { retry_after_ms: 20_000 }));
        assert_eq!(rate.check(ana, 20_000), Ok(()));
        rate.count(ana, 20_000);
        assert_eq!(rate.check(ana, 40_000), Ok(()));
    }

    #[test]
    fn agents_are_forgotten_once_their_number_has_run_out() {
        let rate = Rate::new(1, 10);
        (0..RATES_REMEMBERED_MAX).for_each(|number| rate.count(numbered(number), 0));
        rate.count(player(0, 1).agent(), 11);
        assert_eq!(rate.next.lock().unwrap().len(), 1);
        // Those of a clock that was set back have run out as well.
        (0..RATES_REMEMBERED_MAX).for_each(|number| rate.count(numbered(number), 1_000_000));
        rate.count(player(0, 1).agent(), 11);
        assert_eq!(rate.next.lock().unwrap().len(), 1);
    }

    fn numbered(number: usize) -> AgentId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        AgentId::from_bytes(bytes)
    }
}
