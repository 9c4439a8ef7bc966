//! The part of an encoded request that brokers look at, and the request as they pass it on.

use bytes::{Bytes, BytesMut};

use super::added::Added;
use super::fields::{Fields, Malformed, Value, put_varint, varint_width};
use crate::MAX_HOPS;

const NAME: u32 = 1;
const INPUT: u32 = 2;
const DATAIN: u32 = 3;
const STATES: u32 = 7;
const DRY: u32 = 4;
const CALLBACK: u32 = 8;
const FORWARD: u32 = 5;
const HOPS: u32 = 6;
const UUID: u32 = 13;
const IDEMPOTENT: u32 = 100;
const MAX_WAIT_US: u32 = 101;

/// The fields of an encoded [`LambdaRequest`](crate::rpc::LambdaRequest) that
/// routing needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestView<'a> {
    /// Name of the lambda.
    pub name: &'a str,
    /// Size of the larger of the two inputs, in bytes.
    pub input_bytes: usize,
    /// The first entry of the states, encoded; empty if there is none.
    pub first_state: &'a [u8],
    /// Identity of the request, as the client wrote it.
    pub uuid: &'a str,
    /// Estimate only.
    pub dry: bool,
    /// Sent by an edge node.
    pub forward: bool,
    /// Nodes passed so far.
    pub hops: u32,
    /// May be repeated.
    pub idempotent: bool,
    /// Answered at once; the result goes to a callback.
    pub asynchronous: bool,
    /// Longest wait that the sender accepts, in microseconds; 0: any.
    pub max_wait_us: u64,
    /// Where the last value of `forward` stands, and how wide it is.
    forward_at: Option<(usize, usize)>,
    /// Where the last value of `hops` stands, and how wide it is.
    hops_at: Option<(usize, usize)>,
    /// Where the last value of `max_wait_us` stands, and how wide it is.
    max_wait_at: Option<(usize, usize)>,
}

impl<'a> RequestView<'a> {
    /// Reads the fields out of an encoded request.
    ///
    /// # Errors
    /// If `message` is not valid protobuf or a field read here has a wrong
    /// type. Fields that are not read here are not validated.
    pub fn parse(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut view = Self::default();
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                NAME => view.name = field.str()?,
                INPUT | DATAIN => view.input_bytes = view.input_bytes.max(field.bytes()?.len()),
                STATES if view.first_state.is_empty() => view.first_state = field.bytes()?,
                UUID => view.uuid = field.str()?,
                CALLBACK => view.asynchronous = !field.bytes()?.is_empty(),
                DRY => view.dry = field.bool()?,
                FORWARD => {
                    view.forward = field.bool()?;
                    view.forward_at = place(field.value);
                }
                HOPS => {
                    view.hops = field.u32()?;
                    view.hops_at = place(field.value);
                }
                IDEMPOTENT => view.idempotent = field.bool()?,
                MAX_WAIT_US => {
                    view.max_wait_us = field.u64()?;
                    view.max_wait_at = place(field.value);
                }
                _ => {}
            }
        }
        Ok(view)
    }

    /// The name of the lambda in an encoded request, if it comes first, as all who write requests in
    /// the order of the fields have it.
    pub fn leading_name(message: &'a [u8]) -> Option<&'a str> {
        let first = Fields::new(message).next().ok()??;
        (first.number == NAME).then(|| first.str().ok())?
    }

    /// True if the request has passed so many nodes that it must be going in
    /// circles.
    pub fn is_looping(&self) -> bool {
        self.hops > MAX_HOPS
    }

    /// `message`, of which `self` is the view, as an edge node passes it on:
    /// forwarded, with one more hop, and to be refused rather than wait longer
    /// than `max_wait_us` (0: any wait). Values are changed in place where
    /// they stand and fit, so that messages do not grow from hop to hop.
    pub fn forwarded(&self, message: &[u8], max_wait_us: u64) -> Bytes {
        self.passed_on(message, max_wait_us, false)
    }

    /// What [`Self::forwarded`] makes of `message`, in pieces: what stays the same is not copied,
    /// which pays for messages of more than a few kilobytes.
    pub fn forwarded_in_pieces(&self, message: &Bytes, max_wait_us: u64) -> Vec<Bytes> {
        let mut added = Added::NOTHING;
        let changes = self.changes(max_wait_us, &mut added);
        let mut changes: Vec<_> = changes.into_iter().flatten().collect();
        changes.sort_unstable();
        let mut pieces = Vec::with_capacity(2 * changes.len() + 2);
        let mut done = 0;
        for (at, width, value) in changes {
            pieces.push(message.slice(done..at));
            let mut varint = BytesMut::zeroed(width);
            put_varint(&mut varint, value);
            pieces.push(varint.freeze());
            done = at + width;
        }
        pieces.push(message.slice(done..));
        pieces.push(Bytes::copy_from_slice(added.as_slice()));
        pieces
    }

    /// `message` as a question what it would take: forwarded, but not to be
    /// executed, whatever `dry` was.
    pub fn asking(&self, message: &[u8]) -> Bytes {
        self.passed_on(message, 0, true)
    }

    fn passed_on(&self, message: &[u8], max_wait_us: u64, only_asked: bool) -> Bytes {
        let mut added = Added::NOTHING;
        let changes = self.changes(max_wait_us, &mut added);
        if only_asked {
            added.number(DRY, 1);
        }
        let mut out = added.behind(message, b"");
        for (at, width, value) in changes.into_iter().flatten() {
            put_varint(&mut out[at..at + width], value);
        }
        out.into()
    }

    /// Where a number stands, how wide it is, and what it becomes, for those that fit there; others are
    /// `added`.
    fn changes(&self, max_wait_us: u64, added: &mut Added) -> [Option<(usize, usize, u64)>; 3] {
        let hops = u64::from(self.hops.saturating_add(1));
        let numbers = [
            (FORWARD, self.forward_at, 1),
            (HOPS, self.hops_at, hops),
            (MAX_WAIT_US, self.max_wait_at, max_wait_us),
        ];
        numbers.map(|(number, place, value)| match place {
            Some((at, width)) if varint_width(value) <= width => Some((at, width, value)),
            None if number == MAX_WAIT_US && value == 0 => None,
            _ => {
                added.number(number, value);
                None
            }
        })
    }
}

fn place(value: Value<'_>) -> Option<(usize, usize)> {
    match value {
        Value::Varint { at, width, .. } => Some((at, width)),
        _ => None,
    }
}
