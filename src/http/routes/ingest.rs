//! `POST /api/v1/ingest/openmetrics`: samples of the past into the ring.
//!
//! The text is read as it arrives and handed to the store a few thousand samples
//! at a time, so a file of any length needs the memory of one such part. Each part
//! is durable before the next is read, and the first brings the audit row of the
//! request. So an error in line N leaves what stood before its part in place, and
//! says so.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use serde::Serialize;

use crate::http::auth::{Access, MonitoringWrite};
use crate::http::error::Problem;
use crate::http::extract::{BODY_PAUSE, too_large, too_slow};
use crate::http::registry::{Registry, routes};
use crate::http::state::AppState;
use crate::logic::openmetrics::read::{ReadError, Reader};
use crate::model::access::AuditEntry;
use crate::store::ImportSample;

const BODY_LIMIT: usize = 64 * 1024 * 1024;
const LINE_LIMIT: usize = 64 * 1024;
/// Samples given to the store at once; each part rewrites the hours it falls into,
/// so fewer are cheaper.
const PART: usize = 20_000;
/// Memory that the samples of a part may take, bytes: long labels make short parts.
const PART_BYTES: usize = 6 * 1024 * 1024;

pub fn routes<R: Registry>(registry: R) -> R {
    registry.routes(routes!(openmetrics))
}

/// What became of the samples.
#[derive(Clone, Copy, Debug, Default, Serialize, utoipa::ToSchema)]
struct Ingested {
    accepted: u64,
    /// Older than the retention, or in the future.
    out_of_range: u64,
    /// There was a sample of that series at that time or later already.
    duplicate: u64,
    /// The limit on series was reached.
    refused: u64,
}

/// Takes OpenMetrics or Prometheus text whose samples have times, 64 MiB at most.
#[utoipa::path(
    post, path = "/api/v1/ingest/openmetrics", tag = "ingest",
    request_body(content = String, content_type = "application/openmetrics-text"),
    security(("token" = ["monitoring:write"]), ("key" = ["monitoring:write"])),
    responses((status = 200, body = Ingested))
)]
async fn openmetrics(
    access: Access<MonitoringWrite>,
    State(app): State<AppState>,
    body: Body,
) -> Result<Json<Ingested>, Problem> {
    let mut import = Import {
        app,
        who: access.principal.who,
        reader: Reader::new(),
        part: Vec::new(),
        part_bytes: 0,
        part_starts_at: 1,
        audited: false,
        total: Ingested::default(),
    };
    // Who says beforehand that it is too much is told before anything is taken.
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(too_large(BODY_LIMIT));
    }
    let mut body = http_body_util::Limited::new(body, BODY_LIMIT);
    // The end of the last chunk, up to its last line feed.
    let mut partial: Vec<u8> = Vec::new();
    loop {
        let frame = tokio::time::timeout(BODY_PAUSE, body.frame()).await.map_err(|_| too_slow())?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                return too_large(BODY_LIMIT).hint(import.so_far());
            }
            Problem::new(StatusCode::BAD_REQUEST, "body_ended", "the connection ended inside the body")
        })?;
        let Ok(chunk) = frame.into_data() else { continue };
        let mut rest: &[u8] = &chunk;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            partial.extend_from_slice(&rest[..end]);
            import.line(&partial)?;
            partial.clear();
            rest = &rest[end + 1..];
            if import.part.len() >= PART || import.part_bytes >= PART_BYTES {
                import.flush(false).await?;
            }
        }
        partial.extend_from_slice(rest);
        if partial.len() > LINE_LIMIT {
            import.line(&partial)?;
        }
    }
    if !partial.is_empty() {
        import.line(&partial)?;
    }
    import.flush(true).await?;
    if import.reader.lines() == 0 {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_exposition", "the body is empty"));
    }
    Ok(Json(import.total))
}

struct Import {
    app: AppState,
    who: String,
    reader: Reader,
    part: Vec<ImportSample>,
    /// About what `part` takes.
    part_bytes: usize,
    /// First line of the part.
    part_starts_at: u64,
    /// Whether the request is on record.
    audited: bool,
    total: Ingested,
}

impl Import {
    fn line(&mut self, line: &[u8]) -> Result<(), Problem> {
        if line.len() > LINE_LIMIT {
            let message = format!("the line is longer than {LINE_LIMIT} bytes");
            return Err(self.bad(ReadError { line: self.reader.lines() + 1, message }));
        }
        let Ok(text) = std::str::from_utf8(line) else {
            let message = String::from("the line is not UTF-8");
            return Err(self.bad(ReadError { line: self.reader.lines() + 1, message }));
        };
        let sample = self.reader.line(text).map_err(|error| self.bad(error))?;
        let Some(sample) = sample else { return Ok(()) };
        let Some(at) = sample.at else {
            let message = String::from("the sample has no time; what is imported needs one");
            return Err(self.bad(ReadError { line: self.reader.lines(), message }));
        };
        let sample = ImportSample {
            key: sample.key,
            family: sample.family.name.clone(),
            kind: sample.family.kind,
            help: sample.family.help.clone(),
            at,
            value: sample.value,
        };
        self.part_bytes +=
            size_of::<ImportSample>() + sample.key.len() + sample.family.len() + sample.help.len();
        self.part.push(sample);
        Ok(())
    }

    /// Makes the part durable; `last` when the request has no more.
    async fn flush(&mut self, last: bool) -> Result<(), Problem> {
        self.part_bytes = 0;
        let samples = std::mem::take(&mut self.part);
        if samples.is_empty() {
            return Ok(());
        }
        let line = self.reader.lines();
        let more = if last { "" } else { ", and the lines after them" };
        let audit = (!self.audited).then(|| AuditEntry {
            at: self.app.now(),
            who: self.who.clone(),
            action: String::from("import"),
            object: String::from("openmetrics"),
            detail: format!("lines {} to {line}: {} samples{more}", self.part_starts_at, samples.len()),
        });
        self.part_starts_at = line + 1;
        let report = self.app.store()?.import(samples, audit).await?;
        self.audited = true;
        self.total.accepted += report.accepted;
        self.total.out_of_range += report.out_of_range;
        self.total.duplicate += report.duplicate;
        self.total.refused += report.refused;
        Ok(())
    }

    /// 400 with the line, and with how much was taken before it.
    fn bad(&self, error: ReadError) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad_exposition", error.to_string())
            .field(format!("line {}", error.line), error.message)
            .hint(self.so_far())
    }

    fn so_far(&self) -> String {
        format!("{} samples of lines before {} were taken", self.total.accepted, self.part_starts_at)
    }
}
