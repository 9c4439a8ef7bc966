//! Answers to control frames do not wait behind messages.

use super::*;

/// Takes so many bytes of what is to be written.
fn write(connection: &mut Connection, most: usize, bytes: &mut Vec<u8>) {
    let mut slices = crate::http2::no_slices();
    let count = connection.output().slices(&mut slices);
    let before = bytes.len();
    let ready = slices[..count].iter().flat_map(|slice| slice.iter());
    bytes.extend(ready.take(most));
    connection.wrote(bytes.len() - before);
}

/// A server that has an answer of so many bytes to write, which its client would take at once.
fn with_an_answer(bytes: usize) -> Served {
    let mut served = Served::new(&limits());
    served.tell(&word(Kind::WindowUpdate, 0, 1 << 20));
    served.tell(
        &[
            request_head(1),
            word(Kind::WindowUpdate, 1, 1 << 20),
            data(1, b"x"),
        ]
        .concat(),
    );
    assert_eq!(served.requests().len(), 1);
    served.answer(1, &vec![7; bytes]);
    served
}

/// A server that has written the beginning of a large answer when `frames` come; what it says.
fn amid_an_answer(frames: &[Vec<u8>]) -> Vec<(Head, Vec<u8>)> {
    let mut served = with_an_answer(500_000);
    let mut bytes = Vec::new();
    write(&mut served.server, 100, &mut bytes);
    frames.iter().for_each(|frame| served.tell(frame));
    served.server.take_output(&mut bytes);
    let (mut rest, mut said) = (&bytes[..], Vec::new());
    while let Some((head, tail)) = rest.split_first_chunk::<HEAD>() {
        let head = Head::parse(*head);
        let (payload, tail) = tail.split_at(head.length);
        said.push((head, payload.to_vec()));
        rest = tail;
    }
    let sent: usize = said
        .iter()
        .filter(|(head, _)| head.kind == Kind::Data)
        .map(|(_, payload)| payload.len())
        .sum();
    assert_eq!(sent, 500_005);
    said
}

/// Where frames of this kind are among all.
fn places(said: &[(Head, Vec<u8>)], kind: Kind) -> Vec<usize> {
    let is_kind = |(at, (head, _)): (usize, &(Head, Vec<u8>))| (head.kind == kind).then_some(at);
    said.iter().enumerate().filter_map(is_kind).collect()
}

#[test]
fn pings_and_settings_are_answered_behind_the_frame_that_is_being_written() {
    let said = amid_an_answer(&[
        frame(Kind::Ping, 0, 0, &[5; 8]),
        frame(Kind::Settings, 0, 0, &[]),
    ]);
    // The head of the answer, and the first of its data.
    assert_eq!(places(&said, Kind::Ping), [2]);
    assert_eq!(said[2].1, [5; 8]);
    assert_eq!(places(&said, Kind::Settings), [3]);
    assert!(places(&said, Kind::Data).last().unwrap() > &10);
}

#[test]
fn settings_that_allow_less_are_confirmed_behind_what_may_break_them() {
    let window = |bytes: u32| [&[0, 4][..], &bytes.to_be_bytes()].concat();
    let said = amid_an_answer(&[
        frame(Kind::Settings, 0, 0, &window(50_000)),
        frame(Kind::Settings, 0, 0, &window(60_000)),
        frame(Kind::Ping, 0, 0, &[5; 8]),
    ]);
    assert_eq!(places(&said, Kind::Ping), [2]);
    let confirmed = places(&said, Kind::Settings);
    assert_eq!(confirmed.len(), 2);
    // What is queued at a time, 256 kB, is before the first of them, which is before the second.
    assert!(confirmed[0] > 10, "{confirmed:?}");
}

#[test]
fn answers_that_went_first_do_not_count_as_unread() {
    let mut served = with_an_answer(1 << 20);
    // The answer never leaves as a whole, and still all of these do, with as many bytes of it.
    let mut bytes = Vec::new();
    for count in 0..20_000 {
        served.tell(&frame(Kind::Ping, 0, 0, &[1; 8]));
        write(&mut served.server, 2 * (HEAD + 8), &mut bytes);
        assert_eq!(served.server.ended(), None, "{count}");
    }
}
