use std::net::{IpAddr, SocketAddr};

use http::Extensions;

/// The address of the connection's other end, as a request extension, for servers that are not axum's.
///
/// ```
/// use guardian_http::PeerAddr;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(PeerAddr(([192, 0, 2, 7], 49_152).into()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "it wraps one value")]
pub struct PeerAddr(pub SocketAddr);

/// The other end of the request's connection, where the server said who that is.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<PeerAddr>().map(|peer| peer.0.ip());
    #[cfg(feature = "axum")]
    let peer = peer.or_else(|| {
        let info = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>();
        info.map(|info| info.0.ip())
    });
    peer
}
