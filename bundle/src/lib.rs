//! Git bundles in-process: create, check, import and preview, without the `git` program.
#![doc = include_str!("../README.md")]

#[cfg(not(unix))]
compile_error!("git-parler is written for Linux and macOS; Windows is not supported");

mod arrange;
mod cache;
mod cached;
mod check;
mod commits;
mod connect;
mod deflate;
mod delta;
mod delta_apply;
mod entries;
mod header;
mod history;
#[cfg(test)]
mod hostile;
mod import;
mod index;
mod inspect;
mod install;
pub mod limits;
mod loose;
mod objects;
mod outline;
mod patch;
mod paths;
mod preview;
mod progress;
mod quarantine;
mod range;
mod reach;
#[cfg(test)]
mod referee;
mod refs;
mod repository;
mod resolve;
mod scan;
mod search;
mod select;
mod sink;
mod stage;
mod surface;
mod tree_diff;
mod write;

pub use check::{CheckError, Reason};
pub use commits::ListedCommit;
pub use header::{Header, HeaderError, Version};
pub use import::{Expected, ImportError, ImportOptions, Imported, ImportedRef, import};
pub use limits::{Budget, Budgets};
pub use objects::ObjectError;
pub use outline::{Outline, outline};
pub use patch::FileStat;
pub use preview::{Preview, PreviewOptions, preview};
pub use progress::{Progress, Report, Stage};
pub use range::{Plan, PlanError, Prerequisite, Tip, plan};
pub use refs::{Applied, AppliedRef, RefsError, applied, drop_handoff, find_applied};
pub use repository::{OpenError, discover, open};
pub use resolve::ResolveError;
pub use scan::ScanError;
pub use surface::{FileSide, Finding, Surface, surface_codes, surface_rules};
pub use tree_diff::DiffError;
pub use write::{CreateError, CreateOptions, Created, create};
