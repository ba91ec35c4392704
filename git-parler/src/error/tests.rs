//! The table, and how causes are told.

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_code_has_its_own_name_and_an_exit_code_of_the_contract() {
    let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.row().name).collect();
    assert_eq!(names.len(), Code::ALL.len());
    for code in Code::ALL {
        let row = code.row();
        assert!([1, 3, 4, 5, 6, 128, 129, 130].contains(&row.exit), "{} exits with {}", row.name, row.exit);
        assert!(
            !row.sentence.ends_with('.') && row.hint.is_none_or(|hint| !hint.ends_with('.')),
            "{}",
            row.name
        );
    }
}

#[test]
fn causes_are_told_once() {
    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("cannot read the key")]
        Read(#[source] std::io::Error),
        #[error(transparent)]
        Same(#[from] fmt::Error),
    }
    let refused = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "permission denied");
    assert_eq!(chain(&Outer::Read(refused)), "cannot read the key: permission denied");
    assert_eq!(chain(&Outer::Same(fmt::Error)), fmt::Error.to_string());
}
