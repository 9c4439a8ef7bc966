//! Our client and our server, byte by byte, and what no bytes may do.

use proptest::prelude::*;

use super::*;

struct Pair {
    client: Connection,
    server: Connection,
    now: Instant,
    unread: [Vec<u8>; 2],
}

impl Pair {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            client: Connection::client(Config::client(&limits()), "http", "there:1", now),
            server: Connection::server(Config::server(&limits()), now),
            now,
            unread: Default::default(),
        }
    }

    /// Moves what there is to be moved, in pieces of `size` bytes.
    fn settle(&mut self, size: usize) {
        loop {
            let mut bytes = [Vec::new(), Vec::new()];
            self.client.take_output(&mut bytes[0]);
            self.server.take_output(&mut bytes[1]);
            if bytes.iter().all(Vec::is_empty) {
                return;
            }
            let sides = [&mut self.server, &mut self.client];
            for ((side, unread), bytes) in sides.into_iter().zip(&mut self.unread).zip(bytes) {
                for part in bytes.chunks(size) {
                    unread.extend_from_slice(part);
                    let used = side.receive(unread, self.now);
                    unread.drain(..used);
                }
                assert_eq!(side.ended(), None);
            }
        }
    }

    fn serve(&mut self, act: impl Fn(&Incoming) -> LambdaReply) -> usize {
        let mut events = Vec::new();
        self.server.take_events(&mut events);
        for event in &events {
            let Event::Request(incoming) = event else {
                panic!("{event:?}");
            };
            assert!(self.server.serve(incoming.stream, 0));
            self.server.answer(incoming.stream, Ok(act(incoming)));
        }
        events.len()
    }
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let field = ("[a-z][a-z0-9-]{0,20}", "[ -~]{0,300}");
    prop::collection::vec(field, 0..6).prop_map(|fields| {
        let mut metadata = Metadata::new();
        for (name, value) in fields {
            if Name::of(name.as_bytes()) == Name::Other {
                metadata.push(name.as_bytes(), value.as_bytes());
            }
        }
        metadata
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![0..200usize, 8_000..8_400usize, 60_000..300_000usize];
    (size, any::<u8>()).prop_map(|(size, seed)| {
        (0..size)
            .map(|i| seed.wrapping_add((i % 251) as u8))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn messages_and_metadata_arrive_as_they_were_sent(
        calls in prop::collection::vec((body(), metadata(), body(), metadata()), 1..6),
        size in prop_oneof![1..20usize, 1_000..40_000usize],
    ) {
        let mut pair = Pair::new();
        let size = if calls.iter().any(|c| c.0.len() + c.2.len() > 10_000) { size.max(500) } else { size };
        let mut numbers = Vec::new();
        for (message, metadata, _, _) in &calls {
            let message = Bytes::copy_from_slice(message);
            let deadline = pair.now + PATIENCE;
            numbers.push(pair.client.ask(&[message], metadata, pair.now, deadline).unwrap());
        }
        let mut served = 0;
        while served < calls.len() {
            pair.settle(size);
            let count = pair.serve(|incoming| {
                let index = (incoming.stream / 2) as usize;
                let (message, metadata, answer, trailers) = &calls[index];
                assert!(incoming.call.message == message);
                assert_eq!(&incoming.call.metadata, metadata);
                LambdaReply { message: Bytes::copy_from_slice(answer), trailers: trailers.clone() }
            });
            prop_assert!(count > 0, "nothing moves any more");
            served += count;
        }
        pair.settle(size);
        let cx = Context::from_waker(Waker::noop());
        for (number, (_, _, answer, trailers)) in numbers.into_iter().zip(&calls) {
            let Poll::Ready(Ok(reply)) = pair.client.poll_answer(number, &cx) else {
                panic!("no answer");
            };
            prop_assert!(reply.message == answer);
            prop_assert_eq!(&reply.trailers, trailers);
        }
        prop_assert!(!pair.client.has_streams() && !pair.server.has_streams());
    }
}

/// Frames that are nearly right.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![
        Kind::Data,
        Kind::Headers,
        Kind::Priority,
        Kind::ResetStream,
        Kind::Settings,
        Kind::PushPromise,
        Kind::Ping,
        Kind::GoAway,
        Kind::WindowUpdate,
        Kind::Continuation,
        Kind::Unknown,
    ]);
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(block(&REQUEST)),
        Just(message(b"text")),
        Just(vec![0; 4]),
        Just(vec![0; 8]),
    ];
    (kind, any::<u8>(), 0..8u32, payload).prop_map(|(k, f, s, p)| frame(k, f, s, &p))
}

proptest! {
    #[test]
    fn no_frames_make_a_server_panic_or_hold_more_than_it_may(
        frames in prop::collection::vec(nearly(), 0..60)
    ) {
        let mut served = Served::new(&limits());
        for bytes in frames {
            served.server.receive(&bytes, served.now);
            served.requests();
            served.answer(3, b"answer");
        }
        served.server.expire(served.now + Duration::from_secs(100));
        prop_assert!(served.server.output().len() < 100_000);
    }

    #[test]
    fn no_frames_make_a_client_panic_or_wait_beyond_its_deadline(
        frames in prop::collection::vec(nearly(), 0..60)
    ) {
        let mut client = Client::new(&limits(), &[]);
        let numbers = [client.ask(b"x"), client.ask(&[7; 100_000]), client.ask(b"y")];
        for bytes in frames {
            client.client.receive(&bytes, client.now);
        }
        client.client.expire(client.now + PATIENCE);
        for number in numbers {
            prop_assert!(client.answer(number).is_some());
        }
    }
}
