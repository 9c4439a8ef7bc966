//! What it costs to decide whether a request is taken, to be run under valgrind by
//! `ci/count_instructions.py`: `admissions QUEUED KIND REQUESTS`.
//!
//! KIND is `bounds` (most requests), `bounded` (those that need a forecast) or `exact` (a forecast
//! that looks as far as necessary).

use std::hint::black_box;
use std::process::ExitCode;

use edge_computer::sim::{
    Computer, Horizon, Lambda, Processor, ProcessorKind, Requirements, SimTime,
};

/// As many as the platform replays.
const EVENTS: usize = 128;

/// Eight workers on four cores, and `queued` requests of several sizes that wait for them.
fn computer(queued: usize) -> Computer {
    let mut builder = Computer::builder("computer");
    let cpu = Processor::new("cpu", ProcessorKind::GenericCpu, 1e9, 4, 1 << 40);
    builder
        .add_processor(cpu.expect("a possible processor"))
        .expect("the only one");
    let requirements = Requirements::Proportional {
        op_coeff: 1e6,
        op_offset: 4e6,
        mem_coeff: 100.0,
        mem_offset: 0.0,
    };
    builder
        .add_container("c", "cpu", Lambda::copying("f", requirements), 8)
        .expect("the only one");
    builder.max_pending(usize::MAX);
    let mut computer = builder.build();
    for index in 0..queued + 8 {
        computer
            .submit(SimTime::ZERO, "f", index * 7 % 100)
            .expect("there is room");
    }
    computer
}

/// Instructions are counted inside of this function only.
#[inline(never)]
fn counted(computer: &mut Computer, horizon: Option<Horizon>, requests: usize) {
    for _ in 0..requests {
        let now = black_box(SimTime::ZERO);
        match horizon {
            None => drop(black_box(computer.bounds(now, "f", 50))),
            Some(horizon) => drop(black_box(computer.forecast(now, "f", 50, horizon))),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [queued, kind, requests] = &arguments[..] else {
        eprintln!("usage: admissions QUEUED bounds|bounded|exact REQUESTS");
        return ExitCode::from(2);
    };
    let horizon = match kind.as_str() {
        "bounds" => None,
        "bounded" => Some(Horizon {
            events: EVENTS,
            ..Horizon::UNBOUNDED
        }),
        "exact" => Some(Horizon::UNBOUNDED),
        other => {
            eprintln!("admissions: there is no KIND '{other}'");
            return ExitCode::from(2);
        }
    };
    let (Ok(queued), Ok(requests)) = (queued.parse(), requests.parse()) else {
        eprintln!("admissions: QUEUED and REQUESTS are whole numbers");
        return ExitCode::from(2);
    };
    counted(&mut computer(queued), horizon, requests);
    ExitCode::SUCCESS
}
