//! Writes a bundle: header, then a pack of what [`crate::plan`] planned (`gitformat-bundle(5)`, `gitformat-pack(5)`).
//! The same range of the same object store gives the same bytes.

use std::io::{self, Write};

use gix::{ObjectId, bstr::BString, objs::Kind};
use sha2::{Digest as _, Sha256};

use crate::{
    objects::{ObjectError, Objects},
    progress::{Progress, Report, Stage},
    range::{Plan, Prerequisite, Tip},
    select::{Selected, Selection, select},
};

/// Bounds for [`create`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreateOptions {
    /// The largest bundle that is wanted, in bytes; nothing beyond is written. Nothing means no bound.
    pub size_max: Option<u64>,
    /// The largest single object that the receiver would take, in bytes. Nothing means no bound.
    pub object_bytes_max: Option<u64>,
}

/// What [`create`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// SHA-256 of all bytes of the bundle.
    pub id: [u8; 32],
    /// How many bytes the bundle has.
    pub size: u64,
    /// How many objects its pack holds.
    pub objects: u32,
    /// How many commits are among them.
    pub commits: usize,
    /// The commits the receiver must have, as the header names them.
    pub prerequisites: Vec<Prerequisite>,
    /// The tips, as the header names them.
    pub tips: Vec<Tip>,
}

/// Why a bundle was not written. What has been written so far is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// An object of the range cannot be read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A file of the range is not here, as in a partial clone.
    #[error("{path} ({id}) is not in this repository")]
    MissingAt {
        /// Where it stands.
        path: BString,
        /// Its id.
        id: ObjectId,
    },
    /// The receiver would refuse this object.
    #[error("{path} ({id}) has {size} bytes, more than the {bytes_max} that an object may have")]
    ObjectTooLarge {
        /// Where it stands; empty for commits, tags and the trees of commits.
        path: BString,
        /// Its id.
        id: ObjectId,
        /// Its size in bytes.
        size: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// The bundle would be larger than wanted.
    #[error("the bundle would have more than {size_max} bytes")]
    BundleTooLarge {
        /// The bound.
        size_max: u64,
    },
    /// A pack counts its objects in 32 bits.
    #[error("the range holds more objects than a pack can count")]
    TooManyObjects,
    /// The bundle cannot be written where it should go.
    #[error("the bundle cannot be written")]
    Write(#[source] io::Error),
}

/// Writes the bundle of `plan` to `out`, and returns its id and size.
///
/// The header is of version 2, or of version 3 where objects are named by SHA-256. The pack is thin: its deltas may
/// build on objects that the trees of the prerequisites hold, and on nothing else the receiver might lack.
///
/// # Errors
///
/// A bound of `options` that would be passed, an object that is missing or damaged (nothing is fetched), or `out` that
/// fails.
///
/// # Examples
///
/// ```
/// # let env = kit::Env::new();
/// # let history = kit::History::seeded(&env, "one", 1, &kit::Shape::default());
/// let repo = gix::open(&history.path)?;
/// let tip = bundle::Tip { name: "refs/heads/main".into(), id: repo.head_id()?.detach() };
/// let base = repo.rev_parse_single("HEAD~3")?.detach();
/// let plan = bundle::plan(&repo, &[tip], &[base], &mut |_| ())?;
/// let mut bytes = Vec::new();
/// let created = bundle::create(&repo, &plan, bundle::CreateOptions::default(), &mut bytes, &mut |_| ())?;
/// assert_eq!(created.size, bytes.len() as u64);
/// assert!(bytes.starts_with(b"# v2 git bundle\n-"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn create(
    repo: &gix::Repository,
    plan: &Plan,
    options: CreateOptions,
    out: &mut impl Write,
    report: Report<'_>,
) -> Result<Created, CreateError> {
    let mut objects = Objects::open(repo)?;
    let selection = select(&mut objects, plan, report)?;
    let count = u32::try_from(selection.objects.len()).map_err(|_| CreateError::TooManyObjects)?;
    let mut sizes = Vec::with_capacity(selection.objects.len());
    for object in &selection.objects {
        sizes.push(checked_size(&mut objects, object, &selection, options)?);
    }
    let mut sink = Sink::new(out, options.size_max, objects.hash());
    sink.write(&header(plan, objects.hash()))?;
    sink.begin_pack();
    sink.write(&gix_pack::data::header::encode(gix_pack::data::Version::V2, count))?;
    for (done, object) in (1..).zip(&selection.objects) {
        let content = objects.read_kind(&object.id, object.kind)?;
        sink.write(&entry_header(object.kind, content.bytes.len() as u64))?;
        sink.deflate(&content.bytes)?;
        report(Progress { stage: Stage::Writing, done, total: Some(u64::from(count)) });
    }
    let (id, size) = sink.finish()?;
    Ok(Created {
        id,
        size,
        objects: count,
        commits: plan.commits.len(),
        prerequisites: plan.prerequisites.clone(),
        tips: plan.tips.clone(),
    })
}

fn checked_size(
    objects: &mut Objects,
    object: &Selected,
    selection: &Selection,
    options: CreateOptions,
) -> Result<u64, CreateError> {
    let path = || selection.paths.full(object.path);
    let size = match objects.size(&object.id) {
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

fn header(plan: &Plan, hash: gix::hash::Kind) -> Vec<u8> {
    let mut header = match hash {
        gix::hash::Kind::Sha1 => b"# v2 git bundle\n".to_vec(),
        _ => format!("# v3 git bundle\n@object-format={hash}\n").into_bytes(),
    };
    for prerequisite in &plan.prerequisites {
        header.extend_from_slice(format!("-{} ", prerequisite.id).as_bytes());
        header.extend_from_slice(&prerequisite.comment);
        header.push(b'\n');
    }
    for tip in &plan.tips {
        header.extend_from_slice(format!("{} ", tip.id).as_bytes());
        header.extend_from_slice(&tip.name);
        header.push(b'\n');
    }
    header.push(b'\n');
    header
}

fn entry_header(kind: Kind, size: u64) -> Vec<u8> {
    use gix_pack::data::entry::Header;
    let header = match kind {
        Kind::Commit => Header::Commit,
        Kind::Tree => Header::Tree,
        Kind::Blob => Header::Blob,
        Kind::Tag => Header::Tag,
    };
    let mut bytes = Vec::new();
    header.write_to(size, &mut bytes).expect("a vector takes everything");
    bytes
}

/// Counts, bounds and hashes what is written: all of it for the id, the pack for its checksum.
struct Sink<'a, W> {
    out: &'a mut W,
    written: u64,
    size_max: Option<u64>,
    id: Sha256,
    pack: Option<gix::hash::Hasher>,
    hash: gix::hash::Kind,
    deflate: flate2::Compress,
}

impl<'a, W: Write> Sink<'a, W> {
    fn new(out: &'a mut W, size_max: Option<u64>, hash: gix::hash::Kind) -> Self {
        let deflate = flate2::Compress::new(flate2::Compression::new(6), true);
        Self { out, written: 0, size_max, id: Sha256::new(), pack: None, hash, deflate }
    }

    fn begin_pack(&mut self) {
        self.pack = Some(gix::hash::hasher(self.hash));
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CreateError> {
        self.written += bytes.len() as u64;
        if let Some(size_max) = self.size_max
            && self.written > size_max
        {
            return Err(CreateError::BundleTooLarge { size_max });
        }
        self.id.update(bytes);
        if let Some(pack) = &mut self.pack {
            pack.update(bytes);
        }
        self.out.write_all(bytes).map_err(CreateError::Write)
    }

    fn deflate(&mut self, bytes: &[u8]) -> Result<(), CreateError> {
        self.deflate.reset();
        let mut deflated = Vec::with_capacity(bytes.len() + 64);
        let mut consumed = 0;
        loop {
            deflated.reserve(1 << 10);
            let status = self
                .deflate
                .compress_vec(&bytes[consumed..], &mut deflated, flate2::FlushCompress::Finish)
                .map_err(|error| CreateError::Write(error.into()))?;
            consumed = usize::try_from(self.deflate.total_in()).expect("it is the length of a slice");
            if status == flate2::Status::StreamEnd {
                break;
            }
        }
        self.write(&deflated)
    }

    fn finish(mut self) -> Result<([u8; 32], u64), CreateError> {
        if let Some(pack) = self.pack.take() {
            let checksum =
                pack.try_finalize().map_err(|error| CreateError::Write(io::Error::other(error)))?;
            self.write(checksum.as_slice())?;
        }
        self.out.flush().map_err(CreateError::Write)?;
        Ok((self.id.finalize().into(), self.written))
    }
}

#[cfg(test)]
mod tests;
