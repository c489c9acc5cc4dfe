//! A request before it is one: what a preset wants to be sent, and how it is shown.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;

use crate::base::secret::{MASK, Secret};
use crate::channels::outcome::Mask;
use crate::config::address::Address;
use crate::config::channel::WEB;

/// Bytes of a request's body that are shown.
const SHOWN: usize = 16 << 10;

/// See the module.
pub struct Draft {
    pub method: Method,
    url: Secret,
    /// Whether the path is as good as a password.
    secret_url: bool,
    headers: Vec<(String, Secret, bool)>,
    body: Vec<u8>,
}

impl Draft {
    /// A request without headers and body.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: Secret::new(url), secret_url: false, headers: Vec::new(), body: Vec::new() }
    }

    /// A POST of a document.
    pub fn json(url: impl Into<String>, body: &impl serde::Serialize) -> Self {
        Self::new(Method::POST, url)
            .header("content-type", "application/json")
            .body(serde_json::to_vec(body).unwrap_or_default())
    }

    /// Of the address only scheme, host and port are shown.
    #[must_use]
    pub fn with_secret_url(mut self) -> Self {
        self.secret_url = true;
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), Secret::new(value), false));
        self
    }

    /// A header whose value is not shown.
    #[must_use]
    pub fn secret_header(mut self, name: &str, value: Secret) -> Self {
        self.headers.push((name.to_owned(), value, true));
        self
    }

    /// `Authorization: Bearer`, unless the token is empty.
    #[must_use]
    pub fn bearer(self, token: &Secret) -> Self {
        if token.is_empty() {
            return self;
        }
        self.secret_header("authorization", Secret::new(format!("Bearer {}", token.expose())))
    }

    #[must_use]
    pub fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    pub fn is_encrypted(&self) -> bool {
        self.url.expose().starts_with("https://")
    }

    /// Adds what of it must not be seen.
    pub fn hide(&self, mask: &mut Mask) {
        if self.secret_url {
            mask.hide_address(&self.url);
        }
        for (_, value, _) in self.headers.iter().filter(|(_, _, secret)| *secret) {
            mask.hide(value);
            // A server may repeat what follows `Bearer` alone.
            value.expose().split(' ').skip(1).for_each(|part| mask.hide(&Secret::new(part)));
        }
    }

    fn address(&self) -> Result<Address, String> {
        Address::of_url(self.url.expose(), &WEB)
            .map_err(|_| String::from("there is no address to send to, expected http://HOST or https://HOST"))
    }

    /// The request itself.
    ///
    /// # Errors
    /// Which part cannot stand in a request; never the part itself.
    pub fn request(&self) -> Result<Request<Full<Bytes>>, String> {
        let Address { scheme, path, .. } = &self.address()?;
        let authority = self.address()?.authority();
        let path = if path.is_empty() { "/" } else { path };
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("{scheme}://{authority}{path}"))
            .header(header::USER_AGENT, concat!("holdfast/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "*/*");
        for (name, value, secret) in &self.headers {
            let wrong = |_| format!("the header {name} cannot be sent");
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(()))?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong(()))?;
            value.set_sensitive(*secret);
            request = request.header(key, value);
        }
        let body = Full::new(Bytes::from(self.body.clone()));
        request.body(body).map_err(|_| String::from("no request can be made of the address"))
    }

    /// The request for people. What it repeats of a secret is masked later, with
    /// everything else.
    pub fn shown(&self) -> String {
        let address = match self.address() {
            Ok(address) if self.secret_url => format!("{}://{}/{MASK}", address.scheme, address.authority()),
            // What follows a question mark may be a key.
            Ok(address) if address.path.contains('?') => format!("{}?{MASK}", address.shown()),
            Ok(address) => address.shown(),
            Err(_) => String::from("(no address)"),
        };
        let mut text = format!("{} {address}\n", self.method);
        for (name, value, secret) in &self.headers {
            let value = if *secret { MASK } else { value.expose() };
            text.push_str(&format!("{name}: {value}\n"));
        }
        if !self.body.is_empty() {
            text.push('\n');
            text.push_str(&String::from_utf8_lossy(&self.body[..self.body.len().min(SHOWN)]));
        }
        text
    }
}
