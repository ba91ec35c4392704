//! Builds packs entry by entry, right or wrong.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;

/// A pack under construction.
pub(crate) struct Pack {
    bytes: Vec<u8>,
    count: u32,
}

impl Pack {
    pub(crate) fn new() -> Self {
        Self { bytes: b"PACK\0\0\0\x02\0\0\0\0".to_vec(), count: 0 }
    }

    pub(crate) fn entry(&mut self, type_id: u8, size: u64, base: &[u8], content: &[u8]) -> u64 {
        let offset = self.bytes.len() as u64;
        let mut rest = size >> 4;
        let mut byte = type_id << 4 | u8::try_from(size & 15).unwrap();
        while rest != 0 {
            self.bytes.push(byte | 0x80);
            byte = u8::try_from(rest & 0x7f).unwrap();
            rest >>= 7;
        }
        self.bytes.push(byte);
        self.bytes.extend_from_slice(base);
        let mut deflate = ZlibEncoder::new(Vec::new(), Compression::best());
        deflate.write_all(content).unwrap();
        self.bytes.extend(deflate.finish().unwrap());
        self.count += 1;
        offset
    }

    pub(crate) fn whole(&mut self, kind: Kind, content: &[u8]) -> ObjectId {
        let type_id = match kind {
            Kind::Commit => 1,
            Kind::Tree => 2,
            Kind::Blob => 3,
            Kind::Tag => 4,
        };
        self.entry(type_id, content.len() as u64, &[], content);
        id(kind, content)
    }

    pub(crate) fn offset_delta(&mut self, base: u64, delta: &[u8]) -> u64 {
        let mut distance = self.bytes.len() as u64 - base;
        let mut encoded = vec![u8::try_from(distance & 0x7f).unwrap()];
        while distance >> 7 != 0 {
            distance = (distance >> 7) - 1;
            encoded.insert(0, 0x80 | u8::try_from(distance & 0x7f).unwrap());
        }
        self.entry(6, delta.len() as u64, &encoded, delta)
    }

    pub(crate) fn id_delta(&mut self, base: ObjectId, delta: &[u8]) {
        self.entry(7, delta.len() as u64, base.as_slice(), delta);
    }

    /// Adds a commit of a tree, and returns its id.
    pub(crate) fn commit(&mut self, tree: ObjectId, parents: &[ObjectId]) -> ObjectId {
        self.whole(Kind::Commit, commit(tree, parents).as_bytes())
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes[8..12].copy_from_slice(&self.count.to_be_bytes());
        let mut hasher = gix::hash::hasher(HashKind::Sha1);
        hasher.update(&self.bytes);
        let checksum = hasher.try_finalize().unwrap();
        self.bytes.extend_from_slice(checksum.as_slice());
        self.bytes
    }
}

/// Returns the id of an object.
pub(crate) fn id(kind: Kind, content: &[u8]) -> ObjectId {
    gix::objs::compute_hash(HashKind::Sha1, kind, content).unwrap()
}

fn commit(tree: ObjectId, parents: &[ObjectId]) -> String {
    let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    format!("tree {tree}\n{parents}author A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nx\n")
}

/// Returns the bytes of a tree.
pub(crate) fn tree(entries: &[(&str, &str, ObjectId)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        bytes.extend_from_slice(id.as_slice());
    }
    bytes
}

/// Returns a size as deltas begin with it.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(0x80 | u8::try_from(value & 0x7f).unwrap());
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

/// A delta that makes `times` copies of the first `length` (at most 0xffffff) bytes of its base.
pub(crate) fn copies(base: u64, length: u32, times: usize) -> Vec<u8> {
    let mut delta = varint(base);
    delta.extend(varint(u64::from(length) * times as u64));
    for _ in 0..times {
        let size = length.to_le_bytes();
        delta.extend_from_slice(&[0xf0, size[0], size[1], size[2]]);
    }
    delta
}
