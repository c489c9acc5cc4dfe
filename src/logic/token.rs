//! Access tokens `hf_<id>_<secret>`, and session cookies `hfs_<id>_<secret>`.
//!
//! The id finds the stored row, the secret proves it. Only the SHA-256 of the
//! secret is kept: it is 256 random bits, so a slow password hash would add
//! nothing, and a stolen store gives no token away. Wrong would be to compare
//! texts with `==`: its time tells how much of a guess was right.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::model::access::{Scope, Token};

/// Random bytes that [`mint`] and [`draw`] want: 8 for the id, 32 for the secret.
pub const ENTROPY: usize = 40;
/// What a token begins with, and what a session's cookie begins with.
const TOKEN: &str = "hf_";
const SESSION: &str = "hfs_";
const ID_BYTES: usize = 8;

/// A token as it came with a request.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    pub id: &'a str,
    secret: &'a str,
}

/// Makes a token from fresh random bytes. The second value is the whole text
/// `hf_<id>_<secret>`, which exists nowhere else.
pub fn mint(
    entropy: &[u8; ENTROPY],
    name: &str,
    scopes: Vec<Scope>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
) -> (Token, Secret) {
    let (id, digest, text) = drawn(TOKEN, entropy);
    (Token { id, name: name.to_owned(), digest, scopes, created_at, expires_at }, text)
}

/// Id, digest and cookie of a new session.
pub fn draw(entropy: &[u8; ENTROPY]) -> (String, [u8; 32], Secret) {
    drawn(SESSION, entropy)
}

fn drawn(prefix: &str, entropy: &[u8; ENTROPY]) -> (String, [u8; 32], Secret) {
    let (id, secret) = entropy.split_at(ID_BYTES);
    let (id, secret) = (hex(id), hex(secret));
    let text = Secret::new(format!("{prefix}{id}_{secret}"));
    let digest = digest(&secret);
    (id, digest, text)
}

/// Splits a token into its parts; `None` when it has not the form of one.
pub fn parse(text: &str) -> Option<Presented<'_>> {
    split(text.strip_prefix(TOKEN)?)
}

/// The same for a session's cookie.
pub fn parse_session(text: &str) -> Option<Presented<'_>> {
    split(text.strip_prefix(SESSION)?)
}

fn split(rest: &str) -> Option<Presented<'_>> {
    let (id, secret) = rest.split_once('_')?;
    let hexadecimal = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let sized = id.len() == 2 * ID_BYTES && secret.len() == 2 * (ENTROPY - ID_BYTES);
    (sized && hexadecimal(id) && hexadecimal(secret)).then_some(Presented { id, secret })
}

impl Presented<'_> {
    /// Whether it is the secret of which `digest` was kept.
    pub fn proves(&self, kept: &[u8; 32]) -> bool {
        digest(self.secret).ct_eq(kept).into()
    }
}

/// The stored token that `presented` proves, unless it expired. Looks at every
/// row whatever it finds, so that the time does not tell which ids exist.
pub fn verify<'a, T>(
    presented: Presented<'_>,
    stored: impl IntoIterator<Item = &'a T>,
    now: Timestamp,
) -> Option<&'a T>
where
    T: AsRef<Token>,
{
    let wanted = digest(presented.secret);
    let mut found = None;
    for held in stored {
        let token = held.as_ref();
        let same = token.id.as_bytes().ct_eq(presented.id.as_bytes()) & token.digest.ct_eq(&wanted);
        if bool::from(same) && token.expires_at.is_none_or(|end| now < end) {
            found = Some(held);
        }
    }
    found
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn minted(seed: u8, expires_at: Option<Timestamp>) -> (Token, Secret) {
        mint(&[seed; ENTROPY], "ci", vec![Scope::MonitoringRead], Timestamp(0), expires_at)
    }

    #[test]
    fn only_the_right_secret_proves_a_token() {
        let (token, text) = minted(7, None);
        let (other, wrong) = minted(8, None);
        let stored = [other, token.clone()];
        let presented = parse(text.expose()).unwrap();
        assert_eq!(verify(presented, &stored, Timestamp(5)), Some(&token));
        assert_eq!(verify(presented, &stored[..1], Timestamp(5)), None);
        assert!(presented.proves(&token.digest) && !presented.proves(&stored[0].digest));

        let forged = format!("hf_{}_{}", token.id, parse(wrong.expose()).unwrap().secret);
        assert_eq!(verify(parse(&forged).unwrap(), &stored, Timestamp(5)), None);
    }

    #[test]
    fn an_expired_token_proves_nothing() {
        let (token, text) = minted(7, Some(Timestamp(10)));
        let presented = parse(text.expose()).unwrap();
        assert!(verify(presented, std::slice::from_ref(&token), Timestamp(9)).is_some());
        assert!(verify(presented, std::slice::from_ref(&token), Timestamp(10)).is_none());
    }

    #[test]
    fn the_secret_is_not_stored_and_not_printed() {
        let (token, text) = minted(7, None);
        let secret = parse(text.expose()).unwrap().secret.to_owned();
        assert!(!serde_json::to_string(&token).unwrap().contains(&secret));
        assert_eq!(format!("{text:?}"), "***");
    }

    #[test]
    fn a_session_is_no_token_and_a_token_no_session() {
        let (id, digest, cookie) = draw(&[9; ENTROPY]);
        let presented = parse_session(cookie.expose()).unwrap();
        assert!(presented.id == id && presented.proves(&digest));
        assert!(parse(cookie.expose()).is_none());
        assert!(parse_session(minted(7, None).1.expose()).is_none());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "(hfs?_)?\\PC{0,100}") {
            let _ = (parse(&text), parse_session(&text));
        }
    }
}
