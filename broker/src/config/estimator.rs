//! The section `[estimator]` of a dispatcher, which `--ptimeest-conf` writes as well.

use std::path::PathBuf;
use std::time::Duration;

use edge_balance::Nanos;
use serde::{Deserialize, Serialize};

/// By which prediction a destination is picked. All times are in seconds; a
/// stale period of 0 or less means that samples always count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    try_from = "Raw"
)]
pub enum EstimatorConfig {
    /// The smallest time on the network.
    Rtt {
        /// Samples that count, for each lambda at each destination.
        window_size: usize,
        /// Age at which they no longer count.
        stale_period: f64,
    },
    /// The smallest sum of time on the network and processing time.
    Util {
        /// Samples of the network that count.
        rtt_window_size: usize,
        /// Age at which they no longer count.
        rtt_stale_period: f64,
        /// Age at which a reported load is taken for none.
        util_load_timeout: f64,
        /// Samples of processing times that count.
        util_window_size: usize,
        /// Age at which they no longer count.
        util_stale_period: f64,
        /// File to which predictions and measurements are written.
        #[serde(skip_serializing_if = "Option::is_none")]
        output: Option<PathBuf>,
    },
    /// The smallest time until the answer.
    Delay {
        /// Age at which a reported load is taken for none.
        util_load_timeout: f64,
        /// Samples that count.
        util_window_size: usize,
        /// Age at which they no longer count.
        util_stale_period: f64,
        /// File to which predictions and measurements are written.
        #[serde(skip_serializing_if = "Option::is_none")]
        output: Option<PathBuf>,
    },
    /// What the destinations estimate when they are asked about a request.
    Probe {
        /// Questions under way to one destination at the same time.
        max_clients: usize,
        /// How long answers are waited for before each request.
        timeout: f64,
        /// File to which estimates and measurements are written.
        #[serde(skip_serializing_if = "Option::is_none")]
        output: Option<PathBuf>,
    },
}

/// Samples of one window at the most.
const LARGEST_WINDOW: i64 = 1000;
/// Questions to one destination at the most.
const MOST_CLIENTS: i64 = 10_000;
/// Processing times are never stale in the reference, where a destination that
/// was slow once is never tried again.
const UTIL_STALE_PERIOD: f64 = 60.0;
/// Answers that take longer are not worth the wait.
const PROBE_TIMEOUT: f64 = 0.05;

impl Default for EstimatorConfig {
    fn default() -> Self {
        Self::Rtt {
            window_size: 50,
            stale_period: 10.0,
        }
    }
}

impl EstimatorConfig {
    /// A complete conf string of each type, the default first.
    pub const EXAMPLES: [(&'static str, &'static str); 4] = [
        ("rtt", "type=rtt,window-size=50,stale-period=10"),
        (
            "util",
            "type=util,rtt-window-size=50,rtt-stale-period=10,util-load-timeout=10,util-window-size=50,output=out.dat",
        ),
        (
            "delay",
            "type=delay,util-load-timeout=10,util-window-size=50,output=out.dat",
        ),
        ("probe", "type=probe,max-clients=10,output=out.dat"),
    ];

    /// In the words of the reference: there is no such type.
    pub fn unknown_type(name: &str) -> String {
        format!("Invalid processing time estimator type: {name}")
    }

    /// In the words of the reference: a key of this type is missing or wrong.
    pub fn invalid(name: &str) -> String {
        let example = Self::EXAMPLES.iter().find(|(known, _)| *known == name);
        example.map_or_else(
            || Self::unknown_type(name),
            |(_, example)| {
                format!("Invalid configuration for type '{name}', use something like: {example}")
            },
        )
    }

    pub(crate) fn policy(&self) -> edge_balance::EstimatorConfig {
        use edge_balance::EstimatorConfig as Estimator;
        let span = Nanos::from_secs_f64;
        match *self {
            Self::Rtt {
                window_size,
                stale_period,
            } => Estimator::Rtt {
                window_size,
                stale_period: span(stale_period),
            },
            Self::Util {
                rtt_window_size,
                rtt_stale_period,
                util_load_timeout,
                util_window_size,
                util_stale_period,
                ..
            } => Estimator::Util {
                rtt_window_size,
                rtt_stale_period: span(rtt_stale_period),
                util_window_size,
                util_stale_period: span(util_stale_period),
                util_load_timeout: span(util_load_timeout),
            },
            Self::Delay {
                util_load_timeout,
                util_window_size,
                util_stale_period,
                ..
            } => Estimator::Delay {
                util_window_size,
                util_stale_period: span(util_stale_period),
                util_load_timeout: span(util_load_timeout),
            },
            Self::Probe { .. } => Estimator::Probe,
        }
    }

    /// The file that predictions and measurements are written to.
    pub(crate) fn output(&self) -> Option<&PathBuf> {
        match self {
            Self::Rtt { .. } => None,
            Self::Util { output, .. } | Self::Delay { output, .. } | Self::Probe { output, .. } => {
                output.as_ref()
            }
        }
    }

    /// How destinations are asked before each request, if they are: questions
    /// to one of them at the same time, and the time to wait for answers.
    pub(crate) fn asking(&self) -> Option<(usize, Duration)> {
        match *self {
            Self::Probe {
                max_clients,
                timeout,
                ..
            } => Some((max_clients, Duration::from_secs_f64(timeout))),
            _ => None,
        }
    }
}

/// All keys of all types.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    r#type: String,
    window_size: Option<i64>,
    stale_period: Option<f64>,
    rtt_window_size: Option<i64>,
    rtt_stale_period: Option<f64>,
    util_load_timeout: Option<f64>,
    util_window_size: Option<i64>,
    util_stale_period: Option<f64>,
    max_clients: Option<i64>,
    timeout: Option<f64>,
    output: Option<PathBuf>,
}

impl Raw {
    /// A key that none of the type has taken.
    fn left_over(&self) -> Option<&'static str> {
        let given = [
            ("window-size", self.window_size.is_some()),
            ("stale-period", self.stale_period.is_some()),
            ("rtt-window-size", self.rtt_window_size.is_some()),
            ("rtt-stale-period", self.rtt_stale_period.is_some()),
            ("util-load-timeout", self.util_load_timeout.is_some()),
            ("util-window-size", self.util_window_size.is_some()),
            ("util-stale-period", self.util_stale_period.is_some()),
            ("max-clients", self.max_clients.is_some()),
            ("timeout", self.timeout.is_some()),
            ("output", self.output.is_some()),
        ];
        given.into_iter().find(|(_, is)| *is).map(|(key, _)| key)
    }

    fn take(&mut self) -> Result<EstimatorConfig, String> {
        let output = |output: &mut Option<PathBuf>| {
            let path = output.take();
            path.filter(|path| !path.as_os_str().is_empty())
        };
        let util_stale = |period: &mut Option<f64>| {
            seconds(
                "util-stale-period",
                period.take().or(Some(UTIL_STALE_PERIOD)),
            )
        };
        Ok(match self.r#type.as_str() {
            "rtt" => EstimatorConfig::Rtt {
                window_size: count("window-size", self.window_size.take(), LARGEST_WINDOW)?,
                stale_period: seconds("stale-period", self.stale_period.take())?,
            },
            "util" => EstimatorConfig::Util {
                rtt_window_size: count(
                    "rtt-window-size",
                    self.rtt_window_size.take(),
                    LARGEST_WINDOW,
                )?,
                rtt_stale_period: seconds("rtt-stale-period", self.rtt_stale_period.take())?,
                util_load_timeout: seconds("util-load-timeout", self.util_load_timeout.take())?,
                util_window_size: count(
                    "util-window-size",
                    self.util_window_size.take(),
                    LARGEST_WINDOW,
                )?,
                util_stale_period: util_stale(&mut self.util_stale_period)?,
                output: output(&mut self.output),
            },
            "delay" => EstimatorConfig::Delay {
                util_load_timeout: seconds("util-load-timeout", self.util_load_timeout.take())?,
                util_window_size: count(
                    "util-window-size",
                    self.util_window_size.take(),
                    LARGEST_WINDOW,
                )?,
                util_stale_period: util_stale(&mut self.util_stale_period)?,
                output: output(&mut self.output),
            },
            "probe" => EstimatorConfig::Probe {
                max_clients: count("max-clients", self.max_clients.take(), MOST_CLIENTS)?,
                timeout: match self.timeout.take().unwrap_or(PROBE_TIMEOUT) {
                    timeout if (0.001..=10.0).contains(&timeout) => timeout,
                    other => return Err(format!("timeout: {other} s is not between 0.001 and 10")),
                },
                output: output(&mut self.output),
            },
            _ => unreachable!("types are checked before their keys"),
        })
    }
}

impl TryFrom<Raw> for EstimatorConfig {
    type Error = String;

    fn try_from(mut raw: Raw) -> Result<Self, String> {
        let name = raw.r#type.clone();
        if !Self::EXAMPLES.iter().any(|(known, _)| *known == name) {
            return Err(Self::unknown_type(&name));
        }
        let explain = |problem: String| format!("{} ({problem})", Self::invalid(&name));
        let config = raw.take().map_err(explain)?;
        match raw.left_over() {
            Some(key) => Err(explain(format!("{key}: means nothing to this type"))),
            None => Ok(config),
        }
    }
}

fn count(key: &str, value: Option<i64>, most: i64) -> Result<usize, String> {
    let value = value.ok_or_else(|| format!("{key}: is missing"))?;
    let count = usize::try_from(value).ok();
    count
        .filter(|_| (1..=most).contains(&value))
        .ok_or_else(|| format!("{key}: {value} is not between 1 and {most}"))
}

fn seconds(key: &str, value: Option<f64>) -> Result<f64, String> {
    let value = value.ok_or_else(|| format!("{key}: is missing"))?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(format!("{key}: {value} is not a time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<EstimatorConfig, String> {
        let deserializer = serde_json::from_str::<EstimatorConfig>(text);
        deserializer.map_err(|error| error.to_string())
    }

    #[test]
    fn every_example_is_complete_and_comes_back_as_it_was_written() {
        for (name, example) in EstimatorConfig::EXAMPLES {
            let pairs = example.split(',').map(|pair| {
                let (key, value) = pair.split_once('=').unwrap();
                let value: serde_json::Value =
                    value.parse::<i64>().map_or(value.into(), Into::into);
                (key.to_owned(), value)
            });
            let json = serde_json::Value::Object(pairs.collect()).to_string();
            let config = read(&json).unwrap();
            assert_eq!(config.policy().name(), name);
            let written = serde_json::to_string(&config).unwrap();
            assert_eq!(read(&written), Ok(config), "{written}");
        }
    }

    #[test]
    fn errors_are_in_the_words_of_the_reference_and_name_the_key() {
        for (text, expected) in [
            (
                r#"{"type": "crystal-ball"}"#,
                "Invalid processing time estimator type: crystal-ball",
            ),
            (
                r#"{"type": "rtt", "stale-period": 1}"#,
                "Invalid configuration for type 'rtt', use something like: type=rtt,window-size=50,stale-period=10 (window-size: is missing)",
            ),
            (
                r#"{"type": "rtt", "window-size": 0, "stale-period": 1}"#,
                "(window-size: 0 is not between 1 and 1000)",
            ),
            (
                r#"{"type": "rtt", "window-size": -1, "stale-period": 1}"#,
                "(window-size: -1 is not",
            ),
            (
                r#"{"type": "probe", "max-clients": 1, "timeout": 0}"#,
                "(timeout: 0 s is not between",
            ),
            (
                r#"{"type": "probe", "max-clients": 1, "window-size": 5}"#,
                "(window-size: means nothing to this type)",
            ),
            (r#"{"type": "probe", "size": 1}"#, "unknown field `size`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_empty_output_is_none() {
        let config = read(r#"{"type": "probe", "max-clients": 1, "output": ""}"#).unwrap();
        assert_eq!(config.output(), None);
        assert_eq!(config.asking(), Some((1, Duration::from_millis(50))));
    }
}
