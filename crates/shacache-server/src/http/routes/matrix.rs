//! Who may do what, written down: every operation of the route table under every policy, asked for
//! by everybody who could, against `testdata/access.txt`. A new route makes a column that the file
//! does not have. `SHACACHE_WRITE_ACCESS=1` writes the file, for a reader to judge the difference.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::{env, fs};

use axum::body::Body;
use data_encoding::BASE64;
use http::header::AUTHORIZATION;
use http::{Method, Request};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use shacache_core::digest::Digest;

use super::{Operation, Place, table};
use crate::access::{KeyPattern, NewToken, Role};
use crate::app::App;
use crate::config::{self, Overrides};
use crate::http::Answers;
use crate::listen::{ClientCertificate, Peer};

/// Somebody who asks.
struct Asking {
    who: &'static str,
    address: Option<&'static str>,
    certificate: Option<ClientCertificate>,
    headers: Vec<(&'static str, String)>,
    query: Option<String>,
}

fn asking(who: &'static str) -> Asking {
    let address = Some("198.51.100.1:1");
    Asking { who, address, certificate: None, headers: Vec::new(), query: None }
}

impl Asking {
    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    fn bearer(self, token: &str) -> Self {
        self.with(AUTHORIZATION.as_str(), format!("Bearer {token}"))
    }

    fn basic(self, name: &str, password: &str) -> Self {
        let pair = BASE64.encode(format!("{name}:{password}").as_bytes());
        self.with(AUTHORIZATION.as_str(), format!("Basic {pair}"))
    }

    fn query(self, token: &str) -> Self {
        Self { query: Some(format!("token={token}")), ..self }
    }

    fn shows(self, certificate: &Path) -> Self {
        let chain = [CertificateDer::from_pem_file(certificate).unwrap()];
        let certificate = ClientCertificate::proven(&chain);
        assert!(certificate.is_some(), "{}", self.who);
        Self { certificate, ..self }
    }
}

/// Everybody, given the tokens that were made for them.
fn everybody(app: &App, folder: &Path) -> Vec<Asking> {
    let new = |name: &str, roles: &[Role]| NewToken {
        name: name.to_owned(),
        roles: roles.to_vec(),
        keys: vec![KeyPattern::all()],
        expires_in_days: None,
        in_query: false,
        password: None,
    };
    let tokens = app.access().tokens();
    let token = |new: NewToken| tokens.add(new).unwrap().token.unwrap();
    let all = [Role::Read, Role::Upload, Role::Put, Role::Admin];
    let revoked = token(new("revoked", &all));
    tokens.revoke("revoked").unwrap();
    let expired = token(NewToken { expires_in_days: Some(0), ..new("expired", &all) });
    let good = token(new("good", &all));
    let unknown = good.replacen(&good[9..21], "000000000000", 1);
    let wrong = format!("{}{}", &good[..good.len() - 4], "0000");
    let other_keys = vec!["other-*".parse().unwrap()];
    let some_keys = vec!["other-*".parse().unwrap(), "k*y".parse().unwrap()];
    let password = Some("correct password".to_owned());
    tokens.add(NewToken { password, ..new("person", &[Role::Upload, Role::Put]) }).unwrap();
    let in_query = token(NewToken { in_query: true, ..new("query", &all) });

    vec![
        asking("nobody"),
        Asking { address: Some("127.0.0.1:1"), ..asking("nobody, from loopback") },
        Asking { address: None, ..asking("nobody, over a Unix socket") },
        asking("an unreadable header").with("authorization", "Bearer".to_owned()),
        asking("another scheme").with("authorization", "Negotiate YQ==".to_owned()),
        asking("an unknown token").bearer(&unknown),
        asking("a known id, another secret").bearer(&wrong),
        asking("a revoked token").bearer(&revoked),
        asking("an expired token").bearer(&expired),
        asking("a token for all").bearer(&good),
        asking("a token to read").bearer(&token(new("reader", &[Role::Read]))),
        asking("a token to upload").bearer(&token(new("uploader", &[Role::Upload]))),
        asking("a token to put").bearer(&token(new("putter", &[Role::Put]))),
        asking("a token to put some keys")
            .bearer(&token(NewToken { keys: some_keys, ..new("some", &[Role::Put]) })),
        asking("a token to put other keys")
            .bearer(&token(NewToken { keys: other_keys, ..new("others", &[Role::Put]) })),
        asking("a token to administer").bearer(&token(new("admin", &[Role::Admin]))),
        asking("a token as a password").basic("good", &good),
        asking("another's token as a password").basic("person", &good),
        asking("a password").basic("person", "correct password"),
        asking("a wrong password").basic("person", "another password"),
        asking("a password of nobody").basic("nobody", "correct password"),
        asking("a name without a password").basic("good", "correct password"),
        asking("a query token").query(&in_query),
        asking("a token that is none for queries").query(&good),
        asking("a wrong query token").query(&unknown),
        asking("two tokens").bearer(&good).query(&in_query),
        asking("a certificate of the authority").shows(&folder.join("builder.pem")),
        asking("the same with a wrong token").shows(&folder.join("builder.pem")).bearer(&wrong),
        asking("the authority's, another name").shows(&folder.join("stranger.pem")),
        asking("the authority's, expired").shows(&folder.join("expired.pem")),
        asking("the authority's, for servers").shows(&folder.join("server.pem")),
        asking("a listed key, expired, self-signed").shows(&folder.join("listed.pem")),
        asking("an unknown certificate").shows(&folder.join("unknown.pem")),
        asking("headers that proxies set")
            .with("x-forwarded-for", "127.0.0.1".to_owned())
            .with("forwarded", "for=127.0.0.1;by=unix".to_owned())
            .with("x-real-ip", "::1".to_owned())
            .with("remote-user", "good".to_owned())
            .with("x-forwarded-user", "good".to_owned())
            .with("x-ssl-client-verify", "SUCCESS".to_owned())
            .with("x-ssl-client-s-dn", "CN=builder".to_owned())
            .with("ssl-client-verify", "SUCCESS".to_owned()),
    ]
}

/// Makes what clients show: an authority and its certificates, and two of nobody.
fn make_certificates(folder: &Path) {
    let script = "set -e
        key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        openssl req -x509 $key -keyout ca.key -out ca.pem -subj /CN=authority -days 30
        issue() {
            openssl req -new $key -keyout key -out request -subj /CN=$2
            printf \"extendedKeyUsage=$4\\n\" > extensions
            openssl x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -days $3 \
                -extfile extensions -out $1.pem
        }
        issue builder builder 30 clientAuth
        issue stranger stranger 30 clientAuth
        issue expired builder -1 clientAuth
        issue server builder 30 serverAuth
        openssl req -new $key -keyout listed.key -out request -subj /CN=listed
        openssl x509 -req -in request -signkey listed.key -days -1 -out listed.pem
        openssl req -x509 $key -keyout key -out unknown.pem -subj /CN=builder -days 30";
    let made = Command::new("/bin/sh").args(["-c", script]).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn open(folder: &Path, upload: &str, download: &str) -> App {
    let listed = CertificateDer::from_pem_file(folder.join("listed.pem")).unwrap();
    let listed = *ClientCertificate::proven(&[listed]).unwrap().fingerprint();
    let ca = folder.join("ca.pem").display().to_string();
    let settings = format!(
        "[upload]\npolicy = \"{upload}\"\n[download]\npolicy = \"{download}\"\n\
         [trust]\ncertificates = [\"../shacache-core/testdata/golden/tool.pem\"]\n\
         [[identity]]\nname = \"factory\"\nroles = [\"read\", \"upload\", \"put\"]\n\
         authorities = \"{ca}\"\ncommon-names = [\"builder\"]\n\
         [[identity]]\nname = \"listed\"\nroles = [\"upload\", \"put\"]\n\
         certificates = [\"{listed}\"]\n"
    );
    let file = folder.join("server.toml");
    fs::write(&file, settings).unwrap();
    let data = folder.join(format!("{upload}-{download}")).display().to_string();
    let overrides = Overrides { file: Some(file), data: Some(data), ..Overrides::default() };
    App::open(&config::load(&overrides).unwrap()).unwrap()
}

/// The method and target of each operation on each of its paths.
fn questions() -> Vec<(String, Method, String)> {
    let mut questions = Vec::new();
    for resource in table() {
        let mount = match resource.place {
            Place::Shacache => "/shacache",
            Place::Shadir => "/shadir",
            Place::Server => "",
        };
        for path in resource.paths {
            // The empty key is refused before anybody is asked for anything.
            if resource.place == Place::Shadir && *path == "/" {
                continue;
            }
            let digest = Digest::of(BLOB).to_string();
            let target = path.replace("{digest}", &digest).replace("{*key}", "key");
            for Operation { method, .. } in &resource.operations {
                let question = format!("{method} {mount}{path}");
                questions.push((question, method.clone(), format!("{mount}{target}")));
            }
        }
    }
    questions
}

async fn status(answers: &Answers, asking: &Asking, method: &Method, target: &str) -> u16 {
    let query = asking.query.iter().map(|query| format!("?{query}"));
    let target = query.fold(target.to_owned(), |target, query| target + &query);
    let body = match target.starts_with("/shadir") {
        true => format!("[\"{{\\\"sha512\\\": \\\"{}\\\"}}\", \"\"]", Digest::of(BLOB)).into(),
        false => BLOB.to_vec(),
    };
    let body = if *method == Method::GET { Body::empty() } else { Body::from(body) };
    let mut request = Request::builder().method(method).uri(&target).header("host", "a");
    for (name, value) in &asking.headers {
        request = request.header(*name, value);
    }
    let mut request = request.body(body).unwrap();
    let listener = Arc::new("192.0.2.1:80".parse().unwrap());
    let mut peer = Peer::new(asking.address.map(|address| address.parse().unwrap()), listener);
    if let Some(certificate) = &asking.certificate {
        peer = peer.with_certificate(certificate.clone());
    }
    request.extensions_mut().insert(peer);
    answers.clone().answer(request).await.status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_do_what_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let questions = questions();
    let mut text = String::new();
    for (number, (question, _, _)) in questions.iter().enumerate() {
        writeln!(text, "{:2}  {question}", number + 1).unwrap();
    }
    for (upload, download) in [
        ("read-only", "open"),
        ("open", "open"),
        ("credentials", "open"),
        ("signed", "open"),
        ("credentials+signed", "open"),
        ("credentials", "credentials"),
    ] {
        let app = open(folder.path(), upload, download);
        let policy = app.access().upload_policy([].into_iter());
        let everybody = everybody(&app, folder.path());
        fill(&app).await;
        write!(text, "\nupload {upload}, download {download}\n{:36}", "").unwrap();
        for number in 1..=questions.len() {
            write!(text, "  {number:3}").unwrap();
        }
        text.push('\n');
        for asking in &everybody {
            // Each starts without a record of failures: they are counted by another test.
            let answers = Answers::new(app.clone(), policy);
            app.access().forget_failures();
            write!(text, "{:36}", asking.who).unwrap();
            for (_, method, target) in &questions {
                write!(text, "  {}", status(&answers, asking, method, target).await).unwrap();
            }
            text.push('\n');
        }
        app.store().close().await.unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/access.txt");
    if env::var_os("SHACACHE_WRITE_ACCESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differing = written.lines().zip(text.lines()).find(|(written, found)| written != found);
    assert!(written == text, "{differing:#?}\n{text}");
}

/// What can be got, so that an answer of 404 does not hide one of 401.
async fn fill(app: &App) {
    let blobs = app.store().blobs();
    let mut incoming = blobs.incoming(None).unwrap();
    incoming.write(BLOB.into()).await.unwrap();
    incoming.commit(None).await.unwrap();
    let body = format!("[\"{{\\\"sha512\\\": \\\"{}\\\"}}\", \"\"]", Digest::of(BLOB));
    let entry = shacache_core::entry::SignedEntry::from_body(body.as_bytes()).unwrap();
    let key = shacache_core::key::Key::from_path(b"key").unwrap();
    app.store().directory().append(&key, entry).await.unwrap();
}

const BLOB: &[u8] = b"hello";
