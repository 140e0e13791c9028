//! Events from a file of JSON lines, or made up.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use guardian::audit::testkit::Sample;
use guardian::audit::{AuditEvent, EventActor, Origin, Target};
use guardian::core::TenantId;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A line as other systems write it.
#[derive(Deserialize)]
struct Line {
    ts: i64,
    tenant: TenantId,
    actor_id: String,
    #[serde(default)]
    actor_email: Option<String>,
    actor_type: String,
    action: String,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    target_type: Option<String>,
    #[serde(default)]
    target_id: Option<String>,
    #[serde(default)]
    target_name: Option<String>,
    #[serde(default)]
    ip: Option<std::net::IpAddr>,
    #[serde(default)]
    country: Option<String>,
    #[serde(default)]
    outcome: guardian::audit::Outcome,
    #[serde(default)]
    user_agent: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    meta: Map<String, Value>,
}

impl Line {
    fn event(self) -> Result<AuditEvent, String> {
        let time =
            chrono::DateTime::from_timestamp_micros(self.ts).ok_or(format!("`{}` is no time", self.ts))?;
        let mut actor = EventActor::new(self.actor_type, self.actor_id);
        (actor.email, actor.session) = (self.actor_email, self.session_id);
        let mut origin = Origin::default();
        (origin.address, origin.country, origin.user_agent) = (self.ip, self.country, self.user_agent);
        (origin.request, origin.source) = (self.request_id, self.source);
        let mut event = AuditEvent::new(self.action)
            .with_occurred(time)
            .with_outcome(self.outcome)
            .with_actor(actor)
            .with_origin(origin);
        if let (Some(kind), Some(id)) = (self.target_type, self.target_id) {
            let mut target = Target::new(kind, id);
            target.name = self.target_name;
            event = event.with_target(target);
        }
        (event.category, event.message, event.metadata) = (self.category, self.message, self.meta);
        Ok(event)
    }
}

/// The events of a file by tenant, each in the order of the file.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<TenantId, Vec<AuditEvent>>, Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    let mut events: BTreeMap<TenantId, Vec<AuditEvent>> = BTreeMap::new();
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let at = |error: String| format!("line {number} of `{}`: {error}", path.display());
        let line = line.map_err(|error| at(error.to_string()))?;
        let line: Line = serde_json::from_str(&line).map_err(|error| at(error.to_string()))?;
        let tenant = line.tenant.clone();
        events.entry(tenant).or_default().push(line.event().map_err(at)?);
    }
    Ok(events)
}

/// Events of a small CRM.
pub(crate) fn made_up(count: usize) -> Result<BTreeMap<TenantId, Vec<AuditEvent>>, Box<dyn Error>> {
    let mut events: BTreeMap<TenantId, Vec<AuditEvent>> = BTreeMap::new();
    let mut sample = Sample::new(7);
    let tenants = [TenantId::new("acme")?, TenantId::new("globex")?, TenantId::new("initech")?];
    for (tenant, _) in tenants.iter().cycle().zip(0..count) {
        events.entry(tenant.clone()).or_default().push(sample.event());
    }
    Ok(events)
}
