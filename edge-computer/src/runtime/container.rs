//! A container: a process or a server of the runtime protocol, and who is using it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::process::Process;

/// What runs in a container.
#[derive(Debug)]
pub(super) enum Host {
    /// A process of ours.
    Process(Process),
    /// A server that is there anyhow; by number.
    Endpoint(usize, String),
}

/// A container of one function.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) host: Host,
    /// How long it took to start.
    pub(super) launch: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    active: u32,
    ready: bool,
    retired: bool,
    last_used: Instant,
}

impl Container {
    /// A new one, which nobody uses yet: whoever does first has it initialised.
    pub(super) fn new(host: Host, launch: Duration) -> Arc<Self> {
        Arc::new(Self {
            host,
            launch,
            state: Mutex::new(State {
                active: 0,
                ready: false,
                retired: false,
                last_used: Instant::now(),
            }),
        })
    }

    pub(super) fn url(&self) -> &str {
        match &self.host {
            Host::Process(process) => &process.url,
            Host::Endpoint(_, url) => url,
        }
    }

    /// Its URL for others to see, without the credentials that it may have.
    pub(super) fn shown_url(&self) -> String {
        let Ok(mut url) = reqwest::Url::parse(self.url()) else {
            return "its server".to_owned();
        };
        // An error means that such a URL has none.
        let _none = (url.set_username(""), url.set_password(None));
        url.as_str().trim_end_matches('/').to_owned()
    }

    pub(super) fn secret(&self) -> Option<&str> {
        match &self.host {
            Host::Process(process) => process.secret.as_deref(),
            Host::Endpoint(..) => None,
        }
    }

    /// Takes one of `concurrency` uses of it, if it is fit to be used.
    pub(super) fn enter(&self, concurrency: u32) -> bool {
        if matches!(&self.host, Host::Process(process) if process.has_exited()) {
            self.retire();
        }
        self.with(|state| {
            let free = state.ready && !state.retired && state.active < concurrency;
            state.active += u32::from(free);
            free
        })
    }

    /// Takes it in order to initialise it, if nobody has done so.
    pub(super) fn enter_new(&self) -> bool {
        self.with(|state| {
            let free = !state.ready && !state.retired && state.active == 0;
            state.active += u32::from(free);
            free
        })
    }

    /// Whether somebody is initialising it, or may do so.
    pub(super) fn is_coming(&self) -> bool {
        self.with(|state| !state.ready && !state.retired)
    }

    /// It has been initialised: others may use it, too.
    pub(super) fn initialised(&self) {
        self.with(|state| state.ready = true);
    }

    /// One use of it has ended.
    pub(super) fn leave(&self) {
        self.with(|state| {
            state.active = state.active.saturating_sub(1);
            state.last_used = Instant::now();
        });
    }

    /// Nobody is to use it any more.
    pub(super) fn retire(&self) {
        self.with(|state| state.retired = true);
    }

    /// Whether it can be given up: it is of no use any more and nobody uses it.
    pub(super) fn is_over(&self) -> bool {
        self.with(|state| state.active == 0 && state.retired) || self.has_ended()
    }

    /// Whether its process has ended.
    pub(super) fn has_ended(&self) -> bool {
        matches!(&self.host, Host::Process(process) if process.ended.is_cancelled())
    }

    /// Since when nobody uses it; `None` if somebody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.with(|state| (state.active == 0).then_some(state.last_used))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
