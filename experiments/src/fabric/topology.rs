//! Nodes, links, and the shortest paths between them.

use std::collections::VecDeque;

use crate::impair::quality::Quality;

/// A switch with one host of the same number.
pub(crate) type Node = usize;

/// Nodes and links; paths are those with the fewest links, and of several the one over nodes of
/// lower numbers, as static routes would be.
#[derive(Debug, Clone)]
pub(crate) struct Topology {
    nodes: usize,
    /// Both directions of a link are alike, and next to each other.
    links: Vec<DirectedLink>,
    /// By destination and node: the link to take.
    next: Vec<Vec<Option<usize>>>,
}

/// One direction of a link.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DirectedLink {
    pub(crate) from: Node,
    pub(crate) to: Node,
    pub(crate) quality: Quality,
}

impl Topology {
    /// So many nodes, with these links between them, which work both ways.
    ///
    /// # Panics
    /// If a link leads to a node that is not there: topologies are written by us.
    pub(crate) fn new(nodes: usize, links: &[(Node, Node)], quality: Quality) -> Self {
        assert!(links.iter().all(|&(a, b)| a < nodes && b < nodes && a != b));
        let links: Vec<_> = links
            .iter()
            .flat_map(|&(a, b)| [(a, b), (b, a)])
            .map(|(from, to)| DirectedLink { from, to, quality })
            .collect();
        let next = (0..nodes).map(|to| towards(nodes, &links, to)).collect();
        Self { nodes, links, next }
    }

    /// So many nodes in a line.
    pub(crate) fn linear(nodes: usize, quality: Quality) -> Self {
        let links: Vec<_> = (1..nodes).map(|node| (node - 1, node)).collect();
        Self::new(nodes, &links, quality)
    }

    pub(crate) fn nodes(&self) -> usize {
        self.nodes
    }

    pub(crate) fn links(&self) -> &[DirectedLink] {
        &self.links
    }

    /// The link to take at `from` on the way to `to`; none if there is none, or if that is where
    /// one is.
    pub(crate) fn next(&self, from: Node, to: Node) -> Option<usize> {
        self.next[to][from]
    }

    /// Links from one node to another; none if they are not connected.
    pub(crate) fn hops(&self, from: Node, to: Node) -> Option<usize> {
        let mut at = from;
        let mut hops = 0;
        while at != to {
            at = self.links[self.next(at, to)?].to;
            hops += 1;
        }
        Some(hops)
    }
}

/// For each node the link that leads towards `to`.
fn towards(nodes: usize, links: &[DirectedLink], to: Node) -> Vec<Option<usize>> {
    let mut hops = vec![usize::MAX; nodes];
    hops[to] = 0;
    let mut open = VecDeque::from([to]);
    while let Some(node) = open.pop_front() {
        for link in links.iter().filter(|link| link.to == node) {
            if hops[link.from] == usize::MAX {
                hops[link.from] = hops[node] + 1;
                open.push_back(link.from);
            }
        }
    }
    let best = |from: Node| {
        let closer = |link: &DirectedLink| {
            link.from == from && hops[link.to] != usize::MAX && hops[link.to] < hops[from]
        };
        let candidates = links.iter().enumerate().filter(|(_, link)| closer(link));
        candidates
            .min_by_key(|(_, link)| link.to)
            .map(|(number, _)| number)
    };
    (0..nodes).map(best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_a_line_lead_along_it() {
        let line = Topology::linear(4, Quality::default());
        assert_eq!(line.links().len(), 6);
        assert_eq!(line.hops(3, 1), Some(2));
        let first = line.links()[line.next(3, 1).unwrap()];
        assert_eq!((first.from, first.to), (3, 2));
        assert_eq!(line.next(1, 1), None);
    }

    #[test]
    fn the_shortest_path_is_taken_and_ties_go_to_lower_numbers() {
        //   1 - 3
        //  /     \
        // 0 - 2 - 4
        let links = [(0, 2), (0, 1), (1, 3), (3, 4), (2, 4)];
        let ring = Topology::new(5, &links, Quality::default());
        assert_eq!(ring.hops(0, 4), Some(2));
        assert_eq!(ring.hops(1, 4), Some(2));
        // 0 to 3 over 1, although over 2 and 4 is a way, too.
        assert_eq!(ring.links()[ring.next(0, 3).unwrap()].to, 1);
    }

    #[test]
    fn islands_are_not_reached() {
        let islands = Topology::new(3, &[(0, 1)], Quality::default());
        assert_eq!(islands.hops(0, 2), None);
        assert_eq!(islands.hops(2, 2), Some(0));
    }
}
