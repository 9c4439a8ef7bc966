//! What the routers measure: the weights of their tables, which under policies that learn are
//! estimated seconds.

use std::collections::HashMap;

use edge_transport::Endpoint;
use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;

use crate::fleet::Fleet;
use crate::ledger::NEW_WEIGHT;
use crate::table::Fault;

/// Routers that are asked, and how many at a time.
const MAX_ROUTERS: usize = 256;
const AT_ONCE: usize = 16;
/// Calls that the table of one may take as long as: it comes in pages, as many as the router likes.
const MOST_CALLS: u32 = 10;

/// Mean seconds over all routers that have measured, by lambda and destination.
#[derive(Debug, Default)]
pub(crate) struct Latencies(HashMap<String, HashMap<String, Mean>>);

#[derive(Debug, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Latencies {
    /// Asks all routers, each at most as long as some calls may take. Those that do not answer
    /// in time do not count.
    pub(crate) async fn measured(fleet: &Fleet, tables: &[Endpoint]) -> Self {
        let readings = stream::iter(tables.iter().take(MAX_ROUTERS).cloned()).map(|endpoint| async move {
            let within = fleet.push().call_timeout * MOST_CALLS;
            let table = fleet.table_at(&endpoint);
            let read = timeout(within, table.read()).await;
            let read = read.unwrap_or(Err(Fault::Timeout(within)));
            if let Err(error) = &read {
                tracing::debug!(router = %endpoint, %error, "a router's latencies are not known");
            }
            read.unwrap_or_default()
        });
        let mut readings = readings.buffer_unordered(AT_ONCE);
        let mut latencies = Self::default();
        while let Some(table) = readings.next().await {
            for (route, shown) in table.entries {
                latencies.add(
                    route.lambda.as_str(),
                    route.destination.as_str(),
                    shown.weight,
                );
            }
        }
        latencies
    }

    /// Takes a weight into account, unless it is the one that entries begin with: then
    /// nothing was measured.
    fn add(&mut self, app: &str, endpoint: &str, weight: f32) {
        let measured =
            weight.is_finite() && weight > 0.0 && weight.to_bits() != NEW_WEIGHT.to_bits();
        if measured {
            let of_app = self.0.entry(app.to_owned()).or_default();
            let mean = of_app.entry(endpoint.to_owned()).or_default();
            mean.sum += f64::from(weight);
            mean.count += 1;
        }
    }

    pub(crate) fn get(&self, app: &str, endpoint: &str) -> Option<f64> {
        let mean = self.0.get(app)?.get(endpoint)?;
        Some(mean.sum / f64::from(mean.count))
    }

    /// The shortest for an application, in milliseconds, at least 1.
    pub(crate) fn best_ms(&self, app: &str) -> Option<u32> {
        let of_app = self.0.get(app)?.values();
        let best = of_app
            .map(|mean| mean.sum / f64::from(mean.count))
            .min_by(f64::total_cmp)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is clamped to what fits"
        )]
        let ms = (best * 1e3).round().clamp(1.0, f64::from(u32::MAX)) as u32;
        Some(ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_does_not_count() {
        let mut latencies = Latencies::default();
        for (endpoint, weight) in [("x", 1.0), ("y", 0.01), ("y", 0.03), ("z", f32::NAN)] {
            latencies.add("a", endpoint, weight);
        }
        assert_eq!(latencies.get("a", "x"), None);
        assert_eq!(latencies.get("a", "z"), None);
        assert!((latencies.get("a", "y").unwrap() - 0.02).abs() < 1e-6);
        assert_eq!(
            (latencies.best_ms("a"), latencies.best_ms("b")),
            (Some(20), None)
        );
    }
}
