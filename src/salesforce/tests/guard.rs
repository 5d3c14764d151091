//! Tests of the dial guard: hostile URLs, rebinding names, servers that redirect to other hosts.
//! None of them gets a connection.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use url::Url;

use super::{password, quick};
use crate::salesforce::Connection;
use crate::salesforce::answers::meaning::Meaning;
use crate::salesforce::credentials::environment::ApiVersion;
use crate::salesforce::transport::Transport;
use crate::salesforce::transport::dial::{DialError, DialPolicy, Lookup, proxy_hosts};

/// A resolver that answers from a list, with another entry each time.
struct Rebinding {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Rebinding {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(|ip| ip.parse().unwrap()).collect())
            .collect();
        Arc::new(Self {
            answers,
            asked: AtomicUsize::new(0),
        })
    }
}

impl Lookup for Rebinding {
    fn lookup(
        &self,
        _host: String,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        let place = self.asked.fetch_add(1, Ordering::SeqCst) % self.answers.len();
        let answer = self.answers[place].clone();
        Box::pin(async move { Ok(answer) })
    }
}

#[test]
fn forty_hostile_urls_are_refused_by_their_text() {
    let policy = DialPolicy::new(&[], false, None).unwrap();
    let hostile = [
        "http://login.salesforce.com/",
        "ftp://login.salesforce.com/",
        "file:///etc/passwd",
        "gopher://login.salesforce.com/",
        "data:text/plain,hello",
        "unix:/run/docker.sock",
        "https://salesforce.com/",
        "https://evilsalesforce.com/",
        "https://login.salesforce.com.evil.example/",
        "https://login.salesforce.com@evil.example/",
        "https://user:pass@login.salesforce.com/",
        "https://user@login.salesforce.com/",
        "https://evil.example/login.salesforce.com",
        "https://evil.example/?.salesforce.com",
        "https://evil.example/#.salesforce.com",
        "https://evil.example%2f.salesforce.com/",
        "https://login.salesforce.com.:443/",
        "https://.salesforce.com/",
        "https://login.salesforce.com:22/",
        "https://login.salesforce.com:8443/",
        "https://login.salesforce.com:0/",
        "https://login.salesf\u{043e}rce.com/",
        "https://login.salesforce.com\u{3002}evil.example/",
        "https://force.com/",
        "https://xforce.com/",
        "https://localhost/",
        "https://kubernetes.default.svc/",
        "https://metadata.google.internal/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://8.8.8.8/",
        "https://[2001:4860:4860::8888]/",
    ];
    assert!(hostile.len() >= 40);
    for text in hostile {
        if let Ok(url) = Url::parse(text) {
            assert!(policy.check(&url).is_err(), "{text}");
        }
    }
    for good in [
        "https://login.salesforce.com/",
        "https://test.salesforce.com",
        "https://acme.my.salesforce.com",
        "https://acme--dev.sandbox.my.salesforce.com/",
        "https://LOGIN.SALESFORCE.COM:443/x",
        "https://acme.lightning.force.com/",
    ] {
        assert_eq!(policy.check(&Url::parse(good).unwrap()), Ok(()), "{good}");
    }
}

#[test]
fn the_operator_names_hosts_and_ports() {
    let policy = |hosts: &[&str], private| {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        DialPolicy::new(&hosts, private, None)
    };
    let check = |policy: &DialPolicy, url: &str| policy.check(&Url::parse(url).unwrap());
    let own = policy(
        &[
            "sim.example:8443",
            "*.corp.example",
            "127.0.0.1",
            "[::1]:9",
            "2600::1",
        ],
        true,
    )
    .unwrap();
    for good in [
        "https://sim.example:8443/",
        "https://a.b.corp.example:99/",
        "https://127.0.0.1:5/",
        "https://[::1]:9/",
        "https://[2600::1]/",
    ] {
        assert_eq!(check(&own, good), Ok(()), "{good}");
    }
    for bad in [
        "https://sim.example/",
        "https://corp.example/",
        "https://login.salesforce.com/",
        "https://127.0.0.2/",
        "https://[::1]/",
    ] {
        assert!(check(&own, bad).is_err(), "{bad}");
    }
    // An address in the list of hosts does not permit private networks.
    let strict = policy(&["127.0.0.1", "169.254.169.254"], false).unwrap();
    assert!(matches!(
        check(&strict, "https://127.0.0.1/"),
        Err(DialError::PrivateAddress { .. })
    ));
    let open = policy(&["169.254.169.254"], true).unwrap();
    assert!(matches!(
        check(&open, "https://169.254.169.254/"),
        Err(DialError::ForbiddenAddress { .. })
    ));
    for broken in [
        "",
        "*",
        "*.",
        "a b",
        "https://x",
        "x:0",
        "x:99999",
        "a.*.b",
        "x.",
    ] {
        assert!(policy(&[broken], false).is_err(), "{broken}");
    }
}

#[tokio::test]
async fn no_name_leads_to_a_private_address_at_connect_time() {
    // A listener is open, so a connection would succeed and be noticed.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hosts = ["rebind.example".to_owned()];
    let answers: &[&[&[&str]]] = &[
        &[&["127.0.0.1"]],
        &[&["::1"]],
        &[&["::ffff:127.0.0.1"]],
        &[&["10.0.0.1"], &["127.0.0.1"]],
        &[&["169.254.169.254"]],
        &[&["100.64.0.1", "127.0.0.1"]],
        &[&["64:ff9b::127.0.0.1"]],
    ];
    for answers in answers {
        let policy = DialPolicy::new(&hosts, false, None).unwrap();
        let lookup = Rebinding::new(answers);
        let transport = Transport::with_lookup(policy, quick(), lookup).unwrap();
        for _ in 0..3 {
            let url: Url = format!("https://rebind.example:{port}/").parse().unwrap();
            let connection =
                Connection::new(transport.clone(), url, ApiVersion::DEFAULT, password());
            let error = connection.session().await.unwrap_err();
            assert_eq!(
                error.meaning(),
                Meaning::HostNotAllowed,
                "{answers:?}: {error}"
            );
        }
    }
    let accepted =
        tokio::time::timeout(std::time::Duration::from_millis(50), listener.accept()).await;
    assert!(accepted.is_err(), "somebody connected");
}

#[tokio::test]
async fn a_private_address_is_dialled_when_the_operator_allows_it_and_metadata_never() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let reach = async |answer: &[&str]| {
        let policy = DialPolicy::new(&["sim.example".to_owned()], true, None).unwrap();
        let transport = Transport::with_lookup(policy, quick(), Rebinding::new(&[answer])).unwrap();
        let url: Url = format!("https://sim.example:{port}/").parse().unwrap();
        Connection::new(transport, url, ApiVersion::DEFAULT, password())
            .session()
            .await
            .unwrap_err()
            .meaning()
    };
    // The connection succeeds, and the client waits for the TLS handshake of a server without TLS.
    assert_eq!(reach(&["127.0.0.1"]).await, Meaning::Unreachable);
    assert!(listener.accept().await.is_ok());
    assert_eq!(reach(&["169.254.169.254"]).await, Meaning::HostNotAllowed);
}

#[tokio::test]
async fn a_host_that_is_not_on_the_list_is_not_even_looked_up() {
    let lookup = Rebinding::new(&[&["8.8.8.8"]]);
    let policy = DialPolicy::new(&[], false, None).unwrap();
    let transport =
        Transport::with_lookup(policy, quick(), Arc::clone(&lookup) as Arc<dyn Lookup>).unwrap();
    let url: Url = "https://evil.example/".parse().unwrap();
    let connection = Connection::new(transport, url, ApiVersion::DEFAULT, password());
    let error = connection.session().await.unwrap_err();
    assert_eq!(error.meaning(), Meaning::HostNotAllowed);
    assert!(
        error.message().contains("evil.example is not on the list"),
        "{error}"
    );
    assert_eq!(
        (
            lookup.asked.load(Ordering::SeqCst),
            connection.spent().logins
        ),
        (0, 0)
    );
}

#[test]
fn proxies_of_the_environment_are_known_by_name() {
    let variables = [
        ("HTTPS_PROXY", "http://user:pw@Proxy.corp:3128"),
        ("all_proxy", "socks.corp:1080"),
        ("HTTP_PROXY", "http://plain.corp"),
    ];
    let hosts = proxy_hosts(|name| {
        variables
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    });
    assert_eq!(
        hosts.into_iter().collect::<Vec<_>>(),
        ["proxy.corp", "socks.corp"]
    );
}

/// The test below runs it in a process whose environment names a proxy.
#[tokio::test]
#[ignore = "needs the environment that another test gives it"]
async fn child_behind_a_proxy() {
    let policy = DialPolicy::new(&[], false, None).unwrap();
    let transport = Transport::with_limits(policy, quick()).unwrap();
    let url: Url = "https://acme.my.salesforce.com/".parse().unwrap();
    let connection = Connection::new(transport, url, ApiVersion::DEFAULT, password());
    let error = connection.session().await.unwrap_err();
    assert_eq!(error.meaning(), Meaning::ProxyLoginRequired, "{error}");
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_though_it_is_private_and_may_want_a_password() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let child = tokio::task::spawn_blocking(move || {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "salesforce::tests::guard::child_behind_a_proxy",
                "--ignored",
            ])
            .env("HTTPS_PROXY", proxy)
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .unwrap()
    });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut buffer = [0; 512];
    let count = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer)
        .await
        .unwrap();
    let asked = String::from_utf8_lossy(&buffer[..count]).into_owned();
    let wants = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, wants)
        .await
        .unwrap();
    drop(stream);
    assert!(
        asked.starts_with("CONNECT acme.my.salesforce.com:443 "),
        "{asked}"
    );
    let output = child.await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
