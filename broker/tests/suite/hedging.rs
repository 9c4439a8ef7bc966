//! Copies of requests that are late, retries of those that failed, and deadlines that leave no time
//! for either.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::support::{
    Computer, Conduct, PATIENCE, Running, Told, config_without_probes, eventually, report, request,
    start,
};
use edge_broker::{Config, Standing};
use edge_proto::rpc::{LambdaRequest, LambdaResponse, Outcome};
use edge_transport::CallError;
use tokio::sync::Semaphore;

const ATTEMPTS: &str = "edge-attempts";
const OUTCOMES: &str = "edge-attempt-outcomes";
const HEDGES: &str = "edge_router_hedges_total";
const HEDGES_WON: &str = "edge_router_hedges_won_total";

fn idempotent() -> LambdaRequest {
    LambdaRequest {
        idempotent: true,
        ..request("f")
    }
}

/// Whether a computer got `input` already.
fn has(computer: &Computer, input: &str) -> bool {
    computer.received().iter().any(|r| r.input == input)
}

/// A router that knows well how long its computers take.
struct Practised {
    router: Running,
    computers: Vec<Computer>,
    held: Arc<AtomicBool>,
    permits: Arc<Semaphore>,
    /// Copies that have been sent while practising,
    hedges: f64,
    /// and those that were answered first.
    won: f64,
    /// The longest that an answer took meanwhile.
    slowest: Duration,
}

impl Practised {
    async fn new(config: Config, count: usize) -> Self {
        let computers: Vec<_> = (0..count).map(|_| Computer::echo()).collect();
        let mut router = start(config).await;
        for computer in &computers {
            router.route("f", &computer.name(), true).await;
        }
        // More answers than it takes to know a percentile, of requests that may be copied.
        let mut slowest = Duration::ZERO;
        for _ in 0..64 {
            let asked = Instant::now();
            assert_eq!(router.ask(&idempotent()).await.retcode, "OK");
            slowest = slowest.max(asked.elapsed());
        }
        let hedges = router.metric(HEDGES).await;
        let won = router.metric(HEDGES_WON).await;
        Self {
            router,
            computers,
            held: Arc::default(),
            permits: Arc::new(Semaphore::new(0)),
            hedges,
            won,
            slowest,
        }
    }

    /// From now on whoever gets the first request keeps it; the others answer as they like.
    fn hold_one(&self, others: Option<&LambdaResponse>) {
        for computer in &self.computers {
            let (held, permits) = (self.held.clone(), self.permits.clone());
            computer.conduct(Conduct::HoldOne(held, permits, others.cloned()));
        }
    }

    /// How many computers have got `input`.
    fn copies(&self, input: &str) -> usize {
        self.computers.iter().filter(|c| has(c, input)).count()
    }

    /// Asks until no computer is set aside any more, for what may not be copied.
    async fn recover(&self) {
        for computer in &self.computers {
            computer.conduct(Conduct::Echo(Duration::ZERO));
        }
        let give_up = Instant::now() + PATIENCE;
        let all_are_well = || {
            let all = self.router.router.destinations();
            all.iter().all(|d| d.standing == Standing::Healthy)
        };
        while !all_are_well() {
            assert!(Instant::now() < give_up, "somebody stays set aside");
            assert_eq!(self.router.ask(&request("f")).await.retcode, "OK");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Requests that the router waits for.
    fn in_flight(&self) -> u32 {
        let all = self.router.router.destinations();
        all.iter().map(|d| d.in_flight).sum()
    }

    /// Asks for what one computer keeps, and nobody else is asked before it is set aside for its silence.
    async fn is_copied_when_silence_is_noticed(&self) {
        self.hold_one(None);
        let asked = self.router.spawn(&LambdaRequest {
            input: "held".into(),
            ..idempotent()
        });
        eventually("a copy is sent", || {
            let copied = self.copies("held") == 2;
            assert!(!copied || self.silence_is_noticed());
            copied
        })
        .await;
        assert_eq!(asked.await.unwrap().response.retcode, "OK");
    }

    fn silence_is_noticed(&self) -> bool {
        let all = self.router.router.destinations();
        all.iter().any(|d| d.standing == Standing::SetAside)
    }

    /// Asks for what one computer keeps until it has been set aside for its silence, which takes far
    /// longer than answers do; then it answers. Nobody else has to have been asked.
    async fn is_never_copied(&self, request: LambdaRequest) -> Told {
        self.hold_one(None);
        let request = LambdaRequest {
            input: "held".into(),
            ..request
        };
        let asked = self.router.spawn(&request);
        eventually("silence is noticed", || self.silence_is_noticed()).await;
        assert_eq!(self.copies("held"), 1);
        self.permits.add_permits(1);
        let told = asked.await.unwrap();
        assert_eq!(told.response.retcode, "OK");
        assert_eq!(told.trailer(ATTEMPTS), None);
        assert_eq!(self.copies("held"), 1);
        self.router.until_metric(HEDGES, self.hedges).await;
        told
    }
}

#[tokio::test]
async fn a_request_that_hangs_is_copied_elsewhere_and_the_loser_is_cancelled() {
    let practised = Practised::new(config_without_probes(), 2).await;
    let cancelled = || {
        let all = practised.computers.iter();
        all.map(Computer::cancelled).sum::<usize>()
    };
    let before = cancelled();
    practised.hold_one(None);
    let hanging = LambdaRequest {
        input: "hanging".into(),
        ..idempotent()
    };
    let told = practised.router.spawn(&hanging).await.unwrap();
    assert_eq!(told.response.retcode, "OK");
    assert_eq!(told.trailer(ATTEMPTS), Some("2"));
    assert_eq!(told.trailer(OUTCOMES), Some("outrun,ok"));
    assert_eq!(practised.copies("hanging"), 2);
    eventually("the loser is cancelled", || cancelled() == before + 1).await;
    let router = &practised.router;
    router.until_metric(HEDGES, practised.hedges + 1.0).await;
    router.until_metric(HEDGES_WON, practised.won + 1.0).await;
    eventually("nothing is counted as in flight", || {
        practised.in_flight() == 0
    })
    .await;
}

#[tokio::test]
async fn a_request_that_must_not_be_executed_twice_is_never_copied() {
    let practised = Practised::new(config_without_probes(), 2).await;
    practised.is_never_copied(request("f")).await;
}

#[tokio::test]
async fn a_dry_request_is_never_copied() {
    let practised = Practised::new(config_without_probes(), 2).await;
    let dry = LambdaRequest {
        dry: true,
        ..idempotent()
    };
    practised.is_never_copied(dry).await;
}

#[tokio::test]
async fn an_asynchronous_request_is_never_copied() {
    let practised = Practised::new(config_without_probes(), 2).await;
    let asynchronous = LambdaRequest {
        callback: "127.0.0.1:9".into(),
        ..idempotent()
    };
    practised.is_never_copied(asynchronous).await;
}

#[tokio::test]
async fn where_copies_take_as_long_only_silence_has_requests_copied() {
    let mut practised = Practised::new(config_without_probes(), 2).await;
    let gate = Arc::new(Semaphore::new(0));
    for computer in &practised.computers {
        let answer = report(Duration::ZERO, 0, 4);
        computer.conduct(Conduct::Gate(gate.clone(), answer));
    }
    let long = LambdaRequest {
        input: "long".into(),
        ..idempotent()
    };
    let asked = practised.router.spawn(&long);
    eventually("a copy is sent", || practised.copies("long") == 2).await;
    // Copies may be in vain for 16 times the time after which they are sent, and twice that is owed.
    tokio::time::sleep(100 * practised.slowest).await;
    gate.add_permits(2);
    assert_eq!(asked.await.unwrap().response.retcode, "OK");
    practised.hedges += 1.0;
    practised.recover().await;
    practised.is_copied_when_silence_is_noticed().await;
}

#[tokio::test]
async fn nothing_is_copied_where_hedging_is_switched_off() {
    let mut config = config_without_probes();
    config.retry.hedge = false;
    let practised = Practised::new(config, 2).await;
    practised.is_never_copied(idempotent()).await;
}

#[tokio::test]
async fn nothing_is_copied_without_a_budget_for_retries() {
    let mut config = config_without_probes();
    config.retry.ratio = 0.0;
    config.retry.reserve_per_second = 0.0;
    let practised = Practised::new(config, 2).await;
    practised.is_never_copied(idempotent()).await;
    let exhausted = "edge_router_retry_budget_exhausted_total";
    assert!(practised.router.metric(exhausted).await > 0.5);
}

#[tokio::test]
async fn a_request_whose_copy_fails_is_still_answered_by_the_first() {
    let practised = Practised::new(config_without_probes(), 2).await;
    let unknown = LambdaResponse::error(Outcome::NotFound, "no such lambda");
    practised.hold_one(Some(&unknown));
    let asked = practised.router.spawn(&LambdaRequest {
        input: "held".into(),
        ..idempotent()
    });
    eventually("a copy is sent", || practised.copies("held") == 2).await;
    // The computer that has sent its answer may have to wait until the router reads it.
    eventually("the copy has failed", || practised.in_flight() == 1).await;
    practised.permits.add_permits(1);
    let told = asked.await.unwrap();
    assert_eq!(told.response.retcode, "OK");
    assert_eq!(told.trailer(OUTCOMES), Some("not_found,ok"));
}

#[tokio::test]
async fn the_caller_is_told_what_became_of_each_attempt() {
    let (dead, alive) = (Computer::echo(), Computer::echo());
    dead.server.kill().await;
    let mut router = start(config_without_probes()).await;
    router.route("f", &dead.endpoint.to_string(), true).await;
    router.route("f", &alive.name(), true).await;
    let mut failed = None;
    for _ in 0..10 {
        let told = router.spawn(&request("f")).await.unwrap();
        assert_eq!(told.response.retcode, "OK");
        failed = failed.or(told.trailer(OUTCOMES).map(str::to_owned));
    }
    assert_eq!(failed.as_deref(), Some("unavailable,ok"));
    assert_eq!(router.router.retries(), 1);
}

#[tokio::test]
async fn a_request_whose_time_runs_out_between_retries_ends_with_the_last_real_error() {
    const COMPUTERS: usize = 40;
    let mut config = config_without_probes();
    config.retry.max_attempts = COMPUTERS;
    config.retry.ratio = 10.0;
    config.retry.reserve_per_second = 1e3;
    // The longest there is: all pauses together are far longer than the deadline.
    config.retry.back_off = Duration::from_millis(250);
    let unknown = LambdaResponse::error(Outcome::NotFound, "no such lambda");
    let computers: Vec<_> = (0..COMPUTERS)
        .map(|_| Computer::start(Conduct::Say(unknown.clone())))
        .collect();
    let mut router = start(config).await;
    for computer in &computers {
        router.route("f", &computer.name(), true).await;
    }
    // The last attempt of one of them may begin when it is nearly too late, and on a slow machine each may.
    let request = request("f");
    let give_up = Instant::now() + PATIENCE;
    loop {
        match router
            .ask_within(&request, Duration::from_millis(600))
            .await
        {
            Ok(told) if told.response.outcome() == Outcome::NotFound => {
                let attempts = told.trailer(ATTEMPTS).map_or(1, |n| n.parse().unwrap());
                assert!(attempts < COMPUTERS, "{attempts}");
                if attempts > 1 {
                    return;
                }
            }
            Ok(told) => assert_eq!(told.response.outcome(), Outcome::Deadline),
            Err(error) => assert!(matches!(error, CallError::Deadline), "{error}"),
        }
        assert!(Instant::now() < give_up, "nobody is told what went wrong");
    }
}

#[tokio::test]
async fn what_cannot_be_answered_in_time_is_refused_unless_nothing_puts_that_to_the_test() {
    const SERVICE: Duration = Duration::from_secs(1);
    let computer = Computer::start(Conduct::Work(SERVICE, report(SERVICE, 0, 4)));
    let mut router = start(config_without_probes()).await;
    router.route("f", &computer.name(), true).await;
    assert_eq!(router.ask(&request("f")).await.retcode, "OK");
    let executions = |input: &str| {
        let received = computer.received();
        received.iter().filter(|r| r.input == input).count()
    };
    let gate = Arc::new(Semaphore::new(0));
    let answer = report(Duration::ZERO, 0, 4);
    computer.conduct(Conduct::Gate(gate.clone(), answer));
    let busy = router.spawn(&LambdaRequest::new("f", "busy"));
    eventually("it has a request", || executions("busy") == 1).await;
    let hasty = LambdaRequest::new("f", "hasty");
    // On a slow machine its time may be over before it is told anything.
    let asked_hastily = async || {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match router.ask_within(&hasty, SERVICE / 2).await {
                Ok(told) => return told,
                Err(error) => assert!(matches!(error, CallError::Deadline), "{error}"),
            }
            assert!(Instant::now() < give_up, "nobody is told anything");
        }
    };
    let told = asked_hastily().await;
    assert_eq!(told.response.outcome(), Outcome::Deadline);
    let text = &told.response.retcode;
    assert!(
        text.contains("lambda f is expected to take"),
        "refused by the broker: {text}"
    );
    assert_eq!(executions("hasty"), 0);
    gate.add_permits(2);
    assert_eq!(busy.await.unwrap().response.retcode, "OK");
    let told = asked_hastily().await;
    assert_eq!(told.response.retcode, "OK");
    assert!(executions("hasty") > 0);
}

#[tokio::test]
async fn a_copy_counts_as_one_of_the_attempts_that_are_allowed() {
    let mut config = config_without_probes();
    config.retry.max_attempts = 2;
    let practised = Practised::new(config, 3).await;
    // All fail, but only when a copy has been sent.
    let gate = Arc::new(Semaphore::new(0));
    let fails = LambdaResponse::error(Outcome::NotFound, "no such lambda");
    for computer in &practised.computers {
        computer.conduct(Conduct::Gate(gate.clone(), fails.clone()));
    }
    let asked = practised.router.spawn(&LambdaRequest {
        input: "copied".into(),
        ..idempotent()
    });
    eventually("a copy is sent", || practised.copies("copied") == 2).await;
    gate.add_permits(3);
    let told = asked.await.unwrap();
    assert_eq!(told.response.outcome(), Outcome::NotFound);
    assert_eq!(
        practised.copies("copied"),
        2,
        "{:?}",
        told.trailer(OUTCOMES)
    );
}

#[tokio::test]
async fn a_copy_that_is_refused_counts_as_refused_although_the_first_is_answered() {
    const REFUSALS: &str = "edge_router_refusals_total";
    let practised = Practised::new(config_without_probes(), 2).await;
    let before = practised.router.metric(REFUSALS).await;
    let refused = LambdaResponse::error(Outcome::Refused, "refused: would wait");
    practised.hold_one(Some(&refused));
    let asked = practised.router.spawn(&LambdaRequest {
        input: "held".into(),
        ..idempotent()
    });
    eventually("a copy is sent", || practised.copies("held") == 2).await;
    practised.router.until_metric(REFUSALS, before + 1.0).await;
    practised.permits.add_permits(1);
    let told = asked.await.unwrap();
    assert_eq!(told.response.retcode, "OK");
    assert_eq!(told.trailer(OUTCOMES), Some("refused,ok"));
    assert_eq!(practised.router.router.retries(), 0);
}
