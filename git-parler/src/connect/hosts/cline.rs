//! Cline in VS Code: `mcpServers` of a file in the folder of the extension. It has no command that adds a server.

use super::super::edit::{EntryForm, Format, Shape};
use super::Host;

const FOLDER: &str = "Code/User/globalStorage/saoudrizwan.claude-dev";

pub(super) const HOST: Host = Host {
    name: "cline",
    title: "Cline",
    is_on_desktop: true,
    programs: &[],
    folder: |folders| folders.desktop(FOLDER),
    file: |folders| folders.desktop(FOLDER).join("settings/cline_mcp_settings.json"),
    other_file: None,
    shape: Shape { format: Format::Json, container: "mcpServers", entry: EntryForm::Plain },
    next: "look at Cline's list of MCP servers: it starts `parler` by itself",
    hooks: None,
};
