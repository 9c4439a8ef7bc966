//! The part of an encoded response that brokers look at, and the response as they pass it back.

use bytes::Bytes;

use super::added::Added;
use super::fields::{Fields, Malformed};
use crate::OK;
use crate::rpc::Outcome;

const RETCODE: u32 = 1;
const RESPONDER: u32 = 3;
const PTIME: u32 = 4;
const LOAD1: u32 = 6;
const HOPS: u32 = 9;
const ASYNCHRONOUS: u32 = 11;
const OUTCOME: u32 = 101;
const IN_FLIGHT: u32 = 102;
const WORKERS: u32 = 103;
const SERVICE_US: u32 = 104;
const RESIDENCE_US: u32 = 105;
const COLD_START_US: u32 = 106;

/// The fields of an encoded [`LambdaResponse`](crate::rpc::LambdaResponse)
/// that tell how an attempt went and what can be learnt from it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseView<'a> {
    /// "OK", or what went wrong.
    pub retcode: &'a str,
    /// The computer that answered; empty if nobody has filled it in yet.
    pub responder: &'a str,
    /// Processing time in milliseconds, queueing included.
    pub ptime_ms: u32,
    /// Load of the last second, in per cent.
    pub load1: u32,
    /// Nodes passed.
    pub hops: u32,
    /// Only an acknowledgement.
    pub asynchronous: bool,
    /// Machine-readable result as it stands on the wire; see [`Self::outcome`].
    pub outcome: u64,
    /// Requests at the computer.
    pub in_flight: u32,
    /// Requests that the computer executes at the same time.
    pub workers: u32,
    /// Execution, in microseconds.
    pub service_us: u64,
    /// Arrival to departure at the computer, in microseconds.
    pub residence_us: u64,
    /// Share of it that went into preparing to execute, in microseconds.
    pub cold_start_us: u64,
}

/// What a broker tells another one that sends it requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerLoad {
    /// Requests at all its destinations.
    pub in_flight: u32,
    /// Requests that all its destinations execute at the same time; 0: not known.
    pub workers: u32,
    /// Arrival to departure of the request at the broker, in microseconds.
    pub residence_us: u64,
}

impl<'a> ResponseView<'a> {
    /// Reads the fields out of an encoded response.
    ///
    /// # Errors
    /// If `message` is not valid protobuf or a field read here has a wrong
    /// type. Fields that are not read here are not validated.
    pub fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut view = Self::default();
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                RETCODE => view.retcode = field.str()?,
                RESPONDER => view.responder = field.str()?,
                PTIME => view.ptime_ms = field.u32()?,
                LOAD1 => view.load1 = field.u32()?,
                HOPS => view.hops = field.u32()?,
                ASYNCHRONOUS => view.asynchronous = field.bool()?,
                OUTCOME => view.outcome = field.u64()?,
                IN_FLIGHT => view.in_flight = field.u32()?,
                WORKERS => view.workers = field.u32()?,
                SERVICE_US => view.service_us = field.u64()?,
                RESIDENCE_US => view.residence_us = field.u64()?,
                COLD_START_US => view.cold_start_us = field.u64()?,
                _ => {}
            }
        }
        Ok(view)
    }

    /// True if the function was executed, or its execution was promised.
    pub fn is_ok(&self) -> bool {
        self.retcode == OK
    }

    /// What became of the request. A peer that says only `retcode` means
    /// success by "OK" and an error of the application by anything else; an
    /// outcome that this version does not know counts as such an error, too.
    pub fn outcome(&self) -> Outcome {
        let told = i32::try_from(self.outcome)
            .ok()
            .and_then(|value| Outcome::try_from(value).ok());
        match told {
            Some(Outcome::Unspecified) | None if self.is_ok() => Outcome::Ok,
            Some(Outcome::Unspecified) | None => Outcome::ApplicationError,
            Some(outcome) => outcome,
        }
    }

    /// `message` with what a broker in front of others says of itself in place
    /// of what the computer said: how busy all its destinations are together,
    /// and how long the request was with it.
    pub fn with_load(message: &[u8], load: BrokerLoad) -> Bytes {
        let mut added = Added::NOTHING;
        let fields = [
            (IN_FLIGHT, u64::from(load.in_flight)),
            (WORKERS, u64::from(load.workers)),
            (RESIDENCE_US, load.residence_us),
        ];
        for (number, value) in fields {
            added.number(number, value);
        }
        added.behind(message, b"").into()
    }

    /// `message` with `destination` as its responder, which nobody nearer to the computer has
    /// filled in. Not copied if nobody else holds it and there is room behind it.
    pub fn with_responder(message: Bytes, destination: &str) -> Bytes {
        let mut added = Added::NOTHING;
        added.begin_text(RESPONDER, destination.len());
        let more = added.as_slice().len() + destination.len();
        match message.try_into_mut() {
            Ok(mut own) if own.capacity() - own.len() >= more => {
                own.extend_from_slice(added.as_slice());
                own.extend_from_slice(destination.as_bytes());
                own.freeze()
            }
            Ok(full) => added.behind(&full, destination.as_bytes()).into(),
            Err(shared) => added.behind(&shared, destination.as_bytes()).into(),
        }
    }
}
