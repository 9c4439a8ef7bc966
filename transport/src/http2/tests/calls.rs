//! Calls as a client makes them, against servers that do what they should or not.

use super::*;

fn failure(client: &mut Client, number: u32) -> Failure {
    match client.answer(number) {
        Some(Err(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_is_answered() {
    let mut client = Client::new(&limits(), &[]);
    let number = client.ask(b"question");
    let frames = said(&mut client.client);
    assert_eq!(outline(&frames), [(Kind::Headers, 1), (Kind::Data, 1)]);
    let head = fields_of(&mut Decoder::new(4096), &frames[0].1);
    assert_eq!(head.get(Name::Authority), Some(&b"there:1"[..]));
    assert_eq!(head.get(Name::Te), Some(&b"trailers"[..]));
    assert!(head.get(Name::GrpcTimeout).is_some());
    assert!(client.answer(number).is_none());
    client.tell(&answer_head(1));
    client.tell(&answer_data(1, b"answer"));
    assert!(client.answer(number).is_none(), "its status is missing");
    client.tell(&trailers(1));
    let reply = client.answer(number).unwrap().unwrap();
    assert_eq!(&reply.message[..], b"answer");
    assert!(!client.client.has_streams());
}

#[test]
fn leave_is_taken_once_and_after_the_last_answer() {
    let mut client = Client::new(&limits(), &[]);
    let number = client.ask(b"question");
    said(&mut client.client);
    client.client.end_when_idle();
    client.client.part_if_idle();
    assert!(said(&mut client.client).is_empty(), "an answer is owed");
    for part in [answer_head(1), answer_data(1, b"answer"), trailers(1)] {
        client.tell(&part);
    }
    client.answer(number).unwrap().unwrap();
    for expected in [vec![(Kind::GoAway, 0)], vec![]] {
        client.client.part_if_idle();
        assert_eq!(outline(&said(&mut client.client)), expected);
    }
    assert!(client.client.is_over());
}

#[test]
fn fields_of_requests_become_a_byte_each_but_for_the_deadline() {
    let mut client = Client::new(&limits(), &[]);
    let mut decoder = Decoder::new(4096);
    let mut lengths = Vec::new();
    for _ in 0..4 {
        client.ask(b"x");
        let frames = said(&mut client.client);
        let head = fields_of(&mut decoder, &frames[0].1);
        assert_eq!(
            head.get(Name::Path),
            Some(edge_proto::RUN_LAMBDA_PATH.as_bytes())
        );
        assert_eq!(head.get(Name::GrpcTimeout), Some(&b"60000000u"[..]));
        lengths.push(frames[0].1.len());
    }
    assert!(lengths[0] > 80 && lengths[2] <= 18, "{lengths:?}");
    assert_eq!(lengths[2], lengths[3]);
}

#[test]
fn a_peer_that_remembers_nothing_is_told_everything_each_time() {
    for (first, then) in [(0, 0), (4096, 0), (0, 4096), (100, 100)] {
        let mut client = Client::new(&limits(), &[(1, first)]);
        let mut decoder = Decoder::new(first as usize);
        for round in 0..6 {
            if round == 3 {
                let payload = [&1u16.to_be_bytes()[..], &(then as u32).to_be_bytes()].concat();
                client.tell(&frame(Kind::Settings, 0, 0, &payload));
                said(&mut client.client);
                decoder.allow(then as usize);
            }
            client.ask(b"x");
            let frames = said(&mut client.client);
            let head = fields_of(&mut decoder, &frames[0].1);
            assert_eq!(head.iter().count(), 7, "{first} {then}");
            assert_eq!(
                head.get(Name::Path),
                Some(edge_proto::RUN_LAMBDA_PATH.as_bytes())
            );
        }
    }
}

#[test]
fn calls_wait_until_the_peer_has_a_place_for_them() {
    let mut client = Client::new(&limits(), &[(3, 2)]);
    let numbers: Vec<_> = (0..5).map(|_| client.ask(b"x")).collect();
    let opened = |client: &mut Client| {
        let frames = said(&mut client.client);
        let heads = frames.iter().filter(|(head, _)| head.kind == Kind::Headers);
        heads.map(|(head, _)| head.stream).collect::<Vec<_>>()
    };
    assert_eq!(opened(&mut client), [1, 3]);
    // Given up before its turn: the peer never hears of it.
    client.client.forget(numbers[2]);
    assert_eq!(opened(&mut client), [0; 0]);
    client.client.forget(numbers[0]);
    assert_eq!(opened(&mut client), [7]);
    client.tell(&[answer_head(3), answer_data(3, b"y"), trailers(3)].concat());
    assert_eq!(opened(&mut client), [9]);
    assert!(client.answer(numbers[1]).unwrap().is_ok());
}

#[test]
fn who_gives_a_call_up_tells_the_peer_and_stands_late_answers() {
    let mut client = Client::new(&limits(), &[]);
    let number = client.ask(b"x");
    said(&mut client.client);
    client.client.forget(number);
    assert_eq!(reset(&said(&mut client.client), 1), Some(Reason::CANCEL));
    client.tell(&[answer_head(1), answer_data(1, b"y"), trailers(1)].concat());
    assert!(client.client.ended().is_none());
    let number = client.ask(b"x");
    client.client.expire(client.now + PATIENCE);
    assert_eq!(reset(&said(&mut client.client), 3), Some(Reason::CANCEL));
    assert!(matches!(failure(&mut client, number), Failure::Deadline));
}

#[test]
fn a_peer_that_leaves_says_which_calls_it_has_not_taken() {
    let mut client = Client::new(&limits(), &[(3, 3)]);
    let numbers: Vec<_> = (0..4).map(|_| client.ask(b"x")).collect();
    let good_bye = [&3u32.to_be_bytes()[..], &0u32.to_be_bytes()].concat();
    client.tell(&frame(Kind::GoAway, 0, 0, &good_bye));
    for number in &numbers[2..] {
        let failure = failure(&mut client, *number);
        assert!(matches!(failure, Failure::NotTaken(_)), "{failure:?}");
    }
    let asked = client
        .client
        .ask(&[], &Metadata::new(), client.now, client.now + PATIENCE);
    assert!(asked.is_err(), "no more on this connection");
    client.tell(&[answer_head(1), answer_data(1, b"y"), trailers(1)].concat());
    assert!(client.answer(numbers[0]).unwrap().is_ok());
    client.client.end("gone".to_owned());
    let failure = failure(&mut client, numbers[1]);
    assert!(matches!(failure, Failure::Lost(_)), "{failure:?}");
}

#[test]
fn resets_say_whether_the_request_was_looked_at() {
    for (reason, is_taken) in [
        (Reason::REFUSED_STREAM, false),
        (Reason::CANCEL, true),
        (Reason::INTERNAL_ERROR, true),
    ] {
        let mut client = Client::new(&limits(), &[]);
        let number = client.ask(b"x");
        client.tell(&word(Kind::ResetStream, 1, reason.0));
        let failure = failure(&mut client, number);
        assert_eq!(
            !matches!(failure, Failure::NotTaken(_)),
            is_taken,
            "{failure:?}"
        );
    }
}

#[test]
fn answers_that_are_none_are_invalid() {
    let head = |fields: &[(&str, &str)]| frame(Kind::Headers, WHOLE_BLOCK, 1, &block(fields));
    let bare = frame(Kind::Data, flag::END_STREAM, 1, &[]);
    for (what, bytes) in [
        ("data before the head", answer_data(1, b"y")),
        ("no status", head(&[("x", "y")])),
        ("503", head(&[(":status", "503")])),
        (
            "trailers that do not end",
            [answer_head(1), answer_head(1)].concat(),
        ),
        ("no message", [answer_head(1), trailers(1)].concat()),
        ("no end", [answer_head(1), bare.clone()].concat()),
        (
            "no status of gRPC",
            [answer_head(1), answer_data(1, b"y"), bare].concat(),
        ),
        (
            "trailers that say nothing of it",
            [
                answer_head(1),
                answer_data(1, b"y"),
                frame(Kind::Headers, WHOLE, 1, &block(&[("x", "y")])),
            ]
            .concat(),
        ),
        (
            "compressed",
            [answer_head(1), frame(Kind::Data, 0, 1, &[1, 0, 0, 0, 0])].concat(),
        ),
        (
            "half a message",
            [
                answer_head(1),
                frame(Kind::Data, 0, 1, b"\0\0\0\0\x09half"),
                trailers(1),
            ]
            .concat(),
        ),
        (
            "two messages",
            [answer_head(1), answer_data(1, b"y"), answer_data(1, b"y")].concat(),
        ),
        (
            "a pseudo-header behind others",
            head(&[("x", "y"), (":status", "200")]),
        ),
    ] {
        let mut client = Client::new(&limits(), &[]);
        let number = client.ask(b"x");
        client.tell(&bytes);
        let failure = failure(&mut client, number);
        assert!(
            matches!(failure, Failure::Invalid(_)),
            "{what}: {failure:?}"
        );
        assert!(client.client.ended().is_none(), "{what}");
        let number = client.ask(b"x");
        client.tell(&[answer_head(3), answer_data(3, b"y"), trailers(3)].concat());
        assert!(client.answer(number).unwrap().is_ok(), "{what}");
    }
}

#[test]
fn an_answer_of_another_kind_is_told_from_one_of_grpc_by_what_it_says_it_is() {
    for (kind, other) in [
        ("text/html; charset=utf-8", true),
        ("application/json", true),
        ("application/grpc-web+proto", true),
        ("application/grpc+proto", false),
        ("application/grpc;charset=utf-8", false),
    ] {
        let mut client = Client::new(&limits(), &[]);
        let number = client.ask(b"x");
        let head = block(&[(":status", "200"), ("content-type", kind)]);
        client.tell(&frame(Kind::Headers, WHOLE_BLOCK, 1, &head));
        client.tell(&frame(Kind::Data, 0, 1, b"<html>"));
        let Failure::Invalid(text) = failure(&mut client, number) else {
            panic!("{kind} is an answer");
        };
        assert_eq!(
            text == format!("no gRPC there: the content is {kind}"),
            other
        );
    }
    // One that does not say what it is may be one.
    let mut client = Client::new(&limits(), &[]);
    let number = client.ask(b"x");
    let head = frame(Kind::Headers, WHOLE_BLOCK, 1, &block(&[(":status", "200")]));
    client.tell(&[head, answer_data(1, b"y"), trailers(1)].concat());
    assert!(client.answer(number).unwrap().is_ok());
}

#[test]
fn that_a_peer_takes_no_more_header_fields_is_a_status_and_other_errors_of_http_are_none() {
    for (code, exhausted) in [("431", true), ("503", false)] {
        let mut client = Client::new(&limits(), &[]);
        let number = client.ask(b"x");
        let head = block(&[(":status", code)]);
        client.tell(&frame(Kind::Headers, WHOLE, 1, &head));
        match failure(&mut client, number) {
            Failure::Status(status) => {
                assert_eq!(status.code(), tonic::Code::ResourceExhausted);
                assert!(exhausted, "{code}");
            }
            Failure::Invalid(_) => assert!(!exhausted, "{code}"),
            other => panic!("{code}: {other:?}"),
        }
    }
}

#[test]
fn a_head_without_a_body_can_be_a_status() {
    let mut client = Client::new(&limits(), &[]);
    let number = client.ask(b"x");
    let fields = [
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-status", "8"),
        ("grpc-message", "too%20much"),
    ];
    client.tell(&frame(Kind::Headers, WHOLE, 1, &block(&fields)));
    let Failure::Status(status) = failure(&mut client, number) else {
        panic!("not a status");
    };
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(status.message(), "too much");
}

#[test]
fn a_status_with_details_that_are_no_base64_is_one_without_details() {
    let mut client = Client::new(&limits(), &[]);
    let number = client.ask(b"x");
    let status = block(&[
        ("grpc-status", "8"),
        ("grpc-message", "no%FFroom"),
        ("grpc-status-details-bin", "!"),
    ]);
    client.tell(&answer_head(1));
    client.tell(&frame(Kind::Headers, WHOLE, 1, &status));
    let Failure::Status(status) = failure(&mut client, number) else {
        panic!("not a status");
    };
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(status.message(), "no\u{FFFD}room");
    assert_eq!(status.details(), b"");
}

#[test]
fn heads_that_only_inform_are_passed_over() {
    let mut client = Client::new(&limits(), &[]);
    let number = client.ask(b"x");
    let fields = block(&[(":status", "103"), ("link", "somewhere")]);
    client.tell(&frame(Kind::Headers, WHOLE_BLOCK, 1, &fields));
    client.tell(&[answer_head(1), answer_data(1, b"y"), trailers(1)].concat());
    assert!(client.answer(number).unwrap().is_ok());
}

#[test]
fn a_server_may_neither_push_nor_open_streams() {
    for bytes in [
        frame(Kind::PushPromise, WHOLE_BLOCK, 1, &[0; 4]),
        frame(Kind::Headers, WHOLE_BLOCK, 2, &block(&REQUEST)),
        answer_head(9),
        frame(Kind::Data, 0, 9, b"x"),
    ] {
        let mut client = Client::new(&limits(), &[]);
        let number = client.ask(b"x");
        client.tell(&bytes);
        assert_eq!(good_bye(&mut client.client), Some(Reason::PROTOCOL_ERROR));
        assert!(matches!(failure(&mut client, number), Failure::Lost(_)));
    }
}

#[test]
fn an_answer_before_the_end_of_the_request_saves_the_rest_of_it() {
    let mut client = Client::new(&limits(), &[]);
    let number = client.ask(&vec![7; 500_000]);
    said(&mut client.client);
    client.tell(&[answer_head(1), answer_data(1, b"y"), trailers(1)].concat());
    assert!(client.answer(number).unwrap().is_ok());
    client.tell(&word(Kind::WindowUpdate, 0, 1 << 20));
    let frames = said(&mut client.client);
    assert_eq!(reset(&frames, 1), Some(Reason::NO_ERROR));
    assert!(frames.iter().all(|(head, _)| head.kind != Kind::Data));
}
