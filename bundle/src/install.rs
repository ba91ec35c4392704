//! Moves what a quarantine holds into the object directory, and takes it out again if the references cannot be made.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::objs::{Exists, FindExt, Kind};
use gix::{ObjectId, Repository};

use crate::limits::{UNPACK_BYTES_MAX, UNPACK_OBJECTS_LIMIT};
use crate::quarantine::{Quarantine, keep_content, object_file};
use crate::stage::{STAGED_INDEX, STAGED_PACK, Staged, StagedPack};

/// What the repository's configuration says about new objects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// Packs with fewer objects become loose objects.
    unpack_limit: u64,
    /// What is flushed to the disk.
    flushes: Flushes,
    /// Permissions that `core.sharedRepository` adds.
    shared: u32,
}

impl Policy {
    /// Reads `fetch.unpackLimit`, `transfer.unpackLimit`, `core.fsync` and `core.sharedRepository`.
    pub(crate) fn of(repo: &Repository) -> Self {
        let config = repo.config_snapshot();
        let limit = config.integer("fetch.unpackLimit").or_else(|| config.integer("transfer.unpackLimit"));
        let fsync = config.string("core.fsync");
        let flushes = match &fsync {
            Some(value) => Flushes::parse(&value.to_string()),
            None => Flushes {
                loose: config.boolean("core.fsyncObjectFiles").unwrap_or(false),
                ..Flushes::DEFAULT
            },
        };
        Self {
            unpack_limit: limit.map_or(UNPACK_OBJECTS_LIMIT, |limit| u64::try_from(limit).unwrap_or(0)),
            flushes,
            shared: config.string("core.sharedRepository").map_or(0, |value| shared_mode(&value.to_string())),
        }
    }

    /// Gives the file of a reference the permissions and the flush that the configuration asks for.
    pub(crate) fn finish_ref(&self, path: &Path, file: &File) -> io::Result<()> {
        if self.shared != 0 {
            let mode = file.metadata()?.mode() | self.shared;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        if self.flushes.refs { file.sync_all() } else { Ok(()) }
    }

    /// Gives the file of an object or a pack the permissions and the flush that the configuration asks for.
    fn finish_object(&self, path: &Path, file: &File, flushes: bool) -> io::Result<()> {
        if self.shared != 0 {
            let mode = file.metadata()?.mode() | (self.shared & 0o444);
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        if flushes { file.sync_all() } else { Ok(()) }
    }

    /// Gives a new directory the permissions that the configuration asks for.
    pub(crate) fn share_dir(&self, dir: &Path) -> io::Result<()> {
        if self.shared == 0 {
            return Ok(());
        }
        let mode = fs::metadata(dir)?.mode();
        let search = (self.shared & 0o444) >> 2;
        fs::set_permissions(dir, fs::Permissions::from_mode(mode | self.shared | search | 0o2000))
    }

    fn unpacks(&self, objects: usize, inflated_bytes: u64) -> bool {
        objects == 0 || (objects as u64) < self.unpack_limit && inflated_bytes <= UNPACK_BYTES_MAX
    }
}

/// What `core.fsync` says of the things that an import writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flushes {
    packs: bool,
    loose: bool,
    refs: bool,
}

impl Flushes {
    const DEFAULT: Self = Self { packs: true, loose: false, refs: false };

    /// Reads `core.fsync` as git does.
    fn parse(value: &str) -> Self {
        let mut flushes = Self::DEFAULT;
        for word in value.split([',', ' ']).filter(|word| !word.is_empty()) {
            let (word, on) = word.strip_prefix('-').map_or((word, true), |word| (word, false));
            match word {
                "none" => flushes = Self { packs: false, loose: false, refs: false },
                "all" | "committed" | "added" => flushes = Self { packs: on, loose: on, refs: on },
                "objects" => (flushes.packs, flushes.loose) = (on, on),
                "pack" => flushes.packs = on,
                "loose-object" => flushes.loose = on,
                "reference" => flushes.refs = on,
                _ => {}
            }
        }
        flushes
    }
}

/// Returns the permissions that `core.sharedRepository` adds for reading and writing.
fn shared_mode(value: &str) -> u32 {
    match value {
        "group" | "true" | "1" => 0o660,
        "all" | "world" | "everybody" | "2" => 0o664,
        octal => u32::from_str_radix(octal, 8).ok().filter(|mode| mode & 0o600 == 0o600).unwrap_or(0) & 0o666,
    }
}

/// What was put into the object directory so far; taken out again on drop, unless [`Installed::keep`] is called.
#[derive(Debug, Default)]
pub(crate) struct Installed {
    files: Vec<PathBuf>,
    dirs: Vec<PathBuf>,
    keep_file: Option<PathBuf>,
    is_kept: bool,
}

impl Installed {
    /// Leaves everything where it is: the references point to it now.
    pub(crate) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if !self.is_kept {
            for file in self.files.iter().rev() {
                drop(fs::remove_file(file));
            }
            for dir in self.dirs.iter().rev() {
                drop(fs::remove_dir(dir));
            }
        }
        // Now the references protect the pack, or it is gone.
        if let Some(keep_file) = &self.keep_file {
            drop(fs::remove_file(keep_file));
        }
    }
}

/// A file in quarantine that is ready to be moved.
#[derive(Debug)]
pub(crate) struct Ready {
    staged: PathBuf,
    /// Its name relative to the object directory.
    name: PathBuf,
}

/// Makes everything in `staged` ready in the quarantine: loose objects for a small pack, the pack itself otherwise; flushed.
///
/// Returns the files in the order in which they are to be moved: what others point to comes first.
pub(crate) fn prepare(
    repo: &Repository,
    staged: &Staged,
    pack: &StagedPack,
    inflated_bytes: u64,
    policy: Policy,
) -> io::Result<Vec<Ready>> {
    if policy.unpacks(pack.ids.len(), inflated_bytes) {
        return unpack(repo, staged, &pack.ids, policy);
    }
    let names = [("pack", &pack.pack, STAGED_PACK), ("idx", &pack.index, STAGED_INDEX)];
    let mut ready = Vec::new();
    for (extension, file, staged_name) in names {
        let path = staged.quarantine.pack_path(staged_name);
        policy.finish_object(&path, file, policy.flushes.packs)?;
        let name = Path::new("pack").join(format!("pack-{}.{extension}", pack.checksum));
        ready.push(Ready { staged: path, name });
    }
    Ok(ready)
}

fn unpack(repo: &Repository, staged: &Staged, ids: &[ObjectId], policy: Policy) -> io::Result<Vec<Ready>> {
    let mut ids: Vec<_> = ids.iter().filter(|id| !repo.objects.exists(id)).collect();
    ids.sort_by_key(|id| match staged.facts.objects.get(*id) {
        Some(Kind::Blob) => 0,
        Some(Kind::Tree) => 1,
        _ => 2,
    });
    let mut buffer = Vec::new();
    let mut ready = Vec::new();
    for id in ids {
        let object = staged.view.find(id, &mut buffer).map_err(io::Error::other)?;
        let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
        deflate.write_all(&gix::objs::encode::loose_header(object.kind, object.data.len() as u64))?;
        deflate.write_all(object.data)?;
        let hex = id.to_string();
        let path = staged.quarantine.dir().join(&hex);
        let mut file = object_file(&path)?;
        file.write_all(&deflate.finish()?)?;
        policy.finish_object(&path, &file, policy.flushes.loose)?;
        ready.push(Ready { staged: path, name: Path::new(&hex[..2]).join(&hex[2..]) });
    }
    Ok(ready)
}

/// Moves the files in `ready` from the quarantine into `objects_dir`; a `.keep` file protects a pack meanwhile.
pub(crate) fn install(
    objects_dir: &Path,
    quarantine: &Quarantine,
    ready: &[Ready],
    policy: Policy,
) -> io::Result<Installed> {
    let mut installed = Installed::default();
    for Ready { staged, name } in ready {
        let target = objects_dir.join(name);
        let dir = target.parent().unwrap_or(objects_dir);
        if !dir.is_dir() {
            fs::create_dir(dir)?;
            installed.dirs.push(dir.to_owned());
            policy.share_dir(dir)?;
        }
        if target.extension().is_some_and(|extension| extension == "pack") {
            let keep_file = target.with_extension("keep");
            // Somebody else's stays as it is.
            if !keep_file.exists() {
                // Written elsewhere and renamed: a kill leaves no empty one, which no sweep could tell from others.
                let written = quarantine.dir().join("keep");
                fs::write(&written, keep_content(&quarantine.name()))?;
                fs::rename(&written, &keep_file)?;
                installed.keep_file = Some(keep_file);
            }
        }
        let is_new = !target.exists();
        fs::rename(staged, &target)?;
        if is_new {
            installed.files.push(target);
        }
    }
    if policy.flushes.packs && installed.keep_file.is_some() {
        File::open(objects_dir.join("pack"))?.sync_all()?;
    }
    Ok(installed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fsync_is_read_as_git_reads_it() {
        let shown = |value| {
            let Flushes { packs, loose, refs } = Flushes::parse(value);
            (packs, loose, refs)
        };
        assert_eq!(shown("none"), (false, false, false));
        assert_eq!(shown("all"), (true, true, true));
        assert_eq!(shown("committed,-loose-object"), (true, false, true));
        assert_eq!(shown("-pack"), (false, false, false));
        assert_eq!(shown("reference"), (true, false, true));
    }

    #[test]
    fn sharing_is_read_as_git_reads_it() {
        assert_eq!(shared_mode("group"), 0o660);
        assert_eq!(shared_mode("umask"), 0);
        assert_eq!(shared_mode("all"), 0o664);
        assert_eq!(shared_mode("0640"), 0o640);
    }
}
