//! Opening a repository with the options that are safe here: only if it is the user's own, without replacement
//! objects, and only in formats that are read correctly.

use std::path::{Path, PathBuf};

use gix::ThreadSafeRepository;
use gix::bstr::BString;
use gix::open::Options;
use gix::sec::trust::Mapping;

/// Why a repository was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither here nor (with [`discover`]) in any directory above.
    #[error("not a git repository: {}", path.display())]
    NotARepository {
        /// Where was looked.
        path: PathBuf,
        /// What git's rules said.
        #[source]
        source: gix::Error,
    },
    /// The repository belongs to another user of the machine, and `safe.directory` does not name it.
    #[error("the repository at {} belongs to somebody else", path.display())]
    ForeignOwner {
        /// Where it is.
        path: PathBuf,
    },
    /// The repository uses an extension that this program would misread.
    #[error("the repository uses {extension} = {value}, which is not supported")]
    UnsupportedExtension {
        /// Name of the configuration key, like `extensions.refstorage`.
        extension: String,
        /// Its value.
        value: BString,
    },
    /// `core.repositoryFormatVersion` is newer than what is known.
    #[error("the repository has format version {0}, which is not supported")]
    UnsupportedVersion(i64),
    /// Anything else: unreadable files, broken configuration.
    #[error("could not open the repository at {}", path.display())]
    Other {
        /// Where it is.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: gix::Error,
    },
}

/// Opens the repository in exactly `dir`: a work tree, a `.git` directory or a bare repository. Reads no `GIT_DIR`.
///
/// Objects are read as they are (no replacement objects, no grafts).
pub fn open(dir: &Path) -> Result<gix::Repository, OpenError> {
    finish(dir, ThreadSafeRepository::open_opts(dir, options()))
}

/// Finds the repository that git itself would use in `dir`: the one in `GIT_DIR` if that is set (with `GIT_WORK_TREE` and
/// the other variables that git knows), else in `dir` or the nearest directory above it.
///
/// `config` holds settings that count before those of files, as `git -c` gives them: `section.key=value`.
pub fn discover(dir: &Path, config: &[BString]) -> Result<gix::Repository, OpenError> {
    let options = || options().cli_overrides(config.iter().cloned());
    let upwards = gix::discover::upwards::Options { match_ceiling_dir_or_error: false, ..Default::default() };
    let trust = Mapping { full: options(), reduced: options() };
    finish(dir, ThreadSafeRepository::discover_with_environment_overrides_opts(dir, upwards, trust))
}

fn options() -> Options {
    Options::default().bail_if_untrusted(true)
}

fn finish(dir: &Path, opened: gix::Result<ThreadSafeRepository>) -> Result<gix::Repository, OpenError> {
    let path = dir.to_owned();
    let mut repo = match opened {
        Ok(repo) => repo.to_thread_local(),
        Err(source) if source.is_permission_denied() && !is_from_the_system(&source) => {
            return Err(OpenError::ForeignOwner { path });
        }
        Err(source) if source.is_not_found() => return Err(OpenError::NotARepository { path, source }),
        Err(source) => return Err(OpenError::Other { path, source }),
    };
    refuse_unsupported(&repo)?;
    repo.objects.ignore_replacements = true;
    Ok(repo)
}

/// Ownership is judged by gix; a directory that cannot be read comes with an error of the system.
fn is_from_the_system(error: &gix::Error) -> bool {
    error.downcast_any_ref::<std::io::Error>().is_some()
}

/// Extensions that do not change how anything is read here, or that gix understands.
const KNOWN_EXTENSIONS: &[&str] = &[
    "objectformat",
    "worktreeconfig",
    "partialclone",
    "noop",
    "noop-v1",
    "preciousobjects",
    "relativeworktrees",
];

fn refuse_unsupported(repo: &gix::Repository) -> Result<(), OpenError> {
    let config = repo.config_snapshot();
    let version = config.integer("core.repositoryFormatVersion").unwrap_or(0);
    if !(0..=1).contains(&version) {
        return Err(OpenError::UnsupportedVersion(version));
    }
    for section in config.plumbing().sections_by_name("extensions").into_iter().flatten() {
        // git reads them from the repository's own configuration only.
        if section.meta().source != gix::config::Source::Local {
            continue;
        }
        for name in section.value_names() {
            let extension = name.to_string().to_ascii_lowercase();
            let value = section.value(&extension).unwrap_or_default();
            let is_known = match extension.as_str() {
                "refstorage" => value == "files",
                "compatobjectformat" => false,
                // git ignores extensions it does not know in repositories of version 0.
                other => version == 0 || KNOWN_EXTENSIONS.contains(&other),
            };
            if !is_known {
                return Err(OpenError::UnsupportedExtension {
                    extension: format!("extensions.{extension}"),
                    value,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
