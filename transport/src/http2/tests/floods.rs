//! What peers may do that costs us more than them: bounded.

use super::*;

#[test]
fn requests_beyond_the_limit_are_refused_and_count_until_their_answers_have_left() {
    let mut served = Served::new(&limits());
    let mut bytes = Vec::new();
    for number in 0..101 {
        served.tell(&request(2 * number + 1, b"x"));
    }
    assert_eq!(served.requests().len(), 100);
    served.server.take_output(&mut bytes);
    for number in 0..100 {
        served.answer(2 * number + 1, b"y");
    }
    // The client cannot know yet that there is room.
    served.tell(&request(301, b"x"));
    assert!(served.requests().is_empty());
    let frames = said(&mut served.server);
    assert_eq!(reset(&frames, 301), Some(Reason::REFUSED_STREAM));
    served.tell(&request(303, b"x"));
    assert_eq!(served.requests().len(), 1);
}

#[test]
fn giving_requests_up_again_and_again_ends_the_connection() {
    let mut served = Served::new(&limits());
    let mut ended_at = None;
    for number in 0..3000 {
        let stream = 2 * number + 1;
        served.tell(&request_head(stream));
        served.tell(&word(Kind::ResetStream, stream, Reason::CANCEL.0));
        if served.server.ended().is_some() {
            ended_at.get_or_insert(number);
        }
    }
    let ended_at = ended_at.expect("it ends");
    assert!((900..1100).contains(&ended_at), "{ended_at}");
    assert_eq!(
        good_bye(&mut served.server),
        Some(Reason::ENHANCE_YOUR_CALM)
    );
}

#[test]
fn a_header_block_that_does_not_end_ends_the_connection() {
    for part in [&[0; 0][..], &[0x82; 1], &[0x82; 10_000]] {
        let mut served = Served::new(&limits());
        served.tell(&frame(Kind::Headers, 0, 1, &[]));
        let mut count = 0;
        while served.server.ended().is_none() {
            served.tell(&frame(Kind::Continuation, 0, 1, part));
            count += 1;
            assert!(count < 100, "{} bytes at a time", part.len());
        }
        let reason = good_bye(&mut served.server);
        assert_eq!(reason, Some(Reason::ENHANCE_YOUR_CALM));
    }
}

#[test]
fn pings_and_settings_are_answered_as_long_as_the_answers_are_read() {
    for flood in [
        frame(Kind::Ping, 0, 0, &[1; 8]),
        frame(Kind::Settings, 0, 0, &[]),
    ] {
        let mut served = Served::new(&limits());
        for _ in 0..20_000 {
            served.tell(&flood);
            assert_eq!(said(&mut served.server).len(), 1);
        }
        assert!(served.is_alive(1));
        let mut count = 0;
        while served.server.ended().is_none() {
            served.tell(&flood);
            count += 1;
        }
        assert!(count < 11_000, "{count}");
        assert_eq!(
            good_bye(&mut served.server),
            Some(Reason::ENHANCE_YOUR_CALM)
        );
    }
}

#[test]
fn frames_without_sense_end_the_connection_if_there_are_many() {
    for flood in [
        frame(Kind::Data, 0, 1, &[]),
        frame(Kind::Ping, flag::ACK, 0, &[9; 8]),
    ] {
        let mut served = Served::new(&limits());
        served.tell(&request_head(1));
        for _ in 0..900 {
            served.tell(&flood);
        }
        assert!(served.is_alive(3));
        for _ in 0..1000 {
            served.tell(&flood);
        }
        assert_eq!(
            good_bye(&mut served.server),
            Some(Reason::ENHANCE_YOUR_CALM)
        );
    }
}

#[test]
fn messages_that_do_not_end_take_bounded_room_and_their_end_gives_it_back() {
    let mut served = Served::new(&Limits {
        max_message_bytes: 20_000,
        ..limits()
    });
    let begin = |stream| {
        let part = message(&[0; 20_000])[..15_000].to_vec();
        [request_head(stream), frame(Kind::Data, 0, stream, &part)].concat()
    };
    for stream in [1, 3, 5, 7, 9] {
        served.tell(&begin(stream));
        assert!(said(&mut served.server).is_empty());
    }
    served.tell(&begin(11));
    let frames = said(&mut served.server);
    let head = fields_of(&mut Decoder::new(4096), &frames[0].1);
    assert_eq!(head.get(Name::GrpcStatus), Some(&b"8"[..]));
    served.tell(&word(Kind::ResetStream, 1, Reason::CANCEL.0));
    served.tell(&begin(13));
    assert!(said(&mut served.server).is_empty());
}

#[test]
fn large_messages_take_bounded_room_until_they_are_answered() {
    const BYTES: usize = 100_000;
    let mut served = Served::new(&Limits {
        max_message_bytes: BYTES,
        ..limits()
    });
    let upload = |served: &mut Served, stream| {
        served.tell(&request_head(stream));
        let text = message(&[0; BYTES]);
        let (last, parts) = text.as_chunks::<10_000>().0.split_last().unwrap();
        for part in parts {
            served.tell(&frame(Kind::Data, 0, stream, part));
        }
        let last = [last, text.as_chunks::<10_000>().1].concat();
        served.tell(&frame(Kind::Data, flag::END_STREAM, stream, &last));
        said(&mut served.server);
        served.requests().len()
    };
    for stream in [1, 3, 5, 7] {
        assert_eq!(upload(&mut served, stream), 1);
    }
    assert_eq!(upload(&mut served, 9), 0, "nobody has answered");
    // A small one finds its place.
    assert!(served.is_alive(11));
    served.answer(1, b"y");
    assert_eq!(upload(&mut served, 13), 1);
    served.tell(&word(Kind::ResetStream, 3, Reason::CANCEL.0));
    assert_eq!(upload(&mut served, 15), 1);
    assert_eq!(upload(&mut served, 17), 0);
}

#[test]
fn compressed_fields_cannot_be_blown_up_beyond_the_limit() {
    let mut served = Served::new(&limits());
    let long = "x".repeat(120);
    // Remembers a field, and repeats it as often as a frame has bytes.
    let mut block = block(&REQUEST);
    block.extend([0x40, 1, b'a', 120]);
    block.extend(long.as_bytes());
    block.extend([0x80 | 62; 12_000]);
    served.tell(&frame(Kind::Headers, WHOLE, 1, &block));
    let frames = said(&mut served.server);
    let head = fields_of(&mut Decoder::new(4096), &frames[0].1);
    assert_eq!(head.get(Name::GrpcStatus), Some(&b"8"[..]));
    assert!(served.is_alive(3));
}

#[test]
fn windows_that_change_again_and_again_under_many_streams_end_the_connection() {
    let many = Limits {
        max_concurrent_streams: 10_000,
        ..limits()
    };
    let floods = |number: u32| {
        let window = [
            &4u16.to_be_bytes()[..],
            &(60_000 + number % 2).to_be_bytes(),
        ]
        .concat();
        [
            frame(Kind::Settings, 0, 0, &window),
            frame(Kind::GoAway, 0, 0, &[0; 8]),
        ]
    };
    for which in [0, 1] {
        let mut served = Served::new(&many);
        for number in 0..10_000 {
            served.tell(&request_head(2 * number + 1));
        }
        let flood = |served: &mut Served, count| {
            for number in 0..count {
                served.tell(&floods(number)[which]);
                said(&mut served.server);
            }
        };
        flood(&mut served, 50);
        assert_eq!(served.server.ended(), None);
        served.now += Duration::from_secs(1);
        flood(&mut served, 4000);
        let reason = served.server.ended().expect("it ends");
        assert!(reason.contains("concern all streams"), "{reason}");
    }
}

#[test]
fn windows_may_change_often_where_that_costs_little() {
    let mut served = Served::new(&limits());
    served.tell(&request_head(1));
    for number in 0..4000u32 {
        let window = [
            &4u16.to_be_bytes()[..],
            &(60_000 + number % 2).to_be_bytes(),
        ]
        .concat();
        served.tell(&frame(Kind::Settings, 0, 0, &window));
        said(&mut served.server);
    }
    assert!(served.is_alive(3));
}

#[test]
fn uploads_that_end_at_their_deadline_all_at_once_are_no_mistake_of_the_client() {
    const UPLOADS: u32 = 4000;
    let mut served = Served::new(&Limits {
        max_concurrent_streams: 10_000,
        ..limits()
    });
    let fields = [&REQUEST[..], &[("grpc-timeout", "1S")]].concat();
    for number in 0..UPLOADS {
        let head = block(&fields);
        served.tell(&frame(Kind::Headers, WHOLE_BLOCK, 2 * number + 1, &head));
    }
    served.server.expire(served.now + Duration::from_secs(1));
    assert!(!served.server.has_streams());
    said(&mut served.server);
    for number in 0..UPLOADS {
        served.tell(&frame(Kind::Data, 0, 2 * number + 1, b"on its way"));
    }
    assert!(served.is_alive(2 * UPLOADS + 1));
}
