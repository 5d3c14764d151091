//! Tests of the client against small servers in this module: correct, wrong, slow and hostile ones.
//! The simulator imitates Salesforce itself; these servers imitate single responses.

mod bulk;
mod composites;
mod echoes;
mod guard;
mod http;
mod log;
mod logins;
mod probing;
mod spellings;

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::Connection;
use super::connection::retry::RetryPolicy;
use super::credentials::Credentials;
use super::credentials::environment::ApiVersion;
use super::transport::dial::DialPolicy;
use super::transport::{HttpLimits, Transport};

/// A request that the server received.
#[derive(Clone, Debug)]
struct Asked {
    method: String,
    path: String,
    /// The header names are in lower case.
    headers: Vec<(String, String)>,
    body: String,
}

/// The server's reaction to a request.
#[derive(Clone)]
enum Reply {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Sends these bytes unchanged, then closes the connection.
    Raw(Vec<u8>),
    /// Sends nothing and keeps the connection open.
    Hang,
    /// Sends the head, then a byte from time to time.
    Drip,
}

struct Played {
    url: Url,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }
}

impl Reply {
    fn json(status: u16, body: impl ToString) -> Self {
        Self::text(status, "application/json;charset=UTF-8", body)
    }

    fn xml(status: u16, body: impl ToString) -> Self {
        Self::text(status, "text/xml; charset=utf-8", body)
    }

    fn text(status: u16, content_type: &str, body: impl ToString) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self::Answer {
            status,
            headers,
            body: body.to_string().into_bytes(),
        }
    }

    fn with(self, name: &str, value: &str) -> Self {
        match self {
            Self::Answer {
                status,
                mut headers,
                body,
            } => {
                headers.push((name.to_owned(), value.to_owned()));
                Self::Answer {
                    status,
                    headers,
                    body,
                }
            }
            other => other,
        }
    }
}

impl Played {
    async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let answer = Arc::new(answer);
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                tokio::spawn(async move {
                    if let Some((mut stream, request)) = read(stream).await {
                        let reply = answer(&request);
                        log.lock().unwrap().push(request);
                        write(&mut stream, reply).await;
                    }
                });
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn count(&self, path: &str) -> usize {
        self.asked()
            .iter()
            .filter(|asked| asked.path.starts_with(path))
            .count()
    }

    fn connection(&self, credentials: Credentials) -> Connection {
        connection(&self.url, credentials, quick())
    }
}

async fn read(mut stream: TcpStream) -> Option<(TcpStream, Asked)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let count = stream
            .read(&mut buffer)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    while bytes.len() < head + 4 + length {
        let count = stream
            .read(&mut buffer)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
    }
    let body = String::from_utf8_lossy(&bytes[head + 4..]).into_owned();
    Some((
        stream,
        Asked {
            method,
            path,
            headers,
            body,
        },
    ))
}

async fn write(stream: &mut TcpStream, reply: Reply) {
    match reply {
        Reply::Answer {
            status,
            headers,
            body,
        } => {
            let mut head = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n",
                body.len()
            );
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        }
        Reply::Raw(bytes) => {
            let _ = stream.write_all(&bytes).await;
        }
        Reply::Hang => tokio::time::sleep(std::time::Duration::from_secs(60)).await,
        Reply::Drip => {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                .await;
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
    let _ = stream.shutdown().await;
}

/// Short limits and pauses, for tests that wait for them.
fn quick() -> HttpLimits {
    let millis = std::time::Duration::from_millis;
    HttpLimits {
        connect: millis(300),
        first_byte: millis(300),
        between_bytes: millis(300),
        total: millis(900),
        max_body: 1 << 20,
    }
}

fn connection(url: &Url, credentials: Credentials, limits: HttpLimits) -> Connection {
    let policy = DialPolicy::new(&["127.0.0.1".to_owned()], true, None).unwrap();
    let transport = Transport::with_limits(policy, limits).unwrap();
    let retry = RetryPolicy {
        base: std::time::Duration::from_millis(1),
        ..RetryPolicy::default()
    };
    Connection::new(transport, url.clone(), ApiVersion::DEFAULT, credentials).retry(retry)
}

fn password() -> Credentials {
    Credentials::Password {
        username: "integration@acme.example".to_owned(),
        password: "hunter2&<>".into(),
        security_token: Some("TOKEN77".into()),
    }
}

/// A `loginResponse` as captured (facts: Salesforce 1.1), with additional text chosen by the test.
fn login_response(server: &Url, extra: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns=\"urn:partner.soap.sforce.com\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><loginResponse><result>\
         <metadataServerUrl>{server}services/Soap/m/50.0/00DA0000006Vm9r</metadataServerUrl><passwordExpired>false</passwordExpired>\
         <sandbox>false</sandbox><serverUrl>{server}services/Soap/u/50.0/00DA0000006Vm9r</serverUrl><sessionId>00DA0000006Vm9r!AQ.one</sessionId>\
         <userId>0050000000000001AA</userId><userInfo><orgHasPersonAccounts>false</orgHasPersonAccounts>\
         <organizationId>00DA0000006Vm9rMAC</organizationId><organizationName>Acme &amp; Co</organizationName><roleId xsi:nil=\"true\"/>\
         <sessionSecondsValid>7200</sessionSecondsValid><userName>integration@acme.example</userName></userInfo>{extra}</result></loginResponse></soapenv:Body></soapenv:Envelope>"
    )
}

/// A fault as captured (facts: Salesforce 1.1).
fn fault(code: &str, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:sf=\"urn:fault.partner.soap.sforce.com\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><soapenv:Fault>\
         <faultcode>{code}</faultcode><faultstring>{code}: {message}</faultstring><detail><sf:LoginFault xsi:type=\"sf:LoginFault\">\
         <sf:exceptionCode>{code}</sf:exceptionCode><sf:exceptionMessage>{message}</sf:exceptionMessage></sf:LoginFault></detail>\
         </soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    )
}
