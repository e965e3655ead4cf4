//! Clients that prove themselves by the certificate of their connection (RFC 8705), against a server that demands one.

use std::{net::SocketAddr, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Certificate, ClientBuilder, Identity};
use serde_json::{Value, json};
use tokenkeep::{
    AuthMethod, ErrorCode, Grant, MemoryStore, OAuth, Registration, SigningAlgorithm, SigningKey,
};
use tokenkeep_testing::{Replies, Reply};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};

use crate::world::{CLIENT, refused};

// Of OpenSSL's making: an authority, its server and client, and a client that nobody vouches for. Valid for a hundred years.
const CA: &[u8] = include_bytes!("tls/ca.pem");
const SERVER: (&[u8], &[u8]) = (
    include_bytes!("tls/server.pem"),
    include_bytes!("tls/server.key"),
);
const CLIENT_OF_CA: (&[u8], &[u8]) = (
    include_bytes!("tls/client.pem"),
    include_bytes!("tls/client.key"),
);
const SELF_SIGNED: (&[u8], &[u8]) = (
    include_bytes!("tls/self-signed.pem"),
    include_bytes!("tls/self-signed.key"),
);

fn certificate(pem: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem).unwrap()
}

/// What came, and which certificate it came with.
struct Seen {
    head: String,
    body: String,
    certificate: CertificateDer<'static>,
}

/// A token endpoint and an API that nobody reaches without a certificate.
struct Server {
    address: SocketAddr,
    seen: mpsc::UnboundedReceiver<Seen>,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    /// Takes certificates that this one vouches for: an authority, or the certificate itself.
    async fn trusting(pem: &[u8]) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(certificate(pem)).unwrap();
        let verifier: Arc<dyn ClientCertVerifier> =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
                .build()
                .unwrap();
        let key = PrivateKeyDer::from_pem_slice(SERVER.1).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate(SERVER.0)], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = mpsc::unbounded_channel();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(acceptor.clone(), stream, sender.clone()));
            }
        });
        Self {
            address,
            seen,
            serving,
        }
    }

    fn at(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.address.port())
    }

    /// The application, with this HTTP client.
    fn app(&self, method: AuthMethod, http: ClientBuilder) -> Grant {
        let registration = Registration::new(CLIENT)
            .client_id("the-client")
            .access_token_url(self.at("token"))
            .api_base_url(self.at("api/"))
            .token_endpoint_auth_method(method);
        let oauth = OAuth::builder()
            .store(MemoryStore::new())
            .http_client(http)
            .register(registration)
            .build()
            .unwrap();
        oauth.client(CLIENT).unwrap().app()
    }
}

/// One request and its answer.
async fn answer(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    seen: mpsc::UnboundedSender<Seen>,
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let (_, connection) = stream.get_ref();
    let certificates = connection.peer_certificates().unwrap_or_default();
    let certificate = certificates[0].clone().into_owned();
    let mut read = Vec::new();
    let end = loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    while read.len() < end + length {
        stream.read_buf(&mut read).await?;
    }
    let body = String::from_utf8_lossy(&read[end..]).into_owned();
    let _ = seen.send(Seen {
        head,
        body,
        certificate,
    });
    let json = r#"{"access_token":"bound","token_type":"Bearer","expires_in":300}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{json}",
        json.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

fn http() -> ClientBuilder {
    ClientBuilder::new().tls_certs_only([Certificate::from_pem(CA).unwrap()])
}

fn identity((pem, key): (&[u8], &[u8])) -> Identity {
    Identity::from_pem(&[pem, key].concat()).unwrap()
}

#[tokio::test]
async fn the_certificate_of_the_connection_is_the_proof_and_nothing_else_is_sent() {
    for (method, trusted, own) in [
        (AuthMethod::TlsClientAuth, CA, CLIENT_OF_CA),
        (
            AuthMethod::SelfSignedTlsClientAuth,
            SELF_SIGNED.0,
            SELF_SIGNED,
        ),
    ] {
        let mut server = Server::trusting(trusted).await;
        let app = server.app(method, http().identity(identity(own)));
        app.token().await.unwrap();
        let asked = server.seen.recv().await.unwrap();
        assert_eq!(asked.certificate, certificate(own.0));
        assert!(asked.head.starts_with("post /token "), "{}", asked.head);
        assert!(!asked.head.contains("authorization"), "{}", asked.head);
        let mut sent: Vec<_> = asked.body.split('&').collect();
        sent.sort_unstable();
        assert_eq!(
            sent,
            ["client_id=the-client", "grant_type=client_credentials"]
        );
        // A token that is bound to the certificate goes out by the same client (section 3).
        assert_eq!(app.get("me").await.unwrap().status(), 200);
        let called = server.seen.recv().await.unwrap();
        assert_eq!(called.certificate, certificate(own.0));
        assert!(called.head.contains("authorization: bearer bound"));
    }
}

#[tokio::test]
async fn without_a_certificate_that_the_server_takes_there_is_no_token() {
    let mut server = Server::trusting(CA).await;
    for without in [http(), http().identity(identity(SELF_SIGNED))] {
        let app = server.app(AuthMethod::TlsClientAuth, without);
        let error = refused(app.token().await, ErrorCode::ProviderUnavailable);
        assert!(!format!("{error:?}").contains("PRIVATE"), "{error:?}");
    }
    // Nor is one sent to a server that nobody vouches for.
    let stranger = ClientBuilder::new().identity(identity(CLIENT_OF_CA));
    let app = server.app(AuthMethod::TlsClientAuth, stranger);
    refused(app.token().await, ErrorCode::ProviderUnavailable);
    assert!(server.seen.try_recv().is_err(), "no request got through");
}

/// The header of the assertion that a client with this key sends.
async fn header_of(key: SigningKey) -> Value {
    let answer = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 300});
    let replies = Replies::new().on("POST", "/token", Reply::json(answer));
    let registration = Registration::new(CLIENT)
        .client_id("the-client")
        .access_token_url("https://op.example/token")
        .signing_key(key);
    let oauth = OAuth::builder()
        .store(MemoryStore::new())
        .transport(replies.clone())
        .register(registration)
        .build()
        .unwrap();
    oauth.client(CLIENT).unwrap().app().token().await.unwrap();
    let sent = replies.requests();
    let body = String::from_utf8(sent[0].body.clone().unwrap()).unwrap();
    let (_, assertion) = body.split_once("client_assertion=").unwrap();
    let header = assertion.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

#[tokio::test]
async fn an_assertion_names_its_key_by_the_thumbprint_of_its_certificate() {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let key = || SigningKey::from_pem(SigningAlgorithm::Es256, text(CLIENT_OF_CA.1)).unwrap();
    let both = text(CLIENT_OF_CA.1) + &text(CLIENT_OF_CA.0);
    let named = key().with_certificate(&both).unwrap();
    // `openssl x509 -in client.pem -outform der | openssl dgst -sha256 -binary | basenc --base64url`
    let thumbprint = "A0_L7Me-pj_JLnhbPyUgT6Ydrq8WR9tpaRYJP-yaYrM";
    let expected = json!({"alg": "ES256", "typ": "JWT", "x5t#S256": thumbprint});
    assert_eq!(header_of(named).await, expected);
    let named = key().with_certificate(&both).unwrap().with_key_id("k");
    assert_eq!(header_of(named).await["kid"], "k");
    let unnamed = header_of(key()).await;
    assert_eq!(unnamed, json!({"alg": "ES256", "typ": "JWT"}));
    for (wrong, said) in [
        (text(SELF_SIGNED.0), "another key"),
        (text(CLIENT_OF_CA.1), "no PEM block of a certificate"),
        (
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----".to_owned(),
            "base64",
        ),
    ] {
        let error = refused(
            key().with_certificate(&wrong),
            ErrorCode::InvalidConfiguration,
        );
        assert!(error.message().contains(said), "{error}");
        assert!(!format!("{error:?}").contains("MIG"), "{error:?}");
    }
}
