//! The object store behind a cache of what it decoded, for who reads through the traits of gix: without one every delta is
//! resolved from the root of its chain. Replaced objects are read as they are.

use std::cell::RefCell;

use gix::Repository;
use gix::hash::oid;
use gix::objs::{Data, Find, FindHeader, Header};

use crate::objects::{ObjectError, Objects};

/// Reads objects and remembers them, within bounds.
pub(crate) struct Cached(RefCell<Objects>);

impl Cached {
    /// Opens the object store of `repo`.
    pub(crate) fn open(repo: &Repository) -> Result<Self, ObjectError> {
        Objects::open(repo).map(|objects| Self(RefCell::new(objects)))
    }
}

impl Find for Cached {
    fn try_find<'a>(&self, id: &oid, buffer: &'a mut Vec<u8>) -> Result<Option<Data<'a>>, gix::Error> {
        let object = match self.0.borrow_mut().read(id) {
            Ok(object) => object,
            Err(ObjectError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(gix::Error::from_error(error)),
        };
        buffer.clear();
        buffer.extend_from_slice(&object.bytes);
        Ok(Some(Data { kind: object.kind, object_hash: id.kind(), data: buffer }))
    }
}

impl FindHeader for Cached {
    fn try_header(&self, id: &oid) -> Result<Option<Header>, gix::Error> {
        self.0.borrow_mut().header(id)
    }
}

#[cfg(test)]
mod tests {
    use kit::{Env, History, Shape};

    use super::*;
    use crate::referee;

    #[test]
    fn packed_and_loose_objects_are_what_git_says() {
        let env = Env::new();
        let path = History::seeded(&env, "repo", 3, &Shape::default()).path;
        env.git(&path, ["repack", "-adq"]);
        env.commit(&path, "loose", "loose\n", "loose");
        let objects = Cached::open(&referee::open(&path)).unwrap();
        let list = "--batch-all-objects";
        let listed =
            env.git(&path, ["cat-file", list, "--batch-check=%(objectname) %(objecttype) %(objectsize)"]);
        assert!(listed.lines().count() > 100);
        for line in listed.lines() {
            let id = referee::id(line.split(' ').next().unwrap());
            let header = objects.try_header(&id).unwrap().unwrap();
            assert_eq!(format!("{id} {} {}", header.kind, header.size), line);
            let mut buffer = Vec::new();
            let object = objects.try_find(&id, &mut buffer).unwrap().unwrap();
            assert_eq!((object.kind, object.data.len() as u64), (header.kind, header.size));
        }
        let none = referee::id("1234567890123456789012345678901234567890");
        assert!(objects.try_header(&none).unwrap().is_none());
        assert!(objects.try_find(&none, &mut Vec::new()).unwrap().is_none());
    }
}
