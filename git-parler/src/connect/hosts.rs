//! The hosts, one file each: how it is found, which file of it is edited, what an entry looks like there, and what a person
//! does next. Where a host has a command of its own to add a server, its file says why that is not run.

mod claude_code;
mod claude_desktop;
mod cline;
mod codex;
mod copilot;
mod cursor;
mod gemini;
mod hermes;
mod opencode;
mod vscode;
mod windsurf;

use std::path::PathBuf;

use super::edit::Shape;
use super::file::ConfigFile;
use super::folders::Folders;
use super::hook_edit::HookShape;

/// A program that starts MCP servers.
#[derive(Debug)]
pub(crate) struct Host {
    /// The name on the command line and in answers.
    pub(crate) name: &'static str,
    /// The name for people.
    pub(crate) title: &'static str,
    /// Whether it is started from a desktop, where the PATH need not be that of the person's shell.
    pub(super) is_on_desktop: bool,
    /// Programs that show it is installed.
    pub(super) programs: &'static [&'static str],
    /// The folder that shows it was used.
    pub(super) folder: fn(&Folders<'_>) -> PathBuf,
    /// The user's file that names its servers.
    pub(super) file: fn(&Folders<'_>) -> PathBuf,
    /// Another one that counts too.
    pub(super) other_file: Option<fn(&Folders<'_>) -> PathBuf>,
    pub(super) shape: Shape,
    /// What is to be done once the entry came in, without a final stop.
    pub(crate) next: &'static str,
    /// Where it has hooks.
    pub(super) hooks: Option<Hooked>,
}

/// The hooks of a host.
#[derive(Debug)]
pub(super) struct Hooked {
    /// The user's file that names them.
    pub(super) file: fn(&Folders<'_>) -> PathBuf,
    pub(super) shape: HookShape,
    /// What is to be done once they came in, without a final stop.
    pub(super) next: &'static str,
}

impl Host {
    /// Says whether the host is on this machine.
    pub(super) fn is_here(&self, folders: &Folders<'_>) -> bool {
        (self.folder)(folders).is_dir()
            || self.files(folders).any(|file| file.symlink_metadata().is_ok())
            || self.programs.iter().any(|program| folders.program(program).is_some())
    }

    /// Returns the file to edit: the one with our entry, else the one that is there, else the first.
    pub(super) fn file(&self, folders: &Folders<'_>) -> PathBuf {
        let has_entry =
            |path: &PathBuf| ConfigFile::find(path).is_ok_and(|file| self.shape.has_entry(file.text()));
        let mut files = self.files(folders);
        files
            .clone()
            .find(has_entry)
            .or_else(|| files.find(|path| path.exists()))
            .unwrap_or_else(|| (self.file)(folders))
    }

    /// Says whether it runs hooks.
    pub(crate) const fn has_hooks(&self) -> bool {
        self.hooks.is_some()
    }

    fn files(&self, folders: &Folders<'_>) -> impl Iterator<Item = PathBuf> + Clone {
        let other = self.other_file.map(|other| other(folders));
        std::iter::once((self.file)(folders)).chain(other)
    }
}

/// All hosts, in the order in which they are wired.
pub(crate) const ALL: [&Host; 11] = [
    &claude_code::HOST,
    &codex::HOST,
    &gemini::HOST,
    &opencode::HOST,
    &cursor::HOST,
    &windsurf::HOST,
    &vscode::HOST,
    &cline::HOST,
    &claude_desktop::HOST,
    &copilot::HOST,
    &hermes::HOST,
];
