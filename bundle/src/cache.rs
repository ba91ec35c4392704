//! A bounded cache of decoded pack entries, so that a chain of deltas is not resolved from its root each time.

use std::collections::HashMap;

use crate::objects::{Location, Object};

/// Two generations: what is asked for moves to the young one, and the old one is dropped whole when the young one
/// is full. What is kept depends on the order of the questions alone.
pub(crate) struct BaseCache {
    young: HashMap<Location, Object>,
    old: HashMap<Location, Object>,
    young_bytes: usize,
    bytes_max: usize,
}

impl BaseCache {
    /// Returns an empty cache that keeps up to `bytes_max` bytes of objects.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_bytes: 0, bytes_max }
    }

    /// Returns the object that was inserted for `location`, if it is still here.
    pub(crate) fn find(&mut self, location: Location) -> Option<Object> {
        if let Some(object) = self.young.get(&location) {
            return Some(object.clone());
        }
        let object = self.old.remove(&location)?;
        self.insert(location, object.clone());
        Some(object)
    }

    /// Keeps `object`, unless it alone would displace a good part of the others.
    pub(crate) fn insert(&mut self, location: Location, object: Object) {
        let bytes = object.bytes.len() + OVERHEAD_BYTES;
        if bytes > self.bytes_max / 8 {
            return;
        }
        if self.young_bytes + bytes > self.bytes_max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(location, object).is_none() {
            self.young_bytes += bytes;
        }
    }
}

/// What an entry costs beside its bytes, about.
const OVERHEAD_BYTES: usize = 96;

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_whole_stays_bounded() {
        let mut cache = BaseCache::new(100_000);
        let object = || Object { kind: gix::objs::Kind::Blob, bytes: Rc::new(vec![0; 1000]) };
        let at = |offset| Location { pack: 0, offset };
        cache.insert(at(0), object());
        for offset in 1..1000 {
            cache.insert(at(offset), object());
            assert!(cache.find(at(0)).is_some());
        }
        assert!(cache.find(at(1)).is_none());
        let kept = cache.young.len() + cache.old.len();
        assert!(kept * 1000 <= 100_000, "{kept} objects kept");
    }
}
