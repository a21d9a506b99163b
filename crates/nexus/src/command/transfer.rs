//! `nexus export` and `nexus import`: the log as a file of JSON lines, in steps that can be taken up again.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::Value;

use crate::{
    cli::Global,
    output::{Failure, text},
    progress,
};

/// Events of one step of an export.
const EXPORT_EVENTS: usize = 1_000;
/// Lines and bytes of one step of an import; below the hub's own limits for a request.
const IMPORT_LINES: usize = 500;
const IMPORT_BYTES: usize = 1 << 20;
/// Bytes at the end of a file that may hold a line cut off by an interrupted export.
const LINE_BYTES: u64 = 4 << 20;

/// `nexus export`
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file; one that exists is continued after its last line
    file: PathBuf,
    /// Begin after this seq
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
}

/// `nexus import`
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file
    file: PathBuf,
}

pub(crate) async fn export(global: &Global, args: &Export) -> Result<(), Failure> {
    let hub = global.client()?;
    let head = hub.log_head().await?.get("seq").and_then(Value::as_u64);
    let (mut file, mut after) = open_for_export(&args.file, args.after)?;
    let begin = after;
    let bar = progress::bar(head, "events", global.json);
    loop {
        bar.set_position(after);
        let lines = hub.export(after, EXPORT_EVENTS).await?;
        if lines.is_empty() {
            break;
        }
        file.write_all(&lines)?;
        after = last_seq(&lines).ok_or_else(|| Failure::failed("the hub sent an export line without a seq"))?;
        if head.is_some_and(|head| after >= head) {
            break;
        }
    }
    file.sync_all()?;
    bar.finish_and_clear();
    let done = serde_json::json!({"file": args.file, "events": after - begin, "last_seq": after});
    global.screen().either(&done, || format!("exported up to seq {after} to {}", args.file.display()))
}

/// Opens the file behind its last whole line; an export that was cut off may have left half a line.
fn open_for_export(path: &Path, after: u64) -> Result<(File, u64), Failure> {
    let wrong = |what: String| Failure::failed(format!("{}: {what}", path.display()));
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|e| wrong(e.to_string()))?;
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok((file, after));
    }
    let from = length.saturating_sub(LINE_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let Some(whole) = end.iter().rposition(|b| *b == b'\n').map(|at| at + 1) else {
        return Err(wrong("it is no export of this hub; name another file".into()));
    };
    let keep = end.get(..whole).unwrap_or_default();
    let seq = last_seq(keep).ok_or_else(|| wrong("its last line has no seq; name another file".into()))?;
    let length = from + u64::try_from(whole).unwrap_or(u64::MAX);
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length))?;
    Ok((file, seq))
}

fn last_seq(lines: &[u8]) -> Option<u64> {
    let line = lines.split(|b| *b == b'\n').rfind(|line| !line.is_empty())?;
    serde_json::from_slice::<Value>(line).ok()?.get("seq")?.as_u64()
}

pub(crate) async fn import(global: &Global, args: &Import) -> Result<(), Failure> {
    let hub = global.client()?;
    let wrong = |e: std::io::Error| Failure::failed(format!("{}: {e}", args.file.display()));
    let file = File::open(&args.file).map_err(wrong)?;
    let bar = progress::bar(file.metadata().ok().map(|m| m.len()), "bytes", global.json);
    let mut reader = BufReader::new(file);
    let (mut stored, mut repeated, mut erased) = (0, 0, 0);
    let mut epoch = None;
    loop {
        let (batch, lines) = next_lines(&mut reader).map_err(wrong)?;
        if lines == 0 {
            break;
        }
        let size = batch.len();
        let report = hub.import(batch.into()).await?;
        let count = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or(0);
        stored += count("stored");
        repeated += count("repeated");
        erased += count("erased");
        epoch = epoch.or_else(|| report.get("epoch").and_then(Value::as_u64));
        bar.inc(u64::try_from(size).unwrap_or(0));
    }
    bar.finish_and_clear();
    let done = serde_json::json!({"stored": stored, "repeated": repeated, "erased": erased, "epoch": epoch});
    global.screen().either(&done, || {
        let begun = epoch.map_or_else(String::new, |epoch| {
            format!("; the hub was empty, so its log goes on in epoch {epoch}: positions of the exported log get a gap notice")
        });
        format!(
            "imported {} events; {} were there already, {} had no data any more{begun}",
            text(&done, "stored"),
            text(&done, "repeated"),
            text(&done, "erased")
        )
    })
}

/// The next lines that make one request.
fn next_lines(reader: &mut impl BufRead) -> std::io::Result<(Vec<u8>, usize)> {
    let (mut batch, mut lines) = (Vec::new(), 0);
    while lines < IMPORT_LINES && batch.len() < IMPORT_BYTES {
        if reader.read_until(b'\n', &mut batch)? == 0 {
            break;
        }
        lines += 1;
    }
    Ok((batch, lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_export_goes_on_behind_its_last_whole_line() {
        let path = std::env::temp_dir().join(format!("nexus-export-{}", std::process::id()));
        std::fs::write(&path, "{\"seq\":1}\n{\"seq\":2}\n{\"se").expect("written");
        let (mut file, after) = open_for_export(&path, 0).expect("opens");
        assert_eq!(after, 2);
        file.write_all(b"{\"seq\":3}\n").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "{\"seq\":1}\n{\"seq\":2}\n{\"seq\":3}\n");
        std::fs::remove_file(path).expect("removed");
    }

    #[test]
    fn an_import_is_cut_at_lines() {
        let mut text = std::io::Cursor::new("{\"seq\":1}\n{\"seq\":2}");
        assert_eq!(next_lines(&mut text).expect("reads"), (b"{\"seq\":1}\n{\"seq\":2}".to_vec(), 2));
        assert_eq!(next_lines(&mut text).expect("reads").1, 0);
    }
}
