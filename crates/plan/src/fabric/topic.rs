//! What hosts subscribe to: a topic for each host and one for each virtualized VM network.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use model::fabric::{ResourceName, ResourceNameError};
use model::{Key, Resource, RoutingDomainId, RoutingDomainIdError};

/// Which topic. Written as `host/host15` and `network/11111111-2222-3333-4444-000000005001`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TopicId {
    /// What one host alone needs: its provider addresses, its ports, the DHCP scopes of its physical networks.
    Host(ResourceName),
    /// What all hosts with ports in a VM network that is virtualized need: lookup records, customer routes, DHCP scopes.
    Network(RoutingDomainId),
}

/// The resources of a topic: the very ones that can be declared at a host that stands alone.
pub type Topic = BTreeMap<Key, Resource>;

/// What changes in a topic. A topic that nothing is left in is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicChange {
    /// The topic.
    pub topic: TopicId,
    /// What is new or different, in the order of the keys.
    pub puts: Vec<Resource>,
    /// What is gone, in the order of the keys. No key is in both lists.
    pub deletes: Vec<Key>,
}

impl TopicChange {
    /// Carries it out on a copy of the topic.
    pub fn apply(&self, topic: &mut Topic) {
        for key in &self.deletes {
            topic.remove(key);
        }
        for resource in &self.puts {
            topic.insert(resource.key(), resource.clone());
        }
    }
}

/// Why a text names no topic.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TopicIdError {
    /// Neither `host/` nor `network/`.
    #[error("\"{0}\" is not a topic; topics are host/NAME and network/RDID")]
    Malformed(String),
    /// Not the name of a host.
    #[error(transparent)]
    Host(#[from] ResourceNameError),
    /// Not a routing domain.
    #[error(transparent)]
    Network(#[from] RoutingDomainIdError),
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => write!(f, "host/{name}"),
            Self::Network(rdid) => {
                write!(f, "network/{}", uuid::Uuid::from_bytes(*rdid.as_bytes()))
            }
        }
    }
}

impl FromStr for TopicId {
    type Err = TopicIdError;
    fn from_str(text: &str) -> Result<Self, TopicIdError> {
        match text.split_once('/') {
            Some(("host", name)) => Ok(Self::Host(name.parse()?)),
            Some(("network", rdid)) => Ok(Self::Network(rdid.parse()?)),
            _ => Err(TopicIdError::Malformed(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["host/host15", "network/11111111-2222-3333-4444-000000005001"] {
            assert_eq!(text.parse::<TopicId>().unwrap().to_string(), text);
        }
        assert!(matches!("host".parse::<TopicId>(), Err(TopicIdError::Malformed(_))));
        assert!(matches!("host/".parse::<TopicId>(), Err(TopicIdError::Host(_))));
        assert!(matches!("network/blue".parse::<TopicId>(), Err(TopicIdError::Network(_))));
        let error = "subnet/5001".parse::<TopicId>().unwrap_err();
        assert_eq!(error.to_string(), "\"subnet/5001\" is not a topic; topics are host/NAME and network/RDID");
    }
}
