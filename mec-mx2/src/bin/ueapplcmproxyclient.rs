//! `ueapplcmproxyclient`: manages an Mx2 server by commands, one a line.

use std::io::{BufRead as _, ErrorKind, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use edge_daemon::{cli, run};
use edge_transport::tls::{ClientConfig, TlsFiles};
use edge_transport::{Endpoint, control};
use mec_mx2::commands::{Answer, Commands};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Manages an Mx2 server by commands on standard input, one a line; `help` lists them
#[derive(Debug, clap::Parser)]
#[command(name = "ueapplcmproxyclient")]
struct Flags {
    /// Where the management of the server listens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:6477")]
    server_endpoint: Endpoint,

    /// Use mutual TLS, with the files that CERT_DIR, CA_CRT, CLIENT_CRT and CLIENT_KEY name
    #[arg(long)]
    secure: bool,
}

fn main() -> ExitCode {
    run(|| {
        let flags: Flags = cli::parse(std::env::args_os(), &["server-endpoint"])?;
        let tls = if flags.secure {
            Some(TlsFiles::from_environment()?.client_config()?)
        } else {
            None
        };
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(serve(&flags.server_endpoint, tls))
    })
}

async fn serve(server: &Endpoint, tls: Option<Arc<ClientConfig>>) -> anyhow::Result<()> {
    // `0.0.0.0`, as scripts of the reference have it, is this machine.
    let server = if server.is_unspecified() {
        Endpoint::new("127.0.0.1", server.port())
    } else {
        server.clone()
    };
    let mut commands = Commands::new(control::channel(&server, tls, TIMEOUT));
    let mut failures = 0_usize;
    for line in std::io::stdin().lock().lines() {
        match commands.run(&line?).await {
            Answer::Silence => {}
            Answer::Quit => break,
            Answer::Text(text) => {
                let mut out = std::io::stdout().lock();
                match writeln!(out, "{text}").and_then(|()| out.flush()) {
                    // Nobody reads any more what is asked for.
                    Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
                    written => written?,
                }
            }
            Answer::Failure(text) => {
                failures += 1;
                writeln!(std::io::stderr(), "{text}")?;
            }
        }
    }
    anyhow::ensure!(failures == 0, "{failures} commands failed");
    Ok(())
}
