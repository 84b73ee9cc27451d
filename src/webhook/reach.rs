//! Where webhooks may be sent: to addresses that everybody reaches, and to those inside only where a setting says so. What a
//! webhook's address names is chosen by people who may not reach what the service reaches (SSRF). Pure.
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use ureq::http::Uri;
use url::{Host, Url};

/// The longest address, in characters.
pub const LONGEST_URL: usize = 2000;

/// Where webhooks may be sent.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Networks that are reached though they are not for everybody; also by http.
    inside: Vec<IpNet>,
}

impl Reach {
    /// Everything that is for everybody, and these networks.
    pub const fn with(inside: Vec<IpNet>) -> Self {
        Self { inside }
    }

    /// Reads where a webhook is to be sent: what it answers is what is kept and asked for, in its one spelling.
    ///
    /// # Errors
    /// A code of fault and a sentence.
    pub fn target(&self, text: &str) -> Result<Url, (&'static str, &'static str)> {
        let url =
            Url::parse(text).map_err(|_| ("invalid_format", "must be a URL such as https://example.org/hooks"))?;
        match url.scheme() {
            "https" => {}
            "http" if !self.inside.is_empty() => {}
            _ => return Err(("invalid_format", "must be an https URL")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(("invalid_format", "must not hold a name or a password"));
        }
        if url.fragment().is_some() {
            return Err(("invalid_format", "must not have a fragment"));
        }
        if url.port() == Some(0) || url.as_str().len() > LONGEST_URL || url.as_str().parse::<Uri>().is_err() {
            return Err(("invalid_format", "must be a URL such as https://example.org/hooks"));
        }
        let refused = ("refused_address", "must not name an address inside: it is not reached from here");
        match url.host() {
            Some(Host::Domain(name)) => {
                let local = name.trim_end_matches('.').to_ascii_lowercase();
                let is_local = local == "localhost" || local.ends_with(".localhost");
                if is_local && !self.allows(IpAddr::V4(Ipv4Addr::LOCALHOST), url.scheme()) {
                    return Err(refused);
                }
            }
            Some(Host::Ipv4(address)) if self.allows(address.into(), url.scheme()) => {}
            Some(Host::Ipv6(address)) if self.allows(address.into(), url.scheme()) => {}
            _ => return Err(refused),
        }
        Ok(url)
    }

    /// Whether something may be sent to this address: by http only inside.
    pub fn allows(&self, address: IpAddr, scheme: &str) -> bool {
        let address = address.to_canonical();
        self.inside.iter().any(|net| net.contains(&address)) || scheme == "https" && is_for_everybody(address)
    }
}

/// Whether an address is one of the unicast addresses that are the same for everybody (IANA's registries of special-purpose
/// addresses, RFC 6890).
pub fn is_for_everybody(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

/// Of 2000::/3, but for what is for protocols and examples, and what holds an IPv4 address (Teredo, 6to4). What else holds
/// one (NAT64, mapped, compatible) is not in it.
fn is_global_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let special = matches!((a, b), (0x2001, 0x0000..=0x01ff | 0x0db8) | (0x2002, _) | (0x3fff, 0x0000..=0x0fff));
    a & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_is_not_reached() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_for_everybody(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_for_everybody(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_address_is_https_and_outside() {
        let outside = Reach::default();
        for good in
            ["https://example.org", "https://example.org:8443/a?b=c", "https://8.8.8.8/", "https://[2606:4700::1]/"]
        {
            assert!(outside.target(good).is_ok(), "{good}");
        }
        for (bad, code) in [
            ("", "invalid_format"),
            ("example.org/hooks", "invalid_format"),
            ("http://example.org/", "invalid_format"),
            ("ftp://example.org/", "invalid_format"),
            ("file:///etc/passwd", "invalid_format"),
            ("https://ada@example.org/", "invalid_format"),
            ("https://ada:secret@example.org/", "invalid_format"),
            ("https://example.org/#part", "invalid_format"),
            ("https://127.0.0.1/", "refused_address"),
            ("https://2130706433/", "refused_address"),
            ("https://0x7f.1/", "refused_address"),
            ("https://[::1]/", "refused_address"),
            ("https://[::ffff:169.254.169.254]/", "refused_address"),
            ("https://localhost/", "refused_address"),
            ("https://hooks.LOCALHOST./", "refused_address"),
        ] {
            assert_eq!(outside.target(bad).unwrap_err().0, code, "{bad}");
        }
    }

    #[test]
    fn an_address_has_one_spelling() {
        let outside = Reach::default();
        for (text, kept) in [
            ("https:example.org/x", "https://example.org/x"),
            ("  https://example.org/a b", "https://example.org/a%20b"),
            ("https://exämple.org/x", "https://xn--exmple-cua.org/x"),
            ("HTTPS://EXAMPLE.org:443", "https://example.org/"),
        ] {
            assert_eq!(outside.target(text).unwrap().as_str(), kept);
        }
    }

    #[test]
    fn networks_inside_are_reached_where_they_are_named() {
        let inside = Reach::with(vec!["127.0.0.0/8".parse().unwrap()]);
        assert!(inside.target("http://127.0.0.1:8080/").is_ok() && inside.target("http://localhost/").is_ok());
        assert_eq!(inside.target("http://10.0.0.1/").unwrap_err().0, "refused_address");
        assert_eq!(inside.target("http://8.8.8.8/").unwrap_err().0, "refused_address");
        assert!(inside.allows("::ffff:127.0.0.1".parse().unwrap(), "http"));
    }
}
