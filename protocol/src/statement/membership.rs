//! The owner's acts: who is let in, turned away or put out, each chained to the one before.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value, json};

use super::is_name;
use crate::id::{Digest, RoomId};
use crate::json::shape;
use crate::key::{AgentId, InviteId, UserId};
use crate::limits::DENIED_AGENTS_MAX;
use crate::statement::LogPoint;

/// An entry of a room's membership chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The room.
    pub room: RoomId,
    /// Its place in the chain, from 1.
    pub n: u64,
    /// The digest of the entry before; of the genesis for the first.
    pub prev: Digest,
    /// What the owner does.
    pub op: Op,
    /// Features without which the chain cannot be followed beyond this entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

/// What an owner does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Lets an agent in.
    Admit(Admit),
    /// Turns agents away for good: a later admission of one of them is void.
    Deny {
        /// 1 to 64 of them.
        agents: Vec<AgentId>,
    },
    /// Puts an agent out; it may be admitted again.
    Remove {
        /// Who.
        agent: AgentId,
    },
    /// Ends the room: its log takes no more entries.
    Close,
    /// An act that this version does not know; it is chained over and changes nothing.
    Unknown(Value),
}

/// Lets an agent in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admit {
    /// Who.
    pub agent: AgentId,
    /// By which name the agent goes in this room.
    pub name: String,
    /// As what.
    pub role: Role,
    /// 0 for all of the history, or the `seq` of `at` for none of it.
    pub floor: u64,
    /// The point of the log that the owner had verified: where the agent's own verification starts.
    pub at: LogPoint,
    /// The invite by which the agent asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<InviteId>,
    /// The user who vouches for the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

/// What somebody is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A seat of the user who opened the room; never in an admission.
    Owner,
    /// Admitted by the owner.
    Member,
}

impl Admit {
    /// Says whether the statement keeps to the limits of its kind.
    pub fn is_lawful(&self) -> bool {
        self.role == Role::Member && is_name(&self.name) && (self.floor == 0 || self.floor == self.at.seq)
    }
}

#[derive(Serialize, Deserialize)]
struct Deny {
    agents: Vec<AgentId>,
}

#[derive(Serialize, Deserialize)]
struct Remove {
    agent: AgentId,
}

#[derive(Serialize, Deserialize)]
struct Close {}

impl Serialize for Op {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Admit(admit) => json!({ ADMIT: admit }),
            Self::Deny { agents } => json!({ DENY: { "agents": agents } }),
            Self::Remove { agent } => json!({ REMOVE: { "agent": agent } }),
            Self::Close => json!({ CLOSE: {} }),
            Self::Unknown(value) => value.clone(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Map::<String, Value>::deserialize(deserializer)?;
        let mut ops = value.iter();
        let (Some((name, fields)), None) = (ops.next(), ops.next()) else {
            return Err(de::Error::custom("an act has one name"));
        };
        let fields = fields.clone();
        let op = match name.as_str() {
            // Roles to come admit nobody here: what they may do is not known.
            ADMIT if fields.get("role").is_some_and(|role| role != "member") => Self::Unknown(value.into()),
            ADMIT => Self::Admit(shape(fields).map_err(de::Error::custom)?),
            DENY => {
                let Deny { agents } = shape(fields).map_err(de::Error::custom)?;
                if !(1..=DENIED_AGENTS_MAX).contains(&agents.len()) {
                    return Err(de::Error::custom("a denial names 1 to 64 agents"));
                }
                Self::Deny { agents }
            }
            REMOVE => {
                let Remove { agent } = shape(fields).map_err(de::Error::custom)?;
                Self::Remove { agent }
            }
            CLOSE => {
                let Close {} = shape(fields).map_err(de::Error::custom)?;
                Self::Close
            }
            _ => Self::Unknown(value.into()),
        };
        Ok(op)
    }
}

const ADMIT: &str = "admit";
const DENY: &str = "deny";
const REMOVE: &str = "remove";
const CLOSE: &str = "close";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::key::AgentKey;

    fn membership(op: &str) -> Result<Op, json::JsonError> {
        let id = "00".repeat(32);
        json::parse::<Membership>(&format!(r#"{{"room":"{id}","n":1,"prev":"{id}","op":{op}}}"#))
            .map(|read| read.op)
    }

    #[test]
    fn acts_are_written_as_they_are_read() {
        let agent = AgentKey::from_seed(&[3; 32]).public();
        let at = LogPoint { seq: 4, log: Digest::of(b"log") };
        let admit =
            Admit { agent, name: "ben/app".into(), role: Role::Member, floor: 0, at, key: None, user: None };
        for op in [
            Op::Admit(admit),
            Op::Deny { agents: vec![agent] },
            Op::Remove { agent },
            Op::Close,
            Op::Unknown(json!({ "epoch": { "e": 1 } })),
        ] {
            assert_eq!(membership(&serde_json::to_string(&op).expect("JSON")).ok(), Some(op));
        }
    }

    #[test]
    fn an_act_has_one_name_and_the_fields_of_it() {
        let many = vec![AgentKey::from_seed(&[3; 32]).public(); 65];
        let many = serde_json::to_string(&many).expect("JSON");
        for wrong in [
            "{}",
            r#"{"close":{},"epoch":{}}"#,
            r#"{"deny":{"agents":[]}}"#,
            &format!(r#"{{"deny":{{"agents":{many}}}}}"#),
            r#"{"remove":{}}"#,
            r#"{"admit":{"role":"member"}}"#,
            r#""close""#,
            r#"{"close":null}"#,
        ] {
            assert!(membership(wrong).is_err(), "{wrong}");
        }
        assert!(matches!(membership(r#"{"admit":{"role":"watch"}}"#), Ok(Op::Unknown(_))));
    }
}
