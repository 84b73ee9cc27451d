//! How the service meets its network: which proxies are believed, how patient it is with clients, which other sites may
//! call it from a browser.
//!
//! Nothing a client says of itself is believed: `X-Forwarded-For` and `X-Forwarded-Proto` count only when they come from a
//! proxy of the list, and `Forwarded` (RFC 7239) is not read at all.
use actix_web::{
    HttpRequest,
    http::{
        Uri,
        header::{HeaderMap, HeaderName},
    },
};
use clap::Args;
use ipnet::IpNet;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};

/// The settings of the edge.
#[derive(Debug, Clone, Args)]
pub struct Edge {
    /// Where people reach the service: https://HOST or https://HOST:PORT; with https answers ask browsers to stay on it (HSTS)
    #[arg(long, env = "BENCHSIDE_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Origin>,
    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses and networks, separated by commas
    #[arg(long, env = "BENCHSIDE_TRUSTED_PROXIES", value_name = "CIDR,…", value_delimiter = ',', value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,
    /// Sites whose pages may call the API from a browser, separated by commas [default: none]
    #[arg(long, env = "BENCHSIDE_CORS_ORIGINS", value_name = "URL,…", value_delimiter = ',')]
    pub cors_origins: Vec<Origin>,
    /// Requests a second that one caller may make for long, ten times as many at once; 0 for no limit
    #[arg(long, env = "BENCHSIDE_RATE_LIMIT", default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub rate_limit: u32,
    /// Seconds in which the head of a request must have come
    #[arg(long, env = "BENCHSIDE_HEADER_DEADLINE", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pub header_deadline: Duration,
    /// Seconds in which the body of a request must have come
    #[arg(long, env = "BENCHSIDE_BODY_DEADLINE", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pub body_deadline: Duration,
    /// Seconds a connection may idle between two requests
    #[arg(long, env = "BENCHSIDE_KEEP_ALIVE", default_value = "75", value_name = "SECONDS", value_parser = seconds)]
    pub keep_alive: Duration,
    /// Connections that are served at once; others wait
    #[arg(long, env = "BENCHSIDE_MAX_CONNECTIONS", default_value_t = 8192, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=1_000_000))]
    pub max_connections: u32,
    /// Seconds after SIGTERM in which the service still takes requests but says that it is not ready
    #[arg(long, env = "BENCHSIDE_DRAIN_NOTICE", default_value = "2", value_name = "SECONDS", value_parser = seconds)]
    pub drain_notice: Duration,
    /// Networks inside, to which webhooks may be sent all the same, by http too: addresses and networks, separated by commas [default: none]
    #[arg(long, env = "BENCHSIDE_WEBHOOK_ALLOW_PRIVATE", value_name = "CIDR,…", value_delimiter = ',', value_parser = network)]
    pub webhook_allow_private: Vec<IpNet>,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            public_url: None,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            rate_limit: 100,
            header_deadline: Duration::from_secs(10),
            body_deadline: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            max_connections: 8192,
            drain_notice: Duration::from_secs(2),
            webhook_allow_private: Vec::new(),
        }
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

impl Edge {
    /// Where a request comes from: the peer, or behind trusted proxies the right-most address of `X-Forwarded-For` that is
    /// none of them. What stands further left was written by whoever that is.
    pub fn address_of(&self, request: &HttpRequest) -> IpAddr {
        match request.peer_addr() {
            Some(peer) => self.client(peer.ip(), request.headers()),
            None => Ipv4Addr::UNSPECIFIED.into(),
        }
    }

    /// Whether the caller came by HTTPS, as far as is known.
    pub fn is_https(&self, request: &HttpRequest) -> bool {
        let own = self.public_url.as_ref().is_some_and(Origin::is_https);
        let proxied = request.peer_addr().is_some_and(|peer| self.trusts(peer.ip()));
        own || proxied && request.headers().get(FORWARDED_PROTO).is_some_and(|scheme| scheme == "https")
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&address.to_canonical()))
    }

    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer.to_canonical();
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).collect();
        let hops = lines.iter().rev().flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        for hop in hops {
            if !self.trusts(nearest) {
                break;
            }
            let Some(address) = hop_address(hop) else { break };
            nearest = address;
        }
        nearest
    }
}

/// An address, with or without a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().or_else(|_| hop.parse().map(|with_port: SocketAddr| with_port.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let parsed = text.parse().or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address)));
    parsed.map_err(|_| "an address or a network is meant, such as 10.0.0.0/8 or ::1".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let whole = text.parse().ok().filter(|seconds| *seconds <= 3600);
    whole.map(Duration::from_secs).ok_or_else(|| "a whole number of seconds up to 3600 is meant".into())
}

/// A site as browsers name it (RFC 6454): scheme, host, and a port that is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// `https://…`, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "https://HOST or https://HOST:PORT is meant, without a path".to_owned();
        let uri: Uri = text.trim().trim_end_matches('/').parse().map_err(|_| wrong())?;
        let scheme = uri.scheme_str().filter(|s| ["http", "https"].contains(s)).ok_or_else(wrong)?;
        let authority = uri.authority().filter(|a| !a.as_str().contains(['@', '*'])).ok_or_else(wrong)?;
        if uri.path() != "/" || uri.query().is_some() {
            return Err(wrong());
        }
        let port = authority.port_u16().filter(|port| *port != if scheme == "https" { 443 } else { 80 });
        let host = authority.host().to_lowercase();
        Ok(Self(port.map_or_else(|| format!("{scheme}://{host}"), |port| format!("{scheme}://{host}:{port}"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn edge(proxies: &[&str]) -> Edge {
        Edge { trusted_proxies: proxies.iter().map(|p| network(p).unwrap()).collect(), ..Edge::default() }
    }
    fn seen(edge: &Edge, peer: &str, forwarded: &[&str]) -> String {
        let request = TestRequest::default().peer_addr(SocketAddr::new(peer.parse().unwrap(), 9));
        let request = forwarded.iter().fold(request, |r, line| r.append_header((FORWARDED_FOR, *line)));
        edge.address_of(&request.to_http_request()).to_string()
    }

    #[test]
    fn a_client_is_not_believed() {
        assert_eq!(seen(&edge(&[]), "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(seen(&edge(&["10.0.0.0/8"]), "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
    }

    #[test]
    fn behind_proxies_the_last_address_that_is_none_of_them_counts() {
        let edge = edge(&["10.0.0.0/8", "2001:db8::1", "127.0.0.1"]);
        for (forwarded, client) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            (&["1.1.1.1, 203.0.113.9, 10.0.0.7"], "203.0.113.9"),
            (&["1.1.1.1", "203.0.113.9", "10.0.0.7,10.0.0.8"], "203.0.113.9"),
            (&["203.0.113.9:4711, 10.0.0.7"], "203.0.113.9"),
            (&["2001:db8:5::9, 2001:db8::1"], "2001:db8:5::9"),
            (&["[2001:db8:5::9]:443"], "2001:db8:5::9"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
            (&["10.0.0.9"], "10.0.0.9"),
            (&["203.0.113.9, unknown, 10.0.0.7"], "10.0.0.7"),
            (&["203.0.113.9, "], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(seen(&edge, "10.0.0.1", forwarded), client, "{forwarded:?}");
        }
        assert_eq!(seen(&edge, "::ffff:127.0.0.1", &["203.0.113.9"]), "203.0.113.9");
    }

    #[test]
    fn https_is_known_from_a_trusted_proxy_or_the_public_url() {
        let asks = |edge: &Edge, peer: &str, scheme: &str| {
            let request = TestRequest::default().peer_addr(SocketAddr::new(peer.parse().unwrap(), 9));
            edge.is_https(&request.insert_header((FORWARDED_PROTO, scheme)).to_http_request())
        };
        let behind = edge(&["10.0.0.1"]);
        assert!(asks(&behind, "10.0.0.1", "https"));
        assert!(!asks(&behind, "10.0.0.1", "http"));
        assert!(!asks(&behind, "10.0.0.2", "https"));
        let public = |url: &str| Edge { public_url: Some(url.parse().unwrap()), ..Edge::default() };
        assert!(asks(&public("https://bench.example.org"), "10.0.0.2", "http"));
        assert!(!asks(&public("http://bench.example.org"), "10.0.0.2", "https"));
    }

    #[test]
    fn an_origin_is_what_browsers_send() {
        for (text, origin) in [
            ("https://Bench.Example.org/", "https://bench.example.org"),
            ("https://bench.example.org:443", "https://bench.example.org"),
            ("http://localhost:3000", "http://localhost:3000"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().as_str(), origin);
        }
        for wrong in [
            "*",
            "null",
            "bench.example.org",
            "ftp://x",
            "https://x/path",
            "https://u@x",
            "https://x?y",
            "https://*.x.org",
            "",
        ] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_command_line() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            edge: Edge,
        }
        let line = <Line as clap::Parser>::parse_from(["benchside"]);
        assert_eq!(format!("{:?}", line.edge), format!("{:?}", Edge::default()));
        for wrong in [["--trusted-proxies", "10.0.0.0/40"], ["--trusted-proxies", "proxy"], ["--body-deadline", "1.5"]]
        {
            let line = ["benchside"].into_iter().chain(wrong);
            assert!(<Line as clap::Parser>::try_parse_from(line).is_err(), "{wrong:?}");
        }
    }
}
