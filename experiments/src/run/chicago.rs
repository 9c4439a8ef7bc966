//! The topology of experiment 304: sensors of the Array of Things in Chicago.

use crate::fabric::topology::Topology;
use crate::impair::quality::Quality;

/// Latitude and longitude of each sensor, as the experiment lists them.
const SENSORS: &str = include_str!("../../quic/chicago.txt");

/// Places that have another place, but for themselves, within this distance are left out; degrees.
const TOO_CLOSE: f64 = 0.010;
/// Places within this distance have a link; degrees.
const REACH: f64 = 0.045;

/// The network, with all links alike.
pub(super) fn topology(quality: Quality) -> Topology {
    let places = places();
    let links: Vec<_> = (0..places.len())
        .flat_map(|b| (0..b).map(move |a| (a, b)))
        .filter(|&(a, b)| distance(places[a], places[b]) <= REACH)
        .collect();
    Topology::new(places.len(), &links, quality)
}

fn places() -> Vec<[f64; 2]> {
    let all: Vec<[f64; 2]> = SENSORS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (latitude, longitude) = line.split_once(' ')?;
            Some([latitude.parse().ok()?, longitude.parse().ok()?])
        })
        .collect();
    let lonely = |place: &[f64; 2]| {
        // What stands in the list twice is not its own neighbour.
        let mut others = all.iter().filter(|other| *other != place);
        others.all(|other| distance(*place, *other) > TOO_CLOSE)
    };
    all.iter().copied().filter(lonely).collect()
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_the_published_one() {
        let topology = topology(Quality::default());
        let links = topology.links();
        assert_eq!((topology.nodes(), links.len() / 2), (40, 92));
        let degree = |node| links.iter().filter(|link| link.from == node).count();
        let degrees: Vec<_> = (0..40).map(degree).collect();
        assert_eq!(degrees.iter().min(), Some(&1));
        assert_eq!(degrees.iter().max(), Some(&8));
        assert!((0..40).all(|node| topology.hops(0, node).is_some()));
    }
}
