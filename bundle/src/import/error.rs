//! Why a bundle was not imported: one variant for each thing that somebody can do something about.

use std::io;

use gix::ObjectId;
use gix::bstr::BString;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;

use crate::header::HeaderError;
use crate::range::Prerequisite;
use crate::refs::RefsError;
use crate::resolve::ResolveError;
use crate::scan::ScanError;
use crate::surface::Surface;
use crate::tree_diff::DiffError;

/// Why a bundle was not imported. The repository is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The header cannot be read, or asks for something that is not possible here.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The bundle names objects by another hash than the repository.
    #[error("the bundle uses {bundle} objects and this repository {repository}")]
    ObjectFormat {
        /// The hash of the bundle.
        bundle: HashKind,
        /// The hash of the repository.
        repository: HashKind,
    },
    /// The header does not say what the signed message says.
    #[error("the bundle is not what its author announced: its {what} differ")]
    NotAsAnnounced {
        /// What differs: tips or prerequisites.
        what: &'static str,
    },
    /// The pack is damaged or over budget.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// Commits that the bundle builds on are not here.
    #[error("this bundle builds on {}", missing(.0))]
    MissingPrerequisites(Vec<Prerequisite>),
    /// Commits that the bundle builds on are here, but no reference reaches them: git may collect them at any time.
    #[error("this bundle builds on a commit that is here, but that no reference keeps: {}", .0[0].id)]
    UnreachablePrerequisites(Vec<Prerequisite>),
    /// What the bundle names as a prerequisite is here, and is no commit.
    #[error("this bundle builds on {id}, which is a {kind} and no commit")]
    PrerequisiteKind {
        /// The object.
        id: ObjectId,
        /// What it is.
        kind: Kind,
    },
    /// The objects of the pack cannot be made, or one of them is malformed.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The pack has an object twice, which git refuses as well.
    #[error("the pack has the object {0} twice")]
    RepeatedObject(ObjectId),
    /// Something that the bundle's objects link to is neither in it nor here.
    #[error("the bundle is not complete: {kind} {id} is missing")]
    MissingObject {
        /// The object.
        id: ObjectId,
        /// What it should be.
        kind: Kind,
    },
    /// An object is not of the kind that those which link to it say.
    #[error("the object {id} is not of the kind that others say")]
    WrongKind {
        /// The object.
        id: ObjectId,
    },
    /// A reference of the bundle points to no commit, nor to a tag of one.
    #[error("{name} in the bundle points to {id}, which is no commit")]
    TipKind {
        /// The name in the bundle.
        name: BString,
        /// The object.
        id: ObjectId,
    },
    /// The bundle brings a whole history that shares no root commit with this repository.
    #[error("the bundle holds a history that has nothing in common with this repository")]
    Unrelated,
    /// The change could run or alter something beyond plain source, and the caller wants none of that.
    #[error("the change {}", touches(.0))]
    Surface(Box<Surface>),
    /// The references could not be read or made.
    #[error(transparent)]
    Refs(#[from] RefsError),
    /// The quarantine could not be written: no permission, or the disk is full.
    #[error("could not write to the quarantine")]
    Quarantine(#[source] io::Error),
    /// The objects could not be moved into the repository.
    #[error("could not write to the object directory of this repository")]
    Install(#[source] io::Error),
    /// The repository could not be read.
    #[error("could not read this repository")]
    Repository(#[source] gix::Error),
    /// The trees of a preview could not be compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// An object of the repository could not be read.
    #[error(transparent)]
    Object(#[from] crate::ObjectError),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

fn missing(prerequisites: &[Prerequisite]) -> String {
    let ids: Vec<_> = prerequisites.iter().map(|prerequisite| prerequisite.id.to_string()).collect();
    match ids.as_slice() {
        [only] => format!("a commit you do not have: {only}"),
        several => format!("commits you do not have: {}", several.join(", ")),
    }
}

fn touches(surface: &Surface) -> String {
    let codes: Vec<_> = surface.findings.iter().map(|finding| finding.code).collect();
    match codes.as_slice() {
        [] => "is too large to be looked at in full".to_owned(),
        codes => format!("touches more than plain source: {}", codes.join(", ")),
    }
}

impl ImportError {
    /// Returns whether the disk, or the user's part of it, is full.
    pub fn is_disk_full(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>()
                && matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            {
                return true;
            }
            if let Some(error) = error.downcast_ref::<gix::Error>()
                && error
                    .downcast_any_ref::<io::Error>()
                    .is_some_and(|error| error.kind() == io::ErrorKind::StorageFull)
            {
                return true;
            }
            cause = error.source();
        }
        false
    }
}
