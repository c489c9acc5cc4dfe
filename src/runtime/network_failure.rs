//! Why a conversation over the network ended, in one word.
//!
//! The libraries below wrap each other's errors three and four deep, and an
//! `io::Error` hides the error it carries from `source()`. [`of`] looks through
//! all of it once, so that a probe, a delivery and a proxy call the same cause by
//! the same word. Wrong would be to search the text of a message for a cause.

use std::error::Error;
use std::fmt;
use std::io;

use super::dial::DialError;

/// See the module. The order has no meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetworkFailure {
    /// The name could not be resolved and no earlier address is known.
    Dns,
    /// Nobody listens at the address.
    Refused,
    /// The peer, or something on the way, broke the connection off.
    Reset,
    /// No answer within the deadline.
    Timeout,
    /// No route to the address.
    Unreachable,
    /// The TLS handshake or a certificate.
    Tls,
    /// The peer does not speak the protocol.
    Protocol,
    /// Any other input or output error.
    Io,
}

impl NetworkFailure {
    /// The stable word of an operation's `code`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Io => "io",
        }
    }
}

impl fmt::Display for NetworkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How many errors deep to look.
const DEPTH: usize = 16;

/// The most telling cause in the chain of `error`, if it is about the network.
pub fn of(error: &(dyn Error + 'static)) -> Option<NetworkFailure> {
    let mut found = None;
    let mut next = Some(error);
    for _ in 0..DEPTH {
        let Some(error) = next else { break };
        // The innermost cause says the most: "connection error" hides "refused".
        found = one(error).or(found);
        next = inner(error);
    }
    found
}

/// The messages of the chain of `error`, outermost first, without repetitions. Where
/// no connection was made that is all there is to say, and what the libraries above
/// call it is left out.
pub fn describe(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = inner(error);
    for _ in 0..DEPTH {
        let Some(error) = next else { break };
        let message = error.to_string();
        if error.is::<DialError>() {
            return message;
        }
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        next = inner(error);
    }
    text
}

/// What `error` carries; for an `io::Error` that is not its `source()`.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(carried) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return Some(carried);
    }
    error.source()
}

fn one(error: &(dyn Error + 'static)) -> Option<NetworkFailure> {
    if let Some(error) = error.downcast_ref::<DialError>() {
        return Some(error.failure());
    }
    if error.is::<rustls::Error>() {
        return Some(NetworkFailure::Tls);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        let closed = error.is_incomplete_message() || error.is_closed() || error.is_canceled();
        return if error.is_parse() {
            Some(NetworkFailure::Protocol)
        } else {
            closed.then_some(NetworkFailure::Reset)
        };
    }
    error.downcast_ref::<io::Error>().map(|error| of_kind(error.kind()))
}

/// The word for the kind of an `io::Error`.
pub fn of_kind(kind: io::ErrorKind) -> NetworkFailure {
    match kind {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => NetworkFailure::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => NetworkFailure::Reset,
        io::ErrorKind::TimedOut => NetworkFailure::Timeout,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => NetworkFailure::Unreachable,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => NetworkFailure::Protocol,
        _ => NetworkFailure::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_through_every_wrapping() {
        let tls = io::Error::other(io::Error::new(
            io::ErrorKind::InvalidData,
            rustls::Error::General(String::from("bad certificate")),
        ));
        assert_eq!(of(&tls), Some(NetworkFailure::Tls));
        let refused = io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(of(&refused), Some(NetworkFailure::Refused));
        assert!(describe(&tls).contains("bad certificate"));
    }

    #[test]
    fn a_connection_that_was_not_made_is_told_without_its_wrappings() {
        let dns = DialError::Dns { host: String::from("nas"), reason: String::from("no address") };
        assert_eq!(describe(&io::Error::other(dns)), "cannot resolve nas: no address");
    }

    #[test]
    fn an_error_of_another_sort_is_not_about_the_network() {
        assert_eq!(of(&fmt::Error), None);
    }
}
