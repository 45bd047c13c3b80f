//! Values of flags: texts that were seen to be what the field wants, kept as they go into a spec.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use model::fabric::{AddressRange, ResourceName};
use model::{ClasslessRoute, LookupRecordType, Name, PhysicalNetwork, TranslationMethod, VlanId, Vsid};
use serde::Serialize;
use serde_json::{Value, json};

/// A prefix, kept as the text that was typed after it was seen to be one: what the model says of bits behind the
/// length is to be heard, not hidden.
#[derive(Clone, Debug, Serialize)]
pub struct Prefix(ipnet::IpNet);

impl FromStr for Prefix {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("\"{text}\" is not a prefix; write one such as 10.0.0.0/24 or fd00::/64"))
    }
}

/// A value, or an empty text, which is how a flag says "nothing".
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum OrNothing<T> {
    Value(T),
    Nothing(Empty),
}

/// Written as an empty text.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

impl Serialize for Empty {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}

impl<T: FromStr> FromStr for OrNothing<T> {
    type Err = T::Err;
    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text.is_empty() { Ok(Self::Nothing(Empty)) } else { text.parse().map(Self::Value) }
    }
}

/// A limit of a quota; "none" takes it away.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum Limit {
    AtMost(u32),
    /// Written as null, which [`super::merge`] understands as "nothing".
    None(()),
}

impl FromStr for Limit {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" | "" => Ok(Self::None(())),
            number => number
                .parse()
                .map(Self::AtMost)
                .map_err(|_| format!("\"{number}\" is not a limit; write a number, or none")),
        }
    }
}

/// `PREFIX=NEXTHOP`.
#[derive(Clone, Debug, Serialize)]
pub struct Route(ClasslessRoute);

impl FromStr for Route {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("\"{text}\" is not a route; write PREFIX=NEXTHOP, such as 192.168.9.0/24=10.10.1.1");
        let (prefix, next_hop) = text.split_once('=').ok_or_else(malformed)?;
        let prefix = prefix.parse().map_err(|_| malformed())?;
        Ok(Self(ClasslessRoute { prefix, next_hop: next_hop.parse().map_err(|_| malformed())? }))
    }
}

/// `INTERFACE` or `INTERFACE.VLAN`.
#[derive(Clone, Debug, Serialize)]
pub struct Physical(PhysicalNetwork);

impl FromStr for Physical {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (interface, vlan) = match text.rsplit_once('.') {
            Some((interface, vlan)) if vlan.bytes().all(|c| c.is_ascii_digit()) => {
                let vlan: VlanId = vlan.parse().map_err(|error| format!("{error}"))?;
                (interface, Some(vlan))
            }
            _ => (text, None),
        };
        let interface: Name = interface.parse().map_err(|error: model::NameError| error.to_string())?;
        Ok(Self(PhysicalNetwork { interface, vlan }))
    }
}

/// `NAME=PREFIX,RANGE...`: a pool of provider addresses.
#[derive(Clone, Debug)]
pub struct Pool(Value);

impl Serialize for Pool {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl FromStr for Pool {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || {
            format!(
                "\"{text}\" is not a provider pool; write NAME=PREFIX,RANGE, such as \
                 pa=192.168.4.0/24,192.168.4.100-192.168.4.150"
            )
        };
        let (name, rest) = text.split_once('=').ok_or_else(malformed)?;
        let name: ResourceName = name.parse().map_err(|error| format!("{error}"))?;
        let mut parts = rest.split(',');
        let prefix: Prefix = parts.next().unwrap_or_default().parse().map_err(|_| malformed())?;
        let ranges: Vec<AddressRange> =
            parts.map(|range| range.parse().map_err(|error| format!("{error}"))).collect::<Result<_, _>>()?;
        if ranges.is_empty() {
            return Err(malformed());
        }
        Ok(Self(json!({"name": name, "prefix": prefix, "ranges": ranges})))
    }
}

/// `NAME=PREFIX[@VLAN],...`: a site of a logical network.
#[derive(Clone, Debug)]
pub struct SiteText {
    /// Its name.
    pub name: ResourceName,
    /// Its prefixes, as they stand in the spec.
    pub subnets: Vec<Value>,
}

impl FromStr for SiteText {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let malformed =
            || format!("\"{text}\" is not a site; write NAME=PREFIX[@VLAN],..., such as rack1=192.168.4.0/24@42");
        let (name, rest) = text.split_once('=').unwrap_or((text, ""));
        let name = name.parse().map_err(|error: model::fabric::ResourceNameError| error.to_string())?;
        let subnet = |part: &str| -> Result<Value, String> {
            let (prefix, vlan) = part.split_once('@').map_or((part, None), |(prefix, vlan)| (prefix, Some(vlan)));
            let prefix: Prefix = prefix.parse().map_err(|_| malformed())?;
            Ok(match vlan {
                Some(vlan) => {
                    let vlan: VlanId = vlan.parse().map_err(|error| format!("{error}"))?;
                    json!({"prefix": prefix, "vlan": vlan})
                }
                None => json!({"prefix": prefix}),
            })
        };
        let subnets = rest.split(',').filter(|part| !part.is_empty()).map(subnet).collect::<Result<_, _>>()?;
        Ok(Self { name, subnets })
    }
}

/// `SITE=HOST`: a host of a site.
#[derive(Clone, Debug)]
pub struct SiteHost {
    /// The site's name.
    pub site: ResourceName,
    /// The host's.
    pub host: ResourceName,
}

impl FromStr for SiteHost {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (site, host) =
            text.split_once('=').ok_or_else(|| format!("\"{text}\" is not a host of a site; write SITE=HOST"))?;
        let name = |text: &str| text.parse().map_err(|error: model::fabric::ResourceNameError| error.to_string());
        Ok(Self { site: name(site)?, host: name(host)? })
    }
}

/// An address, with words of our own where there is none.
#[derive(Clone, Debug, Serialize)]
pub struct Address(IpAddr);

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("\"{text}\" is not an address; write one such as 10.10.1.100 or fd00::64"))
    }
}

/// An address with a port, with words of our own where there is none.
#[derive(Clone, Debug, Serialize)]
pub struct Endpoint(SocketAddr);

impl FromStr for Endpoint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!(
                "\"{text}\" is not an address with a port; write one such as 203.0.113.101:51820, an IPv6 address in brackets"
            )
        })
    }
}

pub fn port_vsid(text: &str) -> Result<u32, model::VsidError> {
    if text == "0" { Ok(0) } else { text.parse::<Vsid>().map(Vsid::get) }
}

/// A word without case and hyphens, so that each of our notations and HNV's own is understood.
fn plain(text: &str) -> String {
    text.chars().filter(|c| *c != '-').flat_map(char::to_lowercase).collect()
}

pub fn translation_method(text: &str) -> Result<TranslationMethod, String> {
    let plain = plain(text);
    match plain.strip_prefix("translationmethod").unwrap_or(&plain) {
        "encap" => Ok(TranslationMethod::Encap),
        "nat" => Ok(TranslationMethod::Nat),
        "none" => Ok(TranslationMethod::None),
        _ => Err("the rules are encap, nat and none (TranslationMethodEncap, ...)".to_owned()),
    }
}

pub fn record_type(text: &str) -> Result<LookupRecordType, String> {
    match plain(text).as_str() {
        "static" => Ok(LookupRecordType::Static),
        "dynamic" => Ok(LookupRecordType::Dynamic),
        "l2only" => Ok(LookupRecordType::L2Only),
        "gatewaywildcard" => Ok(LookupRecordType::GatewayWildcard),
        _ => Err("the types are static, dynamic, l2only and gateway-wildcard".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notations_of_hnv_are_understood() {
        for (text, rule) in [
            ("encap", TranslationMethod::Encap),
            ("TranslationMethodEncap", TranslationMethod::Encap),
            ("translationmethodnat", TranslationMethod::Nat),
            ("None", TranslationMethod::None),
        ] {
            assert_eq!(translation_method(text), Ok(rule), "{text}");
        }
        for (text, record_type_of) in [
            ("Static", LookupRecordType::Static),
            ("dynamic", LookupRecordType::Dynamic),
            ("L2Only", LookupRecordType::L2Only),
            ("l2-only", LookupRecordType::L2Only),
            ("GatewayWildcard", LookupRecordType::GatewayWildcard),
            ("gateway-wildcard", LookupRecordType::GatewayWildcard),
        ] {
            assert_eq!(record_type(text), Ok(record_type_of), "{text}");
        }
        assert!(translation_method("gre").is_err() && record_type("learnt").is_err());
    }

    #[test]
    fn compound_values_become_what_the_spec_wants() {
        let pool: Pool = "pa=192.168.4.0/24,192.168.4.100-192.168.4.150,192.168.4.7".parse().unwrap();
        assert_eq!(
            pool.0,
            json!({"name": "pa", "prefix": "192.168.4.0/24", "ranges": ["192.168.4.100-192.168.4.150", "192.168.4.7"]})
        );
        let site: SiteText = "rack 1=192.168.4.0/24@42,192.168.5.0/24".parse().unwrap();
        assert_eq!(site.name.as_str(), "rack 1");
        assert_eq!(
            site.subnets,
            [json!({"prefix": "192.168.4.0/24", "vlan": 42}), json!({"prefix": "192.168.5.0/24"})]
        );
        let route: Route = "192.168.9.0/24=10.10.1.1".parse().unwrap();
        assert_eq!(serde_json::to_value(&route).unwrap(), json!({"prefix": "192.168.9.0/24", "nextHop": "10.10.1.1"}));
        let physical = |text: &str| serde_json::to_value(text.parse::<Physical>().unwrap()).unwrap();
        assert_eq!(physical("eth0.42"), json!({"interface": "eth0", "vlan": 42}));
        assert_eq!(physical("br-x.y"), json!({"interface": "br-x.y"}));
        for text in ["pa=192.168.4.0/24", "pa", "=192.168.4.0/24,192.168.4.1", "pa=x,192.168.4.1"] {
            assert!(text.parse::<Pool>().is_err(), "{text}");
        }
        assert!("rack1=192.168.4.0/24@5000".parse::<SiteText>().is_err());
        assert!("10.0.0.0/8".parse::<Route>().is_err());
    }
}
