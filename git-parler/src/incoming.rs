//! A handoff on its way in: where its bytes come from, and who says what it is.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use bundle::{Applied, Expected};
use client::report::{Agent, Signature};
use client::{Client, VerifiedBlob, VerifiedHandoff};
use gix::ObjectId;
use protocol::clean;
use protocol::id::{BlobId, BlobPrefix};
use protocol::key::AgentId;
use protocol::part::BundlePart;
use sha2::{Digest, Sha256};

use crate::commands::push::short;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::{feed, network};

/// Bytes that were hashed, and what is known of who made them.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) id: BlobId,
    /// The very bytes that were hashed, at their beginning; nobody else can write to them.
    pub(crate) file: File,
    pub(crate) author: Option<Agent>,
    pub(crate) signature: Signature,
    /// What the signed reference says; nothing for a file.
    pub(crate) expected: Option<Expected>,
    pub(crate) summary: Option<String>,
    /// The reference, whose author states more of the content; nothing for a file.
    pub(crate) part: Option<Box<BundlePart>>,
}

impl Incoming {
    /// Takes the verified bytes of a handoff.
    pub(crate) fn of(handoff: VerifiedHandoff, file: File) -> Result<Self, Failure> {
        Ok(Self {
            id: handoff.id(),
            file,
            expected: Some(expected(&handoff)?),
            signature: Signature::Valid,
            summary: Some(handoff.part.summary.clone()),
            part: Some(Box::new(handoff.part)),
            author: Some(handoff.author),
        })
    }

    /// Returns the line that says who made it and what is known of that.
    pub(crate) fn authorship(&self) -> String {
        let Some(author) = &self.author else { return "Author: nobody (a file has no signature)".to_owned() };
        let signature = match self.signature {
            Signature::Valid => "valid signature",
            Signature::Invalid => "INVALID SIGNATURE",
            Signature::NotMember => "NOT A MEMBER",
            Signature::None => "no signature",
        };
        format!("Author: {} <{}> ({signature})", feed::plain_or_quoted(&author.name), author.id)
    }
}

/// Says whether an argument means a file: it contains `/`, ends in `.bundle`, or is `-`.
pub(crate) fn is_file(argument: &str) -> bool {
    argument == "-" || argument.contains('/') || argument.ends_with(".bundle")
}

/// Finds what the argument of `apply`, `show` or `fetch` means, and brings its bytes here.
pub(crate) fn find(context: &Context, argument: Option<&str>) -> Result<Incoming, Failure> {
    match argument {
        Some(path) if is_file(path) => from_file(context, path),
        argument => {
            let (handoff, blob) = from_hub(context, argument)?;
            Incoming::of(handoff, blob.into_file()?)
        }
    }
}

/// Finds a handoff at the hub, by id or as the newest here, and brings its verified bytes into the cache.
pub(crate) fn from_hub(
    context: &Context,
    argument: Option<&str>,
) -> Result<(VerifiedHandoff, VerifiedBlob), Failure> {
    let prefix = match argument {
        Some(text) => Some(text.parse::<BlobPrefix>().map_err(|error| {
            Failure::new(Code::Usage, format!("`{}` is {error}", clean::line(text))).hint(
                "`git parler list --all` shows the ids; a file's name contains `/` or ends in `.bundle`",
            )
        })?),
        None if context.ui.is_json() => {
            return Err(Failure::new(Code::Usage, "with `--json`, name the handoff by its id"));
        }
        None => None,
    };
    network::with_client(context, async |client| {
        let handoff = match prefix {
            Some(prefix) => client.find(prefix).await?,
            None => newest(context, client).await?,
        };
        let progress = network::progress(context, "Receiving", handoff.part.size);
        let blob = client.fetch(&handoff, Some(progress)).await?;
        Ok((handoff, blob))
    })
}

/// Returns the newest handoff that is another seat's, fits this repository and is not applied; names it first.
async fn newest(context: &Context, client: &mut Client) -> Result<VerifiedHandoff, Failure> {
    let room = client.room().await?;
    let me = client.me().id;
    let here = Here::look(context)?;
    let found = client.newest_handoff(room, |handoff| here.waits(handoff, me)).await?;
    let handoff = found.ok_or_else(|| {
        Failure::new(Code::NotFound, "no handoff of another seat that fits this repository waits here")
            .hint("`git parler list --all` shows all there are; name one by its id")
    })?;
    context.ui.remark(format_args!(
        "Newest handoff here: {} \"{}\" by {}",
        short(&handoff.id().to_string()),
        clean::line(&handoff.part.summary),
        feed::plain_or_quoted(&handoff.author.name),
    ));
    Ok(handoff)
}

/// What of a handoff is in this repository.
pub(crate) struct Here<'a> {
    repo: Option<&'a gix::Repository>,
    applied: Vec<Applied>,
}

impl<'a> Here<'a> {
    pub(crate) fn look(context: &'a Context) -> Result<Self, Failure> {
        let repo = context.repository_if_any();
        let applied = repo.map(bundle::applied).transpose()?.unwrap_or_default();
        Ok(Self { repo, applied })
    }

    /// Says whether a prerequisite or a tip is here; outside of a repository everything fits.
    pub(crate) fn fits(&self, handoff: &VerifiedHandoff) -> bool {
        let Some(repo) = self.repo else { return true };
        let part = &handoff.part;
        let tips = part.tips.iter().map(|tip| &tip.commit);
        part.prerequisites.iter().chain(tips).any(|id| {
            id.parse::<ObjectId>().is_ok_and(|id| id.kind() == repo.object_hash() && repo.has_object(id))
        })
    }

    /// Says whether it is for the seat `me` to take: another's, fitting, to be had, and not applied.
    pub(crate) fn waits(&self, handoff: &VerifiedHandoff, me: AgentId) -> bool {
        handoff.author.id != me && handoff.is_available && self.fits(handoff) && !self.has_applied(handoff)
    }

    /// Says whether its references stand here.
    pub(crate) fn has_applied(&self, handoff: &VerifiedHandoff) -> bool {
        let id = handoff.id().to_string();
        self.applied.iter().any(|applied| id.starts_with(&applied.digits))
    }
}

/// Reads what the signed reference says of the bundle's header.
fn expected(handoff: &VerifiedHandoff) -> Result<Expected, Failure> {
    let parse = |id: &String| {
        id.parse::<ObjectId>().map_err(|_| {
            Failure::new(Code::VerificationFailed, "the signed reference names a commit that is none")
        })
    };
    let part = &handoff.part;
    let tips = part.tips.iter().map(|tip| Ok((tip.branch.as_str().into(), parse(&tip.commit)?)));
    Ok(Expected {
        tips: tips.collect::<Result<_, Failure>>()?,
        prerequisites: part.prerequisites.iter().map(parse).collect::<Result<_, _>>()?,
    })
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
    let id = copied.map_err(|error| failed(&error))?;
    own.rewind().map_err(|error| failed(&error))?;
    context.ui.remark("A file has no author: nobody vouches for what is in it.");
    Ok(Incoming {
        id,
        file: own,
        author: None,
        signature: Signature::None,
        expected: None,
        summary: None,
        part: None,
    })
}

fn private_file(folder: &Path) -> io::Result<File> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    tempfile::tempfile_in(folder)
}

fn copy(from: &mut impl Read, to: &mut File) -> io::Result<BlobId> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(BlobId::from_bytes(hash.finalize().into())),
            Ok(read) => {
                hash.update(&buffer[..read]);
                to.write_all(&buffer[..read])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// How much is copied at a time.
const COPY_BYTES: usize = 256 * 1024;
