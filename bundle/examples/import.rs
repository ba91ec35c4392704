//! Imports a bundle into a repository, or only looks into it: `import <repository> <bundle> [--preview <scratch>]`.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use std::error::Error;
use std::fs::File;
use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repo, bundle, rest @ ..] = arguments.as_slice() else {
        return Err("usage: import <repository> <bundle> [--preview <scratch>]".into());
    };
    let repo = bundle::open(Path::new(repo))?;
    let mut file = File::open(bundle)?;
    if let [_, scratch] = rest {
        let options = bundle::PreviewOptions::default();
        let preview = bundle::preview(Some(&repo), &mut file, Path::new(scratch), &options, &mut |_| ())?;
        println!("{} commits, {} files", preview.commit_count, preview.stat.map_or(0, |stat| stat.len()));
        for finding in preview.surface.findings {
            println!("{}: {:?}", finding.sentence, finding.paths);
        }
        return Ok(());
    }
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut HashWriter(&mut hasher))?;
    let options = bundle::ImportOptions::new(hasher.finalize().into());
    let imported = bundle::import(&repo, &mut file, &options, &mut |_| ())?;
    for reference in &imported.refs {
        println!("{} {}", reference.commit, reference.name);
    }
    println!("{} commits, {} objects", imported.commit_count, imported.objects);
    Ok(())
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
