//! What a router tells about its destinations, for dashboards and the admin endpoint.

use std::collections::HashMap;
use std::sync::Arc;

use edge_balance::Destination;
use serde::Serialize;

use crate::tables::Tables;

/// Destinations that metrics and status list at the most: beyond that nobody
/// reads them one by one.
pub(crate) const MAX_LISTED: usize = 1000;

/// A route of the overall table and the state of its destination.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DestinationStatus {
    /// Name of the lambda.
    pub lambda: String,
    /// Where it can be executed.
    pub destination: String,
    /// Announced or learnt cost, in seconds once there are samples.
    pub weight: f32,
    /// Whether the destination executes the lambda itself.
    pub is_final: bool,
    /// Requests of this router at the destination, of all lambdas.
    pub in_flight: u32,
    /// Whether the destination is in use.
    pub standing: Standing,
}

/// Whether a destination is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It answers.
    Healthy,
    /// It failed and is left alone for a while, or is just being tried again.
    SetAside,
}

/// The first routes of the overall table.
pub(crate) fn destinations(tables: &Tables) -> Vec<DestinationStatus> {
    let by_name: HashMap<String, Arc<Destination>> = tables
        .destinations()
        .into_iter()
        .map(|d| (d.name().to_owned(), d))
        .collect();
    let overall = tables.by_id(0).expect("every router has an overall table");
    overall
        .page(0, MAX_LISTED)
        .into_iter()
        .map(|entry| {
            let destination = by_name.get(&entry.destination);
            let healthy = destination.is_none_or(|d| d.health().standing().is_well());
            DestinationStatus {
                in_flight: destination.map_or(0, |d| d.in_flight()),
                standing: if healthy {
                    Standing::Healthy
                } else {
                    Standing::SetAside
                },
                lambda: entry.lambda,
                destination: entry.destination,
                weight: entry.weight,
                is_final: entry.is_final,
            }
        })
        .collect()
}
