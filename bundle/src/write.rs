//! Writes a bundle: header, then a pack of what [`crate::plan`] planned (`gitformat-bundle(5)`, `gitformat-pack(5)`).
//! The same range of the same object store gives the same bytes.

use std::io::{self, Write};

use gix::{ObjectId, bstr::BString};

use crate::{
    arrange::Arrangement,
    deflate::Deflate,
    entries::Writer,
    header::{Header, HeaderError, Version},
    limits,
    objects::{ObjectError, Objects},
    progress::Report,
    range::{Plan, Prerequisite, Tip},
    search::search,
    select::select,
    sink::Sink,
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
    /// The header would be too long or would name too much.
    #[error("the range gives no header that can be read")]
    Header(#[from] HeaderError),
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
    let header = header(plan, objects.hash())?;
    let selection = select(&mut objects, plan, report)?;
    let count = u32::try_from(selection.objects.len()).map_err(|_| CreateError::TooManyObjects)?;
    let mut arrangement = Arrangement::new(&mut objects, &selection, options)?;
    let mut deflate = Deflate::new();
    search(&mut objects, &selection, &mut arrangement, &mut deflate, report)?;

    let mut sink = Sink::new(out, options.size_max, objects.hash());
    sink.write(&header)?;
    sink.begin_pack()?;
    sink.write(&gix_pack::data::header::encode(gix_pack::data::Version::V2, count))?;
    let mut writer =
        Writer { objects: &mut objects, selection: &selection, arrangement: &mut arrangement, deflate, sink };
    writer.entries(report)?;
    let (id, size) = writer.sink.finish()?;
    Ok(Created {
        id,
        size,
        objects: count,
        commits: plan.commits.len(),
        prerequisites: plan.prerequisites.clone(),
        tips: plan.tips.clone(),
    })
}

/// Returns the header of `plan`, which whoever reads bundles with this crate can read.
fn header(plan: &Plan, object_format: gix::hash::Kind) -> Result<Vec<u8>, CreateError> {
    let version = if object_format == gix::hash::Kind::Sha1 { Version::V2 } else { Version::V3 };
    let (prerequisites, refs) = (plan.prerequisites.clone(), plan.tips.clone());
    let mut header = Header { version, object_format, prerequisites, refs };
    let bytes = |header: &Header| {
        let mut bytes = Vec::new();
        header.write_to(&mut bytes).expect("a vector takes everything");
        bytes
    };
    let mut encoded = bytes(&header);
    if encoded.len() > limits::HEADER_BYTES_MAX {
        // Comments are for people only, and many of them help nobody.
        header.prerequisites.iter_mut().for_each(|prerequisite| prerequisite.comment.clear());
        encoded = bytes(&header);
    }
    Header::parse(&encoded)?;
    Ok(encoded)
}

#[cfg(test)]
mod tests;
