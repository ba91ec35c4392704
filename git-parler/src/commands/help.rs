//! `git parler help`: a page from the binary itself, with nothing installed.

use crate::cli::Help;
use crate::error::{Code, Failure};
use crate::page;
use crate::ui::Ui;

pub(crate) fn run(ui: &Ui, arguments: &Help) -> Result<(), Failure> {
    let text = page::text(arguments.verb.as_deref()).ok_or_else(|| {
        let verb = arguments.verb.as_deref().unwrap_or_default();
        Failure::new(Code::Usage, format!("there is no command `{verb}`"))
    })?;
    ui.page(|out| out.write_all(text.as_bytes()));
    Ok(())
}
