//! The live table: redrawn in place on a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use edge_broker::{DestinationStatus, Standing};

use super::ledger::Share;
use super::world::LAMBDA;

/// Where the table goes.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: bool,
    /// Lines of the table that stands above the cursor.
    drawn: usize,
    /// Looks so far: without a terminal, every other one is shown.
    looks: usize,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self {
            terminal: std::io::stdout().is_terminal(),
            drawn: 0,
            looks: 0,
        }
    }

    /// Shows what has happened since the last look.
    pub(crate) fn show(&mut self, at: Duration, shares: &[Share], routes: &[DestinationStatus]) {
        self.looks += 1;
        if self.terminal {
            self.draw(at, shares, routes);
        } else if self.looks.is_multiple_of(2) {
            line(at, shares, routes);
        }
    }

    /// Says that something happens now.
    pub(crate) fn announce(&mut self, at: Duration, what: &str) {
        let (bold, plain) = if self.terminal {
            ("\x1b[1m", "\x1b[0m")
        } else {
            ("", "")
        };
        println!("{bold}{:5.1} s  *** {what}{plain}", at.as_secs_f64());
        // What stands there stays; the next table is drawn below.
        self.drawn = 0;
    }

    fn draw(&mut self, at: Duration, shares: &[Share], routes: &[DestinationStatus]) {
        let mut text = String::new();
        if self.drawn > 0 {
            text += &format!("\x1b[{}A\x1b[J", self.drawn);
        }
        text += &format!(
            "{:5.1} s  {:<8} {:<16} {:>6}  {:<20} {:>10} {:>9} {:>9} {:>9}\n",
            at.as_secs_f64(),
            "computer",
            "end-point",
            "share",
            "",
            "weight ms",
            "in flight",
            "p50 ms",
            "p99 ms"
        );
        for share in shares {
            let bar = "#".repeat((share.share * 20.0).round() as usize);
            let Route {
                weight,
                in_flight,
                aside,
            } = Route::of(share, routes);
            text += &format!(
                "         {:<8} {:<16} {:>5.0}%  {bar:<20} {weight:>10} {in_flight:>9} {:>9} {:>9} {aside}\n",
                share.label,
                share.endpoint,
                share.share * 100.0,
                milliseconds(share.p50),
                milliseconds(share.p99),
            );
        }
        self.drawn = 1 + shares.len();
        let mut out = std::io::stdout();
        // A screen that is gone is no reason to stop.
        let _shown = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

fn line(at: Duration, shares: &[Share], routes: &[DestinationStatus]) {
    let mut text = format!("{:5.1} s ", at.as_secs_f64());
    for share in shares {
        let Route {
            weight,
            in_flight,
            aside,
        } = Route::of(share, routes);
        text += &format!(
            " | {} {:3.0}% weight {weight} ms, {in_flight} in flight, p50 {} p99 {} ms{aside}",
            share.label,
            share.share * 100.0,
            milliseconds(share.p50),
            milliseconds(share.p99),
        );
    }
    println!("{text}");
}

/// What the router knows of a computer, in words.
struct Route {
    weight: String,
    in_flight: String,
    aside: &'static str,
}

impl Route {
    fn of(share: &Share, routes: &[DestinationStatus]) -> Self {
        let route = routes
            .iter()
            .find(|r| r.lambda == LAMBDA && r.destination == share.endpoint);
        match route {
            None => Self {
                weight: "-".into(),
                in_flight: "-".into(),
                aside: " (not in the table)",
            },
            Some(route) => Self {
                weight: format!("{:.1}", f64::from(route.weight) * 1e3),
                in_flight: route.in_flight.to_string(),
                aside: match route.standing {
                    Standing::Healthy => "",
                    Standing::SetAside => " (set aside)",
                },
            },
        }
    }
}

/// A latency for a person; a dash if there is none.
pub(crate) fn milliseconds(latency: Option<Duration>) -> String {
    latency.map_or_else(
        || "-".to_owned(),
        |l| format!("{:.1}", l.as_secs_f64() * 1e3),
    )
}
