//! Names of actions that have been asked for lately.

use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;

use super::{ActionName, InvalidName};

/// Places for names.
const PLACES: usize = 256;

/// Names that are made once and shared by all that is recorded about an action. Each has one place
/// where it can be; the last one of those that share a place has it.
#[derive(Debug)]
pub(crate) struct Known {
    hasher: RandomState,
    places: Box<[Mutex<Option<ActionName>>]>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            places: (0..PLACES).map(|_| Mutex::default()).collect(),
        }
    }
}

impl Known {
    /// As [`ActionName::new`].
    ///
    /// # Errors
    /// Likewise.
    pub(crate) fn action(
        &self,
        namespace: &str,
        package: Option<&str>,
        name: &str,
    ) -> Result<ActionName, InvalidName> {
        let hash = self.hasher.hash_one((namespace, package, name));
        let at = usize::try_from(hash % PLACES as u64).unwrap_or_default();
        let mut place = self.places[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*place
            && known.is(namespace, package, name)
        {
            return Ok(known.clone());
        }
        let made = ActionName::new(namespace, package, name)?;
        *place = Some(made.clone());
        Ok(made)
    }
}

impl ActionName {
    fn is(&self, namespace: &str, package: Option<&str>, name: &str) -> bool {
        let short = self.short();
        let is_named = match package {
            None => short == name,
            Some(package) => {
                let rest = short.strip_prefix(package);
                rest.and_then(|rest| rest.strip_prefix('/')) == Some(name)
            }
        };
        is_named && self.namespace() == namespace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_those_that_would_be_made() {
        let known = Known::default();
        for _ in 0..2 {
            for (namespace, package, name) in [
                ("a", None, "f"),
                ("a", Some("p"), "f"),
                ("a", Some("p"), "g"),
                ("b", None, "f"),
            ] {
                let made = ActionName::new(namespace, package, name);
                assert_eq!(known.action(namespace, package, name), made);
            }
            // Together the texts are those of a name that is known.
            assert_eq!(known.action("a", None, "p/f"), Err(InvalidName));
        }
    }

    #[test]
    fn more_names_than_places_are_no_problem() {
        let known = Known::default();
        for number in 0..3 * PLACES {
            let name = format!("f{number}");
            let action = known.action("a", None, &name).unwrap();
            assert_eq!(action.name(), name);
        }
    }
}
