//! Reads a platform from JSON: processors, containers and the lambdas they serve.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use thiserror::Error;

use super::computer::{BuildError, Computer};
use super::lambda::Lambda;
use super::processor::{Processor, ProcessorKind};
use super::requirements::Requirements;

/// Why a JSON text describes no computer.
#[derive(Debug, Error)]
pub enum JsonError {
    /// It is no JSON, or a value is missing or of the wrong kind; says where.
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
    /// Its parts do not fit together.
    #[error(transparent)]
    Platform(#[from] BuildError),
}

/// A small platform to start from: one processor and one container, for the lambda `clambda@1`.
pub fn json_example() -> &'static str {
    r#"{
  "version": "1.0",
  "processors": [
    {
      "name": "arm",
      "type": "GenericCpu",
      "speed": 4e9,
      "memory": 500e6,
      "cores": 1
    }
  ],
  "containers": [
    {
      "name": "ccontainer0",
      "processor": "arm",
      "lambda": {
        "name": "clambda@1",
        "output-type": "copy-input",
        "requirements": "proportional",
        "op-coeff": 1e6,
        "op-offset": 4e6,
        "mem-coeff": 100,
        "mem-offset": 0
      },
      "num-workers": 1
    }
  ]
}
"#
}

/// The computer called `name` that `text` describes.
///
/// Keys are those of [`json_example`], with `output-value` for the output type `fixed`. `cores` is
/// 1 and `output-type` is `copy-input` where they are absent. Keys of other names are ignored, so
/// that a file may carry remarks.
pub fn computer_from_json(name: &str, text: &str) -> Result<Computer, JsonError> {
    let document: Document = serde_json::from_str(text)?;
    let mut builder = Computer::builder(name);
    for spec in document.processors {
        let memory = spec.memory.0;
        let processor = Processor::new(&spec.name, spec.kind, spec.speed, spec.cores.0, memory)
            .map_err(BuildError::from)?;
        builder.add_processor(processor)?;
    }
    for spec in document.containers {
        let LambdaSpec(lambda) = spec.lambda;
        builder.add_container(&spec.name, &spec.processor, lambda, spec.num_workers.0)?;
    }
    Ok(builder.build())
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "version")]
    _version: Version,
    processors: Vec<ProcessorSpec>,
    containers: Vec<ContainerSpec>,
}

#[derive(Deserialize)]
enum Version {
    #[serde(rename = "1.0")]
    V1,
}

#[derive(Deserialize)]
struct ProcessorSpec {
    name: String,
    #[serde(rename = "type")]
    kind: ProcessorKind,
    speed: f64,
    #[serde(default = "one_core")]
    cores: Count,
    memory: Bytes,
}

fn one_core() -> Count {
    Count(1)
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ContainerSpec {
    name: String,
    processor: String,
    num_workers: Count,
    lambda: LambdaSpec,
}

#[derive(Deserialize)]
#[serde(try_from = "LambdaFields")]
struct LambdaSpec(Lambda);

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LambdaFields {
    name: String,
    #[serde(rename = "requirements")]
    _requirements: RequirementsKind,
    op_coeff: Single,
    op_offset: Single,
    mem_coeff: Single,
    mem_offset: Single,
    #[serde(default)]
    output_type: OutputKind,
    output_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RequirementsKind {
    Proportional,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OutputKind {
    #[default]
    CopyInput,
    Fixed,
}

impl TryFrom<LambdaFields> for LambdaSpec {
    type Error = String;

    fn try_from(fields: LambdaFields) -> Result<Self, String> {
        let requirements = Requirements::Proportional {
            op_coeff: fields.op_coeff.0,
            op_offset: fields.op_offset.0,
            mem_coeff: fields.mem_coeff.0,
            mem_offset: fields.mem_offset.0,
        };
        let name = &fields.name;
        match (fields.output_type, fields.output_value) {
            (OutputKind::CopyInput, _) => Ok(LambdaSpec(Lambda::copying(name, requirements))),
            (OutputKind::Fixed, Some(text)) => {
                Ok(LambdaSpec(Lambda::fixed(name, requirements, &text)))
            }
            (OutputKind::Fixed, None) => Err(format!(
                "missing field `output-value` of lambda `{name}`, whose output-type is `fixed`"
            )),
        }
    }
}

/// A number that stays finite in single precision.
struct Single(f32);

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wide = f64::deserialize(deserializer)?;
        let single = wide as f32;
        if !single.is_finite() {
            let expected = "a number of single precision (up to 3.4e38)";
            return Err(Error::invalid_value(Unexpected::Float(wide), &expected));
        }
        Ok(Single(single))
    }
}

/// A whole number of bytes, which may be written as 500e6.
struct Bytes(u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a whole number of bytes, 0 or more";
        let number = Whole { expected };
        deserializer.deserialize_any(number).map(Bytes)
    }
}

/// A whole number of things, which may be written as 4e0.
struct Count(u32);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a whole number from 0 to 4294967295";
        let number = deserializer.deserialize_any(Whole { expected })?;
        let count = u32::try_from(number)
            .map_err(|_| Error::invalid_value(Unexpected::Unsigned(number), &expected))?;
        Ok(Count(count))
    }
}

struct Whole {
    expected: &'static str,
}

impl Visitor<'_> for Whole {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
        Ok(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<u64, E> {
        if value < 0.0 || value.fract() != 0.0 || value >= u64::MAX as f64 {
            return Err(E::invalid_value(Unexpected::Float(value), &self));
        }
        Ok(value as u64)
    }
}

#[cfg(test)]
mod tests;
