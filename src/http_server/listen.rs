//! Opens the listener, for clients of both families.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tracing::warn;

use crate::error::Chain;

/// The most client connections that wait in the kernel's queue to be accepted.
const QUEUE: i32 = 1024;

/// Reads the value of a flag that says where to listen.
///
/// # Errors
/// Says how such a value is written.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let port = text.rsplit(':').next().unwrap_or_default();
        let port: u16 = port.parse().unwrap_or(8080);
        format!(
            "an IP address and a port are wanted: [::]:{port} for all addresses, 127.0.0.1:{port} for this machine alone"
        )
    })
}

/// Opens a listener.
///
/// `[::]` takes clients of IPv6 and of IPv4, whatever the machine's own setting is. A machine
/// without IPv6 listens at `0.0.0.0` instead, so that one flag does for every cluster.
///
/// # Errors
///
/// The address is taken, is none of this machine, or may not be used; [`listen_remedy`] says what
/// to do.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::from_std(listen_by(open, address)?)
}

/// Opens a listener with `open`, at the address or at the one that stands in for it.
fn listen_by<T>(open: impl Fn(SocketAddr) -> io::Result<T>, address: SocketAddr) -> io::Result<T> {
    open(address).or_else(|error| {
        if !(takes_both(address) && is_without_ipv6(&error)) {
            return Err(error);
        }
        let instead = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        warn!(error = %Chain(&error), %address, %instead, "this machine has no IPv6: it listens for IPv4 alone");
        open(instead)
    })
}

/// Whether this address stands for all addresses of both families.
fn takes_both(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

/// Whether the kernel knows no IPv6, or has switched it off.
fn is_without_ipv6(error: &io::Error) -> bool {
    let known = Errno::from_io_error(error);
    known == Some(Errno::AFNOSUPPORT) || known == Some(Errno::ADDRNOTAVAIL)
}

fn open(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if takes_both(address) {
        // Else the sysctl net.ipv6.bindv6only decides.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(QUEUE)?;
    Ok(socket.into())
}

/// The advice for a listener that cannot be opened.
pub(crate) fn listen_remedy(error: &io::Error) -> &'static str {
    if Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT) {
        return "this machine has no IPv6: choose an IPv4 address with --listen, such as 0.0.0.0:8080";
    }
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process has the port: end it, or choose another with --listen"
        }
        io::ErrorKind::AddrNotAvailable => {
            "the address is none of this machine: choose one with --listen"
        }
        io::ErrorKind::PermissionDenied => {
            "this process may not use the port: choose one above 1023 with --listen"
        }
        _ => "choose another address or port with --listen",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_read_is_answered_with_one_that_can() {
        for (text, example) in [
            (":9000", "[::]:9000"),
            ("localhost:9000", "127.0.0.1:9000"),
            ("9000", "[::]:9000"),
            ("0.0.0.0", "[::]:8080"),
            ("", "[::]:8080"),
        ] {
            let said = address(text).unwrap_err();
            assert!(said.contains(example), "{text}: {said}");
        }
        assert_eq!(address("[::1]:8080").unwrap().to_string(), "[::1]:8080");
    }

    const BOTH: &str = "[::]:8080";

    /// Opens as a kernel without IPv6 does.
    fn without_ipv6(errno: Errno) -> impl Fn(SocketAddr) -> io::Result<SocketAddr> {
        move |address| match address.is_ipv6() {
            true => Err(errno.into()),
            false => Ok(address),
        }
    }

    #[test]
    fn a_machine_without_ipv6_listens_for_ipv4() {
        for errno in [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL] {
            let opened = listen_by(without_ipv6(errno), BOTH.parse().unwrap());
            assert_eq!(opened.unwrap(), "0.0.0.0:8080".parse().unwrap());
        }
    }

    #[test]
    fn an_address_that_was_asked_for_is_not_replaced() {
        let one = "[::1]:8080".parse().unwrap();
        let refused = listen_by(without_ipv6(Errno::AFNOSUPPORT), one).unwrap_err();
        assert!(listen_remedy(&refused).contains("has no IPv6"), "{refused}");
        let taken = |_| -> io::Result<SocketAddr> { Err(Errno::ADDRINUSE.into()) };
        let refused = listen_by(taken, BOTH.parse().unwrap()).unwrap_err();
        assert!(listen_remedy(&refused).contains("another process has the port"));
    }
}
