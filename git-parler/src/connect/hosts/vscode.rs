//! VS Code: `servers` of `mcp.json` in the user's default profile. Its own `code --add-mcp` is not run: it needs the
//! editor's window, and nothing takes a server out again.

use super::super::edit::{EntryForm, Format, Shape};
use super::Host;

pub(super) const HOST: Host = Host {
    name: "vscode",
    title: "VS Code",
    is_on_desktop: true,
    programs: &["code"],
    folder: |folders| folders.desktop("Code/User"),
    file: |folders| folders.desktop("Code/User/mcp.json"),
    other_file: None,
    shape: Shape { format: Format::Json, container: "servers", entry: EntryForm::Typed("stdio") },
    next: "run `MCP: List Servers` in VS Code, start `parler` there and say that you trust it",
    hooks: None,
};
