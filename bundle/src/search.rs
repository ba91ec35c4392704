//! Searches deltas for what could not be taken from a pack: objects and edges in a row, similar names and sizes next to
//! one another, and each object tried against those before it. The work is bounded in bytes compared, never in
//! time, so that it always ends the same way.

use std::collections::{HashMap, VecDeque};

use gix::{ObjectId, objs::Kind};

use crate::{
    arrange::{Arrangement, Base, Source},
    deflate::Deflate,
    delta::{self, Index},
    limits,
    objects::{Object, ObjectError, Objects},
    paths::PathId,
    progress::{Progress, Report, Stage},
    select::Selection,
};

/// An object that may become a delta or serve as a base.
struct Candidate {
    id: ObjectId,
    kind: Kind,
    path: PathId,
    name_hash: u32,
    size: u64,
    as_base: Base,
    /// True where a delta is looked for; the others are bases only.
    is_target: bool,
}

/// A candidate that was passed and may serve those that follow.
struct Slot {
    candidate: Candidate,
    content: Option<Object>,
    index: Option<Index>,
}

/// The best delta so far.
struct Found {
    slot: usize,
    delta: Vec<u8>,
    cost: usize,
}

/// Looks for deltas and enters those that are worth it.
pub(crate) fn search(
    objects: &mut Objects,
    selection: &Selection,
    arrangement: &mut Arrangement,
    deflate: &mut Deflate,
    report: Report<'_>,
) -> Result<(), ObjectError> {
    let candidates = candidates(objects, selection, arrangement);
    let total = candidates.iter().filter(|candidate| candidate.is_target).count() as u64;
    let mut search = Search {
        objects,
        arrangement,
        deflate,
        window: VecDeque::new(),
        work_left: limits::DELTA_WORK_BYTES_MAX,
        kept_left: limits::KEPT_DELTA_BYTES_MAX,
    };
    let mut done = 0;
    for candidate in candidates {
        let mut slot = Slot { candidate, content: None, index: None };
        if let Base::Selected(number) = slot.candidate.as_base
            && slot.candidate.is_target
        {
            search.improve(number, &mut slot)?;
            done += 1;
            report(Progress { stage: Stage::Deltas, done, total: Some(total) });
        }
        search.push(slot);
    }
    Ok(())
}

/// Returns what takes part, in the order of the search.
fn candidates(objects: &mut Objects, selection: &Selection, arrangement: &Arrangement) -> Vec<Candidate> {
    let fits = |size: u64| (limits::DELTA_OBJECT_BYTES_MIN..=limits::DELTA_OBJECT_BYTES_MAX).contains(&size);
    let candidate = |id, kind, path, size, as_base, is_target| {
        let name_hash = selection.paths.name_hash(path);
        Candidate { id, kind, path, name_hash, size, as_base, is_target }
    };
    // Where something is new, and how many of the settled objects there are still wanted as its bases.
    let mut new_paths: HashMap<(Kind, PathId), usize> = HashMap::new();
    for (object, stored) in selection.objects.iter().zip(&arrangement.stored) {
        let has_name = matches!(object.kind, Kind::Tree | Kind::Blob);
        if has_name && stored.location.is_none() && fits(stored.size) {
            new_paths.insert((object.kind, object.path), limits::SETTLED_BASES_MAX);
        }
    }
    let mut candidates = Vec::new();
    for (number, (object, stored)) in (0..).zip(selection.objects.iter().zip(&arrangement.stored)) {
        let wanted = new_paths.get_mut(&(object.kind, object.path));
        // In a full history what is packed was searched when the pack was made, unless something new stands there.
        let is_target = stored.base == Base::None
            && (selection.has_boundary || wanted.is_some() || !matches!(stored.source, Source::Copy(_)));
        let is_base = match wanted {
            Some(wanted @ 1..) if !is_target => {
                *wanted -= 1;
                true
            }
            _ => false,
        };
        if (is_target || is_base) && fits(stored.size) {
            let as_base = Base::Selected(number);
            candidates.push(candidate(object.id, object.kind, object.path, stored.size, as_base, is_target));
        }
    }
    if !candidates.iter().any(|candidate| candidate.is_target) {
        return Vec::new();
    }
    for (number, edge) in (0..).zip(&selection.edges) {
        // An edge that is not here, as in a partial clone, is no base; nothing else depends on it.
        let location = objects.locate(&edge.id);
        let Ok(size) = objects.size(&edge.id, location) else { continue };
        if fits(size) {
            candidates.push(candidate(edge.id, edge.kind, edge.path, size, Base::Edge(number), false));
        }
    }
    candidates.sort_by(|one, two| {
        let key = |it: &Candidate| (it.kind as u8, it.name_hash, it.path, it.is_target);
        // Targets the largest first; what they build on, and commits, the newest last: it is what is tried first.
        let within = || match (one.is_target && one.kind != Kind::Commit, one.as_base) {
            (true, _) => two.size.cmp(&one.size).then(one.id.cmp(&two.id)),
            (false, base) => two.as_base.cmp(&base),
        };
        key(one).cmp(&key(two)).then_with(within)
    });
    candidates
}

struct Search<'a> {
    objects: &'a mut Objects,
    arrangement: &'a mut Arrangement,
    deflate: &'a mut Deflate,
    window: VecDeque<Slot>,
    /// How many bytes may still be compared.
    work_left: u64,
    /// How many bytes of deltas may still be kept until they are written.
    kept_left: usize,
}

impl Search<'_> {
    /// Tries all of the window as bases of `target`, the object of this number.
    fn improve(&mut self, number: u32, target: &mut Slot) -> Result<(), ObjectError> {
        let size = usize::try_from(target.candidate.size).unwrap_or(usize::MAX);
        let mut found: Option<Found> = None;
        for slot in 0..self.window.len() {
            let cost_max = found.as_ref().map_or_else(|| first_cost_max(size), |found| found.cost - 1);
            if !self.is_worth_trying(number, &target.candidate, slot, cost_max) {
                continue;
            }
            if target.content.is_none() {
                target.content = Some(self.objects.read_kind(&target.candidate.id, target.candidate.kind)?);
            }
            let Some(content) = &target.content else { continue };
            if let Some((delta, cost)) = self.attempt(content, slot, cost_max) {
                found = Some(Found { slot, delta, cost });
            }
        }
        if let (Some(found), Some(content)) = (found, &target.content) {
            self.enter(number, target.candidate.id, &found, content);
        }
        Ok(())
    }

    /// Lets `slot` into the window and the oldest out of it; what counts are sizes, not what happens to be loaded.
    fn push(&mut self, slot: Slot) {
        self.window.push_front(slot);
        self.window.truncate(limits::DELTA_WINDOW_OBJECTS);
        let mut bytes = 0;
        let sizes = self.window.iter().map(|slot| slot.candidate.size);
        let fitting = sizes.take_while(|size| {
            bytes += size;
            bytes <= limits::DELTA_WINDOW_BYTES_MAX
        });
        let fitting = fitting.count();
        self.window.truncate(fitting);
    }

    fn is_worth_trying(&self, number: u32, target: &Candidate, slot: usize, cost_max: usize) -> bool {
        let base = &self.window[slot].candidate;
        let missing = target.size.saturating_sub(base.size);
        self.work_left > 0
            && base.kind == target.kind
            && missing < cost_max as u64
            && target.size >= base.size / 32
            && self
                .arrangement
                .depth(base.as_base, number)
                .is_some_and(|depth| depth < chain_length_max(target.kind))
    }

    /// Returns the delta against the slot, if it costs no more than `cost_max`, and its cost.
    fn attempt(&mut self, target: &Object, slot: usize, cost_max: usize) -> Option<(Vec<u8>, usize)> {
        let slot = &mut self.window[slot];
        if slot.content.is_none() {
            // A base that cannot be read is none; if it travels itself, writing it reports that.
            slot.content = Some(self.objects.read_kind(&slot.candidate.id, slot.candidate.kind).ok()?);
        }
        let base = &slot.content.as_ref()?.bytes;
        if slot.index.is_none() {
            self.work_left = self.work_left.saturating_sub(base.len() as u64);
        }
        let index = slot.index.get_or_insert_with(|| Index::new(base));
        let reference = reference_bytes(slot.candidate.as_base, slot.candidate.id);
        let mut compared = 0;
        let delta =
            delta::encode(index, base, &target.bytes, cost_max.checked_sub(reference)?, &mut compared);
        self.work_left = self.work_left.saturating_sub(compared);
        let delta = delta?;
        let cost = delta.len() + reference;
        Some((delta, cost))
    }

    /// Returns how many bytes the object takes whole: those of its entry, or what it deflates to.
    fn whole_bytes(&mut self, number: u32, id: ObjectId, content: &Object) -> usize {
        if let Source::Copy(location) = self.arrangement.stored[number as usize].source
            && let Some(entry) = self.objects.entry(location)
            && let Some(stream) = self.objects.stream(&id, location, &entry)
        {
            return stream.len();
        }
        self.deflate.deflate(&content.bytes).len()
    }

    /// Stores `number` as the delta, unless deflated it is smaller whole.
    fn enter(&mut self, number: u32, id: ObjectId, found: &Found, content: &Object) {
        let base = self.window[found.slot].candidate.as_base;
        let stream = self.deflate.deflate(&found.delta);
        if found.cost > content.bytes.len() / CLEARLY_SMALLER {
            let reference = found.cost - found.delta.len();
            if self.whole_bytes(number, id, content) <= stream.len() + reference {
                return;
            }
        }
        let stored = &mut self.arrangement.stored[number as usize];
        stored.base = base;
        stored.source = match self.kept_left.checked_sub(stream.len()) {
            Some(left) => {
                self.kept_left = left;
                Source::Made { size: found.delta.len() as u64, stream }
            }
            None => Source::Remake,
        };
    }
}

/// Returns how many bytes a first delta of an object of `size` bytes may have. What is small hardly deflates, so that
/// for it a delta pays off that is nearly as long.
fn first_cost_max(size: usize) -> usize {
    if size <= SMALL_OBJECT_BYTES { size.saturating_sub(20) } else { size / 2 }
}

/// Histories are walked all the time, so commits stay near the root of their chains.
fn chain_length_max(kind: Kind) -> usize {
    match kind {
        Kind::Commit | Kind::Tag => limits::COMMIT_CHAIN_LENGTH_MAX,
        Kind::Tree | Kind::Blob => limits::DELTA_CHAIN_LENGTH_MAX,
    }
}

/// Returns how many bytes it takes to name the base: an edge by its id, what travels by its distance.
fn reference_bytes(base: Base, id: ObjectId) -> usize {
    match base {
        Base::Edge(_) => id.as_slice().len(),
        Base::Selected(_) | Base::None => 2,
    }
}

/// A delta below this part of its object is taken without a look at what the object deflates to.
const CLEARLY_SMALLER: usize = 8;
/// Up to this size an object is small.
const SMALL_OBJECT_BYTES: usize = 1024;
