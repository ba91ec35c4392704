//! `git parler setup`: manual pages and completion, and away with them.

use crate::cli::Setup;
use crate::config::Environment;
use crate::error::Failure;
use crate::file_error::FileError;
use crate::setup::{self, Error, Places};
use crate::ui::Ui;

pub(crate) fn run(ui: &Ui, environment: &Environment, arguments: &Setup) -> Result<(), Failure> {
    let places = match &arguments.prefix {
        Some(prefix) => Places::below(prefix)?,
        None => {
            let program = std::env::current_exe().map_err(FileError::NoProgram).map_err(Error::from)?;
            Places::of_user(&program, environment)?
        }
    };
    let report = if arguments.remove { setup::remove(&places)? } else { setup::install(&places)? };
    if ui.is_json() {
        ui.answer(&report);
        return Ok(());
    }
    for (word, files) in [("written", &report.written), ("removed", &report.removed)] {
        for file in files {
            ui.line(format_args!("{word} {}", file.display()));
        }
    }
    if report.written.is_empty() && report.removed.is_empty() {
        ui.remark(if arguments.remove { "nothing to remove" } else { "everything is up to date" });
    }
    if !report.written.is_empty() && arguments.prefix.is_none() {
        ui.hint(format_args!(
            "a new shell completes `git parler`; zsh does once {} is in its fpath",
            places.zsh().display()
        ));
    }
    Ok(())
}
