//! An activation as it is kept: one piece of memory, which is not looked at again when it goes.

use crate::activation::{Activation, ActivationId, Kind, Status, Texts, Trail};
use crate::names::ActionName;

/// What the bookkeeping of a record takes beside its bytes, about, and rather more.
const AROUND: usize = 440;

/// Bytes by which the memory of a record may be larger than it.
const SPARE: usize = 64;

const TIMED_OUT: u8 = 1;
const SEQUENCE: u8 = 2;
const CAUSED: u8 = 4;

const KINDS: [Kind; 2] = [Kind::Lambda, Kind::Sequence];
const STATUSES: [Status; 4] = [
    Status::Success,
    Status::ApplicationError,
    Status::DeveloperError,
    Status::InternalError,
];

/// An activation.
#[derive(Debug)]
pub(super) struct Kept {
    id: ActivationId,
    /// Numbers, then other ids, then texts.
    bytes: Vec<u8>,
}

impl Kept {
    /// In the memory of `gone`, if that fits: to give it back and get other for it is to fetch both
    /// into the cache.
    pub(super) fn new(activation: &Activation, gone: Option<Self>) -> Self {
        let (texts, trail) = (&activation.texts, &activation.trail);
        let (full, namespace_end) = activation.action.parts();
        let ids = 16 * (usize::from(activation.cause.is_some()) + activation.steps.len());
        let length = NUMBERS + ids + full.len() + texts.len();
        let fits = length..=length + SPARE;
        let reused = gone
            .map(|gone| gone.bytes)
            .filter(|bytes| fits.contains(&bytes.capacity()));
        let mut bytes = reused.unwrap_or_else(|| Vec::with_capacity(length));
        bytes.clear();
        let flag = |flag, bit| if flag { bit } else { 0 };
        bytes.push(
            flag(activation.timed_out, TIMED_OUT)
                | flag(activation.kind == Kind::Sequence, SEQUENCE)
                | flag(activation.cause.is_some(), CAUSED),
        );
        bytes.push(activation.status.code());
        for long in [
            activation.start_ms,
            activation.end_ms,
            activation.limit_ms,
            trail.wait_ms,
            trail.init_ms,
        ] {
            bytes.extend_from_slice(&long.to_le_bytes());
        }
        let [load1, load10, load30] = trail.loads;
        let lengths = [
            activation.steps.len(),
            full.len(),
            namespace_end,
            texts.lambda().len(),
            texts.responder().len(),
        ];
        for short in [trail.hops, load1, load10, load30] {
            bytes.extend_from_slice(&short.to_le_bytes());
        }
        for length in lengths {
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        for id in activation.cause.iter().chain(&activation.steps) {
            bytes.extend_from_slice(id.uuid().as_bytes());
        }
        bytes.extend_from_slice(full.as_bytes());
        bytes.extend_from_slice(texts.all().as_bytes());
        Self {
            id: activation.id,
            bytes,
        }
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn size(&self) -> usize {
        AROUND + self.bytes.capacity()
    }

    pub(super) fn id(&self) -> ActivationId {
        self.id
    }

    /// Whether its action goes by this name, with or without its package.
    pub(super) fn is_of(&self, name: &str) -> bool {
        self.read().is_some_and(|read| {
            let short = read.full.get(read.namespace_end + 1..).unwrap_or_default();
            short == name || short.rsplit('/').next() == Some(name)
        })
    }

    pub(super) fn activation(&self) -> Option<Activation> {
        self.with(|result| result)
    }

    /// For lists, which may be long.
    pub(super) fn without_result(&self) -> Option<Activation> {
        self.with(|_| "null")
    }

    fn with(&self, shown: impl FnOnce(&str) -> &str) -> Option<Activation> {
        let read = self.read()?;
        let lambda = read.texts.get(..read.lambda)?;
        let responder = read.texts.get(read.lambda..read.lambda + read.responder)?;
        let result = read.texts.get(read.lambda + read.responder..)?;
        Some(Activation {
            id: self.id,
            action: ActionName::of_parts(read.full, read.namespace_end),
            kind: KINDS[usize::from(read.flags & SEQUENCE != 0)],
            start_ms: read.longs[0],
            end_ms: read.longs[1],
            cause: read.cause,
            steps: read.steps,
            trail: Trail {
                hops: read.shorts[0],
                loads: [read.shorts[1], read.shorts[2], read.shorts[3]],
                wait_ms: read.longs[3],
                init_ms: read.longs[4],
            },
            timed_out: read.flags & TIMED_OUT != 0,
            limit_ms: read.longs[2],
            status: *STATUSES.get(usize::from(read.status))?,
            texts: Texts::new(lambda, responder, shown(result)),
        })
    }

    fn read(&self) -> Option<Read<'_>> {
        let mut rest = Rest(&self.bytes);
        let [flags, status] = rest.take()?;
        let mut longs = [0; 5];
        for long in &mut longs {
            *long = u64::from_le_bytes(rest.take()?);
        }
        let mut shorts = [0; 4];
        for short in &mut shorts {
            *short = u32::from_le_bytes(rest.take()?);
        }
        let mut lengths = [0; 5];
        for length in &mut lengths {
            *length = u32::from_le_bytes(rest.take()?) as usize;
        }
        let [steps, full, namespace_end, lambda, responder] = lengths;
        let cause = if flags & CAUSED == 0 {
            None
        } else {
            Some(rest.id()?)
        };
        let steps = (0..steps).map(|_| rest.id()).collect::<Option<_>>()?;
        let (full, texts) = std::str::from_utf8(rest.0).ok()?.split_at_checked(full)?;
        Some(Read {
            flags,
            status,
            longs,
            shorts,
            cause,
            steps,
            full,
            namespace_end,
            lambda,
            responder,
            texts,
        })
    }
}

/// Bytes of what is always there, but for ids.
const NUMBERS: usize = 2 + 5 * 8 + 9 * 4;

/// What [`Kept`] says.
struct Read<'a> {
    flags: u8,
    status: u8,
    /// Start, end, limit, wait, initialisation, in milliseconds.
    longs: [u64; 5],
    /// Hops, loads.
    shorts: [u32; 4],
    cause: Option<ActivationId>,
    steps: Vec<ActivationId>,
    full: &'a str,
    namespace_end: usize,
    /// Lengths of the first two texts.
    lambda: usize,
    responder: usize,
    texts: &'a str,
}

/// What has not been read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn id(&mut self) -> Option<ActivationId> {
        self.take().map(ActivationId::of_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(activation: &Activation) {
        let kept = Kept::new(activation, None);
        let again = kept.activation().unwrap();
        let json = |activation| serde_json::to_string(activation).unwrap();
        assert_eq!(json(&again), json(activation));
        for name in [activation.action.name(), activation.action.short()] {
            assert!(kept.is_of(name), "{name}");
        }
        for name in ["", "a", activation.action.full()] {
            assert!(!kept.is_of(name), "{name}");
        }
    }

    #[test]
    fn nothing_gets_lost() {
        let lambda = Activation {
            id: ActivationId::random(),
            action: ActionName::parse("/guest/f", "").unwrap(),
            kind: Kind::Lambda,
            start_ms: 1,
            end_ms: u64::MAX,
            cause: None,
            steps: Vec::new(),
            trail: Trail {
                hops: 1,
                loads: [2, 3, 4],
                wait_ms: 5,
                init_ms: 6,
            },
            timed_out: false,
            limit_ms: 7,
            status: Status::Success,
            texts: Texts::new("lambda", "ü", "{}"),
        };
        same(&lambda);
        // In the memory of another.
        let longer = Activation {
            texts: Texts::new("lambda", "responder", "{}"),
            ..lambda.clone()
        };
        let (kept, length) = (Kept::new(&longer, None), Kept::new(&lambda, None).size());
        let reused = Kept::new(&lambda, Some(kept));
        assert!(reused.size() > length);
        let again = reused.activation().unwrap();
        assert_eq!((again.id, again.texts), (lambda.id, lambda.texts.clone()));
        same(&Activation {
            action: ActionName::parse("/guest/p/f", "").unwrap(),
            kind: Kind::Sequence,
            cause: Some(ActivationId::random()),
            steps: vec![ActivationId::random(), ActivationId::random()],
            timed_out: true,
            status: Status::InternalError,
            texts: Texts::new("", "", "[1]"),
            ..lambda
        });
    }
}
