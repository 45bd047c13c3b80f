//! Rules as text: one compartment in full, for the reader; of others what matters.

use std::net::IpAddr;

use model::gateway::{Compartment, SharedAddress};

use super::*;
use crate::gateway::edge::{self, Member};
use crate::gateway::examples;
use crate::gateway::layout::{Asked, EDGE_TABLE, MAIN_TABLE, layout};

fn rules(compartment: &Compartment) -> String {
    ruleset(compartment).orders(&Counts::new())
}

/// The lines of a chain, without indentation.
fn chain<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let head = format!("\tchain {name} {{\n");
    let from = text.find(&head).unwrap_or_else(|| panic!("no chain {name} in:\n{text}")) + head.len();
    text[from..].lines().take_while(|line| *line != "\t}").map(str::trim).collect()
}

#[test]
fn a_plain_nat_in_full() {
    let nat = examples::connection("internet", r#""nat": {"addresses": ["203.0.113.5"]}"#);
    let compartment = examples::made(examples::INSIDE, examples::OUTSIDE, vec![nat]);
    let text = rules(&compartment);
    let version = ruleset(&compartment).version();
    assert_eq!(text.replace(&version, "rules_VERSION"), include_str!("plain.nft"), "{text}");
}

#[test]
fn counters_go_on_and_the_version_follows_the_rules() {
    let compartment = examples::compartment();
    let rules = ruleset(&compartment);
    let counts = Counts::from([(counter::SPOOFED.to_owned(), (3, 180)), ("gone".to_owned(), (1, 1))]);
    let text = rules.orders(&counts);
    assert!(text.contains("counter spoofed { packets 3 bytes 180 }") && !text.contains("gone"), "{text}");
    assert!(text.starts_with("table inet netvirt\ndelete table inet netvirt\ntable inet netvirt {\n"));
    assert_eq!(rules.version(), ruleset(&compartment).version());
    let mut other = compartment;
    other.connections.pop();
    assert_ne!(rules.version(), ruleset(&other).version());
}

#[test]
fn what_is_behind_a_tunnel_goes_nowhere_else() {
    let text = rules(&examples::compartment());
    let leave = chain(&text, "leave");
    let at = |line: &str| leave.iter().position(|other| *other == line).unwrap_or_else(|| panic!("{line}\n{leave:#?}"));
    let into = at("oifname \"wg74da\" ip daddr @site_74da_4 ct mark set 0x74da goto pass");
    let nowhere = at("ip daddr @site_74da_4 goto refuse");
    let translated = at("oifname { \"outside\", \"edge\" } ip saddr @translated_a96b_4 goto depart_a96b");
    assert!(into < nowhere && nowhere < translated);
    assert_eq!(
        chain(&text, "pass_74da").first(),
        Some(&"iifname \"inside\" oifname \"wg74da\" meta priority set 1:74da counter name sent_74da accept")
    );
    assert_eq!(chain(&text, "pass_74da").last(), Some(&"counter name strayed drop"));
}

#[test]
fn ports_that_change_are_told_one_by_one_and_others_by_ranges() {
    let text = rules(&examples::compartment());
    assert!(text.contains("203.0.113.5 . tcp . 8003 : 10.1.0.5 . 83"), "{text}");
    assert!(text.contains("elements = { 203.0.113.5 . udp . 53 : 10.1.0.6 }"), "{text}");
}

#[test]
fn only_what_serves_is_let_in() {
    let text = rules(&examples::compartment());
    let input = chain(&text, "input");
    for line in [
        "ip saddr 203.0.113.1 tcp dport 179 accept",
        "iifname { \"outside\", \"edge\" } udp dport 51820 accept",
        "iifname { \"outside\", \"edge\" } udp dport { 500, 4500 } accept",
        "iifname \"inside\" meta l4proto { tcp, udp } th dport 53 accept",
    ] {
        assert!(input.contains(&line), "{line}\n{input:#?}");
    }
    let nat = examples::connection("internet", r#""nat": {"addresses": ["203.0.113.5"]}"#);
    let text = rules(&examples::made(examples::INSIDE, examples::OUTSIDE, vec![nat]));
    assert!(!text.contains("dport 53") && !text.contains("179") && !text.contains("4500"), "{text}");
}

#[test]
fn both_ways_out_are_told_apart() {
    let compartment = examples::sharing();
    let text = rules(&compartment);
    let steer = chain(&text, "steer");
    let own = steer.iter().position(|line| *line == "ip saddr 10.1.0.7 return").unwrap();
    let shared = steer.iter().position(|line| line.starts_with("ip saddr 10.1.0.0/24 meta mark set 0x10000")).unwrap();
    assert!(own < shared, "{steer:#?}");
    let sources = chain(&text, "translate_out_a96b");
    assert!(
        sources.contains(&"jhash ip saddr mod 2 vmap { 0 : goto share_a96b_4_0, 1 : goto share_a96b_4_1 }"),
        "{sources:#?}"
    );
    assert!(sources.contains(&"meta l4proto ipv6-icmp snat ip6 to [2001:db8::9]:1024-2047"), "{sources:#?}");
    let plan = layout(&compartment, &["203.0.113.1".parse().unwrap()]);
    let ways: Vec<_> = plan.routes.iter().filter(|route| route.to.prefix_len() == 0).collect();
    let tables: Vec<_> = ways.iter().map(|route| (route.table, route.device, route.to.addr().is_ipv6())).collect();
    assert_eq!(tables, [(EDGE_TABLE, "edge", false), (MAIN_TABLE, "outside", false), (MAIN_TABLE, "edge", true)]);
}

#[test]
fn the_edge_knows_owners_by_ports() {
    let member = |slot, ports: &str| Member {
        slot,
        shared: serde_json::from_str(&format!(r#"[{{"address": "203.0.113.9", "ports": "{ports}"}}]"#)).unwrap(),
        answers: slot == 0,
    };
    let members = [member(0, "1024-2047"), member(1, "2048-4095")];
    let text = edge::ruleset(&members).orders(&Counts::new());
    let owners = chain(&text, "owner4_0");
    assert_eq!(
        owners[0],
        "meta l4proto { tcp, udp } meta mark set th dport map { 1024-2047 : 0x1, 2048-4095 : 0x2 } accept"
    );
    let gateway = serde_json::from_str(r#"{"interface": "eth1", "addresses": ["203.0.113.2/24"]}"#).unwrap();
    let addresses =
        |members: &[Member]| edge::addresses(&gateway, members).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(addresses(&members), ["203.0.113.2/24", "203.0.113.9/32"]);
    // Of one that leaves the edge hands on what comes, and answers for nothing.
    assert_eq!(addresses(&members[1..]), ["203.0.113.2/24"]);
}

#[test]
fn packets_at_the_edge_pass_few_rules_however_many_compartments_there_are() {
    let members: Vec<_> =
        (0..=edge::LAST_SLOT).map(|slot| Member { slot, shared: Vec::new(), answers: true }).collect();
    let mut rules = edge::rules(&members);
    rules.sort_unstable();
    assert!(rules.windows(2).all(|pair| pair[0].priority < pair[1].priority), "each has a place of its own");
    // As the kernel looks, where no table has a route but those of the compartments.
    let look = |mark: u32| {
        let (mut from, mut passed) = (0, 0);
        for rule in &rules {
            if rule.priority < from {
                continue;
            }
            passed += 1;
            match rule.asks {
                _ if rule.mark.is_some_and(|(wanted, mask)| (wanted ^ mark) & mask != 0) => {}
                Asked::Table(table) if table >= 1000 => return (Some(table), passed),
                Asked::Rules(priority) => from = priority,
                Asked::Table(_) | Asked::Nothing => {}
            }
        }
        (None, passed)
    };
    for slot in [0, 30, 31, 32, 100, edge::LAST_SLOT] {
        let (table, passed) = look(u32::from(slot) + 1);
        assert_eq!(table, Some(1000 + u32::from(slot)));
        assert!(passed < 170, "{slot}: {passed}");
    }
    assert!(look(100).1 < 50);
    // What leaves asks the kernel's own tables before all others.
    let first: Vec<_> = rules[..2].iter().map(|rule| (rule.mark, rule.asks)).collect();
    assert_eq!(first, [edge::LOCAL_TABLE, MAIN_TABLE].map(|table| (Some((0, u32::MAX)), Asked::Table(table))));
}

#[test]
fn who_leaves_is_silent() {
    let mut compartment = examples::compartment();
    (compartment.standby, compartment.leaving) = (true, true);
    let text = rules(&compartment);
    assert_eq!(chain(&text, "silence").last(), Some(&"oifname \"outside\" icmpv6 type nd-neighbor-advert drop"));
    let devices = layout(&compartment, &[]).devices;
    assert!(devices.iter().all(|device| device.up && !device.addresses.is_empty()), "{devices:?}");
    compartment.leaving = false;
    let devices = layout(&compartment, &[]).devices;
    assert!(devices.iter().any(|device| !device.up && device.addresses.is_empty()), "{devices:?}");
}

#[test]
fn a_router_of_a_family_that_nobody_shares_is_not_needed() {
    let hops: [IpAddr; 2] = ["203.0.113.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let shared = |address: &str| -> SharedAddress {
        serde_json::from_str(&format!(r#"{{"address": "{address}", "ports": "1024-2047"}}"#)).unwrap()
    };
    let (v4, v6) = (shared("203.0.113.9"), shared("2001:db8::9"));
    let needed = |shared: &[&SharedAddress]| edge::needed_hops(shared.iter().copied(), &hops);
    assert_eq!(needed(&[&v4]), hops[..1]);
    assert_eq!(needed(&[&v6]), hops[1..]);
    assert_eq!(needed(&[&v4, &v6]), hops);
    assert_eq!(needed(&[]), Vec::<IpAddr>::new());
}
