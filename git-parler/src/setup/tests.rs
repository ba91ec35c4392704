//! What setup leaves behind, and what not.

use super::*;

fn tree(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        }
        found.insert(path);
    }
    found
}

#[test]
fn a_second_run_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places::below(folder.path()).unwrap();
    let first = install(&places).unwrap();
    let before = tree(folder.path());
    let second = install(&places).unwrap();
    assert_eq!(second.unchanged.len(), first.written.len());
    assert!(second.written.is_empty() && second.removed.is_empty());
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn remove_takes_everything_that_was_made_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("share/man/man1/git.1");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "theirs").unwrap();
    let before = tree(folder.path());
    let places = Places::below(folder.path()).unwrap();
    install(&places).unwrap();
    remove(&places).unwrap();
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_file_of_somebody_else_is_neither_overwritten_nor_removed() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places::below(folder.path()).unwrap();
    let page = folder.path().join("share/man/man1/git-parler.1");
    fs::create_dir_all(page.parent().unwrap()).unwrap();
    fs::write(&page, "theirs").unwrap();
    let before = tree(folder.path());
    assert!(matches!(install(&places), Err(Error::Foreign { path }) if path == page));
    assert_eq!(tree(folder.path()), before);
    fs::remove_file(&page).unwrap();
    install(&places).unwrap();
    fs::write(&page, "theirs").unwrap();
    remove(&places).unwrap();
    assert_eq!(fs::read(&page).unwrap(), b"theirs");
}

#[test]
fn what_an_earlier_version_wrote_and_this_does_not_goes() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places::below(folder.path()).unwrap();
    install(&places).unwrap();
    let old = folder.path().join("share/man/man1/git-parler-old.1");
    fs::write(&old, format!(".\\\" {MARK}\n")).unwrap();
    let mut installed = read_list(&places.list).unwrap();
    installed.files.insert(old.clone());
    write_list(&places.list, &installed).unwrap();
    assert_eq!(install(&places).unwrap().removed, vec![old.clone()]);
    assert!(!old.exists());
}

#[test]
fn pages_lie_beside_the_program_and_completion_with_the_user() {
    let environment = Environment::of(&[("HOME", "/home/ada")]);
    let places = Places::of_user(Path::new("/home/ada/.cargo/bin/git-parler"), &environment).unwrap();
    assert_eq!(places.manual, Path::new("/home/ada/.cargo/share/man/man1"));
    assert_eq!(places.bash, Path::new("/home/ada/.local/share/bash-completion/completions"));
    assert_eq!(places.fish, Path::new("/home/ada/.config/fish/completions"));
}
