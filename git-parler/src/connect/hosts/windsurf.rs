//! Windsurf: `mcpServers` of `mcp_config.json`. It has no command that adds a server.

use super::super::edit::{EntryForm, Format, Shape};
use super::Host;

pub(super) const HOST: Host = Host {
    name: "windsurf",
    title: "Windsurf",
    is_on_desktop: true,
    programs: &["windsurf"],
    folder: |folders| folders.home(".codeium/windsurf"),
    file: |folders| folders.home(".codeium/windsurf/mcp_config.json"),
    other_file: None,
    shape: Shape { format: Format::Json, container: "mcpServers", entry: EntryForm::Plain },
    next: "start Windsurf anew, or refresh the list of MCP servers in Cascade",
    hooks: None,
};
