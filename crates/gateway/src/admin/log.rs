//! The log, cared for: verified, redacted, exported, imported, backed up.

use std::{io, path::PathBuf, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, header};
use nexus_core::{
    event::Seq,
    json,
    limits::JSON_DEPTH,
    problem::{Code, Problem},
    sign::hex,
};
use nexus_engine::{
    Hub,
    log::{ExportLine, RedactRequest, VerifyRequest},
};
use ring::rand::SecureRandom;
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::one;
use crate::{
    answer::{Answer, Body, render},
    call::{Call, media_type, typed, unsupported},
    error::malformed,
};

/// Bytes of one import; a larger file is sent in parts.
const IMPORT_BYTES: usize = 32 << 20;
/// Events read at once for an export.
const EXPORT_PAGE: usize = 1_000;
/// Bytes of a backup sent at once.
const CHUNK: usize = 64 << 10;

/// `GET /api/v1/log`.
pub(crate) async fn head(call: Call) -> Result<Answer, Problem> {
    let head = call.hub().log().head();
    Answer::data(&json!({
        "epoch": head.epoch, "seq": head.seq, "first": head.first,
        "hash": hex(&head.hash), "time": head.time.to_string(),
    }))
}

/// `POST /api/v1/log/verify`.
pub(crate) async fn verify(mut call: Call) -> Result<Answer, Problem> {
    let request: VerifyRequest = call.json().await?;
    one(&call.hub().log().verify(&request).await?)
}

/// `GET /api/v1/log/checkpoint`; its time stays a number, as the signature covers it.
pub(crate) async fn checkpoint(call: Call) -> Result<Answer, Problem> {
    Answer::data(&call.hub().log().checkpoint())
}

/// `POST /api/v1/log/redact`.
pub(crate) async fn redact(mut call: Call) -> Result<Answer, Problem> {
    let request: RedactRequest = call.json().await?;
    Answer::data(&call.hub().log().redact(request, call.principal()?).await?)
}

/// `GET /api/v1/log/export`: JSON lines up to the head at the time of the call, read as the client takes them.
pub(crate) async fn export(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    let after: Seq = query.read("after")?.unwrap_or(0);
    let left: usize = query.read("limit")?.unwrap_or(usize::MAX);
    let until = call.hub().log().head().seq;
    let state = (call.hub().clone(), after, left);
    let chunks = futures_util::stream::try_unfold(state, move |(hub, after, left)| async move {
        let (chunk, last, count) = lines(&hub, after, left.min(EXPORT_PAGE), until).await.map_err(io::Error::other)?;
        Ok::<_, io::Error>((count > 0).then_some((chunk, (hub, last, left - count))))
    });
    Ok(Answer::raw("application/x-ndjson", Body::chunks(Box::pin(chunks))))
}

async fn lines(hub: &Hub, after: Seq, limit: usize, until: Seq) -> Result<(Bytes, Seq, usize), Problem> {
    let mut text = BytesMut::new();
    let (mut last, mut count) = (after, 0);
    if limit > 0 && after < until {
        for line in hub.log().export(after, limit).await?.iter().filter(|line| line.seq <= until) {
            text.extend_from_slice(render(line)?.as_bytes());
            text.extend_from_slice(b"\n");
            (last, count) = (line.seq, count + 1);
        }
    }
    Ok((text.freeze(), last, count))
}

/// `POST /api/v1/log/import`.
pub(crate) async fn import(mut call: Call) -> Result<Answer, Problem> {
    let media = media_type(&call.parts.headers);
    if !matches!(media.as_deref(), Some("application/x-ndjson" | "application/jsonl" | "application/ndjson")) {
        return Err(unsupported(media.as_deref(), "application/x-ndjson"));
    }
    let body = call.bytes(IMPORT_BYTES).await?;
    let mut lines: Vec<ExportLine> = Vec::new();
    for (n, line) in body.split(|b| *b == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let at = |problem: Problem| malformed(format!("line {}: {}", n + 1, problem.message));
        json::check(line, JSON_DEPTH).map_err(|error| at(error.into()))?;
        lines.push(typed(line).map_err(at)?);
    }
    one(&call.hub().log().import(lines, call.principal()?).await?)
}

/// `POST /api/v1/backup`: written beside, then sent; the copy is gone when it is sent or given up.
pub(crate) async fn backup(call: Call) -> Result<Answer, Problem> {
    let failed = |error: io::Error| {
        tracing::error!(%error, "a backup could not be written");
        Problem::new(Code::Internal, "the backup could not be written; the log of the hub says why")
    };
    let mut name = [0u8; 16];
    let random = ring::rand::SystemRandom::new();
    random.fill(&mut name).map_err(|_| Problem::new(Code::Internal, "the system gave no randomness"))?;
    let copy = Arc::new(Copy(call.gate.config.scratch.join(format!("nexus-backup-{}", hex(&name)))));
    call.hub().log().backup(&copy.0, call.principal()?).await?;
    let file = tokio::fs::File::open(&copy.0).await.map_err(failed)?;
    let length = file.metadata().await.map_err(failed)?.len();
    let chunks = futures_util::stream::try_unfold((file, copy), |(mut file, copy)| async move {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let read = file.read_buf(&mut chunk).await?;
        Ok::<_, io::Error>((read > 0).then(|| (chunk.freeze(), (file, copy))))
    });
    let answer = Answer::raw("application/octet-stream", Body::chunks(Box::pin(chunks)));
    let answer = answer.header(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(answer.header(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"nexus-backup.db\"")))
}

/// A file that goes with its last user.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = std::fs::remove_file(&self.0);
    }
}
