//! `[[channel.webhook]]`: the message as JSON, or whatever a template makes of it, to any
//! server; signed as Standard Webhooks 1.0 say.
//!
//! The id in `webhook-id` is that of the notice and so the same at every attempt. What is
//! signed is `<id>.<seconds>.<body>`, by HMAC-SHA256 with the bytes that a `whsec_` secret
//! is the Base64 of, or with those of any other secret as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::web::{Draft, Preset, Told, WebChannel, origin};
use super::{Made, Surroundings, credential};
use crate::base::secret::Secret;
use crate::config::channel::Section as _;
use crate::config::channel::webhook::{Method, Webhook, headers_of, signing_key, split_header};
use crate::runtime::credential::Credential;

struct Hook {
    section: Webhook,
    url: Credential,
    headers: Credential,
    secret: Credential,
}

/// See the module.
pub(super) fn make(section: &Webhook, surroundings: &Surroundings) -> Made {
    let url = section.url.as_ref().map(Secret::new);
    let variables = &surroundings.environment;
    let hook = Hook {
        url: Credential::of(url.as_ref(), section.url_file.as_deref(), section.url_env.as_deref(), variables),
        headers: credential!(section, secret_headers, secret_headers_file, secret_headers_env, surroundings),
        secret: credential!(section, secret, secret_file, secret_env, surroundings),
        section: section.clone(),
    };
    Made {
        address: origin(section.url.as_deref().unwrap_or_default()),
        channel: WebChannel::boxed(hook, &section.common(), section.tls_ca_file.clone(), surroundings),
    }
}

impl Preset for Hook {
    fn kind(&self) -> &'static str {
        Webhook::KIND
    }

    fn credentials(&self) -> Vec<&Credential> {
        vec![&self.url, &self.headers, &self.secret]
    }

    fn is_secret(&self, credential: usize) -> bool {
        credential > 0 || self.section.url.is_none()
    }

    fn drafts(&self, told: &Told<'_>) -> Result<Vec<Draft>, String> {
        let (url, headers, secret) = (told.secret(0), told.secret(1), told.secret(2));
        let body = match &told.body {
            Some(text) => text.clone().into_bytes(),
            None => serde_json::to_vec(&told.message).map_err(|error| error.to_string())?,
        };
        let method = match self.section.method {
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
        };
        let id = header_text(&told.message.id);
        let seconds = (told.now.millis() / 1000).to_string();
        let mut draft = Draft::new(method, url.expose())
            .header("content-type", &self.section.content_type)
            .header("webhook-id", &id)
            .header("webhook-timestamp", &seconds);
        if self.section.url.is_none() {
            draft = draft.with_secret_url();
        }
        if !secret.is_empty() {
            let key = signing_key(&secret).ok_or("the secret is not the Base64 of a key after `whsec_`")?;
            draft = draft.header("webhook-signature", &signature(&key, &id, &seconds, &body));
        }
        for (name, value) in self.section.headers.iter().filter_map(|header| split_header(header)) {
            draft = draft.header(name, value);
        }
        for header in headers_of(headers.expose()) {
            let (name, value) = header.ok_or("a line of `secret_headers` is no header")?;
            draft = draft.secret_header(name, Secret::new(value));
        }
        Ok(vec![draft.body(body)])
    }
}

/// What can stand in a header and in the text that is signed.
fn header_text(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect()
}

fn signature(key: &[u8], id: &str, seconds: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by the `hmac` of Python.
    #[test]
    fn the_signature_is_that_of_the_standard() {
        let key = signing_key(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(signing_key(&Secret::new("plain")).unwrap(), b"plain");
        assert!(signing_key(&Secret::new("whsec_*")).is_none());
    }
}
