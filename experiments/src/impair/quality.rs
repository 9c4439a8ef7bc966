//! How good one direction of a link is, and the text in which users say so.

use std::str::FromStr;
use std::time::Duration;

/// Bytes that may leave at once after a pause: the burst that the published experiments had.
pub(crate) const BURST: u32 = 15 << 10;
/// Packets that a link holds, unless told otherwise.
pub(crate) const QUEUE: usize = 1000;

const LONGEST: Duration = Duration::from_secs(60);
const LARGEST_QUEUE: usize = 100_000;

/// One direction of a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quality {
    /// From one end to the other, without what the rate adds. At most a minute.
    pub(crate) delay: Duration,
    /// Bits per second; none: without limit.
    pub(crate) rate: Option<u64>,
    /// Bytes that may leave at once after a pause: the size of the token bucket.
    pub(crate) burst: u32,
    /// Probability that a packet is lost, from 0 to 1; each for itself (Bernoulli).
    pub(crate) loss: f64,
    /// Probability that a packet is not delayed, and so overtakes those before it, from 0 to 1.
    pub(crate) reorder: f64,
    /// Packets that wait or travel at the same time; what comes beyond that is dropped.
    pub(crate) queue: usize,
}

impl Default for Quality {
    /// A perfect wire.
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            rate: None,
            burst: BURST,
            loss: 0.0,
            reorder: 0.0,
            queue: QUEUE,
        }
    }
}

impl Quality {
    /// As the experiments describe links: so much delay, so many Mb/s, so many per cent lost.
    pub(crate) fn new(delay: Duration, megabits: u64, loss_percent: f64) -> Self {
        Self {
            delay,
            rate: Some(megabits * 1_000_000),
            loss: loss_percent / 100.0,
            ..Self::default()
        }
    }

    /// True if packets can be lost or overtake each other, which TCP's bytes cannot.
    pub(crate) fn is_for_packets_only(&self) -> bool {
        self.loss > 0.0 || self.reorder > 0.0
    }
}

/// What is wrong with a text that should describe a link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QualityError {
    /// No `key=value`.
    #[error("'{0}' is not key=value")]
    NoPair(String),
    /// An unknown key.
    #[error("'{0}' is none of delay, rate, burst, loss, reorder, queue")]
    Unknown(String),
    /// A value out of range, or none.
    #[error("'{value}': {key} takes {range}")]
    Value {
        key: &'static str,
        value: String,
        range: &'static str,
    },
}

impl FromStr for Quality {
    type Err = QualityError;

    /// `delay=10ms,rate=1Mbit,burst=15360,loss=1%,reorder=0.1%,queue=1000`, each of them optional.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut quality = Self::default();
        for pair in text
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
        {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| QualityError::NoPair(pair.to_owned()))?;
            let wrong = |key, range| QualityError::Value {
                key,
                value: value.to_owned(),
                range,
            };
            match key {
                "delay" => {
                    quality.delay = duration(value)
                        .ok_or_else(|| wrong("delay", "0 to 60s, with a unit: us, ms or s"))?;
                }
                "rate" => {
                    quality.rate =
                        Some(rate(value).ok_or_else(|| {
                            wrong("rate", "1kbit to 100Gbit: kbit, Mbit or Gbit")
                        })?);
                }
                "burst" => {
                    let bytes = value.parse().ok().filter(|b| (1..=1 << 30).contains(b));
                    quality.burst = bytes.ok_or_else(|| wrong("burst", "bytes, up to 1 Gi"))?;
                }
                "loss" => {
                    quality.loss = share(value).ok_or_else(|| wrong("loss", "0% to 100%"))?;
                }
                "reorder" => {
                    quality.reorder = share(value).ok_or_else(|| wrong("reorder", "0% to 100%"))?;
                }
                "queue" => {
                    let packets = value.parse().ok();
                    let packets = packets.filter(|packets| (1..=LARGEST_QUEUE).contains(packets));
                    quality.queue = packets.ok_or_else(|| wrong("queue", "1 to 100000 packets"))?;
                }
                other => return Err(QualityError::Unknown(other.to_owned())),
            }
        }
        Ok(quality)
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text);
    let seconds = number.parse::<f64>().ok()?
        * match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            _ => return None,
        };
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (duration <= LONGEST).then_some(duration)
}

fn rate(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let bits = number.parse::<f64>().ok()?
        * match unit.to_ascii_lowercase().as_str() {
            "kbit" => 1e3,
            "mbit" => 1e6,
            "gbit" => 1e9,
            _ => return None,
        };
    (1e3..=1e11).contains(&bits).then_some(bits as u64)
}

fn share(text: &str) -> Option<f64> {
    let percent: f64 = text.strip_suffix('%')?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_told_in_words() {
        let text = "delay=1.5ms, rate=10Mbit,loss=2.5%,reorder=1%,queue=20,burst=1500";
        let quality: Quality = text.parse().unwrap();
        let expected = Quality {
            delay: Duration::from_micros(1500),
            rate: Some(10_000_000),
            burst: 1500,
            loss: 0.025,
            reorder: 0.01,
            queue: 20,
        };
        assert_eq!(quality, expected);
        assert_eq!("".parse(), Ok(Quality::default()));
    }

    #[test]
    fn nonsense_is_refused_with_the_range() {
        for text in [
            "delay=10",
            "delay=-1ms",
            "delay=61s",
            "delay=NaNms",
            "rate=1",
            "rate=0kbit",
            "rate=1e9Gbit",
            "loss=1",
            "loss=101%",
            "loss=NaN%",
            "queue=0",
            "queue=100001",
            "burst=0",
            "speed=1",
            "delay",
            "reorder=-1%",
        ] {
            let refused = text.parse::<Quality>().unwrap_err().to_string();
            assert!(refused.contains('\''), "{text}: {refused}");
        }
    }
}
