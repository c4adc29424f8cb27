//! Who may speak over a direct connection? Those alone whose certificates the session has come to know by their hellos.
//!
//! Whose a certificate is, who has issued it and until when it holds was checked with the hello that it came with, so
//! here it has to be that one, byte for byte; the handshake proves that the other end has its private key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    ServerConnection, SignatureScheme,
};

use crate::connection::Shown;

/// The certificates of the other processes of a session, each with the name that its process has here.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashMap<Vec<u8>, String>>);

impl Known {
    fn all(&self) -> MutexGuard<'_, HashMap<Vec<u8>, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, whoever has this certificate is called so.
    pub fn add(&self, certificate: &[u8], name: &str) {
        self.all().insert(certificate.to_vec(), name.to_owned());
    }

    /// Nobody is called so any more.
    pub fn remove(&self, name: &str) {
        self.all().retain(|_, known| known != name);
    }

    /// The name of whoever has this certificate.
    pub fn name(&self, certificate: &[u8]) -> Option<String> {
        self.all().get(certificate).cloned()
    }

    /// The certificate of whoever is called so.
    fn certificate(&self, name: &str) -> Option<Vec<u8>> {
        self.all().iter().find(|(_, known)| *known == name).map(|(certificate, _)| certificate.clone())
    }
}

/// What a process shows of itself, and whom it knows.
pub struct Identity {
    provider: Arc<CryptoProvider>,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    protocol: Vec<u8>,
    known: Arc<Known>,
}

impl Identity {
    /// `certificate` and `key` are those of the process's startup kit, as DER and PKCS #8; both ends have to be of the
    /// same `session`, of at most 200 bytes, which everybody on the way may read.
    pub fn new(certificate: Vec<u8>, key: Vec<u8>, session: &str, known: Arc<Known>) -> Self {
        Self {
            provider: Arc::new(ring::default_provider()),
            certificate: certificate.into(),
            key: key.into(),
            protocol: [b"dfm/1 ", session.as_bytes()].concat(),
            known,
        }
    }

    fn verifier(&self, only: Option<Vec<u8>>) -> Arc<Verifier> {
        Arc::new(Verifier { provider: self.provider.clone(), known: self.known.clone(), only })
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key().into()
    }

    /// The end that was connected to, by whoever is known.
    ///
    /// # Errors
    /// The certificate or the key are none.
    pub fn answering(&self) -> Result<ServerConnection, Error> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(self.verifier(None))
            .with_single_cert(vec![self.certificate.clone()], self.key())?;
        config.alpn_protocols = vec![self.protocol.clone()];
        // Each connection shows its certificate anew.
        config.send_tls13_tickets = 0;
        ServerConnection::new(Arc::new(config))
    }

    /// The end that connects to whoever is called so.
    ///
    /// # Errors
    /// Nobody is, or the certificate or the key are none.
    pub fn connecting(&self, name: &str) -> Result<ClientConnection, Error> {
        let Some(only) = self.known.certificate(name) else {
            return Err(Error::General("nobody of that name is known".to_owned()));
        };
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(Some(only)))
            .with_client_auth_cert(vec![self.certificate.clone()], self.key())?;
        config.alpn_protocols = vec![self.protocol.clone()];
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        // A name is asked for, and neither sent nor looked at.
        let any = ServerName::try_from("dfm").map_err(|error| Error::General(error.to_string()))?;
        ClientConnection::new(Arc::new(config), any)
    }

    /// The name of whoever has shown this, if both ends are of this session.
    pub fn name_of(&self, shown: &Shown) -> Option<String> {
        let certificate = shown.certificate.as_ref().filter(|_| shown.protocol.as_ref() == Some(&self.protocol));
        self.known.name(certificate?)
    }
}

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    known: Arc<Known>,
    /// The one certificate that it may be.
    only: Option<Vec<u8>>,
}

impl Verifier {
    fn check(&self, certificate: &CertificateDer<'_>, issuers: &[CertificateDer<'_>]) -> Result<(), Error> {
        let is_it = match &self.only {
            Some(only) => certificate[..] == only[..],
            None => self.known.name(certificate).is_some(),
        };
        if is_it && issuers.is_empty() { Ok(()) } else { Err(CertificateError::ApplicationVerificationFailure.into()) }
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn never() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::General("only TLS 1.3 is spoken".to_owned()))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate, issuers).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        never()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate, issuers).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        never()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
