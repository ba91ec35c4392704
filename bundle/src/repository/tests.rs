//! Which repositories are opened, and which are refused with a reason.

use kit::Env;

use super::*;

#[test]
fn work_trees_bare_repositories_and_linked_worktrees_open() {
    let env = Env::new();
    let repo = env.init("repo");
    env.commit(&repo, "file", "content\n", "one");
    env.git(&repo, ["worktree", "add", "-q", "../linked"]);
    env.git(env.root(), ["clone", "-q", "--bare", "repo", "bare"]);
    env.git(env.root(), ["init", "-q", "--object-format=sha256", "long"]);
    for name in ["repo", "repo/.git", "linked", "bare", "long"] {
        assert!(open(&env.path(name)).is_ok(), "{name}");
    }
    std::fs::create_dir(repo.join("sub")).unwrap();
    assert!(matches!(open(&repo.join("sub")), Err(OpenError::NotARepository { .. })));
    assert!(discover(&repo.join("sub"), &[]).is_ok());
    assert!(matches!(discover(env.root(), &[]), Err(OpenError::NotARepository { .. })));
}

#[test]
fn formats_that_would_be_misread_are_refused() {
    let env = Env::new();
    let cases = [
        (
            "refStorage",
            "reftable",
            Some("the repository uses extensions.refstorage = reftable, which is not supported"),
        ),
        ("sparkle", "true", Some("the repository uses extensions.sparkle = true, which is not supported")),
        (
            "compatObjectFormat",
            "sha256",
            Some("the repository uses extensions.compatobjectformat = sha256, which is not supported"),
        ),
        ("noop", "true", None),
        ("worktreeConfig", "true", None),
    ];
    for (number, (name, value, refusal)) in cases.into_iter().enumerate() {
        let repo = env.init(&format!("repo-{number}"));
        env.git(&repo, ["config", "core.repositoryFormatVersion", "1"]);
        env.git(&repo, ["config", &format!("extensions.{name}"), value]);
        assert_eq!(open(&repo).err().map(|error| error.to_string()), refusal.map(str::to_owned), "{name}");
    }
}

#[test]
fn replacement_objects_are_not_followed() {
    let env = Env::new();
    let path = env.init("repo");
    let one = env.commit(&path, "file", "one\n", "one");
    let two = env.commit(&path, "file", "two\n", "two");
    env.git(&path, ["replace", &one, &two]);
    let repo = open(&path).unwrap();
    let commit = repo.find_commit(gix::ObjectId::from_hex(one.as_bytes()).unwrap()).unwrap();
    assert_eq!(commit.message_raw().unwrap(), "one\n");
}

#[test]
fn a_repository_of_somebody_else_is_refused() {
    let env = Env::new();
    let repo = env.init("repo");
    // Only root can give something away; for everybody else there is no such repository to test with.
    if std::os::unix::fs::chown(repo.join(".git"), Some(12345), None).is_ok() {
        assert!(matches!(open(&repo), Err(OpenError::ForeignOwner { .. })), "{:?}", open(&repo).err());
        assert!(matches!(discover(&repo, &[]), Err(OpenError::ForeignOwner { .. })));
    }
}
