//! Git's delta format: what makes `target` from `base` as copies and inserts (`gitformat-pack(5)`, "Deltified
//! representation"), made here and applied in [`crate::delta_apply`]. Pure: bytes in, bytes out, memory bounded by the sizes of both.

use std::ops::Range;

use crate::limits::CANDIDATES_MAX;

/// Where the blocks of a base stand, made once and asked by many targets.
#[derive(Debug)]
pub(crate) struct Index {
    /// The first block of each bucket, [`NONE`] where there is none.
    heads: Vec<u32>,
    /// The block after each block in its bucket.
    next: Vec<u32>,
    shift: u32,
}

impl Index {
    /// Indexes `base`, of which no more than 4 GiB can be named by a delta.
    pub(crate) fn new(base: &[u8]) -> Self {
        let blocks = u32::try_from(base.len() / BLOCK).unwrap_or(NONE - 1);
        // Eight buckets for each block, so that nearly all places without a match are passed at a glance.
        let bits = (u32::BITS - blocks.leading_zeros() + 3).clamp(4, 24);
        let mut index =
            Self { heads: vec![NONE; 1 << bits], next: vec![NONE; blocks as usize], shift: u64::BITS - bits };
        let mut hash_after = None;
        // From the end, so that a bucket begins with the block that stands first.
        for block in (0..blocks).rev() {
            let hash = hash_of(&base[block as usize * BLOCK..]);
            let bucket = index.bucket(hash.unwrap_or(0));
            let head = &mut index.heads[bucket];
            // Of equal blocks in a row the first serves for all: a match from there covers the others.
            if hash == hash_after && *head == block + 1 {
                index.next[block as usize] = index.next[block as usize + 1];
            } else {
                index.next[block as usize] = *head;
            }
            *head = block;
            hash_after = hash;
        }
        index
    }

    fn bucket(&self, hash: u64) -> usize {
        usize::try_from(hash >> self.shift).expect("at most 24 bits are left")
    }

    /// Returns the first match that starts in this range of `target`: where it does, where in the base, and its length.
    fn next_match(
        &self,
        base: &[u8],
        target: &[u8],
        range: Range<usize>,
        compared: &mut u64,
    ) -> Option<(usize, usize, usize)> {
        let blocks = target[range.start..].windows(BLOCK).take(range.len());
        for (at, block) in (range.start..).zip(blocks) {
            let head = self.heads[self.bucket(hash_of(block)?)];
            if head != NONE
                && let Some((start, length)) = self.longest_match(base, &target[at..], head, compared)
            {
                *compared += (at - range.start) as u64;
                return Some((at, start, length));
            }
        }
        *compared += range.len() as u64;
        None
    }

    /// Returns the longest match of the start of `target` among the blocks of a bucket, as start in the base and
    /// length.
    fn longest_match(
        &self,
        base: &[u8],
        target: &[u8],
        head: u32,
        compared: &mut u64,
    ) -> Option<(usize, usize)> {
        let (mut best_start, mut best_length) = (0, BLOCK - 1);
        let mut block = head;
        for _ in 0..CANDIDATES_MAX {
            let start = block as usize * BLOCK;
            let length = common_prefix(&base[start..], target);
            *compared += length as u64;
            if length > best_length {
                (best_start, best_length) = (start, length);
                if length >= GOOD_MATCH {
                    break;
                }
            }
            block = self.next[block as usize];
            if block == NONE {
                break;
            }
        }
        (best_length >= BLOCK).then_some((best_start, best_length))
    }
}

/// Returns the delta that makes `target` from `base`, which `index` is of, or nothing where it would be longer
/// than `size_max` bytes. Adds to `compared` how many bytes were looked at.
pub(crate) fn encode(
    index: &Index,
    base: &[u8],
    target: &[u8],
    size_max: usize,
    compared: &mut u64,
) -> Option<Vec<u8>> {
    let mut delta = Vec::with_capacity(size_max.min(target.len() / 8 + 64));
    write_size(base.len(), &mut delta);
    write_size(target.len(), &mut delta);
    let mut literal_start = 0usize;
    loop {
        // Beyond this, what is inserted would alone be too long.
        let end = target
            .len()
            .min(literal_start.saturating_add(size_max.checked_sub(delta.len())?).saturating_add(1));
        let Some((at, mut start, mut length)) = index.next_match(base, target, literal_start..end, compared)
        else {
            break;
        };
        let mut from = at;
        while from > literal_start && start > 0 && base[start - 1] == target[from - 1] {
            (from, start, length) = (from - 1, start - 1, length + 1);
        }
        write_inserts(&target[literal_start..from], &mut delta);
        write_copies(start, length, &mut delta);
        literal_start = from + length;
    }
    if target.len() - literal_start > size_max - delta.len() {
        return None;
    }
    write_inserts(&target[literal_start..], &mut delta);
    (delta.len() <= size_max).then_some(delta)
}

fn write_size(mut size: usize, delta: &mut Vec<u8>) {
    while size >= 0x80 {
        delta.push(low_byte(size) | 0x80);
        size >>= 7;
    }
    delta.push(low_byte(size));
}

fn write_inserts(bytes: &[u8], delta: &mut Vec<u8>) {
    for chunk in bytes.chunks(INSERT_MAX) {
        delta.push(low_byte(chunk.len()));
        delta.extend_from_slice(chunk);
    }
}

fn write_copies(mut start: usize, mut length: usize, delta: &mut Vec<u8>) {
    while length > 0 {
        let part = length.min(COPY_MAX);
        let operation_at = delta.len();
        delta.push(0x80);
        // The longest copy is written as no size at all.
        let size = if part == COPY_MAX { 0 } else { part };
        for (bit, byte) in
            start.to_le_bytes().into_iter().take(4).chain(size.to_le_bytes().into_iter().take(2)).enumerate()
        {
            if byte != 0 {
                delta[operation_at] |= 1 << bit;
                delta.push(byte);
            }
        }
        (start, length) = (start + part, length - part);
    }
}

/// Returns the hash of the block that `bytes` begins with; a shorter rest has none.
fn hash_of(bytes: &[u8]) -> Option<u64> {
    let (block, _) = bytes.split_first_chunk::<BLOCK>()?;
    let (low, high) = block.split_at(BLOCK / 2);
    let low = u64::from_le_bytes(low.try_into().ok()?);
    let high = u64::from_le_bytes(high.try_into().ok()?);
    Some((low ^ high.rotate_left(23).wrapping_mul(MIX)).wrapping_mul(MIX))
}

fn common_prefix(one: &[u8], two: &[u8]) -> usize {
    let length = one.len().min(two.len());
    let (one, two) = (&one[..length], &two[..length]);
    let words = one.chunks_exact(8).zip(two.chunks_exact(8));
    let equal = 8 * words.take_while(|(one, two)| one == two).count();
    equal + one[equal..].iter().zip(&two[equal..]).take_while(|(one, two)| one == two).count()
}

fn low_byte(value: usize) -> u8 {
    value.to_le_bytes()[0] & if value >= 0x80 { 0x7f } else { 0xff }
}

/// Matches are found by whole blocks of the base; with the extension backward none of 31 bytes is missed.
const BLOCK: usize = 16;
/// A match this long is not searched for a longer one.
const GOOD_MATCH: usize = 4096;
/// An insert holds 1 to 127 bytes.
const INSERT_MAX: usize = 127;
/// A copy without a size means this many bytes.
const COPY_MAX: usize = 0x10000;
const NONE: u32 = u32::MAX;
/// An odd number without pattern in its bits (the golden ratio).
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests;
