//! The names of those whom entries of the tables belong to, each known once.

use std::collections::HashSet;
use std::sync::Arc;

use edge_balance::Owner;

/// Owners at the most; there are as many as there are controllers.
pub(crate) const MAX_OWNERS: usize = Owner::MAX as usize;
/// Longest name of an owner, in bytes.
pub(crate) const MAX_OWNER_NAME: usize = 255;

/// Owners by number, from 1 on; an empty name is free.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owners(Vec<Arc<str>>);

/// There are as many owners as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Owners {
    /// The owner of that name, if it has any entries; nobody, if the name is empty.
    pub(crate) fn find(&self, name: &str) -> Option<Owner> {
        if name.is_empty() {
            return Some(Owner::NOBODY);
        }
        let at = self.0.iter().position(|known| **known == *name)?;
        Some(numbered(at))
    }

    /// The owner of that name, which gets a number if it has none.
    ///
    /// # Errors
    /// If it has none, and there are no numbers left: those of owners that have no entries any more
    /// may be [`free`](Self::free).
    pub(crate) fn intern(&mut self, name: &str) -> Result<Owner, TooMany> {
        if let Some(known) = self.find(name) {
            return Ok(known);
        }
        if let Some(at) = self.0.iter().position(|known| known.is_empty()) {
            self.0[at] = name.into();
            return Ok(numbered(at));
        }
        if self.0.len() >= MAX_OWNERS {
            return Err(TooMany);
        }
        self.0.push(name.into());
        Ok(numbered(self.0.len() - 1))
    }

    /// Forgets all but those that are in use.
    pub(crate) fn free(&mut self, in_use: &HashSet<Owner>) {
        for (at, name) in self.0.iter_mut().enumerate() {
            if !in_use.contains(&numbered(at)) {
                *name = Arc::default();
            }
        }
    }

    /// The name of an owner; empty for nobody.
    pub(crate) fn name(&self, owner: Owner) -> &str {
        let at = usize::from(owner.number()).checked_sub(1);
        at.and_then(|at| self.0.get(at)).map_or("", |name| name)
    }
}

fn numbered(at: usize) -> Owner {
    let number = u8::try_from(at + 1).ok();
    let owner = number.and_then(Owner::numbered);
    owner.expect("there are at most MAX_OWNERS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_those_who_have_nothing_are_given_to_others() {
        let mut owners = Owners::default();
        assert_eq!(owners.intern(""), Ok(Owner::NOBODY));
        let all: Vec<_> = (0..MAX_OWNERS)
            .map(|number| owners.intern(&format!("o{number}")).unwrap())
            .collect();
        assert_eq!(owners.intern("new"), Err(TooMany));
        assert_eq!(owners.intern("o7"), Ok(all[7]));
        owners.free(
            &all.iter()
                .copied()
                .filter(|owner| *owner != all[7])
                .collect(),
        );
        assert_eq!(owners.find("o7"), None);
        assert_eq!(owners.intern("new"), Ok(all[7]));
        assert_eq!(owners.name(all[7]), "new");
        assert_eq!(owners.name(all[8]), "o8");
        assert_eq!(owners.name(Owner::NOBODY), "");
    }
}
