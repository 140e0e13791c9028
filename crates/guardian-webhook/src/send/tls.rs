//! TLS: rustls with ring, the system's authorities, and a certificate of one's own where an endpoint asks for it.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use crate::error::Error;

/// A certificate with its private key.
#[derive(Clone)]
pub(crate) struct Identity {
    certificates: Vec<u8>,
    key: Arc<Zeroizing<Vec<u8>>>,
}

impl Identity {
    pub(crate) fn new(certificates: Vec<u8>, key: Vec<u8>) -> Self {
        Self { certificates, key: Arc::new(Zeroizing::new(key)) }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

fn failed(why: impl fmt::Display) -> Error {
    Error::Client { why: why.to_string() }
}

/// TLS 1.2 and 1.3; older versions are not known to rustls at all.
pub(crate) fn config(identity: Option<&Identity>, roots: &[u8]) -> Result<ClientConfig, Error> {
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in CertificateDer::pem_slice_iter(roots) {
        let certificate = certificate.map_err(|_| failed("a certificate of an authority does not read"))?;
        trusted.add(certificate).map_err(failed)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(trusted);
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    let certificates = CertificateDer::pem_slice_iter(&identity.certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| failed("the certificate does not read"))?;
    let key =
        PrivateKeyDer::from_pem_slice(&identity.key).map_err(|_| failed("the private key does not read"))?;
    builder.with_client_auth_cert(certificates, key).map_err(failed)
}
