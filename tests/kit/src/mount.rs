//! A file system of its own for a test: small, so that it fills up, or read-only. Needs the rights to mount.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, mounted at a folder of an environment and gone when it is dropped.
///
/// Declared after its environment, so that it goes first.
#[derive(Debug)]
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts an empty file system of `kib` KiB at `folder`, which is made; `None` where this user may not mount.
    ///
    /// # Panics
    ///
    /// When this user is root and it still fails, and `TEST_TOOLS` is `all`.
    #[must_use]
    pub fn small(folder: &Path, kib: u32) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        fs::create_dir_all(folder).expect("a folder to mount at");
        let options = format!("size={kib}k,mode=0700");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &options, "parler-test"]).arg(folder);
        let mounted = command.output().is_ok_and(|output| output.status.success());
        let must = std::env::var_os("TEST_TOOLS").is_some_and(|value| value == "all");
        assert!(mounted || !must, "TEST_TOOLS=all, and root cannot mount");
        mounted.then(|| Self(folder.to_path_buf()))
    }

    /// Lets nobody write to it any more.
    ///
    /// # Panics
    ///
    /// When somebody has a file in it open for writing.
    pub fn make_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()), "a mount of ours cannot be made read-only");
    }

    /// Fills what is left, but for `spare` bytes or a little less; returns the file that takes the room.
    ///
    /// # Panics
    ///
    /// When the file cannot be made.
    pub fn fill(&self, spare: u64) -> PathBuf {
        let path = self.0.join("ballast");
        let free = rustix::fs::statvfs(&self.0).expect("a mount of ours");
        let bytes = (free.f_bavail * free.f_frsize).saturating_sub(spare);
        let zeros = vec![0; usize::try_from(bytes).expect("it is small")];
        fs::write(&path, zeros).expect("what is free can be written");
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: what still looks into it must not keep the folder from being removed.
        let status = Command::new("umount").arg("--lazy").arg(&self.0).status();
        debug_assert!(status.is_ok(), "umount starts");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Env;

    #[test]
    fn a_small_file_system_fills_up_and_goes() {
        let env = Env::new();
        let folder = env.path("small");
        let Some(mount) = Mount::small(&folder, 64) else { return };
        let ballast = mount.fill(0);
        let error = fs::write(folder.join("more"), [0; 8192]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        fs::remove_file(ballast).unwrap();
        mount.make_read_only();
        let error = fs::write(folder.join("again"), "x").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        drop(mount);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}
