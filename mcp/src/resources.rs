//! Resources: the transcript of a session, which can be watched in both eras, and what is known of a handoff.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::Outage;
use percent_encoding::percent_decode_str;
use protocol::clean;
use protocol::id::{BlobPrefix, RoomId};
use rmcp::model::{
    ErrorData, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
    ResourceUpdatedNotificationParam, SubscriptionFilter,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use serde_json::json;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::call::unless_cancelled;
use crate::clients::Lent;
use crate::host::{Problem, Purpose};
use crate::limits::{AGAIN_AFTER, MESSAGES_MAX, SUBSCRIPTIONS_MAX, WAIT_SECONDS_MAX};
use crate::render::{self, Which};
use crate::reply::cleaned;
use crate::server::Server;

/// Where the transcripts are; behind it stands the id or topic of a session.
const SESSION: &str = "parler://session/";
/// The session in use.
const CURRENT: &str = "parler://session/current";
/// Where handoffs are; behind it stands the id.
const BUNDLE: &str = "parler://bundle/";

/// The watches of a client, in both eras.
pub(crate) struct Watches {
    places: Arc<Semaphore>,
    /// Those of the older era, by what they watch; in the newer one each ends with its request.
    older: Mutex<HashMap<String, CancellationToken>>,
    /// Told when another session is in use.
    moved: Notify,
}

impl Default for Watches {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(SUBSCRIPTIONS_MAX));
        Self { places, older: Mutex::default(), moved: Notify::new() }
    }
}

impl Watches {
    /// Takes a place for a watch; `None` where there are as many as may be.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Begins a watch of the older era; `None` where it is watched already.
    fn begin(&self, uri: &str) -> Option<CancellationToken> {
        let mut older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
        older.retain(|_, ends| !ends.is_cancelled());
        let ends = CancellationToken::new();
        match older.insert(uri.to_owned(), ends.clone()) {
            None => Some(ends),
            Some(before) => {
                older.insert(uri.to_owned(), before);
                None
            }
        }
    }

    /// Ends the watch of `uri`.
    pub(crate) fn forget(&self, uri: &str) {
        if let Some(ends) = self.older.lock().unwrap_or_else(PoisonError::into_inner).remove(uri) {
            ends.cancel();
        }
    }

    /// Has those look who watch the session in use.
    pub(crate) fn moved(&self) {
        self.moved.notify_waiters();
    }

    /// Ends those that do not end with their request.
    pub(crate) fn end(&self) {
        let older = std::mem::take(&mut *self.older.lock().unwrap_or_else(PoisonError::into_inner));
        older.into_values().for_each(|ends| ends.cancel());
    }
}

/// Returns the link to a handoff.
pub(crate) fn of_bundle(id: &str) -> Resource {
    Resource::new(format!("{BUNDLE}{id}"), "handoff").with_mime_type("application/json")
}

impl Server {
    pub(crate) fn resources() -> Vec<Resource> {
        let current = Resource::new(CURRENT, "session").with_title("What was said in the session in use");
        vec![current.with_mime_type("text/plain")]
    }

    pub(crate) fn resource_templates() -> Vec<ResourceTemplate> {
        let session = ResourceTemplate::new(format!("{SESSION}{{name}}"), "session")
            .with_title("What was said in a session, by its id or topic")
            .with_mime_type("text/plain");
        let bundle = ResourceTemplate::new(format!("{BUNDLE}{{sha256}}"), "handoff")
            .with_title("What is known of a handoff; never its bytes")
            .with_mime_type("application/json");
        vec![session, bundle]
    }

    pub(crate) async fn read(
        &self,
        uri: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<ReadResourceResult, ErrorData> {
        let contents = if let Some(session) = session_of(uri) {
            unless_cancelled(context, self.transcript(session)).await.map(|text| (text, "text/plain"))
        } else if let Some(id) = uri.strip_prefix(BUNDLE) {
            let prefix = id.parse::<BlobPrefix>().map_err(|_| missing(uri))?;
            unless_cancelled(context, self.metadata(prefix)).await.map(|text| (text, "application/json"))
        } else {
            return Err(missing(uri));
        };
        let (text, kind) = contents.map_err(|problem| refused(uri, &problem))?;
        Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(kind)]))
    }

    async fn transcript(&self, session: Purpose) -> Result<String, Problem> {
        let mut lent = self.lend(session).await?;
        let mut log = lent.log(None, MESSAGES_MAX).await.map_err(|error| lent.problem(error))?;
        // The newest are what is wanted: from the end, as many as fit.
        log.messages.reverse();
        render::cut(&mut log);
        log.messages.reverse();
        log.more = false;
        let text = render::messages(&log, lent.me().id, Which::Newest);
        lent.give_back().await;
        Ok(text)
    }

    async fn metadata(&self, id: BlobPrefix) -> Result<String, Problem> {
        let mut lent = self.lend(Purpose::Work(None)).await?;
        let found = lent.find(id).await.map_err(|error| lent.problem(error))?;
        let mut facts = json!(found.report());
        cleaned(&mut facts);
        lent.give_back().await;
        Ok(facts.to_string())
    }

    /// Tells a client of the older era when something is said, until it wants to hear no more.
    pub(crate) async fn watch_for(
        &self,
        uri: String,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let session = session_of(&uri).ok_or_else(|| missing(&uri))?;
        // Once it is known that there is something to watch.
        let found = async {
            let mut lent = self.lend(session.clone()).await?;
            lent.room().await.map_err(|error| lent.problem(error))?;
            lent.give_back().await;
            Ok(())
        };
        match unless_cancelled(context, found).await {
            Err(problem) if !problem.is_passing() => return Err(refused(&uri, &problem)),
            Ok(()) | Err(_) => {}
        }
        let Some(ends) = self.watches().begin(&uri) else { return Ok(()) };
        let Some(place) = self.watches().place() else {
            ends.cancel();
            let message = format!("no more than {SUBSCRIPTIONS_MAX} resources are watched at once");
            return Err(ErrorData::invalid_request(message, None));
        };
        let (server, peer) = (self.clone(), context.peer.clone());
        // It ends with the watch, which ends with the server.
        tokio::spawn(async move {
            let _place = place;
            let told = server.tell_of(session, || {
                peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri.clone()))
            });
            tokio::select! {
                () = ends.cancelled() => {}
                () = told => ends.cancel(),
            }
        });
        Ok(())
    }

    /// Leaves of what a client of the newer era wants to hear of as much as there is.
    pub(crate) fn watchable(&self, wanted: &SubscriptionFilter) -> SubscriptionFilter {
        let mut known: Vec<&String> = Vec::new();
        for uri in wanted.resource_subscriptions.iter().flatten() {
            if known.len() < self.watches().places.available_permits()
                && session_of(uri).is_some()
                && !known.contains(&uri)
            {
                known.push(uri);
            }
        }
        known
            .into_iter()
            .fold(SubscriptionFilter::builder(), |filter, uri| filter.resource_subscription(uri.clone()))
            .build()
    }

    /// Tells a client of the newer era when something is said, for as long as it listens.
    pub(crate) async fn watch_while(&self, context: SubscriptionContext) {
        let mut following = tokio::task::JoinSet::new();
        for uri in context.accepted().resource_subscriptions.clone().unwrap_or_default() {
            let (Some(session), Some(place)) = (session_of(&uri), self.watches().place()) else { continue };
            let (server, sink) = (self.clone(), context.sink().clone());
            following.spawn(async move {
                let _place = place;
                server.tell_of(session, || sink.notify_resource_updated(uri.clone())).await;
            });
        }
        // Those that are still followed end with the set.
        context.cancelled().await;
    }

    /// Follows the log of a session and calls `notify` each time that it goes on, until that or the session fails.
    async fn tell_of<E, F>(&self, session: Purpose, notify: impl Fn() -> F)
    where
        F: Future<Output = Result<(), E>>,
    {
        let (tell, mut told) = watch::channel(());
        let telling = async {
            while told.changed().await.is_ok() {
                if notify().await.is_err() {
                    break;
                }
            }
        };
        let mut telling = pin!(telling);
        tokio::select! {
            () = self.follow(session, tell) => {}
            () = &mut telling => return,
        }
        // Of its end the client hears as well: what it then reads says what is wrong.
        telling.await;
    }

    /// Says through `tell` from where on the log of a session is followed, since something may have been said since the client
    /// asked for it, and then each time that it goes on or that another session is the one in use; ends when it cannot be read.
    async fn follow(&self, session: Purpose, tell: watch::Sender<()>) {
        let mut seen = None;
        loop {
            let moved = self.watches().moved.notified();
            let following = async {
                let settings = self.clients().settings(session.clone()).await?;
                let mut lent = self.clients().lend_beside(settings).await?;
                self.follow_with(&mut lent, &session, &mut seen, &tell).await
            };
            tokio::select! {
                () = moved => {}
                followed = following => match followed {
                    Ok(()) => {}
                    Err(problem) if problem.is_passing() => tokio::time::sleep(AGAIN_AFTER).await,
                    Err(_) => {
                        tell.send_replace(());
                        return;
                    }
                },
            }
        }
    }

    /// As [`Server::follow`], on one connection, until the hub is another one.
    async fn follow_with(
        &self,
        lent: &mut Lent,
        session: &Purpose,
        seen: &mut Option<(RoomId, u64)>,
        tell: &watch::Sender<()>,
    ) -> Result<(), Problem> {
        let mut outage = Outage::new();
        loop {
            let settings = self.clients().settings(session.clone()).await?;
            if settings.hub.origin() != lent.origin() {
                return Ok(());
            }
            lent.work_in(settings.room).map_err(|error| lent.problem(error))?;
            let asked = async {
                let room = lent.room().await?;
                let after = seen.filter(|(known, _)| *known == room).map(|(_, end)| end);
                let wait = after.map_or(Duration::ZERO, |_| Duration::from_secs(WAIT_SECONDS_MAX));
                Ok((room, lent.news(after, wait).await?))
            };
            let asked = asked.await;
            if let Some(end) = outage.outlast(asked, |_| {}).await.map_err(|error| lent.problem(error))?
                && seen.replace(end) != Some(end)
            {
                tell.send_replace(());
            }
        }
    }
}

/// Returns the session that a transcript is of.
fn session_of(uri: &str) -> Option<Purpose> {
    let name = uri.strip_prefix(SESSION).filter(|name| !name.is_empty())?;
    if uri == CURRENT {
        return Some(Purpose::Work(None));
    }
    Some(Purpose::Work(Some(percent_decode_str(name).decode_utf8().ok()?.into_owned())))
}

fn missing(uri: &str) -> ErrorData {
    ErrorData::resource_not_found("there is no such resource", Some(json!({ "uri": uri })))
}

fn refused(uri: &str, problem: &Problem) -> ErrorData {
    if problem.code == "not_found" {
        return missing(uri);
    }
    let hint = problem.hint.as_ref().map(|hint| clean::block(hint));
    let about = json!({ "code": problem.code, "hint": hint });
    ErrorData::internal_error(clean::line(&problem.message).into_owned(), Some(about))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_as_hosts_write_it() {
        let named = |uri| match session_of(uri) {
            Some(Purpose::Work(name)) => Some(name),
            _ => None,
        };
        assert_eq!(named("parler://session/current"), Some(None));
        assert_eq!(named("parler://session/fix%20retries"), Some(Some("fix retries".to_owned())));
        for none in ["parler://session/", "parler://session/%ff", "parler://bundle/abcd"] {
            assert_eq!(named(none), None, "{none}");
        }
    }

    #[test]
    fn a_watch_that_has_ended_leaves_its_place() {
        let watches = Watches::default();
        let first = watches.begin("a").unwrap();
        assert!(watches.begin("a").is_none());
        first.cancel();
        assert!(watches.begin("a").is_some());
        let places: Vec<_> = std::iter::from_fn(|| watches.place()).collect();
        assert_eq!(places.len(), SUBSCRIPTIONS_MAX);
        drop(places);
        assert!(watches.place().is_some());
    }
}
