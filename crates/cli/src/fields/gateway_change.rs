//! What `set gateway` adds to a gateway's lists and takes out of them, beside the fields that replace them.

use clap::Args;
use model::fabric::ResourceName;
use serde_json::{Map, Value, json};

use super::FieldsError;
use super::gateway_values::{GatewayHost, Network};

/// Hosts and networks that come and go by themselves.
#[derive(Debug, Args)]
pub struct GatewayChange {
    /// Network outside besides those that it has; may be repeated. One that it has already, in the same VLAN, gets these ranges
    /// besides its own, and this router if one is named.
    #[arg(
        long = "add-network",
        value_name = "PREFIX[@VLAN][,via ADDRESS][,range FIRST-LAST]",
        conflicts_with = "networks"
    )]
    added_networks: Vec<Network>,
    /// Host besides those that it has, behind them in preference; may be repeated.
    #[arg(long = "add-gateway-host", value_name = "HOST=INTERFACE[,ADDRESS/LENGTH]", conflicts_with = "hosts")]
    added_hosts: Vec<GatewayHost>,
    /// Host that is no more to be one of it; may be repeated. Drain it first, so that connections do not break.
    #[arg(long = "remove-gateway-host", value_name = "HOST", conflicts_with = "hosts")]
    removed_hosts: Vec<ResourceName>,
}

impl GatewayChange {
    /// The given fields, and the lists of the spec with what comes and without what goes.
    ///
    /// # Errors
    /// When a host is to go that is none of the gateway, or none would be left.
    pub fn given(
        &self,
        gateway: &str,
        mut given: Map<String, Value>,
        spec: &Value,
    ) -> Result<Map<String, Value>, FieldsError> {
        if !self.added_networks.is_empty() {
            let mut networks = list(spec, "networks");
            self.added_networks.iter().for_each(|network| add_network(&mut networks, &json!(network)));
            given.insert("networks".to_owned(), networks.into());
        }
        if !self.added_hosts.is_empty() || !self.removed_hosts.is_empty() {
            given.insert("hosts".to_owned(), self.hosts(gateway, spec)?.into());
        }
        let drained = list(spec, "drained");
        if !self.removed_hosts.is_empty() && !drained.is_empty() && !given.contains_key("drained") {
            let mut left: Vec<Value> = drained.into_iter().filter(|host| !self.removes(host)).collect();
            if left.is_empty() {
                // An empty text is how a list is told that it has nothing.
                left.push("".into());
            }
            given.insert("drained".to_owned(), left.into());
        }
        Ok(given)
    }

    fn hosts(&self, gateway: &str, spec: &Value) -> Result<Vec<Value>, FieldsError> {
        let mut hosts = list(spec, "hosts");
        let missing = self.removed_hosts.iter().find(|name| hosts.iter().all(|host| host["host"] != name.as_str()));
        if let Some(host) = missing {
            let hosts = hosts.iter().filter_map(|host| host["host"].as_str()).collect::<Vec<_>>().join(", ");
            return Err(FieldsError::NoSuchGatewayHost { gateway: gateway.to_owned(), host: host.clone(), hosts });
        }
        hosts.retain(|host| !self.removes(&host["host"]));
        hosts.extend(self.added_hosts.iter().map(|host| json!(host)));
        if hosts.is_empty() {
            return Err(FieldsError::NoGatewayHostLeft(gateway.to_owned()));
        }
        Ok(hosts)
    }

    fn removes(&self, host: &Value) -> bool {
        self.removed_hosts.iter().any(|removed| *host == removed.as_str())
    }
}

/// A list of the spec.
fn list(spec: &Value, field: &str) -> Vec<Value> {
    spec.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Puts a network among others, or what it says into the one that has its prefix and VLAN.
fn add_network(networks: &mut Vec<Value>, added: &Value) {
    let same = |network: &&mut Value| network["prefix"] == added["prefix"] && network.get("vlan") == added.get("vlan");
    let Some(network) = networks.iter_mut().find(same) else { return networks.push(added.clone()) };
    if let Some(router) = added.get("nextHop") {
        network["nextHop"] = router.clone();
    }
    let mut ranges = list(network, "ranges");
    ranges.extend(list(added, "ranges"));
    if !ranges.is_empty() {
        network["ranges"] = ranges.into();
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        fields: crate::fields::gateway::GatewayFields,
        #[command(flatten)]
        change: GatewayChange,
    }

    fn spec() -> Value {
        json!({
            "logicalNetwork": "TDIv2",
            "hosts": [{"host": "host17", "interface": "eth1"}, {"host": "host18", "interface": "eth1"}],
            "networks": [{"prefix": "203.0.113.0/24", "nextHop": "203.0.113.1", "ranges": ["203.0.113.16-203.0.113.63"]}],
            "drained": ["host18"],
        })
    }

    fn changed(words: &[&str]) -> Result<Value, String> {
        let typed = Typed::try_parse_from(std::iter::once("x").chain(words.iter().copied())).unwrap();
        let mut spec = spec();
        let given = typed.change.given("edge", super::super::given(&typed.fields), &spec);
        super::super::spec::merge(&mut spec, Value::Object(given.map_err(|error| error.to_string())?));
        Ok(spec)
    }

    #[test]
    fn a_range_is_added_to_the_network_that_has_its_prefix() {
        let after = changed(&["--add-network", "203.0.113.0/24,range 203.0.113.80-203.0.113.95"]).unwrap();
        assert_eq!(
            after["networks"],
            json!([{
                "prefix": "203.0.113.0/24",
                "nextHop": "203.0.113.1",
                "ranges": ["203.0.113.16-203.0.113.63", "203.0.113.80-203.0.113.95"],
            }])
        );
        let router = changed(&["--add-network", "203.0.113.0/24,via 203.0.113.2"]).unwrap();
        assert_eq!(router["networks"][0]["nextHop"], "203.0.113.2");
        assert_eq!(router["networks"][0]["ranges"], json!(["203.0.113.16-203.0.113.63"]));
        let vlan = changed(&["--add-network", "203.0.113.0/24@42"]).unwrap();
        assert_eq!(vlan["networks"].as_array().unwrap().len(), 2, "in another VLAN it is another network");
    }

    #[test]
    fn hosts_come_and_go_without_the_others() {
        let after = changed(&["--add-gateway-host", "host19=eth2,203.0.113.4/24"]).unwrap();
        let added = json!({"host": "host19", "interface": "eth2", "addresses": ["203.0.113.4/24"]});
        assert_eq!((after["hosts"].as_array().unwrap().len(), &after["hosts"][2]), (3, &added));
        assert_eq!(after["drained"], json!(["host18"]));
        let after = changed(&["--remove-gateway-host", "host18"]).unwrap();
        assert_eq!(after["hosts"], json!([{"host": "host17", "interface": "eth1"}]));
        assert_eq!(after.get("drained"), None, "one that is gone is not drained any more");
        let anew = changed(&["--remove-gateway-host", "host17", "--add-gateway-host", "host17=eth2"]).unwrap();
        assert_eq!(anew["hosts"][1], json!({"host": "host17", "interface": "eth2"}));
        assert_eq!(
            changed(&["--remove-gateway-host", "host20"]).unwrap_err(),
            "gateway edge has no host host20; its hosts are host17, host18"
        );
        assert_eq!(
            changed(&["--remove-gateway-host", "host17", "--remove-gateway-host", "host18"]).unwrap_err(),
            "gateway edge would have no host left; add another with \"--add-gateway-host HOST=INTERFACE\", or delete the gateway"
        );
    }

    #[test]
    fn all_anew_and_besides_are_not_said_together() {
        for words in [
            ["--gateway-host", "host17=eth1", "--add-gateway-host", "host18=eth1"],
            ["--gateway-host", "host17=eth1", "--remove-gateway-host", "host18"],
            ["--network", "203.0.113.0/24", "--add-network", "203.0.113.0/24"],
        ] {
            let error = Typed::try_parse_from(std::iter::once("x").chain(words)).map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict, "{words:?}");
        }
    }
}
