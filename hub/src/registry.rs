//! Who is connected: counts in all, per address and per agent, given back when a connection ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::key::AgentId;
use protocol::limits::Limits;
use tokio::sync::Notify;

/// The counts of all connections; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    connections_max: u64,
    per_address_max: u64,
    per_agent_max: u64,
    counts: Arc<Mutex<Counts>>,
    /// Tells those who wait that a connection of some agent has ended.
    ended: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: u64,
    addresses: HashMap<IpAddr, u64>,
    agents: HashMap<AgentId, u64>,
}

/// One connection's share of the counts.
#[derive(Debug)]
pub(crate) struct Admitted {
    registry: Registry,
    address: Option<IpAddr>,
    agent: Option<AgentId>,
}

impl Registry {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            connections_max: limits.connections_max,
            per_address_max: limits.connections_per_address_max,
            per_agent_max: limits.connections_per_agent_max,
            counts: Arc::default(),
            ended: Arc::default(),
        }
    }

    /// Counts a connection from `address`, if there is room for it. Those over a Unix socket have none and count in all only.
    pub(crate) fn admit(&self, address: Option<IpAddr>) -> Option<Admitted> {
        let mut counts = self.lock();
        let here = address.map_or(0, |address| counts.addresses.get(&address).copied().unwrap_or(0));
        if counts.connections >= self.connections_max || here >= self.per_address_max {
            return None;
        }
        counts.connections += 1;
        if let Some(address) = address {
            *counts.addresses.entry(address).or_default() += 1;
        }
        Some(Admitted { registry: self.clone(), address, agent: None })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted {
    /// Counts the connection as one of `agent`, once it may have one more.
    pub(crate) async fn log_in(&mut self, agent: AgentId) {
        loop {
            // Before the look, so that no connection ends unnoticed between look and wait.
            let ended = Arc::clone(&self.registry.ended);
            let mut ended = std::pin::pin!(ended.notified());
            ended.as_mut().enable();
            if self.try_log_in(agent) {
                return;
            }
            ended.await;
        }
    }

    fn try_log_in(&mut self, agent: AgentId) -> bool {
        let mut counts = self.registry.lock();
        let connections = counts.agents.entry(agent).or_default();
        let is_free = *connections < self.registry.per_agent_max;
        if is_free {
            *connections += 1;
            self.agent = Some(agent);
        }
        is_free
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.registry.lock();
        counts.connections -= 1;
        if let Some(address) = self.address {
            give_back(&mut counts.addresses, &address);
        }
        if let Some(agent) = self.agent {
            give_back(&mut counts.agents, &agent);
            self.registry.ended.notify_waiters();
        }
    }
}

fn give_back<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u64>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::player;

    #[tokio::test]
    async fn each_count_has_its_limit_and_is_given_back() {
        let limits = Limits {
            connections_max: 3,
            connections_per_address_max: 2,
            connections_per_agent_max: 1,
            ..Limits::default()
        };
        let registry = Registry::new(&limits);
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        let mut first = registry.admit(address).unwrap();
        let mut second = registry.admit(address).unwrap();
        assert!(registry.admit(address).is_none(), "two from one address");
        let third = registry.admit(None).unwrap();
        assert!(registry.admit(None).is_none(), "three in all");
        let ana = player(0, 1).agent();
        first.log_in(ana).await;
        assert!(!second.try_log_in(ana), "one of one agent");
        let waits = async {
            second.log_in(ana).await;
            second
        };
        let ends = async { drop(first) };
        let (second, ()) = tokio::join!(waits, ends);
        drop((second, third));
        let counts = registry.lock();
        assert_eq!((counts.connections, counts.addresses.len(), counts.agents.len()), (0, 0, 0));
    }
}
