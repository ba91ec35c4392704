//! Looks at every object of a pack as it is resolved: strict checks, what it links to, and whether an object of the
//! same id is here with other bytes.

use std::collections::BTreeSet;

use gix::ObjectId;
use gix::bstr::BString;
use gix::hash::{Kind as HashKind, oid};
use gix::hashtable::{HashMap, HashSet};
use gix::objs::{Exists, Find, FindHeader, Kind};

use crate::check::{self, CheckError, Links, Special};
use crate::history;
use crate::resolve::{ResolveError, Visitor};
use crate::surface::hidden;

/// A commit of the pack.
#[derive(Debug, Clone)]
pub(crate) struct PackCommit {
    /// Seconds of its committer.
    pub seconds: i64,
    /// Its parents, in the pack or not.
    pub parents: Vec<ObjectId>,
    /// The first paragraph of its message.
    pub subject: BString,
}

/// What the objects of a pack say, collected.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// All objects of the pack with their kinds; shorter than the pack if it has an object twice.
    pub objects: HashMap<ObjectId, Kind>,
    /// An object that the pack has twice.
    pub repeated: Option<ObjectId>,
    /// What they link to, with the kind that it must have.
    pub links: HashMap<ObjectId, Kind>,
    /// An object that is linked to as two different kinds.
    pub ambiguous: Option<ObjectId>,
    /// Files whose content is to be checked.
    pub special: BTreeSet<(ObjectId, Special)>,
    /// The commits.
    pub commits: HashMap<ObjectId, PackCommit>,
    /// Files that hold what does not show.
    pub hiding: HashSet<ObjectId>,
}

impl Facts {
    fn object(&mut self, id: ObjectId, kind: Kind) {
        if self.objects.insert(id, kind).is_some() {
            self.repeated = Some(id);
        }
    }

    fn link(&mut self, id: ObjectId, kind: Kind) {
        if self.links.insert(id, kind).is_some_and(|before| before != kind) {
            self.ambiguous = Some(id);
        }
    }

    fn absorb(&mut self, other: Facts) {
        for (id, kind) in other.objects {
            self.object(id, kind);
        }
        for (id, kind) in other.links {
            self.link(id, kind);
        }
        self.repeated = self.repeated.or(other.repeated);
        self.ambiguous = self.ambiguous.or(other.ambiguous);
        self.special.extend(other.special);
        self.commits.extend(other.commits);
        self.hiding.extend(other.hiding);
    }

    /// Returns whether `id` is a file of the pack that holds nothing that does not show.
    pub(crate) fn hides_nothing(&self, id: ObjectId) -> bool {
        self.objects.get(&id) == Some(&Kind::Blob) && !self.hiding.contains(&id)
    }

    /// Puts together what several threads found.
    pub(crate) fn merge(parts: impl IntoIterator<Item = Facts>) -> Facts {
        let mut parts = parts.into_iter();
        let mut all = parts.next().unwrap_or_default();
        for part in parts {
            all.absorb(part);
        }
        all
    }
}

/// The visitor of one thread.
pub(crate) struct Inspector {
    hash: HashKind,
    /// The objects that are here already, if there is a repository.
    here: Option<gix::OdbHandle>,
    object_bytes_max: u64,
    buffer: Vec<u8>,
    /// What was found.
    pub facts: Facts,
}

impl Inspector {
    /// Makes a visitor; `here` is a handle of its own to the objects of the repository.
    pub(crate) fn new(hash: HashKind, here: Option<gix::OdbHandle>, object_bytes_max: u64) -> Self {
        let mut here = here;
        if let Some(here) = &mut here {
            // Most ids are new: looking for packs made meanwhile would cost more than all the rest.
            here.refresh_never();
        }
        Self { hash, here, object_bytes_max, buffer: Vec::new(), facts: Facts::default() }
    }
}

impl Visitor for Inspector {
    fn object(&mut self, kind: Kind, id: &oid, bytes: &[u8]) -> Result<(), ResolveError> {
        let id = id.to_owned();
        let mut sink = Sink { id, bytes, facts: &mut self.facts };
        check::object(kind, bytes, self.hash, &mut sink).map_err(|reason| CheckError { id, kind, reason })?;
        self.facts.object(id, kind);
        if kind == Kind::Blob && hidden::in_content(bytes) {
            self.facts.hiding.insert(id);
        }
        if let Some(here) = &self.here
            && here.exists(&id)
            && let Some(known) = here.try_find(&id, &mut self.buffer).map_err(ResolveError::Repository)?
            && (known.kind != kind || known.data != bytes)
        {
            return Err(ResolveError::Collision(id));
        }
        Ok(())
    }

    fn base(&mut self, id: &oid, out: &mut Vec<u8>) -> Result<Option<Kind>, ResolveError> {
        let Some(here) = &self.here else { return Ok(None) };
        let Some(header) = here.try_header(id).map_err(ResolveError::Repository)? else { return Ok(None) };
        // No delta of an allowed size claims a larger base, so nobody needs it.
        if header.size > self.object_bytes_max {
            return Ok(None);
        }
        Ok(here.try_find(id, out).map_err(ResolveError::Repository)?.map(|object| object.kind))
    }
}

struct Sink<'a> {
    id: ObjectId,
    bytes: &'a [u8],
    facts: &'a mut Facts,
}

impl Links for Sink<'_> {
    fn link(&mut self, id: ObjectId, kind: Kind) {
        self.facts.link(id, kind);
    }

    fn special(&mut self, id: ObjectId, special: Special) {
        self.facts.special.insert((id, special));
    }

    fn commit(&mut self, parents: &[ObjectId], seconds: i64) {
        let subject = history::subject(self.bytes);
        self.facts.commits.insert(self.id, PackCommit { seconds, parents: parents.to_vec(), subject });
    }
}
