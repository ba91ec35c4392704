//! Claude Desktop: `mcpServers` of `claude_desktop_config.json`. It has no command that adds a server.

use super::super::edit::{EntryForm, Format, Shape};
use super::Host;

pub(super) const HOST: Host = Host {
    name: "claude-desktop",
    title: "Claude Desktop",
    is_on_desktop: true,
    programs: &["claude-desktop"],
    folder: |folders| folders.desktop("Claude"),
    file: |folders| folders.desktop("Claude/claude_desktop_config.json"),
    other_file: None,
    shape: Shape { format: Format::Json, container: "mcpServers", entry: EntryForm::Plain },
    next: "quit Claude Desktop and start it anew: closing its window is not enough",
    hooks: None,
};
