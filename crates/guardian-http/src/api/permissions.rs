/// The permissions that operations of this module take, with what they mean to people, for a catalog of roles. Those that the
/// operations on roles take are the roles' own, which every catalog has.
///
/// ```
/// # #[cfg(feature = "rbac")] {
/// use guardian_http::api::PERMISSIONS;
/// use guardian_rbac::Catalog;
///
/// let mut catalog = Catalog::builder().permission("deal:edit", "Change deals");
/// for (permission, title) in PERMISSIONS {
///     catalog = catalog.permission(permission, title);
/// }
/// # catalog.build().unwrap(); }
/// ```
pub const PERMISSIONS: &[(&str, &str)] = &[
    ("audit:manage", "Record events in the audit log"),
    ("audit:read", "Search the audit log"),
    ("audit:verify", "Verify the audit log"),
    ("ip-access:manage", "Change the rules about addresses"),
    ("ip-access:read", "See the rules about addresses"),
    ("quotas:manage", "Spend and hold what is metered"),
    ("quotas:read", "See quotas and what is left"),
    ("rate-limits:read", "See rate limits"),
    ("sentiment:manage", "Correct and forget sentiments"),
    ("sentiment:read", "See what customers feel"),
    ("tenant:read", "See the organisation's own profile"),
    ("webhooks:manage", "Change endpoints, publish and send again"),
    ("webhooks:read", "See endpoints and deliveries"),
    ("workflows:decide", "Decide approvals that name one"),
    ("workflows:manage", "Change and run workflows"),
    ("workflows:read", "See workflows and their runs"),
];
