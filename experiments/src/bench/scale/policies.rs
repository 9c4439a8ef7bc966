//! What a request costs under each policy with few destinations and with many: all policies in the same
//! routers, a lambda for each, so that connections are opened once.

use std::time::Duration;

use super::row::{Load, Row};
use super::site::Site;
use super::subject::{Sample, Subject};
use crate::bench::percentile::median;

/// The name of the sweep in tables and JSON lines.
pub(super) const NAME: &str = "policies";

/// Measures `policies` with these numbers of destinations, one request after the other.
pub(super) async fn measure(
    policies: &[&'static str],
    destinations: &[usize],
    site: &Site,
    length: Duration,
    rounds: usize,
) -> anyhow::Result<Vec<Row>> {
    let mut subjects = Vec::new();
    for &value in destinations {
        subjects.push(Subject::with_policies(site, policies, value).await?);
    }
    let mut rows: Vec<Row> = Vec::new();
    for (nth, policy) in policies.iter().enumerate() {
        let mut samples: Vec<Vec<Sample>> = subjects.iter().map(|_| Vec::new()).collect();
        for subject in &subjects {
            subject
                .sample_of(nth, Load::Busy.in_flight(), length)
                .await?;
        }
        for _ in 0..rounds {
            for (subject, samples) in subjects.iter().zip(&mut samples) {
                let sample = subject.sample_of(nth, Load::Alone.in_flight(), length);
                samples.push(sample.await?);
            }
        }
        let first = cpu(&samples[0]);
        for (subject, samples) in subjects.iter().zip(&samples) {
            let mut row = Row::of((NAME, policy, subject.value), Load::Alone, samples);
            row.ratio = row.cpu_us / first;
            rows.push(row);
        }
    }
    Ok(rows)
}

fn cpu(samples: &[Sample]) -> f64 {
    median(samples.iter().map(|sample| sample.cpu_us))
}

/// Prints what was measured, a line for each policy.
pub(super) fn print(rows: &[Row]) {
    println!("\n{NAME}: alone, CPU us and times that of the first number of destinations");
    for of_one in rows.chunk_by(|a, b| a.policy == b.policy) {
        print!("{:<22}", of_one[0].policy);
        for row in of_one {
            print!("  {:>6}: {:>6.1} {:>5.2}", row.value, row.cpu_us, row.ratio);
        }
        println!();
    }
}
