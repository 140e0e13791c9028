use chrono::Timelike;
use serde::{Deserialize, Serialize};

use crate::event::{Assessment, AuditEvent, Outcome};

/// Rules that say how risky an event is: the scores of all that hold are added, up to 100.
///
/// The rules are data, so that a tenant or a security team changes them without a release; each has a name, which the
/// event keeps as the reason, and the whole has a version, which the event keeps too.
///
/// ```
/// use guardian_audit::{AuditEvent, Outcome, Risk, RiskRules};
///
/// let rules = RiskRules::standard();
/// let quiet = rules.assess(&AuditEvent::new("contact.viewed"));
/// assert_eq!(quiet.level, Risk::Low);
///
/// let loud = rules.assess(&AuditEvent::new("role.granted").with_outcome(Outcome::Denied));
/// assert_eq!(loud.level, Risk::Critical);
/// assert_eq!(loud.reasons, ["permissions changed", "not allowed"]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RiskRules {
    /// Which edition of the rules this is. Give a new one to changed rules.
    pub version: u32,
    /// The rules, in the order in which their names become reasons.
    pub rules: Vec<RiskRule>,
}

/// One rule: it holds when everything that it asks for is so. What is absent is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RiskRule {
    /// What the event keeps as the reason.
    pub name: String,
    /// What the rule adds to the score; negative to take away.
    pub score: i16,
    /// One of these actions; one that ends in a star stands for all that begin so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// One of these categories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// One of these outcomes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<Outcome>,
    /// One of these kinds of actor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actor_kinds: Vec<String>,
    /// Somebody acted in another's name, or nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impersonated: Option<bool>,
    /// One of these targets' types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_kinds: Vec<String>,
    /// The country is known and is none of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outside_of: Vec<String>,
    /// One of these doors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// It occurred in one of these hours of the day, UTC, 0 to 23.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<u32>,
    /// A field whose path begins like one of these was changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// More fields than this were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_changes_than: Option<usize>,
}

impl RiskRule {
    /// A rule that always holds, until something is asked for.
    #[must_use]
    pub fn new(name: impl Into<String>, score: i16) -> Self {
        Self { name: name.into(), score, ..Self::default() }
    }

    /// The same rule for these actions alone.
    #[must_use]
    pub fn with_actions<T: Into<String>>(mut self, actions: impl IntoIterator<Item = T>) -> Self {
        self.actions = actions.into_iter().map(Into::into).collect();
        self
    }

    /// The same rule for these outcomes alone.
    #[must_use]
    pub fn with_outcomes(mut self, outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        self.outcomes = outcomes.into_iter().collect();
        self
    }

    /// Whether the rule holds of the event.
    #[must_use]
    pub fn holds(&self, event: &AuditEvent) -> bool {
        let actor = event.actor.as_ref();
        let any = |wanted: &[String], value: Option<&str>| {
            wanted.is_empty()
                || value.is_some_and(|value| wanted.iter().any(|one| one.eq_ignore_ascii_case(value)))
        };
        let action = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => event.action.starts_with(start),
            None => event.action == *pattern,
        };
        let changed =
            |start: &String| event.changes.iter().any(|change| change.path.starts_with(start.as_str()));
        (self.actions.is_empty() || self.actions.iter().any(action))
            && any(&self.categories, Some(event.category()))
            && (self.outcomes.is_empty() || self.outcomes.contains(&event.outcome))
            && any(&self.actor_kinds, actor.map(|actor| actor.kind.as_str()))
            && self
                .impersonated
                .is_none_or(|wanted| wanted == actor.is_some_and(|actor| actor.impersonator.is_some()))
            && any(&self.target_kinds, event.target.as_ref().map(|target| target.kind.as_str()))
            && (self.outside_of.is_empty()
                || event.origin.country.as_ref().is_some_and(|country| !self.outside_of.contains(country)))
            && any(&self.sources, event.origin.source.as_deref())
            && (self.hours.is_empty() || event.occurred.is_some_and(|time| self.hours.contains(&time.hour())))
            && (self.changed.is_empty() || self.changed.iter().any(changed))
            && self.more_changes_than.is_none_or(|most| event.changes.len() > most)
    }
}

impl RiskRules {
    /// No rules: every event is of low risk.
    #[must_use]
    pub fn none() -> Self {
        Self { version: 0, rules: Vec::new() }
    }

    /// Rules of this version.
    #[must_use]
    pub fn new(version: u32, rules: Vec<RiskRule>) -> Self {
        Self { version, rules }
    }

    /// Rules for what most services do.
    #[must_use]
    pub fn standard() -> Self {
        let denied = [Outcome::Denied];
        let failed = [Outcome::Failure, Outcome::Denied];
        let rules = vec![
            RiskRule::new("signed in", 5).with_actions(["user.login", "session.created"]),
            RiskRule::new("sign-in failed", 30)
                .with_actions(["user.login", "user.login_failed", "session.created"])
                .with_outcomes(failed),
            RiskRule::new("credentials changed", 40).with_actions([
                "user.password_*",
                "user.mfa_*",
                "user.email_changed",
                "api_key.*",
                "token.*",
                "secret.*",
            ]),
            RiskRule::new("protection taken away", 35).with_actions([
                "user.mfa_disabled",
                "sso.disabled",
                "ip_rule.deleted",
                "audit_log.retention_changed",
                "webhook.secret_*",
            ]),
            RiskRule::new("permissions changed", 50).with_actions([
                "role.*",
                "permission.*",
                "member.role_*",
            ]),
            RiskRule::new("members changed", 25).with_actions(["member.*", "user.invited", "user.deleted"]),
            RiskRule::new("settings changed", 25).with_actions([
                "settings.*",
                "sso.*",
                "ip_rule.*",
                "billing.*",
            ]),
            RiskRule::new("data taken out", 50).with_actions([
                "export.*",
                "contact.exported",
                "deal.exported",
                "audit_log.exported",
            ]),
            RiskRule::new("data deleted", 30).with_actions([
                "contact.deleted",
                "deal.deleted",
                "note.deleted",
                "workflow.deleted",
                "data.purged",
            ]),
            RiskRule::new("tenant deleted", 80).with_actions(["tenant.deleted", "organization.deleted"]),
            RiskRule { impersonated: Some(true), ..RiskRule::new("in another's name", 30) },
            RiskRule::new("not allowed", 25).with_outcomes(denied),
            RiskRule { more_changes_than: Some(20), ..RiskRule::new("many fields changed", 15) },
        ];
        Self::new(1, rules)
    }

    /// How risky the event is, and why. Takes time in proportion to the rules.
    #[must_use]
    pub fn assess(&self, event: &AuditEvent) -> Assessment {
        let holding = self.rules.iter().filter(|rule| rule.holds(event));
        let (mut score, mut reasons) = (0_i32, Vec::new());
        for rule in holding {
            score += i32::from(rule.score);
            reasons.push(rule.name.clone());
        }
        Assessment::new(u8::try_from(score.clamp(0, 100)).unwrap_or(100), reasons, self.version)
    }
}

impl Default for RiskRules {
    /// The [standard](Self::standard) ones.
    fn default() -> Self {
        Self::standard()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventActor, Origin, Risk};

    #[test]
    fn scores_are_added_and_capped() {
        let rules = RiskRules::standard();
        let event = AuditEvent::new("tenant.deleted")
            .with_outcome(Outcome::Denied)
            .with_actor(EventActor::user("u1").with_impersonator("staff"));
        let found = rules.assess(&event);
        assert_eq!((found.score, found.level, found.rules), (100, Risk::Critical, 1));
        assert_eq!(found.reasons, ["tenant deleted", "in another's name", "not allowed"]);
    }

    #[test]
    fn rules_are_data() {
        let text = r#"{"version":7,"rules":[
            {"name":"abroad","score":60,"outside_of":["DE","AT"]},
            {"name":"at night","score":20,"hours":[0,1,2,3]}]}"#;
        let rules: RiskRules = serde_json::from_str(text).unwrap();
        let home = AuditEvent::new("a.b").with_origin(Origin::default().with_country("DE"));
        assert_eq!(rules.assess(&home).score, 0);
        let abroad = AuditEvent::new("a.b")
            .with_origin(Origin::default().with_country("US"))
            .with_occurred(chrono::DateTime::from_timestamp(7_200, 0).unwrap());
        let found = rules.assess(&abroad);
        assert_eq!((found.score, found.level, found.rules), (80, Risk::Critical, 7));
        assert_eq!(
            serde_json::from_str::<RiskRules>(&serde_json::to_string(&rules).unwrap()).unwrap(),
            rules
        );
    }
}
