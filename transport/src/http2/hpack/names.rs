//! Header names that mean something to gRPC, told apart once, when they are read.

/// What a header is. Those of indexed fields are known without comparing any text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// `:authority`
    Authority,
    /// `:method`
    Method,
    /// `:path`
    Path,
    /// `:scheme`
    Scheme,
    /// `:status`
    Status,
    /// A pseudo-header that does not exist.
    UnknownPseudo,
    /// `content-type`
    ContentType,
    /// `content-length`
    ContentLength,
    /// `te`
    Te,
    /// `server`
    Server,
    /// `grpc-timeout`
    GrpcTimeout,
    /// `grpc-status`
    GrpcStatus,
    /// `grpc-message`
    GrpcMessage,
    /// `grpc-status-details-bin`
    GrpcStatusDetails,
    /// Belongs to one hop, without being of interest there.
    OfTheHop,
    /// Has no place in HTTP/2 (RFC 9113, section 8.2.2).
    OfHttp1,
    /// Anything else: metadata, to be passed on.
    Other,
}

impl Name {
    /// What `name` is.
    pub fn of(name: &[u8]) -> Self {
        match name {
            b":authority" => Self::Authority,
            b":method" => Self::Method,
            b":path" => Self::Path,
            b":scheme" => Self::Scheme,
            b":status" => Self::Status,
            [b':', ..] => Self::UnknownPseudo,
            b"content-type" => Self::ContentType,
            b"content-length" => Self::ContentLength,
            b"te" => Self::Te,
            b"server" => Self::Server,
            b"grpc-timeout" => Self::GrpcTimeout,
            b"grpc-status" => Self::GrpcStatus,
            b"grpc-message" => Self::GrpcMessage,
            b"grpc-status-details-bin" => Self::GrpcStatusDetails,
            b"user-agent"
            | b"host"
            | b"date"
            | b"accept-encoding"
            | b"grpc-encoding"
            | b"grpc-accept-encoding" => Self::OfTheHop,
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding"
            | b"upgrade" => Self::OfHttp1,
            _ => Self::Other,
        }
    }

    /// The name, if there is one only that is this.
    #[inline]
    pub(crate) fn text(self) -> Option<&'static str> {
        Some(match self {
            Self::Authority => ":authority",
            Self::Method => ":method",
            Self::Path => ":path",
            Self::Scheme => ":scheme",
            Self::Status => ":status",
            Self::ContentType => "content-type",
            Self::ContentLength => "content-length",
            Self::Te => "te",
            Self::Server => "server",
            Self::GrpcTimeout => "grpc-timeout",
            Self::GrpcStatus => "grpc-status",
            Self::GrpcMessage => "grpc-message",
            Self::GrpcStatusDetails => "grpc-status-details-bin",
            Self::UnknownPseudo | Self::OfTheHop | Self::OfHttp1 | Self::Other => return None,
        })
    }

    /// Whether it has to come before all that are none.
    pub fn is_pseudo(self) -> bool {
        matches!(
            self,
            Self::Authority
                | Self::Method
                | Self::Path
                | Self::Scheme
                | Self::Status
                | Self::UnknownPseudo
        )
    }
}

/// Whether HTTP/2 allows a field with this name and value.
pub(crate) fn is_valid(name: &[u8], value: &[u8]) -> bool {
    let name = name.strip_prefix(b":").unwrap_or(name);
    !name.is_empty()
        && name.iter().all(|&byte| OF_NAMES[usize::from(byte)])
        && is_valid_value(value)
}

/// Whether HTTP/2 allows a field with this value.
pub(crate) fn is_valid_value(value: &[u8]) -> bool {
    // To the end in any case, which is many bytes at once.
    value.iter().fold(true, |is_valid, &byte| {
        is_valid & (byte == b'\t' || (byte >= b' ' && byte != 0x7f))
    })
}

/// The bytes of names.
static OF_NAMES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = is_of_a_name(byte as u8);
        byte += 1;
    }
    table
};

/// A token (RFC 9110, section 5.6.2) without upper-case letters.
const fn is_of_a_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9')
        || matches!(
            byte,
            b'-' | b'_'
                | b'.'
                | b'!'
                | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'^'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_with_one_name_is_of_that_name() {
        let names = [
            ":authority",
            ":method",
            ":path",
            ":scheme",
            ":status",
            "content-type",
            "content-length",
            "te",
            "server",
            "grpc-timeout",
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
        ];
        for name in names {
            assert_eq!(Name::of(name.as_bytes()).text(), Some(name));
        }
        for name in [":other", "user-agent", "connection", "x-other"] {
            assert_eq!(Name::of(name.as_bytes()).text(), None, "{name}");
        }
    }

    #[test]
    fn fields_that_http_2_forbids_are_told() {
        assert!(is_valid(b":path", b"/a b"));
        assert!(is_valid(b"x-y", b""));
        assert!(is_valid(b"x-y", "grün".as_bytes()));
        assert!(!is_valid(b"X-y", b"1"));
        assert!(!is_valid(b"", b"1"));
        assert!(!is_valid(b":", b"1"));
        assert!(!is_valid(b"x y", b"1"));
        for forbidden in [b"a\r", b"a\n", b"a\0"] {
            assert!(!is_valid(b"x", forbidden));
        }
    }
}
