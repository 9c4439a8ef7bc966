//! One request: read, executed, answered.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use quinn::{RecvStream, SendStream, VarInt};
use tonic::Status;

use super::super::unheard::Stream;
use super::super::within;
use super::arriving::Arriving;
use super::server::{Other, Place};
use super::streams::{Broken, Piece, Receiving, Sending};
use super::{code, most_in_a_frame, other, say};
use crate::http2::hpack::Name;
use crate::http2::{Fields, head};
use crate::{DEFAULT_DEADLINE, LambdaCall, LambdaReply, LambdaService, Metadata, timeout};

/// How long a peer may leave what was sent to it unread.
pub(super) const STALLED: Duration = Duration::from_secs(60);
/// Longest deadline that is told from "never", so that sums do not overflow.
const MAX_PATIENCE: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Said,
    /// Somebody else answers it.
    HandedOver,
    /// The peer has lost interest, or has asked for nothing.
    GivenUp,
}

/// What a head asks for.
enum Head {
    Lambda {
        metadata: Metadata,
        deadline: Instant,
        announced: Option<u64>,
    },
    Other {
        request: Box<Request<()>>,
        announced: Option<u64>,
    },
    /// More than is taken.
    Refused(Status),
    /// Nothing that there is.
    Bare(StatusCode),
}

/// What is to be said.
enum Answer {
    Lambda(Result<LambdaReply, Status>),
    Other(Box<Request<()>>),
    Bare(StatusCode),
}

/// Reads, executes and answers the request of one stream.
pub(super) async fn answer<S: LambdaService>(
    place: Arc<Place<S>>,
    send: SendStream,
    receive: RecvStream,
    now: Instant,
) -> End {
    let begun = place.ticks.begin();
    let mut sending = Sending::new(send, code::INTERNAL_ERROR);
    let most = most_in_a_frame(place.shared.server.limits.max_header_bytes);
    // Whoever has been answered need not say the rest (RFC 9114, section 4.1).
    let mut receiving = Receiving::new(receive, code::NO_ERROR, most);
    let lasts = || place.ticks.lasts(begun);
    let answered = {
        // It has some kilobytes, and stays where it is.
        let working = pin!(place.work(&mut receiving, now));
        sending.unless_stopped(working, lasts).await
    };
    let mut pieces = match answered {
        Some(Ok(Answer::Lambda(Ok(reply)))) => say::reply(reply, place.said.max_field_section()),
        Some(Ok(Answer::Lambda(Err(status)))) => say::status(&status).into(),
        Some(Ok(Answer::Bare(status))) => say::bare(status).into(),
        Some(Ok(Answer::Other(request))) => {
            let other = Other::begin(place.clone());
            place
                .core
                .spawn(other::answer(other, *request, sending, receiving));
            return End::HandedOver;
        }
        Some(Err(broken)) => {
            let code = place.give_up(&broken);
            sending.cut_off(code);
            receiving.stop(code);
            return match broken {
                Broken::Lost(_) | Broken::Fault(_) => End::Said,
                _ => End::GivenUp,
            };
        }
        None => {
            sending.cut_off(code::REQUEST_CANCELLED);
            receiving.stop(code::REQUEST_CANCELLED);
            return End::GivenUp;
        }
    };
    let written = within(STALLED, sending.write(pieces.as_mut())).await;
    if !matches!(written, Some(Ok(()))) {
        sending.cut_off(code::REQUEST_CANCELLED);
        receiving.stop(code::REQUEST_CANCELLED);
        return End::GivenUp;
    }
    sending.finish();
    receiving.stop(code::NO_ERROR);
    place.unheard.add(Stream {
        send: sending.into_stream(),
        receive: Some(receiving.into_stream()),
        is_over: true,
    });
    End::Said
}

impl<S: LambdaService> Place<S> {
    /// The code that the stream of such a request is given up with.
    pub(super) fn give_up(&self, broken: &Broken) -> VarInt {
        match broken {
            Broken::Fault(fault) => {
                fault.close(&self.connection);
                code::INTERNAL_ERROR
            }
            Broken::Malformed(_) => code::MESSAGE_ERROR,
            Broken::Incomplete => code::REQUEST_INCOMPLETE,
            Broken::TooMuch => code::EXCESSIVE_LOAD,
            Broken::Reset(_) | Broken::Lost(_) => code::REQUEST_CANCELLED,
        }
    }

    async fn work(&self, receiving: &mut Receiving, now: Instant) -> Result<Answer, Broken> {
        let head = self
            .deadlines
            .bound(now + DEFAULT_DEADLINE, receiving.next(&self.held));
        let section = match head.await {
            Some(piece) => match piece? {
                Some(Piece::Fields(section)) => section,
                _ => return Err(Broken::Incomplete),
            },
            None => return Err(Broken::Incomplete),
        };
        let (metadata, deadline) = match self.room.fields(&section, |f| self.head(f, now))? {
            Head::Lambda {
                metadata,
                deadline,
                announced,
            } => {
                receiving.begin(announced);
                (metadata, deadline)
            }
            Head::Other { request, announced } => {
                receiving.begin(announced);
                return Ok(Answer::Other(request));
            }
            Head::Refused(status) => return Ok(Answer::Lambda(Err(status))),
            Head::Bare(status) => return Ok(Answer::Bare(status)),
        };
        let Some(lambda) = &self.shared.server.lambda else {
            return Ok(Answer::Bare(StatusCode::NOT_FOUND));
        };
        let (message, _booked) = match self.message(receiving, deadline).await? {
            Ok(message) => message,
            Err(status) => return Ok(Answer::Lambda(Err(status))),
        };
        let call = LambdaCall {
            message,
            metadata,
            deadline,
        };
        // What was booked for it is kept until the answer is there.
        Ok(Answer::Lambda(
            lambda.run(&self.core, self.peer, call).await,
        ))
    }

    fn head(&self, fields: &Fields, now: Instant) -> Result<Head, Broken> {
        if fields.is_too_large() {
            let most = self.shared.server.limits.max_header_bytes;
            return Ok(head::too_large(fields, most).map_or_else(Head::Bare, Head::Refused));
        }
        if !is_request(fields) {
            return Err(Broken::Malformed("this is no request"));
        }
        let announced = head::announced(fields);
        let announced = announced.map_err(|()| Broken::Malformed("no length is such a text"))?;
        let is_served = self.shared.server.lambda.is_some()
            && fields.get(Name::Path) == Some(S::METHOD.as_bytes());
        if !is_served {
            if head::is_foreign(fields) {
                return Ok(Head::Bare(StatusCode::UNSUPPORTED_MEDIA_TYPE));
            }
            return Ok(match head::request(fields) {
                Some(mut request) => {
                    *request.version_mut() = http::Version::HTTP_3;
                    let request = Box::new(request);
                    Head::Other { request, announced }
                }
                None => Head::Bare(StatusCode::BAD_REQUEST),
            });
        }
        if let Err(status) = head::check(fields) {
            return Ok(Head::Bare(status));
        }
        let patience = fields.get(Name::GrpcTimeout).and_then(timeout::parse);
        let patience = patience.unwrap_or(DEFAULT_DEADLINE).min(MAX_PATIENCE);
        Ok(Head::Lambda {
            metadata: head::metadata(fields),
            deadline: now + patience,
            announced,
        })
    }

    /// The only message of a unary call.
    async fn message(
        &self,
        receiving: &mut Receiving,
        deadline: Instant,
    ) -> Result<Result<(Bytes, super::super::held::Booked<'_>), Status>, Broken> {
        let mut arriving = Arriving::new(&self.held, self.shared.server.limits.max_message_bytes);
        loop {
            let piece = self.deadlines.bound(deadline, receiving.next(&self.held));
            let Some(piece) = piece.await else {
                let text = "the request did not arrive in time";
                return Ok(Err(Status::deadline_exceeded(text)));
            };
            match piece? {
                Some(Piece::Data(data)) => {
                    if let Err(status) = arriving.add(&data) {
                        return Ok(Err(status));
                    }
                }
                Some(Piece::Fields(section)) => self.room.trailers(&section, |_| ())?,
                None => {
                    return Ok(arriving.end().and_then(|message| {
                        message.ok_or_else(|| Status::internal("the request has no message"))
                    }));
                }
            }
        }
    }
}

/// Whether the fields are those of a request (RFC 9114, section 4.3.1).
fn is_request(fields: &Fields) -> bool {
    let has = |name| fields.get(name).is_some_and(|value| !value.is_empty());
    let host = fields.get(Name::OfTheHop).and_then(|_| {
        let mut others = fields.iter().filter(|field| field.kind == Name::OfTheHop);
        others.find(|field| field.name == b"host")
    });
    let host = host.map(|field| field.value);
    let authority = fields.get(Name::Authority);
    // One of them is there, and if both are, they are the same.
    let is_addressed = match (authority, host) {
        (Some(authority), Some(host)) => authority == host && !host.is_empty(),
        (Some(one), None) | (None, Some(one)) => !one.is_empty(),
        (None, None) => false,
    };
    !fields.is_malformed()
        && fields.get(Name::Status).is_none()
        && [Name::Method, Name::Scheme, Name::Path]
            .into_iter()
            .all(has)
        && is_addressed
}
