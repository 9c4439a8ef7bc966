//! The work of the benchmark `pick` for one policy, to be run under valgrind by
//! `ci/count_instructions.py`: `picks POLICY CANDIDATES REQUESTS`.

#[path = "../benches/pick/workload.rs"]
mod workload;

use std::process::ExitCode;
use workload::Workload;

/// Instructions are counted inside of this function only.
#[inline(never)]
fn counted(workload: &mut Workload, requests: usize) {
    for _ in 0..requests {
        workload.request();
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [policy, candidates, requests] = &arguments[..] else {
        eprintln!("usage: picks POLICY CANDIDATES REQUESTS");
        return ExitCode::from(2);
    };
    let (Ok(candidates), Ok(requests)) = (candidates.parse(), requests.parse()) else {
        eprintln!("picks: CANDIDATES and REQUESTS are whole numbers");
        return ExitCode::from(2);
    };
    if !edge_balance::PolicyConfig::NAMES.contains(&policy.as_str()) {
        eprintln!("picks: there is no policy '{policy}'");
        return ExitCode::from(2);
    }
    counted(&mut Workload::new(policy, candidates), requests);
    ExitCode::SUCCESS
}
