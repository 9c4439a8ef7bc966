//! What has been queued for the peer: small frames gathered in one buffer, large bodies as they are.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use super::frame::{HEAD, Head, Kind, flag};

/// Slices that one call of the system takes at the most.
const MOST_SLICES: usize = 64;
/// The room that a buffer keeps when it is empty.
const ROOM_KEPT: usize = 16 << 10;

/// Bytes in their order, but for frames that are urgent.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Come before those in `tail`.
    parts: VecDeque<Bytes>,
    tail: Vec<u8>,
    /// Bytes of the first part, or of the tail, that have been written.
    written: usize,
    /// All that was ever queued, but for what is urgent.
    queued: u64,
    /// All of it that was ever written.
    flushed: u64,
    /// The position where what is urgent goes: between two frames, neither of which belongs to a header
    /// block with the other, and nothing behind it has been written.
    gap: u64,
    /// Frames that go first.
    urgent: Vec<u8>,
    /// Bytes of them that have been written.
    urgent_written: usize,
    /// All bytes of such frames that were ever written.
    urgent_flushed: u64,
}

impl Output {
    /// Bytes that have yet to be written.
    pub(crate) fn len(&self) -> usize {
        let rest = usize::try_from(self.queued - self.flushed).unwrap_or(usize::MAX);
        rest + self.urgent.len() - self.urgent_written
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queued == self.flushed && self.urgent.is_empty()
    }

    /// Whether something is to go first.
    pub(super) fn has_urgent(&self) -> bool {
        !self.urgent.is_empty()
    }

    /// Adds a whole frame that goes before all others of which nothing has been written, but for those
    /// that are as urgent.
    pub(super) fn urge(&mut self, frame: &[&[u8]]) {
        frame
            .iter()
            .for_each(|part| self.urgent.extend_from_slice(part));
    }

    /// Nothing goes before what has been queued so far.
    pub(super) fn comes_first(&mut self) {
        self.gap = self.queued;
    }

    /// The position behind all that has been queued.
    pub(super) fn end(&self) -> u64 {
        self.queued
    }

    /// Bytes that have been written so far, of all.
    pub(super) fn left(&self) -> u64 {
        self.flushed + self.urgent_flushed
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
        if self.has_urgent() {
            let is_alone = self.queued == self.flushed;
            return is_alone.then(|| &self.urgent[self.urgent_written..]);
        }
        if self.parts.is_empty() {
            return Some(&self.tail[self.written..]);
        }
        (self.parts.len() == 1 && self.tail.is_empty()).then(|| &self.parts[0][self.written..])
    }

    /// What is to be written next, as far as it goes into one call.
    pub(crate) fn slices<'a>(&'a self, room: &mut [IoSlice<'a>; MOST_SLICES]) -> usize {
        let mut count = 0;
        let mut put = |slice: &'a [u8]| {
            if !slice.is_empty() && count < MOST_SLICES {
                room[count] = IoSlice::new(slice);
                count += 1;
            }
            count < MOST_SLICES
        };
        // Bytes before what is urgent, until that has been put.
        let mut ahead = self.has_urgent().then_some(self.before_gap());
        let mut skip = self.written;
        for part in self
            .parts
            .iter()
            .map(|part| &part[..])
            .chain([&self.tail[..]])
        {
            let mut rest = &part[skip..];
            skip = 0;
            match &mut ahead {
                Some(more) if *more > rest.len() => *more -= rest.len(),
                Some(more) => {
                    let before = &rest[..*more];
                    rest = &rest[*more..];
                    ahead = None;
                    put(before);
                    put(&self.urgent[self.urgent_written..]);
                }
                None => {}
            }
            if !put(rest) {
                break;
            }
        }
        count
    }

    /// Bytes that are written before what is urgent.
    fn before_gap(&self) -> usize {
        // No frame is that large.
        usize::try_from(self.gap - self.flushed).unwrap_or(usize::MAX)
    }

    /// `count` bytes have been written.
    pub(crate) fn advance(&mut self, mut count: usize) {
        if count == self.len() {
            return self.all_left();
        }
        if self.has_urgent() {
            let before = self.before_gap().min(count);
            self.drop_first(before);
            count -= before;
            let urgent = count.min(self.urgent.len() - self.urgent_written);
            self.urgent_written += urgent;
            self.urgent_flushed += urgent as u64;
            count -= urgent;
            if self.urgent_written == self.urgent.len() {
                self.no_urgent();
            }
        }
        self.move_gap(self.flushed + count as u64);
        self.drop_first(count);
    }

    fn all_left(&mut self) {
        self.flushed = self.queued;
        self.gap = self.queued;
        self.parts.clear();
        self.written = 0;
        self.tail.clear();
        self.tail.shrink_to(ROOM_KEPT);
        if self.has_urgent() {
            self.urgent_flushed += (self.urgent.len() - self.urgent_written) as u64;
            self.no_urgent();
        }
    }

    fn no_urgent(&mut self) {
        self.urgent_written = 0;
        self.urgent.clear();
        self.urgent.shrink_to(ROOM_KEPT);
    }

    /// Forgets the first `count` bytes of what is not urgent.
    fn drop_first(&mut self, mut count: usize) {
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
    }

    /// Moves the gap behind what has been written by now, `up_to` where; from frame to frame, the
    /// lengths of which are in their heads. Each head is in one part, as frames are queued.
    fn move_gap(&mut self, up_to: u64) {
        let mut parts = self
            .parts
            .iter()
            .map(|part| &part[..])
            .chain([&self.tail[..]]);
        let mut begin = self.flushed - self.written as u64;
        let mut part = parts.next().unwrap_or_default();
        let mut is_in_block = false;
        while self.gap < up_to || is_in_block {
            while self.gap - begin >= part.len() as u64 {
                begin += part.len() as u64;
                part = parts.next().expect("what is written has been queued");
            }
            let head = &part[(self.gap - begin) as usize..];
            let head = head
                .first_chunk::<HEAD>()
                .expect("heads are not torn apart");
            let head = Head::parse(*head);
            self.gap += (HEAD + head.length) as u64;
            is_in_block = matches!(head.kind, Kind::Headers | Kind::Continuation)
                && !head.has(flag::END_HEADERS);
        }
    }
}

/// Room for [`Output::slices`].
pub(crate) fn no_slices<'a>() -> [IoSlice<'a>; MOST_SLICES] {
    [IoSlice::new(&[]); MOST_SLICES]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http2::frame;

    /// Whole frames, the first byte of whose payload tells them apart.
    fn frames(mut bytes: &[u8]) -> Vec<(Kind, u8)> {
        let mut frames = Vec::new();
        while let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() {
            let head = Head::parse(*head);
            frames.push((head.kind, rest[0]));
            bytes = &rest[head.length..];
        }
        assert!(bytes.is_empty(), "no frame is torn apart");
        frames
    }

    fn write(output: &mut Output, most: usize, seen: &mut Vec<u8>) {
        let mut room = no_slices();
        let count = output.slices(&mut room);
        let ready: Vec<u8> = room[..count].iter().flat_map(|s| s.to_vec()).collect();
        if let Some(only) = output.only_piece() {
            assert_eq!(only, &ready[..]);
        }
        let most = most.min(ready.len());
        seen.extend_from_slice(&ready[..most]);
        output.advance(most);
    }

    proptest! {
        #[test]
        fn frames_leave_in_the_order_in_which_they_came_but_for_those_that_are_urgent(
            steps in prop::collection::vec((0u8..4, 1usize..40, 0usize..90), 1..60)
        ) {
            let (mut output, mut seen) = (Output::default(), Vec::new());
            let (mut added, mut expected, mut urgent) = (0, Vec::new(), Vec::new());
            for (kind, size, most) in steps {
                let number = expected.len() as u8;
                let payload = vec![number; size];
                let head = |kind, flags| frame::head(kind, flags, 1, size);
                added += HEAD + size;
                match kind {
                    0 => {
                        output.extend(&head(Kind::Data, 0));
                        output.extend(&payload);
                        expected.push((Kind::Data, number));
                    }
                    1 => {
                        output.extend(&head(Kind::Data, 0));
                        output.push(payload.into());
                        expected.push((Kind::Data, number));
                    }
                    2 => {
                        added += HEAD + size;
                        output.append(|out| {
                            out.extend_from_slice(&head(Kind::Headers, 0));
                            out.extend_from_slice(&payload);
                            out.extend_from_slice(&head(Kind::Continuation, flag::END_HEADERS));
                            out.extend_from_slice(&payload);
                        });
                        expected.extend([(Kind::Headers, number), (Kind::Continuation, number)]);
                    }
                    _ => {
                        let number = urgent.len() as u8;
                        output.urge(&[&head(Kind::Ping, 0), &vec![number; size]]);
                        urgent.push((Kind::Ping, number));
                    }
                }
                write(&mut output, most, &mut seen);
                prop_assert_eq!(output.len(), added - seen.len());
                prop_assert_eq!(output.is_empty(), added == seen.len());
            }
            while !output.is_empty() {
                write(&mut output, usize::MAX, &mut seen);
            }
            let (first, rest): (Vec<_>, Vec<_>) =
                frames(&seen).into_iter().partition(|(kind, _)| *kind == Kind::Ping);
            prop_assert_eq!(first, urgent);
            prop_assert_eq!(rest, expected);
            let is_torn = frames(&seen)
                .windows(2)
                .any(|pair| pair[0].0 == Kind::Headers && pair[1].0 != Kind::Continuation);
            prop_assert!(!is_torn, "a header block is in one piece");
        }
    }

    #[test]
    fn what_is_urgent_waits_for_no_more_than_the_frame_that_is_being_written() {
        let (mut output, mut seen) = (Output::default(), Vec::new());
        for number in 0..10 {
            output.extend(&frame::head(Kind::Data, 0, 1, 1000));
            output.push(vec![number; 1000].into());
        }
        write(&mut output, 1100, &mut seen);
        output.urge(&[&frame::head(Kind::Ping, 0, 0, 8), &[7; 8]]);
        while !output.is_empty() {
            write(&mut output, 10, &mut seen);
        }
        let kinds: Vec<_> = frames(&seen).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds[..3], [Kind::Data, Kind::Data, Kind::Ping]);
    }

    #[test]
    fn nothing_goes_before_what_has_to_come_first() {
        let (mut output, mut seen) = (Output::default(), Vec::new());
        for kind in [Kind::Settings, Kind::WindowUpdate] {
            output.extend(&frame::head(kind, 0, 0, 4));
            output.extend(&[0; 4]);
        }
        output.comes_first();
        output.extend(&frame::head(Kind::Data, 0, 1, 1));
        output.extend(&[1]);
        output.urge(&[&frame::head(Kind::Ping, 0, 0, 8), &[7; 8]]);
        write(&mut output, 5, &mut seen);
        write(&mut output, usize::MAX, &mut seen);
        let kinds: Vec<_> = frames(&seen).into_iter().map(|(kind, _)| kind).collect();
        let expected = [Kind::Settings, Kind::WindowUpdate, Kind::Ping, Kind::Data];
        assert_eq!(kinds, expected);
    }
}
