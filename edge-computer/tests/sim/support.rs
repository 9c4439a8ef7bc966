//! Small computers, and what they have done.

use edge_computer::sim::{
    Completion, Computer, ComputerBuilder, Lambda, Processor, ProcessorKind, Requirements, SimTime,
};

pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) fn cpu(name: &str, speed: f64, cores: u32, memory: u64) -> Processor {
    Processor::new(name, ProcessorKind::GenericCpu, speed, cores, memory).unwrap()
}

pub(crate) fn fixed(name: &str, ops: u64, memory: u64) -> Lambda {
    Lambda::copying(name, Requirements::Fixed { ops, memory })
}

/// Operations are ten times, and memory is the length of the input.
pub(crate) fn sized(name: &str) -> Lambda {
    let requirements = Requirements::Proportional {
        op_coeff: 10.0,
        op_offset: 0.0,
        mem_coeff: 1.0,
        mem_offset: 0.0,
    };
    Lambda::copying(name, requirements)
}

pub(crate) fn single(processor: Processor, lambda: Lambda, workers: u32) -> Computer {
    let mut builder = Computer::builder("computer");
    let name = processor.name().to_owned();
    builder.add_processor(processor).unwrap();
    builder
        .add_container("container", &name, lambda, workers)
        .unwrap();
    builder.build()
}

pub(crate) fn at(nanos: u64) -> SimTime {
    SimTime::from_nanos(nanos)
}

/// Id and instant of all completions, collected one by one when they are due.
pub(crate) fn drain(computer: &mut Computer) -> Vec<(u64, u64)> {
    let mut ends = Vec::new();
    while let Some(due) = computer.next_completion() {
        let done = computer.advance(due);
        assert!(!done.is_empty(), "nothing ended at {due:?}");
        ends.extend(done.iter().map(end));
    }
    ends
}

pub(crate) fn end(completion: &Completion) -> (u64, u64) {
    (completion.id.number(), completion.finished_at.as_nanos())
}

pub(crate) fn builder_with_one_container() -> ComputerBuilder {
    let mut builder = Computer::builder("computer");
    builder.add_processor(cpu("p", 1.0, 1, 1)).unwrap();
    builder
        .add_container("c", "p", fixed("f", 1, 1), 1)
        .unwrap();
    builder
}
