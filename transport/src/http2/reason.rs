//! Why a stream or a connection ends (RFC 9113, section 7).

use std::fmt;

/// An error code of HTTP/2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reason(pub u32);

macro_rules! reasons {
    ($($name:ident = $code:literal, $text:literal;)+) => {
        impl Reason {
            $(#[doc = $text] pub const $name: Self = Self($code);)+

            fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                    _ => "unknown reason",
                }
            }
        }
    };
}

reasons! {
    NO_ERROR = 0, "no error";
    PROTOCOL_ERROR = 1, "protocol error";
    INTERNAL_ERROR = 2, "internal error";
    FLOW_CONTROL_ERROR = 3, "flow-control window exceeded";
    SETTINGS_TIMEOUT = 4, "settings not acknowledged in time";
    STREAM_CLOSED = 5, "stream is closed";
    FRAME_SIZE_ERROR = 6, "frame of a wrong size";
    REFUSED_STREAM = 7, "stream refused";
    CANCEL = 8, "stream cancelled";
    COMPRESSION_ERROR = 9, "header compression cannot be followed";
    CONNECT_ERROR = 10, "tunnel lost";
    ENHANCE_YOUR_CALM = 11, "excessive load";
    INADEQUATE_SECURITY = 12, "inadequate security";
    HTTP_1_1_REQUIRED = 13, "HTTP/1.1 required";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text(), self.0)
    }
}
