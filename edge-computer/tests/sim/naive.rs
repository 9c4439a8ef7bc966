//! A model of processor sharing that is slow and obvious, to compare the engine with.

/// Processor sharing step by step, with the residual operations of every task spelt out.
pub(crate) struct Naive {
    speed: f64,
    cores: f64,
    workers: Vec<u32>,
    now: f64,
    /// Number, container and residual operations.
    active: Vec<(usize, usize, f64)>,
    pending: Vec<(usize, usize, f64)>,
    /// When each task ended, by number.
    pub(crate) ends: Vec<f64>,
}

impl Naive {
    pub(crate) fn new(speed: f64, cores: u32, workers: &[u32]) -> Self {
        Naive {
            speed,
            cores: f64::from(cores),
            workers: workers.to_vec(),
            now: 0.0,
            active: Vec::new(),
            pending: Vec::new(),
            ends: Vec::new(),
        }
    }

    pub(crate) fn submit(&mut self, number: usize, container: usize, ops: f64) {
        self.ends.push(f64::NAN);
        self.pending.push((number, container, ops));
        self.start();
    }

    fn start(&mut self) {
        let mut i = 0;
        while i < self.pending.len() {
            let container = self.pending[i].1;
            let busy = self.active.iter().filter(|task| task.1 == container);
            if busy.count() < self.workers[container] as usize {
                self.active.push(self.pending.remove(i));
            } else {
                i += 1;
            }
        }
    }

    pub(crate) fn run_until(&mut self, until: f64) {
        while !self.active.is_empty() {
            let tasks = self.active.len() as f64;
            let rate = self.cores.min(tasks) * self.speed / tasks;
            let ops = self.active.iter().map(|task| task.2);
            let least = ops.fold(f64::INFINITY, f64::min);
            let step = (least / rate).min(until - self.now);
            let ends = step == least / rate;
            for task in &mut self.active {
                task.2 -= step * rate;
            }
            self.now += step;
            if !ends {
                return;
            }
            for task in self.active.extract_if(.., |task| task.2 <= 1e-9) {
                self.ends[task.0] = self.now;
            }
            self.start();
        }
        self.now = self.now.max(until);
    }
}
