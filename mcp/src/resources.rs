//! Resources: the transcript of a session, which can be watched in both eras, and what is known of a handoff.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::Outage;
use protocol::id::BlobPrefix;
use rmcp::model::{
    ErrorData, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
    ResourceUpdatedNotificationParam, SubscriptionFilter,
};
use rmcp::service::{Peer, RequestContext, RoleServer, SubscriptionContext};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::call::unless_cancelled;
use crate::host::{Problem, Purpose};
use crate::limits::{MESSAGES_MAX, SUBSCRIPTIONS_MAX, WAIT_SECONDS_MAX};
use crate::render;
use crate::reply::cleaned;
use crate::server::Server;

/// Where the transcripts are; behind it stands the id or topic of a session.
const SESSION: &str = "parler://session/";
/// The session in use.
const CURRENT: &str = "parler://session/current";
/// Where handoffs are; behind it stands the id.
const BUNDLE: &str = "parler://bundle/";
/// After which time a hub is asked again that could not be reached.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The watches of a client in the older era, by what they watch.
#[derive(Clone, Default)]
pub(crate) struct Watches(Arc<Mutex<HashMap<String, CancellationToken>>>);

impl Watches {
    /// Begins a watch; `None` where there are as many as may be.
    fn begin(&self, uri: &str) -> Option<CancellationToken> {
        let mut watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|_, ends| !ends.is_cancelled());
        if watches.len() >= SUBSCRIPTIONS_MAX && !watches.contains_key(uri) {
            return None;
        }
        let ends = CancellationToken::new();
        if let Some(before) = watches.insert(uri.to_owned(), ends.clone()) {
            before.cancel();
        }
        Some(ends)
    }

    /// Ends the watch of `uri`.
    pub(crate) fn forget(&self, uri: &str) {
        if let Some(ends) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uri) {
            ends.cancel();
        }
    }

    /// Ends all of them.
    pub(crate) fn end(&self) {
        let watches = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        watches.into_values().for_each(|ends| ends.cancel());
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
        let missing =
            || ErrorData::resource_not_found("there is no such resource", Some(json!({ "uri": uri })));
        let contents = if let Some(session) = session_of(uri) {
            unless_cancelled(context, self.transcript(session)).await.map(|text| (text, "text/plain"))
        } else if let Some(id) = uri.strip_prefix(BUNDLE) {
            let prefix = id.parse::<BlobPrefix>().map_err(|_| missing())?;
            unless_cancelled(context, self.metadata(prefix)).await.map(|text| (text, "application/json"))
        } else {
            return Err(missing());
        };
        match contents {
            Ok((text, kind)) => {
                Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(kind)]))
            }
            Err(problem) if problem.code == "not_found" => Err(missing()),
            Err(problem) => Err(refused(&problem)),
        }
    }

    async fn transcript(&self, session: Purpose) -> Result<String, Problem> {
        let mut lent = self.lend(session).await?;
        let mut log = lent.log(None, MESSAGES_MAX).await.map_err(|error| lent.problem(error))?;
        // The newest are what is wanted: from the end, as many as fit.
        log.messages.reverse();
        render::cut(&mut log);
        log.messages.reverse();
        log.more = false;
        let text = render::messages(&log, lent.me().id, "newest");
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
    pub(crate) fn watch_for(&self, uri: String, peer: Peer<RoleServer>) -> Result<(), ErrorData> {
        let session = session_of(&uri).ok_or_else(|| {
            ErrorData::resource_not_found("only what is said in a session can be watched", None)
        })?;
        let ends = self.watches().begin(&uri).ok_or_else(|| {
            ErrorData::invalid_request(
                format!("no more than {SUBSCRIPTIONS_MAX} resources are watched at once"),
                None,
            )
        })?;
        let (server, (tell, mut told)) = (self.clone(), watch::channel(0));
        // It ends with the watch, which ends with the server.
        tokio::spawn(async move {
            let telling = async {
                while told.changed().await.is_ok() {
                    let update = ResourceUpdatedNotificationParam::new(uri.clone());
                    if peer.notify_resource_updated(update).await.is_err() {
                        break;
                    }
                }
            };
            tokio::select! {
                () = ends.cancelled() => {}
                () = server.follow(session, &tell) => {}
                () = telling => {}
            }
        });
        Ok(())
    }

    /// Leaves of what a client of the newer era wants to hear of as much as there is.
    pub(crate) fn watchable(wanted: &SubscriptionFilter) -> SubscriptionFilter {
        let uris = wanted.resource_subscriptions.iter().flatten();
        let known = uris.filter(|uri| session_of(uri).is_some()).take(SUBSCRIPTIONS_MAX);
        known
            .fold(SubscriptionFilter::builder(), |filter, uri| filter.resource_subscription(uri.clone()))
            .build()
    }

    /// Tells a client of the newer era when something is said, for as long as it listens.
    pub(crate) async fn watch_while(&self, context: SubscriptionContext) {
        let mut following = tokio::task::JoinSet::new();
        for uri in context.accepted().resource_subscriptions.clone().unwrap_or_default() {
            let Some(session) = session_of(&uri) else { continue };
            let (server, sink, (tell, mut told)) = (self.clone(), context.sink().clone(), watch::channel(0));
            following.spawn(async move {
                let telling = async {
                    while told.changed().await.is_ok() {
                        if sink.notify_resource_updated(uri.clone()).await.is_err() {
                            break;
                        }
                    }
                };
                tokio::select! {
                    () = server.follow(session, &tell) => {}
                    () = telling => {}
                }
            });
        }
        // Those that are still followed end with the set.
        context.cancelled().await;
    }

    /// Says through `tell` from where on the log of a session is followed, since something may have been said since the client
    /// asked for it, and then each time that it goes on; ends when it cannot be read any more.
    async fn follow(&self, session: Purpose, tell: &watch::Sender<u64>) {
        let (mut outage, mut after) = (Outage::new(), None);
        loop {
            let mut lent = match self.lend(session.clone()).await {
                Ok(lent) => lent,
                Err(problem) if problem.code == "hub_unreachable" => {
                    tokio::time::sleep(AGAIN_AFTER).await;
                    continue;
                }
                Err(_) => return,
            };
            loop {
                let wait = after.map_or(Duration::ZERO, |_| Duration::from_secs(WAIT_SECONDS_MAX));
                let asked = lent.news(after, wait).await;
                match outage.outlast(asked, |_| {}).await {
                    Ok(Some(end)) => {
                        if after.replace(end) != Some(end) {
                            tell.send_replace(end);
                        }
                    }
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
        }
    }
}

/// Returns the session that a transcript is of.
fn session_of(uri: &str) -> Option<Purpose> {
    let name = uri.strip_prefix(SESSION).filter(|name| !name.is_empty())?;
    Some(Purpose::Work((uri != CURRENT).then(|| name.to_owned())))
}

fn refused(problem: &Problem) -> ErrorData {
    let hint = problem.hint.as_ref().map(|hint| json!({ "code": problem.code, "hint": hint }));
    ErrorData::internal_error(problem.message.clone(), hint)
}
