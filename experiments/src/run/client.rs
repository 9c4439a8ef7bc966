//! One `edgeclient`: how it is started, and what it has seen.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::Context as _;
use edge_transport::Endpoint;
use serde::Deserialize;

use super::mode::Mode;
use super::scene::{Client, LAMBDA, Programs, Scene, secure};
use crate::fabric::hosted;

/// How long it waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What a client has seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    /// Of answers after the warm-up, in the order in which they came.
    pub(super) latencies: Vec<Duration>,
    /// Of its first request, connection included.
    pub(super) first: Option<Duration>,
    /// Requests without an answer, or with a wrong one, from the beginning.
    pub(super) errors: u64,
    /// One of the reasons.
    pub(super) why: Option<String>,
}

/// The file with one line per answer.
pub(super) fn lines(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("client-{number}.txt"))
}

/// The command that asks at `place`.
pub(super) fn command(
    scene: &Scene,
    programs: &Programs,
    client: Client,
    place: &Endpoint,
    folder: &Path,
    number: usize,
) -> anyhow::Result<Command> {
    let load = &scene.load;
    let mut command = hosted::command(&programs.client)?;
    let seconds = |duration: Duration| format!("{}us", duration.as_micros());
    for (option, value) in [
        ("server-endpoints", place.to_string()),
        ("client-conf", scene.mode.client_conf().to_owned()),
        ("lambda", LAMBDA.to_owned()),
        ("sizes", load.bytes.to_string()),
        ("num-threads", load.in_flight.to_string()),
        ("inter-request-time", seconds(load.every)),
        ("duration", seconds(load.warm_up + load.length)),
        ("timeout", seconds(TIMEOUT)),
        ("seed", client.seed.to_string()),
        ("output", "json".to_owned()),
        ("output-file", lines(folder, number).display().to_string()),
    ] {
        command.arg(format!("--{option}={value}"));
    }
    if scene.mode == Mode::Quic0Rtt {
        // Only what may be repeated travels early.
        command.arg("--idempotent");
    }
    secure(&mut command, scene.mode, folder);
    Ok(command)
}

/// What it has written.
pub(super) fn seen(output: &Output, lines: &Path, warm_up: Duration) -> anyhow::Result<Seen> {
    let parsed = std::fs::read_to_string(lines)
        .with_context(|| format!("cannot read {}", lines.display()))
        .and_then(|text| parse(&output.stdout, &text, warm_up));
    parsed.with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("edgeclient: {}, {}", output.status, said.trim())
    })
}

/// The part of its summary that is of interest here.
#[derive(Debug, Deserialize)]
struct Summary {
    ok: u64,
    errors: u64,
    errors_by_kind: serde_json::Map<String, serde_json::Value>,
}

fn parse(summary: &[u8], lines: &str, warm_up: Duration) -> anyhow::Result<Seen> {
    let summary: Summary = serde_json::from_slice(summary).context("no summary")?;
    let mut answers = Vec::new();
    for line in lines.lines() {
        answers.push(answer(line).with_context(|| format!("unexpected line '{line}'"))?);
    }
    // A disk that was full, say, must not look like a fast network.
    anyhow::ensure!(
        answers.len() as u64 == summary.ok,
        "{} lines of {} answers",
        answers.len(),
        summary.ok
    );
    let example = |(kind, failures): (&String, &serde_json::Value)| {
        format!("{kind}: {}", failures["example"].as_str().unwrap_or(""))
    };
    Ok(Seen {
        first: answers.first().map(|(_, latency)| *latency),
        latencies: answers
            .iter()
            .filter(|(at, _)| *at >= warm_up)
            .map(|(_, latency)| *latency)
            .collect(),
        errors: summary.errors,
        why: summary.errors_by_kind.iter().map(example).next(),
    })
}

/// When it came, since the beginning, and how long it took.
fn answer(line: &str) -> Option<(Duration, Duration)> {
    let mut columns = line.split(' ').map(|text| {
        let seconds = text.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    });
    Some((columns.next()??, columns.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_warm_up_are_left_out_but_for_the_first() {
        let lines = "0.5 0.4 0 - clambda0 1\n1.5 0.002 0 - clambda0 1\n2 0.001 3 - clambda0 1\n";
        let summary =
            br#"{"ok":3,"errors":2,"errors_by_kind":{"deadline":{"count":2,"example":"late"}}}"#;
        let seen = parse(summary, lines, Duration::from_secs(1)).unwrap();
        assert_eq!(seen.latencies, [2, 1].map(Duration::from_millis));
        assert_eq!(seen.first, Some(Duration::from_millis(400)));
        assert_eq!(seen.errors, 2);
        assert_eq!(seen.why.as_deref(), Some("deadline: late"));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let summary = br#"{"ok":1,"errors":0,"errors_by_kind":{}}"#;
        assert!(parse(summary, "1 2\n", Duration::ZERO).is_ok());
        assert!(parse(summary, "1 x\n", Duration::ZERO).is_err());
        assert!(parse(summary, "1 -1\n", Duration::ZERO).is_err());
        assert!(parse(b"", "", Duration::ZERO).is_err());
        let nothing = br#"{"ok":0,"errors":0,"errors_by_kind":{}}"#;
        assert_eq!(parse(nothing, "", Duration::ZERO).unwrap(), Seen::default());
    }

    #[test]
    fn lines_that_are_missing_are_an_error() {
        let summary = br#"{"ok":2,"errors":0,"errors_by_kind":{}}"#;
        let error = parse(summary, "1 2\n", Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "1 lines of 2 answers");
        let output = Output {
            status: std::process::ExitStatus::default(),
            stdout: br#"{"ok":0,"errors":0,"errors_by_kind":{}}"#.to_vec(),
            stderr: Vec::new(),
        };
        let nowhere = Path::new("/nonexistent/client-0.txt");
        let error = seen(&output, nowhere, Duration::ZERO).unwrap_err();
        assert!(
            format!("{error:#}").contains("cannot read /nonexistent"),
            "{error:#}"
        );
    }
}
