//! Writes the entries of a pack in the order of the selection, each base before what builds on it, so that a delta
//! can name its base by the distance; a full history in the order of the pack it comes from.

use std::io::Write;

use gix::{ObjectId, objs::Kind};
use gix_pack::data::entry::Header;

use crate::{
    arrange::{Arrangement, Base, Source},
    deflate::Deflate,
    delta::{self, Index},
    limits,
    loose::Loose,
    objects::{ObjectError, Objects},
    progress::{Progress, Report, Stage},
    select::Selection,
    sink::Sink,
    write::CreateError,
};

/// Everything that goes into the entries of one pack, and where they go.
pub(crate) struct Writer<'a, W> {
    pub(crate) objects: &'a mut Objects,
    pub(crate) selection: &'a Selection,
    pub(crate) arrangement: &'a mut Arrangement,
    pub(crate) deflate: Deflate,
    pub(crate) sink: Sink<'a, W>,
}

impl<W: Write> Writer<'_, W> {
    /// Writes all entries.
    pub(crate) fn entries(&mut self, report: Report<'_>) -> Result<(), CreateError> {
        let copies = self.arrangement.stored.iter().filter_map(|stored| match stored.source {
            Source::Copy(location) => Some((location, stored.size)),
            _ => None,
        });
        self.objects.expect_streams(copies);
        let order = self.order();
        let total = order.len() as u64;
        let mut offsets = vec![0; order.len()];
        for (done, number) in (1..).zip(order) {
            offsets[number as usize] = self.sink.written();
            self.entry(number, &offsets)?;
            report(Progress { stage: Stage::Writing, done, total: Some(total) });
        }
        Ok(())
    }

    fn order(&self) -> Vec<u32> {
        let stored = &self.arrangement.stored;
        let count = u32::try_from(stored.len()).expect("a pack counts in 32 bits");
        let mut wanted: Vec<u32> = (0..count).collect();
        if !self.selection.has_boundary {
            // As they follow one another in the pack, the whole history is read in one sweep.
            wanted.sort_by_key(|&number| {
                (stored[number as usize].location.is_none(), stored[number as usize].location)
            });
        }
        let mut order = Vec::with_capacity(wanted.len());
        let mut is_placed = vec![false; wanted.len()];
        let mut chain = Vec::new();
        for number in wanted {
            let mut at = Base::Selected(number);
            while let Base::Selected(number) = at
                && !is_placed[number as usize]
            {
                is_placed[number as usize] = true;
                chain.push(number);
                at = stored[number as usize].base;
            }
            order.extend(chain.drain(..).rev());
        }
        order
    }

    fn entry(&mut self, number: u32, offsets: &[u64]) -> Result<(), CreateError> {
        let object = &self.selection.objects[number as usize];
        let stored = &mut self.arrangement.stored[number as usize];
        let (base, size_of_object) = (stored.base, stored.size);
        let source = std::mem::replace(&mut stored.source, Source::Read);
        let header = match base {
            Base::None => whole(object.kind),
            Base::Selected(base) => {
                Header::OfsDelta { base_distance: offsets[number as usize] - offsets[base as usize] }
            }
            Base::Edge(edge) => Header::RefDelta { base_id: self.selection.edges[edge as usize].id },
        };
        match source {
            Source::Made { size, stream } => self.write(header, size, &stream),
            Source::Copy(location) => {
                let entry = self.objects.entry(location);
                let stream = entry
                    .and_then(|entry| Some((entry.size, self.objects.stream(&object.id, location, &entry)?)));
                match stream {
                    Some((size, stream)) => {
                        self.sink.write(&encoded(header, size))?;
                        self.sink.write(stream)
                    }
                    // The pack is damaged here, but another one or a loose file may have the object.
                    None => self.whole(object.id, object.kind, size_of_object),
                }
            }
            Source::Read => self.whole(object.id, object.kind, size_of_object),
            Source::Remake => {
                let delta = self.remake(object.id, object.kind, base)?;
                let stream = self.deflate.deflate(&delta);
                self.write(header, delta.len() as u64, &stream)
            }
        }
    }

    fn whole(&mut self, id: ObjectId, kind: Kind, size: u64) -> Result<(), CreateError> {
        if size > limits::DELTA_OBJECT_BYTES_MAX
            && let Some(loose) = self.objects.loose(&id)
            && loose.kind == kind
        {
            return self.streamed(id, loose);
        }
        let object = self.objects.read_kind(&id, kind)?;
        let stream = self.deflate.deflate(&object.bytes);
        self.write(whole(kind), object.bytes.len() as u64, &stream)
    }

    fn streamed(&mut self, id: ObjectId, mut loose: Loose) -> Result<(), CreateError> {
        let damaged = || CreateError::Object(ObjectError::Corrupt { id });
        self.sink.write(&encoded(whole(loose.kind), loose.size))?;
        let mut buffer = vec![0; limits::STREAM_BUFFER_BYTES];
        self.deflate.begin();
        loop {
            let count = loose.read(&mut buffer).map_err(|_| damaged())?;
            let sink = &mut self.sink;
            self.deflate.feed(&buffer[..count], &mut |stream| sink.write(stream))?;
            if count == 0 {
                break;
            }
        }
        if loose.is(&id) { Ok(()) } else { Err(damaged()) }
    }

    fn remake(&mut self, id: ObjectId, kind: Kind, base: Base) -> Result<Vec<u8>, CreateError> {
        let base_id = match base {
            Base::Selected(base) => self.selection.objects[base as usize].id,
            Base::Edge(edge) => self.selection.edges[edge as usize].id,
            Base::None => unreachable!("a delta has a base"),
        };
        let base = self.objects.read_kind(&base_id, kind)?.bytes;
        let target = self.objects.read_kind(&id, kind)?.bytes;
        let delta = delta::encode(&Index::new(&base), &base, &target, usize::MAX, &mut 0);
        delta.ok_or(CreateError::Object(ObjectError::Corrupt { id }))
    }

    fn write(&mut self, header: Header, size: u64, stream: &[u8]) -> Result<(), CreateError> {
        self.sink.write(&encoded(header, size))?;
        self.sink.write(stream)
    }
}

fn whole(kind: Kind) -> Header {
    match kind {
        Kind::Commit => Header::Commit,
        Kind::Tree => Header::Tree,
        Kind::Blob => Header::Blob,
        Kind::Tag => Header::Tag,
    }
}

fn encoded(header: Header, size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    header.write_to(size, &mut bytes).expect("a vector takes everything");
    bytes
}
