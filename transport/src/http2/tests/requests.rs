//! Requests as a server takes and answers them.

use super::*;

#[test]
fn a_request_is_answered_with_a_head_a_message_and_trailers() {
    let mut served = Served::new(&limits());
    served.tell(&request(1, b"question"));
    let requests = served.requests();
    assert_eq!(&requests[0].call.message[..], b"question");
    served.answer(1, b"answer");
    let frames = said(&mut served.server);
    let expected = [(Kind::Headers, 1), (Kind::Data, 1), (Kind::Headers, 1)];
    assert_eq!(outline(&frames), expected);
    let mut decoder = Decoder::new(4096);
    let head = fields_of(&mut decoder, &frames[0].1);
    assert_eq!(head.get(Name::Status), Some(&b"200"[..]));
    assert_eq!(head.get(Name::ContentType), Some(&b"application/grpc"[..]));
    assert_eq!(frames[1].1, message(b"answer"));
    let end = fields_of(&mut decoder, &frames[2].1);
    assert_eq!(end.get(Name::GrpcStatus), Some(&b"0"[..]));
    assert!(frames[2].0.has(flag::END_STREAM));
    assert!(!served.server.has_streams());
}

#[test]
fn fields_that_are_the_same_each_time_become_a_byte_each() {
    let mut served = Served::new(&limits());
    let mut decoder = Decoder::new(4096);
    let mut lengths = Vec::new();
    for stream in [1, 3, 5] {
        served.tell(&request(stream, b"x"));
        served.requests();
        served.answer(stream, b"y");
        let frames = said(&mut served.server);
        let head = fields_of(&mut decoder, &frames[0].1);
        assert_eq!(head.get(Name::Server), Some(crate::client::OURS.as_bytes()));
        let end = fields_of(&mut decoder, &frames[2].1);
        assert_eq!(end.get(Name::GrpcStatus), Some(&b"0"[..]));
        lengths.push((frames[0].1.len(), frames[2].1.len()));
    }
    assert!(lengths[0].0 > 20);
    assert_eq!(lengths[1..], [(3, 1), (3, 1)]);
}

#[test]
fn bytes_mean_the_same_however_they_arrive() {
    let padded = {
        let payload = [&[7][..], &message(b"padded"), &[0; 7]].concat();
        frame(Kind::Data, flag::END_STREAM | flag::PADDED, 3, &payload)
    };
    let priority = [&[4][..], &[0, 0, 0, 0, 9], &block(&REQUEST), &[0; 4]].concat();
    let flags = WHOLE_BLOCK | flag::PADDED | flag::PRIORITY;
    let whole = block(&REQUEST);
    let (first, rest) = whole.split_at(20);
    let all = [
        request(1, b"first"),
        frame(Kind::Headers, flags, 3, &priority),
        padded,
        frame(Kind::Headers, 0, 5, first),
        frame(Kind::Continuation, 0, 5, &[]),
        frame(Kind::Continuation, WHOLE_BLOCK, 5, rest),
        frame(Kind::Data, 0, 5, &message(b"third")[..7]),
        frame(Kind::Unknown, 3, 5, b"whatever"),
        frame(Kind::Data, flag::END_STREAM, 5, &message(b"third")[7..]),
    ]
    .concat();
    for step in [1, 2, 3, 7, 10, 50, all.len()] {
        let mut served = Served::new(&limits());
        let mut unread = Vec::new();
        let mut texts = Vec::new();
        for part in all.chunks(step) {
            unread.extend_from_slice(part);
            let used = served.server.receive(&unread, served.now);
            unread.drain(..used);
            texts.extend(served.requests().into_iter().map(|r| r.call.message));
        }
        assert_eq!(
            texts,
            [&b"first"[..], b"padded", b"third"],
            "{step} bytes at a time"
        );
    }
}

#[test]
fn what_is_no_grpc_gets_an_http_status() {
    for (name, value, status) in [
        (":method", "GET", "405"),
        ("content-type", "text/plain", "415"),
        ("content-type", "application/grpc-web", "415"),
        ("content-type", "application/grpc-web+proto", "415"),
    ] {
        let fields = REQUEST.map(|(n, v)| if n == name { (n, value) } else { (n, v) });
        let mut served = Served::new(&limits());
        served.tell(&frame(Kind::Headers, WHOLE_BLOCK, 1, &block(&fields)));
        let frames = said(&mut served.server);
        let head = fields_of(&mut Decoder::new(4096), &frames[0].1);
        assert_eq!(head.get(Name::Status), Some(status.as_bytes()));
        assert_eq!(reset(&frames, 1), Some(Reason::NO_ERROR));
        // What was on its way is no mistake.
        served.tell(&data(1, b"x"));
        assert!(said(&mut served.server).is_empty());
        assert!(served.is_alive(3));
    }
}

#[test]
fn what_is_no_grpc_is_refused_whatever_the_method() {
    let fields = REQUEST.map(|(n, v)| match n {
        "content-type" => (n, "application/grpc-web"),
        ":path" => (n, "/other.Service/Method"),
        _ => (n, v),
    });
    let mut served = Served::new(&limits());
    served.tell(&frame(Kind::Headers, WHOLE, 1, &block(&fields)));
    let frames = said(&mut served.server);
    let head = fields_of(&mut Decoder::new(4096), &frames[0].1);
    assert_eq!(head.get(Name::Status), Some(&b"415"[..]));
}

#[test]
fn header_fields_beyond_the_limit_get_a_status_and_the_connection_goes_on() {
    let mut served = Served::new(&Limits {
        max_header_bytes: 1000,
        ..limits()
    });
    let long = "x".repeat(100);
    let many = [&REQUEST[..], &[("x-long", &long[..]); 10]].concat();
    served.tell(&frame(Kind::Headers, WHOLE, 1, &block(&many)));
    let frames = said(&mut served.server);
    let head = fields_of(&mut Decoder::new(4096), &frames[0].1);
    assert_eq!(head.get(Name::Status), Some(&b"200"[..]));
    assert_eq!(head.get(Name::GrpcStatus), Some(&b"8"[..]));
    assert!(served.is_alive(3));
}

#[test]
fn header_fields_beyond_the_limit_of_what_is_no_grpc_are_refused_in_the_words_of_http() {
    let mut served = Served::new(&Limits {
        max_header_bytes: 1000,
        ..limits()
    });
    let long = "x".repeat(100);
    let other = REQUEST.map(|(n, v)| {
        if n == "content-type" {
            (n, "text/plain")
        } else {
            (n, v)
        }
    });
    let many = [&other[..], &[("x-long", &long[..]); 10]].concat();
    served.tell(&frame(Kind::Headers, WHOLE, 1, &block(&many)));
    let frames = said(&mut served.server);
    let head = fields_of(&mut Decoder::new(4096), &frames[0].1);
    assert_eq!(head.get(Name::Status), Some(&b"431"[..]));
    assert!(served.is_alive(3));
}

#[test]
fn requests_that_break_a_rule_are_reset_and_the_connection_goes_on() {
    let without =
        |name: &str| -> Vec<_> { REQUEST.into_iter().filter(|(n, _)| *n != name).collect() };
    let with = |fields: &[(&'static str, &'static str)]| [&REQUEST[..], fields].concat();
    for fields in [
        without(":method"),
        without(":scheme"),
        without(":path"),
        with(&[("X-Upper", "1")]),
        with(&[("connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("te", "gzip")]),
        with(&[(":authority", "late")]),
        with(&[(":unknown", "1")]),
        with(&[("x", "a\nb")]),
        with(&[("content-length", "many")]),
        [&[(":method", "POST")][..], &REQUEST].concat(),
        [&[(":status", "200")][..], &REQUEST].concat(),
        [&[("early", "1")][..], &REQUEST].concat(),
    ] {
        let mut served = Served::new(&limits());
        served.tell(&frame(Kind::Headers, WHOLE_BLOCK, 1, &block(&fields)));
        let frames = said(&mut served.server);
        let reason = reset(&frames, 1);
        assert_eq!(reason, Some(Reason::PROTOCOL_ERROR), "{fields:?}");
        assert!(served.is_alive(3));
    }
}

#[test]
fn a_body_of_another_length_than_was_said_is_reset() {
    for length in ["5", "7"] {
        let mut served = Served::new(&limits());
        let fields = [&REQUEST[..], &[("content-length", length)]].concat();
        served.tell(&frame(Kind::Headers, WHOLE_BLOCK, 1, &block(&fields)));
        served.tell(&data(1, b"x"));
        let reason = reset(&said(&mut served.server), 1);
        assert_eq!(reason, Some(Reason::PROTOCOL_ERROR));
        assert!(served.requests().is_empty());
    }
}

#[test]
fn trailers_of_a_request_end_it_and_nothing_else_may() {
    let mut served = Served::new(&limits());
    let trailer = block(&[("x-checksum", "1")]);
    served.tell(&request_head(1));
    served.tell(&frame(Kind::Data, 0, 1, &message(b"text")));
    served.tell(&frame(Kind::Headers, WHOLE, 1, &trailer));
    assert_eq!(served.requests().len(), 1);
    for (flags, fields) in [
        (WHOLE_BLOCK, &trailer),
        (WHOLE, &block(&[(":path", "/again")])),
    ] {
        let mut served = Served::new(&limits());
        served.tell(&request_head(1));
        served.tell(&frame(Kind::Data, 0, 1, &message(b"text")));
        served.tell(&frame(Kind::Headers, flags, 1, fields));
        let reason = reset(&said(&mut served.server), 1);
        assert_eq!(reason, Some(Reason::PROTOCOL_ERROR));
    }
}

#[test]
fn frames_that_come_too_early_or_are_of_a_wrong_size_end_the_connection() {
    use Kind::{Continuation, Data, GoAway, Headers, Ping, Priority, PushPromise};
    use Kind::{ResetStream, Settings, WindowUpdate};
    let setting = |name: u16, value: u32| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let half = frame(Headers, 0, 1, &block(&REQUEST));
    for (bytes, reason) in [
        (frame(Data, 0, 1, b"x"), Reason::PROTOCOL_ERROR),
        (frame(Data, 0, 0, b"x"), Reason::PROTOCOL_ERROR),
        (
            frame(Headers, WHOLE, 2, &block(&REQUEST)),
            Reason::PROTOCOL_ERROR,
        ),
        (
            frame(Headers, WHOLE, 0, &block(&REQUEST)),
            Reason::PROTOCOL_ERROR,
        ),
        (
            frame(Headers, WHOLE | flag::PADDED, 1, &[9, 1]),
            Reason::PROTOCOL_ERROR,
        ),
        (
            frame(Headers, WHOLE | flag::PRIORITY, 1, &[0; 4]),
            Reason::FRAME_SIZE_ERROR,
        ),
        (
            frame(Headers, WHOLE, 1, &[0xff; 9]),
            Reason::COMPRESSION_ERROR,
        ),
        (frame(Headers, WHOLE, 1, &[0xfe]), Reason::COMPRESSION_ERROR),
        (
            frame(Continuation, WHOLE_BLOCK, 1, &[]),
            Reason::PROTOCOL_ERROR,
        ),
        (
            [half.clone(), frame(Ping, 0, 0, &[0; 8])].concat(),
            Reason::PROTOCOL_ERROR,
        ),
        (
            [half, frame(Continuation, WHOLE_BLOCK, 3, &[])].concat(),
            Reason::PROTOCOL_ERROR,
        ),
        (word(ResetStream, 1, 8), Reason::PROTOCOL_ERROR),
        (frame(ResetStream, 0, 1, &[0; 3]), Reason::FRAME_SIZE_ERROR),
        (word(WindowUpdate, 1, 8), Reason::PROTOCOL_ERROR),
        (word(WindowUpdate, 0, 0), Reason::PROTOCOL_ERROR),
        (
            word(WindowUpdate, 0, 0x7fff_ffff),
            Reason::FLOW_CONTROL_ERROR,
        ),
        (frame(WindowUpdate, 0, 0, &[0; 5]), Reason::FRAME_SIZE_ERROR),
        (frame(Ping, 0, 0, &[0; 7]), Reason::FRAME_SIZE_ERROR),
        (frame(Ping, 0, 1, &[0; 8]), Reason::PROTOCOL_ERROR),
        (frame(Settings, 0, 0, &[0; 5]), Reason::FRAME_SIZE_ERROR),
        (frame(Settings, 0, 1, &[]), Reason::PROTOCOL_ERROR),
        (
            frame(Settings, flag::ACK, 0, &[0; 6]),
            Reason::FRAME_SIZE_ERROR,
        ),
        (
            frame(Settings, 0, 0, &setting(2, 2)),
            Reason::PROTOCOL_ERROR,
        ),
        (
            frame(Settings, 0, 0, &setting(4, 1 << 31)),
            Reason::FLOW_CONTROL_ERROR,
        ),
        (
            frame(Settings, 0, 0, &setting(5, 100)),
            Reason::PROTOCOL_ERROR,
        ),
        (
            frame(Settings, 0, 0, &setting(5, 1 << 24)),
            Reason::PROTOCOL_ERROR,
        ),
        (frame(Priority, 0, 1, &[0; 4]), Reason::FRAME_SIZE_ERROR),
        (frame(Priority, 0, 0, &[0; 5]), Reason::PROTOCOL_ERROR),
        (
            frame(PushPromise, WHOLE_BLOCK, 1, &[0; 4]),
            Reason::PROTOCOL_ERROR,
        ),
        (frame(GoAway, 0, 0, &[0; 7]), Reason::FRAME_SIZE_ERROR),
        (
            frame(Data, 0, 0, &[0; 16_385])[..9].to_vec(),
            Reason::FRAME_SIZE_ERROR,
        ),
    ] {
        let mut served = Served::new(&limits());
        served.tell(&bytes);
        assert_eq!(good_bye(&mut served.server), Some(reason), "{bytes:?}");
        assert!(served.server.ended().is_some());
    }
}

#[test]
fn a_connection_has_to_begin_as_http_2_does() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[&PREFACE[..], &frame(Kind::Ping, 0, 0, &[0; 8])].concat(),
    ] {
        let now = Instant::now();
        let mut server = Connection::server(Config::server(&limits()), now);
        assert_eq!(server.receive(bytes, now), bytes.len());
        assert_eq!(good_bye(&mut server), Some(Reason::PROTOCOL_ERROR));
    }
}

#[test]
fn frames_on_streams_that_are_over_concern_those_alone() {
    let mut served = Served::new(&limits());
    served.tell(&request(1, b"x"));
    served.requests();
    // It is not for the client to go on after its end.
    served.tell(&data(1, b"more"));
    let frames = said(&mut served.server);
    assert_eq!(reset(&frames, 1), Some(Reason::STREAM_CLOSED));
    served.tell(&request(3, b"x"));
    served.requests();
    served.answer(3, b"y");
    said(&mut served.server);
    served.tell(&data(3, b"more"));
    let frames = said(&mut served.server);
    assert_eq!(reset(&frames, 3), Some(Reason::STREAM_CLOSED));
    // These come late as a matter of course.
    served.tell(&word(Kind::WindowUpdate, 3, 10));
    served.tell(&word(Kind::ResetStream, 3, 8));
    assert!(said(&mut served.server).is_empty());
    assert!(served.is_alive(5));
}

#[test]
fn streams_are_opened_in_order() {
    // One that was passed over, and one that is over.
    for again in [3, 5] {
        let mut served = Served::new(&limits());
        served.tell(&request(5, b"x"));
        served.requests();
        served.answer(5, b"y");
        said(&mut served.server);
        served.tell(&request_head(again));
        let reason = good_bye(&mut served.server);
        assert_eq!(reason, Some(Reason::PROTOCOL_ERROR), "stream {again}");
    }
    // Trailers of a request that was answered meanwhile.
    let mut served = Served::new(&limits());
    served.tell(&request(1, b"x"));
    served.requests();
    served.answer(1, b"y");
    said(&mut served.server);
    let trailers = block(&[("x-late", "1")]);
    served.tell(&frame(
        Kind::Headers,
        WHOLE_BLOCK | flag::END_STREAM,
        1,
        &trailers,
    ));
    let frames = said(&mut served.server);
    assert_eq!(reset(&frames, 1), Some(Reason::STREAM_CLOSED));
    assert!(served.is_alive(3));
}

#[test]
fn what_is_given_up_is_not_served_and_whoever_serves_it_is_told() {
    let mut served = Served::new(&limits());
    let cancel = |stream| word(Kind::ResetStream, stream, Reason::CANCEL.0);
    served.tell(&request(1, b"x"));
    served.tell(&cancel(1));
    let mut events = Vec::new();
    served.server.take_events(&mut events);
    assert!(!served.server.serve(1, 1), "nobody waits for it");
    served.tell(&request(3, b"x"));
    served.requests();
    served.tell(&cancel(3));
    served.server.take_events(&mut events);
    assert!(matches!(events.last(), Some(Event::Gone(3))), "{events:?}");
    served.answer(3, b"too late");
    assert!(said(&mut served.server).is_empty());
}

#[test]
fn a_message_that_does_not_come_in_time_is_not_waited_for() {
    let mut served = Served::new(&limits());
    let fields = [&REQUEST[..], &[("grpc-timeout", "100m")]].concat();
    served.tell(&frame(Kind::Headers, WHOLE_BLOCK, 1, &block(&fields)));
    served.tell(&request_head(3));
    let deadline = served.now + Duration::from_millis(100);
    assert_eq!(served.server.next_deadline(), Some(deadline));
    served.server.expire(deadline);
    let frames = said(&mut served.server);
    let expected = [(Kind::Headers, 1), (Kind::ResetStream, 1)];
    assert_eq!(outline(&frames), expected);
    let head = fields_of(&mut Decoder::new(4096), &frames[0].1);
    assert_eq!(head.get(Name::GrpcStatus), Some(&b"4"[..]));
    assert!(served.server.next_deadline() > Some(deadline));
    served.tell(&data(3, b"in time"));
    assert_eq!(served.requests().len(), 1);
}

#[test]
fn a_server_that_leaves_takes_what_is_on_its_way_and_nothing_after_that() {
    let mut served = Served::new(&limits());
    served.tell(&request(1, b"x"));
    served.requests();
    served.server.leave();
    let frames = said(&mut served.server);
    assert_eq!(outline(&frames), [(Kind::GoAway, 0), (Kind::Ping, 0)]);
    served.tell(&request(3, b"on its way"));
    assert_eq!(served.requests().len(), 1);
    served.tell(&frame(Kind::Ping, flag::ACK, 0, &frames[1].1));
    let frames = said(&mut served.server);
    assert_eq!(frames[0].1[..4], 3u32.to_be_bytes());
    served.tell(&request(5, b"too late"));
    assert!(served.requests().is_empty() && said(&mut served.server).is_empty());
    assert!(!served.server.is_over());
    served.answer(1, b"y");
    served.answer(3, b"y");
    assert!(!served.server.has_streams() && served.server.is_in_flight());
    served.server.part_if_idle();
    served.server.part_if_idle();
    let frames = said(&mut served.server);
    assert!(!served.server.is_in_flight(), "the answers have left");
    assert!(!served.server.is_over(), "they may not have arrived");
    let pings = frames.iter().filter(|(head, _)| head.kind == Kind::Ping);
    let pings: Vec<_> = pings.collect();
    assert_eq!(pings.len(), 1, "it asks once");
    served.tell(&frame(Kind::Ping, flag::ACK, 0, &pings[0].1));
    assert!(served.server.is_over());
}
