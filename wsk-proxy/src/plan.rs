//! What an invocation comes down to: a lambda or a sequence, and what it is called with.

use std::borrow::Cow;

use crate::ask::Refusal;
use crate::json::{self, Members};
use crate::names::{ActionName, OWN};
use crate::registry::{Body, Registry, Traits};

/// Aliases of aliases, at the most.
const MAX_ALIASES: usize = 8;
/// Actions that are looked at in search of a circle; what leads to more is taken for one.
const MAX_LOOKED_AT: usize = 1000;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan<'a> {
    Lambda {
        action: Cow<'a, ActionName>,
        /// The namespace was written rather than `_`.
        written_out: bool,
        parameters: Cow<'a, str>,
    },
    Sequence {
        steps: Vec<ActionName>,
        parameters: Cow<'a, str>,
    },
}

impl Registry {
    /// How `action` is invoked with `parameters`, a JSON object.
    ///
    /// # Errors
    /// If a final parameter would be overridden, or aliases go in circles.
    pub(crate) fn plan<'a>(
        &self,
        action: &'a ActionName,
        written_out: bool,
        parameters: &'a str,
    ) -> Result<Plan<'a>, Refusal> {
        let mut bound = Members::new();
        let (mut action, mut written_out) = (Cow::Borrowed(action), written_out);
        for _ in 0..=MAX_ALIASES {
            let registered = self.action(action.full());
            let package = self.package_of(&action);
            for traits in [
                registered.as_deref().map(|action| &action.traits),
                package.as_deref(),
            ] {
                self.bind(&mut bound, traits, parameters)?;
            }
            match registered.as_deref().map(|registered| &registered.body) {
                Some(Body::Sequence(steps)) => {
                    return Ok(Plan::Sequence {
                        steps: steps.clone(),
                        parameters: merged(&bound, parameters)?,
                    });
                }
                Some(Body::Alias { target, written }) if *target != *action => {
                    action = Cow::Owned(target.clone());
                    written_out = is_written_out(written);
                }
                alias => {
                    if let Some(Body::Alias { written, .. }) = alias {
                        written_out = is_written_out(written);
                    }
                    return Ok(Plan::Lambda {
                        action,
                        written_out,
                        parameters: merged(&bound, parameters)?,
                    });
                }
            }
        }
        let text =
            format!("{action} stands for itself, or is behind more than {MAX_ALIASES} names");
        Err(Refusal::Unfit(text))
    }

    fn package_of(&self, action: &ActionName) -> Option<std::sync::Arc<Traits>> {
        action
            .package()
            .and_then(|_| self.package(&format!("/{}", action.folder())))
    }

    /// Adds the parameters of `traits` to `bound`, where those that are there already count more.
    fn bind(
        &self,
        bound: &mut Members,
        traits: Option<&Traits>,
        parameters: &str,
    ) -> Result<(), Refusal> {
        let Some(traits) = traits.filter(|traits| !traits.parameters.is_empty()) else {
            return Ok(());
        };
        let own = traits.bound();
        if traits.is_annotated("final") {
            let given: Members = serde_json::from_str(parameters).map_err(|e| unfit(&e))?;
            if let Some(key) = own.keys().find(|key| given.contains_key(*key)) {
                let text =
                    format!("Request defines parameters that are not allowed: {key} is final.");
                return Err(Refusal::Unfit(text));
            }
        }
        for (key, value) in own {
            bound.entry(key).or_insert(value);
        }
        Ok(())
    }

    /// Whether what stands behind `name` would lead back to it if it were `body`.
    pub(crate) fn goes_in_circles(&self, name: &ActionName, body: &Body) -> bool {
        let mut left = MAX_LOOKED_AT;
        self.leads_to(name, name, body, &mut left)
    }

    fn leads_to(
        &self,
        wanted: &ActionName,
        from: &ActionName,
        body: &Body,
        left: &mut usize,
    ) -> bool {
        let next: &[ActionName] = match body {
            Body::Sequence(steps) => steps,
            // A name of its own for the lambda of the same name.
            Body::Alias { target, .. } if target == from => &[],
            Body::Alias { target, .. } => std::slice::from_ref(target),
        };
        next.iter().any(|next| {
            if next == wanted || *left == 0 {
                return true;
            }
            *left -= 1;
            let behind = self.action(next.full());
            behind.is_some_and(|behind| self.leads_to(wanted, next, &behind.body, left))
        })
    }
}

fn is_written_out(written: &str) -> bool {
    let namespace = written
        .strip_prefix('/')
        .and_then(|rest| rest.split('/').next());
    namespace.is_some_and(|namespace| namespace != OWN)
}

fn merged<'a>(bound: &Members, parameters: &'a str) -> Result<Cow<'a, str>, Refusal> {
    json::merge(bound, parameters).map_err(|error| unfit(&error))
}

fn unfit(error: &serde_json::Error) -> Refusal {
    Refusal::Unfit(format!("the parameters are no JSON object: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::KeyValue;
    use crate::registry::{Most, Registered, RegistryError};

    fn name(text: &str) -> ActionName {
        ActionName::parse(text, "a").unwrap()
    }

    fn traits(parameters: &[(&str, &str)], is_final: bool) -> Traits {
        let pair = |(key, value): &(&str, &str)| KeyValue::text(key, value);
        Traits {
            patch: 1,
            updated_ms: 0,
            publish: false,
            annotations: vec![KeyValue::flag("final", is_final)],
            parameters: parameters.iter().map(pair).collect(),
        }
    }

    fn put(registry: &Registry, at: &str, body: Body, traits: Traits) {
        let made = Registered { traits, body };
        let put: Result<_, RegistryError> =
            registry.put_action(&name(at), Most::ANYTHING, |_| Ok(made), |_| Ok(()));
        put.unwrap();
    }

    fn alias(target: &str) -> Body {
        Body::Alias {
            target: name(target),
            written: target.to_owned(),
        }
    }

    fn lambda<'a>(at: &str, written_out: bool, parameters: &'a str) -> Plan<'a> {
        Plan::Lambda {
            action: Cow::Owned(name(at)),
            written_out,
            parameters: parameters.into(),
        }
    }

    #[test]
    fn what_nobody_registered_is_a_lambda() {
        let registry = Registry::default();
        let f = name("f");
        let plan = registry.plan(&f, true, r#"{"x":1}"#).unwrap();
        assert_eq!(plan, lambda("f", true, r#"{"x":1}"#));
    }

    #[test]
    fn parameters_of_the_outer_name_go_over_those_of_the_inner_and_the_request_over_all() {
        let registry = Registry::default();
        put(
            &registry,
            "inner",
            alias("f"),
            traits(&[("a", "i"), ("b", "i"), ("c", "i")], false),
        );
        put(
            &registry,
            "p/outer",
            alias("inner"),
            traits(&[("b", "o"), ("c", "o")], false),
        );
        let package: Result<_, RegistryError> = registry.put_package(
            "a",
            "/a/p",
            Most::ANYTHING,
            |_| Ok(traits(&[("c", "p"), ("d", "p")], false)),
            |_| Ok(()),
        );
        package.unwrap();
        let outer = name("p/outer");
        let plan = registry.plan(&outer, false, r#"{"c":"r"}"#).unwrap();
        assert_eq!(
            plan,
            lambda("f", false, r#"{"a":"i","b":"o","c":"r","d":"p"}"#)
        );
    }

    #[test]
    fn final_parameters_cannot_be_overridden() {
        let registry = Registry::default();
        put(&registry, "g", alias("f"), traits(&[("a", "x")], true));
        assert!(registry.plan(&name("g"), false, r#"{"b":1}"#).is_ok());
        let g = name("g");
        let refused = registry.plan(&g, false, r#"{"a":1}"#);
        assert!(matches!(refused, Err(Refusal::Unfit(_))));
    }

    #[test]
    fn an_alias_may_have_the_name_of_its_lambda() {
        let registry = Registry::default();
        put(&registry, "f", alias("/a/f"), traits(&[("a", "x")], false));
        let f = name("f");
        let plan = registry.plan(&f, false, "{}").unwrap();
        assert_eq!(plan, lambda("f", true, r#"{"a":"x"}"#));
    }

    #[test]
    fn circles_are_found() {
        let registry = Registry::default();
        put(&registry, "b", alias("c"), traits(&[], false));
        put(
            &registry,
            "s",
            Body::Sequence(vec![name("f"), name("b")]),
            traits(&[], false),
        );
        let circle = |at: &str, body: Body| registry.goes_in_circles(&name(at), &body);
        assert!(circle("c", alias("s")));
        assert!(circle("c", Body::Sequence(vec![name("c")])));
        assert!(!circle("c", alias("c")));
        assert!(!circle("d", Body::Sequence(vec![name("s"), name("s")])));
        put(&registry, "c", alias("b"), traits(&[], false));
        assert!(registry.plan(&name("b"), false, "{}").is_err());
    }
}
