//! What a request costs under each policy with few destinations and with many: all policies in the same
//! routers, a lambda for each, so that connections are opened once.

use super::rounds::Rounds;
use super::row::{Load, Place, Row};
use super::site::Site;
use super::subject::Subject;

/// The name of the sweep in tables and JSON lines.
pub(super) const NAME: &str = "policies";

/// Measures `policies` with these numbers of destinations, and with the first of them in another router
/// again, one request after the other.
pub(super) async fn measure(
    policies: &[&'static str],
    destinations: &[usize],
    site: &Site,
    rounds: Rounds,
) -> anyhow::Result<Vec<Row>> {
    let again = destinations.first().filter(|_| destinations.len() > 1);
    let mut subjects = Vec::new();
    for &value in destinations.iter().chain(again) {
        subjects.push(Subject::with_policies(site, policies, value).await?);
    }
    let mut rows: Vec<Row> = Vec::new();
    for (nth, policy) in policies.iter().enumerate() {
        let place = Place {
            sweep: NAME,
            policy,
            load: Load::Alone,
        };
        let samples = rounds
            .measure(site, &subjects, place.load, Some(nth))
            .await?;
        rows.extend(Row::all(place, destinations, &samples));
    }
    Ok(rows)
}

/// Prints what was measured, a line for each policy.
pub(super) fn print(rows: &[Row]) {
    println!("\n{NAME}: alone, CPU us, times that of the first number of destinations, and spread");
    for of_one in rows.chunk_by(|a, b| a.policy == b.policy) {
        print!("{:<22}", of_one[0].policy);
        for row in of_one {
            let value = if row.again {
                "again".to_owned()
            } else {
                row.value.to_string()
            };
            print!(
                "  {value:>6}: {:>6.1} {:>5.2} {:>4.2}",
                row.cpu_us, row.ratio, row.spread
            );
        }
        println!();
    }
}
