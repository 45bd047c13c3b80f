//! What a tenant is told of what hosts say: nothing of provider addresses and names of hosts. Pure functions.
//!
//! What hosts say is text for their admins. So what is told is chosen and not what is left out: of each field what is known to be
//! the tenant's own, and for all else words of its own.

use api::fabric::asking::ASK_TIMEOUT;
use api::fabric::{TraceEnd, TraceFate, TraceLeg};
use api::{HostTrace, Problem, ProblemType, TraceLookup, TraceReport, TraceStep};
use model::fabric::ResourceName;
use proto::AskError;

/// The tables whose keys and values are made of what the tenant declared.
const OWN_TABLES: [&str; 3] = ["customer route", "policy", "rule"];
/// The tables whose keys are the tenant's own, while their values say where its VMs are.
const OWN_KEYS: [&str; 2] = ["lookup record", "station"];

/// Why a host gave no answer, without saying which.
pub fn unanswered(error: &AskError) -> Problem {
    Problem::unavailable(match error {
        AskError::Share => {
            let detail = "the host of the port has several questions of your tenant to answer already; ask again when they are \
                          answered";
            return Problem::too_many_requests(detail, ASK_TIMEOUT.as_secs());
        }
        AskError::NotConnected | AskError::Gone | AskError::Late(_) => {
            "the host of the port does not answer now; ask again later, or ask an admin"
        }
        AskError::Unknown { .. } => {
            "the host of the port cannot answer this yet; ask an admin to bring its netvirt to the controller's version"
        }
        AskError::Busy => "the host of the port has too many questions to answer already; ask again later",
    })
}

/// A host's refusal. What is wrong with the tenant's packet is said as the host says it.
pub fn refused(problem: Problem) -> Problem {
    match problem.problem_type {
        ProblemType::BadRequest | ProblemType::Invalid => problem,
        ProblemType::Unavailable | ProblemType::NotFound => {
            Problem::unavailable("the host of the port can say nothing of it now; ask again when its VM has started")
        }
        ProblemType::TooLarge => Problem::new(ProblemType::TooLarge, "the answer is too large; ask about less"),
        _ => Problem::internal("the host of the port failed to answer; ask an admin, who finds the reason in its log"),
    }
}

/// A leg of a trace; `port` is the port that the packet is delivered to, if it is one of the tenant's.
pub fn leg(leg: HostTrace, port: Option<ResourceName>) -> TraceLeg {
    let HostTrace { report, fate, inner, .. } = leg;
    let own = matches!(fate, TraceFate::Dropped | TraceFate::Answered);
    let output = match fate {
        TraceFate::Dropped | TraceFate::Replicated | TraceFate::Outside => Vec::new(),
        TraceFate::Delivered | TraceFate::Answered => report.output,
        // Behind the headers of the tunnel.
        TraceFate::ToHost => report.output.into_iter().skip(inner).collect(),
    };
    let verdict = match (fate, &port) {
        (TraceFate::Dropped | TraceFate::Answered, _) => report.verdict,
        (TraceFate::Delivered, Some(port)) => format!("delivered to port {port}"),
        (TraceFate::Delivered, None) => "delivered to the gateway of the VM network".to_owned(),
        (TraceFate::ToHost, _) => "sent to another host".to_owned(),
        (TraceFate::Replicated, _) => "replicated to all that hear it in the VM subnet".to_owned(),
        (TraceFate::Outside, _) => "sent out to the physical network".to_owned(),
    };
    TraceLeg {
        host: None,
        report: TraceReport {
            packet: report.packet,
            steps: report.steps.into_iter().map(step).collect(),
            verdict,
            reason: report.reason,
            // Of what is dropped or answered it says nothing of the host.
            explanation: report.explanation.filter(|_| own),
            output,
        },
        end: TraceEnd { fate, port, remote: None },
    }
}

/// A stage is the same on all hosts; what it looked up is told as far as it is the tenant's own.
fn step(step: TraceStep) -> TraceStep {
    let lookup = |TraceLookup { table, key, found }: TraceLookup| {
        let found = if OWN_TABLES.contains(&table.as_str()) {
            found
        } else if OWN_KEYS.contains(&table.as_str()) {
            found.map(|_| "there is one".to_owned())
        } else {
            return None;
        };
        Some(TraceLookup { table, key, found })
    };
    TraceStep { lookups: step.lookups.into_iter().filter_map(lookup).collect(), ..step }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::Frame;

    /// What a tenant must not read.
    const SECRETS: [&str; 4] = ["192.168.4.15", "192.168.4.16", "eth0", "host16"];

    fn lookup(table: &str, key: &str, found: &str) -> TraceLookup {
        TraceLookup { table: table.to_owned(), key: key.to_owned(), found: Some(found.to_owned()) }
    }

    /// All that a host can say of a packet that ends so.
    fn said(fate: TraceFate) -> HostTrace {
        let lookups = vec![
            lookup("host", "this host", "gateway MAC 02-4E-56-00-00-01"),
            lookup("port", "test01", "VSID 5001, RDID {1}, MAC 00-1D-D8-B7-1C-01"),
            lookup("VM subnet", "5001", "RDID {1}, gateway 10.10.0.1, in NVGRE, 1 port here, 1 other host"),
            lookup("customer route", "RDID {1} to 10.10.1.101", "10.10.0.0/16 in VSID 5001, on-link"),
            lookup("lookup record", "5001/10.10.1.101", "00-1D-D8-B7-1C-02 at 192.168.4.16, TranslationMethodEncap"),
            lookup("station", "5001/00-1D-D8-B7-1C-02", "00-1D-D8-B7-1C-02 at 192.168.4.16"),
            lookup("move", "5001/00-1D-D8-B7-1C-02", "is to go: 00-1D-D8-B7-1C-02 at 192.168.4.16"),
            lookup("heard at", "5001/00-1D-D8-B7-1C-02", "192.168.4.16"),
            lookup("peer", "192.168.4.16", "from 192.168.4.15 by eth0, MTU 1600"),
            lookup("provider address", "192.168.4.15", "this host's, on eth0"),
            lookup("replicas", "5001/0", "host 192.168.4.16"),
            lookup("unencapsulated address", "192.168.4.16", "5001/10.10.1.101"),
            lookup("a table of a later version", "192.168.4.16", "host16"),
        ];
        HostTrace {
            report: TraceReport {
                packet: "ICMP echo request 10.10.1.100 -> 10.10.1.101".to_owned(),
                steps: vec![TraceStep { stage: "locate".to_owned(), question: "Where is it?".to_owned(), lookups }],
                verdict: match fate {
                    TraceFate::Dropped => "dropped".to_owned(),
                    TraceFate::Answered => "answered by the host: echo reply from 10.10.0.1, the gateway".to_owned(),
                    _ => "sent to 192.168.4.16 on host16 by eth0".to_owned(),
                },
                reason: (fate == TraceFate::Dropped).then(|| "NoRoute".to_owned()),
                explanation: Some(match fate {
                    TraceFate::Dropped | TraceFate::Answered => "no customer route leads there".to_owned(),
                    _ => "the host with 192.168.4.16 decides further".to_owned(),
                }),
                output: match fate {
                    TraceFate::ToHost | TraceFate::Replicated | TraceFate::Outside => vec![
                        "Ethernet, its MAC addresses by the kernel's neighbour table, IPv4".to_owned(),
                        "IPv4 192.168.4.15 -> 192.168.4.16, GRE, TTL 64, 126 bytes".to_owned(),
                        "IPv4 10.10.1.100 -> 10.10.1.101, ICMP, TTL 64".to_owned(),
                    ],
                    _ => vec!["IPv4 10.10.1.100 -> 10.10.1.101, ICMP, TTL 64".to_owned()],
                },
            },
            fate,
            port: Some("red.secret".to_owned()),
            remote: Some("192.168.4.16".parse().unwrap()),
            frame: Some(Frame(vec![192, 168, 4, 16])),
            inner: 2,
        }
    }

    #[test]
    fn a_tenant_is_told_nothing_of_the_provider() {
        for fate in [
            TraceFate::Dropped,
            TraceFate::Delivered,
            TraceFate::ToHost,
            TraceFate::Replicated,
            TraceFate::Answered,
            TraceFate::Outside,
        ] {
            let told = leg(said(fate), None);
            let text = format!("{told:?}");
            for secret in SECRETS.iter().chain(&["red.secret"]) {
                assert!(!text.contains(secret), "{fate:?}: {secret} in {text}");
            }
            assert_eq!((told.host, told.end.remote, told.end.fate), (None, None, fate));
        }
    }

    #[test]
    fn a_tenant_is_told_what_is_its_own() {
        let told = leg(said(TraceFate::ToHost), None);
        let lookups: Vec<_> = told.report.steps[0].lookups.iter().map(|it| (it.table.as_str(), &it.found)).collect();
        let there = Some("there is one".to_owned());
        let route = Some("10.10.0.0/16 in VSID 5001, on-link".to_owned());
        assert_eq!(lookups, [("customer route", &route), ("lookup record", &there), ("station", &there)]);
        assert_eq!(told.report.output, ["IPv4 10.10.1.100 -> 10.10.1.101, ICMP, TTL 64"]);
        let told = leg(said(TraceFate::Delivered), "test02".parse().ok());
        assert_eq!((told.report.verdict.as_str(), told.report.output.len()), ("delivered to port test02", 1));
        let told = leg(said(TraceFate::Dropped), None);
        assert_eq!(told.report.reason.as_deref(), Some("NoRoute"));
        assert_eq!(told.report.explanation.as_deref(), Some("no customer route leads there"));
        let told = leg(said(TraceFate::Answered), None);
        assert!(told.report.verdict.ends_with("echo reply from 10.10.0.1, the gateway"));
    }

    #[test]
    fn a_refusal_tells_of_the_packet_and_of_nobody_else() {
        let wrong = Problem::bad_request("0.0.0.0 is no destination");
        assert_eq!(refused(wrong.clone()), wrong);
        for problem_type in
            [ProblemType::NotFound, ProblemType::Unavailable, ProblemType::Internal, ProblemType::TooLarge]
        {
            let told = refused(Problem::new(problem_type, "the ports of this host16 are red.secret"));
            assert!(!told.detail.contains("host16") && !told.detail.contains("red"), "{told}");
        }
        let old = unanswered(&AskError::Unknown { version: "0.0.9".to_owned() });
        assert!(old.detail.contains("cannot answer this yet") && !old.detail.contains("0.0.9"), "{old}");
    }
}
