//! One direction of a link as pure code: packets and instants in, fates out.
//!
//! A packet that finds the queue full is dropped. Else it waits for tokens (a token bucket, as
//! Linux's `htb` and `tbf` have it), is lost or not, and travels. What is lost has used the rate,
//! as on a radio link. Time is an argument, and randomness comes from a seed, so that a link that
//! is offered the same packets decides alike.

use std::collections::VecDeque;
use std::time::Duration;

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

use super::quality::Quality;

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives then.
    Arrives(Duration),
    /// The link loses it.
    Lost,
    /// There was no room for it.
    Dropped,
}

/// What a link has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counters {
    /// Packets that arrived, or are going to.
    pub(crate) packets: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Packets lost at random.
    pub(crate) lost: u64,
    /// Packets that found the queue full.
    pub(crate) dropped: u64,
    /// Packets that were let past others.
    pub(crate) reordered: u64,
}

impl Counters {
    /// What came after `earlier`.
    #[cfg(test)]
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            packets: self.packets - earlier.packets,
            bytes: self.bytes - earlier.bytes,
            lost: self.lost - earlier.lost,
            dropped: self.dropped - earlier.dropped,
            reordered: self.reordered - earlier.reordered,
        }
    }
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Link {
    quality: Quality,
    random: Pcg64Mcg,
    /// When a bucket that owes nothing would be full.
    full_at: Duration,
    /// When the packets that it holds arrive. Those that overtook others are not in order, which
    /// only makes the link believe itself full a little longer.
    held: VecDeque<Duration>,
    counters: Counters,
}

impl Link {
    /// A link whose losses depend on `seed` and on nothing else.
    pub(crate) fn new(quality: Quality, seed: u64) -> Self {
        Self {
            quality,
            random: Pcg64Mcg::seed_from_u64(seed),
            full_at: Duration::ZERO,
            held: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Offers a packet; `now` never goes back.
    pub(crate) fn offer(&mut self, now: Duration, bytes: usize) -> Fate {
        if !self.has_room(now) {
            self.counters.dropped += 1;
            return Fate::Dropped;
        }
        let leaves = self.leaves(now, bytes);
        if self.quality.loss > 0.0 && self.random.random_bool(self.quality.loss) {
            self.counters.lost += 1;
            return Fate::Lost;
        }
        let overtakes = self.quality.reorder > 0.0 && self.random.random_bool(self.quality.reorder);
        let arrives = if overtakes {
            self.counters.reordered += 1;
            leaves
        } else {
            leaves + self.quality.delay
        };
        if arrives > now {
            self.held.push_back(arrives);
        }
        self.counters.packets += 1;
        self.counters.bytes += bytes as u64;
        Fate::Arrives(arrives)
    }

    /// When there is going to be room again, if there is none now: for senders that can wait.
    pub(crate) fn room_at(&mut self, now: Duration) -> Option<Duration> {
        (!self.has_room(now)).then(|| self.held.front().copied().unwrap_or(now))
    }

    /// So far.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    fn has_room(&mut self, now: Duration) -> bool {
        while self.held.front().is_some_and(|arrives| *arrives <= now) {
            self.held.pop_front();
        }
        self.held.len() < self.quality.queue
    }

    /// A packet leaves as soon as the bucket holds as many tokens as it has bytes, or is full: what
    /// is larger than the bucket borrows the rest.
    fn leaves(&mut self, now: Duration, bytes: usize) -> Duration {
        let Some(rate) = self.quality.rate else {
            return now;
        };
        let takes = |bytes: f64| Duration::from_secs_f64(bytes * 8.0 / rate as f64);
        let burst = takes(f64::from(self.quality.burst));
        self.full_at = self.full_at.max(now) + takes(bytes as f64);
        self.full_at.saturating_sub(burst).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn link(text: &str) -> Link {
        Link::new(text.parse().unwrap(), 7)
    }

    #[test]
    fn a_perfect_wire_takes_no_time() {
        let mut link = link("");
        for number in 0..10_000 {
            assert_eq!(link.offer(MS, number), Fate::Arrives(MS));
        }
        assert_eq!(link.counters().packets, 10_000);
    }

    #[test]
    fn a_delay_is_added_to_each_packet_and_order_stays() {
        let mut link = link("delay=10ms");
        assert_eq!(link.offer(MS, 100), Fate::Arrives(11 * MS));
        assert_eq!(link.offer(3 * MS, 100), Fate::Arrives(13 * MS));
    }

    #[test]
    fn a_burst_leaves_at_once_and_the_rest_at_the_rate() {
        // 1 Mb/s are 125 bytes in a millisecond.
        let mut link = link("rate=1Mbit,burst=2500");
        let arrivals: Vec<_> = (0..5).map(|_| link.offer(MS, 1250)).collect();
        let expected = [1, 1, 11, 21, 31].map(|ms| Fate::Arrives(ms * MS));
        assert_eq!(arrivals, expected);
        // After a pause the bucket is full again, and no fuller.
        let arrivals: Vec<_> = (0..3).map(|_| link.offer(1000 * MS, 1250)).collect();
        let expected = [1000, 1000, 1010].map(|ms| Fate::Arrives(ms * MS));
        assert_eq!(arrivals, expected);
    }

    #[test]
    fn over_a_long_time_the_rate_is_kept() {
        let mut link = link("rate=8Mbit,burst=1500,queue=100000");
        let mut last = Duration::ZERO;
        for _ in 0..10_000 {
            let Fate::Arrives(at) = link.offer(Duration::ZERO, 1000) else {
                panic!("no room");
            };
            assert!(at >= last);
            last = at;
        }
        // 10 MB at 1 MB/s, less what may leave at once.
        assert!(
            (last.as_secs_f64() - (10.0 - 0.0015)).abs() < 1e-5,
            "{last:?}"
        );
    }

    #[test]
    fn what_finds_the_queue_full_is_dropped_and_counted() {
        let mut link = link("delay=10ms,queue=3");
        let fates: Vec<_> = (0..5).map(|_| link.offer(MS, 100)).collect();
        assert_eq!(fates[2], Fate::Arrives(11 * MS));
        assert_eq!(fates[3..], [Fate::Dropped; 2]);
        assert_eq!(link.room_at(2 * MS), Some(11 * MS));
        assert_eq!(link.room_at(11 * MS), None);
        assert_eq!(link.offer(11 * MS, 100), Fate::Arrives(21 * MS));
        assert_eq!(link.counters().dropped, 2);
        assert_eq!(link.counters().packets, 4);
    }

    #[test]
    fn losses_are_as_many_as_asked_for_and_independent() {
        let offered = 1_000_000;
        let mut link = link("loss=3%");
        let (mut lost, mut pairs, mut before) = (0_u32, 0_u32, false);
        for number in 0..offered {
            let gone = link.offer(Duration::from_micros(number), 100) == Fate::Lost;
            lost += u32::from(gone);
            pairs += u32::from(gone && before);
            before = gone;
        }
        assert_eq!(u64::from(lost), link.counters().lost);
        let within = |count: u32, probability: f64| {
            let mean = offered as f64 * probability;
            let sigma = (mean * (1.0 - probability)).sqrt();
            (f64::from(count) - mean).abs() < 3.0 * sigma
        };
        assert!(within(lost, 0.03), "{lost}");
        assert!(within(pairs, 0.03 * 0.03), "{pairs}");
    }

    #[test]
    fn a_seed_decides_alike() {
        let fates = |seed| {
            let mut link = Link::new("loss=50%,delay=1ms,reorder=10%".parse().unwrap(), seed);
            (0..100).map(|i| link.offer(i * MS, 10)).collect::<Vec<_>>()
        };
        assert_eq!(fates(1), fates(1));
        assert_ne!(fates(1), fates(2));
    }

    #[test]
    fn reordered_packets_overtake() {
        let mut link = link("delay=10ms,reorder=20%");
        let arrivals: Vec<_> = (0..1000)
            .map(|i| match link.offer(i * MS, 10) {
                Fate::Arrives(at) => at,
                other => panic!("{other:?}"),
            })
            .collect();
        let overtaken = arrivals.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert!(overtaken > 100, "{overtaken}");
        assert!((130..270).contains(&link.counters().reordered));
    }

    #[test]
    fn counters_since_an_earlier_look_are_differences() {
        let mut link = link("");
        link.offer(MS, 10);
        let earlier = link.counters();
        link.offer(MS, 20);
        let since = link.counters().since(&earlier);
        assert_eq!((since.packets, since.bytes), (1, 20));
    }
}
