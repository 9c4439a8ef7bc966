//! How many streams a client may open for requests.
//!
//! A place is kept for each stream that it may open, some 40 bytes, and those of requests are spread among
//! all of them: a connection begins with few, and gets more when it has use for them.

use quinn::{Connection, VarInt};

/// Streams that a client may open before it has opened many.
const FIRST: u32 = 256;
/// Streams that it may open for each one that is in use: credit for more takes a round trip.
const AHEAD: usize = 8;

/// Streams that a client may open, at first.
pub(super) fn first(most: u32) -> VarInt {
    FIRST.min(most).into()
}

/// The streams of one connection.
#[derive(Debug)]
pub(super) struct Places {
    now: u32,
    most: u32,
}

impl Places {
    pub(super) fn new(most: u32) -> Self {
        Self {
            now: FIRST.min(most),
            most,
        }
    }

    /// Lets the client open more if it uses many of those that it may open.
    pub(super) fn suit(&mut self, connection: &Connection, used: usize) {
        if let Some(more) = self.more(used) {
            connection.set_max_concurrent_bi_streams(more.into());
        }
    }

    fn more(&mut self, used: usize) -> Option<u32> {
        let wanted = AHEAD * used;
        if self.now >= self.most || self.now as usize >= wanted {
            return None;
        }
        let wanted = u32::try_from(wanted.next_power_of_two()).unwrap_or(u32::MAX);
        self.now = wanted.min(self.most);
        Some(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_more_places_as_they_are_used_and_never_more_than_allowed() {
        let mut places = Places::new(10_000);
        let given: Vec<_> = [0, 1, 64, 65, 128, 1, 200, 2000, 9000, 10_000]
            .map(|used| places.more(used))
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(given, [512, 1024, 2048, 10_000]);
        let mut few = Places::new(3);
        assert_eq!((few.more(3), first(3)), (None, VarInt::from_u32(3)));
    }
}
