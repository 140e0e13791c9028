use guardian_expr::Lookup;

use crate::{PermissionHandle, PrincipalRef, Resource, Session};

/// A permission by its name or by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are these two ways to name one")]
pub enum PermissionRef<'a> {
    /// By its name, which is looked up.
    Name(&'a str),
    /// By its number in the catalog.
    Handle(PermissionHandle),
}

impl<'a> From<&'a str> for PermissionRef<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<&'a crate::Permission> for PermissionRef<'a> {
    fn from(permission: &'a crate::Permission) -> Self {
        Self::Name(permission.as_str())
    }
}

impl From<PermissionHandle> for PermissionRef<'_> {
    fn from(handle: PermissionHandle) -> Self {
        Self::Handle(handle)
    }
}

/// A question: may somebody do something to something.
///
/// ```
/// use guardian_core::ActorKind;
/// use guardian_rbac::{Area, Ask, PrincipalRef, Resource};
///
/// let team = [Area::new("team", "emea")?];
/// let context = serde_json::json!({ "mfa": true });
/// let ask = Ask::new(PrincipalRef::new(ActorKind::User, "ann"), "deal:export")
///     .on(Resource::record("deal", "42").within(&team))
///     .in_context(&context);
/// # let _ = ask;
/// # Ok::<(), guardian_rbac::InvalidName>(())
/// ```
#[derive(Clone, Copy)]
#[must_use]
pub struct Ask<'a> {
    pub(crate) who: PrincipalRef<'a>,
    pub(crate) permission: PermissionRef<'a>,
    pub(crate) resource: Resource<'a>,
    pub(crate) about: Option<&'a dyn Lookup>,
    pub(crate) context: Option<&'a dyn Lookup>,
    pub(crate) session: Option<&'a Session>,
}

impl<'a> Ask<'a> {
    /// Whether somebody may do this in the tenant as a whole.
    pub fn new(who: impl Into<PrincipalRef<'a>>, permission: impl Into<PermissionRef<'a>>) -> Self {
        Self {
            who: who.into(),
            permission: permission.into(),
            resource: Resource::tenant(),
            about: None,
            context: None,
            session: None,
        }
    }

    /// To this resource or in this area.
    pub fn on(mut self, resource: impl Into<Resource<'a>>) -> Self {
        self.resource = resource.into();
        self
    }

    /// With what conditions see as `principal`, beside its `kind` and `id`.
    pub fn knowing(mut self, principal: &'a dyn Lookup) -> Self {
        self.about = Some(principal);
        self
    }

    /// With what conditions see as `context`.
    pub fn in_context(mut self, context: &'a dyn Lookup) -> Self {
        self.context = Some(context);
        self
    }

    /// With the roles that are active in this session alone. What any role takes is taken, active or not.
    pub fn in_session(mut self, session: &'a Session) -> Self {
        self.session = Some(session);
        self
    }
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { who, permission, resource, .. } = self;
        f.debug_struct("Ask")
            .field("who", who)
            .field("permission", permission)
            .field("resource", resource)
            .finish_non_exhaustive()
    }
}
