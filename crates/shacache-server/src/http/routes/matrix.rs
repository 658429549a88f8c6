//! Who may do what, written down: every operation of the route table under every policy, asked for
//! by everybody who could, against `testdata/access.txt`. A new route makes a column that the file
//! does not have. `SHACACHE_WRITE_ACCESS=1` writes the file, for a reader to judge the difference.
//! A column holds several requests where all of them have to end alike; where they do not, the file
//! would show each status.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
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
use shacache_core::trust::Certificate;

use super::{Operation, Place, Resource, Route, ops, table};
use crate::access::{KeyPattern, NewToken, Right, Role, UploadPolicy};
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
    /// What is put as an entry; nobody signed it unless it says otherwise.
    entry: String,
}

fn asking(who: &'static str) -> Asking {
    let entry = format!("[\"{{\\\"sha512\\\": \\\"{}\\\"}}\", \"\"]", Digest::of(BLOB));
    let address = Some("198.51.100.1:1");
    Asking { who, address, certificate: None, headers: Vec::new(), query: None, entry }
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

    /// Shows one from whose key nothing follows, because its signatures cannot be checked.
    fn shows_in_vain(self, certificate: &Path) -> Self {
        let chain = [CertificateDer::from_pem_file(certificate).unwrap()];
        assert!(ClientCertificate::proven(&chain).is_none(), "{}", self.who);
        self
    }

    fn puts(self, entry: &str) -> Self {
        Self { entry: entry.to_owned(), ..self }
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
    let no_keys = vec!["other-*".parse().unwrap()];
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
        asking("a listed key of 1024 bits").shows_in_vain(&folder.join("short.pem")),
        asking("nobody, a listed signer's entry").puts(LISTED_ENTRY),
        asking("nobody, another signer's entry").puts(STRANGE_ENTRY),
        asking("a token for all, listed signer").bearer(&good).puts(LISTED_ENTRY),
        asking("a token for all, another signer").bearer(&good).puts(STRANGE_ENTRY),
        asking("a wrong token, listed signer").bearer(&wrong).puts(LISTED_ENTRY),
        asking("a token to put other keys, same")
            .bearer(&token(NewToken { keys: no_keys, ..new("none", &[Role::Put]) }))
            .puts(LISTED_ENTRY),
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
        openssl req -x509 $key -keyout key -out unknown.pem -subj /CN=builder -days 30
        openssl req -x509 -newkey rsa:1024 -nodes -keyout key -out short.pem -subj /CN=short";
    let made = Command::new("/bin/sh").args(["-c", script]).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn open(folder: &Path, data: &Path, upload: &str, download: &str) -> App {
    let listed = CertificateDer::from_pem_file(folder.join("listed.pem")).unwrap();
    let listed = *ClientCertificate::proven(&[listed]).unwrap().fingerprint();
    let short = Certificate::from_pem(&fs::read_to_string(folder.join("short.pem")).unwrap());
    let short = *short.unwrap().public_key().fingerprint();
    let ca = folder.join("ca.pem").display().to_string();
    let settings = format!(
        "[upload]\npolicy = \"{upload}\"\n[download]\npolicy = \"{download}\"\n\
         [trust]\ncertificates = [\"../shacache-core/testdata/golden/tool.pem\"]\n\
         [[identity]]\nname = \"factory\"\nroles = [\"read\", \"upload\", \"put\"]\n\
         authorities = \"{ca}\"\ncommon-names = [\"builder\"]\n\
         [[identity]]\nname = \"listed\"\nroles = [\"upload\", \"put\"]\n\
         certificates = [\"{listed}\", \"{short}\"]\n"
    );
    let file = folder.join("server.toml");
    fs::write(&file, settings).unwrap();
    let data = Some(data.display().to_string());
    let overrides = Overrides { file: Some(file), data, ..Overrides::default() };
    App::open(&config::load(&overrides).unwrap()).unwrap()
}

/// What is asked by everybody: some requests that have to end alike.
struct Question {
    text: String,
    requests: Vec<(Method, String)>,
}

/// Each operation on each of its paths, and what no operation is there for.
fn questions(table: &[Resource]) -> Vec<Question> {
    let mut questions = Vec::new();
    let mut options = Vec::new();
    let mut others = Vec::new();
    for resource in table {
        let mount = match resource.place {
            Place::Shacache => "/shacache",
            Place::Shadir => "/shadir",
            Place::Server => "",
        };
        for path in resource.paths {
            let digest = Digest::of(BLOB).to_string();
            let target = path.replace("{digest}", &digest).replace("{*key}", "key");
            let target = format!("{mount}{target}");
            for Operation { method, .. } in &resource.operations {
                let mut methods = vec![method.clone()];
                if *method == Method::GET {
                    methods.push(Method::HEAD);
                }
                let names: Vec<_> = methods.iter().map(Method::as_str).collect();
                let text = format!("{} {mount}{path}", names.join(", "));
                let requests = methods.into_iter().map(|method| (method, target.clone()));
                questions.push(Question { text, requests: requests.collect() });
            }
            options.push((Method::OPTIONS, target.clone()));
            let has = |method: &Method| resource.operations.iter().any(|it| it.method == *method);
            let missing = METHODS.into_iter().filter(|method| !has(method));
            others.extend(missing.map(|method| (method, target.clone())));
        }
    }
    let nowhere = METHODS.map(|method| (method, "/shadirs/key".to_owned()));
    questions.push(Question { text: "OPTIONS of every path".to_owned(), requests: options });
    questions.push(Question { text: "other methods of every path".to_owned(), requests: others });
    questions.push(Question { text: "a path that is none".to_owned(), requests: nowhere.into() });
    questions
}

async fn status(answers: &Answers, asking: &Asking, method: &Method, target: &str) -> u16 {
    let query = asking.query.iter().map(|query| format!("?{query}"));
    let target = query.fold(target.to_owned(), |target, query| target + &query);
    let is_write = *method == Method::POST || *method == Method::PUT;
    let body = match target.starts_with("/shadir") {
        _ if !is_write => Body::empty(),
        true => Body::from(asking.entry.clone()),
        false => Body::from(BLOB),
    };
    let mut request = Request::builder().method(method).uri(&target).header("host", "a");
    for (name, value) in &asking.headers {
        request = request.header(*name, value);
    }
    let request = request.body(body).unwrap();
    let listener = Arc::new("192.0.2.1:80".parse().unwrap());
    let mut peer = Peer::new(asking.address.map(|address| address.parse().unwrap()), listener);
    if let Some(certificate) = &asking.certificate {
        peer = peer.with_certificate(certificate.clone());
    }
    answers.clone().answer(request, Some(peer)).await.status().as_u16()
}

/// The columns by their numbers.
fn legend(questions: &[Question]) -> String {
    let mut text = String::new();
    for (number, question) in questions.iter().enumerate() {
        writeln!(text, "{:2}  {}", number + 1, question.text).unwrap();
    }
    text
}

/// What everybody is answered under two policies; under another one of uploads where `rule` says so.
async fn answered(
    folder: &Path,
    questions: &[Question],
    (upload, download): (&str, &str),
    rule: Option<UploadPolicy>,
) -> String {
    let data = tempfile::tempdir_in(folder).unwrap();
    let app = open(folder, data.path(), upload, download);
    let policy = rule.unwrap_or_else(|| app.access().upload_policy([].into_iter()));
    let everybody = everybody(&app, folder);
    fill(&app).await;
    let mut text = format!("upload {upload}, download {download}\n{:36}", "");
    for number in 1..=questions.len() {
        write!(text, "  {number:3}").unwrap();
    }
    text.push('\n');
    for asking in &everybody {
        let answers = Answers::new(app.clone(), policy);
        write!(text, "{:36}", asking.who).unwrap();
        for question in questions {
            let mut statuses = BTreeSet::new();
            for (method, target) in &question.requests {
                // Each starts without a record of failures: they are counted by another test.
                app.access().forget_failures();
                statuses.insert(status(&answers, asking, method, target).await.to_string());
            }
            let statuses: Vec<_> = statuses.into_iter().collect();
            write!(text, "  {}", statuses.join("/")).unwrap();
        }
        text.push('\n');
    }
    app.store().close().await.unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_do_what_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let questions = questions(&table());
    let mut text = legend(&questions);
    for policies in POLICIES {
        text.push('\n');
        text += &answered(folder.path(), &questions, policies, None).await;
    }
    if env::var_os("SHACACHE_WRITE_ACCESS").is_some() {
        fs::write(path(), &text).unwrap();
    }
    let written = written();
    let differing = written.lines().zip(text.lines()).find(|(written, found)| written != found);
    assert!(written == text, "{differing:#?}\n{text}");
}

/// The negative controls: a server that does not ask for rights, and a route that nobody wrote down.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_written_down_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let mut table = table();
    let legend_of_all = legend(&questions(&table));
    assert!(written().starts_with(&legend_of_all));

    let policies = ("credentials", "open");
    let written_down = |answered: &String| written().contains(&format!("\n\n{answered}"));
    let questions_of_all = questions(&table);
    let checked = answered(folder.path(), &questions_of_all, policies, None).await;
    assert!(written_down(&checked));
    let unchecked = Some(UploadPolicy::Open);
    let unchecked = answered(folder.path(), &questions_of_all, policies, unchecked).await;
    assert!(!written_down(&unchecked));

    let another = Resource::new(Place::Server, &["/another"], Route::Operations);
    table.push(another.get(Right::Nothing, "getAnother", "", &[200], ops::healthy));
    assert!(!written().starts_with(&legend(&questions(&table))));
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/access.txt")
}

fn written() -> String {
    fs::read_to_string(path()).unwrap_or_default()
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

const POLICIES: [(&str, &str); 6] = [
    ("read-only", "open"),
    ("open", "open"),
    ("credentials", "open"),
    ("signed", "open"),
    ("credentials+signed", "open"),
    ("credentials", "credentials"),
];
const METHODS: [Method; 5] =
    [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
const BLOB: &[u8] = b"hello";
/// Of the one signer whose certificate is listed, and of one whose is not.
const LISTED_ENTRY: &str = include_str!("../../../../shacache-core/testdata/golden/tool.json");
const STRANGE_ENTRY: &str = include_str!("../../../../shacache-core/testdata/golden/expired.json");
