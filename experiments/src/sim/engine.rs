//! The simulation of one run: requests travel to executors and answers back, in order of time.

use edge_balance::{Lease, Nanos};

use super::antagonists::Antagonists;
use super::arrivals::Arrival;
use super::chooser::{Chooser, World};
use super::course::{Course, Draw, Request, requests};
use super::events::{Due, Event, Events};
use super::executor::Executor;
use super::inbox::{Inboxes, Message};
use super::job::{Jobs, Verdict};
use super::outcome::Tally;
use super::probing::{Probing, Target};
use super::random::drawn;
use super::topology::Topology;
use super::{Contender, Outcome, Scenario};

/// Attempts per request, refusals included.
const MOST_ATTEMPTS: u8 = 5;
/// How soon an executor that fails fast answers, in nanoseconds.
const FAILS_WITHIN: u64 = 200_000;

/// Number of the first draw that belongs to probes, after those of all attempts.
const PROBES: u64 = 4 * (MOST_ATTEMPTS as u64 + 1);

/// Events of a request: it reaches an executor, and is done. Most answers are none. A probe is one.
const EVENTS: f64 = 2.0;
/// What is going to happen happens within so many mean services, nearly always.
const SOON: f64 = 10.0;

/// Runs a scenario. The same arguments give the same outcome, bit for bit, and all contenders of
/// a seed meet the same requests, delays and antagonists.
pub(crate) fn run(scenario: &Scenario, contender: &Contender, seed: u64) -> Outcome {
    let topology = Topology::new(scenario, seed);
    let engine = Engine::new(scenario, &topology, contender, seed);
    engine.run(requests(scenario, &topology, seed), |_| ())
}

/// The same with what was made before, for one contender after the other, whose requests may be
/// where those of the last one were.
pub(super) fn run_on(course: &Course<'_>, contender: &Contender, jobs: &mut Jobs) -> Outcome {
    let mut engine = Engine::new(course.scenario, &course.topology, contender, course.seed);
    engine.jobs = std::mem::take(jobs);
    engine.go(course.requests.iter().copied(), |_| ());
    *jobs = engine.jobs;
    jobs.clear();
    engine.tally.outcome()
}

/// How often the progress of a run is told, in requests; a power of two.
const TOLD_EVERY: usize = 1 << 16;

/// When a router notices the answer to a request that was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    /// As soon as it is there: by then the executor knows how busy it has been.
    AtOnce,
    /// Before it does something else.
    InTime,
    /// Never: it learns nothing.
    Never,
}

/// A run, ready to go.
pub(super) struct Engine<'a> {
    scenario: &'a Scenario,
    topology: &'a Topology,
    antagonists: Antagonists<'a>,
    executors: Vec<Executor>,
    chooser: Chooser,
    sends_probes: bool,
    jobs: Jobs,
    probing: Probing,
    inboxes: Inboxes,
    hearing: Hearing,
    events: Events,
    now: u64,
    tally: Tally,
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        topology: &'a Topology,
        contender: &Contender,
        seed: u64,
    ) -> Self {
        let antagonists = Antagonists::new(scenario);
        let chooser = Chooser::new(scenario, contender, topology, seed);
        let probes = chooser.probes_per_request();
        let per_second = (EVENTS + probes) * scenario.rate();
        let mut events = Events::new(per_second, SOON * scenario.mean_work());
        for (at, number) in antagonists.schedule() {
            events.push(at, Event::Disturb(number));
        }
        let mut executors: Vec<_> = (0..scenario.speeds.len())
            .map(|executor| Executor::new(scenario, executor))
            .collect();
        if contender.looks_at_utilisation() {
            executors.iter_mut().for_each(Executor::tell_utilisation);
        }
        Engine {
            scenario,
            antagonists,
            executors,
            hearing: match (chooser.learns(), contender.looks_at_utilisation()) {
                (false, _) => Hearing::Never,
                (true, true) => Hearing::AtOnce,
                (true, false) => Hearing::InTime,
            },
            chooser,
            sends_probes: probes > 0.0,
            topology,
            jobs: Jobs::default(),
            probing: Probing::new(scenario.routers),
            inboxes: Inboxes::new(scenario.routers),
            events,
            now: 0,
            tally: Tally::new(scenario),
        }
    }

    /// Runs to the end of the scenario; `requests` are at least as many as that has, and `progress`
    /// gets the number of those so far, now and then.
    pub(super) fn run(
        self,
        requests: impl Iterator<Item = Request>,
        progress: impl Fn(usize),
    ) -> Outcome {
        self.tally(requests, progress).outcome()
    }

    /// The same, for those who want to know more.
    pub(super) fn tally(
        mut self,
        requests: impl Iterator<Item = Request>,
        progress: impl Fn(usize),
    ) -> Tally {
        self.go(requests, progress);
        self.tally
    }

    fn go(&mut self, requests: impl Iterator<Item = Request>, progress: impl Fn(usize)) {
        let count = self.scenario.requests;
        let uncounted = (self.scenario.warm_up * count as f64) as usize;
        for (number, request) in requests.take(count).enumerate() {
            while let Some(due) = self.events.pop_due(request.arrival.at) {
                self.step(due);
            }
            self.now = request.arrival.at;
            self.arrive(&request, number >= uncounted);
            if number.is_multiple_of(TOLD_EVERY) {
                progress(number);
            }
        }
        self.events.become_rare();
        while let Some(due) = self.events.pop_due(u64::MAX) {
            self.step(due);
        }
        for router in 0..self.scenario.routers as u32 {
            self.hear(router, u64::MAX);
        }
        let answered = self.tally.answered();
        assert_eq!(answered, count, "antagonists end, so all requests end too");
    }

    fn step(&mut self, due: Due) {
        self.now = due.at;
        match due.event() {
            Event::Deliver(id) => self.deliver(id),
            Event::Complete { job, generation } => {
                if self.jobs[job].is_planned(generation) {
                    self.complete(job);
                }
            }
            Event::Reply(id) => self.reply(id),
            Event::Disturb(number) => self.disturb(number),
            Event::Ask(id) => self.ask(id),
        }
    }

    fn arrive(&mut self, request: &Request, counts: bool) {
        let arrival = &request.arrival;
        self.hear(arrival.router, self.now);
        self.chooser.welcome(arrival.router, self.now);
        let id = self.jobs.add(request, counts);
        self.dispatch(id, Some(request.there));
        if self.sends_probes {
            self.probe(arrival);
        }
    }

    /// Sends the probes that the router wants at the occasion of a request.
    fn probe(&mut self, occasion: &Arrival) {
        let mut probes = self.chooser.probes(occasion, self.now);
        // Nearly always.
        if probes.is_empty() {
            return;
        }
        // Not by value: moving what has just been written takes longer than all else that is done
        // with it here.
        for (nth, probe) in (0..).zip(probes.drain(..)) {
            let lambda = self.chooser.lambda(occasion.router, occasion.lambda);
            let lambda = lambda.expect("who sends probes has a table");
            if !self.probing.may_send(occasion.router) {
                lambda.unanswered(probe);
                continue;
            }
            let position = lambda.asked(&probe).id() as usize;
            let target = Target {
                lambda: occasion.lambda,
                to: self.topology.of(occasion.router as usize)[position],
                key: occasion.key,
                number: PROBES + 2 * nth,
            };
            let delay = self.topology.delay(target.to, target.key, target.number);
            let id = self.probing.send(probe, occasion.router, target, self.now);
            self.tally.probed();
            self.events.push(self.now + delay, Event::Ask(id));
        }
    }

    /// A probe reaches its executor, which answers if it can.
    fn ask(&mut self, id: u32) {
        let question = &mut self.probing[id];
        let executor = &self.executors[question.to.executor as usize];
        if !executor.is_silent() && !executor.is_down() && executor.fails() == 0.0 {
            question.answer = Some((executor.report(), executor.estimate(question.lambda)));
        }
        let delay = self
            .topology
            .delay(question.to, question.key, question.number + 1);
        let (router, at) = (question.router, self.now + delay);
        self.inboxes.put(router, at, Message::Probed(id));
    }

    /// Sends a request to an executor, or gives it up. How slow the message of the first attempt is, is known.
    fn dispatch(&mut self, id: u32, first: Option<f64>) {
        let world = World {
            topology: self.topology,
            executors: &self.executors,
            now: self.now,
        };
        let job = &mut self.jobs[id];
        if !self.chooser.choose(job, world) {
            return self.give_up(id);
        }
        job.attempts += 1;
        job.sent = self.now;
        let delay = match first {
            Some(stretch) => job.to.delay(stretch),
            None => self.later_delay(id, Draw::There),
        };
        if delay == 0 {
            self.deliver(id);
        } else {
            self.events.push(self.now + delay, Event::Deliver(id));
        }
    }

    /// A request reaches its executor.
    fn deliver(&mut self, id: u32) {
        let job = &mut self.jobs[id];
        job.reached = self.now;
        let executor = &mut self.executors[job.to.executor as usize];
        if executor.is_down() {
            return self.answer(id, Verdict::Failed, 0);
        }
        if executor.fails() > 0.0 {
            let number = Draw::Failure.number(job.attempts);
            if drawn(job.request.key, number) <= executor.fails() {
                return self.answer(id, Verdict::Failed, FAILS_WITHIN);
            }
        }
        let max_wait = job.pick.as_ref().and_then(Lease::max_wait);
        if max_wait.is_some() && executor.refuses(max_wait, &self.jobs, self.now) {
            self.jobs[id].in_flight = executor.in_flight();
            return self.answer(id, Verdict::Refused, 0);
        }
        executor.arrive(id, self.now, &mut self.jobs, &mut self.events);
    }

    fn complete(&mut self, id: u32) {
        let executor = self.jobs[id].to.executor;
        self.executors[executor as usize].complete(id, self.now, &mut self.jobs, &mut self.events);
        self.answer(id, Verdict::Done, 0);
    }

    /// Sends an answer on its way after a pause in nanoseconds.
    fn answer(&mut self, id: u32, verdict: Verdict, after: u64) {
        self.chooser.left(self.jobs[id].to.executor);
        self.jobs[id].verdict = verdict;
        let delay = after + self.delay_back(id);
        if delay == 0 {
            return self.reply(id);
        }
        let at = self.now + delay;
        let router = self.jobs[id].request.router;
        match self.hearing {
            Hearing::Never if verdict == Verdict::Done => self.done(id, at),
            Hearing::InTime if verdict == Verdict::Done && self.inboxes.has_room(router) => {
                self.inboxes.put(router, at, Message::Done(id));
            }
            _ => self.events.push(at, Event::Reply(id)),
        }
    }

    /// A router hears of what has reached it, in its order.
    fn hear(&mut self, router: u32, now: u64) {
        while let Some((at, message)) = self.inboxes.next(router, now) {
            match message {
                Message::Probed(id) => {
                    let question = &self.probing[id];
                    let lambda = self.chooser.lambda(router, question.lambda);
                    let lambda = lambda.expect("who sends probes has a table");
                    self.probing.end(id, lambda, at);
                }
                Message::Done(id) => self.done(id, at),
            }
        }
    }

    /// The answer reaches the router.
    fn reply(&mut self, id: u32) {
        self.hear(self.jobs[id].request.router, self.now);
        let now = Nanos(self.now);
        let job = &mut self.jobs[id];
        match job.verdict {
            Verdict::Done => self.done(id, self.now),
            Verdict::Refused => {
                if job.pick.is_some() {
                    let report = self.executors[job.to.executor as usize].answer(job);
                    self.chooser.refused(job, &report, now);
                }
                self.tally.refused(job);
                job.give_up_attempt();
                if job.attempts < MOST_ATTEMPTS {
                    self.dispatch(id, None);
                } else {
                    self.give_up(id);
                }
            }
            Verdict::Failed => {
                self.chooser.failed(job, now);
                job.give_up_attempt();
                let router = job.request.router;
                if job.attempts < MOST_ATTEMPTS && self.chooser.may_retry(router, self.now) {
                    self.dispatch(id, None);
                } else {
                    self.give_up(id);
                }
            }
        }
    }

    /// The answer to a request that was executed reached the router.
    fn done(&mut self, id: u32, at: u64) {
        let job = &mut self.jobs[id];
        if job.pick.is_some() {
            let report = self.executors[job.to.executor as usize].answer(job);
            self.chooser.succeeded(job, &report, Nanos(at));
        }
        self.tally.done(job, at);
        self.jobs.remove(id);
    }

    fn give_up(&mut self, id: u32) {
        self.tally.failed(&self.jobs[id], self.now);
        self.jobs.remove(id);
    }

    fn disturb(&mut self, number: u32) {
        let index = self.antagonists.toggle(number);
        let condition = self.antagonists.condition(index);
        let executor = &mut self.executors[index];
        executor.set_fails(condition.fails);
        executor.set_factor(condition.factor, self.now, &mut self.jobs, &mut self.events);
        let lost = executor.set_down(condition.down, self.now, &mut self.jobs);
        self.chooser.disturbed(index as u32, self.now, executor);
        for id in lost {
            self.answer(id, Verdict::Failed, 0);
        }
    }

    /// Nanoseconds of the answer of the current attempt.
    fn delay_back(&self, id: u32) -> u64 {
        let job = &self.jobs[id];
        if job.attempts == 1 {
            job.to.delay(job.back)
        } else {
            self.later_delay(id, Draw::Back)
        }
    }

    /// Nanoseconds of a message of an attempt that is not the first.
    fn later_delay(&self, id: u32, draw: Draw) -> u64 {
        let job = &self.jobs[id];
        let number = draw.number(job.attempts);
        self.topology.delay(job.to, job.request.key, number)
    }
}
