//! A handoff on its way in: where its bytes come from, and who says what it is.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use bundle::Expected;
use client::report::{Agent, Signature};
use protocol::id::BlobId;
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::error::{Code, Failure};

/// Bytes that were hashed, and what is known of who made them.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) id: BlobId,
    pub(crate) size: u64,
    /// The very bytes that were hashed, at their beginning; nobody else can write to them.
    pub(crate) file: File,
    pub(crate) author: Option<Agent>,
    pub(crate) signature: Signature,
    /// What the signed reference says; nothing for a file.
    pub(crate) expected: Option<Expected>,
    pub(crate) summary: Option<String>,
}

/// Says whether an argument means a file: it contains `/`, ends in `.bundle`, or is `-`.
pub(crate) fn is_file(argument: &str) -> bool {
    argument == "-" || argument.contains('/') || argument.ends_with(".bundle")
}

/// Finds what the argument of `apply`, `show` or `fetch` means, and brings its bytes here.
pub(crate) fn find(context: &Context, argument: Option<&str>) -> Result<Incoming, Failure> {
    match argument {
        Some(path) if is_file(path) => from_file(context, path),
        _ => Err(Failure::of(Code::Unsupported)),
    }
}

/// Takes a bundle from a file, or from standard input for `-`.
///
/// The bytes are copied to a file of our own while they are hashed, so that nobody changes them between the check and the
/// use.
pub(crate) fn from_file(context: &Context, path: &str) -> Result<Incoming, Failure> {
    let failed = |error: &io::Error| Failure::new(Code::Io, format!("cannot read {path}: {error}"));
    let folder = &context.settings.cache_folder;
    let mut own = private_file(folder)
        .map_err(|error| Failure::new(Code::Io, format!("cannot write to {}: {error}", folder.display())))?;
    let copied = if path == "-" {
        copy(&mut io::stdin().lock(), &mut own)
    } else {
        File::open(path).and_then(|mut file| {
            if file.metadata()?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            copy(&mut file, &mut own)
        })
    };
    let (id, size) = copied.map_err(|error| failed(&error))?;
    own.rewind().map_err(|error| failed(&error))?;
    context.ui.remark("A file has no author: nobody vouches for what is in it.");
    Ok(Incoming {
        id,
        size,
        file: own,
        author: None,
        signature: Signature::None,
        expected: None,
        summary: None,
    })
}

fn private_file(folder: &Path) -> io::Result<File> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    tempfile::tempfile_in(folder)
}

fn copy(from: &mut impl Read, to: &mut File) -> io::Result<(BlobId, u64)> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((BlobId::from_bytes(hash.finalize().into()), size)),
            Ok(read) => {
                hash.update(&buffer[..read]);
                to.write_all(&buffer[..read])?;
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// How much is copied at a time.
const COPY_BYTES: usize = 256 * 1024;
