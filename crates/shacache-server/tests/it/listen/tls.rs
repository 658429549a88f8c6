//! TLS in front of the accept loop, spoken to by the real OpenSSL and, where a client has to do
//! what no honest one does, by rustls with a resolver of its own.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
    SignatureScheme, StreamOwned, SupportedProtocolVersion,
};
use shacache_server::listen::KeyPair;

use super::*;
use crate::certificates::{Certificates, Pair, s_client};

mod agreement;
mod possession;

/// An authority, a server with a certificate of it, and a folder for more.
struct Secured {
    certificates: Certificates,
    authority: Pair,
    tls: Tls,
    server: Server,
}

impl Secured {
    fn start(limits: Limits) -> Self {
        let certificates = Certificates::new();
        let authority = certificates.own("authority", &["rsa:2048"]);
        let own = certificates.issued(&authority, "server", "2");
        let tls = Tls::new(KeyPair::read(&own.certificate, &own.key).expect("a good pair"));
        let address = "https://127.0.0.1:0".parse().expect("an address");
        let server = Server::start_with(&address, Some(tls.clone()), limits);
        Self { certificates, authority, tls, server }
    }

    /// What `openssl s_client` with these options gets for a request, or what it complains about.
    fn openssl(&self, options: &[&str], client: Option<&Pair>) -> Result<String, String> {
        s_client(self.server.address, "/certificate", &self.authority, options, client)
    }

    /// What a client that shows `chain` and signs with `key` gets as its proven certificate.
    fn shown(
        &self,
        version: &'static SupportedProtocolVersion,
        chain: Vec<CertificateDer<'static>>,
        key: &Pair,
    ) -> io::Result<String> {
        let config = self.client(version, chain, key);
        self.ask(&config).map(|(answer, _)| answer)
    }

    fn client(
        &self,
        version: &'static SupportedProtocolVersion,
        chain: Vec<CertificateDer<'static>>,
        key: &Pair,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&self.authority)).expect("an authority");
        let key = PrivateKeyDer::from_pem_file(&key.key).expect("a key");
        let provider = Arc::new(default_provider());
        let key = provider.key_provider.load_private_key(key).expect("a key for signing");
        let shows = Shows(Arc::new(CertifiedKey::new(chain, key)));
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("a version of TLS")
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(shows));
        Arc::new(config)
    }

    fn ask(&self, config: &Arc<ClientConfig>) -> io::Result<(String, Option<HandshakeKind>)> {
        let name = "127.0.0.1".try_into().expect("a name");
        let connection = ClientConnection::new(Arc::clone(config), name).expect("a client");
        let mut stream = StreamOwned::new(connection, self.server.connect().stream);
        stream.write_all(b"GET /certificate HTTP/1.1\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let shown = answer.rsplit("\r\n").next().unwrap_or_default().to_owned();
        Ok((shown, stream.conn.handshake_kind()))
    }
}

/// Shows its certificate whatever is asked for.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn certificate(pair: &Pair) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&pair.certificate).expect("a certificate")
}

const OLD_CLIENT: [&str; 2] = ["-cipher", "DEFAULT:@SECLEVEL=1"];

/// Certificates as clients in the field have them, and whether their key can be proven.
fn from_the_field(secured: &Secured) -> Vec<(&'static str, Pair, bool)> {
    let make = &secured.certificates;
    let stranger = make.own("stranger", &["rsa:2048"]);
    let curve = |name| ["ec", "-pkeyopt", name];
    vec![
        ("of the same authority", make.issued(&secured.authority, "known", "2"), true),
        ("expired", make.issued(&secured.authority, "expired", "-1"), true),
        ("of an unknown authority", make.issued(&stranger, "unknown", "2"), true),
        ("its own issuer, CA:TRUE", stranger, true),
        ("version 1", make.version_1("version-1", "rsa:2048"), true),
        ("version 1 with 1024 bits", make.version_1("version-1-1024", "rsa:1024"), false),
        ("1024 bits, CA:TRUE", make.own("short", &["rsa:1024"]), false),
        ("2047 bits", make.own("odd", &["rsa:2047"]), false),
        ("P-256", make.own("p256", &curve("ec_paramgen_curve:P-256")), true),
        ("P-521", make.own("p521", &curve("ec_paramgen_curve:P-521")), true),
        ("Ed25519", make.own("ed25519", &["ed25519"]), true),
    ]
}

#[test]
fn any_certificate_of_an_old_openssl_client_is_taken() {
    let secured = Secured::start(limits());
    for version in ["-tls1_2", "-tls1_3"] {
        let options = [&OLD_CLIENT[..], &[version]].concat();
        assert_eq!(secured.openssl(&options, None), Ok("none".to_owned()), "{version}");
        for (name, client, provable) in from_the_field(&secured) {
            let expected = if provable { client.fingerprint() } else { "none".to_owned() };
            assert_eq!(secured.openssl(&options, Some(&client)), Ok(expected), "{name}, {version}");
        }
    }
}

/// The negative control: with the library's own verifier the same clients get no further than the
/// handshake.
#[test]
fn the_librarys_verifier_would_break_downloads() {
    let secured = Secured::start(limits());
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&secured.authority)).expect("an authority");
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .expect("a verifier");
    let own = secured.certificates.issued(&secured.authority, "control", "2");
    let key = PrivateKeyDer::from_pem_file(&own.key).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("two versions of TLS")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate(&own)], key)
        .expect("a good pair");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");

    for (name, client, _) in from_the_field(&secured) {
        let (listener, config) = (listener.try_clone().expect("a socket"), Arc::clone(&config));
        let serving = thread::spawn(move || {
            let (socket, _) = listener.accept().expect("a client");
            let connection = ServerConnection::new(config).expect("a server");
            let mut stream = StreamOwned::new(connection, socket);
            let mut request = [0; 16];
            stream.read_exact(&mut request)?;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            stream.conn.send_close_notify();
            stream.flush()
        });
        let got = s_client(address, "/", &secured.authority, &OLD_CLIENT, Some(&client));
        let served = serving.join().expect("no panic");
        let welcome = name == "of the same authority";
        assert_eq!((got.is_ok(), served.is_ok()), (welcome, welcome), "{name}: {got:?}");
    }
}

#[test]
fn what_is_no_certificate_breaks_no_handshake() {
    let secured = Secured::start(limits());
    let mine = secured.certificates.own("mine", &["rsa:2048"]);
    let good = certificate(&mine);
    let mut bent = good.to_vec();
    bent[4] ^= 0xff;
    let cut = good[..good.len() / 2].to_vec();
    let too_many = vec![good.clone(); 20];
    let too_long = vec![good.clone(), vec![0; 50_000].into()];
    for (name, chain, expected) in [
        ("garbage", vec![vec![0xff; 100].into()], "none".to_owned()),
        ("one byte", vec![vec![0x30].into()], "none".to_owned()),
        ("cut short", vec![cut.into()], "none".to_owned()),
        ("bent", vec![bent.into()], "none".to_owned()),
        ("too many", too_many, "none".to_owned()),
        ("too long", too_long, "none".to_owned()),
        ("followed by garbage", vec![good, vec![0xff; 100].into()], mine.fingerprint()),
    ] {
        for version in [&TLS12, &TLS13] {
            let shown = secured.shown(version, chain.clone(), &mine);
            assert_eq!(shown.expect("a handshake"), expected, "{name}");
        }
    }
}

#[test]
fn no_session_is_resumed() {
    let secured = Secured::start(limits());
    let mine = secured.certificates.own("mine", &["rsa:2048"]);
    for version in [&TLS12, &TLS13] {
        let config = secured.client(version, vec![certificate(&mine)], &mine);
        for _ in 0..3 {
            let (answer, kind) = secured.ask(&config).expect("a handshake");
            assert_eq!((answer, kind), (mine.fingerprint(), Some(HandshakeKind::Full)));
        }
    }
}

#[test]
fn no_client_waits_for_a_delayed_acknowledgement() {
    let secured = Secured::start(limits());
    let mine = secured.certificates.own("mine", &["rsa:2048"]);
    let config = secured.client(&TLS13, vec![certificate(&mine)], &mine);
    let answered_in = || {
        let mut socket = secured.server.connect().stream;
        socket.set_nodelay(false).expect("Nagle's algorithm");
        let name = "127.0.0.1".try_into().expect("a name");
        let mut session = ClientConnection::new(Arc::clone(&config), name).expect("a client");
        while session.is_handshaking() {
            session.complete_io(&mut socket).expect("a handshake");
        }
        let asked = Instant::now();
        let mut stream = StreamOwned::new(session, socket);
        stream.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").expect("sent");
        stream.read_to_end(&mut Vec::new()).expect("an answer");
        asked.elapsed()
    };
    let quickest = std::iter::repeat_with(answered_in).take(10).min().expect("ten times");
    assert!(quickest < Duration::from_millis(35), "{quickest:?}");
}

#[test]
fn another_certificate_is_shown_from_the_next_handshake_on() {
    let secured = Secured::start(limits());
    let other = secured.certificates.own("other-authority", &["rsa:2048"]);
    let own = secured.certificates.issued(&other, "replacement", "2");
    secured.openssl(&[], None).expect("the old one");
    secured.tls.replace(KeyPair::read(&own.certificate, &own.key).expect("a good pair"));
    secured.openssl(&[], None).expect_err("the new one is of another authority");
    s_client(secured.server.address, "/", &other, &[], None).expect("which the client may know");
}

#[test]
fn every_form_of_key_can_be_read() {
    let make = Certificates::new();
    let rsa = make.own("rsa", &["rsa:2048"]);
    let ec = make.own("ec", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let bare = make.folder().join("bare.key");
    for (pair, convert, label) in [
        (&rsa, &["rsa", "-traditional"][..], "BEGIN RSA PRIVATE KEY"),
        (&ec, &["ec"], "BEGIN EC PRIVATE KEY"),
    ] {
        KeyPair::read(&pair.certificate, &pair.key).expect("PKCS#8");
        let mut openssl = Command::new("openssl");
        openssl.args(convert).arg("-in").arg(&pair.key).arg("-out").arg(&bare);
        assert!(openssl.output().expect("openssl runs").status.success());
        let text = fs::read_to_string(&bare).expect("a file");
        assert!(text.contains(label), "{text}");
        KeyPair::read(&pair.certificate, &bare).expect(label);
        let both = make.folder().join("both.pem");
        let text = text + &fs::read_to_string(&pair.certificate).expect("a file");
        fs::write(&both, text).expect("a file");
        KeyPair::read(&both, &both).expect("both in one file");
    }
}

#[test]
fn what_cannot_be_shown_is_told_by_its_file() {
    let make = Certificates::new();
    let (one, other) = (make.own("one", &["rsa:2048"]), make.own("other", &["rsa:2048"]));
    let nothing = make.folder().join("nothing");
    fs::write(&nothing, "").expect("a file");
    let broken = make.folder().join("broken");
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
        .expect("a file");
    let missing = make.folder().join("missing");
    for (certificate, key, expected) in [
        (&missing, &one.key, "missing: No such file or directory (os error 2)"),
        (&one.certificate, &missing, "missing: No such file or directory (os error 2)"),
        (&nothing, &one.key, "nothing: no certificate in this file"),
        (&broken, &one.key, "broken: "),
        (
            &one.certificate,
            &one.certificate,
            "one.crt: no private key in this file that is not encrypted",
        ),
        (&one.certificate, &other.key, "one.crt with the key in "),
    ] {
        let error = KeyPair::read(certificate, key).expect_err(expected);
        let error = shacache_store::error::Chain(&error).to_string();
        let folder = format!("{}/", make.folder().display());
        let error = error.strip_prefix(&folder).expect("it begins with the file");
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_handshake_that_stalls_is_given_up() {
    const LIMIT: Duration = Duration::from_millis(400);
    let secured = Secured::start(Limits { handshake: LIMIT, ..limits() });
    // Nothing; the beginning of a hello.
    for begun in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00"] {
        let mut client = secured.server.connect();
        client.send(begun);
        takes(LIMIT, || client.expect_closed());
    }
    secured.server.wait_for_open(0);
    assert_eq!(secured.server.counters.handshake_timeouts(), 2);
}

#[test]
fn after_the_handshake_the_first_line_has_its_own_limit() {
    const LIMIT: Duration = Duration::from_millis(400);
    let secured = Secured::start(Limits { first_byte: LIMIT, ..limits() });
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-connect", &secured.server.address.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut silent = command.spawn().expect("openssl runs");
    wait_until("the handshake", || secured.server.counters.handshakes() == 1);
    takes(LIMIT, || secured.server.wait_for_open(0));
    assert_eq!(secured.server.counters.first_byte_timeouts(), 1);
    silent.wait().expect("it ends with the connection");
}

#[test]
fn plain_http_where_tls_is_spoken_is_refused() {
    let secured = Secured::start(limits());
    let mut client = secured.server.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut said = Vec::new();
    client.stream.read_to_end(&mut said).expect("an alert and the end");
    assert_eq!(said.first(), Some(&0x15), "{said:?}");
    wait_until("it to be counted", || secured.server.counters.handshakes_failed() == 1);
}

#[test]
fn stalled_handshakes_give_way_to_new_ones() {
    let secured = Secured::start(Limits { handshakes: 2, ..limits() });
    let _stalled = [secured.server.connect(), secured.server.connect()];
    secured.server.wait_for_open(2);
    assert_eq!(secured.openssl(&[], None), Ok("none".to_owned()));
    assert_eq!(secured.server.counters.handshakes_given_up(), 1);
}

#[test]
fn a_stop_does_not_wait_for_handshakes() {
    let mut secured = Secured::start(Limits { shutdown_grace: 20 * PATIENCE, ..limits() });
    let mut stalled = secured.server.connect();
    secured.server.wait_for_open(1);
    secured.server.stop.take();
    let stopped = Instant::now();
    assert_eq!(secured.server.drained(), Drain::Complete);
    assert!(stopped.elapsed() < PATIENCE);
    stalled.expect_closed();
}
