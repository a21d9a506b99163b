//! The log, queried: by time, source, type, subject, correlation; one event; the fate of one.

use std::sync::Arc;

use nexus_core::{
    event::StoredEvent,
    id::EventId,
    problem::{Code, Problem},
    store::EventQuery,
    topic::{Topic, TopicFilter},
};

use super::one;
use crate::{
    answer::Answer,
    call::Call,
    error::not_found,
    query::Query,
    stream::{Sight, alias, frame_out::record},
};

/// `GET /api/v1/events`.
pub(crate) async fn query(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    let sight = Sight::of(call.principal()?);
    let (narrowed, asked) = read(&query)?;
    let newest_first = asked.newest_first;
    let page = call.hub().query(asked, query.limit(50, 1_000)?).await?;
    let seen = |event: &StoredEvent| sight.sees(event) && narrowed.wants(event);
    let found: Vec<String> = page.events.iter().filter(|e| seen(e)).map(|e| record(e)).collect();
    let next = page.next.map(|seq| format!("{}{seq}", if newest_first { "before-" } else { "after-" }));
    Answer::listed(format!("[{}]", found.join(",")), next.as_deref())
}

/// Names of events that were asked for: exact ones, which the store knows, or filters, which are tried on what it gives.
pub(crate) struct Narrowed {
    /// Any of these exact types; empty = all.
    pub(crate) types: Vec<String>,
    filters: Vec<TopicFilter>,
}

impl Narrowed {
    /// Of names as they were written, for a query of the store.
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, Problem> {
        let filters = parse(names)?;
        // An alias is another event's second name, so it can't be asked of the store as a type.
        let exact =
            filters.iter().map(TopicFilter::exact).map(|topic| topic.filter(|t: &Topic| t.alias_of().is_none()));
        let types: Option<Vec<String>> = exact.map(|topic| topic.map(|t| t.to_string())).collect();
        Ok(match types {
            Some(types) => Self { types, filters: Vec::new() },
            None => Self { types: Vec::new(), filters },
        })
    }

    /// Of names as they were written, for events that no store has chosen.
    pub(crate) fn live<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, Problem> {
        Ok(Self { types: Vec::new(), filters: parse(names)? })
    }

    /// The filters, where no store has chosen.
    pub(crate) fn filters(&self) -> &[TopicFilter] {
        &self.filters
    }

    /// Whether an event that the store gave is one of them.
    pub(crate) fn wants(&self, event: &StoredEvent) -> bool {
        if self.filters.is_empty() {
            return true;
        }
        let name = alias(event);
        self.filters.iter().any(|f| f.name_for(event.topic.as_str(), name.as_deref()).is_some())
    }
}

fn parse<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<TopicFilter>, Problem> {
    let parse = |text| TopicFilter::parse(text).map_err(|error| Problem::field("type", format!("{text:?}: {error}")));
    names.map(parse).collect()
}

/// What is asked of the store, and what of it is wanted.
fn read(query: &Query) -> Result<(Narrowed, EventQuery), Problem> {
    let narrowed = Narrowed::of(query.list("type"))?;
    let newest_first = match query.text("order") {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(other) => return Err(Problem::field("order", format!("{other:?}: asc or desc"))),
    };
    let (mut after, mut before) = (query.read("after")?, query.read("before")?);
    if let Some(cursor) = query.text("cursor") {
        let wrong = || Problem::field("cursor", "take next_cursor of the page before, with the same order");
        let (place, seq) = cursor.split_once('-').ok_or_else(wrong)?;
        let seq = Some(seq.parse().map_err(|_| wrong())?);
        match (place, newest_first) {
            ("after", false) => after = seq,
            ("before", true) => before = seq,
            _ => return Err(wrong()),
        }
    }
    let asked = EventQuery {
        types: narrowed.types.clone(),
        source: query.text("source").map(str::to_owned),
        subject: query.text("subject").map(str::to_owned),
        correlation: query.text("correlation").map(str::to_owned),
        from: query.time("from")?,
        until: query.time("until")?,
        after,
        before,
        newest_first,
    };
    Ok((narrowed, asked))
}

/// `GET /api/v1/events/{id}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    Ok(Answer::json(record(&*find(&call).await?)))
}

/// `GET /api/v1/events/{id}/fate`.
pub(crate) async fn fate(call: Call) -> Result<Answer, Problem> {
    let event = find(&call).await?;
    one(&call.hub().fate(event.id).await?)
}

async fn find(call: &Call) -> Result<Arc<StoredEvent>, Problem> {
    let text = call.param("id")?;
    let id: EventId = text.parse().map_err(|_| not_found("event", &text))?;
    let event = call.hub().event(id).await?.ok_or_else(|| not_found("event", &text))?;
    let principal = call.principal()?;
    if Sight::of(principal).sees(&event) {
        return Ok(event);
    }
    let message = format!("{} lacks the scope events:read for {}", principal.name, event.topic);
    Err(Problem::new(Code::Forbidden, message))
}
