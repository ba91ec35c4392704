//! Applying a pack delta to its base, bounded by the sizes that the delta declares. Making deltas is not here.

/// The sizes at the start of a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Bytes of the base.
    pub base: u64,
    /// Bytes of the result.
    pub result: u64,
    /// Where the instructions start.
    pub instructions: usize,
}

/// Reads the two sizes at the start of `delta`, or `None` if they are cut off or too large for 64 bits.
pub(crate) fn sizes(delta: &[u8]) -> Option<Sizes> {
    let (base, after_base) = size(delta)?;
    let (result, after_result) = size(&delta[after_base..])?;
    Some(Sizes { base, result, instructions: after_base + after_result })
}

fn size(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut size = 0_u64;
    for (index, &byte) in bytes.iter().enumerate() {
        let shift = u32::try_from(index).ok()? * 7;
        let bits = u64::from(byte & 0x7f);
        let shifted = bits.checked_shl(shift)?;
        if shifted >> shift != bits {
            return None;
        }
        size |= shifted;
        if byte & 0x80 == 0 {
            return Some((size, index + 1));
        }
    }
    None
}

/// Applies `delta` to `base` into `out` (cleared first); `None` if the delta is malformed or was made for another base.
///
/// `out` never grows beyond the declared size of the result.
pub(crate) fn apply(base: &[u8], delta: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let sizes = sizes(delta)?;
    if sizes.base != base.len() as u64 {
        return None;
    }
    let result = usize::try_from(sizes.result).ok()?;
    out.clear();
    out.reserve_exact(result);
    let mut rest = &delta[sizes.instructions..];
    while let Some((&op, tail)) = rest.split_first() {
        rest = tail;
        let piece = if op & 0x80 != 0 {
            let mut field = |bits: u8, count: u8| -> Option<usize> {
                let mut value = 0;
                for index in 0..count {
                    if bits & (1 << index) != 0 {
                        let (&byte, tail) = rest.split_first()?;
                        rest = tail;
                        value |= usize::from(byte) << (8 * index);
                    }
                }
                Some(value)
            };
            let offset = field(op & 0x0f, 4)?;
            let length = match field((op >> 4) & 0x07, 3)? {
                0 => 0x1_0000,
                length => length,
            };
            base.get(offset..offset.checked_add(length)?)?
        } else if op == 0 {
            return None;
        } else {
            let (literal, tail) = rest.split_at_checked(usize::from(op))?;
            rest = tail;
            literal
        };
        if piece.len() > result - out.len() {
            return None;
        }
        out.extend_from_slice(piece);
    }
    (out.len() == result).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_literals_make_the_result() {
        let mut out = Vec::new();
        let delta = [4, 6, 0x91, 1, 3, 3, b'x', b'y', b'z'];
        assert_eq!(apply(b"abcd", &delta, &mut out), Some(()));
        assert_eq!(out, b"bcdxyz");
    }

    #[test]
    fn a_delta_that_lies_about_anything_is_refused() {
        let mut out = Vec::new();
        let delta = [4, 6, 0x91, 1, 3, 3, b'x', b'y', b'z'];
        for (index, value, what) in [
            (0, 5, "the base's size"),
            (1, 5, "a result too small"),
            (1, 7, "a result too large"),
            (3, 2, "a copy beyond the base"),
            (5, 4, "a literal beyond the delta"),
            (5, 0, "the reserved instruction"),
        ] {
            let mut delta = delta;
            delta[index] = value;
            assert_eq!(apply(b"abcd", &delta, &mut out), None, "{what}");
        }
        for length in 0..delta.len() {
            assert_eq!(apply(b"abcd", &delta[..length], &mut out), None, "cut at {length}");
        }
    }

    #[test]
    fn a_size_of_more_than_64_bits_is_refused() {
        assert_eq!(sizes(&[0xff; 20]), None);
        let mut bytes = vec![0xff; 9];
        bytes.push(2);
        bytes.push(0);
        assert_eq!(sizes(&bytes), None);
        bytes[9] = 1;
        assert_eq!(sizes(&bytes).map(|sizes| sizes.base), Some(u64::MAX));
    }
}
