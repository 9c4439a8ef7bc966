//! Flow control: nobody sends more than the other side takes, and whoever waits holds up no one else.

use super::*;
use crate::http2::settings::DEFAULT_WINDOW;

const WINDOW: usize = DEFAULT_WINDOW as usize;

fn bytes_on(frames: &[(Head, Vec<u8>)], stream: u32) -> usize {
    let is_data = |head: &Head| head.kind == Kind::Data && head.stream == stream;
    let data = frames.iter().filter(|(head, _)| is_data(head));
    data.map(|(_, payload)| payload.len()).sum()
}

#[test]
fn an_answer_waits_for_room_and_others_go_on() {
    let mut served = Served::new(&limits());
    served.tell(&word(Kind::WindowUpdate, 0, 1 << 20));
    served.tell(&[request(1, b"large"), request(3, b"small")].concat());
    served.requests();
    let large = vec![7; 100_000];
    served.answer(1, &large);
    served.answer(3, b"small");
    let frames = said(&mut served.server);
    assert_eq!(bytes_on(&frames, 1), WINDOW);
    assert_eq!(bytes_on(&frames, 3), 10);
    assert!(
        frames
            .iter()
            .any(|(h, _)| h.stream == 3 && h.has(flag::END_STREAM))
    );
    served.tell(&word(Kind::WindowUpdate, 1, 1000));
    assert_eq!(bytes_on(&said(&mut served.server), 1), 1000);
    served.tell(&word(Kind::WindowUpdate, 1, 1 << 20));
    let frames = said(&mut served.server);
    assert_eq!(bytes_on(&frames, 1), 100_005 - WINDOW - 1000);
    assert!(frames.last().unwrap().0.has(flag::END_STREAM));
    assert!(!served.server.has_streams());
}

#[test]
fn the_window_of_the_connection_is_shared_in_turns() {
    let mut served = Served::new(&limits());
    let settings = [&4u16.to_be_bytes()[..], &(1u32 << 20).to_be_bytes()].concat();
    served.tell(&frame(Kind::Settings, 0, 0, &settings));
    served.tell(&[request(1, b"x"), request(3, b"x")].concat());
    served.requests();
    for stream in [1, 3] {
        served.answer(stream, &vec![7; 200_000]);
    }
    let frames = said(&mut served.server);
    assert_eq!(bytes_on(&frames, 1) + bytes_on(&frames, 3), WINDOW);
    served.tell(&word(Kind::WindowUpdate, 0, 100_000));
    let frames = said(&mut served.server);
    let (one, other) = (bytes_on(&frames, 1), bytes_on(&frames, 3));
    assert_eq!(one + other, 100_000);
    assert!(one > 30_000 && other > 30_000, "{one} {other}");
}

#[test]
fn a_window_can_shrink_below_nothing_and_come_back() {
    let mut served = Served::new(&limits());
    let window = |size: u32| {
        let payload = [&4u16.to_be_bytes()[..], &size.to_be_bytes()].concat();
        frame(Kind::Settings, 0, 0, &payload)
    };
    served.tell(&request(1, b"x"));
    served.requests();
    served.answer(1, &vec![7; 100_000]);
    assert_eq!(bytes_on(&said(&mut served.server), 1), WINDOW);
    served.tell(&word(Kind::WindowUpdate, 0, 1 << 20));
    served.tell(&window(1000));
    assert_eq!(bytes_on(&said(&mut served.server), 1), 0);
    served.tell(&window(1 << 20));
    assert_eq!(bytes_on(&said(&mut served.server), 1), 100_005 - WINDOW);
}

#[test]
fn more_than_the_window_of_a_stream_resets_it_and_more_than_the_connections_ends_all() {
    let tight = Limits {
        stream_window_bytes: 70_000,
        connection_window_bytes: 100_000,
        ..limits()
    };
    let fill = |stream, size: usize| {
        let text = vec![0; size];
        let parts = text.chunks(10_000);
        parts
            .flat_map(|part| frame(Kind::Data, 0, stream, part))
            .collect::<Vec<_>>()
    };
    // A message that never ends is read as it comes, so the window is that of another method.
    let fields = REQUEST.map(|(n, v)| {
        if n == ":path" {
            (n, "/other/Method")
        } else {
            (n, v)
        }
    });
    let mut served = Served::new(&tight);
    served.tell(&frame(Kind::Headers, WHOLE_BLOCK, 1, &block(&fields)));
    served.tell(&fill(1, 80_000));
    let frames = said(&mut served.server);
    assert_eq!(reset(&frames, 1), Some(Reason::FLOW_CONTROL_ERROR));
    let mut served = Served::new(&tight);
    for stream in [1, 3] {
        served.tell(&frame(Kind::Headers, WHOLE_BLOCK, stream, &block(&fields)));
        served.tell(&fill(stream, 60_000));
    }
    assert_eq!(
        good_bye(&mut served.server),
        Some(Reason::FLOW_CONTROL_ERROR)
    );
}

#[test]
fn what_is_read_makes_room_and_what_is_not_does_not() {
    let fields = REQUEST.map(|(n, v)| {
        if n == ":path" {
            (n, "/other/Method")
        } else {
            (n, v)
        }
    });
    let mut served = Served::new(&Limits {
        stream_window_bytes: 100_000,
        ..limits()
    });
    let cx = Context::from_waker(Waker::noop());
    served.tell(&frame(Kind::Headers, WHOLE_BLOCK, 1, &block(&fields)));
    for _ in 0..9 {
        served.tell(&frame(Kind::Data, 0, 1, &[0; 10_000]));
    }
    assert!(said(&mut served.server).is_empty());
    for _ in 0..9 {
        let Poll::Ready(Some(Ok(part))) = served.server.poll_data(1, &cx) else {
            panic!("it is there");
        };
        assert_eq!(part.len(), 10_000);
    }
    assert!(served.server.poll_data(1, &cx).is_pending());
    assert_eq!(
        outline(&said(&mut served.server)),
        [(Kind::WindowUpdate, 1), (Kind::WindowUpdate, 0)]
    );
}

#[test]
fn that_there_is_room_again_is_said_along_with_an_answer_and_by_itself_only_if_none_comes() {
    let news = (Kind::WindowUpdate, 0);
    let mut served = Served::new(&limits());
    let message = |size: usize, stream| {
        let text = message(&vec![7; size]);
        let parts = text.chunks(10_000);
        let parts = parts.map(|part| frame(Kind::Data, 0, stream, part));
        let end = frame(Kind::Data, flag::END_STREAM, stream, &[]);
        [
            &request_head(stream)[..],
            &parts.collect::<Vec<_>>().concat(),
            &end,
        ]
        .concat()
    };
    served.tell(&message(100_000, 1));
    served.requests();
    assert_eq!(outline(&said(&mut served.server)), []);
    served.answer(1, b"small");
    let frames = outline(&said(&mut served.server));
    assert_eq!(frames.last(), Some(&news), "behind the answer");
    served.tell(&message(10_000, 3));
    served.requests();
    served.answer(3, b"small");
    assert!(
        !outline(&said(&mut served.server)).contains(&news),
        "not worth a word"
    );
    served.tell(&message(200_000, 5));
    let frames = outline(&said(&mut served.server));
    assert!(
        frames.contains(&news),
        "before the answer, which may take long"
    );
}

#[test]
fn what_nobody_is_going_to_read_gives_its_room_back() {
    let fields = REQUEST.map(|(n, v)| {
        if n == ":path" {
            (n, "/other/Method")
        } else {
            (n, v)
        }
    });
    let mut served = Served::new(&Limits {
        connection_window_bytes: 100_000,
        ..limits()
    });
    // Ten times as much as the connection's window.
    for number in 0..20 {
        let stream = 2 * number + 1;
        served.tell(&frame(Kind::Headers, WHOLE_BLOCK, stream, &block(&fields)));
        for _ in 0..5 {
            served.tell(&frame(Kind::Data, 0, stream, &[0; 10_000]));
        }
        if number % 2 == 0 {
            served.server.release(stream, Reason::CANCEL);
        } else {
            served.tell(&word(Kind::ResetStream, stream, Reason::CANCEL.0));
        }
        // This one is on its way while the stream ends.
        served.tell(&frame(Kind::Data, 0, stream, &[0; 10_000]));
    }
    assert_eq!(served.server.ended(), None);
}

#[test]
fn an_overflowing_window_of_a_stream_resets_it() {
    for increment in [0, 0x7fff_ffff] {
        let mut served = Served::new(&limits());
        served.tell(&request(1, b"x"));
        served.tell(&word(Kind::WindowUpdate, 1, increment));
        let reason = reset(&said(&mut served.server), 1);
        assert!(matches!(
            reason,
            Some(Reason::PROTOCOL_ERROR | Reason::FLOW_CONTROL_ERROR)
        ));
        assert!(served.is_alive(3));
    }
}

#[test]
fn an_answer_that_nobody_reads_is_given_up_at_its_deadline() {
    let mut served = Served::new(&limits());
    served.tell(&request(1, b"x"));
    served.requests();
    served.answer(1, &vec![7; 100_000]);
    said(&mut served.server);
    served.server.expire(served.now + Duration::from_secs(61));
    let frames = said(&mut served.server);
    assert_eq!(reset(&frames, 1), Some(Reason::CANCEL));
    assert!(!served.server.has_streams());
}

#[test]
fn padding_makes_room_on_its_stream_as_data_does() {
    // Of a message, and of what is read as it comes.
    for path in [edge_proto::RUN_LAMBDA_PATH, "/other/Method"] {
        let fields = REQUEST.map(|(n, v)| if n == ":path" { (n, path) } else { (n, v) });
        let mut served = Served::new(&Limits {
            stream_window_bytes: 70_000,
            ..limits()
        });
        let cx = Context::from_waker(Waker::noop());
        served.tell(&frame(Kind::Headers, WHOLE_BLOCK, 1, &block(&fields)));
        let text = message(&[0; 2000]);
        let mut room = 70_000;
        for part in text.chunks(2) {
            let payload = [&[255][..], part, &[0; 255]].concat();
            room -= payload.len();
            served.tell(&frame(Kind::Data, flag::PADDED, 1, &payload));
            while let Poll::Ready(Some(Ok(_))) = served.server.poll_data(1, &cx) {}
            let frames = said(&mut served.server);
            let news = |head: &Head| (head.kind, head.stream) == (Kind::WindowUpdate, 1);
            for (_, payload) in frames.iter().filter(|(head, _)| news(head)) {
                room += crate::http2::frame::word(payload).unwrap() as usize;
            }
            assert!(room > 30_000, "{room} left for {path}");
        }
    }
}
