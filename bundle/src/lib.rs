//! Git bundles in-process: create, check, import and preview, without the `git` program.
#![expect(dead_code, reason = "edges and deltas are used by the search that the next commit brings")]

mod cache;
mod delta;
mod history;
mod limits;
mod objects;
mod paths;
mod progress;
mod range;
#[cfg(test)]
mod referee;
mod select;
mod write;

pub use objects::ObjectError;
pub use progress::{Progress, Report, Stage};
pub use range::{Plan, PlanError, Prerequisite, Tip, plan};
pub use write::{CreateError, CreateOptions, Created, create};
