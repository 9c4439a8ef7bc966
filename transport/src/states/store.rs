//! Contents of states by name, in memory and within bounds.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// The states that a state server holds.
#[derive(Debug)]
pub struct StateStore {
    max_state_bytes: usize,
    max_total_bytes: usize,
    contents: Mutex<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    states: BTreeMap<String, Bytes>,
    /// Bytes of all names and contents.
    total: usize,
}

/// Why a state is not there, or not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// There is none of this name.
    #[error("could not find state '{0}'")]
    NotFound(String),
    /// The content is too long.
    #[error("state '{name}' has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Name of the state.
        name: String,
        /// Bytes of its name and content.
        bytes: usize,
        /// Bytes that it may have.
        limit: usize,
    },
    /// All states together would be too long.
    #[error(
        "no room for state '{name}': {bytes} bytes beside the {used} in use, the limit is {limit}"
    )]
    Full {
        /// Name of the state.
        name: String,
        /// Bytes of its name and content.
        bytes: usize,
        /// Bytes in use by others.
        used: usize,
        /// Bytes that all states may have.
        limit: usize,
    },
}

impl StateStore {
    /// An empty store. Names count as well, so that empty states are not free of charge.
    pub fn new(max_state_bytes: usize, max_total_bytes: usize) -> Self {
        Self {
            max_state_bytes,
            max_total_bytes,
            contents: Mutex::default(),
        }
    }

    /// The content of the state `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn get(&self, name: &str) -> Result<Bytes, StateError> {
        let content = self.lock().states.get(name).cloned();
        content.ok_or_else(|| StateError::NotFound(name.to_owned()))
    }

    /// Keeps `content` as the state `name`, instead of what it was before.
    ///
    /// # Errors
    /// If it is too long; what it was before stays.
    pub fn put(&self, name: String, content: Bytes) -> Result<(), StateError> {
        let bytes = name.len() + content.len();
        let limit = self.max_state_bytes;
        if bytes > limit {
            return Err(StateError::TooLarge { name, bytes, limit });
        }
        let mut contents = self.lock();
        let before = contents.states.get(&name);
        let used = contents.total - before.map_or(0, |content| name.len() + content.len());
        let limit = self.max_total_bytes;
        if used + bytes > limit {
            return Err(StateError::Full {
                name,
                bytes,
                used,
                limit,
            });
        }
        contents.total = used + bytes;
        contents.states.insert(name, content);
        Ok(())
    }

    /// Forgets the state `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn del(&self, name: &str) -> Result<(), StateError> {
        let mut contents = self.lock();
        let Some(content) = contents.states.remove(name) else {
            return Err(StateError::NotFound(name.to_owned()));
        };
        contents.total -= name.len() + content.len();
        Ok(())
    }

    /// How many states there are, and how many bytes they have together.
    pub fn usage(&self) -> (usize, usize) {
        let contents = self.lock();
        (contents.states.len(), contents.total)
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &StateStore, name: &str, content: &'static str) -> Result<(), StateError> {
        store.put(name.to_owned(), Bytes::from(content))
    }

    #[test]
    fn s1_states_are_put_replaced_and_deleted() {
        let store = StateStore::new(100, 1000);
        for name in ["s0", "s1", "s2", "s3", "s4"] {
            put(&store, name, "content").unwrap();
        }
        assert_eq!(store.get("s0").unwrap(), "content");
        put(&store, "s0", "new").unwrap();
        assert_eq!(store.get("s0").unwrap(), "new");
        for name in ["", "sX"] {
            let missing = StateError::NotFound(name.to_owned());
            assert_eq!(store.get(name), Err(missing.clone()));
            assert_eq!(store.del(name), Err(missing));
        }
        store.del("s0").unwrap();
        assert!(store.get("s0").is_err());
        assert!(store.del("s0").is_err());
        put(&store, "s0", "again").unwrap();
        put(&store, "", "a state without name").unwrap();
        assert_eq!(store.usage().0, 6);
    }

    #[test]
    fn what_is_kept_is_bounded_and_deleting_makes_room() {
        let store = StateStore::new(10, 20);
        let too_large = put(&store, "large", "123456");
        assert!(matches!(too_large, Err(StateError::TooLarge { .. })));
        put(&store, "a", "123456789").unwrap();
        put(&store, "b", "123456789").unwrap();
        assert!(matches!(put(&store, "c", ""), Err(StateError::Full { .. })));
        // Replacing counts only once.
        put(&store, "a", "12345678").unwrap();
        put(&store, "c", "").unwrap();
        assert_eq!(store.usage(), (3, 20));
        assert!(put(&store, "a", "123456789").is_err());
        assert_eq!(store.get("a").unwrap(), "12345678");
        for name in ["a", "b", "c"] {
            store.del(name).unwrap();
        }
        assert_eq!(store.usage(), (0, 0));
    }
}
