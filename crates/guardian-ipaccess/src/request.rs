use std::net::IpAddr;

use guardian_core::Timestamp;

/// Who knocks: the client's address, the time, and what rules may ask about the request.
///
/// The address has to be the client's: where proxies stand in front, [`ClientAddr`](crate::ClientAddr) finds it.
///
/// ```
/// use guardian_ipaccess::AccessRequest;
///
/// let request = AccessRequest::new("203.0.113.9".parse()?, "2026-03-01T12:00:00Z".parse()?)
///     .user("ann")
///     .roles(&["admin", "sales"])
///     .route("/admin/users");
/// assert_eq!(request.user, Some("ann"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct AccessRequest<'a> {
    /// The client's address, never an IPv4 address mapped into IPv6.
    pub addr: IpAddr,
    /// When.
    pub at: Timestamp,
    /// The user, if one is signed in.
    pub user: Option<&'a str>,
    /// The user's roles.
    pub roles: &'a [&'a str],
    /// The id of the API key, if one is used. Never the key itself.
    pub api_key: Option<&'a str>,
    /// The path, or the pattern of the route.
    pub route: Option<&'a str>,
}

impl<'a> AccessRequest<'a> {
    /// A request of nobody in particular. An IPv4 address mapped into IPv6 loses its mapping.
    #[inline]
    pub fn new(addr: IpAddr, at: Timestamp) -> Self {
        Self { addr: addr.to_canonical(), at, user: None, roles: &[], api_key: None, route: None }
    }

    /// The same by a user.
    #[inline]
    pub fn user(mut self, user: &'a str) -> Self {
        self.user = Some(user);
        self
    }

    /// The same with roles.
    #[inline]
    pub fn roles(mut self, roles: &'a [&'a str]) -> Self {
        self.roles = roles;
        self
    }

    /// The same with an API key, by its id.
    #[inline]
    pub fn api_key(mut self, id: &'a str) -> Self {
        self.api_key = Some(id);
        self
    }

    /// The same to a path.
    #[inline]
    pub fn route(mut self, path: &'a str) -> Self {
        self.route = Some(path);
        self
    }
}
