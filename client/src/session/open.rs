//! Opening a session: the room, its first key, and the context that joiners find.

use std::time::Duration;

use protocol::frame::OpenRoom;
use protocol::id::{RoomId, Salt};
use protocol::limits::{RECAP_BYTES_MAX, TOPIC_BYTES_MAX};
use protocol::part::{Body, Part};
use protocol::room::room_id;
use protocol::signed;
use protocol::statement::{Genesis, RoomKind};

use super::SessionError;
use super::keys::KeyTerms;
use crate::client::Client;
use crate::error::Error;
use crate::report;
use crate::room::Room;
use crate::seat::SeatError;

/// With what a session is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// What it is about, in one line.
    pub topic: Option<String>,
    /// What who joins should know.
    pub recap: Option<String>,
    /// How long its key lives.
    pub ttl: Duration,
    /// How many its key admits.
    pub max_uses: u64,
    /// Whether whoever asks by its key comes in as soon as a seat of the owner sees it.
    pub auto: bool,
    /// Whether joiners get none of what was said before they came, unless the owner says otherwise.
    pub no_history: bool,
}

impl Client {
    /// Opens a session, puts its topic and recap into it, and takes it into use for this seat.
    ///
    /// # Errors
    /// [`SessionError::TooLong`] for a topic of more than 200 bytes or a recap of more than 1 MiB, [`SessionError::KeyBounds`]
    /// for terms of a key that cannot be, both before anything is done; [`SessionError::NoUserKey`] where there is none;
    /// [`Error::HalfOpened`] when something fails once the session is there; [`Error::Link`] and [`Error::Seat`] as ever.
    pub async fn open_session(&mut self, open: OpenSession) -> Result<report::Open, Error> {
        let terms =
            KeyTerms { ttl: open.ttl, max_uses: open.max_uses, auto: open.auto, no_history: open.no_history };
        terms.check()?;
        let bodies = bodies(open.topic.as_deref(), open.recap.as_deref(), self.body_bytes_max())?;
        let user_key = self
            .seat
            .user_key()
            .ok_or_else(|| SessionError::NoUserKey { data: self.seat.data().to_owned() })?;
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(SeatError::Random)?;
        let salt = Some(Salt::from_bytes(salt));
        let statement = Genesis { hub: self.hub(), kind: RoomKind::Session, salt, needs: Vec::new() };
        let genesis = signed::sign(user_key, statement);
        let room = room_id(&genesis);
        let opened = self.open_room(OpenRoom { genesis: genesis.signed().clone() }).await?;
        if opened.room != room {
            return Err(Error::Contradiction { room });
        }
        let known = Room::own(self.memory(room)?, &genesis, self.seat.agent())?;
        self.rooms.insert(room, known);
        // The session is there: whatever fails from here on, it is in use and named, and no second one is opened for it.
        self.set_in_use(Some(room))?;
        match self.furnish(room, open.no_history, terms, bodies).await {
            Ok(report::NewKey { key, join_line, expires, .. }) => {
                Ok(report::Open { session: room, room, key, join_line, expires })
            }
            Err(source) => Err(Error::HalfOpened { room, source: Box::new(source) }),
        }
    }

    /// Puts into a session that was just opened what others find there: its rule, its key, and the first messages.
    async fn furnish(
        &mut self,
        room: RoomId,
        no_history: bool,
        terms: KeyTerms,
        bodies: Vec<String>,
    ) -> Result<report::NewKey, Error> {
        self.record(room)?.change(|record| record.no_history = no_history)?;
        let key = self.make_key(room, terms).await?;
        for body in bodies {
            self.say(room, body, false).await?;
        }
        self.refresh(room).await?;
        Ok(key)
    }
}

/// Returns the bodies of the first messages: the topic, then the recap in pieces that each fit into a body.
fn bodies(
    topic: Option<&str>,
    recap: Option<&str>,
    body_bytes_max: usize,
) -> Result<Vec<String>, SessionError> {
    let too_long = |what, size, limit| Err(SessionError::TooLong { what, size, limit });
    let topic = topic.map(str::trim).filter(|topic| !topic.is_empty());
    let recap = recap.filter(|recap| !recap.trim().is_empty());
    if let Some(topic) = topic
        && topic.len() > TOPIC_BYTES_MAX
    {
        return too_long("topic", topic.len(), TOPIC_BYTES_MAX);
    }
    if let Some(recap) = recap
        && recap.len() > RECAP_BYTES_MAX
    {
        return too_long("recap", recap.len(), RECAP_BYTES_MAX);
    }
    let body = |part| Body { parts: vec![part], reply_to: None, hops: None }.to_text();
    let topic = topic.map(|topic| body(Part::Topic(topic.to_owned())));
    let frame = body(Part::Text(String::new())).len();
    let pieces = pieces(recap.unwrap_or_default(), body_bytes_max.saturating_sub(frame));
    let recap = pieces.into_iter().map(|piece| body(Part::Text(piece.to_owned())));
    Ok(topic.into_iter().chain(recap).collect())
}

/// Cuts a text into pieces of at most `max` bytes as they stand in JSON, behind the end of a line where one is near.
fn pieces(text: &str, max: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (mut size, mut cut, mut line) = (0, 0, 0);
        for (at, character) in rest.char_indices() {
            size += bytes_in_json(character);
            if size > max && at > 0 {
                break;
            }
            cut = at + character.len_utf8();
            if character == '\n' {
                line = cut;
            }
        }
        // A line that fills more than half of a piece is cut like any text.
        let cut = if cut < rest.len() && line > cut / 2 { line } else { cut };
        let (piece, behind) = rest.split_at(cut);
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// Returns how many bytes a character takes in a JSON text.
fn bytes_in_json(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..'\u{20}' => 6,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_recap_of_2_mb_and_a_topic_of_a_page_are_refused_before_anything_is_done() {
        let recap = "r".repeat(2_000_000);
        let error = bodies(None, Some(&recap), 65536).unwrap_err();
        assert_eq!(error.to_string(), "the recap has 2000000 bytes, and at most 1048576 are taken");
        assert_eq!(error.code(), "too_large");
        assert!(bodies(Some(&"t".repeat(201)), None, 65536).is_err());
        assert_eq!(bodies(None, Some(&recap[..RECAP_BYTES_MAX]), 65536).unwrap().len(), 17);
    }

    #[test]
    fn topic_and_recap_are_messages_of_their_own_and_nothing_is_none() {
        let said = bodies(Some(" ship it "), Some("one\ntwo"), 65536).unwrap();
        let said: Vec<_> = said.iter().map(|body| Body::parse(body).unwrap()).collect();
        assert_eq!(said[0].topic(), Some("ship it"));
        assert_eq!(said[1].parts, [Part::Text("one\ntwo".to_owned())]);
        assert!(bodies(Some(" "), Some("\n"), 65536).unwrap().is_empty());
    }

    #[test]
    fn a_recap_is_cut_behind_a_line_where_one_is_near() {
        assert_eq!(pieces("abc\ndef\nghi", 9), ["abc\n", "def\nghi"]);
        assert_eq!(pieces("a\nbcdefgh", 6), ["a\nbcd", "efgh"]);
    }

    proptest! {
        #[test]
        fn pieces_are_the_text_and_each_fits(text in "(?s).{0,200}", max in 60usize..120) {
            let said = bodies(None, Some(&text), max).unwrap();
            let mut whole = String::new();
            for body in &said {
                prop_assert!(body.len() <= max, "{} {}", body.len(), max);
                let Part::Text(text) = &Body::parse(body).unwrap().parts[0] else { panic!("text") };
                whole.push_str(text);
            }
            let wanted = if text.trim().is_empty() { "" } else { text.as_str() };
            prop_assert_eq!(whole, wanted);
        }
    }
}
