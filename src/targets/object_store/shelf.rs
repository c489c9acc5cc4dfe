//! A bucket as a shelf: whole files under one prefix, put there, listed, fetched, removed.
//!
//! ```text
//! a file of one part:  PUT
//! a larger one:        POST ?uploads, PUT ?partNumber of each part, POST the list of parts
//! ```
//! One part is in memory at a time. What fails half way is aborted, so that the parts do not
//! stay and cost; what a crash left is found by [`BucketShelf::abort_leftovers`]. Every
//! request has a deadline of its own, because a file may be of any size. One would get it
//! wrong by taking 200 for success at the end of an upload: the answer begins before the
//! server is done, and may hold an error.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::outcome::{self, elements, text_of};
use super::request::Bucket;
use crate::base::secret::Secret;
use crate::config::target::object_store::ObjectStore;
use crate::runtime::credential::Credential;
use crate::runtime::http_client::{Answer, HttpClient};
use crate::runtime::network_failure::NetworkFailure;
use crate::runtime::supervisor::{Phase, Supervisor};
use crate::targets::outcome::Outcome;

/// Bytes that are sent or fetched by one request.
pub const PART: usize = 8 << 20;
/// Parts of one file, a limit of S3: 80 GiB.
const MOST_PARTS: u32 = 10_000;
/// For one part: some 70 KiB/s.
const PART_DEADLINE: Duration = Duration::from_secs(120);
/// For a request that carries nothing.
const DEADLINE: Duration = Duration::from_secs(30);
/// Tries of one part: a connection that was kept may have died.
const TRIES: u32 = 2;
/// Keys of one page of a listing, and pages.
const LISTED: usize = 1000;
const MOST_PAGES: usize = 10;
/// Answers larger than this are cut off, bytes.
const MOST_BODY: usize = 1 << 20;
/// Leftovers aborted at once.
const MOST_LEFTOVERS: usize = 100;

/// What could not be done, where, and why.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what} in the object store {place} failed: {}{}{}", .outcome.code, separator(.outcome), .outcome.detail)]
pub struct BucketError {
    pub what: String,
    /// Endpoint and bucket.
    pub place: String,
    pub outcome: Outcome,
}

const fn separator(outcome: &Outcome) -> &'static str {
    if outcome.code.is_empty() || outcome.detail.is_empty() { "" } else { ": " }
}

/// An object of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// Without the prefix.
    pub name: String,
    pub bytes: u64,
    pub etag: String,
}

/// See the module. Made anew for each task: the key and the authorities are those of now.
pub struct BucketShelf {
    bucket: Bucket,
    secret: Secret,
    client: HttpClient,
    prefix: String,
}

impl BucketShelf {
    /// The bucket of `section` below `prefix`.
    ///
    /// # Errors
    /// The key or the authorities cannot be read.
    pub async fn open(
        section: &ObjectStore,
        prefix: String,
        environment: &BTreeMap<String, Secret>,
        supervisor: &Supervisor,
        deadline: Instant,
    ) -> Result<Self, BucketError> {
        let bucket = Bucket::of(section);
        let refused = |code: &str, reason: String| BucketError {
            what: String::from("a request"),
            place: place_of(&bucket),
            outcome: Outcome::configuration(code, reason),
        };
        let secret = Credential::of(
            section.secret_access_key.as_ref(),
            section.secret_access_key_file.as_deref(),
            section.secret_access_key_env.as_deref(),
            environment,
        );
        let secret = secret.read(deadline).await;
        let secret = secret.map_err(|error| refused("secret_access_key", error.to_string()))?;
        let (endpoint, file) = (bucket.endpoint.clone(), section.tls_ca_file.clone());
        let trust = Supervisor::blocking(move || super::trust(&endpoint, file.as_deref())).await;
        let trust =
            trust.ok_or_else(|| refused("tls_ca_file", String::from("the certificates are not read")))?;
        let trust = trust.map_err(|error| refused("tls_ca_file", error.to_string()))?;
        let client = HttpClient::new(supervisor, Phase::Engine, trust);
        Ok(Self { bucket, secret: secret.unwrap_or_default(), client, prefix })
    }

    /// Endpoint, bucket and prefix, for people.
    pub fn address(&self) -> String {
        format!("{}/{}", place_of(&self.bucket), self.prefix)
    }

    fn failed(&self, what: impl Into<String>, outcome: Outcome) -> BucketError {
        BucketError { what: what.into(), place: place_of(&self.bucket), outcome }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Bytes,
        limit: usize,
        deadline: Instant,
    ) -> Result<Answer, Outcome> {
        self.call_for(None, method, path, query, body, limit, deadline).await
    }

    #[expect(clippy::too_many_arguments, reason = "it is what makes a request")]
    async fn call_for(
        &self,
        range: Option<HeaderValue>,
        method: Method,
        path: &str,
        query: &str,
        body: Bytes,
        limit: usize,
        deadline: Instant,
    ) -> Result<Answer, Outcome> {
        let request = self.bucket.request(&self.secret, method, path, query, body).await;
        let mut request = request.map_err(|error| Outcome::configuration("request", error.to_string()))?;
        if let Some(range) = range {
            request.headers_mut().insert(header::RANGE, range);
        }
        let sent = self.client.send(request, limit, deadline).await;
        sent.map_err(|error| outcome::of_error(&error))
    }

    /// Puts a small object.
    ///
    /// # Errors
    /// It is not there, or it is not known whether it is.
    pub async fn put(&self, name: &str, body: Bytes) -> Result<(), BucketError> {
        let key = format!("{}{name}", self.prefix);
        let mut tried = 0;
        loop {
            tried += 1;
            let deadline = Instant::now() + PART_DEADLINE;
            let done = self.call(Method::PUT, &key, "", body.clone(), MOST_BODY, deadline).await;
            match done.and_then(|answer| succeeded(answer, StatusCode::OK)) {
                Ok(_) => return Ok(()),
                Err(outcome) if outcome.is_unreached() && tried < TRIES => {}
                Err(outcome) => return Err(self.failed(format!("PUT of {key}"), outcome)),
            }
        }
    }

    /// Puts the file at `path`, in parts where it is larger than one.
    ///
    /// # Errors
    /// The file cannot be read, or the object is not there; then no part of it is left, as
    /// far as the server can be reached.
    pub async fn put_file(&self, name: &str, path: &Path) -> Result<(), BucketError> {
        let unreadable = |error: std::io::Error| {
            let reason = format!("{}: {error}", path.display());
            self.failed(format!("upload of {name}"), Outcome::configuration("file", reason))
        };
        let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let first = read_part(&mut file).await.map_err(unreadable)?;
        if first.len() < PART {
            return self.put(name, first).await;
        }
        let key = format!("{}{name}", self.prefix);
        let upload = self.begin_upload(&key).await?;
        let mut sent = self.put_parts(&key, &upload, first, &mut file).await;
        if let Ok(parts) = &sent {
            sent = self.complete(&key, &upload, parts).await.map(|()| Vec::new());
        }
        if sent.is_err() {
            self.abort(&key, &upload).await;
        }
        sent.map(drop)
    }

    async fn begin_upload(&self, key: &str) -> Result<String, BucketError> {
        let deadline = Instant::now() + DEADLINE;
        let begun = self.call(Method::POST, key, "uploads=", Bytes::new(), MOST_BODY, deadline).await;
        let begun = begun.and_then(|answer| succeeded(answer, StatusCode::OK)).and_then(|answer| {
            let document = String::from_utf8_lossy(&answer.body);
            let id = text_of(&document, "UploadId").filter(|id| !id.is_empty());
            id.map(escaped).ok_or_else(|| protocol("the answer names no upload"))
        });
        begun.map_err(|outcome| self.failed(format!("beginning the upload of {key}"), outcome))
    }

    /// Sends part after part; returns their tags.
    async fn put_parts(
        &self,
        key: &str,
        upload: &str,
        first: Bytes,
        file: &mut tokio::fs::File,
    ) -> Result<Vec<String>, BucketError> {
        let (mut part, mut tags) = (first, Vec::new());
        for number in 1..=MOST_PARTS {
            let what = || format!("upload of part {number} of {key}");
            tags.push(
                self.put_part(key, upload, number, &part)
                    .await
                    .map_err(|outcome| self.failed(what(), outcome))?,
            );
            if part.len() < PART {
                return Ok(tags);
            }
            let next = read_part(file).await;
            let next = next.map_err(|error| Outcome::configuration("file", error.to_string()));
            part = next.map_err(|outcome| self.failed(what(), outcome))?;
            if part.is_empty() {
                return Ok(tags);
            }
        }
        let reason = format!("it has more than {MOST_PARTS} parts");
        Err(self.failed(format!("upload of {key}"), Outcome::configuration("too_large", reason)))
    }

    async fn put_part(&self, key: &str, upload: &str, number: u32, part: &Bytes) -> Result<String, Outcome> {
        let query = format!("partNumber={number}&uploadId={upload}");
        let mut tried = 0;
        loop {
            tried += 1;
            let deadline = Instant::now() + PART_DEADLINE;
            let sent = self.call(Method::PUT, key, &query, part.clone(), MOST_BODY, deadline).await;
            match sent.and_then(|answer| succeeded(answer, StatusCode::OK)) {
                Ok(answer) => {
                    let tag = answer.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
                    return tag
                        .map(str::to_owned)
                        .ok_or_else(|| protocol("the answer to a part has no ETag"));
                }
                Err(outcome) if outcome.is_unreached() && tried < TRIES => {}
                Err(outcome) => return Err(outcome),
            }
        }
    }

    async fn complete(&self, key: &str, upload: &str, tags: &[String]) -> Result<(), BucketError> {
        let mut list = String::from("<CompleteMultipartUpload>");
        for (number, tag) in (1..).zip(tags) {
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            list.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"));
        }
        list.push_str("</CompleteMultipartUpload>");
        let (query, deadline) = (format!("uploadId={upload}"), Instant::now() + PART_DEADLINE);
        let done = self.call(Method::POST, key, &query, Bytes::from(list), MOST_BODY, deadline).await;
        let done = done.and_then(|answer| succeeded(answer, StatusCode::OK)).and_then(|answer| {
            let document = String::from_utf8_lossy(&answer.body);
            if document.contains("<CompleteMultipartUploadResult") {
                Ok(())
            } else {
                Err(outcome::of_answer(&answer, true))
            }
        });
        done.map_err(|outcome| self.failed(format!("ending the upload of {key}"), outcome))
    }

    async fn abort(&self, key: &str, upload: &str) {
        let (query, deadline) = (format!("uploadId={upload}"), Instant::now() + DEADLINE);
        match self.call(Method::DELETE, key, &query, Bytes::new(), MOST_BODY, deadline).await {
            Ok(answer) if answer.status.is_success() || answer.status == StatusCode::NOT_FOUND => {}
            Ok(answer) => {
                let outcome = outcome::of_answer(&answer, true);
                tracing::warn!(key, reason = outcome.code, "parts of an upload are left in the bucket");
            }
            Err(outcome) => {
                tracing::warn!(key, reason = outcome.code, "parts of an upload may be left in the bucket")
            }
        }
    }

    /// Aborts uploads of names that `is_ours` which never ended. Not while one is under way.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn abort_leftovers(&self, is_ours: impl Fn(&str) -> bool) -> Result<(), BucketError> {
        let query = format!("max-uploads={MOST_LEFTOVERS}&prefix={}&uploads=", escaped(&self.prefix));
        let deadline = Instant::now() + DEADLINE;
        let listed = self.call(Method::GET, "", &query, Bytes::new(), MOST_BODY, deadline).await;
        let listed = listed.and_then(|answer| succeeded(answer, StatusCode::OK));
        let answer = listed.map_err(|outcome| self.failed("a listing of uploads", outcome))?;
        let document = String::from_utf8_lossy(&answer.body);
        for upload in elements(&document, "Upload").take(MOST_LEFTOVERS) {
            let (Some(key), Some(id)) = (text_of(upload, "Key"), text_of(upload, "UploadId")) else {
                continue;
            };
            if key.strip_prefix(&self.prefix).is_some_and(&is_ours) {
                self.abort(key, &escaped(id)).await;
            }
        }
        Ok(())
    }

    /// Everything below the prefix, ten thousand objects at most.
    ///
    /// # Errors
    /// It cannot be listed before `deadline`.
    pub async fn list(&self, deadline: Instant) -> Result<Vec<Object>, BucketError> {
        let (mut found, mut token) = (Vec::new(), String::new());
        for _ in 0..MOST_PAGES {
            let query = format!("{token}list-type=2&max-keys={LISTED}&prefix={}", escaped(&self.prefix));
            let answer = self.call(Method::GET, "", &query, Bytes::new(), MOST_BODY, deadline).await;
            let answer = answer.and_then(|answer| succeeded(answer, StatusCode::OK));
            let answer = answer.map_err(|outcome| self.failed("a listing", outcome))?;
            let document = String::from_utf8_lossy(&answer.body);
            if !document.contains("<ListBucketResult") {
                return Err(self.failed("a listing", protocol("the answer is not a listing")));
            }
            found.extend(elements(&document, "Contents").take(LISTED).filter_map(|entry| {
                Some(Object {
                    name: text_of(entry, "Key")?.strip_prefix(&self.prefix)?.to_owned(),
                    bytes: text_of(entry, "Size")?.parse().ok()?,
                    etag: text_of(entry, "ETag").unwrap_or_default().to_owned(),
                })
            }));
            let more = text_of(&document, "IsTruncated") == Some("true");
            let Some(next) = text_of(&document, "NextContinuationToken").filter(|_| more) else { break };
            token = format!("continuation-token={}&", escaped(next));
        }
        Ok(found)
    }

    /// A small object; `None` where there is none.
    ///
    /// # Errors
    /// It is not known, or it has more than `limit` bytes.
    pub async fn get(
        &self,
        name: &str,
        limit: usize,
        deadline: Instant,
    ) -> Result<Option<Bytes>, BucketError> {
        let key = format!("{}{name}", self.prefix);
        let answer = self.call(Method::GET, &key, "", Bytes::new(), limit, deadline).await;
        let answer = match answer {
            Ok(answer) if answer.status == StatusCode::NOT_FOUND && is_no_key(&answer) => return Ok(None),
            answer => answer.and_then(|answer| succeeded(answer, StatusCode::OK)),
        };
        answer
            .map(|answer| Some(answer.body))
            .map_err(|outcome| self.failed(format!("GET of {key}"), outcome))
    }

    /// `length` bytes of an object from `from` on, [`PART`] at most.
    ///
    /// # Errors
    /// They cannot be had, or fewer came.
    pub async fn get_part(&self, name: &str, from: u64, length: usize) -> Result<Bytes, BucketError> {
        let key = format!("{}{name}", self.prefix);
        let range = HeaderValue::from_str(&format!("bytes={from}-{}", from + length as u64 - 1)).ok();
        let mut tried = 0;
        loop {
            tried += 1;
            let deadline = Instant::now() + PART_DEADLINE;
            let body = Bytes::new();
            let answer = self
                .call_for(range.clone(), Method::GET, &key, "", body, PART.max(MOST_BODY), deadline)
                .await;
            let part = answer.and_then(|answer| {
                if answer.status == StatusCode::PARTIAL_CONTENT && answer.body.len() == length {
                    return Ok(answer.body);
                }
                if answer.status.is_success() {
                    let reason = format!("{} bytes came, {length} were asked for", answer.body.len());
                    return Err(protocol(&reason));
                }
                Err(outcome::of_answer(&answer, true))
            });
            match part {
                Ok(part) => return Ok(part),
                Err(outcome) if outcome.is_unreached() && tried < TRIES => {}
                Err(outcome) => return Err(self.failed(format!("GET of {key} from byte {from}"), outcome)),
            }
        }
    }

    /// Removes an object; one that is not there is removed, too.
    ///
    /// # Errors
    /// It may still be there.
    pub async fn delete(&self, name: &str) -> Result<(), BucketError> {
        let (key, deadline) = (format!("{}{name}", self.prefix), Instant::now() + DEADLINE);
        let answer = self.call(Method::DELETE, &key, "", Bytes::new(), MOST_BODY, deadline).await;
        let done = answer.and_then(|answer| {
            let gone =
                answer.status.is_success() || answer.status == StatusCode::NOT_FOUND && is_no_key(&answer);
            if gone { Ok(()) } else { Err(outcome::of_answer(&answer, true)) }
        });
        done.map_err(|outcome| self.failed(format!("DELETE of {key}"), outcome))
    }
}

fn place_of(bucket: &Bucket) -> String {
    format!("{}/{}", bucket.endpoint, bucket.name)
}

/// What answers does not speak S3.
fn protocol(detail: &str) -> Outcome {
    Outcome::network(NetworkFailure::Protocol, detail)
}

fn succeeded(answer: Answer, wanted: StatusCode) -> Result<Answer, Outcome> {
    if answer.status == wanted { Ok(answer) } else { Err(outcome::of_answer(&answer, true)) }
}

/// A bucket that does not exist is no empty shelf.
fn is_no_key(answer: &Answer) -> bool {
    text_of(&String::from_utf8_lossy(&answer.body), "Code") == Some("NoSuchKey")
}

/// The next part, shorter than [`PART`] only at the end of the file.
async fn read_part(file: &mut tokio::fs::File) -> std::io::Result<Bytes> {
    let mut part = Vec::with_capacity(PART);
    file.take(PART as u64).read_to_end(&mut part).await?;
    Ok(Bytes::from(part))
}

/// As it stands in a query.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_what_and_where() {
        let error = BucketError {
            what: String::from("PUT of a/b"),
            place: String::from("http://127.0.0.1:3900/b"),
            outcome: Outcome::configuration("AccessDenied", "HTTP 403"),
        };
        let text = "PUT of a/b in the object store http://127.0.0.1:3900/b failed: AccessDenied: HTTP 403";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn what_stands_in_a_query_is_escaped() {
        assert_eq!(escaped("holdfast/a b&c=d+~"), "holdfast%2Fa%20b%26c%3Dd%2B~");
    }
}
