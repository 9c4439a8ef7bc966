//! Areas: polygons of longitudes and latitudes, and which lies in which.

/// A closed line of longitudes and latitudes; first and last point are the same.
pub type Ring = Vec<[f64; 2]>;

type Edge = ([f64; 2], [f64; 2]);

/// A polygon as in RFC 7946.
#[derive(Debug, Clone, PartialEq)]
pub struct Area {
    /// Its outline, then its holes.
    rings: Vec<Ring>,
    /// Around the outline.
    frame: Frame,
}

/// The smallest rectangle around something, its border included.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Frame {
    from: [f64; 2],
    to: [f64; 2],
}

impl Frame {
    fn around(points: &[[f64; 2]]) -> Self {
        let nothing = Self {
            from: [f64::INFINITY; 2],
            to: [f64::NEG_INFINITY; 2],
        };
        points.iter().fold(nothing, |frame, [x, y]| Self {
            from: [frame.from[0].min(*x), frame.from[1].min(*y)],
            to: [frame.to[0].max(*x), frame.to[1].max(*y)],
        })
    }

    fn holds(&self, other: &Self) -> bool {
        (0..2).all(|axis| self.from[axis] <= other.from[axis] && other.to[axis] <= self.to[axis])
    }

    fn meets(&self, (a, b): &Edge) -> bool {
        (0..2).all(|axis| {
            a[axis].min(b[axis]) <= self.to[axis] && self.from[axis] <= a[axis].max(b[axis])
        })
    }
}

impl Area {
    /// Of the outline and the holes that `rings` are. `None` if there is no outline.
    pub fn new(rings: Vec<Ring>) -> Option<Self> {
        let frame = Frame::around(rings.first()?);
        Some(Self { rings, frame })
    }

    /// Its outline, then its holes.
    pub fn rings(&self) -> &[Ring] {
        &self.rings
    }

    /// How many points it is of.
    pub(super) fn num_points(&self) -> usize {
        self.rings.iter().map(Vec::len).sum()
    }

    /// Whether every corner of the other area lies in this one, no edges cross, and no corner of
    /// this one's holes lies in the other.
    ///
    /// Who asks draws the area, and may draw one that takes long: so what is cheap and says no in
    /// most cases comes first.
    pub fn contains(&self, other: &Self) -> bool {
        if !self.frame.holds(&other.frame) {
            return false;
        }
        let outline = &other.rings[0];
        let own = self.rings.iter().flat_map(edges);
        let near: Vec<Edge> = own.filter(|edge| other.frame.meets(edge)).collect();
        if near.is_empty() {
            // Then nothing of the frame is on another side than the rest of it.
            return outline.first().is_some_and(|corner| self.has(*corner));
        }
        let holes = self.rings[1..].iter().flatten();
        outline.iter().all(|corner| self.has(*corner))
            && !edges(outline).any(|edge| near.iter().any(|own| cross(edge, *own)))
            && !holes.into_iter().any(|corner| inside(outline, *corner))
    }

    /// In the outline, and in none of the holes; the border counts as inside.
    fn has(&self, point: [f64; 2]) -> bool {
        let (outline, holes) = (&self.rings[0], &self.rings[1..]);
        (inside(outline, point) || on_border(outline, point))
            && !holes
                .iter()
                .any(|hole| inside(hole, point) && !on_border(hole, point))
    }
}

/// By the number of edges to the right of the point (even-odd rule).
fn inside(ring: &Ring, [x, y]: [f64; 2]) -> bool {
    let crossings = edges(ring).filter(|([x1, y1], [x2, y2])| {
        (*y1 > y) != (*y2 > y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1
    });
    crossings.count() % 2 == 1
}

fn on_border(ring: &Ring, point: [f64; 2]) -> bool {
    let here = Frame {
        from: point,
        to: point,
    };
    edges(ring).any(|edge| here.meets(&edge) && side(edge.0, edge.1, point) == 0.0)
}

/// Whether two edges cross in a point that is an end of neither.
fn cross((a, b): Edge, (c, d): Edge) -> bool {
    let opposite = |x: f64, y: f64| (x > 0.0 && y < 0.0) || (x < 0.0 && y > 0.0);
    opposite(side(a, b, c), side(a, b, d)) && opposite(side(c, d, a), side(c, d, b))
}

/// On which side of the line from `a` to `b` the point is; 0 on it.
fn side(a: [f64; 2], b: [f64; 2], p: [f64; 2]) -> f64 {
    (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
}

fn edges(ring: &Ring) -> impl Iterator<Item = Edge> {
    ring.windows(2).map(|pair| (pair[0], pair[1]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As [`Area::contains`] says it, without any short cut.
    fn plainly(area: &Area, other: &Area) -> bool {
        let outline = &other.rings[0];
        outline.iter().all(|corner| area.has(*corner))
            && !edges(outline).any(|edge| {
                let mut own = area.rings.iter().flat_map(edges);
                own.any(|own| cross(edge, own))
            })
            && !area.rings[1..]
                .iter()
                .flatten()
                .any(|p| inside(outline, *p))
    }

    /// Corners of a coarse grid, so that many coincide.
    fn ring() -> impl Strategy<Value = Ring> {
        prop::collection::vec((0..8_i8, 0..8_i8), 3..8).prop_map(|corners| {
            let mut ring: Ring = corners
                .into_iter()
                .map(|(x, y)| [f64::from(x), f64::from(y)])
                .collect();
            ring.push(ring[0]);
            ring
        })
    }

    fn area(holes: usize) -> impl Strategy<Value = Area> {
        prop::collection::vec(ring(), 1..=holes + 1)
            .prop_map(|rings| Area::new(rings).expect("there is an outline"))
    }

    proptest! {
        #[test]
        fn short_cuts_change_nothing(large in area(2), small in area(0), scale in 1..4_i8) {
            let shrink = |[x, y]: [f64; 2]| [x / f64::from(scale) + 1.0, y / f64::from(scale) + 1.0];
            let outline = small.rings[0].iter().copied().map(shrink).collect();
            let small = Area::new(vec![outline]).expect("there is an outline");
            prop_assert_eq!(large.contains(&small), plainly(&large, &small));
        }
    }
}
