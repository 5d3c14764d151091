//! Every role receives one or several signals while it waits for a peer that never answers.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use switchboard::directory::{Claims, Purpose, TokenKeys};
use switchboard::run::Outcome;

use crate::laptop::Laptop;
use crate::program::{
    Ended, Files, KEY, Running, SOON, closed_port, silent_port, start, switchboard,
};
use crate::worker::Bed;
use crate::{selftest, status};

/// The output of a role after the first signal.
const TOLD: &str = "told to stop";

/// Starts the program and waits until it has connected to its silent peer.
fn asking(command: &mut Command, peer: &TcpListener) -> (Running, TcpStream) {
    let running = start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
    let (connection, _) = peer.accept().unwrap();
    (running, connection)
}

/// Sends the signals. Waits before the second one until the program has handled the first.
fn told(mut running: Running, signals: &[&str]) -> Ended {
    let (first, further) = signals.split_first().unwrap();
    running.signal(first);
    if !further.is_empty() {
        running.says(TOLD);
    }
    for signal in further {
        running.signal(signal);
    }
    running.ended()
}

/// Sends all signals at once, without waiting for the program.
fn told_at_once(running: Running, signals: &[&str]) -> Ended {
    for signal in signals {
        running.signal(signal);
    }
    running.ended()
}

#[test]
fn check_and_lookup_end_at_the_first_signal() {
    for role in ["check", "lookup"] {
        for signals in [&["INT"][..], &["TERM"], &["INT", "INT", "TERM"]] {
            let (peer, port) = silent_port();
            let laptop = Laptop::new(&format!("https://localhost:{port}"), "localhost");
            let (running, _connection) = asking(&mut laptop.command(role, ""), &peer);
            let ended = told_at_once(running, signals);
            ended.says(4, &[]);
            if let [_] = signals {
                let words = match role {
                    "check" => "told to stop before it was done",
                    _ => "the results up to then are printed",
                };
                ended.tells(4, role, &[words]);
            }
        }
    }
}

#[test]
fn lookup_prints_what_it_found_before_it_was_told_to_stop() {
    let (peer, port) = silent_port();
    let laptop = Laptop::new(&format!("https://localhost:{port}"), "localhost");
    let (running, _connection) = asking(&mut laptop.command("lookup", "-o json 110"), &peer);
    let ended = told(running, &["INT"]);
    let parts = ["\"reason\":\"Emergency\"", "\"reason\":\"Interrupted\""];
    ended.says(4, &parts);
}

#[test]
fn check_and_lookup_end_while_they_wait_for_standard_input() {
    for (role, flags) in [("check", "-f -"), ("lookup", "-f - 0312345678")] {
        let mut command = switchboard(&format!("{role} {flags}"));
        let running = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        running.waits_for_signals();
        told_at_once(running, &["INT"]).says(4, &[TOLD]);
    }
}

#[test]
fn status_ends_at_the_first_signal() {
    for signals in [&["INT"][..], &["TERM"], &["INT", "TERM", "INT"]] {
        let (peer, port) = silent_port();
        let files = Files::new();
        let kubeconfig = files.kubeconfig(&format!("http://127.0.0.1:{port}"));
        let (running, _connection) = asking(&mut status::command(&kubeconfig, ""), &peer);
        told_at_once(running, signals).says(4, &[]);
    }
}

#[test]
fn selftest_ends_at_the_first_signal() {
    for signals in [&["INT"][..], &["TERM"], &["INT", "TERM", "INT"]] {
        let (peer, port) = silent_port();
        let files = Files::new();
        let kubeconfig = files.kubeconfig(&format!("http://127.0.0.1:{port}"));
        let (running, _connection) = asking(
            &mut selftest::command(&kubeconfig, "http://directory"),
            &peer,
        );
        told_at_once(running, signals).says(4, &[]);
    }
}

#[test]
fn a_worker_ends_with_one_code_whatever_number_of_signals_come() {
    for signals in [&["TERM", "TERM"][..], &["INT", "TERM"]] {
        let (peer, port) = silent_port();
        let bed = Bed::new(&format!("http://127.0.0.1:{port}"));
        let (running, _connection) = asking(&mut bed.command(), &peer);
        told(running, signals).says(4, &["a second time"]);
        let report = bed.report();
        assert_eq!(report.outcome, Outcome::Interrupted);
        assert_eq!(report.error.unwrap().code.as_str(), "Interrupted");
    }
    let (peer, port) = silent_port();
    let bed = Bed::new(&format!("http://127.0.0.1:{port}"));
    let (running, _connection) = asking(&mut bed.command(), &peer);
    told(running, &["TERM", "TERM", "INT", "TERM", "INT"]).says(4, &[]);
}

#[test]
fn a_worker_whose_request_in_flight_never_ends_gives_it_up() {
    let (peer, port) = silent_port();
    let bed = Bed::new(&format!("http://127.0.0.1:{port}"));
    let (running, _connection) = asking(&mut bed.command(), &peer);
    told(running, &["TERM"]).says(4, &[]);
    assert_eq!(bed.report().outcome, Outcome::Interrupted);
}

#[test]
fn a_worker_whose_directory_goes_while_it_is_told_to_stop_was_told_to_stop() {
    let (peer, port) = silent_port();
    let bed = Bed::new(&format!("http://127.0.0.1:{port}"));
    let (mut running, connection) = asking(&mut bed.command(), &peer);
    running.signal("TERM");
    running.says(TOLD);
    drop((peer, connection));
    running.ended().says(4, &["Connection refused"]);
    assert_eq!(bed.report().outcome, Outcome::Interrupted);
}

/// A running directory, and its address.
fn directory(files: &Files) -> (Running, String) {
    let mut command = switchboard(&format!(
        "directory --listen=127.0.0.1:0 --token-keys={} --database=sqlite:{}",
        files.write("keys", KEY),
        files.path("directory.db").display()
    ));
    let mut running = start(&mut command);
    let address = running.listens("the directory listens");
    (running, address)
}

#[test]
fn a_directory_that_is_told_once_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let files = Files::new();
        let (running, _) = directory(&files);
        assert_eq!(told(running, &[signal]).code, Some(0));
    }
}

#[test]
fn a_directory_whose_orderly_end_is_cut_off_ends_with_4() {
    let files = Files::new();
    let (mut running, address) = directory(&files);
    let token = TokenKeys::parse(KEY).unwrap().mint(&Claims {
        company: "acme".parse().unwrap(),
        purpose: Purpose::Ingest,
        region: switchboard::phone::Region::JAPAN,
        issued_at: jiff::Timestamp::UNIX_EPOCH,
        expires_at: None,
    });
    let token = secrecy::ExposeSecret::expose_secret(&token.unwrap()).to_owned();
    let mut client = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /v1/webhooks/calls HTTP/1.1\r\nhost: d\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 99\r\n\r\n"
    );
    client.write_all(head.as_bytes()).unwrap();
    // From here on the directory waits for the body.
    let mut answer = [0; 12];
    std::io::Read::read_exact(&mut client, &mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    running.signal("TERM");
    running.says(TOLD);
    running.signal("INT");
    assert_eq!(running.ended().code, Some(4));
}

#[test]
fn a_purge_ends_at_the_first_signal() {
    let (peer, port) = silent_port();
    let mut command = switchboard(&format!(
        "directory --database=postgres://u@127.0.0.1:{port}/d purge --older-than-days=30"
    ));
    let (running, _connection) = asking(&mut command, &peer);
    told_at_once(running, &["INT"]).tells(4, "directory", &["told to stop before it was done"]);
}

#[test]
fn a_directory_that_opens_its_database_is_told_to_stop() {
    let files = Files::new();
    let (peer, port) = silent_port();
    let mut command = switchboard(&format!(
        "directory --listen=127.0.0.1:0 --token-keys={} --database=postgres://u@127.0.0.1:{port}/d",
        files.write("keys", KEY)
    ));
    let (running, _connection) = asking(&mut command, &peer);
    assert_eq!(told(running, &["TERM"]).code, Some(0));
}

/// Waits until the program has read everything that was sent on this connection, according to the
/// kernel's table of connections.
fn is_read(client: &TcpStream) {
    let port = |address: std::net::SocketAddr| format!(":{:04X}", address.port());
    let server = port(client.peer_addr().unwrap());
    let own = port(client.local_addr().unwrap());
    let end = Instant::now() + SOON;
    loop {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let unread = table.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_it = fields.get(1)?.ends_with(&server) && fields.get(2)?.ends_with(&own);
            is_it.then(|| fields.get(4).map(|queues| !queues.ends_with(":00000000")))?
        });
        if unread == Some(false) {
            return;
        }
        assert!(Instant::now() < end, "it never reads: {table}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A controller with an API server that never answers.
fn controller(files: &Files, port: u16, flags: &str) -> Command {
    let mut command = switchboard(&format!(
        "controller --worker-image=i --directory-url=http://d --token-keys={} {flags}",
        files.write("keys", KEY)
    ));
    let server = format!("http://127.0.0.1:{port}");
    command.env("KUBECONFIG", files.kubeconfig(&server));
    command
}

#[test]
fn a_controller_that_is_told_once_ends_with_0() {
    for flags in ["--leader-elect", ""] {
        let files = Files::new();
        let (peer, port) = silent_port();
        let flags = format!("--listen=127.0.0.1:0 {flags}");
        let mut command = controller(&files, port, &flags);
        let (running, _connection) = asking(&mut command, &peer);
        assert_eq!(told(running, &["TERM"]).code, Some(0));
    }
}

#[test]
fn a_controller_whose_orderly_end_is_cut_off_ends_with_4() {
    let files = Files::new();
    let (peer, port) = silent_port();
    let health = closed_port();
    let flags = format!("--listen=127.0.0.1:{health}");
    let (mut running, _connection) = asking(&mut controller(&files, port, &flags), &peer);
    running.says("health is told here");
    let mut client = TcpStream::connect(("127.0.0.1", health)).unwrap();
    client.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
    is_read(&client);
    running.signal("TERM");
    running.says(TOLD);
    running.signal("TERM");
    assert_eq!(running.ended().code, Some(4));
}
