//! Why a tunnel is not up, learnt from what charon logs.
//!
//! Charon tells by its log alone why an attempt failed. Its sentences have been the same since strongSwan 5.5; a sentence that
//! is not known costs an explanation and nothing else. The names of notifies are RFC 7296's (3.10.1).

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Authentication, Tunnel};

/// Attempts of others whose connection charon does not know yet are remembered up to this number; then all are forgotten.
const STRANGERS: usize = 256;

/// Why an attempt failed. What comes later explains more than what comes before.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Complaint {
    /// A notify of the other side that has no sentence of its own.
    Notified(String),
    /// No answer to the first message.
    NoAnswer,
    /// An answer to the first message, by UDP port 500, and none to the second one, by 4500.
    NoAnswerToAuthentication,
    /// The tunnel was up, and the other side has stopped to answer.
    Silent,
    /// The other side says AUTHENTICATION_FAILED.
    RefusedByThem,
    /// The other side asks for somebody else, or says that it is somebody else.
    NoConfig {
        /// Whom it asks for.
        ours: Option<String>,
        /// What it calls itself.
        theirs: Option<String>,
    },
    /// We have no key that could check the other side's certificate.
    Untrusted(String),
    /// Our private key is not that of our certificate, or is none.
    NoPrivateKey(String),
    /// The other side calls itself something else than `remoteId`.
    Identity(Option<String>),
    /// There is no key for these two names.
    NoKey(String),
    /// The other side's key is another one.
    WrongKey,
    /// A certificate of the other side comes from an authority that we do not know.
    UnknownAuthority(Option<String>),
    /// A certificate of the other side is too old or too new.
    Expired {
        /// Whose.
        subject: Option<String>,
        /// From when to when it is valid.
        validity: String,
    },
    /// A certificate of the other side was revoked.
    Revoked(Option<String>),
    /// No proposal of IKE in common.
    IkeProposals(Option<String>),
    /// No proposal of ESP in common.
    EspProposals(Option<String>),
    /// No traffic selectors in common.
    Selectors(Option<String>),
}

/// What is known of an attempt.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Attempt {
    complaint: Option<Complaint>,
    /// Charon's number of the attempt that complained.
    number: u64,
    /// An attempt has begun since.
    anew: bool,
    /// The certificate that charon looked at last.
    certificate: Option<String>,
    /// The authority that it came from.
    authority: Option<String>,
    /// What the other side called itself.
    identity: Option<String>,
    /// Whom the other side asked for.
    asked: Option<String>,
    /// What the other side proposed.
    proposed: Option<String>,
}

/// What a charon has logged of its tunnels.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    named: BTreeMap<String, Attempt>,
    /// Attempts of others that have no connection yet, with where they come from.
    strangers: BTreeMap<u64, (IpAddr, Attempt)>,
}

impl Journal {
    /// Takes up one line of the log: charon's name and number of the attempt, and what it says.
    pub fn hear(&mut self, name: &str, number: u64, line: &str) {
        let line = line.trim();
        if let Some(address) = line.strip_suffix(" is initiating an IKE_SA").and_then(|from| from.parse().ok()) {
            if self.strangers.len() == STRANGERS {
                self.strangers.clear();
            }
            self.strangers.insert(number, (address, Attempt { anew: true, ..Attempt::default() }));
            return;
        }
        match self.strangers.get_mut(&number) {
            Some((_, attempt)) if name.is_empty() || name == "(unnamed)" => attempt.hear(number, line),
            _ if name.is_empty() || name == "(unnamed)" => {}
            stranger => {
                let met = stranger.map(|(_, attempt)| std::mem::take(attempt));
                self.strangers.remove(&number);
                let attempt = self.named.entry(name.to_owned()).or_default();
                if let Some(met) = met {
                    attempt.anew = true;
                    attempt.identity = met.identity;
                    attempt.asked = met.asked;
                    attempt.proposed = met.proposed;
                }
                attempt.hear(number, line);
            }
        }
    }

    /// Forgets what was said of a tunnel, which is up or has changed.
    pub fn forget(&mut self, tunnel: &Tunnel<'_>) {
        self.named.remove(tunnel.name);
        self.strangers.retain(|_, (address, attempt)| !attempt.is_of(tunnel, *address));
    }

    /// Forgets all tunnels but these.
    pub fn keep(&mut self, tunnels: &[Tunnel<'_>]) {
        self.named.retain(|name, _| tunnels.iter().any(|tunnel| tunnel.name == name));
    }

    /// Why a tunnel is not up, so far as is known: what was said of it, or else of attempts from its other side.
    pub fn complaint(&self, tunnel: &Tunnel<'_>) -> Option<&Complaint> {
        let own = self.named.get(tunnel.name).and_then(|attempt| attempt.complaint.as_ref());
        let strangers = self.strangers.values().filter(|(address, attempt)| attempt.is_of(tunnel, *address));
        let strangers = strangers.filter_map(|(_, attempt)| attempt.complaint.as_ref()).next_back();
        own.max(strangers)
    }
}

impl Attempt {
    /// Whether an attempt from an address is that of a tunnel's other side. Where any address may be its, its name counts: many
    /// speak to a gateway who are nobody's site.
    fn is_of(&self, tunnel: &Tunnel<'_>, address: IpAddr) -> bool {
        match tunnel.remote {
            Some(remote) => remote == address,
            None => self.identity.as_ref() == Some(&tunnel.remote_id),
        }
    }

    fn hear(&mut self, number: u64, line: &str) {
        if line.starts_with("initiating IKE_SA ") {
            *self = Self { complaint: self.complaint.take(), number, anew: true, ..Self::default() };
            return;
        }
        if let Some(subject) = quoted(line, "using certificate \"", '"') {
            self.certificate = Some(subject);
        } else if let Some(subject) = quoted(line, "received end entity cert \"", '"') {
            self.certificate = Some(subject);
        } else if let Some(subject) = quoted(line, "using trusted ca certificate \"", '"') {
            self.authority = Some(subject);
        } else if let Some(proposed) = line.strip_prefix("received proposals: ") {
            self.proposed = Some(proposed.to_owned());
        } else if let Some(between) = line.strip_prefix("looking for peer configs matching ") {
            let (ours, theirs) = between.split_once("...").unwrap_or((between, ""));
            self.asked = quoted(ours, "[", ']').filter(|asked| asked != "%any");
            self.identity = quoted(theirs, "[", ']');
        }
        let Some(complaint) = self.read(line) else { return };
        let explains_more = self.complaint.as_ref().is_none_or(|known| *known <= complaint);
        if self.anew || self.number != number || explains_more {
            self.complaint = Some(complaint);
        }
        self.anew = false;
        self.number = number;
    }

    /// What a line complains of.
    fn read(&self, line: &str) -> Option<Complaint> {
        self.read_silence(line).or_else(|| self.read_keys(line)).or_else(|| self.read_offers(line)).or_else(|| {
            let notify = line.strip_prefix("received ")?;
            let (name, _) = notify.split_once(" notify")?;
            let is_error = notify.contains("notify error") || notify.contains("no CHILD_SA built");
            let name = name.rsplit(' ').next().unwrap_or(name);
            is_error.then(|| Complaint::Notified(name.to_owned()))
        })
    }

    fn read_silence(&self, line: &str) -> Option<Complaint> {
        // The first repetition may be owed to a packet that got lost.
        if let Some(rest) = line.strip_prefix("retransmit ") {
            let (time, rest) = rest.split_once(' ')?;
            let message = rest.rsplit(' ').next()?;
            return match (time.parse::<u32>().ok()?, message.parse::<u32>().ok()?) {
                (..2, _) => None,
                (_, 0) => Some(Complaint::NoAnswer),
                (_, 1) => Some(Complaint::NoAnswerToAuthentication),
                _ => Some(Complaint::Silent),
            };
        }
        let silent = line.contains("peer not responding") && self.complaint.is_none();
        silent.then_some(Complaint::NoAnswer)
    }

    fn read_keys(&self, line: &str) -> Option<Complaint> {
        if line.contains("but MAC mismatched") {
            return Some(Complaint::WrongKey);
        }
        if line.contains("AUTHENTICATION_FAILED notify") {
            return Some(Complaint::RefusedByThem);
        }
        if let Some(pair) = line.strip_prefix("no shared key found for ") {
            return Some(Complaint::NoKey(pair.to_owned()));
        }
        if line.starts_with("no ") && line.contains("private key found for ") {
            return Some(Complaint::NoPrivateKey(quoted(line, "private key found for '", '\'')?));
        }
        if line.contains("certificate invalid (valid from ") || line.contains("certificate is not valid") {
            let validity = quoted(line, "(valid ", ')')?;
            return Some(Complaint::Expired { subject: self.certificate.clone(), validity });
        }
        if line.contains("certificate was revoked") || line.starts_with("certificate revoked") {
            return Some(Complaint::Revoked(self.certificate.clone()));
        }
        if line.contains("no issuer certificate found for ") {
            return Some(Complaint::UnknownAuthority(None));
        }
        // It follows the line before.
        if line.starts_with("issuer is \"") {
            return Some(Complaint::UnknownAuthority(quoted(line, "issuer is \"", '"')));
        }
        if line.contains("constraint check failed: peer not authenticated by CA '") {
            return Some(Complaint::UnknownAuthority(self.authority.clone()));
        }
        if line.contains("constraint check failed: identity '") {
            return Some(Complaint::Identity(self.identity.clone()));
        }
        if line.contains("public key found for '") {
            return Some(Complaint::Untrusted(quoted(line, "public key found for '", '\'')?));
        }
        let none = line.starts_with("no matching peer config found");
        none.then(|| Complaint::NoConfig { ours: self.asked.clone(), theirs: self.identity.clone() })
    }

    fn read_offers(&self, line: &str) -> Option<Complaint> {
        if line.contains("NO_PROPOSAL_CHOSEN notify") {
            let of_esp = line.contains("CHILD_SA");
            return Some(if of_esp { Complaint::EspProposals(None) } else { Complaint::IkeProposals(None) });
        }
        if line.starts_with("received proposals unacceptable") || line.starts_with("no matching proposal found") {
            return Some(Complaint::IkeProposals(self.proposed.clone()));
        }
        if line.starts_with("no acceptable proposal found") {
            return Some(Complaint::EspProposals(self.proposed.clone()));
        }
        if line.contains("TS_UNACCEPTABLE notify") || line.starts_with("no acceptable traffic selectors found") {
            return Some(Complaint::Selectors(None));
        }
        let theirs = line.strip_prefix("traffic selectors ")?.strip_suffix(" unacceptable")?;
        Some(Complaint::Selectors(Some(theirs.to_owned())))
    }
}

/// What stands between a text and the next of a sign.
fn quoted(line: &str, before: &str, end: char) -> Option<String> {
    let (_, rest) = line.split_once(before)?;
    Some(rest.split_once(end)?.0.to_owned())
}

impl Complaint {
    /// As a sentence that says what to do.
    pub fn sentence(&self, tunnel: &Tunnel<'_>) -> String {
        let (Tunnel { local, local_id, remote_id, .. }, remote) = (tunnel, tunnel.other_side());
        match self {
            Self::Notified(name) => format!("{remote} answers {name}; look into its log for the reason"),
            Self::NoAnswer => format!(
                "no answer from {remote} to IKE_SA_INIT, the first message; is it up, does it know {local}, and do UDP 500 and \
                 4500 pass between them?"
            ),
            Self::NoAnswerToAuthentication => format!(
                "{remote} answers IKE_SA_INIT and not IKE_AUTH; do UDP 4500 and fragments pass between {local} and it?"
            ),
            Self::Silent => format!(
                "{remote} has stopped to answer; is it up, and does UDP 500 and 4500 pass between {local} and it?"
            ),
            Self::Revoked(subject) => {
                format!("the certificate of {remote}{} was revoked; it needs a new one", named(subject.as_deref()))
            }
            Self::IkeProposals(theirs) => proposals(tunnel, "ikeProposals", &tunnel.ike_proposals, theirs.as_deref()),
            Self::EspProposals(theirs) => proposals(tunnel, "espProposals", &tunnel.esp_proposals, theirs.as_deref()),
            Self::Selectors(theirs) => selectors(tunnel, theirs.as_deref()),
            Self::NoConfig { ours, theirs } => format!(
                "{remote} asks for \"{}\" and calls itself \"{}\", which is not \"{local_id}\" and \"{remote_id}\", as this tunnel \
                 has it; set ipsec.localId and ipsec.remoteId to its words, or it to these",
                ours.as_deref().unwrap_or("anybody"),
                theirs.as_deref().unwrap_or("nothing"),
            ),
            Self::Identity(Some(theirs)) => format!(
                "{remote} calls itself \"{theirs}\", and does not show that it is \"{remote_id}\"; set ipsec.remoteId to what it \
                 calls itself, and have its certificate say so"
            ),
            Self::Identity(None) => format!(
                "{remote} does not show that it is \"{remote_id}\"; set ipsec.remoteId to what it calls itself, and have its \
                 certificate say so"
            ),
            _ => self.about_keys(tunnel),
        }
    }

    /// The sentences about keys and certificates.
    fn about_keys(&self, tunnel: &Tunnel<'_>) -> String {
        let (Tunnel { local_id, remote_id, authentication, .. }, remote) = (tunnel, tunnel.other_side());
        let by_key = matches!(authentication, Authentication::Psk(_));
        match self {
            Self::WrongKey => format!(
                "the pre-shared key of {remote} is not ours (we refuse it: AUTHENTICATION_FAILED); set ipsec.psk to the same \
                 key on both sides"
            ),
            Self::RefusedByThem if by_key => format!(
                "{remote} refuses us (AUTHENTICATION_FAILED): it has another pre-shared key, or none for \"{local_id}\", or is \
                 not called \"{remote_id}\"; set the same key on both sides, ipsec.localId to what it expects, and \
                 ipsec.remoteId to what it calls itself"
            ),
            Self::RefusedByThem => format!(
                "{remote} refuses us (AUTHENTICATION_FAILED): does it know the authority of our certificate, is that \
                 certificate for \"{local_id}\", is the clock right on both sides, and does it call itself \"{remote_id}\", \
                 as ipsec.remoteId says?"
            ),
            Self::NoKey(pair) => format!(
                "{remote} calls itself something that we have no key for ({pair}); set ipsec.remoteId to it, or its name there \
                 to \"{remote_id}\""
            ),
            Self::NoPrivateKey(whose) => {
                format!(
                    "ipsec.certificates.privateKey is not the key of the certificate, or the certificate is not for \"{whose}\""
                )
            }
            Self::Expired { subject, validity } => format!(
                "a certificate of {remote}{} is not valid now: it is valid {validity}; it needs a new one",
                named(subject.as_deref())
            ),
            Self::UnknownAuthority(issuer) => format!(
                "the certificate of {remote} comes from an authority{} that ipsec.certificates.ca is not; put the certificate \
                 of its authority there",
                named(issuer.as_deref())
            ),
            Self::Untrusted(whose) => format!(
                "{remote} shows no certificate for \"{whose}\" that comes from ipsec.certificates.ca; put the certificate of \
                 its authority there, and let its certificate name \"{remote_id}\""
            ),
            _ => format!("{remote} cannot be authenticated"),
        }
    }
}

/// ` ("CN=…")` or nothing.
fn named(subject: Option<&str>) -> String {
    subject.map(|subject| format!(" (\"{subject}\")")).unwrap_or_default()
}

fn proposals(tunnel: &Tunnel<'_>, field: &str, ours: &[String], theirs: Option<&str>) -> String {
    let remote = tunnel.other_side();
    let ours = ours.join(", ");
    match theirs {
        Some(theirs) => format!(
            "no proposal in common with {remote} (NO_PROPOSAL_CHOSEN): it offers {theirs}, we take {ours}; set ipsec.{field} to one of its"
        ),
        None => format!(
            "{remote} takes none of our proposals (NO_PROPOSAL_CHOSEN): we offer {ours}; set ipsec.{field} to what it is \
             configured for, or let it take one of these"
        ),
    }
}

fn selectors(tunnel: &Tunnel<'_>, theirs: Option<&str>) -> String {
    let list = |prefixes: &[ipnet::IpNet]| prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (here, there) = (list(&tunnel.local_selectors), list(&tunnel.remote_selectors));
    let theirs = theirs.map(|theirs| format!("; it wants {theirs}")).unwrap_or_default();
    format!(
        "{} and we do not agree on what the tunnel carries (TS_UNACCEPTABLE): {here} here and {there} there{theirs}; set \
         ipsec.localPrefixes and ipsec.remotePrefixes to the same, the other way round, on both sides",
        tunnel.other_side()
    )
}

#[cfg(test)]
mod tests {
    use model::gateway::Secret;

    use super::*;

    fn tunnel(secret: &Secret) -> Tunnel<'_> {
        Tunnel {
            name: "office",
            local: "192.0.2.1".parse().unwrap(),
            remote: "198.51.100.1".parse().ok(),
            local_id: "192.0.2.1".to_owned(),
            remote_id: "198.51.100.1".to_owned(),
            authentication: Authentication::Psk(secret),
            local_selectors: vec!["10.1.0.0/24".parse().unwrap()],
            remote_selectors: vec!["10.2.0.0/24".parse().unwrap()],
            routes: Vec::new(),
            addresses: Vec::new(),
            ike_proposals: vec!["aes128-sha256-modp2048".to_owned()],
            esp_proposals: vec!["aes128-sha256".to_owned()],
            opens: true,
            dpd_delay: 5,
            rekey_time: 3600,
        }
    }

    /// What is said after lines of a log, each with charon's name and number before it.
    fn after(lines: &[(&str, u64, &str)]) -> String {
        let (mut journal, secret) = (Journal::default(), Secret::new("x"));
        lines.iter().for_each(|(name, number, line)| journal.hear(name, *number, line));
        let tunnel = tunnel(&secret);
        journal.complaint(&tunnel).map(|complaint| complaint.sentence(&tunnel)).unwrap_or_default()
    }

    #[test]
    fn one_repetition_is_no_silence_and_the_message_says_where_it_ends() {
        assert_eq!(after(&[("office", 1, "retransmit 1 of request with message ID 0")]), "");
        let said = after(&[("office", 1, "retransmit 2 of request with message ID 0")]);
        assert!(said.starts_with("no answer from 198.51.100.1 to IKE_SA_INIT"), "{said}");
        let said = after(&[("office", 1, "retransmit 2 of request with message ID 1")]);
        assert!(said.contains("not IKE_AUTH") && said.contains("UDP 4500"), "{said}");
        let said = after(&[("office", 1, "retransmit 4 of request with message ID 17")]);
        assert!(said.contains("has stopped to answer"), "{said}");
    }

    #[test]
    fn what_explains_more_stays_until_there_is_another_attempt() {
        let mut lines = vec![
            ("office", 1, "initiating IKE_SA office[1] to 198.51.100.1"),
            ("office", 1, "  using certificate \"CN=theirs\""),
            ("office", 1, "subject certificate invalid (valid from Nov 01 00:00:00 2023 to Nov 01 00:00:00 2025)"),
            ("office", 1, "no trusted ED25519 public key found for 'theirs'"),
        ];
        let said = after(&lines);
        assert!(said.contains("(\"CN=theirs\") is not valid now: it is valid from Nov 01 00:00:00 2023 to"), "{said}");
        lines.extend([
            ("office", 2, "initiating IKE_SA office[2] to 198.51.100.1"),
            ("office", 2, "received AUTHENTICATION_FAILED notify error"),
        ]);
        assert!(after(&lines).contains("refuses us (AUTHENTICATION_FAILED)"));
    }

    #[test]
    fn attempts_of_others_are_known_by_their_address_until_they_have_a_name() {
        let unnamed = [
            ("", 7, "198.51.100.1 is initiating an IKE_SA"),
            ("", 7, "received proposals: IKE:3DES_CBC/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024"),
            ("", 7, "received proposals unacceptable"),
        ];
        let said = after(&unnamed);
        assert!(said.contains("it offers IKE:3DES_CBC/HMAC_SHA1_96") && said.contains("we take aes128-"), "{said}");
        assert_eq!(
            after(&unnamed.map(|(_, number, line)| ("", number + 1, line))[1..]),
            "",
            "nobody knows whose that is"
        );
        let named = [
            ("", 7, "198.51.100.1 is initiating an IKE_SA"),
            ("office", 7, "tried 1 shared key for '192.0.2.1' - '198.51.100.1', but MAC mismatched"),
        ];
        assert!(after(&named).contains("pre-shared key of 198.51.100.1 is not ours"));
        let stranger = [
            ("", 7, "198.51.100.1 is initiating an IKE_SA"),
            ("", 7, "looking for peer configs matching 192.0.2.1[%any]...198.51.100.1[fritz.example]"),
            ("", 7, "no matching peer config found"),
        ];
        assert!(after(&stranger).contains("calls itself \"fritz.example\""), "{}", after(&stranger));
    }

    #[test]
    fn notifies_without_a_sentence_are_named_and_chatter_is_not() {
        let said = after(&[("office", 1, "received INVALID_SYNTAX notify error")]);
        assert_eq!(said, "198.51.100.1 answers INVALID_SYNTAX; look into its log for the reason");
        for chatter in ["received packet: from 198.51.100.1[500] to 192.0.2.1[500] (36 bytes)", "", "received ", "x"] {
            assert_eq!(after(&[("office", 1, chatter)]), "", "{chatter}");
        }
    }
}
