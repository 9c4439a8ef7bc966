//! Artificial delays and made-up answers: what experiments with brokers ask for.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use edge_proto::OK;
use edge_proto::rpc::{LambdaResponse, Outcome};
use edge_transport::LambdaReply;
use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;

/// What happens to a request before it leaves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Delay {
    /// Shortest and longest pause before each attempt.
    pub(crate) pause: Option<(Duration, Duration)>,
    /// Nobody is contacted: the broker makes up the answer.
    pub(crate) fake: bool,
}

impl Delay {
    pub(super) fn is_fake(&self) -> bool {
        self.fake
    }

    /// Pauses for a time drawn uniformly from the configured range.
    ///
    /// # Errors
    /// If that would last beyond the deadline, which is said at once.
    pub(super) async fn wait(
        &self,
        random: &Mutex<Pcg64Mcg>,
        deadline: Instant,
    ) -> Result<(), String> {
        let Some((min, max)) = self.pause else {
            return Ok(());
        };
        let seconds = lock(random).random_range(min.as_secs_f64()..=max.as_secs_f64());
        let pause = Duration::from_secs_f64(seconds);
        let left = deadline.saturating_duration_since(Instant::now());
        if pause > left {
            return Err(format!(
                "deadline exceeded: an artificial delay of {pause:?} is due, {left:?} are left"
            ));
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// An empty answer that claims to have taken between 1 ms and 1 s.
    pub(super) fn fake_answer(&self, random: &Mutex<Pcg64Mcg>) -> LambdaReply {
        let ptime = lock(random).random_range(1..=1000);
        super::encoded(&LambdaResponse {
            retcode: OK.to_owned(),
            outcome: Outcome::Ok as i32,
            ptime,
            ..LambdaResponse::default()
        })
    }
}

fn lock(random: &Mutex<Pcg64Mcg>) -> std::sync::MutexGuard<'_, Pcg64Mcg> {
    random.lock().unwrap_or_else(PoisonError::into_inner)
}
