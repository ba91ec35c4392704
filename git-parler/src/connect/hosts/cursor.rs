//! Cursor: `mcpServers` of `mcp.json`. It has no command that adds a server.

use super::super::edit::{EntryForm, Format, Shape};
use super::super::hook_edit::{HookForm, HookShape};
use super::{Hooked, Host};

pub(super) const HOST: Host = Host {
    name: "cursor",
    title: "Cursor",
    is_on_desktop: true,
    programs: &["cursor", "cursor-agent"],
    folder: |folders| folders.home(".cursor"),
    file: |folders| folders.home(".cursor/mcp.json"),
    other_file: None,
    shape: Shape { format: Format::Json, container: "mcpServers", entry: EntryForm::Plain },
    next: "start Cursor anew, and switch `parler` on in its settings under MCP if it is not",
    hooks: Some(Hooked {
        file: |folders| folders.home(".cursor/hooks.json"),
        shape: HookShape { host: "cursor", form: HookForm::Commands },
        next: "start Cursor anew; its settings show them under Hooks",
    }),
};
