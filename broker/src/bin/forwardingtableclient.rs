//! `forwardingtableclient`: shows and changes the forwarding tables of a router.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use edge_balance::{Owner, Rows, TableEntry};
use edge_daemon::{UsageError, cli, escaped, run};
use edge_proto::rpc::edge_router_client::EdgeRouterClient;
use edge_proto::rpc::edge_router_conf::Action as Operation;
use edge_proto::rpc::{EdgeRouterConf, TableId, Void};
use edge_transport::control::Channel;
use edge_transport::tls::TlsFiles;
use edge_transport::{Endpoint, control};
use tonic::Status;

/// Shows and changes the forwarding tables of a router.
#[derive(Debug, clap::Parser)]
#[command(name = "forwardingtableclient")]
struct Flags {
    /// The table server of the router
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:6474")]
    server_endpoint: String,
    /// What to do: dump the tables; reset all weights to 1; flush everything; change (or add)
    /// or remove a destination of a lambda
    #[arg(long, value_enum, default_value = "dump")]
    action: Action,
    /// The lambda, for change and remove [default: clambda0]
    #[arg(long, value_name = "NAME")]
    lambda: Option<String>,
    /// The destination, for change and remove [default: localhost:6473]
    #[arg(long, value_name = "HOST:PORT")]
    destination: Option<String>,
    /// The weight, for change [default: 1]
    #[arg(long, value_name = "COST", allow_negative_numbers = true)]
    weight: Option<f32>,
    /// The destination executes the lambda itself, for change
    #[arg(long = "final")]
    is_final: bool,
    /// Whose the destination is, for change [default: nobody's in particular]; for remove: only if
    /// it is theirs
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Print whose the destinations are, for dump
    #[arg(long)]
    show_owners: bool,
    /// Mutual TLS, for routers started with --secure-control
    #[arg(long)]
    secure: bool,
}

impl Flags {
    /// Refuses options that the action has no use for: whoever gives a lambda to flush, say, does not
    /// want all others to go, too.
    fn check(&self) -> Result<(), UsageError> {
        use Action::{Change, Dump, Remove};
        let options: [(_, _, &[Action]); 6] = [
            ("--lambda", self.lambda.is_some(), &[Change, Remove]),
            (
                "--destination",
                self.destination.is_some(),
                &[Change, Remove],
            ),
            ("--weight", self.weight.is_some(), &[Change]),
            ("--final", self.is_final, &[Change]),
            ("--owner", self.owner.is_some(), &[Change, Remove]),
            ("--show-owners", self.show_owners, &[Dump]),
        ];
        for (option, is_given, actions) in options {
            if is_given && !actions.contains(&self.action) {
                let actions: Vec<_> = actions.iter().map(|action| action.name()).collect();
                let actions = actions.join(" and ");
                return Err(UsageError(format!(
                    "{option} is for --action {actions} only"
                )));
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Action {
    Dump,
    Reset,
    Flush,
    Change,
    Remove,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Dump => "dump",
            Self::Reset => "reset",
            Self::Flush => "flush",
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }
}

const REFERENCE_OPTIONS: &[&str] = &[
    "help",
    "server-endpoint",
    "action",
    "lambda",
    "destination",
    "weight",
    "final",
];

/// Longest time of one operation.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Entries asked for at once, so that tables of any size fit into messages.
const PAGE: u32 = 10_000;
/// Largest page accepted; a router that knows no pages sends its whole table.
const MAX_PAGE_BYTES: usize = 256 << 20;
/// No router holds more entries, whatever it says.
const MOST_ENTRIES: u64 = 100_000_000;
/// What the names in a table may add up to.
const MOST_NAME_BYTES: usize = 4 << 30;

fn main() -> ExitCode {
    run(|| {
        let flags: Flags = cli::parse(std::env::args_os(), REFERENCE_OPTIONS)?;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(execute(&flags))
    })
}

async fn execute(flags: &Flags) -> anyhow::Result<()> {
    flags.check()?;
    let endpoint: Endpoint = flags
        .server_endpoint
        .parse()
        .map_err(|error| UsageError(format!("{error}")))?;
    let tls = match flags.secure {
        false => None,
        true => {
            let config = TlsFiles::from_environment().and_then(|files| files.client_config());
            Some(config.map_err(|error| UsageError(error.to_string()))?)
        }
    };
    let router = control::channel(&endpoint, tls, TIMEOUT);
    let told = async {
        match flags.action {
            Action::Dump => dump(&router, flags.show_owners).await,
            Action::Reset => reset(&router).await,
            Action::Flush => one(&router, operation(flags, Operation::Flush)).await,
            Action::Change => one(&router, operation(flags, Operation::Change)).await,
            Action::Remove => one(&router, operation(flags, Operation::Remove)).await,
        }
    };
    let text = told
        .await
        .with_context(|| format!("no success with the router at {endpoint}"))?;
    Ok(cli::print(&text)?)
}

fn operation(flags: &Flags, action: Operation) -> EdgeRouterConf {
    if action == Operation::Flush {
        return EdgeRouterConf::default();
    }
    let destination = flags.destination.as_deref();
    EdgeRouterConf {
        action: action as i32,
        lambda: flags.lambda.as_deref().unwrap_or("clambda0").to_owned(),
        destination: destination.unwrap_or("localhost:6473").to_owned(),
        weight: flags.weight.unwrap_or(1.0),
        r#final: flags.is_final,
        owner: flags.owner.clone().unwrap_or_default(),
        ..EdgeRouterConf::default()
    }
}

fn failed(status: &Status) -> anyhow::Error {
    anyhow::anyhow!(control::explain(status))
}

async fn one(router: &Channel, operation: EdgeRouterConf) -> anyhow::Result<String> {
    let msg = EdgeRouterClient::new(router.clone())
        .configure(operation)
        .await
        .map_err(|status| failed(&status))?
        .into_inner()
        .msg;
    anyhow::ensure!(
        msg == "OK",
        "{}",
        msg.strip_prefix("Error: ").unwrap_or(&msg)
    );
    Ok("OK\n".to_owned())
}

async fn dump(router: &Channel, show_owners: bool) -> anyhow::Result<String> {
    let mut text = String::new();
    for (id, entries) in tables(router).await?.into_iter().enumerate() {
        // Names are anybody's, and a line feed in one would make two rows of one.
        let entries = entries.into_iter().map(|(entry, owner)| {
            let shown = TableEntry {
                lambda: escaped(&entry.lambda).into_owned(),
                destination: escaped(&entry.destination).into_owned(),
                ..entry
            };
            (shown, escaped(&owner).into_owned())
        });
        let (entries, owners): (Vec<_>, Vec<_>) = entries.unzip();
        let rows = Rows(&entries).to_string();
        text += &format!("Table#{id}\n");
        if !show_owners {
            text += &rows;
            continue;
        }
        for (row, owner) in rows.lines().zip(&owners) {
            let owner = if owner.is_empty() { "-" } else { owner };
            text += &format!("{row} {owner}\n");
        }
    }
    Ok(text)
}

/// Sets every weight of every table to 1, keeping what is final, and whose it is.
async fn reset(router: &Channel) -> anyhow::Result<String> {
    let mut routes = BTreeMap::new();
    for (entry, owner) in tables(router).await?.into_iter().flatten() {
        routes
            .entry((entry.lambda, entry.destination))
            .or_insert((false, owner))
            .0 |= entry.is_final;
    }
    for ((lambda, destination), (is_final, owner)) in routes {
        let action = Operation::Change as i32;
        let change = EdgeRouterConf {
            action,
            lambda,
            destination,
            weight: 1.0,
            r#final: is_final,
            owner,
            ..EdgeRouterConf::default()
        };
        one(router, change).await?;
    }
    Ok("OK\n".to_owned())
}

/// An entry, and the name of its owner.
type Owned = (TableEntry, String);

async fn tables(router: &Channel) -> anyhow::Result<Vec<Vec<Owned>>> {
    let count = EdgeRouterClient::new(router.clone())
        .get_num_tables(Void {})
        .await
        .map_err(|status| failed(&status))?
        .into_inner()
        .value;
    anyhow::ensure!(count <= 16, "{count} tables are more than any router has");
    let mut tables = Vec::new();
    for id in 0..count {
        tables.push(table(router, id).await?);
    }
    Ok(tables)
}

fn names((entry, _): &Owned) -> (&str, &str) {
    (&entry.lambda, &entry.destination)
}

async fn table(router: &Channel, id: u32) -> anyhow::Result<Vec<Owned>> {
    let mut entries: Vec<Owned> = Vec::new();
    let mut name_bytes = 0;
    loop {
        let offset = entries.len() as u64;
        let page = TableId {
            value: id,
            offset,
            limit: PAGE,
        };
        let page = edge_proto::table::page(router.clone(), page, MAX_PAGE_BYTES)
            .await
            .map_err(|status| failed(&status))?;
        anyhow::ensure!(
            page.total <= MOST_ENTRIES,
            "{} entries are more than any router has",
            page.total
        );
        let (received, before) = (page.entries.len(), entries.len());
        entries.extend(page.entries.into_iter().map(|entry| {
            let shown = TableEntry {
                lambda: entry.lambda,
                destination: entry.destination,
                weight: entry.weight,
                is_final: entry.r#final,
                owner: Owner::NOBODY,
            };
            (shown, entry.owner)
        }));
        let (known, new) = entries.split_at(before);
        let bytes =
            |(entry, owner): &Owned| entry.lambda.len() + entry.destination.len() + owner.len();
        name_bytes += new.iter().map(bytes).sum::<usize>();
        anyhow::ensure!(
            name_bytes <= MOST_NAME_BYTES,
            "the names of the table are more than {MOST_NAME_BYTES} bytes"
        );
        let is_repeated = received > 0
            && known.len() >= received
            && known[before - received..]
                .iter()
                .map(names)
                .eq(new.iter().map(names));
        anyhow::ensure!(!is_repeated, "it sends the same page of its table again");
        // No total: a router that knows no pages and has sent everything.
        if page.total == 0 || received == 0 || entries.len() as u64 >= page.total {
            return Ok(entries);
        }
    }
}
