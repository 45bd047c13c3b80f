//! What cmdlets see of hosts, and do at them.

use std::net::IpAddr;

use ipnet::IpNet;
use model::{Key, Kind, MacAddress, Resource};

/// What an object stands for: a resource of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The host, as `-CimSession` named it; none is the local one.
    pub host: Option<String>,
    /// The resource as it was when the object was made.
    pub resource: Resource,
}

/// A resource of a host, and what is true of it there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What is declared.
    pub resource: Resource,
    /// Whether it acts on packets.
    pub in_force: bool,
    /// Whether it is what whoever declares for the host wants now. It is not while a host has lost its controller.
    pub synchronized: bool,
}

/// How far duplicate address detection has come (RFC 4862, section 5.4), in the words of `AddressState`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum AddressState {
    /// The address is not on the interface.
    Invalid,
    /// Not yet known to be unique.
    Tentative,
    /// Another machine has it.
    Duplicate,
    /// For old connections alone.
    Deprecated,
    /// In use.
    Preferred,
}

/// One change of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A resource that is not there yet.
    Create(Resource),
    /// A resource that is there, as it shall be.
    Put(Resource),
    /// A resource that shall go.
    Delete(Key),
}

/// A network interface of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Name.
    pub name: String,
    /// Interface index.
    pub index: u32,
    /// MAC address, if it has one.
    pub mac: Option<MacAddress>,
    /// MTU in bytes.
    pub mtu: u32,
    /// Whether it can carry anything.
    pub up: bool,
    /// What it is, in a word such as `veth`.
    pub kind: String,
    /// Its addresses, each with its state.
    pub addresses: Vec<(IpNet, AddressState)>,
    /// If it is a VLAN of another one: the index of that, and the VLAN.
    pub vlan: Option<(u32, u16)>,
}

/// What is asked about the way between two customer addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Name of the port whose VM would send.
    pub port: String,
    /// Its customer address.
    pub from: IpAddr,
    /// The destination.
    pub to: IpAddr,
}

/// What becomes of a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Whether it leaves this host for the VM, or is delivered here.
    pub travels: bool,
    /// How, or why not, in a sentence.
    pub explanation: String,
}

/// The hosts that cmdlets speak to. `None` as a host is the local one. Errors are sentences.
pub trait Hosts {
    /// The name of a host, for people; an error if there is no host of this name.
    ///
    /// # Errors
    /// In a sentence, as of all methods.
    fn name(&mut self, host: Option<&str>) -> Result<String, String>;

    /// All resources of a kind, in the order of their names.
    ///
    /// # Errors
    /// In a sentence.
    fn list(&mut self, host: Option<&str>, kind: Kind) -> Result<Vec<Entry>, String>;

    /// One resource, if it is there.
    ///
    /// # Errors
    /// In a sentence.
    fn get(&mut self, host: Option<&str>, key: &Key) -> Result<Option<Entry>, String> {
        Ok(self.list(host, key.kind)?.into_iter().find(|entry| entry.resource.key() == *key))
    }

    /// Carries out all steps, or none.
    ///
    /// # Errors
    /// In a sentence.
    fn change(&mut self, host: Option<&str>, steps: &[Step]) -> Result<(), String>;

    /// Whether a VM of this name is to be taken for granted, which is so where no host is but in thought; then it has a port.
    ///
    /// # Errors
    /// In a sentence.
    fn imagine(&mut self, host: Option<&str>, vm: &str) -> Result<bool, String> {
        let _ = (host, vm);
        Ok(false)
    }

    /// The MAC address of the distributed router.
    ///
    /// # Errors
    /// In a sentence.
    fn gateway_mac(&mut self, host: Option<&str>) -> Result<MacAddress, String>;

    /// The interfaces, in the order of their indices.
    ///
    /// # Errors
    /// In a sentence.
    fn interfaces(&mut self, host: Option<&str>) -> Result<Vec<Interface>, String>;

    /// What would become of a packet.
    ///
    /// # Errors
    /// In a sentence.
    fn ask(&mut self, host: Option<&str>, question: &Question) -> Result<Outcome, String>;
}

/// Where scripts print, and who is asked.
pub trait Console {
    /// Prints a text.
    fn print(&mut self, text: &str);

    /// Complains.
    fn complain(&mut self, text: &str);

    /// Returns when all that was printed can be seen.
    fn settle(&mut self) {}

    /// Asks yes or no; none when there is nobody to ask.
    fn confirm(&mut self, question: &str) -> Option<bool>;

    /// How many columns a line has, if somebody looks at it.
    fn width(&self) -> Option<usize>;
}
