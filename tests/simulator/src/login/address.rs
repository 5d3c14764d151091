//! IP ranges in the notation of administrators.

use std::net::IpAddr;

/// Whether the address is in one of the ranges: `10.0.0.0/8`, `10.0.0.1-10.0.0.9` or one address.
pub(super) fn within(ip: IpAddr, ranges: &[String]) -> bool {
    ranges
        .iter()
        .any(|range| contains(range.trim(), ip).unwrap_or(false))
}

fn contains(range: &str, ip: IpAddr) -> Option<bool> {
    if let Some((network, bits)) = range.split_once('/') {
        let (network, bits): (IpAddr, u32) = (network.parse().ok()?, bits.parse().ok()?);
        let (width, a) = number(network);
        let (other, b) = number(ip);
        let shift = width.checked_sub(bits)?;
        return Some(width == other && (shift == 128 || a >> shift == b >> shift));
    }
    if let Some((from, to)) = range.split_once('-') {
        let (from, to): (IpAddr, IpAddr) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        return Some(number(from) <= number(ip) && number(ip) <= number(to));
    }
    Some(range.parse::<IpAddr>().ok()? == ip)
}

fn number(ip: IpAddr) -> (u32, u128) {
    match ip {
        IpAddr::V4(v4) => (32, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (128, u128::from(v6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let inside = |range: &str, ip: &str| within(ip.parse().unwrap(), &[range.to_owned()]);
        assert!(inside("10.0.0.0/8", "10.255.0.1") && !inside("10.0.0.0/8", "11.0.0.1"));
        assert!(
            inside("10.0.0.1-10.0.0.9", "10.0.0.9") && !inside("10.0.0.1-10.0.0.9", "10.0.0.10")
        );
        assert!(
            inside("::1", "::1") && !inside("0.0.0.0/0", "::1") && inside("0.0.0.0/0", "1.2.3.4")
        );
        assert!(
            inside("::/0", "fe80::1")
                && !inside("nonsense", "1.2.3.4")
                && !inside("1.2.3.4/64", "1.2.3.4")
        );
    }
}
