//! Reading the log from its first event to its last: through the store with every event decoded, through the export
//! that a person would use, and as bare rows of the same file.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use nexus_core::{
    store::{Limit, SeqRange, Store},
    time::{Clock, Pending, Timestamp},
};
use nexus_store::{SqliteOptions, SqliteStore};

use super::{Settings, footprint::last_seq};
use crate::{
    error::{Doing, Error, Fallible},
    http::{Connection, Http},
    hub::Hub,
    load::Tally,
    meter::Meter,
    progress,
    report::{Report, Sample, Series, Verdict},
};

/// Events of one page.
const PAGE: usize = 1_000;

/// How long the log is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Events in the log.
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    pub(crate) events: u64,
}

/// Runs it.
pub(crate) async fn run(settings: &Settings, options: &Options) -> Fallible<Report> {
    let folder = settings.folder()?;
    let nexus = settings.nexus()?;
    let data = folder.path().join("hub");
    let hub = Hub::fresh(&nexus, &data).await?;
    progress(format_args!("filling a log with {} events", options.events));
    hub.fill(options.events).await?;
    // One process at a time may have the folder.
    hub.server.stop().await?;

    let mut decoded = Series::new("store, events decoded, one process");
    let mut bare = Series::new("bare SQLite, the same rows undecoded");
    let clock = Arc::new(RealTime(Instant::now()));
    let store = SqliteStore::open(&data, &[], clock, SqliteOptions::default()).doing("opening the store")?;
    for round in 1..=settings.rounds {
        progress(format_args!("round {round} of {}: store, bare rows", settings.rounds));
        decoded.push(read_store(&store, options.events).await?);
        bare.push(read_rows(store.path(), options.events)?);
    }
    store.close().await;
    drop(store);

    let hub = Hub::start(&nexus, &data).await?;
    let mut export = Series::new("hub, HTTP export in pages of 1,000");
    for round in 1..=settings.rounds {
        progress(format_args!("round {round} of {}: export", settings.rounds));
        export.push(read_export(&hub, options.events).await?);
    }
    hub.server.stop().await?;

    let mut report = Report::new(format!("replay: {} events read from first to last", options.events), "events");
    report.verdict(Verdict::at_least("out of the store, events/s, at least 700,000", decoded.rate(), 700_000.0));
    report.note("Store and bare rows are read in the bench's own process, so the server columns are the bench's.");
    report.series([decoded, bare, export]);
    Ok(report)
}

/// Reads pages until there is none, and counts.
async fn read_store(store: &SqliteStore, events: u64) -> Fallible<Sample> {
    let (meter, started) = (Meter::start(&[std::process::id()]), Instant::now());
    let (mut after, mut read, mut bytes) = (0, 0, 0);
    loop {
        let range = SeqRange { after, ..SeqRange::default() };
        let page = store.read(range, Limit::items(PAGE)).await.doing("reading the store")?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        read += page.len() as u64;
        bytes += page.iter().map(|event| event.json().len()).sum::<usize>();
    }
    sample(read, bytes, events, meter, started)
}

/// The same pages with nothing made of them: what SQLite itself takes.
fn read_rows(file: &Path, events: u64) -> Fallible<Sample> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(file, flags).doing("opening the file")?;
    let mut statement =
        database.prepare("SELECT * FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2").doing("asking for the rows")?;
    let columns = statement.column_count();
    let seq = statement.column_index("seq").doing("looking for the seq")?;
    let (meter, started) = (Meter::start(&[std::process::id()]), Instant::now());
    let (mut after, mut read, mut bytes) = (0_i64, 0, 0);
    loop {
        let before = read;
        let mut rows = statement.query((after, PAGE as i64)).doing("reading rows")?;
        while let Some(row) = rows.next().doing("reading rows")? {
            for column in 0..columns {
                bytes += match row.get_ref(column).doing("reading a column")? {
                    rusqlite::types::ValueRef::Text(text) | rusqlite::types::ValueRef::Blob(text) => text.len(),
                    _ => 8,
                };
            }
            after = row.get(seq).doing("reading the seq")?;
            read += 1;
        }
        if read == before {
            break;
        }
    }
    sample(read, bytes, events, meter, started)
}

async fn read_export(hub: &Hub, events: u64) -> Fallible<Sample> {
    let mut connection = Connection::open(hub.server.addr).await?;
    let (meter, started) = (Meter::start(&[hub.server.pid]), Instant::now());
    let (mut after, mut read, mut bytes) = (0, 0, 0);
    loop {
        let request = hub.request("GET", &format!("/api/v1/log/export?after={after}&limit={PAGE}"), None);
        let answer = connection.exchange(request.as_bytes(), &Http).await?;
        let page = connection.body(&answer);
        if answer.status >= 300 {
            return Err(Error::new(format!("the export was answered {}", answer.status)));
        }
        let Some(last) = last_seq(&page) else { break };
        read += page.iter().filter(|b| **b == b'\n').count() as u64;
        bytes += page.len();
        after = last;
    }
    sample(read, bytes, events, meter, started)
}

/// Checks that everything was there: a reader that skips is fast.
fn sample(read: u64, bytes: usize, events: u64, meter: Meter, started: Instant) -> Fallible<Sample> {
    let seconds = started.elapsed().as_secs_f64();
    if read < events || bytes < read as usize * 100 {
        return Err(Error::new(format!("{read} of {events} events were read, {bytes} bytes")));
    }
    Ok(Sample::new(&Tally { events: read, seconds, ..Tally::default() }, meter.stop()))
}

/// The machine's clock.
struct RealTime(Instant);

impl Clock for RealTime {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn mono(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, by: Duration) -> Pending<()> {
        Box::pin(tokio::time::sleep(by))
    }
}
