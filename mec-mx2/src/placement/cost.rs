//! What a placement costs: the latency of all contexts, added up.
//!
//! A computer with `c` contexts' worth of capacity that has `n` of them is expected to take
//! `1 + n/c` times the latency that was measured; so the sum grows with crowding, and a
//! crowd is worth spreading even where all computers are equally near.

/// The load of one computer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Contexts there.
    pub(super) contexts: f64,
    /// Latencies of all of them, each as if it were alone, in seconds.
    seconds: f64,
    /// Contexts that double the latency.
    pub(super) comfort: f64,
    /// Contexts that fit.
    pub(super) capacity: f64,
}

impl Load {
    pub(super) fn empty(comfort: f64, capacity: f64) -> Self {
        Self {
            contexts: 0.0,
            seconds: 0.0,
            comfort,
            capacity,
        }
    }

    pub(super) fn has_room(&self, contexts: f64) -> bool {
        self.contexts + contexts <= self.capacity
    }

    fn cost(&self) -> f64 {
        self.seconds * (1.0 + self.contexts / self.comfort)
    }

    /// How much the sum grows if `contexts` come, of which each takes `seconds` alone.
    pub(super) fn cost_of_adding(&self, contexts: f64, seconds: f64) -> f64 {
        let mut then = *self;
        then.add(contexts, seconds);
        then.cost() - self.cost()
    }

    /// How much the sum shrinks if they leave.
    pub(super) fn gain_of_removing(&self, contexts: f64, seconds: f64) -> f64 {
        let mut then = *self;
        then.add(-contexts, seconds);
        self.cost() - then.cost()
    }

    /// What they contribute where they are.
    pub(super) fn share(&self, contexts: f64, seconds: f64) -> f64 {
        contexts * seconds * (1.0 + self.contexts / self.comfort)
    }

    pub(super) fn add(&mut self, contexts: f64, seconds: f64) {
        self.contexts += contexts;
        self.seconds += contexts * seconds;
    }
}
