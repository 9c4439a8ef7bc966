//! A complete small daemon: greets whoever connects.

use std::process::ExitCode;

use edge_daemon::{
    admin::{Admin, AdminConfig},
    cli::{self, CommonFlags},
    conf_string::{ConfSchema, Key, Kind},
    layers::{Layers, Loaded},
    lifecycle::{DrainConfig, Shutdown, drain},
    log::{self, LogConfig},
    run, signals,
};
use prometheus_client::metrics::counter::Counter;
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWriteExt, net::TcpListener};
use tokio_util::task::TaskTracker;

/// Greets whoever connects
#[derive(Debug, clap::Parser)]
#[command(name = "greeter")]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
    /// Where to listen
    #[arg(long, value_name = "HOST:PORT")]
    server_endpoint: Option<String>,
    /// How to greet: type=polite,title=T or type=plain, both with repeat=N
    #[arg(long, value_name = "CONF")]
    greeting_conf: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    server: ServerConfig,
    greeting: GreetingConfig,
    drain: DrainConfig,
    log: LogConfig,
    admin: AdminConfig,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct ServerConfig {
    endpoint: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields, rename_all = "kebab-case")]
enum GreetingConfig {
    Plain { repeat: usize },
    Polite { title: String, repeat: usize },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            greeting: GreetingConfig::Plain { repeat: 1 },
            drain: DrainConfig::default(),
            log: LogConfig::default(),
            admin: AdminConfig::on_port(9499),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            endpoint: "127.0.0.1:6499".to_owned(),
        }
    }
}

static GREETING_CONF: ConfSchema = ConfSchema {
    option: "--greeting-conf",
    section: "greeting",
    kinds: &[
        Kind {
            name: "plain",
            keys: &[],
        },
        Kind {
            name: "polite",
            keys: &[Key::text("title")],
        },
    ],
    common: &[Key::integer("repeat")],
};

fn main() -> ExitCode {
    run(|| {
        let flags: Flags = cli::parse(std::env::args_os(), &["server-endpoint"])?;
        let loaded: Loaded<Config> = Layers::new("greeter")
            .common(&flags.common, None)
            .flag(
                "--server-endpoint",
                "server.endpoint",
                flags.server_endpoint,
            )
            .conf_string(&GREETING_CONF, flags.greeting_conf.as_deref())
            .load()?;
        let greeting = match &loaded.config.greeting {
            GreetingConfig::Plain { repeat } => "hello\n".repeat(*repeat),
            GreetingConfig::Polite { title, repeat } => format!("hello {title}\n").repeat(*repeat),
        };
        if greeting.is_empty() {
            return Err(loaded
                .invalid("greeting.repeat", "must be at least 1")
                .into());
        }
        if flags.common.answered(&loaded)? {
            return Ok(());
        }
        log::init(&loaded.config.log);
        loaded.log_warnings();
        let shutdown = Shutdown::new();
        signals::install(&shutdown)?;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(serve(loaded.config, greeting, shutdown))
    })
}

async fn serve(config: Config, greeting: String, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = TcpListener::bind(&config.server.endpoint).await?;
    let mut admin = Admin::new("greeter", env!("CARGO_PKG_VERSION"));
    let greeted: Counter = Counter::default();
    admin
        .metrics()
        .register("greeted", "Clients greeted", greeted.clone());
    let shown = greeting.clone();
    admin.json("/greeting", move || shown.clone());
    let readiness = admin.readiness();
    let admin = admin.start(&config.admin).await?;
    readiness.ready();
    tracing::info!(address = %listener.local_addr()?, "greeter listens");

    let connections = TaskTracker::new();
    while let Some(accepted) = shutdown
        .token()
        .run_until_cancelled(listener.accept())
        .await
    {
        let (mut stream, _) = accepted?;
        let (greeting, greeted) = (greeting.clone(), greeted.clone());
        connections.spawn(async move {
            // A client that went away has missed its greeting.
            if stream.write_all(greeting.as_bytes()).await.is_ok() {
                greeted.inc();
            }
            // It stays until it has nothing more to say.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        });
    }

    let reason = shutdown.requested().await;
    tracing::info!(reason, "draining");
    readiness.not_ready("draining");
    drop(listener);
    connections.close();
    let drained = drain(config.drain.deadline, connections.wait()).await;
    if let Some(admin) = admin {
        admin.stop().await;
    }
    Ok(drained?)
}
