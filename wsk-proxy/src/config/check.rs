//! What the types of the configuration do not say.

use std::time::Duration;

use super::{AROUND_RESULT, Config};
use crate::auth::Pair;
use crate::names;

/// A value that makes no sense, and its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct InvalidConfig {
    /// The key, dotted.
    pub key: &'static str,
    /// What is wrong with its value, and what would be right.
    pub problem: String,
}

/// Most cores that may serve.
const MAX_THREADS: u32 = 512;
/// Most routers.
const MAX_ENDPOINTS: usize = 16;
/// Longest of all times.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first key whose value makes no sense.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        self.check_access()?;
        self.check_tls()?;
        let threads = self.server.num_threads;
        holds(
            threads.is_none_or(|count| (1..=MAX_THREADS).contains(&count)),
            "server.num-threads",
            "must be from 1 to 512",
        )?;
        let routers = self.router.endpoints.as_slice().len();
        holds(
            (1..=MAX_ENDPOINTS).contains(&routers),
            "router.endpoints",
            "must name 1 to 16 routers",
        )?;
        holds(
            self.table.endpoints.as_slice().len() <= MAX_ENDPOINTS,
            "table.endpoints",
            "must name at most 16 tables",
        )?;
        holds(
            names::check(&self.names.namespace).is_ok() && self.names.namespace != names::OWN,
            "names.namespace",
            "must be the name of a namespace",
        )?;
        self.check_durations()?;
        self.check_counts()
    }

    fn check_access(&self) -> Result<(), InvalidConfig> {
        let auth = &self.auth;
        let ways = [auth.file.is_some(), !auth.key.is_empty(), auth.open];
        match ways.into_iter().filter(|way| *way).count() {
            0 => {
                return invalid(
                    "auth.file",
                    "is missing: name a file of credentials (--auth-file FILE) or one pair of them \
                     (--wsk-auth UUID:KEY), or serve anybody on the loopback address (--open)",
                );
            }
            1 => {}
            _ => {
                return invalid(
                    "auth.open",
                    "auth.file (--auth-file), auth.key (--wsk-auth) and auth.open (--open) exclude \
                     each other: either anybody may come or those with credentials",
                );
            }
        }
        holds(
            auth.key.is_empty() || Pair::parse(&auth.key).is_some(),
            "auth.key",
            "must be uuid:key or the base64 form of it",
        )?;
        holds(
            !auth.open || self.server.api_root.is_loopback(),
            "auth.open",
            "works on the loopback address only: anybody else needs credentials (--auth-file \
             FILE), or an API root like http://127.0.0.1:20000",
        )
    }

    fn check_tls(&self) -> Result<(), InvalidConfig> {
        let tls = &self.tls;
        if self.server.api_root.is_secure() {
            let problem = "is missing, and needed because the API root begins with https";
            holds(tls.certificate.is_some(), "tls.certificate", problem)?;
            holds(tls.key.is_some(), "tls.key", problem)
        } else {
            let unused = tls.certificate.is_none() && tls.key.is_none() && tls.client_ca.is_none();
            holds(
                unused,
                "server.api-root",
                "must begin with https where there are a certificate, a key or a client CA",
            )
        }
    }

    fn check_durations(&self) -> Result<(), InvalidConfig> {
        for (key, duration) in [
            ("router.set-aside", self.router.set_aside),
            ("table.interval", self.table.interval),
            ("invoke.max-wait", self.invoke.max_wait),
            ("invoke.action-timeout", self.invoke.action_timeout),
            ("invoke.patience", self.invoke.patience),
            ("idempotency.window", self.idempotency.window),
            ("idempotency.retry-window", self.idempotency.retry_window),
        ] {
            holds(
                !duration.is_zero() && duration <= DAY,
                key,
                "must be longer than 0 and at most a day",
            )?;
        }
        holds(
            !self.store.max_age.is_zero(),
            "store.max-age",
            "must be longer than 0",
        )
    }

    fn check_counts(&self) -> Result<(), InvalidConfig> {
        for (key, count) in [
            ("table.max-lambdas", self.table.max_lambdas),
            ("invoke.max-queued", self.invoke.max_queued),
            ("invoke.workers", self.invoke.workers),
            ("invoke.max-steps", self.invoke.max_steps),
            ("limits.max-in-flight", self.limits.max_in_flight),
            ("limits.max-connections", self.limits.max_connections),
            ("store.max-count", self.store.max_count),
        ] {
            holds(
                (1..=1_000_000).contains(&count),
                key,
                "must be from 1 to 1,000,000",
            )?;
        }
        holds(
            !self.invoke.binary_member.is_empty(),
            "invoke.binary-member",
            "must be the name of a member",
        )?;
        holds(
            (1..=250).contains(&self.invoke.max_hops),
            "invoke.max-hops",
            "must be from 1 to 250",
        )?;
        let limits = &self.limits;
        for (key, bytes) in [
            ("limits.max-body-bytes", limits.max_body_bytes),
            ("limits.max-result-bytes", limits.max_result_bytes),
        ] {
            holds(
                (1024..=64 << 20).contains(&bytes),
                key,
                "must be from 1 KiB to 64 MiB, in bytes",
            )?;
        }
        holds(
            limits.max_buffered_bytes >= limits.max_body_bytes,
            "limits.max-buffered-bytes",
            "must have room for one body (limits.max-body-bytes) at least",
        )?;
        holds(
            limits.max_unsent_bytes >= limits.max_result_bytes + AROUND_RESULT,
            "limits.max-unsent-bytes",
            "must have room for one answer (limits.max-result-bytes and 1 MiB) at least",
        )?;
        holds(
            self.invoke.max_registered_bytes <= limits.max_unsent_bytes / 2,
            "invoke.max-registered-bytes",
            "must be half of limits.max-unsent-bytes at the most, so that all of it can be listed",
        )
    }
}

fn holds(condition: bool, key: &'static str, problem: &str) -> Result<(), InvalidConfig> {
    if condition {
        Ok(())
    } else {
        invalid(key, problem)
    }
}

fn invalid(key: &'static str, problem: &str) -> Result<(), InvalidConfig> {
    let problem = problem.to_owned();
    Err(InvalidConfig { key, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_defaults_lack_nothing_but_who_may_come() {
        let mut config = Config::default();
        assert_eq!(config.check().unwrap_err().key, "auth.file");
        config.auth.open = true;
        assert_eq!(config.check(), Ok(()));
        let text = toml::to_string(&config).unwrap();
        assert_eq!(parsed(&text), config);
    }

    #[test]
    fn anybody_is_served_on_the_loopback_address_only() {
        for root in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"] {
            let config = parsed(&format!("auth.open = true\nserver.api-root = '{root}'"));
            assert_eq!(config.check(), Ok(()), "{root}");
        }
        for root in [
            "http://0.0.0.0:1",
            "http://10.0.0.1:1",
            "http://[::]:1",
            "http://a.b:1",
        ] {
            let config = parsed(&format!("auth.open = true\nserver.api-root = '{root}'"));
            assert_eq!(config.check().unwrap_err().key, "auth.open", "{root}");
        }
    }

    #[test]
    fn one_pair_of_credentials_is_enough_for_everywhere() {
        for key in ["user:key", "dXNlcjprZXk="] {
            let text = format!("auth.key = '{key}'\nserver.api-root = 'http://0.0.0.0:1'");
            assert_eq!(parsed(&text).check(), Ok(()), "{key}");
        }
        for key in ["user", "user:", ":key", "%%%", "dXNlcg=="] {
            let wrong = parsed(&format!("auth.key = '{key}'")).check().unwrap_err();
            assert_eq!(wrong.key, "auth.key");
            assert!(!wrong.to_string().contains("user"), "{wrong}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (text, key) in [
            ("auth.file = 'x'", "auth.open"),
            ("auth.key = 'u:k'", "auth.open"),
            ("invoke.binary-member = ''", "invoke.binary-member"),
            ("server.api-root = 'https://127.0.0.1:1'", "tls.certificate"),
            ("tls.certificate = 'x'", "server.api-root"),
            ("server.num-threads = 0", "server.num-threads"),
            ("router.endpoints = []", "router.endpoints"),
            ("names.namespace = '_'", "names.namespace"),
            ("names.namespace = 'a/b'", "names.namespace"),
            ("invoke.max-wait = 0", "invoke.max-wait"),
            ("invoke.workers = 0", "invoke.workers"),
            ("invoke.max-hops = 1000", "invoke.max-hops"),
            ("limits.max-body-bytes = 1", "limits.max-body-bytes"),
            ("limits.max-buffered-bytes = 1", "limits.max-buffered-bytes"),
            ("limits.max-unsent-bytes = 1", "limits.max-unsent-bytes"),
            (
                "invoke.max-registered-bytes = 1000000000",
                "invoke.max-registered-bytes",
            ),
        ] {
            let config = parsed(&format!("auth.open = true\n{text}"));
            assert_eq!(config.check().unwrap_err().key, key, "{text}");
        }
    }
}
