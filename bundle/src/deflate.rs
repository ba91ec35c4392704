//! Deflates entries, always at the same level, so that the same content gives the same bytes.

use crate::limits;

/// A deflate state that is used again and again.
pub(crate) struct Deflate(flate2::Compress);

impl Deflate {
    /// Returns a state at the level of this crate.
    pub(crate) fn new() -> Self {
        Self(flate2::Compress::new(flate2::Compression::new(limits::DEFLATE_LEVEL), true))
    }

    /// Returns `bytes` as a zlib stream.
    pub(crate) fn deflate(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.reset();
        let mut stream = Vec::with_capacity(bytes.len() / 2 + 64);
        loop {
            let consumed = usize::try_from(self.0.total_in()).expect("it is within a slice");
            let status = self.0.compress_vec(&bytes[consumed..], &mut stream, flate2::FlushCompress::Finish);
            if status.expect("deflating has no bad input") == flate2::Status::StreamEnd {
                return stream;
            }
            stream.reserve(stream.capacity() / 2 + 64);
        }
    }

    /// Begins a stream that is fed piece by piece.
    pub(crate) fn begin(&mut self) {
        self.0.reset();
    }

    /// Deflates the next piece of the stream, or its end where `piece` is empty, and hands on what there is.
    pub(crate) fn feed<E>(
        &mut self,
        piece: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let flush =
            if piece.is_empty() { flate2::FlushCompress::Finish } else { flate2::FlushCompress::None };
        let mut stream = [0; 16 << 10];
        let mut piece = piece;
        loop {
            let (consumed, written) = (self.0.total_in(), self.0.total_out());
            let status = self.0.compress(piece, &mut stream, flush).expect("deflating has no bad input");
            let consumed = usize::try_from(self.0.total_in() - consumed).expect("it is within a slice");
            let written = usize::try_from(self.0.total_out() - written).expect("it is within a slice");
            piece = &piece[consumed..];
            take(&stream[..written])?;
            let is_done = match flush {
                flate2::FlushCompress::Finish => status == flate2::Status::StreamEnd,
                _ => piece.is_empty() && written < stream.len(),
            };
            if is_done {
                return Ok(());
            }
        }
    }
}
