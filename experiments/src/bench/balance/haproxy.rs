//! How HAProxy is set up: as its guides advise for gRPC in production.

use std::fmt::Write as _;

use edge_transport::Endpoint;

use super::peer::{Options, WORKERS_PER_BROKER};

/// The configuration of one HAProxy that listens at `listen`.
///
/// - `leastconn`, which counts requests with HTTP/2; connections are shared by all requests.
/// - A failed connection is tried again elsewhere at once (`redispatch 1`), three times at the
///   most; lost requests only where they may be repeated.
/// - Active checks over HTTP/2, which a frozen process does not answer: any answer with status
///   200 will do, and that is what a gRPC server answers even to what it does not know. Faster
///   than usual, so that troubles of a few seconds are noticed.
/// - Limits out of the way.
pub(super) fn config(
    listen: &Endpoint,
    admin: &Endpoint,
    computers: &[Endpoint],
    options: &Options,
) -> String {
    let retry_on = if options.idempotent {
        "all-retryable-errors"
    } else {
        "conn-failure"
    };
    let mut text = format!(
        "\
global
    nbthread {WORKERS_PER_BROKER}
    maxconn 4000
    tune.h2.max-concurrent-streams 10000

defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout check 500ms
    http-reuse always
    retries 3
    option redispatch 1
    retry-on {retry_on}

frontend lambda
    bind {listen} proto h2
    default_backend computers

frontend admin
    bind {admin}
    stats enable
    stats uri /

backend computers
    balance leastconn
    option httpchk
    http-check send meth GET uri / ver HTTP/2
    http-check expect status 200
    default-server proto h2 check inter 500ms fall 2 rise 1
"
    );
    for (number, computer) in computers.iter().enumerate() {
        writeln!(text, "    server computer{number} {computer}").expect("a string takes anything");
    }
    text
}

/// Retries, from the statistics as CSV: connections tried again at the same computer, and
/// requests sent to another one.
pub(super) fn retries(page: &str) -> Option<u64> {
    let mut lines = page.lines();
    let names: Vec<_> = lines.next()?.trim_start_matches("# ").split(',').collect();
    let row: Vec<_> = lines
        .map(|line| line.split(',').collect::<Vec<_>>())
        .find(|row| row.starts_with(&["computers", "BACKEND"]))?;
    let value = |name: &str| -> Option<u64> {
        let position = names.iter().position(|column| *column == name)?;
        row.get(position)?.parse().ok()
    };
    Some(value("wretr")? + value("wredis")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_those_of_the_whole_backend() {
        let page = "# pxname,svname,wretr,wredis,\n\
                    computers,computer0,7,8,\n\
                    computers,BACKEND,2,3,\n";
        assert_eq!(retries(page), Some(5));
        assert_eq!(retries("# pxname,svname,\n"), None);
    }
}
