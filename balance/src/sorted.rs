//! A sorted list in pieces: a change touches one of them, and a copy shares them all.

use std::cmp::Ordering;
use std::sync::Arc;

/// A piece that grows beyond is halved,
const LONGEST: usize = 256;
/// and one that shrinks below is joined with its neighbour.
const SHORTEST: usize = 64;

/// Elements in an order that its user knows. Changing one of `n` costs as much as `n / 200` pointers
/// and a piece, and so does a copy that is changed afterwards; the other stays as it was.
#[derive(Clone, Debug)]
pub(crate) struct Sorted<T> {
    /// None is empty. Only a single one may be shorter than [`SHORTEST`].
    pieces: Vec<Arc<Vec<T>>>,
}

/// Where an element is, or belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    piece: usize,
    at: usize,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Sorted { pieces: Vec::new() }
    }
}

impl<T: Clone> Sorted<T> {
    /// Of elements that are in order.
    pub(crate) fn of(elements: &[T]) -> Self {
        let pieces = elements.len().div_ceil(LONGEST);
        let longest = elements.len().div_ceil(pieces.max(1)).max(1);
        let piece = |elements: &[T]| Arc::new(elements.to_vec());
        Sorted {
            pieces: elements.chunks(longest).map(piece).collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Where the element is that `order` finds equal, or where one would belong.
    pub(crate) fn find(&self, order: impl Fn(&T) -> Ordering) -> Result<Place, Place> {
        let begins_after = |piece: &Arc<Vec<T>>| order(&piece[0]) == Ordering::Greater;
        let after = self.pieces.partition_point(|piece| !begins_after(piece));
        let piece = after.saturating_sub(1);
        let Some(elements) = self.pieces.get(piece) else {
            return Err(Place { piece, at: 0 });
        };
        match elements.binary_search_by(order) {
            Ok(at) => Ok(Place { piece, at }),
            Err(at) => Err(Place { piece, at }),
        }
    }

    pub(crate) fn get(&self, place: Place) -> &T {
        &self.pieces[place.piece][place.at]
    }

    /// What changes there must not change the order.
    pub(crate) fn get_mut(&mut self, place: Place) -> &mut T {
        &mut Arc::make_mut(&mut self.pieces[place.piece])[place.at]
    }

    /// Adds an element where [`Sorted::find`] said that it belongs.
    pub(crate) fn insert(&mut self, place: Place, element: T) {
        let Some(piece) = self.pieces.get_mut(place.piece) else {
            self.pieces.push(Arc::new(vec![element]));
            return;
        };
        let elements = Arc::make_mut(piece);
        elements.insert(place.at, element);
        self.halve(place.piece);
    }

    /// Takes the element out that is there.
    pub(crate) fn remove(&mut self, place: Place) -> T {
        let elements = Arc::make_mut(&mut self.pieces[place.piece]);
        let removed = elements.remove(place.at);
        if elements.len() < SHORTEST {
            self.join(place.piece);
        }
        removed
    }

    fn halve(&mut self, piece: usize) {
        let elements = Arc::make_mut(&mut self.pieces[piece]);
        if elements.len() > LONGEST {
            let half = elements.split_off(elements.len() / 2);
            self.pieces.insert(piece + 1, Arc::new(half));
        }
    }

    fn join(&mut self, short: usize) {
        if self.pieces.len() > 1 {
            let left = short.min(self.pieces.len() - 2);
            let right = self.pieces.remove(left + 1);
            Arc::make_mut(&mut self.pieces[left]).extend(right.iter().cloned());
            self.halve(left);
        } else if self.pieces[short].is_empty() {
            self.pieces.clear();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    /// All but the first `skipped`.
    pub(crate) fn iter_after(&self, mut skipped: usize) -> impl Iterator<Item = &T> {
        let mut piece = 0;
        while let Some(elements) = self.pieces.get(piece).filter(|p| p.len() <= skipped) {
            skipped -= elements.len();
            piece += 1;
        }
        let pieces = self.pieces[piece..].iter();
        pieces.flat_map(|piece| piece.iter()).skip(skipped)
    }

    /// So many, at most [`SHORTEST`], from the first that is not before what `order` looks for, and
    /// the first ones behind the last; each once. They lie in up to three pieces.
    pub(crate) fn following(&self, order: impl Fn(&T) -> Ordering, count: usize) -> [&[T]; 3] {
        let (Ok(place) | Err(place)) = self.find(order);
        let piece = |piece: usize| self.pieces.get(piece).map_or(&[][..], |piece| &piece[..]);
        let up_to = |elements: &[T], left: usize| elements.len().min(left);
        let (before, here) = piece(place.piece).split_at(place.at);
        let here = &here[..up_to(here, count)];
        let next = piece(place.piece + 1);
        let next = &next[..up_to(next, count - here.len())];
        let first = if place.piece == 0 { before } else { piece(0) };
        let first = &first[..up_to(first, count - here.len() - next.len())];
        [here, next, first]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use rand_pcg::Pcg32;
    use rand_pcg::rand_core::SeedableRng;
    use std::collections::BTreeSet;

    fn check(sorted: &Sorted<u32>, expected: &BTreeSet<u32>) {
        assert!(sorted.iter().eq(expected));
        let sizes: Vec<_> = sorted.pieces.iter().map(|piece| piece.len()).collect();
        let is_sound = |size: &usize| (SHORTEST..=LONGEST).contains(size);
        assert!(
            sizes.len() <= 1 && sizes != [0] || sizes.iter().all(is_sound),
            "{sizes:?}"
        );
    }

    #[test]
    fn it_holds_what_a_set_holds_whatever_comes_and_goes() {
        let mut rng = Pcg32::seed_from_u64(1);
        let mut expected: BTreeSet<u32> = (0..1000).map(|n| 3 * n).collect();
        let mut sorted = Sorted::of(&expected.iter().copied().collect::<Vec<_>>());
        for (round, growing) in [(0, true), (1, false), (2, true), (3, false)] {
            for step in 0..4000 {
                let element = rng.random_range(0..3000);
                let found = sorted.find(|other| other.cmp(&element));
                assert_eq!(found.is_ok(), expected.contains(&element));
                let few = rng.random_range(0..10) == 0;
                match found {
                    Ok(place) if growing == few => {
                        assert_eq!(sorted.remove(place), element);
                        expected.remove(&element);
                    }
                    Err(place) if growing != few => {
                        sorted.insert(place, element);
                        expected.insert(element);
                    }
                    _ => {}
                }
                if step % 100 == round {
                    check(&sorted, &expected);
                    let after = rng.random_range(0..3100);
                    assert!(sorted.iter_after(after).eq(expected.iter().skip(after)));
                    let following = sorted.following(|other| other.cmp(&element), 40).concat();
                    let around = expected.range(element..).chain(expected.range(..element));
                    assert!(following.iter().eq(around.take(40)));
                }
            }
        }
        for element in 0..3000 {
            if let Ok(place) = sorted.find(|other| other.cmp(&element)) {
                sorted.remove(place);
                expected.remove(&element);
                check(&sorted, &expected);
            }
        }
        assert!(sorted.is_empty() && Sorted::<u32>::of(&[]).is_empty());
    }

    #[test]
    fn a_copy_stays_as_it_was_and_shares_what_did_not_change() {
        let mut sorted = Sorted::of(&(0..1000).collect::<Vec<_>>());
        let copy = sorted.clone();
        let Ok(place) = sorted.find(|other| other.cmp(&500)) else {
            panic!("it is there");
        };
        sorted.remove(place);
        assert!(copy.iter().copied().eq(0..1000));
        let both = sorted.pieces.iter().zip(&copy.pieces);
        let shared = both.filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared, copy.pieces.len() - 1);
    }
}
