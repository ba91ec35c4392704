//! Looks into a bundle before anything enters a repository: the pack is checked as for an import, in a quarantine outside
//! of the repository, and gone when the preview is dropped.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gix::bstr::BStr;
use gix::objs::Find;
use gix::{ObjectId, Repository};

use crate::commits::{self, ListedCommit};
use crate::header::Header;
use crate::import::{Expected, ImportError, accept, open_bundle, tips};
use crate::limits::Budgets;
use crate::patch::{FileStat, Lines};
use crate::progress::Report;
use crate::quarantine;
use crate::range::{Prerequisite, Tip};
use crate::reach::Commits;
use crate::stage::{Staged, Staging};
use crate::surface::{self, Bounds, Surface};
use crate::tree_diff::{self, Changes, DiffError};

/// How a bundle is looked at.
#[derive(Debug, Clone, Default)]
pub struct PreviewOptions {
    /// What the header must say, if a signed message announced the bundle.
    pub expected: Option<Expected>,
    /// What looking may cost.
    pub budgets: Budgets,
    /// Turns true when the caller wants to stop.
    pub interrupt: Arc<AtomicBool>,
}

/// What a bundle holds. Its objects lie in a quarantine that goes with this value.
pub struct Preview {
    /// The header.
    pub header: Header,
    /// The tips that an import would make references of.
    pub tips: Vec<Tip>,
    /// The commits that the bundle brings, newest first; capped at [`crate::limits::LISTED_COMMITS_MAX`].
    pub commits: Vec<ListedCommit>,
    /// How many commits there are, listed or not.
    pub commit_count: usize,
    /// How many objects the pack has.
    pub objects: usize,
    /// Commits that the bundle builds on and that are not in the repository; all where there is none.
    pub prerequisites_missing: Vec<Prerequisite>,
    /// What the first tip is compared with: the first prerequisite that no other one reaches; nothing if there is none, or one
    /// of them is not here.
    pub base: Option<ObjectId>,
    /// Lines by file between [`Preview::base`] and the first tip, sorted by path; nothing if objects for that are not here.
    pub stat: Option<Vec<FileStat>>,
    /// Whether more paths differ than are listed.
    pub stat_is_cut: bool,
    /// What the change could run or alter; empty and unchecked where a prerequisite is missing.
    pub surface: Surface,
    staged: Staged,
    changes: Option<Changes>,
}

/// Looks into the bundle in `file`, with the objects of `repo` at hand where there is one.
///
/// The quarantine is made in `scratch`, a private directory outside of any repository; forgotten ones there are swept.
///
/// # Errors
///
/// Those of an import, but for a missing prerequisite or related history: then what can be said is said.
pub fn preview(
    repo: Option<&Repository>,
    file: &mut File,
    scratch: &Path,
    options: &PreviewOptions,
    report: Report<'_>,
) -> Result<Preview, ImportError> {
    let hash = repo.map(Repository::object_hash);
    let accept = |header: &Header| accept(header, hash, options.expected.as_ref());
    let (header, pack_offset, scan) =
        open_bundle(file, &options.budgets, &options.interrupt, report, accept)?;
    let prerequisites_missing = missing(repo, &header)?;
    quarantine::sweep(scratch);
    let staging = Staging {
        here: repo.map(|repo| &repo.objects),
        objects_dir: repo.map(|repo| repo.objects.store_ref().path().to_owned()),
        parent: scratch,
        hash: header.object_format,
        budgets: &options.budgets,
        interrupt: &options.interrupt,
    };
    let staged = staging.run(file, pack_offset, &scan, report)?;
    if let Some(id) = staged.missing_bases.first()
        && prerequisites_missing.is_empty()
    {
        return Err(crate::ResolveError::MissingBase(*id).into());
    }
    let tips = tips(&header);
    let mut targets = Vec::new();
    for tip in &tips {
        targets.extend(commits::peel(&staged.view, tip.id).map_err(ImportError::Repository)?);
        // Without an index nothing is found in the pack: a tip that is a commit stands for itself.
        targets.push(tip.id);
    }
    let (commits, commit_count) = commits::list(&targets, &staged.facts.commits);
    let mut preview = Preview {
        tips,
        commits,
        commit_count,
        objects: scan.entries.len(),
        prerequisites_missing,
        base: None,
        stat: None,
        stat_is_cut: false,
        surface: Surface::default(),
        header,
        staged,
        changes: None,
    };
    if preview.prerequisites_missing.is_empty() {
        let bases = commits::bases(repo, &preview.header.prerequisites);
        preview.compare(bases.first().copied())?;
        let targets = preview.tips.iter().map(|tip| tip.id);
        preview.surface = surface::report(
            &preview.staged.view,
            Some(&preview.staged.facts),
            &bases,
            targets,
            Bounds::default(),
        );
    }
    Ok(preview)
}

fn missing(repo: Option<&Repository>, header: &Header) -> Result<Vec<Prerequisite>, ImportError> {
    let Some(repo) = repo else { return Ok(header.prerequisites.clone()) };
    let mut commits = Commits::new(repo).map_err(ImportError::Repository)?;
    let mut missing = Vec::new();
    for prerequisite in &header.prerequisites {
        if commits.read(&prerequisite.id).map_err(ImportError::Repository)?.is_none() {
            missing.push(prerequisite.clone());
        }
    }
    Ok(missing)
}

impl Preview {
    fn compare(&mut self, base: Option<ObjectId>) -> Result<(), ImportError> {
        let view = &self.staged.view;
        let Some(tip) = self.tips.first() else { return Ok(()) };
        let new = tree_of(view, tip.id)?;
        let old = base.map(|base| tree_of(view, base)).transpose()?;
        let changes = tree_diff::compare(view, old, Some(new))?;
        let mut lines = Lines::new(view);
        let stat: Result<Vec<_>, _> = changes.list.iter().map(|change| lines.stat(change)).collect();
        self.base = base;
        self.stat = Some(stat?);
        self.stat_is_cut = changes.is_cut;
        self.changes = Some(changes);
        Ok(())
    }

    /// Returns the subject of a commit that the bundle brings; nothing for any other.
    pub fn subject(&self, commit: ObjectId) -> Option<&BStr> {
        self.staged.facts.commits.get(&commit).map(|commit| commit.subject.as_ref())
    }

    /// Writes the patch between [`Preview::base`] and the first tip, as `git diff --full-index --no-renames` writes it.
    ///
    /// Nothing is written where [`Preview::stat`] is nothing. Paths and lines are what peers wrote: clean them before a
    /// terminal or a model sees them.
    pub fn patch(&self, out: &mut dyn Write) -> Result<(), DiffError> {
        let Some(changes) = &self.changes else { return Ok(()) };
        let mut lines = Lines::new(&self.staged.view);
        changes.list.iter().try_for_each(|change| lines.patch(change, out))
    }
}

/// Returns the tree of the commit at the end of the tags from `id`.
fn tree_of(find: &impl Find, id: ObjectId) -> Result<ObjectId, ImportError> {
    let tree = commits::tree(find, id).map_err(ImportError::Repository)?;
    Ok(tree.ok_or(DiffError::Missing(id))?)
}

#[cfg(test)]
mod tests;
