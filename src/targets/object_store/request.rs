//! Signed requests to one bucket, path-style.
//!
//! Signed in headers (AWS Signature Version 4, by reqsign), never in the URL:
//! URLs end up in the logs of servers and proxies. The payload's hash is part of
//! the signature.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use reqsign_aws_v4::{Credential, RequestSigner};
use reqsign_core::{Context, SignRequest};
use sha2::{Digest, Sha256};

use crate::base::secret::Secret;

/// Why no request can be made: something in the section.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("`{address}` is not an address of an object store: expected http://HOST:PORT or https://HOST")]
    Address { address: String },
    #[error("the request cannot be signed: {reason}")]
    Sign { reason: String },
}

/// Where the bucket is, and who asks.
#[derive(Debug)]
pub struct Bucket {
    /// Scheme, host and port, without a slash at the end.
    pub endpoint: String,
    pub name: String,
    pub region: String,
    pub access_key_id: String,
}

impl Bucket {
    /// A signed request. `path` follows the bucket's name (empty for the bucket
    /// itself), `query` is as it stands in the URL.
    ///
    /// # Errors
    /// [`RequestError`], which never holds the key.
    pub async fn request(
        &self,
        secret: &Secret,
        method: Method,
        path: &str,
        query: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, RequestError> {
        let separator = if path.is_empty() { "" } else { "/" };
        let question = if query.is_empty() { "" } else { "?" };
        let address = format!("{}/{}{separator}{path}{question}{query}", self.endpoint, self.name);
        let bad_address = || RequestError::Address { address: address.clone() };
        let uri: Uri = address.parse().map_err(|_| bad_address())?;
        if uri.host().is_none_or(str::is_empty) || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad_address());
        }
        let hash = hex(&Sha256::digest(&body));
        let hash = HeaderValue::from_str(&hash).map_err(|_| bad_address())?;
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("x-amz-content-sha256", hash)
            .header(header::USER_AGENT, concat!("holdfast/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))
            .map_err(|_| bad_address())?;
        let (mut parts, body) = request.into_parts();
        let credential = Credential {
            access_key_id: self.access_key_id.clone(),
            secret_access_key: secret.expose().to_owned(),
            session_token: None,
            expires_in: None,
        };
        RequestSigner::new("s3", &self.region)
            .sign_request(&Context::new(), &mut parts, Some(&credential), None)
            .await
            .map_err(|error| RequestError::Sign { reason: error.to_string() })?;
        Ok(Request::from_parts(parts, body))
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(endpoint: &str) -> Bucket {
        Bucket {
            endpoint: endpoint.to_owned(),
            name: String::from("backup"),
            region: String::from("garage"),
            access_key_id: String::from("GK1"),
        }
    }

    #[tokio::test]
    async fn the_signature_is_in_a_header_and_the_key_nowhere() {
        let secret = Secret::new("topsecret");
        let bucket = bucket("http://127.0.0.1:3900");
        let request = bucket.request(&secret, Method::PUT, "a/b", "", Bytes::from("x")).await.unwrap();
        assert_eq!(request.uri(), "http://127.0.0.1:3900/backup/a/b");
        let signed = request.headers()["authorization"].to_str().unwrap();
        assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=GK1/"), "{signed}");
        assert!(signed.contains("x-amz-content-sha256"), "{signed}");
        assert!(!format!("{request:?}").contains("topsecret"));
    }

    #[tokio::test]
    async fn an_endpoint_that_is_none_is_named() {
        for endpoint in ["", "127.0.0.1:3900", "ftp://host", "http://"] {
            let made = bucket(endpoint).request(&Secret::new("x"), Method::GET, "", "", Bytes::new()).await;
            assert!(matches!(made, Err(RequestError::Address { .. })), "{endpoint}");
        }
    }
}
