//! `etsimeccli`: shows what an Mx2 server offers, on a terminal or to a Mattermost channel.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use edge_daemon::{cli, escaped, run};
use mec_mx2::ApiRoot;
use mec_mx2::client::{Options, app_list};
use mec_mx2::model::AppInfo;

/// Asks an Mx2 server what applications it offers
#[derive(Debug, clap::Parser)]
#[command(name = "etsimeccli")]
struct Flags {
    /// Where the server is
    #[arg(long, value_name = "URI", default_value = "http://127.0.0.1:6500")]
    etsi_api_root: ApiRoot,

    /// What to ask
    #[arg(long, value_enum, default_value = "app_list")]
    command: Command,

    /// Show all that is known of each application
    #[arg(long, conflicts_with = "mattermost_output")]
    verbose: bool,

    /// Show a table in Markdown, as Mattermost renders it
    #[arg(long)]
    mattermost_output: bool,

    /// File with the bearer token, for servers that ask for one
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Command {
    #[value(name = "app_list")]
    AppList,
}

const REFERENCE_OPTIONS: [&str; 4] = ["etsi-api-root", "command", "verbose", "mattermost-output"];

fn main() -> ExitCode {
    run(|| {
        let flags: Flags = cli::parse(std::env::args_os(), &REFERENCE_OPTIONS)?;
        let Command::AppList = flags.command;
        let token = match &flags.token_file {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the token from {}", path.display()))?
                    .trim()
                    .to_owned(),
            ),
            None => None,
        };
        let options = Options {
            token,
            ..Options::new(flags.etsi_api_root.clone())
        };
        let (_, apps) = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(app_list(&options))?;
        cli::print(&shown(&apps, &flags))?;
        Ok(())
    })
}

fn shown(apps: &[AppInfo], flags: &Flags) -> String {
    let mut text = String::new();
    if flags.mattermost_output {
        text.push_str("| appName | appProvider | appSoftVersion |\n|---|---|---|\n");
    }
    for app in apps {
        let AppInfo {
            name,
            provider,
            soft_version,
            ..
        } = app;
        let row = if flags.mattermost_output {
            let cell = |text: &str| text.replace('|', "\\|");
            let (name, provider) = (cell(name), cell(provider));
            format!("| {name} | {provider} | {} |", cell(soft_version))
        } else if flags.verbose {
            let charcs = app.characteristics;
            format!(
                "{name}, {provider}, {soft_version}: {} (memory {} MB, storage {} MB, latency {} ms, bandwidth {} kbit/s, service continuity {})",
                app.description,
                charcs.memory,
                charcs.storage,
                charcs.latency,
                charcs.bandwidth,
                if charcs.service_continuity {
                    "required"
                } else {
                    "not required"
                },
            )
        } else {
            format!("{name}, {provider}, {soft_version}")
        };
        // The server chose the texts, which stay one line each.
        text.push_str(&escaped(&row));
        text.push('\n');
    }
    text
}
