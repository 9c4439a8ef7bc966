//! `edgecomputerclient`: prints the utilisation that a computer streams.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use edge_daemon::{cli, escaped};
use edge_proto::rpc::edge_computer_client::EdgeComputerClient;
use edge_proto::rpc::{Utilization, Void};
use edge_transport::tls::TlsFiles;
use edge_transport::{Endpoint, control};

/// Prints the utilisation of a computer, a line per processor and second: seconds since the
/// start, processor, utilisation from 0 to 1
#[derive(Debug, clap::Parser)]
#[command(name = "edgecomputerclient")]
struct Flags {
    /// Where the computer streams its utilisation [default: localhost:6476]
    #[arg(long, value_name = "HOST:PORT")]
    server_endpoint: Option<Endpoint>,
    /// Where to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// The stream is encrypted; certificates as the environment names them
    #[arg(long)]
    secure: bool,
}

fn main() -> ExitCode {
    edge_daemon::run(|| {
        let options = ["server-endpoint", "output-file"];
        let flags: Flags = cli::parse(std::env::args_os(), &options)?;
        let mut output: Box<dyn Write> = match &flags.output_file {
            None => Box::new(io::stdout().lock()),
            Some(path) => {
                let file = File::create(path);
                Box::new(file.with_context(|| format!("cannot write {}", path.display()))?)
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(print(&flags, &mut output))
    })
}

/// Prints until the stream breaks, which is an error, or nobody reads any more, which is not.
async fn print(flags: &Flags, output: &mut dyn Write) -> anyhow::Result<()> {
    let default = Endpoint::new("localhost", 6476);
    let server = flags.server_endpoint.as_ref().unwrap_or(&default);
    let tls = flags
        .secure
        .then(|| TlsFiles::from_environment()?.client_config())
        .transpose()?;
    let started = Instant::now();
    let mut client = EdgeComputerClient::new(control::streaming_channel(server, tls));
    let failed = |status: tonic::Status| {
        let reason = control::explain(&status);
        anyhow!("no utilisation from {server}: {reason}")
    };
    let mut samples = client
        .stream_util(Void {})
        .await
        .map_err(failed)?
        .into_inner();
    while let Some(sample) = samples.message().await.map_err(failed)? {
        let seconds = started.elapsed().as_secs_f64();
        match write(output, seconds, &sample) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.context("cannot write the utilisation")?,
        }
    }
    Err(anyhow!("{server} has ended the stream"))
}

fn write(output: &mut dyn Write, seconds: f64, sample: &Utilization) -> io::Result<()> {
    for (processor, utilization) in &sample.values {
        let processor = escaped(processor);
        writeln!(output, "{seconds:.6} {processor} {utilization:.6}")?;
    }
    output.flush()
}
