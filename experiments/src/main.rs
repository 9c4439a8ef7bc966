//! `lab`: the one-command demo, benchmarks and experiments.

/// As that of the standard library, but for a reader that has gone away (`lab … | head`): what it does not
/// want is left out, and the rest goes on.
macro_rules! println {
    () => {
        $crate::say(::std::format_args!("\n"))
    };
    ($($text:tt)*) => {
        $crate::say(::std::format_args!("{}\n", ::std::format_args!($($text)*)))
    };
}

mod bench;
mod chaos;
mod demo;
mod fabric;
mod files;
mod impair;
mod numbers;
mod overload;
mod run;
mod sim;

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use edge_daemon::cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Demonstrations and measurements on one machine, over loopback sockets.
#[derive(Debug, Parser)]
#[command(name = "lab")]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run controller, three unequal computers, router and client; slow one computer down, kill
    /// another, bring it back
    Demo(demo::Flags),
    /// Measure: print ratios from one run
    #[command(subcommand)]
    Bench(Bench),
    /// Offer more than the computers can do: goodput, refusals, fairness, memory, recovery
    Overload(overload::Flags),
    /// Simulate routers and executors in virtual time
    #[command(subcommand)]
    Sim(sim::Command),
    /// Put a link between a client and a server: delay, rate, loss, reordering
    Impair(impair::Flags),
    /// Run a published experiment again, beside its published figures
    #[command(subcommand)]
    Run(run::Command),
    /// Say what this machine allows: namespaces, packets through links, how precise timers are
    Doctor(fabric::doctor::Flags),
    /// Kill, freeze, cut off and confuse computers under load: what do routers make of it?
    Chaos(chaos::Flags),
    /// Serve a lambda that takes no time, for benchmarks
    #[command(hide = true)]
    Echo(bench::echo::Flags),
    /// Pass requests on by nothing but h2, for benchmarks
    #[command(hide = true)]
    HopFloor(bench::hop::floor::Flags),
    /// Simulate a computer that can be slowed down, for benchmarks
    #[command(hide = true)]
    BenchComputer(bench::balance::computer::Flags),
    /// Run a router, for benchmarks
    #[command(hide = true)]
    BenchRouter(bench::balance::router::Flags),
    /// Simulate a computer that keeps a journal, for chaos
    #[command(hide = true)]
    ChaosComputer(chaos::computer::Flags),
    /// Run a router that can be restarted, for chaos
    #[command(hide = true)]
    ChaosRouter(chaos::daemons::RouterFlags),
    /// Run a controller that can be restarted, for chaos
    #[command(hide = true)]
    ChaosController(chaos::daemons::ControllerFlags),
    /// Run a program that ends with whoever has started it
    #[command(hide = true)]
    Hosted(fabric::hosted::Flags),
    /// Run a router with a configuration of its own, for experiments
    #[command(hide = true)]
    OverloadRouter(overload::router::Flags),
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// What the router adds to a request, beside a direct call, Envoy, HAProxy and nginx
    Hop(bench::hop::Flags),
    /// How the router's cost grows with lambdas, destinations, connections and table changes
    Scale(bench::scale::Flags),
    /// The router beside Envoy and HAProxy: equal and unequal computers, slowed, paused, killed
    Balance(bench::balance::Flags),
}

fn say(text: std::fmt::Arguments<'_>) {
    match std::io::stdout().write_fmt(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            panic!("cannot write to standard output: {error}")
        }
        _ => {}
    }
}

fn main() -> ExitCode {
    edge_daemon::run(|| {
        let flags: Flags = cli::parse(std::env::args_os(), &[])?;
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(async {
                match flags.command {
                    Command::Demo(flags) => demo::run(&flags).await,
                    Command::Bench(Bench::Hop(flags)) => bench::hop::run(&flags).await,
                    Command::Bench(Bench::Scale(flags)) => bench::scale::run(&flags).await,
                    Command::Sim(command) => sim::execute(&command).await,
                    Command::Bench(Bench::Balance(flags)) => bench::balance::run(&flags).await,
                    Command::BenchComputer(flags) => bench::balance::computer::run(&flags).await,
                    Command::BenchRouter(flags) => bench::balance::router::run(flags).await,
                    Command::Chaos(flags) => chaos::run(&flags).await,
                    Command::ChaosComputer(flags) => chaos::computer::run(&flags).await,
                    Command::ChaosRouter(flags) => chaos::daemons::route(flags).await,
                    Command::ChaosController(flags) => chaos::daemons::control(flags).await,
                    Command::Overload(flags) => overload::run(&flags).await,
                    Command::OverloadRouter(flags) => overload::router::run(&flags).await,
                    Command::Impair(flags) => impair::run(&flags).await,
                    Command::Run(command) => run::execute(&command).await,
                    Command::Doctor(flags) => fabric::doctor::run(&flags).await,
                    Command::Hosted(flags) => fabric::hosted::run(&flags),
                    Command::Echo(flags) => bench::echo::run(&flags).await,
                    Command::HopFloor(flags) => bench::hop::floor::run(&flags).await,
                }
            })
    })
}
