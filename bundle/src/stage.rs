//! Brings the pack of a bundle into a quarantine: copied, resolved, completed, indexed, each object checked.
//! Import and preview share this; what they do with the outcome differs.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize};

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::{Find, Kind};

use crate::check::{CheckError, Special, special};
use crate::import::ImportError;
use crate::index::{self, Base, IndexEntry};
use crate::inspect::{Facts, Inspector};
use crate::limits::{Budgets, DELTA_BASE_BYTES_MAX, THREADS_MAX};
use crate::progress::{Progress, Report, Stage};
use crate::quarantine::Quarantine;
use crate::resolve::{ResolveError, Task, resolve};
use crate::scan::Scan;

/// What staging needs to know.
pub(crate) struct Staging<'a> {
    /// Objects that are here already.
    pub here: Option<&'a gix::OdbHandle>,
    /// The object directory of the repository, if there is one.
    pub objects_dir: Option<PathBuf>,
    /// Where the quarantine is made.
    pub parent: &'a Path,
    /// The hash that names objects.
    pub hash: HashKind,
    /// What it may cost.
    pub budgets: &'a Budgets,
    /// Turns true when the caller wants to stop.
    pub interrupt: &'a AtomicBool,
}

/// A pack in quarantine.
pub(crate) struct Staged {
    /// Removed on drop.
    pub quarantine: Quarantine,
    /// What its objects say.
    pub facts: Facts,
    /// Bases that are nowhere; the pack has no index then.
    pub missing_bases: Vec<ObjectId>,
    /// The pack and its index, if it is complete.
    pub pack: Option<StagedPack>,
    /// The objects in quarantine and those that are here.
    pub view: gix::odb::Handle,
}

/// A pack that stands alone.
pub(crate) struct StagedPack {
    /// The checksum, by which it is named.
    pub checksum: ObjectId,
    /// The file, for flushing.
    pub pack: File,
    /// The file of the index, for flushing.
    pub index: File,
    /// The ids of the objects that the bundle brought.
    pub ids: Vec<ObjectId>,
}

pub(crate) const STAGED_PACK: &str = "pack-incoming.pack";
pub(crate) const STAGED_INDEX: &str = "pack-incoming.idx";

impl Staging<'_> {
    /// Stages the pack at `pack_offset` of `file`, which was scanned before.
    pub(crate) fn run(
        &self,
        file: &mut File,
        pack_offset: u64,
        scan: &Scan,
        report: Report<'_>,
    ) -> Result<Staged, ImportError> {
        let alternates: Vec<PathBuf> = self.objects_dir.iter().cloned().collect();
        let quarantine = Quarantine::create(self.parent, &alternates).map_err(ImportError::Quarantine)?;
        let path = quarantine.pack_path(STAGED_PACK);
        let mut pack = copy(file, pack_offset, &path).map_err(ImportError::Quarantine)?;
        let (resolved, facts) = self.resolve(&path, scan, report)?;

        let mut staged = Staged {
            view: view(&quarantine, self.hash)?,
            quarantine,
            facts,
            missing_bases: resolved.missing_bases,
            pack: None,
        };
        if let Some(id) = staged.facts.repeated {
            return Err(ImportError::RepeatedObject(id));
        }
        if !staged.missing_bases.is_empty() {
            return Ok(staged);
        }
        let mut entries: Vec<_> = std::iter::zip(&scan.entries, &resolved.ids)
            .map(|(entry, id)| IndexEntry { id: *id, crc32: entry.crc32, offset: entry.offset })
            .collect();
        let mut checksum = scan.checksum;
        if !resolved.outer_bases.is_empty() {
            let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            let mut buffer = Vec::new();
            let bases = resolved.outer_bases.iter().map(|id| self.base(*id, &mut buffer));
            checksum = index::complete(&mut pack, self.hash, (scan.entries_end, count), bases, &mut entries)
                .map_err(ImportError::Quarantine)?;
        }
        entries.sort_unstable_by_key(|entry| entry.id);
        let index = index::write(&staged.quarantine.pack_path(STAGED_INDEX), self.hash, &entries, &checksum)
            .map_err(ImportError::Quarantine)?;
        staged.pack = Some(StagedPack { checksum, pack, index, ids: resolved.ids });
        // Opened again: the index was not there yet.
        staged.view = view(&staged.quarantine, self.hash)?;
        check_special(&staged)?;
        Ok(staged)
    }

    fn resolve(
        &self,
        path: &Path,
        scan: &Scan,
        report: Report<'_>,
    ) -> Result<(crate::resolve::Resolved, Facts), ImportError> {
        let pack = gix_pack::data::File::at(path, self.hash).map_err(ImportError::Repository)?;
        let done = AtomicUsize::new(0);
        let task = Task {
            pack: &pack,
            scan,
            hash: self.hash,
            delta_depth: self.budgets.delta_depth,
            base_bytes_max: DELTA_BASE_BYTES_MAX,
            interrupt: self.interrupt,
            done: &done,
        };
        let total = scan.entries.len() as u64;
        report(Progress { stage: Stage::Resolving, done: 0, total: Some(total) });
        let inspectors = (0..threads(scan))
            .map(|_| Inspector::new(self.hash, self.here.cloned(), self.budgets.object_bytes))
            .collect();
        let (resolved, inspectors) = resolve(&task, inspectors)?;
        report(Progress { stage: Stage::Resolving, done: total, total: Some(total) });
        Ok((resolved, Facts::merge(inspectors.into_iter().map(|inspector| inspector.facts))))
    }

    fn base(&self, id: ObjectId, buffer: &mut Vec<u8>) -> io::Result<Base> {
        let found =
            self.here.map(|here| here.try_find(&id, buffer)).transpose().map_err(io::Error::other)?.flatten();
        let found = found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Base { id, kind: found.kind, bytes: found.data.to_vec() })
    }
}

/// Few objects are done before a second thread has started.
fn threads(scan: &Scan) -> usize {
    let available = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    if scan.entries.len() < PARALLEL_ENTRIES { 1 } else { available }
}

const PARALLEL_ENTRIES: usize = 1000;

fn view(quarantine: &Quarantine, hash: HashKind) -> Result<gix::odb::Handle, ImportError> {
    gix::odb::at(quarantine.dir(), hash).map_err(ImportError::Quarantine)
}

fn copy(file: &mut File, pack_offset: u64, path: &Path) -> io::Result<File> {
    let mut pack = crate::quarantine::object_file(path)?;
    file.seek(SeekFrom::Start(pack_offset))?;
    io::copy(file, &mut pack)?;
    Ok(pack)
}

/// Checks the contents of the files that git reads its own settings from.
fn check_special(staged: &Staged) -> Result<(), ImportError> {
    let mut buffer = Vec::new();
    for (id, kind_of_file) in &staged.facts.special {
        let Some(object) = staged.view.try_find(id, &mut buffer).map_err(ImportError::Repository)? else {
            // A missing object is found, and named, with all the others.
            continue;
        };
        if object.kind != Kind::Blob {
            continue;
        }
        let checked = match kind_of_file {
            Special::Modules => special::modules(object.data),
            Special::Attributes => special::attributes(object.data),
        };
        checked.map_err(|reason| ResolveError::Check(CheckError { id: *id, kind: Kind::Blob, reason }))?;
    }
    Ok(())
}
