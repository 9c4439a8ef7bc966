//! Resident memory of a process over time.

use serde::Serialize;

/// What was seen, in kilobytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Memory {
    /// When the overload began.
    pub(super) start_kb: u64,
    /// At the most since then.
    pub(super) peak_kb: u64,
    /// At the end of the cell, when the load has been normal for a while.
    pub(super) end_kb: u64,
}

impl Memory {
    /// The beginning of the overload.
    pub(super) fn starting_at(rss_kb: u64) -> Self {
        Self {
            start_kb: rss_kb,
            peak_kb: rss_kb,
            end_kb: rss_kb,
        }
    }

    /// Another look.
    pub(super) fn note(&mut self, rss_kb: u64) {
        self.peak_kb = self.peak_kb.max(rss_kb);
        self.end_kb = rss_kb;
    }

    /// Whether the peak is at most half as much again as the start, and 32 MB.
    pub(super) fn is_flat(&self) -> bool {
        self.peak_kb <= self.start_kb + self.start_kb / 2 + 32 * 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_stays_and_the_end_moves() {
        let mut memory = Memory::starting_at(20_000);
        memory.note(60_000);
        memory.note(30_000);
        assert_eq!((memory.peak_kb, memory.end_kb), (60_000, 30_000));
        assert!(memory.is_flat());
        memory.note(62_769);
        assert!(!memory.is_flat());
    }
}
