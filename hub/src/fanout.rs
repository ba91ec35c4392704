//! Who waits for news of which room, and who is told of what. Both are hints: the log is the truth, and a lost one costs
//! latency only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::frame::Event;
use protocol::id::RoomId;
use protocol::key::AgentId;
use tokio::sync::{broadcast, watch};

use crate::limits::EVENTS_QUEUED_MAX;

/// Wakes those who wait in `pull`, and tells agents what concerns them.
pub(crate) trait Wake: Send + Sync + 'static {
    /// What waits for the news of one room.
    type Waiter: Waiter;

    /// Begins to wait: news from now on are not missed.
    fn wait_for(&self, room: RoomId) -> Self::Waiter;

    /// Wakes everybody who waits for the room.
    fn wake(&self, room: RoomId);

    /// Begins to listen for what `agent` is told on one of its connections.
    fn listen(&self, agent: AgentId) -> Ear;

    /// Tells `agent` something on all its connections.
    fn tell(&self, agent: AgentId, event: Event);
}

/// Waits for the news of one room.
pub(crate) trait Waiter: Send {
    /// Returns once there were news since the last return.
    fn news(&mut self) -> impl Future<Output = ()> + Send;
}

/// Wakes within this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fanout {
    rooms: Arc<Mutex<HashMap<RoomId, watch::Sender<()>>>>,
    agents: Agents,
}

type Agents = Arc<Mutex<HashMap<AgentId, broadcast::Sender<Event>>>>;

/// Hears what one agent is told; the last one of an agent to go takes the agent off the table.
#[derive(Debug)]
pub(crate) struct Ear {
    agent: AgentId,
    /// There until it is dropped, which is under the table's lock.
    receiver: Option<broadcast::Receiver<Event>>,
    agents: Agents,
}

impl Ear {
    /// Returns the next thing that the agent is told.
    pub(crate) async fn next(&mut self) -> Event {
        let Some(receiver) = &mut self.receiver else { return std::future::pending().await };
        loop {
            match receiver.recv().await {
                Ok(event) => return event,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                // The sender stays in the table for as long as we listen.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: of two that go at once one is the last.
        self.receiver = None;
        if agents.get(&self.agent).is_some_and(|sender| sender.receiver_count() == 0) {
            agents.remove(&self.agent);
        }
    }
}

/// Waits within this process; the last one of a room to go takes the room off the table.
#[derive(Debug)]
pub(crate) struct FanoutWaiter {
    room: RoomId,
    /// There until it is dropped, which is under the table's lock.
    receiver: Option<watch::Receiver<()>>,
    fanout: Fanout,
}

impl Fanout {
    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, watch::Sender<()>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Fanout {
    type Waiter = FanoutWaiter;

    fn wait_for(&self, room: RoomId) -> FanoutWaiter {
        let receiver = Some(self.lock().entry(room).or_default().subscribe());
        FanoutWaiter { room, receiver, fanout: self.clone() }
    }

    fn wake(&self, room: RoomId) {
        if let Some(sender) = self.lock().get(&room) {
            sender.send_replace(());
        }
    }

    fn listen(&self, agent: AgentId) -> Ear {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = agents.entry(agent).or_insert_with(|| broadcast::Sender::new(EVENTS_QUEUED_MAX));
        Ear { agent, receiver: Some(sender.subscribe()), agents: Arc::clone(&self.agents) }
    }

    fn tell(&self, agent: AgentId, event: Event) {
        let agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = agents.get(&agent) {
            // Who hung up meanwhile learns it at the next login.
            sender.send(event).ok();
        }
    }
}

impl Waiter for FanoutWaiter {
    async fn news(&mut self) {
        let Some(receiver) = &mut self.receiver else { return std::future::pending().await };
        // The sender stays in the table for as long as we wait.
        receiver.changed().await.ok();
    }
}

impl Drop for FanoutWaiter {
    fn drop(&mut self) {
        let mut rooms = self.fanout.lock();
        // Under the lock: of two that go at once one is the last.
        self.receiver = None;
        if rooms.get(&self.room).is_some_and(|sender| sender.receiver_count() == 0) {
            rooms.remove(&self.room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::player;

    #[tokio::test]
    async fn news_reach_who_waits_for_that_room_only() {
        let fanout = Fanout::default();
        let (here, elsewhere) = (player(0, 1).room(), player(1, 1).room());
        let mut waiter = fanout.wait_for(here);
        let mut other = fanout.wait_for(elsewhere);
        fanout.wake(here);
        waiter.news().await;
        let pending = tokio::time::timeout(std::time::Duration::ZERO, other.news()).await;
        assert!(pending.is_err());
    }

    #[tokio::test]
    async fn the_last_to_go_leaves_nothing_behind() {
        let fanout = Fanout::default();
        let room = player(0, 1).room();
        let (one, two) = (fanout.wait_for(room), fanout.wait_for(room));
        drop(one);
        assert_eq!(fanout.lock().len(), 1);
        drop(two);
        assert!(fanout.lock().is_empty());
        let ana = player(0, 1).agent();
        let (one, two) = (fanout.listen(ana), fanout.listen(ana));
        drop(one);
        assert_eq!(fanout.agents.lock().unwrap().len(), 1);
        drop(two);
        assert!(fanout.agents.lock().unwrap().is_empty());
    }

    #[test]
    fn those_who_go_at_once_leave_nothing_behind() {
        let fanout = Fanout::default();
        let (room, ana) = (player(0, 1).room(), player(0, 1).agent());
        for _ in 0..200 {
            let barrier = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    let held = (fanout.wait_for(room), fanout.listen(ana));
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        drop(held);
                    });
                }
            });
            assert!(fanout.lock().is_empty());
            assert!(fanout.agents.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn an_agent_that_does_not_listen_loses_the_oldest_hints() {
        let fanout = Fanout::default();
        let (ana, ben) = (player(0, 1), player(1, 1));
        let (mut ear, mut other) = (fanout.listen(ana.agent()), fanout.listen(ben.agent()));
        for number in 0..=EVENTS_QUEUED_MAX {
            let room = Some(RoomId::from_bytes([u8::try_from(number).unwrap(); 32]));
            fanout.tell(ana.agent(), Event { event: Event::ROOMS.into(), room });
        }
        assert_eq!(ear.next().await.room, Some(RoomId::from_bytes([1; 32])));
        assert!(tokio::time::timeout(std::time::Duration::ZERO, other.next()).await.is_err());
    }
}
