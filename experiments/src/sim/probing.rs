//! Probes under way: questions of routers to executors that no request waits for.

use edge_balance::{LoneLambda, Nanos, ProbeLease, Report};

use super::topology::Neighbour;

/// Probes that one router has under way at the most, as brokers per core.
const MOST_UNDER_WAY: u32 = 64;
/// What takes longer tells nothing any more, as for brokers.
const DEADLINE: Nanos = Nanos::from_secs(1);

/// A probe, on its way or back.
#[derive(Debug)]
pub(super) struct Question {
    probe: Option<ProbeLease>,
    pub(super) router: u32,
    sent: u64,
    pub(super) lambda: u32,
    pub(super) to: Neighbour,
    /// For the draws that belong to it, and the number of the first.
    pub(super) key: u64,
    pub(super) number: u64,
    pub(super) answer: Option<(Report, Nanos)>,
}

/// The probes of all routers, in slots that are used again.
#[derive(Debug)]
pub(super) struct Probing {
    slots: Vec<Question>,
    free: Vec<u32>,
    /// By router.
    under_way: Vec<u32>,
}

impl Probing {
    pub(super) fn new(routers: usize) -> Self {
        Probing {
            slots: Vec::new(),
            free: Vec::new(),
            under_way: vec![0; routers],
        }
    }

    /// Whether the router may send another one.
    pub(super) fn may_send(&self, router: u32) -> bool {
        self.under_way[router as usize] < MOST_UNDER_WAY
    }

    pub(super) fn send(
        &mut self,
        probe: ProbeLease,
        router: u32,
        question: Target,
        now: u64,
    ) -> u32 {
        self.under_way[router as usize] += 1;
        let Target {
            lambda,
            to,
            key,
            number,
        } = question;
        if let Some(id) = self.free.pop() {
            let slot = &mut self.slots[id as usize];
            slot.probe = Some(probe);
            (slot.router, slot.sent) = (router, now);
            (slot.lambda, slot.to) = (lambda, to);
            (slot.key, slot.number) = (key, number);
            slot.answer = None;
            return id;
        }
        self.slots.push(Question {
            probe: Some(probe),
            router,
            sent: now,
            lambda,
            to,
            key,
            number,
            answer: None,
        });
        self.slots.len() as u32 - 1
    }

    /// The answer, if there is one, reaches the router.
    pub(super) fn end(&mut self, id: u32, lambda: &LoneLambda, now: u64) {
        let question = &mut self.slots[id as usize];
        self.under_way[question.router as usize] -= 1;
        self.free.push(id);
        let latency = Nanos(now - question.sent);
        let Some(probe) = question.probe.take() else {
            return;
        };
        match &question.answer {
            Some((report, estimate)) if latency <= DEADLINE => {
                lambda.answered(probe, latency, Some(*estimate), report, Nanos(now));
            }
            _ => lambda.unanswered(probe),
        }
    }
}

/// What a probe asks about, and whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) lambda: u32,
    pub(super) to: Neighbour,
    pub(super) key: u64,
    pub(super) number: u64,
}

impl std::ops::Index<u32> for Probing {
    type Output = Question;

    fn index(&self, id: u32) -> &Question {
        &self.slots[id as usize]
    }
}

impl std::ops::IndexMut<u32> for Probing {
    fn index_mut(&mut self, id: u32) -> &mut Question {
        &mut self.slots[id as usize]
    }
}
