//! The table of one router, over gRPC: read it, change it, each call with a deadline.

use std::sync::Arc;
use std::time::Duration;

use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::edge_router_conf::{Action, Filling};
use edge_proto::rpc::forwarding_table::Entry;
use edge_proto::rpc::{EdgeRouterConf, ForwardingTable, TableId};
use edge_transport::control::Channel;
use edge_transport::tls::ClientConfig;
use edge_transport::{Endpoint, control};
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::ledger::{Order, Reading, Shown, Whose};
use crate::names::{LambdaName, Route};

/// Entries asked for at once. Routers of the C++ reference send all they have.
const PAGE: u32 = 10_000;
/// Largest page accepted, in bytes.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// Largest table read, and what the names in it may add up to, in bytes.
const MAX_ENTRIES: usize = 4_000_000;
const MAX_NAME_BYTES: usize = 256 << 20;
/// How often a table that changes while it is read is read again.
const READINGS: usize = 3;

/// Why a router could not be talked to. Everything may work later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The call took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The call failed.
    #[error("{}", control::explain(.0))]
    Failed(Box<Status>),
    /// The table cannot be read in pages.
    #[error("its table changed each of the {READINGS} times that it was read")]
    Unsteady,
    /// The table is beyond all measure.
    #[error("its table has more than {MAX_ENTRIES} entries, or {MAX_NAME_BYTES} bytes of names")]
    TooLarge,
}

/// The router understood, and did not do it: what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) String);

/// A client of one router's table. Clones share the connection.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    channel: Channel,
    timeout: Duration,
    /// On whose behalf.
    owner: Arc<str>,
}

impl Table {
    /// The table served at `endpoint`. Connects when first used.
    pub(crate) fn at(
        endpoint: &Endpoint,
        tls: Option<Arc<ClientConfig>>,
        timeout: Duration,
        owner: Arc<str>,
    ) -> Self {
        Self {
            channel: control::channel(endpoint, tls, timeout),
            timeout,
            owner,
        }
    }

    /// Reads the table for requests of clients.
    pub(crate) async fn read(&self) -> Result<Reading, Fault> {
        for _ in 0..READINGS {
            if let Some((entries, has_owners)) = self.read_pages().await? {
                let whose = |entry: &Entry| match has_owners {
                    false => Whose::Unsaid,
                    true if *entry.owner == *self.owner => Whose::Ours,
                    true => Whose::Others,
                };
                let shown = |entry: &Entry| shown(entry, whose(entry));
                return Ok(Reading {
                    entries: entries.iter().filter_map(shown).collect(),
                    has_owners,
                });
            }
        }
        Err(Fault::Unsteady)
    }

    /// Reads page after page. Each begins with the last entry of the one
    /// before; if it does not, the table has changed, entries may have been
    /// skipped, and there is no result. Says besides whether entries have owners.
    async fn read_pages(&self) -> Result<Option<(Vec<Entry>, bool)>, Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut name_bytes = 0;
        loop {
            let offset = entries.len().saturating_sub(1);
            let page = self.page(offset as u64).await?;
            let mut new = page.entries.into_iter();
            if let Some(last) = entries.last() {
                let again = new.next();
                if again.is_none_or(|again| !same_route(&again, last)) {
                    return Ok(None);
                }
            }
            let before = entries.len();
            entries.extend(new);
            name_bytes += entries[before..].iter().map(names).sum::<usize>();
            is_bounded(entries.len(), name_bytes)?;
            // No total: a router that knows no pages has sent everything.
            if page.total <= entries.len() as u64 {
                return Ok(Some((entries, page.has_owners)));
            }
            if entries.len() == before {
                return Ok(None);
            }
        }
    }

    async fn page(&self, offset: u64) -> Result<ForwardingTable, Fault> {
        let id = TableId {
            value: 0,
            offset,
            limit: PAGE,
        };
        let page = edge_proto::table::page(self.channel.clone(), id, MAX_PAGE_BYTES);
        self.within(page).await
    }

    /// Carries out `order`, and says how far the table is filled then.
    pub(crate) async fn carry_out(
        &self,
        order: &Order,
        filling: Filling,
    ) -> Result<Result<(), Refusal>, Fault> {
        match order {
            Order::Change { route, weight } => self.change(route, *weight, filling).await,
            Order::Remove { route } => self.remove(route, filling).await,
            Order::Replace { route, weight } => match self.remove(route, Filling::Unsaid).await? {
                Ok(()) => self.change(route, *weight, filling).await,
                refused => Ok(refused),
            },
        }
    }

    async fn change(
        &self,
        route: &Route,
        weight: f32,
        filling: Filling,
    ) -> Result<Result<(), Refusal>, Fault> {
        let mut conf = self.conf(Action::Change, route, filling);
        conf.weight = weight;
        conf.r#final = true;
        self.configure(conf).await
    }

    async fn remove(&self, route: &Route, filling: Filling) -> Result<Result<(), Refusal>, Fault> {
        self.configure(self.conf(Action::Remove, route, filling))
            .await
    }

    fn conf(&self, action: Action, route: &Route, filling: Filling) -> EdgeRouterConf {
        EdgeRouterConf {
            action: action.into(),
            lambda: route.lambda.to_string(),
            destination: route.destination.to_string(),
            owner: self.owner.to_string(),
            filling: filling.into(),
            ..EdgeRouterConf::default()
        }
    }

    async fn configure(&self, conf: EdgeRouterConf) -> Result<Result<(), Refusal>, Fault> {
        let mut client = EdgeRouterClient::new(self.channel.clone());
        let configured = async { Ok(client.configure(conf).await?.into_inner()) };
        match self.within(configured).await {
            Ok(answer) if answer.msg == edge_proto::OK => Ok(Ok(())),
            Ok(answer) => Ok(Err(Refusal(answer.msg))),
            Err(Fault::Failed(status)) if is_refusal(status.code()) => {
                Ok(Err(Refusal(control::explain(&status))))
            }
            Err(fault) => Err(fault),
        }
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Fault> {
        match timeout(self.timeout, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => Err(Fault::Failed(Box::new(status))),
            Err(_) => Err(Fault::Timeout(self.timeout)),
        }
    }
}

/// Whether trying the same again cannot help, but other entries may do better.
fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
    )
}

fn is_bounded(entries: usize, name_bytes: usize) -> Result<(), Fault> {
    match entries <= MAX_ENTRIES && name_bytes <= MAX_NAME_BYTES {
        true => Ok(()),
        false => Err(Fault::TooLarge),
    }
}

/// Bytes of the names in an entry.
fn names(entry: &Entry) -> usize {
    entry.lambda.len() + entry.destination.len() + entry.owner.len()
}

fn same_route(a: &Entry, b: &Entry) -> bool {
    a.lambda == b.lambda && a.destination == b.destination
}

/// An entry, unless it is of a form that we would never have given it, which
/// makes it somebody else's.
fn shown(entry: &Entry, whose: Whose) -> Option<(Route, Shown)> {
    let destination: Endpoint = entry.destination.parse().ok()?;
    let route = Route {
        lambda: LambdaName::try_from(entry.lambda.as_str()).ok()?,
        destination: destination.into(),
    };
    let shown = Shown {
        weight: entry.weight,
        is_final: entry.r#final,
        whose,
    };
    (route.destination.as_str() == entry.destination).then_some((route, shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_entries_nor_the_names_in_them_are_read_without_end() {
        assert!(is_bounded(MAX_ENTRIES, MAX_NAME_BYTES).is_ok());
        assert!(is_bounded(MAX_ENTRIES + 1, 0).is_err());
        assert!(is_bounded(1, MAX_NAME_BYTES + 1).is_err());
    }
}
