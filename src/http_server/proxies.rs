//! Proxies in front of the server, and the client that a request of theirs came from.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The header in which a proxy appends the address from which it got the request.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The addresses of the proxies that are believed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies(Arc<[IpNet]>);

/// One address or range of addresses: `10.0.0.0/8`, `192.0.2.1`, `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange(IpNet);

/// Why a text is no range of addresses.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither an address nor a range such as 10.0.0.0/8")]
pub struct NotARange(String);

impl FromStr for AddressRange {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let range = text.parse::<IpNet>().ok();
        range
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
            .map(Self)
            .ok_or_else(|| NotARange(text.to_owned()))
    }
}

// === impl Proxies ===

impl Proxies {
    pub(crate) fn new(ranges: impl IntoIterator<Item = AddressRange>) -> Self {
        Self(ranges.into_iter().map(|range| range.0).collect())
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(&address))
    }

    /// The address behind the last proxy that is believed. What stands before it in the header was
    /// sent by the client and may be anything.
    pub(super) fn client_of(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let lines = headers.get_all(FORWARDED_FOR).iter();
        let mut addresses: Vec<&str> = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .collect();
        while let Some(last) = addresses.pop() {
            let address: IpAddr = last.parse().ok()?;
            let address = address.to_canonical();
            if !self.contains(address) {
                return Some(address);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(lines: &[&str]) -> Option<String> {
        let ranges = ["10.0.0.0/8", "fd00::1"];
        let proxies = Proxies::new(ranges.map(|range| range.parse().unwrap()));
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        proxies
            .client_of(&headers)
            .map(|address| address.to_string())
    }

    #[test]
    fn the_client_is_the_last_address_that_no_proxy_has() {
        let is = |address: &str| Some(address.to_owned());
        assert_eq!(client(&["192.0.2.1"]), is("192.0.2.1"));
        assert_eq!(
            client(&["198.51.100.9, 192.0.2.1, 10.1.2.3"]),
            is("192.0.2.1")
        );
        assert_eq!(
            client(&["198.51.100.9", "192.0.2.1, fd00::1"]),
            is("192.0.2.1")
        );
        assert_eq!(client(&["::ffff:192.0.2.1"]), is("192.0.2.1"));
        assert_eq!(client(&["198.51.100.9, nonsense"]), None);
        assert_eq!(client(&["10.1.2.3"]), None);
        assert_eq!(client(&[]), None);
        let refused = "10.0.0.0/99".parse::<AddressRange>().unwrap_err();
        assert!(refused.to_string().contains("10.0.0.0/99"), "{refused}");
    }
}
