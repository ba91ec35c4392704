//! Decides how each object of a bundle is stored: as the pack entry that the repository has, as a delta, or whole.
//! Entries are taken as they are where their base travels too or is an edge object; the rest is left to the search.

use std::collections::HashMap;

use gix::{ObjectId, objs::Kind};

use crate::{
    limits,
    objects::{EntryKind, Location, ObjectError, Objects},
    select::{Selected, Selection},
    write::{CreateError, CreateOptions},
};

/// What a delta builds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Base {
    /// Nothing: the object is stored whole.
    None,
    /// The traveling object of this number.
    Selected(u32),
    /// The edge object of this number.
    Edge(u32),
}

/// Where the bytes of an entry come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// The object store, to be deflated.
    Read,
    /// An entry of a pack, as it stands there.
    Copy(Location),
    /// A stream that was made already, and the size of what it holds.
    Made {
        /// Inflated size in bytes.
        size: u64,
        /// The deflated stream.
        stream: Vec<u8>,
    },
    /// A delta that is made again when it is written, as there was no room to keep it.
    Remake,
}

/// How one object is stored.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) base: Base,
    pub(crate) source: Source,
    /// Size of the object itself, in bytes.
    pub(crate) size: u64,
    /// Where a pack of the repository has it.
    pub(crate) location: Option<Location>,
}

/// How all objects of a selection are stored, in the order of the selection. Bases never form a circle.
pub(crate) struct Arrangement {
    pub(crate) stored: Vec<Stored>,
}

impl Arrangement {
    /// Takes from the packs what can be taken, and checks that every object is here and within its bound.
    pub(crate) fn new(
        objects: &mut Objects,
        selection: &Selection,
        options: CreateOptions,
    ) -> Result<Self, CreateError> {
        let mut arrangement = Self { stored: Vec::with_capacity(selection.objects.len()) };
        let mut places = Places::default();
        for (number, object) in (0..).zip(&selection.objects) {
            let location = objects.locate(&object.id);
            let size = checked_size(objects, location, object, selection, options)?;
            places.note(location, &object.id, Base::Selected(number));
            arrangement.stored.push(Stored { base: Base::None, source: Source::Read, size, location });
        }
        for (number, edge) in (0..).zip(&selection.edges) {
            places.note(objects.locate(&edge.id), &edge.id, Base::Edge(number));
        }
        for number in (0u32..).take(selection.objects.len()) {
            arrangement.take_entry(objects, &places, number);
        }
        Ok(arrangement)
    }

    /// Returns how many deltas stand between `base` and an object that is whole or an edge, or nothing where the
    /// way leads through `target`.
    pub(crate) fn depth(&self, mut base: Base, target: u32) -> Option<usize> {
        let mut depth = 0;
        while let Base::Selected(number) = base {
            if number == target {
                return None;
            }
            base = self.stored[number as usize].base;
            depth += 1;
        }
        Some(depth)
    }

    fn take_entry(&mut self, objects: &Objects, places: &Places, number: u32) {
        let Some(location) = self.stored[number as usize].location else { return };
        let Some(entry) = objects.entry(location) else { return };
        let base = match entry.kind {
            EntryKind::Whole => Some(Base::None),
            EntryKind::OfsDelta(base) => places.by_location.get(&base).copied(),
            EntryKind::RefDelta(base) => places.by_id.get(&base).copied(),
        };
        let Some(base) = base else { return };
        // Two packs may hold two objects as deltas of one another.
        if base != Base::None
            && self.depth(base, number).is_none_or(|depth| depth >= limits::STORED_CHAIN_LENGTH_MAX)
        {
            return;
        }
        let stored = &mut self.stored[number as usize];
        (stored.base, stored.source) = (base, Source::Copy(location));
    }
}

/// Which traveling or edge object stands where in the packs.
#[derive(Default)]
struct Places {
    by_location: HashMap<Location, Base>,
    by_id: gix::hashtable::HashMap<ObjectId, Base>,
}

impl Places {
    fn note(&mut self, location: Option<Location>, id: &ObjectId, base: Base) {
        if let Some(location) = location {
            self.by_location.insert(location, base);
        }
        self.by_id.insert(*id, base);
    }
}

fn checked_size(
    objects: &mut Objects,
    location: Option<Location>,
    object: &Selected,
    selection: &Selection,
    options: CreateOptions,
) -> Result<u64, CreateError> {
    let path = || selection.paths.full(object.path);
    let size = match objects.size(&object.id, location) {
        Ok(size) => size,
        Err(ObjectError::Missing { id }) if object.kind == Kind::Blob => {
            return Err(CreateError::MissingAt { path: path(), id });
        }
        Err(error) => return Err(error.into()),
    };
    match options.object_bytes_max {
        Some(bytes_max) if size > bytes_max => {
            Err(CreateError::ObjectTooLarge { path: path(), id: object.id, size, bytes_max })
        }
        _ => Ok(size),
    }
}
