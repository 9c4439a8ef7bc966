//! What has been queued for the peer: small frames gathered in one buffer, large bodies as they are.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// Slices that one call of the system takes at the most.
const MOST_SLICES: usize = 64;
/// The room that a buffer keeps when it is empty.
const ROOM_KEPT: usize = 16 << 10;

/// Bytes in their order.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Come before those in `tail`.
    parts: VecDeque<Bytes>,
    tail: Vec<u8>,
    /// Bytes of the first part, or of the tail, that have been written.
    written: usize,
    /// All that was ever queued.
    queued: u64,
    /// All that was ever written.
    flushed: u64,
}

impl Output {
    /// Bytes that have yet to be written.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.queued - self.flushed).unwrap_or(usize::MAX)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queued == self.flushed
    }

    /// The position behind all that has been queued.
    pub(super) fn end(&self) -> u64 {
        self.queued
    }

    /// The position up to which everything has been written.
    pub(super) fn flushed(&self) -> u64 {
        self.flushed
    }

    /// Adds what `write` appends to the buffer.
    pub(super) fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let before = self.tail.len();
        let result = write(&mut self.tail);
        self.queued += (self.tail.len() - before) as u64;
        result
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.queued += bytes.len() as u64;
    }

    /// Adds bytes without copying them.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.queued += bytes.len() as u64;
        if !self.tail.is_empty() {
            let mut tail = Bytes::from(std::mem::take(&mut self.tail));
            if self.parts.is_empty() {
                // So that what is written of the tail is not counted twice.
                tail = tail.slice(std::mem::take(&mut self.written)..);
            }
            if !tail.is_empty() {
                self.parts.push_back(tail);
            }
        }
        self.parts.push_back(bytes);
    }

    /// What is to be written next: in one piece, if there is only one.
    pub(crate) fn only_piece(&self) -> Option<&[u8]> {
        if self.parts.is_empty() {
            return Some(&self.tail[self.written..]);
        }
        (self.parts.len() == 1 && self.tail.is_empty()).then(|| &self.parts[0][self.written..])
    }

    /// What is to be written next, as far as it goes into one call.
    pub(crate) fn slices<'a>(&'a self, room: &mut [IoSlice<'a>; MOST_SLICES]) -> usize {
        let mut count = 0;
        let mut skip = self.written;
        let tail = std::iter::once(&self.tail[..]).filter(|tail| !tail.is_empty());
        for part in self.parts.iter().map(|part| &part[..]).chain(tail) {
            if count == MOST_SLICES {
                break;
            }
            room[count] = IoSlice::new(&part[skip..]);
            skip = 0;
            count += 1;
        }
        count
    }

    /// `count` bytes have been written.
    pub(crate) fn advance(&mut self, mut count: usize) {
        self.flushed += count as u64;
        while let Some(first) = self.parts.front() {
            let left = first.len() - self.written;
            if count < left {
                self.written += count;
                return;
            }
            count -= left;
            self.written = 0;
            self.parts.pop_front();
        }
        self.written += count;
        if self.written == self.tail.len() {
            self.written = 0;
            self.tail.clear();
            self.tail.shrink_to(ROOM_KEPT);
        }
    }
}

/// Room for [`Output::slices`].
pub(crate) fn no_slices<'a>() -> [IoSlice<'a>; MOST_SLICES] {
    [IoSlice::new(&[]); MOST_SLICES]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_leave_in_the_order_in_which_they_came(
            steps in prop::collection::vec((any::<bool>(), 0usize..40, 0usize..60), 1..60)
        ) {
            let (mut output, mut expected, mut seen) = (Output::default(), Vec::new(), Vec::new());
            let mut next = 0u8;
            for (is_large, add, write) in steps {
                let bytes: Vec<u8> = (0..add).map(|_| { next = next.wrapping_add(1); next }).collect();
                expected.extend_from_slice(&bytes);
                if is_large { output.push(bytes.into()) } else { output.extend(&bytes) }
                let mut room = no_slices();
                let count = output.slices(&mut room);
                let ready: Vec<u8> = room[..count].iter().flat_map(|s| s.to_vec()).collect();
                if let Some(only) = output.only_piece() {
                    prop_assert_eq!(only, &ready[..]);
                }
                let write = write.min(ready.len());
                seen.extend_from_slice(&ready[..write]);
                output.advance(write);
                prop_assert_eq!(output.len(), expected.len() - seen.len());
                prop_assert_eq!(output.is_empty(), expected.len() == seen.len());
            }
            prop_assert_eq!(&expected[..seen.len()], &seen[..]);
        }
    }
}
