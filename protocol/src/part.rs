//! The body of a message: its parts, among them the reference to a handoff.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::id::{BlobId, Digest};
use crate::json::{self, JsonError};
use crate::limits::{BUNDLE_PREREQUISITES_MAX, BUNDLE_TIPS_MAX, STATED_BYTES_MAX, TOPIC_BYTES_MAX};

/// The body of a message in epoch 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// What the message says, in order.
    pub parts: Vec<Part>,
    /// The message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Digest>,
    /// How many automatic replies led here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hops: Option<u32>,
}

impl Body {
    /// Reads the JSON text of a body.
    ///
    /// # Errors
    ///
    /// [`JsonError`] when it is not strict JSON of this shape.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        json::parse(text)
    }

    /// Returns the JSON text of a body, whose SHA-256 the header names.
    pub fn to_text(&self) -> String {
        json::write(self)
    }

    /// Returns the handoff that the body refers to, if there is one.
    pub fn bundle(&self) -> Option<&BundlePart> {
        self.parts.iter().find_map(|part| match part {
            Part::Bundle(bundle) => Some(&**bundle),
            Part::Text(_) | Part::Topic(_) | Part::Unknown(_) => None,
        })
    }

    /// Returns the topic that the body gives the session, if it gives one.
    pub fn topic(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| match part {
            Part::Topic(topic) => Some(topic.as_str()),
            Part::Text(_) | Part::Bundle(_) | Part::Unknown(_) => None,
        })
    }
}

/// One part of a body.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Plain text.
    Text(String),
    /// What a session is about.
    Topic(String),
    /// A handoff.
    Bundle(Box<BundlePart>),
    /// A part of a kind that this version does not know, kept as it came.
    Unknown(Value),
}

/// A branch and the commit at its tip, as the sender named them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartTip {
    /// The branch's short name at the source, or `HEAD`.
    pub branch: String,
    /// The commit in hex.
    pub commit: String,
}

/// The subject of a commit, as stated by the author of the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartCommit {
    /// The commit in hex.
    pub id: String,
    /// Its subject line.
    pub subject: String,
}

/// How much a handoff changes, as stated by the author of the message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartStat {
    /// How many files change.
    pub files: u64,
    /// Lines added.
    pub added: u64,
    /// Lines deleted.
    pub deleted: u64,
    /// The first of the paths.
    pub paths: Vec<String>,
}

/// The signed reference to a git bundle that is stored as a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundlePart {
    /// The id of the bundle's bytes.
    pub blob: BlobId,
    /// Always `git`.
    pub vcs: String,
    /// The first tip, for readers of the simple form.
    pub tip: String,
    /// The first prerequisite, for readers of the simple form.
    pub base: Option<String>,
    /// One line about the change.
    pub summary: String,
    /// The size of the bundle in bytes.
    pub size: u64,
    /// Always `application/x-git-bundle`.
    pub media_type: String,
    /// Every tip.
    pub tips: Vec<PartTip>,
    /// Every prerequisite.
    pub prerequisites: Vec<String>,
    /// How many commits travel.
    pub commits: u64,
    /// `sha1` or `sha256`.
    pub object_format: String,
    /// A label of the repository.
    #[serde(default)]
    pub repo: String,
    /// The handoff that this one replaces.
    #[serde(default)]
    pub supersedes: Option<BlobId>,
    /// The first subjects, as stated by the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Vec<PartCommit>>,
    /// How much changes, as stated by the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stat: Option<PartStat>,
    /// What the change could run or alter, as stated by the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface: Option<Vec<String>>,
}

impl BundlePart {
    /// The kind under which the part travels.
    pub const KIND: &'static str = "com.parler.bundle";
    /// The only value of `vcs`.
    pub const VCS: &'static str = "git";
    /// The only value of `mediaType`.
    pub const MEDIA_TYPE: &'static str = "application/x-git-bundle";

    /// Checks what the fields must be whoever wrote them; reading a body does so too.
    ///
    /// # Errors
    ///
    /// [`PartError`], the first thing that cannot be.
    pub fn check(&self) -> Result<(), PartError> {
        if self.vcs != Self::VCS || self.media_type != Self::MEDIA_TYPE {
            return Err(PartError::NoGitBundle);
        }
        let digits = match self.object_format.as_str() {
            "sha1" => 40,
            "sha256" => 64,
            _ => return Err(PartError::ObjectFormat),
        };
        if !(1..=BUNDLE_TIPS_MAX).contains(&self.tips.len()) {
            return Err(PartError::Tips);
        }
        if self.prerequisites.len() > BUNDLE_PREREQUISITES_MAX {
            return Err(PartError::Prerequisites);
        }
        if self.tip != self.tips[0].commit || self.base.as_ref() != self.prerequisites.first() {
            return Err(PartError::NotRepeated);
        }
        let log = self.log.iter().flatten().map(|commit| &commit.id);
        let mut ids = self.tips.iter().map(|tip| &tip.commit).chain(&self.prerequisites).chain(log);
        if ids
            .any(|id| id.len() != digits || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
        {
            return Err(PartError::ObjectId);
        }
        if json::write(&(&self.log, &self.stat, &self.surface)).len() > STATED_BYTES_MAX {
            return Err(PartError::StatedTooLong);
        }
        Ok(())
    }
}

/// Says why a bundle part cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// `vcs` or `mediaType` is another than the only one.
    #[error("a handoff that is no git bundle")]
    NoGitBundle,
    /// Neither `sha1` nor `sha256`.
    #[error("an unknown object format")]
    ObjectFormat,
    /// No tip, or more than 64.
    #[error("a handoff has 1 to {BUNDLE_TIPS_MAX} tips")]
    Tips,
    /// More than 256 prerequisites.
    #[error("a handoff has at most {BUNDLE_PREREQUISITES_MAX} prerequisites")]
    Prerequisites,
    /// `tip` or `base` is not the first of its list.
    #[error("tip and base repeat the first tip and prerequisite")]
    NotRepeated,
    /// An object id that is not lower-case hex of the format's length.
    #[error("a commit that is no object id")]
    ObjectId,
    /// `log`, `stat` and `surface` take more than 16 KiB together.
    #[error("what the author states of a handoff is at most {STATED_BYTES_MAX} bytes")]
    StatedTooLong,
}

impl Part {
    /// Returns what a client shows of a part it knows nothing more of: the last word of the kind and the summary.
    pub fn label(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Topic(topic) => format!("[topic: {topic}]"),
            Self::Bundle(bundle) => format!("[bundle: {}]", bundle.summary),
            Self::Unknown(value) => {
                let kind = value.get("kind").and_then(Value::as_str).unwrap_or("part");
                let kind = kind.rsplit('.').next().unwrap_or(kind);
                match value.get("summary").and_then(Value::as_str) {
                    Some(summary) => format!("[{kind}: {summary}]"),
                    None => format!("[{kind}]"),
                }
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct TextPart {
    kind: String,
    text: String,
}

#[derive(Serialize, Deserialize)]
struct TopicPart {
    kind: String,
    summary: String,
}

#[derive(Serialize)]
struct TaggedBundle<'a> {
    kind: &'static str,
    #[serde(flatten)]
    bundle: &'a BundlePart,
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => TextPart { kind: TEXT.to_owned(), text: text.clone() }.serialize(serializer),
            Self::Topic(topic) => {
                TopicPart { kind: TOPIC.to_owned(), summary: topic.clone() }.serialize(serializer)
            }
            Self::Bundle(bundle) => TaggedBundle { kind: BundlePart::KIND, bundle }.serialize(serializer),
            Self::Unknown(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let kind = value.get("kind").and_then(Value::as_str);
        match kind {
            None => Err(de::Error::custom("a part without a kind")),
            Some(TEXT) => {
                let part: TextPart = json::shape(value).map_err(de::Error::custom)?;
                Ok(Self::Text(part.text))
            }
            Some(TOPIC) => {
                let part: TopicPart = json::shape(value).map_err(de::Error::custom)?;
                if part.summary.len() > TOPIC_BYTES_MAX {
                    return Err(de::Error::custom("the topic is too long"));
                }
                Ok(Self::Topic(part.summary))
            }
            Some(BundlePart::KIND) => {
                let part: BundlePart = json::shape(value).map_err(de::Error::custom)?;
                part.check().map_err(de::Error::custom)?;
                Ok(Self::Bundle(Box::new(part)))
            }
            Some(_) => Ok(Self::Unknown(value)),
        }
    }
}

/// The kind of a text part.
const TEXT: &str = "text";
const TOPIC: &str = "com.parler.topic";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_part_is_kept_and_shown_by_kind_and_summary() {
        let text = r#"{"parts":[{"kind":"org.example.poll","summary":"lunch?","options":[1,2]}]}"#;
        let body = Body::parse(text).expect("an unknown kind is fine");
        assert_eq!(body.parts[0].label(), "[poll: lunch?]");
        assert_eq!(body.to_text(), text);
    }

    #[test]
    fn a_topic_has_so_many_bytes_and_no_more() {
        let with = |bytes| Body { parts: vec![Part::Topic("x".repeat(bytes))], reply_to: None, hops: None };
        assert!(Body::parse(&with(TOPIC_BYTES_MAX).to_text()).is_ok());
        assert!(Body::parse(&with(TOPIC_BYTES_MAX + 1).to_text()).is_err());
    }

    /// The text of a bundle part of one tip and no prerequisite.
    fn text() -> String {
        let (blob, tip) = (BlobId::of(b""), "a1".repeat(20));
        format!(
            r#"{{"parts":[{{"kind":"com.parler.bundle","blob":"{blob}","vcs":"git","tip":"{tip}","base":null,"summary":"feat: add X","size":12345,"mediaType":"application/x-git-bundle","tips":[{{"branch":"feature","commit":"{tip}"}}],"prerequisites":[],"commits":5,"objectFormat":"sha1","repo":"app","supersedes":null}}]}}"#
        )
    }

    #[test]
    fn a_bundle_part_has_the_field_names_of_the_specification() {
        let body = Body::parse(&text()).expect("as specified");
        assert_eq!(body.bundle().map(|bundle| bundle.commits), Some(5));
        assert_eq!(body.parts[0].label(), "[bundle: feat: add X]");
        assert_eq!(body.to_text(), text());
    }

    #[test]
    fn a_bundle_part_that_cannot_be_is_no_body() {
        let right = Body::parse(&text()).expect("as specified").bundle().cloned().expect("a bundle");
        let id = |digit: &str| digit.repeat(40);
        let tip = |commit: String| PartTip { branch: "b".into(), commit };
        let subject = |id: String| PartCommit { id, subject: "s".into() };
        let wrong: Vec<(PartError, BundlePart)> = vec![
            (PartError::NoGitBundle, BundlePart { vcs: "hg".into(), ..right.clone() }),
            (PartError::NoGitBundle, BundlePart { media_type: "text/plain".into(), ..right.clone() }),
            (PartError::ObjectFormat, BundlePart { object_format: "md5".into(), ..right.clone() }),
            (PartError::Tips, BundlePart { tips: Vec::new(), ..right.clone() }),
            (PartError::Tips, BundlePart { tips: vec![right.tips[0].clone(); 65], ..right.clone() }),
            (PartError::NotRepeated, BundlePart { tip: id("b"), ..right.clone() }),
            (PartError::NotRepeated, BundlePart { base: Some(id("b")), ..right.clone() }),
            (PartError::NotRepeated, BundlePart { prerequisites: vec![id("b")], ..right.clone() }),
            (
                PartError::ObjectId,
                BundlePart { tip: "é".into(), tips: vec![tip("é".into())], ..right.clone() },
            ),
            (PartError::ObjectId, BundlePart { tip: id("A"), tips: vec![tip(id("A"))], ..right.clone() }),
            (PartError::ObjectId, BundlePart { object_format: "sha256".into(), ..right.clone() }),
            (PartError::ObjectId, BundlePart { log: Some(vec![subject("7".into())]), ..right.clone() }),
            (
                PartError::Prerequisites,
                BundlePart { base: Some(id("b")), prerequisites: vec![id("b"); 257], ..right.clone() },
            ),
            (PartError::StatedTooLong, BundlePart { surface: Some(vec!["hooks".into(); 2100]), ..right }),
        ];
        for (error, part) in wrong {
            assert_eq!(part.check(), Err(error));
            let body = Body { parts: vec![Part::Bundle(Box::new(part))], reply_to: None, hops: None };
            assert!(Body::parse(&body.to_text()).is_err(), "{error}");
        }
    }
}
