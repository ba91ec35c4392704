//! Copilot CLI: `mcpServers` of `mcp-config.json`. Its own `/mcp add` is a form within a session, so there is nothing to
//! run. `tools` says which tools the model may know of, not which it may use without asking.

use super::super::edit::{EntryForm, Format, Shape};
use super::Host;

pub(super) const HOST: Host = Host {
    name: "copilot",
    title: "Copilot CLI",
    is_on_desktop: false,
    programs: &["copilot"],
    folder: |folders| folders.named("COPILOT_HOME", ".copilot"),
    file: |folders| folders.named("COPILOT_HOME", ".copilot").join("mcp-config.json"),
    other_file: None,
    shape: Shape { format: Format::Json, container: "mcpServers", entry: EntryForm::TypedWithTools("local") },
    next: "start Copilot CLI anew; `/mcp show parler` shows it",
    hooks: None,
};
