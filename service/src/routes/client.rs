//! Whom a request comes from, where proxies stand between. Pure.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;
use ipnet::{IpNet, Ipv6Net};

/// The header in which a proxy appends the address that it was called from.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address: `peer`, or what trusted proxies say of it.
///
/// Whoever is not a trusted proxy can write anything into `X-Forwarded-For`, so it counts only when the peer is one, and
/// then only from its right end, where trusted proxies have appended, up to the first address that is none of theirs.
/// What is there but no address ends the trust too: then the last proxy before it is all that is known.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    let hops =
        headers.get_all(FORWARDED_FOR).iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops {
        if !trusted.iter().any(|net| net.contains(&client)) {
            break;
        }
        let Some(address) = address(hop) else { break };
        client = address;
    }
    client
}

/// Reads the networks of trusted proxies: addresses and CIDRs, separated by commas.
///
/// # Errors
/// The first that is neither.
pub fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .map(|entry| match (entry.parse::<IpNet>(), entry.parse::<IpAddr>()) {
            (Ok(net), _) => Ok(net.trunc()),
            (_, Ok(address)) => Ok(IpNet::from(address.to_canonical())),
            _ => Err(format!("{entry:?} is neither an address nor a network such as 10.0.0.0/8")),
        })
        .collect()
}

/// What is counted as one client: an IPv4 address, or the /64 that a customer of IPv6 has to himself.
pub fn origin(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = Ipv6Net::new(address, 64).map_or(Ipv6Addr::UNSPECIFIED, |net| net.network());
            IpAddr::V6(network)
        }
    }
}

/// One hop as proxies write it: an address, perhaps with a port.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let address = bare.unwrap_or(hop).parse().ok();
    let address = address.or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|with_port| with_port.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(peer: &str, lines: &[&str], trusted: &str) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        client(peer.parse().unwrap(), &headers, &networks(trusted).unwrap()).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_what_they_appended() {
        let table: &[(&str, &[&str], &str, &str)] = &[
            ("9.9.9.9", &[], "", "9.9.9.9"),
            ("9.9.9.9", &["1.1.1.1"], "", "9.9.9.9"),
            ("9.9.9.9", &["1.1.1.1"], "10.0.0.0/8", "9.9.9.9"),
            ("10.0.0.1", &[], "10.0.0.0/8", "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "10.0.0.0/8", "1.1.1.1"),
            ("10.0.0.1", &["1.1.1.1"], "10.0.0.2", "10.0.0.1"),
            // The first is what the client claims, the second is whom the proxy saw.
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1"], "10.0.0.0/8", "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1 ,10.0.0.7"], "10.0.0.0/8", "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6", "1.1.1.1, 10.0.0.7"], "10.0.0.0/8", "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1", "10.0.0.7"], "10.0.0.0/8", "1.1.1.1"),
            ("10.0.0.1", &["10.0.0.9"], "10.0.0.0/8", "10.0.0.9"),
        ];
        for (peer, lines, trusted, expected) in table {
            assert_eq!(of(peer, lines, trusted), *expected, "{peer} {lines:?} {trusted}");
        }
    }

    #[test]
    fn what_is_no_address_is_ignored_with_all_before_it() {
        for garbage in ["", "unknown", "1.1.1", "1.1.1.1 6.6.6.6", "_hidden", "::1::", "[::1", "é"] {
            assert_eq!(of("10.0.0.1", &[&format!("6.6.6.6, {garbage}")], "10.0.0.0/8"), "10.0.0.1", "{garbage}");
            assert_eq!(of("10.0.0.1", &[&format!("{garbage}, 1.1.1.1")], "10.0.0.0/8"), "1.1.1.1", "{garbage}");
        }
    }

    #[test]
    fn addresses_may_have_ports_and_ipv4_may_be_written_as_ipv6() {
        assert_eq!(of("::ffff:10.0.0.1", &["::ffff:1.1.1.1"], "10.0.0.1"), "1.1.1.1");
        assert_eq!(of("10.0.0.1", &["1.1.1.1:4711"], "::ffff:10.0.0.1"), "1.1.1.1");
        assert_eq!(of("fd00::1", &["[2001:db8::5]:4711"], "fd00::/8"), "2001:db8::5");
        assert_eq!(of("fd00::1", &["[2001:db8::5]"], "fd00::/8"), "2001:db8::5");
    }

    #[test]
    fn networks_are_addresses_and_cidrs() {
        assert_eq!(networks(" , 10.1.2.3/8 ,::1").unwrap().len(), 2);
        assert_eq!(networks("").unwrap(), []);
        for wrong in ["traefik", "10.0.0.0/33", "10.0.0.0/8 10.0.0.1", "::/129"] {
            assert!(networks(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_client_of_ipv6_is_counted_by_its_64() {
        let of = |address: &str| origin(address.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2::"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_eq!((of("1.2.3.4"), of("::ffff:1.2.3.4")), ("1.2.3.4".to_owned(), "1.2.3.4".to_owned()));
    }
}
