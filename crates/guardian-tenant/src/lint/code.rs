use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// The kinds of hole. The text of a code never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

codes! {
    /// Row-level security is off: every role with SELECT reads every tenant.
    RlsDisabled = "rls-disabled";
    /// The table has policies, and row-level security is off, so that they do nothing.
    PoliciesWithoutRls = "policies-without-rls";
    /// The owner of the table passes by the policies.
    RlsNotForced = "rls-not-forced";
    /// Row-level security is on and the table has no policy at all: nobody sees anything, until somebody helps himself.
    NoPolicy = "no-policy";
    /// A command of the application has no policy.
    CommandWithoutPolicy = "command-without-policy";
    /// A policy for INSERT, UPDATE or all commands has no WITH CHECK of its own.
    PolicyWithoutCheck = "policy-without-check";
    /// A policy lets everything through.
    PolicyAlwaysTrue = "policy-always-true";
    /// A policy does not compare the tenant column with the tenant of the transaction.
    PolicyWithoutTenant = "policy-without-tenant";
    /// A policy lets more than the tenant's rows through with OR.
    PolicyOr = "policy-or";
    /// A permissive policy beside that of the tenant lets other rows through: permissive policies are joined with OR.
    PolicyWidens = "policy-widens";
    /// A policy believes another setting than that of the tenant, and the session can set it.
    PolicyOtherSetting = "policy-other-setting";
    /// A policy lets unscoped transactions through: right for what the platform maintains, and for nothing else.
    PolicyUnscoped = "policy-unscoped";
    /// A policy casts the tenant column, so that no index on the column is used.
    PolicyCastsColumn = "policy-casts-column";
    /// The table has no tenant column.
    TenantColumnMissing = "tenant-column-missing";
    /// The tenant column may be null.
    TenantColumnNullable = "tenant-column-nullable";
    /// The tenant column has another type than that of tenants.
    TenantColumnType = "tenant-column-type";
    /// A row without a tenant gets a fixed one.
    TenantColumnDefault = "tenant-column-default";
    /// No index is led by the tenant column.
    NoTenantIndex = "no-tenant-index";
    /// A foreign key can point to a row of another tenant, for it is checked past the policies.
    ForeignKeyCrosses = "foreign-key-crosses";
    /// The primary key leaves the tenant out: a duplicate tells that another tenant has the row.
    PrimaryKeyWithoutTenant = "primary-key-without-tenant";
    /// A unique or exclusion constraint leaves the tenant out.
    UniqueWithoutTenant = "unique-without-tenant";
    /// A view reads with the rights of its owner.
    ViewOwnerRights = "view-owner-rights";
    /// A materialised view is readable: it holds rows of all tenants, and no policy applies to it.
    MaterializedView = "materialized-view";
    /// A foreign table is readable: no policy applies to it.
    ForeignTable = "foreign-table";
    /// A partition can be read by its own name, past the policies of its table.
    PartitionWithoutRls = "partition-without-rls";
    /// An inheritance child can be read by its own name, past the policies of its parent.
    ChildWithoutRls = "child-without-rls";
    /// The application role is, or can become, a superuser.
    RoleSuperuser = "role-superuser";
    /// The application role passes by row-level security, or can become one that does.
    RoleBypassesRls = "role-bypasses-rls";
    /// The application role owns a table of tenants, or can become its owner, and owners change policies.
    RoleOwnsTable = "role-owns-table";
    /// The application role is a member of a predefined role that reaches further than its grants.
    RolePredefined = "role-predefined";
    /// The application role may start replication, which sees every row.
    RoleReplication = "role-replication";
    /// A SECURITY DEFINER function has no fixed search path.
    DefinerSearchPath = "definer-search-path";
    /// A SECURITY DEFINER function can be executed by everybody.
    DefinerPublic = "definer-public";
    /// A SECURITY DEFINER function that the application can call touches a table of tenants and never asks for the tenant.
    DefinerWithoutTenant = "definer-without-tenant";
    /// A trigger of a table of tenants runs with the rights of another role.
    TriggerDefiner = "trigger-definer";
    /// A function is declared leakproof and may see rows before the policies do.
    FunctionLeakproof = "function-leakproof";
    /// An index serves only operators that are not leakproof; under row-level security it is never used.
    IndexNotLeakproof = "index-not-leakproof";
    /// The application has a right that no policy covers: TRUNCATE, REFERENCES or TRIGGER.
    GrantPastPolicies = "grant-past-policies";
    /// Everybody has a right on a table of tenants.
    GrantPublic = "grant-public";
    /// Tables to come are granted before they have policies.
    DefaultPrivileges = "default-privileges";
    /// The application reads a sequence, which counts the rows of all tenants.
    SequenceReadable = "sequence-readable";
    /// Several tables draw from one sequence, so that a tenant's gaps tell what happens in other tables and tenants.
    SequenceShared = "sequence-shared";
    /// A rule rewrites statements on a table of tenants.
    RuleOnTable = "rule-on-table";
    /// A table of tenants is published for replication, which knows no policy.
    Published = "published";
    /// A role or a database sets the tenant by default, so that no tenant set is some tenant set.
    TenantByDefault = "tenant-by-default";
    /// The application may create objects in a schema, in front of those that others mean.
    SchemaCreate = "schema-create";
    /// SQLite: a trigger writes to a table of tenants and does not carry the tenant over.
    TriggerWithoutTenant = "trigger-without-tenant";
    /// SQLite: a view reads a table of tenants and does not hand the tenant on.
    ViewWithoutTenant = "view-without-tenant";
    /// SQLite: the tenant column compares case-insensitively or by another rule than byte for byte.
    TenantColumnCollation = "tenant-column-collation";
    /// SQLite: the database does not check foreign keys.
    ForeignKeysOff = "foreign-keys-off";
    /// SQLite: a full-text table copies the text of a table of tenants and has no tenant column.
    FullTextWithoutTenant = "full-text-without-tenant";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
