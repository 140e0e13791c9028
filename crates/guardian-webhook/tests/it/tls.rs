//! The sender against servers that speak TLS, with authorities of the tests' own, on the loopback address.

use std::sync::Arc;
use std::time::Duration;

use guardian_webhook::{
    Answer, EgressPolicy, HttpConfig, HttpSender as _, Request, ReqwestSender, SendError,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, in PEM.
struct Certified {
    certificate: String,
    key: String,
}

fn certified(by: &Authority, change: impl FnOnce(&mut CertificateParams), name: &str) -> Certified {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, by).unwrap().pem();
    Certified { certificate, key: key.serialize_pem() }
}

fn as_it_is(_: &mut CertificateParams) {}

/// A server that answers each request with 200 and the protocol version; its port.
async fn serve(
    own: Certified,
    versions: &[&'static SupportedProtocolVersion],
    clients_of: Option<&Authority>,
) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap();
    let builder = match clients_of {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let chain = vec![CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A handshake that fails is the client's to tell.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let version = format!("{:?}", stream.get_ref().1.protocol_version().unwrap());
                let mut request = vec![0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{version}", version.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

fn trusting(authority: Option<&Authority>, port: u16) -> HttpConfig {
    let policy = EgressPolicy::default().allow_target("localhost", port);
    let time = Duration::from_secs(10);
    let config = HttpConfig::default().with_policy(policy).with_timeouts(time, time, time);
    match authority {
        Some(authority) => config.with_roots(authority.pem()),
        None => config,
    }
}

async fn send(config: HttpConfig, port: u16) -> Result<Answer, SendError> {
    let sender = ReqwestSender::new(config).unwrap();
    sender.send(Request::new(format!("https://localhost:{port}/"), Vec::new(), Arc::from(*b"{}"))).await
}

fn refused(outcome: &Result<Answer, SendError>) -> bool {
    matches!(outcome, Err(SendError::Connect(_) | SendError::Protocol(_)))
}

#[tokio::test]
async fn tls_of_both_versions_reaches_who_is_trusted() {
    let authority = authority();
    for (version, name) in [(&rustls::version::TLS12, "TLSv1_2"), (&rustls::version::TLS13, "TLSv1_3")] {
        let port = serve(certified(&authority, as_it_is, "localhost"), &[version], None).await;
        let answer = send(trusting(Some(&authority), port), port).await.unwrap();
        assert_eq!((answer.status, &*answer.body), (200, name.as_bytes()));
    }
}

#[tokio::test]
async fn who_cannot_be_trusted_gets_nothing() {
    let (known, unknown) = (authority(), authority());
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(4000, 1, 1);
    for (what, own) in [
        ("an authority that nobody knows", certified(&unknown, as_it_is, "localhost")),
        ("another's name", certified(&known, as_it_is, "hooks.example.com")),
        ("a certificate that has ended", certified(&known, expired, "localhost")),
        ("a certificate that has not begun", certified(&known, early, "localhost")),
    ] {
        let port = serve(own, &[&rustls::version::TLS13], None).await;
        let outcome = send(trusting(Some(&known), port), port).await;
        assert!(refused(&outcome), "{what}: {outcome:?}");
    }
    // Without an authority of its own the sender has the system's, which do not know this one.
    let port = serve(certified(&known, as_it_is, "localhost"), &[&rustls::version::TLS13], None).await;
    assert!(refused(&send(trusting(None, port), port).await));
}

#[tokio::test]
async fn who_asks_for_a_certificate_gets_the_right_one() {
    let (servers, clients, others) = (authority(), authority(), authority());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let port = serve(certified(&servers, as_it_is, "localhost"), &[version], Some(&clients)).await;
        let shown = |by: &Authority| {
            let own = certified(by, as_it_is, "guardian");
            trusting(Some(&servers), port).with_identity(own.certificate, own.key)
        };
        assert_eq!(send(shown(&clients), port).await.unwrap().status, 200, "{version:?}");
        assert!(refused(&send(trusting(Some(&servers), port), port).await), "{version:?}: none was shown");
        assert!(refused(&send(shown(&others), port).await), "{version:?}: another's was shown");
    }
}

#[tokio::test]
async fn a_key_or_an_authority_that_does_not_read_is_told_when_the_sender_is_made() {
    let own = certified(&authority(), as_it_is, "guardian");
    let other = certified(&authority(), as_it_is, "guardian");
    for (what, config) in [
        ("no key", HttpConfig::default().with_identity(own.certificate.clone(), "no key")),
        ("no certificate", HttpConfig::default().with_identity("none", own.key)),
        ("another's key", HttpConfig::default().with_identity(own.certificate, other.key)),
        (
            "a broken authority",
            HttpConfig::default().with_roots("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
        ),
    ] {
        assert!(ReqwestSender::new(config).is_err(), "{what}");
    }
}
