//! Actions and packages that clients have registered: sequences, and lambdas by other names.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};

use crate::entity::KeyValue;
use crate::journal::Line;
use crate::json::Members;
use crate::names::ActionName;

/// Bytes of an entry beside its texts, about.
const AROUND: usize = 500;

/// How much one namespace may register.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    /// Actions and packages.
    pub(crate) count: usize,
    /// Bytes of them, about.
    pub(crate) bytes: usize,
}

#[cfg(test)]
impl Most {
    pub(crate) const ANYTHING: Self = Self {
        count: usize::MAX,
        bytes: usize::MAX,
    };
}

/// What stands behind a registered action.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Body {
    /// Actions one after the other, the result of each being what the next is called with.
    Sequence(Vec<ActionName>),
    /// Another action, or a lambda.
    Alias {
        target: ActionName,
        /// As the client wrote it.
        written: String,
    },
}

/// What actions and packages share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Traits {
    /// The last part of the version, which begins with 0.0.
    pub(crate) patch: u32,
    /// Milliseconds since 1970.
    pub(crate) updated_ms: u64,
    pub(crate) publish: bool,
    pub(crate) annotations: Vec<KeyValue>,
    pub(crate) parameters: Vec<KeyValue>,
}

/// A registered action.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Registered {
    pub(crate) traits: Traits,
    pub(crate) body: Body,
}

impl Traits {
    pub(crate) fn version(&self) -> String {
        format!("0.0.{}", self.patch)
    }

    /// Whether an annotation of this name is there and true.
    pub(crate) fn is_annotated(&self, key: &str) -> bool {
        let last = self
            .annotations
            .iter()
            .rev()
            .find(|annotation| annotation.key == key);
        last.is_some_and(|annotation| annotation.value.get() == "true")
    }

    /// Bytes that it takes, about.
    fn size(&self) -> usize {
        let pairs = self.annotations.iter().chain(&self.parameters);
        let texts = pairs.map(|pair| pair.key.len() + pair.value.get().len());
        texts.sum::<usize>() + AROUND
    }

    pub(crate) fn bound(&self) -> Members {
        let pairs = self.parameters.iter();
        pairs
            .map(|pair| (pair.key.clone(), pair.value.clone()))
            .collect()
    }
}

impl Registered {
    /// Bytes that it takes, about.
    fn size(&self) -> usize {
        let body = match &self.body {
            Body::Sequence(steps) => steps.iter().map(|step| step.full().len()).sum(),
            Body::Alias { written, .. } => 2 * written.len(),
        };
        self.traits.size() + body
    }
}

/// Something cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("resource already exists")]
    Exists,
    #[error("the namespace has {0} registered actions and packages already, which is the most")]
    Full(usize),
    #[error("what the namespace has registered would take more than {0} bytes, which is the most")]
    Large(usize),
}

/// All that is registered, by full name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: RwLock<Inner>,
    /// Of all namespaces: mostly there are none, and nothing has to be looked up.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Inner {
    actions: BTreeMap<String, Arc<Registered>>,
    packages: BTreeMap<String, Arc<Traits>>,
}

impl Registry {
    pub(crate) fn action(&self, full: &str) -> Option<Arc<Registered>> {
        if self.is_empty() {
            return None;
        }
        self.read().actions.get(full).cloned()
    }

    pub(crate) fn package(&self, full: &str) -> Option<Arc<Traits>> {
        if self.is_empty() {
            return None;
        }
        self.read().packages.get(full).cloned()
    }

    fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Those of `namespace`, in the order of their names.
    pub(crate) fn actions(&self, namespace: &str) -> Vec<(ActionName, Arc<Registered>)> {
        let inner = self.read();
        let of_it = range(&inner.actions, namespace);
        let named = of_it.filter_map(|(full, action)| {
            let name = ActionName::parse(full, "").ok()?;
            Some((name, action.clone()))
        });
        named.collect()
    }

    /// Those of `namespace` by their names in it.
    pub(crate) fn packages(&self, namespace: &str) -> Vec<(String, Arc<Traits>)> {
        let inner = self.read();
        let of_it = range(&inner.packages, namespace);
        of_it
            .map(|(full, package)| {
                let name = full.rsplit('/').next().unwrap_or_default();
                (name.to_owned(), package.clone())
            })
            .collect()
    }

    /// Registers what `make` makes of what there was before; `told` hears of it before anybody can
    /// see it, in the order of all changes.
    ///
    /// # Errors
    /// If there is no place, or `make` or `told` object.
    pub(crate) fn put_action<E: From<RegistryError>>(
        &self,
        name: &ActionName,
        most: Most,
        make: impl FnOnce(Option<&Registered>) -> Result<Registered, E>,
        told: impl FnOnce(&Registered) -> Result<(), E>,
    ) -> Result<Arc<Registered>, E> {
        let mut inner = self.write();
        let before = inner.actions.get(name.full());
        let made = Arc::new(make(before.map(|before| &**before))?);
        let sizes = (before.map(|before| before.size()), made.size());
        inner.check_place(name.namespace(), most, sizes)?;
        told(&made)?;
        inner.actions.insert(name.full().to_owned(), made.clone());
        self.counted(&inner);
        Ok(made)
    }

    /// As [`Self::put_action`], for the package of this full name.
    ///
    /// # Errors
    /// Likewise.
    pub(crate) fn put_package<E: From<RegistryError>>(
        &self,
        namespace: &str,
        full: &str,
        most: Most,
        make: impl FnOnce(Option<&Traits>) -> Result<Traits, E>,
        told: impl FnOnce(&Traits) -> Result<(), E>,
    ) -> Result<Arc<Traits>, E> {
        let mut inner = self.write();
        let before = inner.packages.get(full);
        let made = Arc::new(make(before.map(|before| &**before))?);
        let sizes = (before.map(|before| before.size()), made.size());
        inner.check_place(namespace, most, sizes)?;
        told(&made)?;
        inner.packages.insert(full.to_owned(), made.clone());
        self.counted(&inner);
        Ok(made)
    }

    /// Removes an action; `told` as in [`Self::put_action`].
    ///
    /// # Errors
    /// If `told` objects.
    pub(crate) fn delete_action<E>(
        &self,
        full: &str,
        told: impl FnOnce() -> Result<(), E>,
    ) -> Result<Option<Arc<Registered>>, E> {
        let mut inner = self.write();
        if inner.actions.contains_key(full) {
            told()?;
        }
        let gone = inner.actions.remove(full);
        self.counted(&inner);
        Ok(gone)
    }

    /// Removes a package, but none of its actions.
    ///
    /// # Errors
    /// If `told` objects.
    pub(crate) fn delete_package<E>(
        &self,
        full: &str,
        told: impl FnOnce() -> Result<(), E>,
    ) -> Result<Option<Arc<Traits>>, E> {
        let mut inner = self.write();
        if inner.packages.contains_key(full) {
            told()?;
        }
        let gone = inner.packages.remove(full);
        self.counted(&inner);
        Ok(gone)
    }

    /// Does again what a journal says was done.
    pub(crate) fn restore(&self, line: Line) {
        let mut inner = self.write();
        match line {
            Line::Action(name, registered) => {
                inner.actions.insert(name.full().to_owned(), registered);
            }
            Line::ActionGone(name) => {
                inner.actions.remove(name.full());
            }
            Line::Package(name, traits) => {
                inner.packages.insert(name, traits);
            }
            Line::PackageGone(name) => {
                inner.packages.remove(&name);
            }
            Line::Accepted(_)
            | Line::Begun(_)
            | Line::Returned(_)
            | Line::Ended(_)
            | Line::Void(_) => {}
        }
        self.counted(&inner);
    }

    fn counted(&self, inner: &Inner) {
        let count = inner.actions.len() + inner.packages.len();
        self.count.store(count, Ordering::Release);
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether there is a place for what takes the second of `sizes` and had the first one before.
    /// What grows no larger always has one.
    fn check_place(
        &self,
        namespace: &str,
        most: Most,
        (before, after): (Option<usize>, usize),
    ) -> Result<(), RegistryError> {
        let actions = range(&self.actions, namespace).map(|(_, action)| action.size());
        let packages = range(&self.packages, namespace).map(|(_, package)| package.size());
        let (mut count, mut bytes) = (0, 0);
        for size in actions.chain(packages) {
            count += 1;
            bytes += size;
        }
        if before.is_none() && count >= most.count {
            return Err(RegistryError::Full(most.count));
        }
        let before = before.unwrap_or_default();
        if after > before && bytes - before + after > most.bytes {
            return Err(RegistryError::Large(most.bytes));
        }
        Ok(())
    }
}

/// What begins with `/namespace/`.
fn range<'a, V>(
    map: &'a BTreeMap<String, V>,
    namespace: &str,
) -> impl Iterator<Item = (&'a String, &'a V)> {
    let first = format!("/{namespace}/");
    // `0` follows `/`.
    let end = format!("/{namespace}0");
    map.range((Bound::Included(first), Bound::Excluded(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias() -> Registered {
        Registered {
            traits: Traits {
                patch: 1,
                updated_ms: 0,
                publish: false,
                annotations: Vec::new(),
                parameters: Vec::new(),
            },
            body: Body::Sequence(Vec::new()),
        }
    }

    fn most(count: usize, bytes: usize) -> Most {
        Most { count, bytes }
    }

    fn put(registry: &Registry, name: &str, count: usize) -> Result<(), RegistryError> {
        let name = ActionName::parse(name, "").unwrap();
        let most = most(count, usize::MAX);
        let made = registry.put_action(&name, most, |_| Ok(alias()), |_| Ok(()));
        made.map(drop)
    }

    #[test]
    fn namespaces_are_apart() {
        let registry = Registry::default();
        for name in ["/a/f", "/a/p/f", "/a0/f", "/ab/f", "/b/f"] {
            put(&registry, name, 10).unwrap();
        }
        let names = |namespace| {
            let actions = registry.actions(namespace).into_iter();
            actions
                .map(|(name, _)| name.full().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("a"), ["/a/f", "/a/p/f"]);
        assert_eq!(names("a0"), ["/a0/f"]);
        assert!(names("c").is_empty());
    }

    #[test]
    fn a_full_namespace_takes_changes_and_nothing_new() {
        let registry = Registry::default();
        put(&registry, "/a/f", 1).unwrap();
        put(&registry, "/a/f", 1).unwrap();
        assert_eq!(put(&registry, "/a/g", 1), Err(RegistryError::Full(1)));
        put(&registry, "/b/g", 1).unwrap();
    }

    #[test]
    fn a_namespace_takes_no_more_memory_than_it_may() {
        let registry = Registry::default();
        let put = |full: &str, bytes: usize| {
            let pair = KeyValue::text("key", &"x".repeat(bytes));
            let traits = Traits {
                parameters: vec![pair],
                ..alias().traits
            };
            let most = most(9, 10_000);
            let told = |_: &Traits| Ok(());
            let made = registry.put_package("a", full, most, |_| Ok(traits), told);
            made.map(drop)
        };
        put("/a/p", 5000).unwrap();
        assert_eq!(put("/a/q", 5000), Err(RegistryError::Large(10_000)));
        put("/a/q", 1000).unwrap();
        assert_eq!(put("/a/p", 9000), Err(RegistryError::Large(10_000)));
        put("/a/p", 4000).unwrap();
        put("/a/q", 4000).unwrap();
        let told = || Ok::<_, RegistryError>(());
        registry.delete_package("/a/q", told).unwrap();
        put("/a/p", 9000).unwrap();
    }

    #[test]
    fn what_cannot_be_told_does_not_happen() {
        let registry = Registry::default();
        let name = ActionName::parse("/a/f", "").unwrap();
        let refused: Result<_, RegistryError> = registry.put_action(
            &name,
            most(9, 10_000),
            |_| Ok(alias()),
            |_| Err(RegistryError::Exists),
        );
        assert!(refused.is_err());
        assert!(registry.action("/a/f").is_none());
        put(&registry, "/a/f", 9).unwrap();
        assert!(registry.delete_action("/a/f", || Err(())).is_err());
        assert!(registry.action("/a/f").is_some());
        let gone: Result<_, ()> = registry.delete_action("/a/f", || Ok(()));
        assert!(gone.unwrap().is_some());
    }
}
