//! A certificate authority of the tests' own.

use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What a server's certificate is like.
#[derive(Clone, Copy, Debug)]
pub enum Identity {
    /// For `127.0.0.1`, `localhost` and `sentry.test`.
    Good,
    WrongHost,
    Expired,
    /// Signed by nobody but itself.
    SelfSigned,
}

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "lastwords tests");
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Writes its certificate where `SSL_CERT_FILE` can name it.
    pub fn write(&self, path: &Path) {
        std::fs::write(path, &self.pem).expect("writable");
    }

    pub(super) fn server(&self, identity: Identity) -> Arc<ServerConfig> {
        let names = match identity {
            Identity::WrongHost => vec!["elsewhere.test".to_owned()],
            _ => ["127.0.0.1", "localhost", "sentry.test"].map(str::to_owned).to_vec(),
        };
        let mut params = CertificateParams::new(names).expect("names");
        if matches!(identity, Identity::Expired) {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = match identity {
            Identity::SelfSigned => params.self_signed(&key),
            _ => params.signed_by(&key, &self.issuer),
        };
        let certificate = certificate.expect("a certificate").der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key);
        Arc::new(config.expect("a configuration"))
    }
}
