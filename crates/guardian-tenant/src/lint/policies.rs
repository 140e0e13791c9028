//! The policies of a table.

use super::catalog::{Policy, Relation};
use super::predicate::{Test, classify};
use super::{Code, Finding, View};
use crate::rls::quote_name;

/// The commands that policies are for, with their letter in the catalog.
const COMMANDS: [(char, &str); 4] = [('r', "SELECT"), ('a', "INSERT"), ('w', "UPDATE"), ('d', "DELETE")];

pub(super) fn check(view: &View<'_>, relation: &Relation, findings: &mut Vec<Finding>) {
    if !view.is_tenant_table(relation) {
        return;
    }
    let mut report =
        |code, why: String, mend: String| findings.push(Finding::new(code, relation.shown(), why, mend));
    let table = relation.quoted();
    let enable = format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY");
    if !relation.rls {
        let (code, why) = if relation.partition {
            (
                Code::PartitionWithoutRls,
                "the partition can be read by its own name, past the policies of its table",
            )
        } else if !relation.parents.is_empty() {
            (Code::ChildWithoutRls, "the child can be read by its own name, past the policies of its parent")
        } else if relation.policies.is_empty() {
            (Code::RlsDisabled, "row-level security is off")
        } else {
            (
                Code::PoliciesWithoutRls,
                "it has policies, and row-level security is off, so that they do nothing",
            )
        };
        let force = format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY");
        let mut mend = format!("{enable}; {force}");
        if relation.policies.is_empty() {
            mend = format!("{mend}; {}", tenant_policy(view, relation));
        }
        report(code, why.to_owned(), mend);
        return;
    }
    if !relation.forced {
        report(
            Code::RlsNotForced,
            format!("its owner `{}` passes by the policies", relation.owner),
            format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY"),
        );
    }
    if relation.policies.is_empty() {
        report(
            Code::NoPolicy,
            "row-level security is on without a policy, so that nobody sees anything".to_owned(),
            tenant_policy(view, relation),
        );
        return;
    }
    for finding in Policies::new(view, relation).check() {
        findings.push(finding);
    }
}

/// The policy that a table should have.
fn tenant_policy(view: &View<'_>, relation: &Relation) -> String {
    let predicate = format!("{} = {}", view.column(), view.tenant());
    format!(
        "CREATE POLICY guardian_tenant ON {} FOR ALL TO PUBLIC USING ({predicate}) WITH CHECK ({predicate})",
        relation.quoted()
    )
}

struct Policies<'a> {
    view: &'a View<'a>,
    relation: &'a Relation,
}

impl<'a> Policies<'a> {
    fn new(view: &'a View<'a>, relation: &'a Relation) -> Self {
        Self { view, relation }
    }

    fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (letter, command) in COMMANDS {
            if !self.applying(letter).any(|policy| policy.permissive) {
                findings.push(self.finding(
                    Code::CommandWithoutPolicy,
                    format!("no policy lets the application {command}"),
                    self.command_policy(letter, command),
                ));
            }
        }
        for policy in &self.relation.policies {
            self.check_policy(policy, &mut findings);
        }
        findings
    }

    fn check_policy(&self, policy: &Policy, findings: &mut Vec<Finding>) {
        if matches!(policy.command, '*' | 'w' | 'a') && policy.using.is_some() && policy.check.is_none() {
            let why = format!("the policy `{}` has USING and no WITH CHECK of its own", policy.name);
            let using = policy.using.as_deref().unwrap_or_default();
            let mend = format!("ALTER POLICY {} WITH CHECK ({using})", self.place(policy));
            findings.push(self.finding(Code::PolicyWithoutCheck, why, mend));
        }
        // What a restrictive policy lets through needs a permissive one besides.
        if !policy.permissive || self.is_search(policy) {
            return;
        }
        for (part, expression) in [("USING", &policy.using), ("WITH CHECK", &policy.check)] {
            let Some(expression) = expression else { continue };
            let test = classify(expression, &self.view.known());
            if let Some((code, why)) = self.fault(policy, part, expression, &test) {
                findings.push(self.finding(code, why, self.mend(policy, &test)));
                return;
            }
        }
    }

    /// What is wrong with a permissive policy, if anything is.
    fn fault(&self, policy: &Policy, part: &str, expression: &str, test: &Test) -> Option<(Code, String)> {
        let name = &policy.name;
        match test {
            Test::Tenant => None,
            Test::TenantCast => Some((
                Code::PolicyCastsColumn,
                format!(
                    "{part} of the policy `{name}` casts the tenant column, so that no index on it is used"
                ),
            )),
            // A restrictive policy that is the tenant test for the same commands and roles holds all the same.
            _ if self.is_held(policy) => None,
            Test::Unscoped => Some((
                Code::PolicyUnscoped,
                format!("{part} of the policy `{name}` lets unscoped transactions through"),
            )),
            Test::OtherSetting(setting) => Some((
                Code::PolicyOtherSetting,
                format!(
                    "{part} of the policy `{name}` believes the setting `{setting}`, which any session can set"
                ),
            )),
            Test::Or => Some((
                Code::PolicyOr,
                format!(
                    "{part} of the policy `{name}` lets more through than the tenant's rows: `{expression}`"
                ),
            )),
            _ if self.has_tenant_policy_besides(policy) => Some((
                Code::PolicyWidens,
                format!("the policy `{name}` is joined with OR to that of the tenant: `{expression}`"),
            )),
            Test::Always => Some((
                Code::PolicyAlwaysTrue,
                format!("{part} of the policy `{name}` is true for every row: `{expression}`"),
            )),
            Test::Other => Some((
                Code::PolicyWithoutTenant,
                format!(
                    "{part} of the policy `{name}` does not compare `{}` with the transaction's tenant: `{expression}`",
                    self.view.lint.column
                ),
            )),
        }
    }

    /// Drops what widens; replaces what should have been the tenant test.
    fn mend(&self, policy: &Policy, test: &Test) -> String {
        let drop = format!("DROP POLICY {}", self.place(policy));
        if self.has_tenant_policy_besides(policy) {
            return drop;
        }
        let predicate = format!("{} = {}", self.view.column(), self.view.tenant());
        let using = policy.using.as_ref().map(|_| format!(" USING ({predicate})")).unwrap_or_default();
        let check = if matches!(policy.command, 'r' | 'd') {
            String::new()
        } else {
            format!(" WITH CHECK ({predicate})")
        };
        let _ = test;
        format!("ALTER POLICY {}{using}{check}", self.place(policy))
    }

    fn command_policy(&self, letter: char, command: &str) -> String {
        let predicate = format!("{} = {}", self.view.column(), self.view.tenant());
        let using = if letter == 'a' { String::new() } else { format!(" USING ({predicate})") };
        let check =
            if matches!(letter, 'r' | 'd') { String::new() } else { format!(" WITH CHECK ({predicate})") };
        let name = format!("guardian_tenant_{}", command.to_lowercase());
        format!("CREATE POLICY {name} ON {} FOR {command} TO PUBLIC{using}{check}", self.relation.quoted())
    }

    /// The policies for a command that apply to the application.
    fn applying(&self, letter: char) -> impl Iterator<Item = &'a Policy> {
        let view = self.view;
        self.relation.policies.iter().filter(move |policy| {
            (policy.command == '*' || policy.command == letter)
                && policy.roles.iter().any(|role| view.is_application(role))
        })
    }

    fn is_tenant_test(&self, policy: &Policy) -> bool {
        let mut parts = [&policy.using, &policy.check].into_iter().flatten().peekable();
        parts.peek().is_some()
            && parts.all(|part| matches!(classify(part, &self.view.known()), Test::Tenant | Test::TenantCast))
    }

    /// Whether a restrictive policy with the tenant test covers whatever this one lets through.
    fn is_held(&self, policy: &Policy) -> bool {
        let covers = |wall: &Policy| {
            !wall.permissive
                && (wall.command == '*' || wall.command == policy.command)
                && (wall.roles.iter().any(|role| role == "PUBLIC")
                    || self.application_roles_of(policy).all(|role| wall.roles.contains(role)))
                && self.is_tenant_test(wall)
        };
        self.relation.policies.iter().any(covers)
    }

    /// The application's roles that a policy applies to.
    fn application_roles_of(&self, policy: &'a Policy) -> impl Iterator<Item = &'a String> {
        self.view.application.iter().filter(move |role| {
            policy.roles.iter().any(|of| of == "PUBLIC" || self.view.becomes(role).contains(of))
        })
    }

    fn has_tenant_policy_besides(&self, policy: &Policy) -> bool {
        self.relation.policies.iter().any(|other| {
            other.name != policy.name
                && other.permissive
                && (other.command == '*' || policy.command == '*' || other.command == policy.command)
                && self.is_tenant_test(other)
        })
    }

    /// Whether the policy is that of a role that only owns searching functions: for SELECT, and for roles that nobody
    /// logs in as or can become.
    fn is_search(&self, policy: &Policy) -> bool {
        policy.command == 'r'
            && policy.roles.iter().all(|name| {
                let unreachable = !self.view.catalog.roles.iter().any(|other| other.member_of.contains(name));
                self.view.role(name).is_some_and(|role| !role.login && unreachable)
            })
    }

    fn place(&self, policy: &Policy) -> String {
        format!("{} ON {}", quote_name(&policy.name), self.relation.quoted())
    }

    fn finding(&self, code: Code, why: String, mend: String) -> Finding {
        Finding::new(code, self.relation.shown(), why, mend)
    }
}
