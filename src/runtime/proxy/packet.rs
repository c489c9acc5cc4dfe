//! The few messages of PostgreSQL's protocol that the proxy reads and writes
//! itself: what a client opens with, and errors.
//!
//! ```text
//!   opening:  length u32 (itself included) | code u32 | rest
//!   error:    'E' | length u32 (itself included) | ('S' 'V' 'C' 'M' ...) text 0 ... | 0
//! ```
//! From "Message Formats" of PostgreSQL's manual. Everything after the opening
//! passes unread. Wrong would be to trust a length: it comes from anybody.

/// The longest opening that a server takes (`MAX_STARTUP_PACKET_LENGTH`), in bytes.
pub const LONGEST_OPENING: usize = 10_000;
/// The longest error that is looked into, in bytes.
pub const LONGEST_ERROR: usize = 8 << 10;

/// `admin_shutdown` and `crash_shutdown`, when they meet a session that has not
/// begun, and `cannot_connect_now`.
const NOT_NOW: [&[u8]; 3] = [b"57P01", b"57P02", b"57P03"];
const PROTOCOL_3: u32 = 196_608;
const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
/// First byte of a TLS record that holds a handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// What a client says first, or after a negotiation was declined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// Asks for encryption, answered with one byte.
    Negotiation,
    /// Asks to cancel a statement of another connection; there is no answer.
    Cancel,
    Startup,
    /// TLS without asking first; nothing in it can be read.
    Encrypted,
}

/// What `bytes` begin with and how long it is; `None` while it is incomplete.
///
/// # Errors
/// It is nothing that PostgreSQL knows.
pub fn opening(bytes: &[u8]) -> Result<Option<(Opening, usize)>, NotPostgres> {
    if bytes.first() == Some(&TLS_HANDSHAKE) {
        return Ok(Some((Opening::Encrypted, bytes.len())));
    }
    let Some(length) = number(bytes, 0) else { return Ok(None) };
    let length = length as usize;
    if !(8..=LONGEST_OPENING).contains(&length) {
        return Err(NotPostgres);
    }
    let Some(code) = number(bytes, 4) else { return Ok(None) };
    let opening = match (code, length) {
        (TLS | GSS, 8) => Opening::Negotiation,
        // 3.2 made the key of a cancellation longer.
        (CANCEL, 16..=272) => Opening::Cancel,
        (TLS | GSS | CANCEL, _) => return Err(NotPostgres),
        _ => Opening::Startup,
    };
    Ok((bytes.len() >= length).then_some((opening, length)))
}

/// See [`opening`].
#[derive(Debug, PartialEq, Eq)]
pub struct NotPostgres;

/// What a server answers first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Not yet whole.
    Incomplete,
    /// It starts, stops or recovers; the text of it.
    NotNow(String),
    /// Anything else, which is for the client.
    Theirs,
}

/// Looks at the first answer to a startup.
pub fn answer(bytes: &[u8]) -> Answer {
    let Some(b'E') = bytes.first() else {
        return if bytes.is_empty() { Answer::Incomplete } else { Answer::Theirs };
    };
    let Some(length) = number(bytes, 1) else { return Answer::Incomplete };
    let length = length as usize;
    if !(4..LONGEST_ERROR).contains(&length) {
        return Answer::Theirs;
    }
    let Some(fields) = bytes.get(5..=length) else { return Answer::Incomplete };
    let field = |kind: u8| {
        let mut fields = fields.split(|byte| *byte == 0);
        fields.find_map(|field| field.strip_prefix(&[kind]))
    };
    if !field(b'C').is_some_and(|code| NOT_NOW.contains(&code)) {
        return Answer::Theirs;
    }
    Answer::NotNow(field(b'M').map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default())
}

/// A startup that only asks whether the server takes connections: it says so before
/// it looks at who asks.
pub fn startup() -> Vec<u8> {
    let parameters = b"user\0postgres\0\0";
    let mut bytes = Vec::from((8 + parameters.len() as u32).to_be_bytes());
    bytes.extend(PROTOCOL_3.to_be_bytes());
    bytes.extend(parameters);
    bytes
}

/// An ErrorResponse of severity FATAL.
pub fn error(code: &str, message: &str) -> Vec<u8> {
    let mut fields = Vec::with_capacity(message.len() + 32);
    for (kind, text) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', message)] {
        fields.push(kind);
        // A zero would end the text.
        fields.extend(text.bytes().filter(|byte| *byte != 0));
        fields.push(0);
    }
    fields.push(0);
    let mut bytes = vec![b'E'];
    bytes.extend((fields.len() as u32 + 4).to_be_bytes());
    bytes.extend(fields);
    bytes
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
        let length = (8 + rest.len() as u32).to_be_bytes();
        [&length[..], &code.to_be_bytes(), rest].concat()
    }

    #[test]
    fn openings_are_told_apart() {
        let startup = packet(196_608, b"user\0postgres\0\0");
        assert_eq!(opening(&startup), Ok(Some((Opening::Startup, startup.len()))));
        for short in 0..startup.len() {
            assert_eq!(opening(&startup[..short]), Ok(None), "{short}");
        }
        let more = [&startup[..], b"more"].concat();
        assert_eq!(opening(&more), Ok(Some((Opening::Startup, startup.len()))));
        for code in [TLS, GSS] {
            assert_eq!(opening(&packet(code, b"")), Ok(Some((Opening::Negotiation, 8))));
        }
        assert_eq!(opening(&packet(CANCEL, &[0; 8])), Ok(Some((Opening::Cancel, 16))));
        assert_eq!(opening(&[0x16, 3, 1, 2]), Ok(Some((Opening::Encrypted, 4))));
    }

    #[test]
    fn what_no_server_would_take_is_known_at_once() {
        for bytes in
            [&b"GET / HTTP/1.1"[..], &[0, 0, 0, 7, 0, 0, 0, 0], &packet(TLS, b"x"), b"\xff\xff\xff\xff"]
        {
            assert_eq!(opening(bytes), Err(NotPostgres), "{bytes:?}");
        }
    }

    #[test]
    fn only_a_server_that_cannot_yet_is_asked_again() {
        let starting = error("57P03", "the database system is starting up");
        assert_eq!(answer(&starting), Answer::NotNow(String::from("the database system is starting up")));
        for short in 0..starting.len() {
            assert_eq!(answer(&starting[..short]), Answer::Incomplete, "{short}");
        }
        assert_eq!(answer(&error("28P01", "57P03")), Answer::Theirs);
        assert_eq!(answer(b"R"), Answer::Theirs);
        assert_eq!(answer(b"E\xff\xff\xff\xff"), Answer::Theirs);
    }

    #[test]
    fn a_zero_in_a_message_does_not_end_it() {
        assert_eq!(answer(&error("57P03", "a\0b")), Answer::NotNow(String::from("ab")));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_no_length_goes_beyond_them(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(Some((_, length))) = opening(&bytes) {
                prop_assert!(length <= bytes.len());
            }
            let _ = answer(&bytes);
            let _ = answer(&[b"E\0\0", &bytes[..]].concat());
        }
    }
}
