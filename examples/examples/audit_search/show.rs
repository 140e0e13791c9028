//! Tables for a terminal.

use guardian::audit::store::Facet;
use guardian::audit::{Dimension, Query, StoredEvent};

pub(crate) fn query(query: &Query) -> String {
    match query {
        Query::All => "everything".to_owned(),
        query => query.to_string(),
    }
}

pub(crate) fn events(events: &[StoredEvent]) {
    if events.is_empty() {
        println!("  nothing");
        return;
    }
    for stored in events {
        let event = &stored.event;
        let time = event.occurred.unwrap_or(stored.recorded).format("%Y-%m-%d %H:%M:%S");
        let actor = event.actor.as_ref().map_or("-", |actor| actor.email.as_deref().unwrap_or(&actor.id));
        let country = event.origin.country.as_deref().unwrap_or("--");
        println!(
            "  {:>6}  {time}  {:<8} {:<8} {country}  {:<20} {:<34} {}",
            stored.sequence,
            stored.risk.level.as_str(),
            event.outcome.as_str(),
            event.action,
            cut(actor, 34),
            cut(event.message.as_deref().unwrap_or_default(), 60),
        );
    }
}

pub(crate) fn facets(dimension: Dimension, facets: &[Facet]) {
    let largest = facets.iter().map(|facet| facet.count).max().unwrap_or(1).max(1);
    println!("  by {dimension}");
    for facet in facets {
        let width = usize::try_from(facet.count * 30 / largest).unwrap_or(0).max(1);
        println!("    {:<24} {:>8}  {}", cut(&facet.value, 24), facet.count, "▇".repeat(width));
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}
