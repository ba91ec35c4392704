//! Git bundles in-process: create, check, import and preview, without the `git` program.

mod arrange;
mod cache;
mod deflate;
mod delta;
mod entries;
mod history;
mod limits;
mod objects;
mod paths;
mod progress;
mod range;
#[cfg(test)]
mod referee;
mod search;
mod select;
mod write;

pub use objects::ObjectError;
pub use progress::{Progress, Report, Stage};
pub use range::{Plan, PlanError, Prerequisite, Tip, plan};
pub use write::{CreateError, CreateOptions, Created, create};
