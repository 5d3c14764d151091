//! The network addresses that a tenant's URL may lead to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The reason why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Never permitted, whatever the operator allows: metadata services, multicast, "no address".
    Always,
    /// Not on the public internet: permitted only if the operator allows private networks.
    Private,
}

/// The rule for one address; `None` means a public address.
pub(crate) fn refusal(address: IpAddr) -> Option<Refusal> {
    match address {
        IpAddr::V4(v4) => refusal_v4(v4),
        IpAddr::V6(v6) => refusal_v6(v6),
    }
}

/// Applies IANA's IPv4 special-purpose registry (RFC 6890 and successors), and the clouds' metadata
/// services.
fn refusal_v4(address: Ipv4Addr) -> Option<Refusal> {
    // The metadata services of AWS, Google Cloud, Azure and others; of Alibaba; Azure's wire
    // server; AWS's ECS tasks.
    const METADATA: [Ipv4Addr; 4] = [
        Ipv4Addr::new(169, 254, 169, 254),
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(168, 63, 129, 16),
        Ipv4Addr::new(169, 254, 170, 2),
    ];
    if METADATA.contains(&address) {
        return Some(Refusal::Always);
    }
    let octets = address.octets();
    match octets {
        [0, ..] | [224..=255, ..] => Some(Refusal::Always),
        [10 | 127, ..]
        | [100, 64..=127, ..]
        | [169, 254, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Some(Refusal::Private),
        _ => None,
    }
}

/// Applies IANA's IPv6 special-purpose registry, and every way to write an IPv4 address in IPv6.
fn refusal_v6(address: Ipv6Addr) -> Option<Refusal> {
    // fd00:ec2::254 is AWS's metadata service on IPv6, fd20:ce::254 is Google Cloud's.
    const METADATA: [Ipv6Addr; 3] = [
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    ];
    if METADATA.contains(&address) || address.is_unspecified() {
        return Some(Refusal::Always);
    }
    let segments = address.segments();
    let low = Ipv4Addr::from(((u32::from(segments[6])) << 16) | u32::from(segments[7]));
    match segments {
        _ if address.is_loopback() => Some(Refusal::Private),
        // IPv4-mapped and IPv4-compatible: no resolver returns them for a public name, so they are
        // refused even around a public address.
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => {
            Some(refusal_v4(low).unwrap_or(Refusal::Private))
        }
        // NAT64 (RFC 6052): clusters with IPv6 only use it to reach the internet. The embedded IPv4
        // address decides.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => refusal_v4(low),
        [0x64, 0xff9b, ..] => Some(Refusal::Private),
        [0xff00..=0xffff, ..] => Some(Refusal::Always),
        // Discard-only, Teredo and other protocol assignments, documentation, 6to4, SRv6, unique
        // local, link local, site local.
        [0x100, 0, 0, 0 | 1, ..]
        | [0x2001, 0..=0x1ff, ..]
        | [0x2001, 0xdb8, ..]
        | [0x2002, ..]
        | [0x3fff, 0..=0xfff, ..]
        | [0x5f00, ..]
        | [0xfc00..=0xfdff, ..]
        | [0xfe80..=0xfeff, ..] => Some(Refusal::Private),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_judged_by_where_they_lead() {
        let table = [
            ("8.8.8.8", None),
            ("13.108.0.1", None),
            ("172.32.0.1", None),
            ("100.128.0.1", None),
            ("192.0.1.1", None),
            ("0.0.0.0", Some(Refusal::Always)),
            ("0.1.2.3", Some(Refusal::Always)),
            ("10.0.0.1", Some(Refusal::Private)),
            ("100.64.0.1", Some(Refusal::Private)),
            ("100.100.100.200", Some(Refusal::Always)),
            ("127.0.0.1", Some(Refusal::Private)),
            ("127.255.255.254", Some(Refusal::Private)),
            ("168.63.129.16", Some(Refusal::Always)),
            ("169.254.1.1", Some(Refusal::Private)),
            ("169.254.169.254", Some(Refusal::Always)),
            ("172.16.0.1", Some(Refusal::Private)),
            ("172.31.255.255", Some(Refusal::Private)),
            ("192.0.0.1", Some(Refusal::Private)),
            ("192.168.1.1", Some(Refusal::Private)),
            ("198.18.0.1", Some(Refusal::Private)),
            ("203.0.113.7", Some(Refusal::Private)),
            ("224.0.0.1", Some(Refusal::Always)),
            ("255.255.255.255", Some(Refusal::Always)),
            ("::", Some(Refusal::Always)),
            ("::1", Some(Refusal::Private)),
            ("::ffff:8.8.8.8", Some(Refusal::Private)),
            ("::ffff:127.0.0.1", Some(Refusal::Private)),
            ("::ffff:169.254.169.254", Some(Refusal::Always)),
            ("::127.0.0.1", Some(Refusal::Private)),
            ("64:ff9b::8.8.8.8", None),
            ("64:ff9b::10.0.0.1", Some(Refusal::Private)),
            ("64:ff9b::169.254.169.254", Some(Refusal::Always)),
            ("64:ff9b:1::1", Some(Refusal::Private)),
            ("100::1", Some(Refusal::Private)),
            ("2001::1", Some(Refusal::Private)),
            ("2001:db8::1", Some(Refusal::Private)),
            ("2002:7f00:1::", Some(Refusal::Private)),
            ("2600:1f18::1", None),
            ("fd00:ec2::254", Some(Refusal::Always)),
            ("fc00::1", Some(Refusal::Private)),
            ("fe80::1", Some(Refusal::Private)),
            ("fec0::1", Some(Refusal::Private)),
            ("ff02::1", Some(Refusal::Always)),
        ];
        for (address, expected) in table {
            assert_eq!(refusal(address.parse().unwrap()), expected, "{address}");
        }
    }
}
