//! What a planned bundle brings, told by who makes it: the same as a preview tells of the bundle, by the same code, with less
//! work allowed, since nobody waits for it.

use gix::objs::FindHeader as _;
use gix::{ObjectId, Repository};

use crate::cached::Cached;
use crate::commits::{self, ListedCommit};
use crate::import::named_tips;
use crate::limits::{
    OUTLINE_COMMITS_MAX, OUTLINE_PATHS_BYTES_MAX, OUTLINE_PATHS_MAX, OUTLINE_TOTAL_BYTES_MAX,
    OUTLINE_TREES_MAX, SURFACE_BLOB_BYTES_MAX,
};
use crate::patch::{FileStat, Lines};
use crate::range::{Plan, Tip};
use crate::surface::{self, Bounds, Surface};
use crate::tree_diff::{self, DiffError, Room};

/// What a planned bundle brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The newest of its commits; at most [`crate::limits::OUTLINE_COMMITS_MAX`].
    pub commits: Vec<ListedCommit>,
    /// As [`crate::Preview::stat`]; nothing where that would be too much work.
    pub stat: Option<Vec<FileStat>>,
    /// As [`crate::Preview::surface`]; empty, and [`Surface::is_checked`] false, where that would be too much work.
    pub surface: Surface,
}

/// Tells what the bundle of `plan` brings, as far as that takes little time.
///
/// # Errors
///
/// An object that cannot be read; where one is missing, as in a partial clone, what needs it is left out.
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
/// let outline = bundle::outline(&repo, &plan)?;
/// assert_eq!(outline.commits.len(), 3);
/// assert!(outline.stat.is_some() && outline.surface.is_checked);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn outline(repo: &Repository, plan: &Plan) -> Result<Outline, DiffError> {
    let objects = match Cached::open(repo) {
        Ok(objects) => objects,
        Err(error) => return Err(DiffError::Read(gix::Error::from_error(error))),
    };
    let newest: Vec<_> = plan.commits().take(OUTLINE_COMMITS_MAX).collect();
    let tips = named_tips(plan.tips());
    let bases = commits::bases(Some(repo), plan.prerequisites());
    let stat = match stat(&objects, bases.first(), tips.first()) {
        Err(DiffError::Missing(_)) => None,
        outcome => outcome?,
    };
    let bounds = Bounds { room: ROOM, bytes: OUTLINE_TOTAL_BYTES_MAX, blob_bytes: SURFACE_BLOB_BYTES_MAX };
    let surface = match &stat {
        Some(_) => surface::report(&objects, None, &bases, tips.iter().map(|tip| tip.id), bounds),
        None => Surface::default(),
    };
    Ok(Outline {
        commits: commits::with_subjects(&newest, &objects).map_err(DiffError::Read)?,
        stat,
        surface,
    })
}

/// Counts lines between the first base and the first tip, as a preview does; nothing where there is much to read.
fn stat(
    objects: &Cached,
    base: Option<&ObjectId>,
    tip: Option<&Tip>,
) -> Result<Option<Vec<FileStat>>, DiffError> {
    let tree = |id| commits::tree(objects, id).map_err(DiffError::Read)?.ok_or(DiffError::Missing(id));
    let Some(tip) = tip else { return Ok(None) };
    let base = base.map(|base| tree(*base)).transpose()?;
    let changes = tree_diff::compare_within(objects, base, Some(tree(tip.id)?), &mut { ROOM })?;
    if changes.is_cut {
        return Ok(None);
    }
    // Known before the first of them is read: what is left out must cost nothing.
    let mut bytes_left = OUTLINE_TOTAL_BYTES_MAX;
    for side in changes.list.iter().flat_map(|change| [change.old, change.new]).flatten() {
        let header =
            if side.is_submodule() { None } else { objects.try_header(&side.id).map_err(DiffError::Read)? };
        match bytes_left.checked_sub(header.map_or(0, |header| header.size)) {
            Some(left) => bytes_left = left,
            None => return Ok(None),
        }
    }
    let mut lines = Lines::new(objects);
    changes.list.iter().map(|change| lines.stat(change)).collect::<Result<_, _>>().map(Some)
}

const ROOM: Room =
    Room { trees: OUTLINE_TREES_MAX, paths: OUTLINE_PATHS_MAX, path_bytes: OUTLINE_PATHS_BYTES_MAX };

#[cfg(test)]
mod tests {
    use std::fs::File;

    use kit::{Random, Shape};

    use super::*;
    use crate::PreviewOptions;
    use crate::referee::{self, Source};

    /// Returns what the author says of the bundle of `plan`, and what a clone of the prerequisites sees in it.
    fn both(source: &Source, plan: &Plan) -> (Outline, crate::Preview) {
        let repo = source.open();
        let (_, bytes) = source.create(plan);
        let file = source.env.path("it.bundle");
        std::fs::write(&file, bytes).unwrap();
        let scratch = source.env.path("scratch");
        std::fs::create_dir_all(&scratch).unwrap();
        let mut file = File::open(file).unwrap();
        let preview =
            crate::preview(Some(&repo), &mut file, &scratch, &PreviewOptions::default(), &mut |_| ());
        (outline(&repo, plan).unwrap(), preview.unwrap())
    }

    #[test]
    fn the_author_says_what_everybody_sees() {
        for seed in referee::seeds(8) {
            let mut random = Random::new(seed);
            let (source, all) = Source::seeded(seed, &referee::branchy(seed, &mut random));
            let base = all[random.below(all.len())].clone();
            for bases in [vec![], vec![base.as_str()]] {
                let Ok(plan) = source.plan(&["refs/heads/main", "HEAD"], &bases) else { continue };
                let (said, seen) = both(&source, &plan);
                assert_eq!((&said.stat, &said.surface), (&seen.stat, &seen.surface), "seed {seed}");
                assert!(said.surface.is_checked);
                assert_eq!(said.commits.len(), seen.commit_count.min(OUTLINE_COMMITS_MAX));
                for commit in said.commits {
                    assert_eq!(seen.subject(commit.id), Some(commit.subject.as_ref()), "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn what_would_be_much_work_is_left_out() {
        let (source, _) = Source::seeded(1, &Shape { commits: 3, ..Shape::default() });
        for number in 0..=OUTLINE_PATHS_MAX {
            std::fs::write(source.path.join(format!("file{number}")), "x\n").unwrap();
        }
        source.git(["add", "."]);
        source.git(["commit", "-qm", "many"]);
        let plan = source.plan(&["HEAD"], &["HEAD~1"]).unwrap();
        let (said, seen) = both(&source, &plan);
        assert_eq!((said.stat, said.surface.is_checked), (None, false));
        assert!(seen.surface.is_checked);
        source.git(["reset", "-q", "--hard", "HEAD~1"]);
        let large = vec![b'x'; usize::try_from(OUTLINE_TOTAL_BYTES_MAX).unwrap() + 1];
        std::fs::write(source.path.join("large"), large).unwrap();
        source.git(["add", "."]);
        source.git(["commit", "-qm", "large"]);
        let plan = source.plan(&["HEAD"], &["HEAD~1"]).unwrap();
        let said = outline(&source.open(), &plan).unwrap();
        assert_eq!((said.stat, said.surface.is_checked), (None, false));
    }
}
