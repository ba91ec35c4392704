//! References under `refs/parler/`: how they are named, made and removed. No other reference is ever written.

use std::collections::BTreeMap;

use gix::bstr::{BStr, BString, ByteSlice, ByteVec};
use gix::refs::transaction::{Change, PreviousValue, RefEdit, RefLog};
use gix::refs::{FullName, Target};
use gix::{ObjectId, Repository};

use crate::range::Tip;

mod create;

pub(crate) use create::{Locked, lock, lock_path};

/// Where all references of applied handoffs live.
pub(crate) const PREFIX: &str = "refs/parler/";

/// Digits of the id in a reference, unless another handoff has the same ones.
pub(crate) const ID_DIGITS: usize = 12;

/// Why references could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RefsError {
    /// Reading failed.
    #[error("could not read the references of this repository")]
    Read(#[source] gix::Error),
    /// Writing failed, or somebody changed one of them at the same moment.
    #[error("could not change references under refs/parler")]
    Write(#[source] gix::Error),
    /// Writing a file of a reference failed.
    #[error("could not make a reference under refs/parler")]
    Io(#[source] std::io::Error),
    /// Somebody made the reference at the same moment.
    #[error("{0} exists already")]
    Exists(BString),
    /// Somebody holds the lock of the reference.
    #[error("{0} is locked by another process")]
    Locked(BString),
    /// A name that git refuses.
    #[error("{0} is no valid name of a reference")]
    Name(BString),
}

/// One reference of an applied handoff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedRef {
    /// The full name.
    pub name: BString,
    /// What follows the id, if the handoff had several tips.
    pub branch: Option<BString>,
    /// The object it points to.
    pub target: ObjectId,
}

/// An applied handoff, as the references tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The digits of the id that stand in the references.
    pub digits: String,
    /// Its references, sorted by name.
    pub refs: Vec<AppliedRef>,
    /// When the first of them was made, in seconds since 1970, if a reflog tells.
    pub seconds: Option<i64>,
}

/// Lists the handoffs that are applied in `repo`, sorted by their digits.
pub fn applied(repo: &Repository) -> Result<Vec<Applied>, RefsError> {
    let mut handoffs = BTreeMap::<String, Applied>::new();
    for reference in repo.references().map_err(RefsError::Read)?.prefixed(PREFIX).map_err(RefsError::Read)? {
        let Ok(reference) = reference else { continue };
        let Some(target) = reference.try_id() else { continue };
        let name = reference.name().as_bstr().to_owned();
        let Some(rest) = name.strip_prefix(PREFIX.as_bytes()) else { continue };
        let (digits, branch) = match rest.split_once_str("/") {
            Some((digits, branch)) => (digits, Some(branch.as_bstr().to_owned())),
            None => (rest, None),
        };
        if digits.len() < ID_DIGITS || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        {
            continue;
        }
        let digits = digits.to_str_lossy().into_owned();
        let handoff =
            handoffs.entry(digits.clone()).or_insert(Applied { digits, refs: Vec::new(), seconds: None });
        let seconds = made_at(&reference);
        handoff.seconds = match (handoff.seconds, seconds) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        handoff.refs.push(AppliedRef { name, branch, target: target.detach() });
    }
    Ok(handoffs.into_values().collect())
}

fn made_at(reference: &gix::Reference<'_>) -> Option<i64> {
    let mut log = reference.log_iter();
    let first = log.all().ok()??.next()?.ok()?;
    Some(first.signature.time().ok()?.seconds)
}

/// Lists the applied handoffs whose id begins with `digits`, or whose digits begin it.
pub fn find_applied(repo: &Repository, digits: &str) -> Result<Vec<Applied>, RefsError> {
    let mut found = applied(repo)?;
    found.retain(|handoff| handoff.digits.starts_with(digits) || digits.starts_with(&handoff.digits));
    Ok(found)
}

/// Removes the references of `handoff`, all or none, if each still points to what `handoff` says; returns their names.
///
/// The objects stay until git collects them.
pub fn drop_handoff(repo: &Repository, handoff: &Applied) -> Result<Vec<BString>, RefsError> {
    let mut edits = Vec::new();
    for AppliedRef { name, target, .. } in &handoff.refs {
        let change = Change::Delete {
            expected: PreviousValue::MustExistAndMatch(Target::Object(*target)),
            log: RefLog::AndReference,
        };
        edits.push(RefEdit::new(full_name(name.as_bstr())?, change));
    }
    repo.edit_references_as(edits, None).map_err(RefsError::Write)?;
    Ok(handoff.refs.iter().map(|reference| reference.name.clone()).collect())
}

fn full_name(name: &BStr) -> Result<FullName, RefsError> {
    FullName::try_from(name).map_err(|_| RefsError::Name(name.to_owned()))
}

/// The references that one bundle gets.
#[derive(Debug)]
pub(crate) struct Plan {
    /// One for each tip, in the order of the tips.
    pub names: Vec<BString>,
    /// Those that do not exist yet, by their place in `names`.
    pub missing: Vec<usize>,
}

/// Names the references for `tips` of the bundle `id`: 12 digits, more if those are taken by another bundle.
pub(crate) fn plan(repo: &Repository, id: &[u8; 32], tips: &[Tip]) -> Result<Plan, RefsError> {
    let there = applied(repo)?;
    let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = parts(tips);
    for length in ID_DIGITS..=digits.len() {
        let digits = &digits[..length];
        let names: Vec<BString> =
            parts.iter().map(|part| name(digits, part.as_ref().map(|part| part.as_bstr()))).collect();
        let Some(handoff) = there.iter().find(|handoff| handoff.digits == digits) else {
            return Ok(Plan { missing: (0..names.len()).collect(), names });
        };
        let is_ours = handoff.refs.iter().all(|reference| {
            names
                .iter()
                .position(|name| *name == reference.name)
                .is_some_and(|at| tips[at].id == reference.target)
        });
        if is_ours {
            let exists = |name: &BString| handoff.refs.iter().any(|reference| reference.name == *name);
            let missing = (0..names.len()).filter(|at| !exists(&names[*at])).collect();
            return Ok(Plan { names, missing });
        }
    }
    Err(RefsError::Name(name(&digits, None)))
}

fn name(digits: &str, part: Option<&BStr>) -> BString {
    let mut name = BString::from(PREFIX);
    name.push_str(digits);
    if let Some(part) = part {
        name.push_byte(b'/');
        name.push_str(part);
    }
    name
}

/// What follows the id: nothing for a single tip, the branch, or a number where branches would collide as paths.
fn parts(tips: &[Tip]) -> Vec<Option<BString>> {
    if tips.len() == 1 {
        return vec![None];
    }
    let short: Vec<BString> = tips
        .iter()
        .map(|tip| {
            let name = tip.branch();
            name.strip_prefix(b"refs/").unwrap_or(name).into()
        })
        .collect();
    // File systems may ignore case, so names that differ in nothing else collide as well.
    let folded: Vec<Vec<u8>> = short.iter().map(|name| name.to_lowercase()).collect();
    let collide = folded.iter().enumerate().any(|(at, one)| {
        folded.iter().enumerate().any(|(other_at, other)| {
            at != other_at
                && other.strip_prefix(one.as_slice()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        })
    });
    if collide {
        (1..=tips.len()).map(|number| Some(number.to_string().into())).collect()
    } else {
        short.into_iter().map(Some).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tips(names: &[&str]) -> Vec<Tip> {
        names
            .iter()
            .map(|name| Tip { name: (*name).into(), id: ObjectId::null(gix::hash::Kind::Sha1) })
            .collect()
    }

    fn shown(names: &[&str]) -> Vec<String> {
        parts(&tips(names)).into_iter().map(|part| part.map_or("-".into(), |part| part.to_string())).collect()
    }

    #[test]
    fn a_single_tip_needs_no_branch_and_several_have_theirs() {
        assert_eq!(shown(&["refs/heads/main"]), ["-"]);
        assert_eq!(
            shown(&["refs/heads/main", "refs/heads/topic/x", "refs/tags/v1"]),
            ["main", "topic/x", "tags/v1"]
        );
    }

    #[test]
    fn branches_that_collide_as_paths_are_numbered() {
        assert_eq!(shown(&["refs/heads/x", "refs/x/y"]), ["1", "2"]);
        assert_eq!(shown(&["refs/heads/tags/v1", "refs/tags/v1"]), ["1", "2"]);
        assert_eq!(shown(&["refs/heads/Main", "refs/heads/main"]), ["1", "2"]);
    }

    fn applied_in(env: &kit::Env, names: &[&str]) -> Repository {
        let repo = env.init("repo");
        let id = env.commit(&repo, "file", "content\n", "one");
        for name in names {
            env.git(&repo, ["update-ref", "--create-reflog", "-m", "parler: apply", name, &id]);
        }
        crate::referee::open(&repo)
    }

    #[test]
    fn what_is_applied_is_listed_and_dropped_whole() {
        let env = kit::Env::new();
        let one = "refs/parler/0123456789ab";
        let two = ["refs/parler/ffff56789abcd/main", "refs/parler/ffff56789abcd/topic/x"];
        let repo = applied_in(&env, &[one, two[0], two[1], "refs/parler/notes", "refs/heads/x"]);
        let all = applied(&repo).unwrap();
        let names =
            |handoff: &Applied| handoff.refs.iter().map(|one| one.name.to_string()).collect::<Vec<_>>();
        assert_eq!(
            all.iter().map(names).collect::<Vec<_>>(),
            [vec![one.to_owned()], two.map(str::to_owned).to_vec()]
        );
        assert_eq!(all[1].refs[1].branch, Some("topic/x".into()));
        assert!(all.iter().all(|handoff| handoff.seconds.is_some()));

        assert_eq!(find_applied(&repo, "0123").unwrap(), all[..1]);
        assert_eq!(find_applied(&repo, "0123456789abcdef").unwrap(), all[..1]);
        assert_eq!(find_applied(&repo, "4").unwrap(), []);

        env.git(repo.workdir().unwrap(), ["pack-refs", "--all"]);
        assert_eq!(drop_handoff(&repo, &all[1]).unwrap(), two);
        assert_eq!(applied(&repo).unwrap(), all[..1]);
        let left = env.git(repo.workdir().unwrap(), ["for-each-ref", "--format=%(refname)"]);
        assert_eq!(left, format!("refs/heads/main\nrefs/heads/x\n{one}\nrefs/parler/notes"));
    }

    #[test]
    fn a_reference_that_moved_meanwhile_is_not_dropped() {
        let env = kit::Env::new();
        let names = ["refs/parler/0123456789ab/a", "refs/parler/0123456789ab/b"];
        let repo = applied_in(&env, &names);
        let before = applied(&repo).unwrap();
        let id = env.commit(repo.workdir().unwrap(), "file", "other\n", "two");
        env.git(repo.workdir().unwrap(), ["update-ref", names[1], &id]);
        assert!(matches!(drop_handoff(&repo, &before[0]), Err(RefsError::Write(_))));
        assert_eq!(applied(&repo).unwrap()[0].refs.len(), 2);
    }
}
