//! `switchboard directory` when it cannot start.

use std::io::{Read, Write};

use crate::program::{Ended, Files, KEY, MARKER, closed_port, run, silent_port, switchboard};

const ROLE: &str = "directory";

/// Runs the directory with these keys and this database.
fn start(keys: &str, database: &str) -> Ended {
    run(&mut switchboard(&format!(
        "directory --listen=127.0.0.1:0 --token-keys={keys} --database={database}"
    )))
}

#[test]
fn a_key_file_that_is_missing_unreadable_or_broken() {
    let files = Files::new();
    let database = format!("sqlite:{}", files.path("a.db").display());
    let missing = files.missing();
    let parts = ["--token-keys", missing.as_str(), "No such file"];
    start(&missing, &database).tells(2, ROLE, &parts);
    let folder = files.folder().display().to_string();
    let parts = ["--token-keys", folder.as_str(), "Is a directory"];
    start(&folder, &database).tells(2, ROLE, &parts);
    let broken = files.write("keys", &format!("{KEY}\n{MARKER}!"));
    let parts = [
        broken.as_str(),
        "cannot be used",
        "line 2",
        "is not base64",
        "write one base64 key of at least 32 bytes a line",
    ];
    start(&broken, &database).tells(2, ROLE, &parts);
    let short = files.write("keys", "c2hvcnQ=");
    let parts = ["line 1", "shorter than 32 bytes", "openssl rand"];
    start(&short, &database).tells(2, ROLE, &parts);
}

#[test]
fn a_certificate_without_its_key_or_that_is_none() {
    let files = Files::new();
    let keys = files.write("keys", KEY);
    let database = format!("sqlite:{}", files.path("a.db").display());
    let start = |flags: &str| {
        run(&mut switchboard(&format!(
            "directory --listen=127.0.0.1:0 --token-keys={keys} --database={database} {flags}"
        )))
    };
    let certificate = files.write("tls.crt", MARKER);
    start(&format!("--tls-certificate={certificate}")).says(2, &["--tls-key"]);
    let missing = files.missing();
    let flags = format!("--tls-certificate={certificate} --tls-key={missing}");
    let parts = ["--tls-key", missing.as_str(), "No such file"];
    start(&flags).tells(2, ROLE, &parts);
    let key = files.write("tls.key", MARKER);
    let flags = format!("--tls-certificate={certificate} --tls-key={key}");
    let parts = [
        certificate.as_str(),
        "cannot be used",
        "holds no certificate",
    ];
    start(&flags).tells(2, ROLE, &parts);
}

#[test]
fn a_port_that_is_taken() {
    let files = Files::new();
    let keys = files.write("keys", KEY);
    let (_listener, port) = silent_port();
    let ended = run(&mut switchboard(&format!(
        "directory --listen=127.0.0.1:{port} --token-keys={keys} --database=sqlite:{}",
        files.path("a.db").display()
    )));
    let address = format!("127.0.0.1:{port}");
    let parts = [
        &address,
        "choose another with --listen",
        "Address already in use",
    ];
    ended.tells(1, ROLE, &parts);
}

#[test]
fn a_database_without_a_folder_or_with_no_address() {
    let files = Files::new();
    let keys = files.write("keys", KEY);
    let database = files.path("no/folder.db").display().to_string();
    let parts = [
        database.as_str(),
        "check that its folder is there",
        "unable to open database file",
    ];
    start(&keys, &format!("sqlite:{database}")).tells(1, ROLE, &parts);
    let parts = ["must be sqlite:PATH or postgres:"];
    start(&keys, &format!("mysql://user:{MARKER}@db/d")).tells(2, ROLE, &parts);
    let missing = files.missing();
    let ended = run(&mut switchboard(&format!(
        "directory --token-keys={keys} --database-url-file={missing}"
    )));
    let parts = ["--database-url-file", missing.as_str(), "No such file"];
    ended.tells(2, ROLE, &parts);
}

#[test]
fn a_postgresql_that_cannot_be_reached() {
    let keys = Files::new();
    let keys_file = keys.write("keys", KEY);
    let port = closed_port();
    let server = format!("127.0.0.1:{port}");
    let parts = [
        server.as_str(),
        "check that it runs there",
        "Connection refused",
    ];
    let database = |host: &str| format!("postgres://user:{MARKER}@{host}/calls");
    start(&keys_file, &database(&server)).tells(1, ROLE, &parts);
    let port = std::net::TcpListener::bind("[::1]:0").unwrap();
    let server = port.local_addr().unwrap().to_string();
    drop(port);
    let parts = ["check that it runs there", "Connection refused"];
    start(&keys_file, &database(&server)).tells(1, ROLE, &parts);
    let parts = ["nowhere.invalid", "failed to lookup address information"];
    start(&keys_file, &database("nowhere.invalid")).tells(1, ROLE, &parts);
}

#[test]
fn a_postgresql_that_never_answers() {
    let files = Files::new();
    let keys = files.write("keys", KEY);
    let (_listener, port) = silent_port();
    let database = format!("postgres://user:{MARKER}@127.0.0.1:{port}/calls");
    start(&keys, &database).tells(1, ROLE, &["check that it runs there", "timed out"]);
}

#[test]
fn a_postgresql_that_speaks_no_tls() {
    let files = Files::new();
    let keys = files.write("keys", KEY);
    let (listener, port) = silent_port();
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 8];
        client.read_exact(&mut request).unwrap();
        // The answer of a server without TLS to a request for TLS.
        client.write_all(b"N").unwrap();
    });
    let database = format!("postgres://user:{MARKER}@127.0.0.1:{port}/calls?sslmode=require");
    let parts = ["check that it runs there", "server does not support TLS"];
    start(&keys, &database).tells(1, ROLE, &parts);
    server.join().unwrap();
}

/// The chart has one flag for clusters of IPv4, of IPv6 and of both.
#[test]
fn it_answers_at_ipv6_and_at_ipv4_where_it_listens_for_all() {
    let files = Files::new();
    let keys = files.write("keys", KEY);
    let port = closed_port();
    let mut running = crate::program::start(&mut switchboard(&format!(
        "directory --listen=[::]:{port} --token-keys={keys} --database=sqlite:{}",
        files.path("a.db").display()
    )));
    running.says("the directory listens");
    for address in [format!("[::1]:{port}"), format!("127.0.0.1:{port}")] {
        let mut client = std::net::TcpStream::connect(&address).unwrap();
        let request =
            format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{address}: {answer}");
    }
}
