//! Imports a bundle into a repository: everything is checked before anything of it is visible, then the objects are moved
//! in and `refs/parler/…` is made in one transaction. HEAD, index, work tree, branches and tags are never touched.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gix::bstr::{BString, ByteSlice};
use gix::objs::{Find, FindHeader, Kind};
use gix::{ObjectId, Repository};

use crate::cached::Cached;
use crate::commits::{self, ListedCommit};
use crate::connect;
use crate::header::{Header, HeaderError};
use crate::inspect::Facts;
use crate::install::{self, Policy};
use crate::limits::{Budgets, RACES_MAX};
use crate::progress::{Progress, Report, Stage};
use crate::quarantine::{self, Quarantine};
use crate::range::{Prerequisite, Tip};
use crate::reach::{self, Commits};
use crate::refs::{self, Locked, RefsError};
use crate::resolve::ResolveError;
use crate::scan::{self, Scan};
use crate::stage::{Staged, Staging};
use crate::surface::{self, Bounds, Surface};

mod error;

pub use error::ImportError;

/// What a signed message says about a bundle; the header must say the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Short names (see [`Tip::branch`]) and objects, in any order.
    pub tips: Vec<(BString, ObjectId)>,
    /// The commits that the receiver must have, in any order.
    pub prerequisites: Vec<ObjectId>,
}

/// How a bundle is imported.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// SHA-256 of all bytes of the bundle. The caller has checked it.
    pub id: [u8; 32],
    /// What the header must say, if a signed message announced the bundle.
    pub expected: Option<Expected>,
    /// What the import may cost.
    pub budgets: Budgets,
    /// Whether a history that shares no root commit with the repository is wanted.
    pub allow_unrelated: bool,
    /// Whether a change that could run or alter something beyond plain source, or of which not all was looked at for that, is
    /// refused with [`ImportError::Surface`].
    pub refuse_surface: bool,
    /// Whether to stop after all checks, before the repository changes.
    pub dry_run: bool,
    /// The line for the reflogs of the new references; the id is a good part of it.
    pub reflog_message: BString,
    /// Turns true when the import shall stop; it then ends with [`ImportError::Interrupted`], and nothing has changed.
    pub interrupt: Arc<AtomicBool>,
}

impl ImportOptions {
    /// Returns the options for a bundle with this SHA-256, with default budgets and no expectations.
    pub fn new(id: [u8; 32]) -> Self {
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            id,
            expected: None,
            budgets: Budgets::default(),
            allow_unrelated: false,
            refuse_surface: false,
            dry_run: false,
            reflog_message: format!("parler: apply {hex}").into(),
            interrupt: Arc::default(),
        }
    }
}

/// A reference that an import made, would make, or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedRef {
    /// The full name, under `refs/parler/`.
    pub name: BString,
    /// The short name at the source.
    pub branch: BString,
    /// The object it points to: `commit`, or an annotated tag of it.
    pub target: ObjectId,
    /// The commit.
    pub commit: ObjectId,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The references, in the order of the bundle.
    pub refs: Vec<ImportedRef>,
    /// The commits that had to be here.
    pub prerequisites: Vec<Prerequisite>,
    /// The commits that the bundle brings, newest first; capped at [`crate::limits::LISTED_COMMITS_MAX`].
    pub commits: Vec<ListedCommit>,
    /// How many commits there are, listed or not.
    pub commit_count: usize,
    /// How many objects the pack has.
    pub objects: usize,
    /// What the change could run or alter beyond plain source.
    pub surface: Surface,
    /// Whether every reference was there before: nothing has changed.
    pub already_applied: bool,
    /// Whether every commit was here before: no object was added.
    pub everything_here: bool,
}

impl Imported {
    /// Returns the commit of the only reference, if there is one only.
    pub fn tip(&self) -> Option<ObjectId> {
        if let [only] = self.refs.as_slice() { Some(only.commit) } else { None }
    }
}

/// Imports the bundle in `file` into `repo`.
///
/// # Errors
///
/// Whatever the error, the repository is as it was: no object, no reference, no temporary file of the import stays.
pub fn import(
    repo: &Repository,
    file: &mut File,
    options: &ImportOptions,
    report: Report<'_>,
) -> Result<Imported, ImportError> {
    for _ in 0..RACES_MAX {
        match Import::begin(repo, file, options, report)?.run(file, report) {
            // Somebody imported the same at the same moment: then everything is here.
            Err(ImportError::Refs(RefsError::Exists(_))) => {}
            outcome => return outcome,
        }
    }
    Import::begin(repo, file, options, report)?.run(file, report)
}

/// Reads the header and scans the pack; returns both and the offset of the pack.
pub(crate) fn open_bundle(
    file: &mut File,
    budgets: &Budgets,
    interrupt: &AtomicBool,
    report: Report<'_>,
    accept: impl FnOnce(&Header) -> Result<(), ImportError>,
) -> Result<(Header, u64, Scan), ImportError> {
    let (header, pack_offset) = Header::read(file)?;
    accept(&header)?;
    let size = file.metadata().map_err(HeaderError::Io)?.len();
    let wire_bytes = size.saturating_sub(pack_offset);
    let mut step = |done, total| {
        report(Progress { stage: Stage::Scanning, done, total: Some(total) });
        !interrupt.load(Ordering::Relaxed)
    };
    let scan = scan::scan(file, wire_bytes, header.object_format, budgets, &mut step)?;
    Ok((header, pack_offset, scan))
}

struct Import<'a> {
    repo: &'a Repository,
    options: &'a ImportOptions,
    header: Header,
    pack_offset: u64,
    scan: Scan,
    /// The tips that get a reference.
    tips: Vec<Tip>,
    plan: refs::Plan,
    commits: Commits<'a>,
    own_tips: Vec<ObjectId>,
}

impl<'a> Import<'a> {
    fn begin(
        repo: &'a Repository,
        file: &mut File,
        options: &'a ImportOptions,
        report: Report<'_>,
    ) -> Result<Self, ImportError> {
        let hash = Some(repo.object_hash());
        let accept = |header: &Header| accept(header, hash, options.expected.as_ref());
        let (header, pack_offset, scan) =
            open_bundle(file, &options.budgets, &options.interrupt, report, accept)?;
        let tips = tips(&header);
        let mut commits = Commits::new(repo).map_err(ImportError::Repository)?;
        Ok(Self {
            plan: refs::plan(repo, &options.id, &tips)?,
            own_tips: reach::own_tips(&mut commits).map_err(ImportError::Repository)?,
            repo,
            options,
            header,
            pack_offset,
            scan,
            tips,
            commits,
        })
    }

    fn run(mut self, file: &mut File, report: Report<'_>) -> Result<Imported, ImportError> {
        if !self.options.dry_run {
            quarantine::sweep(&self.objects_dir());
        }
        self.check_prerequisites()?;
        if let Some(targets) = self.reachable_tips()? {
            return self.only_refs(&targets);
        }
        let objects_dir = self.objects_dir();
        let staging = Staging {
            here: Some(&self.repo.objects),
            objects_dir: Some(objects_dir.clone()),
            parent: &objects_dir,
            hash: self.repo.object_hash(),
            budgets: &self.options.budgets,
            interrupt: &self.options.interrupt,
        };
        let staged = staging.run(file, self.pack_offset, &self.scan, report)?;
        if let Some(id) = staged.missing_bases.first() {
            return Err(ResolveError::MissingBase(*id).into());
        }
        connect::check(self.repo, &staged.facts, &mut self.commits, &self.own_tips)?;
        let targets = self.staged_tips(&staged)?;
        self.check_related(&staged)?;
        let surface = self.surface(&staged.view, Some(&staged.facts), &targets)?;
        let (commits, commit_count) = commits::list(&targets, &staged.facts.commits);
        if !self.options.dry_run {
            self.commit(&staged, &objects_dir)?;
        }
        Ok(self.imported(&targets, surface, commits, commit_count, Found::default()))
    }

    fn check_prerequisites(&mut self) -> Result<(), ImportError> {
        let mut missing = Vec::new();
        for prerequisite in &self.header.prerequisites {
            if self.commits.read(&prerequisite.id).map_err(ImportError::Repository)?.is_none() {
                match self.repo.try_find_header(prerequisite.id).map_err(ImportError::Repository)? {
                    None => missing.push(prerequisite.clone()),
                    Some(header) => {
                        return Err(ImportError::PrerequisiteKind {
                            id: prerequisite.id,
                            kind: header.kind(),
                        });
                    }
                }
            }
        }
        if !missing.is_empty() {
            return Err(ImportError::MissingPrerequisites(missing));
        }
        let ids: Vec<_> = self.header.prerequisites.iter().map(|prerequisite| prerequisite.id).collect();
        let unreachable = self.commits.unreachable(&ids, &self.own_tips).map_err(ImportError::Repository)?;
        if unreachable.is_empty() {
            return Ok(());
        }
        let prerequisites = self.header.prerequisites.iter().filter(|one| unreachable.contains(&one.id));
        Err(ImportError::UnreachablePrerequisites(prerequisites.cloned().collect()))
    }

    /// Returns the commits of the tips if all of them are here and reachable: then everything is here.
    fn reachable_tips(&mut self) -> Result<Option<Vec<ObjectId>>, ImportError> {
        let mut targets = Vec::new();
        for tip in &self.tips {
            match self.commits.peel(tip.id).map_err(ImportError::Repository)? {
                Some(commit) => targets.push(commit),
                None => return Ok(None),
            }
        }
        let unreachable =
            self.commits.unreachable(&targets, &self.own_tips).map_err(ImportError::Repository)?;
        Ok(unreachable.is_empty().then_some(targets))
    }

    fn only_refs(self, targets: &[ObjectId]) -> Result<Imported, ImportError> {
        let already_applied = self.plan.missing.is_empty();
        let surface = match self.surface(&Cached::open(self.repo)?, None, targets) {
            // What stands here already is not refused any more.
            Err(ImportError::Surface(surface)) if already_applied => *surface,
            outcome => outcome?,
        };
        if !already_applied && !self.options.dry_run {
            let objects_dir = self.objects_dir();
            // Nothing to check in it: it stands for this import until the references are made.
            let quarantine = Quarantine::create(&objects_dir, &[]).map_err(ImportError::Quarantine)?;
            self.make_refs(self.lock_refs(&quarantine)?)?;
        }
        let prerequisites: Vec<_> =
            self.header.prerequisites.iter().map(|prerequisite| prerequisite.id).collect();
        let (commits, count) = commits::list_here(self.repo, targets, &prerequisites)?;
        Ok(self.imported(targets, surface, commits, count, Found { already_applied, everything_here: true }))
    }

    /// Says what the change could run or alter, and refuses it where that is wanted.
    fn surface(
        &self,
        find: &(impl Find + FindHeader),
        scanned: Option<&Facts>,
        targets: &[ObjectId],
    ) -> Result<Surface, ImportError> {
        let bases = commits::bases(Some(self.repo), &self.header.prerequisites);
        let surface = surface::report(find, scanned, &bases, targets.iter().copied(), Bounds::default());
        let is_refused = self.options.refuse_surface && (!surface.is_checked || !surface.findings.is_empty());
        if is_refused { Err(ImportError::Surface(Box::new(surface))) } else { Ok(surface) }
    }

    /// Sees that every tip is a commit, or a tag of one, in the pack or here and reachable; returns the commits.
    fn staged_tips(&mut self, staged: &Staged) -> Result<Vec<ObjectId>, ImportError> {
        let mut targets = Vec::new();
        let mut outer = Vec::new();
        for tip in &self.tips {
            let commit = commits::peel(&staged.view, tip.id).map_err(ImportError::Repository)?;
            let commit = commit.ok_or_else(|| ImportError::TipKind { name: tip.name.clone(), id: tip.id })?;
            if !staged.facts.objects.contains_key(&tip.id) || !staged.facts.objects.contains_key(&commit) {
                outer.push(commit);
            }
            targets.push(commit);
        }
        let unreachable =
            self.commits.unreachable(&outer, &self.own_tips).map_err(ImportError::Repository)?;
        match unreachable.first() {
            Some(id) => Err(ImportError::MissingObject { id: *id, kind: Kind::Commit }),
            None => Ok(targets),
        }
    }

    /// Refuses a whole history that shares no root with a repository that has one.
    fn check_related(&mut self, staged: &Staged) -> Result<(), ImportError> {
        if self.options.allow_unrelated || !self.header.prerequisites.is_empty() || self.own_tips.is_empty() {
            return Ok(());
        }
        let commits = &staged.facts.commits;
        // A parent outside of the pack was found to be reachable here.
        if commits.values().flat_map(|commit| &commit.parents).any(|parent| !commits.contains_key(parent)) {
            return Ok(());
        }
        let roots = commits.iter().filter(|(_, commit)| commit.parents.is_empty());
        let roots: Vec<_> = roots.map(|(id, _)| *id).filter(|id| self.repo.has_object(id)).collect();
        let unreachable =
            self.commits.unreachable(&roots, &self.own_tips).map_err(ImportError::Repository)?;
        if unreachable.len() < roots.len() { Ok(()) } else { Err(ImportError::Unrelated) }
    }

    /// Moves the objects in and makes the references.
    fn commit(&self, staged: &Staged, objects_dir: &std::path::Path) -> Result<(), ImportError> {
        let Some(pack) = &staged.pack else { return Err(ImportError::Interrupted) };
        let policy = Policy::of(self.repo);
        // One at a time from here on: what an import that fails takes out again, no other may have counted on. File
        // systems that cannot lock a directory go without.
        let _serial = File::open(objects_dir).and_then(|dir| dir.lock().map(|()| dir)).ok();
        let ready = install::prepare(self.repo, staged, pack, self.scan.inflated_bytes, policy)
            .map_err(ImportError::Quarantine)?;
        if self.options.interrupt.load(Ordering::Relaxed) {
            return Err(ImportError::Interrupted);
        }
        // The references are locked first: what can fail has failed before the first object moves.
        let refs = self.lock_refs(&staged.quarantine)?;
        let installed = install::install(objects_dir, &staged.quarantine, &ready, policy)
            .map_err(ImportError::Install)?;
        self.make_refs(refs)?;
        installed.keep();
        Ok(())
    }

    fn objects_dir(&self) -> PathBuf {
        self.repo.objects.store_ref().path().to_owned()
    }

    /// Locks the references that are to be made, after noting the locks for the next import should this one be killed.
    fn lock_refs(&self, quarantine: &Quarantine) -> Result<Locked, ImportError> {
        let mut locks = Vec::new();
        for &at in &self.plan.missing {
            let lock = refs::lock_path(self.repo, self.plan.names[at].as_bstr());
            locks.push(std::path::absolute(lock).map_err(ImportError::Quarantine)?);
        }
        quarantine.note_ref_locks(&locks).map_err(ImportError::Quarantine)?;
        let names = self.plan.missing.iter().map(|&at| (self.plan.names[at].clone(), self.tips[at].id));
        Ok(refs::lock(self.repo, names, Policy::of(self.repo))?)
    }

    fn make_refs(&self, refs: Locked) -> Result<(), ImportError> {
        let mut committer = Vec::new();
        match self.repo.committer() {
            Some(Ok(who)) => who.write_to(&mut committer).map_err(ImportError::Quarantine)?,
            // Without a name of the user the line in the reflog still needs one.
            _ => {
                let now = gix::date::Time::now_local_or_utc();
                committer.extend_from_slice(format!("git-parler <git-parler@localhost> {now}").as_bytes());
            }
        }
        Ok(refs.commit(committer.as_bstr(), self.options.reflog_message.as_bstr())?)
    }

    fn imported(
        self,
        targets: &[ObjectId],
        surface: Surface,
        commits: Vec<ListedCommit>,
        commit_count: usize,
        found: Found,
    ) -> Imported {
        let refs = std::iter::zip(&self.tips, self.plan.names).zip(targets).map(|((tip, name), commit)| {
            ImportedRef { name, branch: tip.branch().to_owned(), target: tip.id, commit: *commit }
        });
        Imported {
            refs: refs.collect(),
            prerequisites: self.header.prerequisites,
            commits,
            commit_count,
            objects: self.scan.entries.len(),
            surface,
            already_applied: found.already_applied,
            everything_here: found.everything_here,
        }
    }
}

/// What an import found to be here before.
#[derive(Clone, Copy, Default)]
struct Found {
    already_applied: bool,
    everything_here: bool,
}

/// Returns the tips that get a reference: all, but HEAD only where no other has its commit.
pub(crate) fn tips(header: &Header) -> Vec<Tip> {
    named_tips(&header.refs)
}

/// Returns those of `tips` that get a reference.
pub(crate) fn named_tips(tips: &[Tip]) -> Vec<Tip> {
    let is_alias =
        |tip: &Tip| tip.name == "HEAD" && tips.iter().any(|other| other.name != "HEAD" && other.id == tip.id);
    tips.iter().filter(|tip| !is_alias(tip)).cloned().collect()
}

/// Compares the header with the repository, and with what was announced.
pub(crate) fn accept(
    header: &Header,
    repository: Option<gix::hash::Kind>,
    expected: Option<&Expected>,
) -> Result<(), ImportError> {
    if let Some(repository) = repository
        && header.object_format != repository
    {
        return Err(ImportError::ObjectFormat { bundle: header.object_format, repository });
    }
    expected.map_or(Ok(()), |expected| as_announced(header, expected))
}

fn as_announced(header: &Header, expected: &Expected) -> Result<(), ImportError> {
    let mut tips: Vec<_> = header.refs.iter().map(|tip| (tip.branch().to_owned(), tip.id)).collect();
    let mut announced = expected.tips.clone();
    tips.sort();
    announced.sort();
    if tips != announced {
        return Err(ImportError::NotAsAnnounced { what: "tips" });
    }
    let mut prerequisites: Vec<_> = header.prerequisites.iter().map(|prerequisite| prerequisite.id).collect();
    let mut announced = expected.prerequisites.clone();
    prerequisites.sort();
    announced.sort();
    if prerequisites == announced {
        Ok(())
    } else {
        Err(ImportError::NotAsAnnounced { what: "prerequisites" })
    }
}

#[cfg(test)]
mod tests;
