//! Figures that the authors of the reference have published with its experiments.
//!
//! From the repository `ccicconetti/serverlessonedge`, folders `experiments/302_…` to `304_…`, one
//! machine, Mininet. Where there is none, it was not published.

use super::mode::Mode;
use super::speed::Speed;

/// Experiment 302: 90th percentile in milliseconds, at losses of 0 to 5 %.
pub(super) fn p90_of_302(speed: Speed, mode: Mode, loss: u32) -> Option<f64> {
    let row = match (speed, mode) {
        (Speed::Fast, Mode::Grpc) => [1.01, 1.03, 1.06, 205.9, 209.6, 219.5],
        (Speed::Fast, Mode::Quic) => [1.72, 1.67, 2.06, 46.0, 46.7, 85.6],
        (Speed::Fast, Mode::Quic0Rtt) => [1.58, 1.78, 1.99, 31.8, 44.7, 95.2],
        (Speed::Slow, Mode::Grpc) => [41.1, 41.1, 41.1, 287.3, 290.5, 291.3],
        (Speed::Slow, Mode::Quic) => [41.7, 41.6, 41.9, 42.1, 230.3, 347.6],
        (Speed::Slow, Mode::Quic0Rtt) => [41.7, 41.7, 41.7, 115.0, 166.0, 194.5],
        _ => return None,
    };
    row.get(loss as usize).copied()
}

/// Experiment 302: kB/s, summed over the switches.
pub(super) fn traffic_of_302(speed: Speed, mode: Mode, loss: u32) -> Option<f64> {
    let row = match (speed, mode) {
        (Speed::Slow, Mode::Grpc) => [71.9, 73.1, 74.2, 75.9, 77.3, 76.4],
        (Speed::Medium, Mode::Grpc) => [71.9, 73.1, 75.4, 76.4, 77.3, 79.7],
        (Speed::Fast, Mode::Grpc) => [71.9, 73.2, 74.6, 75.9, 77.1, 78.5],
        (Speed::Slow, Mode::Quic0Rtt) => [73.4, 75.4, 77.0, 79.9, 81.7, 83.1],
        (Speed::Medium, Mode::Quic0Rtt) => [147.1, 75.3, 76.9, 80.7, 83.4, 82.8],
        (Speed::Fast, Mode::Quic0Rtt) => [147.0, 75.1, 76.9, 78.4, 82.9, 83.2],
        _ => return None,
    };
    row.get(loss as usize).copied()
}

/// Experiment 303: 50th, 90th and 99th percentile in milliseconds, without the first ten seconds.
pub(super) fn percentiles_of_303(speed: Speed, mode: Mode) -> Option<[f64; 3]> {
    match (speed, mode) {
        (Speed::Slow, Mode::Grpc) => Some([201.43, 201.60, 201.81]),
        (Speed::Slow, Mode::Quic) => Some([202.48, 202.61, 202.92]),
        (Speed::Slow, Mode::Quic0Rtt) => Some([202.50, 202.71, 203.35]),
        _ => None,
    }
}

/// Experiment 303: kB/s, summed over the switches.
pub(super) fn traffic_of_303(speed: Speed, mode: Mode) -> Option<f64> {
    let by_mode = match speed {
        Speed::Slow => [47.5, 48.6, 48.6],
        Speed::Medium => [96.4, 98.4, 98.5],
        Speed::Fast => [96.5, 152.2, 194.0],
    };
    let column = Mode::PUBLISHED.iter().position(|known| *known == mode)?;
    Some(by_mode[column])
}

/// Experiment 304: kB/s (published as Mb/s), summed over the switches; mean of 30 seeds.
pub(super) fn traffic_of_304(centralized: bool, mode: Mode) -> Option<f64> {
    let megabits = if centralized {
        [6.77, 8.66, 8.75]
    } else {
        [2.51, 2.71, 2.53]
    };
    let column = Mode::PUBLISHED.iter().position(|known| *known == mode)?;
    Some(megabits[column] * 1000.0 / 8.0)
}
