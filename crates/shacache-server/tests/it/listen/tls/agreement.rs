//! Which versions of TLS and which ciphers a client can come to an agreement on, as `openssl` finds
//! out.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use super::*;

#[test]
fn only_tls_1_2_and_1_3_with_forward_secrecy_and_aead() {
    let secured = Secured::start(limits());
    for options in [
        &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"][..],
        &["-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"],
        &["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"],
        &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
    ] {
        assert_eq!(secured.openssl(options, None), Ok("none".to_owned()), "{options:?}");
    }
    for options in [
        &["-tls1", "-cipher", "DEFAULT:@SECLEVEL=0"][..],
        &["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
        &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256"],
        &["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"],
        &["-alpn", "h2"],
    ] {
        let refused = secured.openssl(options, None).expect_err("no handshake");
        assert!(refused.contains(" alert "), "{options:?}: {refused}");
    }
    assert_eq!(secured.openssl(&["-alpn", "h2,http/1.1"], None), Ok("none".to_owned()));
    assert_eq!(secured.server.counters.handshakes_failed(), 6);
    assert_eq!(secured.server.counters.handshakes(), 5);
}

/// Everything that OpenSSL can offer is offered, and of each version all that is taken is taken
/// out of the offer until nothing of it is left. A server of OpenSSL that takes anything shows that
/// more would be found.
#[test]
fn whatever_is_offered_nothing_else_is_agreed_on() {
    let secured = Secured::start(limits());
    assert_eq!(agreed(secured.server.address), MODERN);
    let own = secured.certificates.issued(&secured.authority, "anything", "2");
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr();
    let address = port.expect("an address");
    let mut anything = Command::new("openssl")
        .args(["s_server", "-quiet", "-cipher", ANY_CIPHER, "-accept", &address.to_string()])
        .arg("-cert")
        .arg(&own.certificate)
        .arg("-key")
        .arg(&own.key)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs");
    wait_until("it to listen", || TcpStream::connect(address).is_ok());
    let found = agreed(address);
    anything.kill().expect("it runs");
    anything.wait().expect("it ends");
    for expected in ["TLSv1 ECDHE-RSA-AES256-SHA", "TLSv1.1 AES128-SHA", "TLSv1.2 AES256-SHA256"] {
        assert!(found.iter().any(|it| it == expected), "{expected} is not in {found:?}");
    }
    assert!(MODERN.iter().all(|modern| found.iter().any(|it| it == modern)), "{found:?}");
}

/// Each version and cipher that a server agrees on.
fn agreed(address: SocketAddr) -> Vec<String> {
    let mut all = Vec::new();
    for (version, name) in
        [("-tls1", "TLSv1"), ("-tls1_1", "TLSv1.1"), ("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")]
    {
        let mut taken: Vec<String> = Vec::new();
        loop {
            let left = |offer: &[&str]| -> Vec<String> {
                let left = offer.iter().filter(|suite| !taken.iter().any(|it| it == *suite));
                left.map(|suite| (*suite).to_owned()).collect()
            };
            let offer = match version {
                "-tls1_3" => ["-ciphersuites".to_owned(), left(&SUITES_OF_1_3).join(":")],
                _ => {
                    let without = taken.iter().map(|cipher| format!(":!{cipher}"));
                    ["-cipher".to_owned(), format!("{ANY_CIPHER}{}", without.collect::<String>())]
                }
            };
            if offer[1].is_empty() {
                break;
            }
            let output = Command::new("openssl")
                .args(["s_client", "-brief", version, "-connect", &address.to_string()])
                .args(offer)
                .stdin(Stdio::null())
                .output()
                .expect("openssl runs");
            let said = String::from_utf8_lossy(&output.stderr);
            let value = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
            let Some(cipher) = value("Ciphersuite: ") else { break };
            assert_eq!(value("Protocol version: "), Some(name), "{said}");
            taken.push(cipher.to_owned());
        }
        all.extend(taken.into_iter().map(|cipher| format!("{name} {cipher}")));
    }
    all.sort();
    all
}

const ANY_CIPHER: &str = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";
const SUITES_OF_1_3: [&str; 5] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_CCM_SHA256",
    "TLS_AES_128_CCM_8_SHA256",
];
/// With a certificate of RSA: forward secrecy and authenticated encryption, all of them.
const MODERN: [&str; 6] = [
    "TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256",
    "TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384",
    "TLSv1.2 ECDHE-RSA-CHACHA20-POLY1305",
    "TLSv1.3 TLS_AES_128_GCM_SHA256",
    "TLSv1.3 TLS_AES_256_GCM_SHA384",
    "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256",
];
