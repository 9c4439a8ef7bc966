//! Frames that say what the peer allows, and those about the connection as a whole.

use super::{Connection, Farewell};
use crate::http2::Reason;
use crate::http2::frame::{self, Head, Kind, flag};
use crate::http2::settings::MAX_WINDOW;

impl Connection {
    pub(super) fn settings(&mut self, head: Head, payload: &[u8]) {
        if head.stream != 0 {
            return self.fail(Reason::PROTOCOL_ERROR, "SETTINGS of a stream");
        }
        if head.has(flag::ACK) {
            self.has_settings_ack = true;
            if !payload.is_empty() {
                self.fail(Reason::FRAME_SIZE_ERROR, "SETTINGS of a wrong size");
            }
            return;
        }
        self.has_peer_settings = true;
        let before = self.peer;
        if let Err(reason) = self.peer.change(payload) {
            return self.fail(reason, "SETTINGS that cannot be");
        }
        self.encoder.set_limit(self.peer.header_table);
        self.confirm_settings(self.peer.allows_less_than(&before));
        let more = i64::from(self.peer.initial_window) - i64::from(before.initial_window);
        if more != 0 && !self.streams.is_empty() {
            if !self.may_visit_all() {
                return;
            }
            for (&id, stream) in &mut self.streams {
                stream.send_window += more;
                if stream.send_window > MAX_WINDOW {
                    return self.fail(Reason::FLOW_CONTROL_ERROR, "a window is too large");
                }
                if more > 0 && stream.outgoing.is_some() && !stream.is_in_line {
                    stream.is_in_line = true;
                    self.line.push_back(id);
                }
            }
        }
        self.open_waiting();
        self.pump();
    }

    /// Says that the peer's settings hold for all that it is going to read. Where they allow less, what
    /// has been queued may break them, and goes before; so it does where that is true of the settings
    /// before, as confirmations are told apart by their order.
    fn confirm_settings(&mut self, is_less: bool) {
        if !is_less && self.output.flushed() >= self.confirmed {
            return self.answer_first(Kind::Settings, &[]);
        }
        self.output
            .extend(&frame::head(Kind::Settings, flag::ACK, 0, 0));
        self.confirmed = self.output.end();
        self.count_answer();
    }

    /// Answers a frame before all else is said.
    fn answer_first(&mut self, kind: Kind, payload: &[u8]) {
        let head = frame::head(kind, flag::ACK, 0, payload.len());
        self.output.urge(&[&head, payload]);
        self.urgent_queued += 1;
        self.count_answer();
    }

    pub(super) fn pinged(&mut self, head: Head, payload: &[u8]) {
        if head.stream != 0 {
            return self.fail(Reason::PROTOCOL_ERROR, "PING of a stream");
        }
        if payload.len() != 8 {
            return self.fail(Reason::FRAME_SIZE_ERROR, "PING of a wrong size");
        }
        if !head.has(flag::ACK) {
            return self.answer_first(Kind::Ping, payload);
        }
        let Some(number) = payload.strip_prefix(b"edge").and_then(frame::word) else {
            return self.count_nonsense();
        };
        if number.wrapping_sub(self.pings).cast_signed() > 0 {
            return self.count_nonsense();
        }
        self.pong(number);
        if let Farewell::Announced(ping) = self.farewell
            && self.has_pong(ping)
        {
            self.farewell = Farewell::Said(self.last_of_peer);
            self.put_go_away(self.last_of_peer, Reason::NO_ERROR, "");
        }
    }

    pub(super) fn go_away(&mut self, head: Head, payload: &[u8]) {
        let (Some(last), Some(reason), 0) = (
            frame::word(payload),
            payload.get(4..).and_then(frame::word),
            head.stream,
        ) else {
            return self.fail(Reason::FRAME_SIZE_ERROR, "GOAWAY of a wrong size");
        };
        if !self.may_visit_all() {
            return;
        }
        let what = String::from_utf8_lossy(&payload[8..]);
        self.calls_not_taken(last & 0x7fff_ffff, Reason(reason), &what);
    }

    pub(super) fn window_update(&mut self, head: Head, payload: &[u8]) {
        let (Some(word), 4) = (frame::word(payload), payload.len()) else {
            return self.fail(Reason::FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong size");
        };
        let more = i64::from(word & 0x7fff_ffff);
        if head.stream == 0 {
            self.send_window += more;
            if more == 0 {
                self.fail(Reason::PROTOCOL_ERROR, "WINDOW_UPDATE by nothing");
            } else if self.send_window > MAX_WINDOW {
                self.fail(
                    Reason::FLOW_CONTROL_ERROR,
                    "the connection's window is too large",
                );
            }
            return self.pump();
        }
        if self.is_idle(head.stream) {
            return self.fail(Reason::PROTOCOL_ERROR, "WINDOW_UPDATE of no stream");
        }
        let Some(stream) = self.streams.get_mut(&head.stream) else {
            return;
        };
        if more == 0 {
            return self.reset_stream(head.stream, Reason::PROTOCOL_ERROR);
        }
        stream.send_window += more;
        if stream.send_window > MAX_WINDOW {
            return self.reset_stream(head.stream, Reason::FLOW_CONTROL_ERROR);
        }
        if stream.outgoing.is_some() && !stream.is_in_line {
            stream.is_in_line = true;
            self.line.push_back(head.stream);
        }
        self.pump();
    }
}
