//! Cases of hosts that fall silent, in one way or another.

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> ResourceName {
    text.parse().unwrap()
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const FINE: GatewayLinks = GatewayLinks { outside: true, uplink: true };

/// What works of a host.
#[derive(Clone, Copy, Debug)]
struct Host {
    agent: bool,
    gateway: bool,
    /// Whether its agent reaches the controller.
    reaches: bool,
    /// Whether its gateway and its peers hear each other.
    beats: bool,
    links: GatewayLinks,
}

const WORKS: Host = Host { agent: true, gateway: true, reaches: true, beats: true, links: FINE };

/// Two or more hosts and a controller, step by step.
struct World {
    hosts: Vec<(ResourceName, Host)>,
    watch: Watch,
    now: Duration,
    /// When each gateway was heard last by the others.
    beat: BTreeMap<ResourceName, Duration>,
}

impl World {
    fn new(names: &[&str]) -> Self {
        let hosts: Vec<_> = names.iter().map(|text| (name(text), WORKS)).collect();
        let mut watch = Watch::new();
        watch.expect(hosts.iter().map(|(host, _)| host), Duration::ZERO);
        let beat = hosts.iter().map(|(host, _)| (host.clone(), Duration::ZERO)).collect();
        Self { hosts, watch, now: Duration::ZERO, beat }
    }

    fn host(&mut self, of: &str) -> &mut Host {
        &mut self.hosts.iter_mut().find(|(host, _)| host.as_str() == of).unwrap().1
    }

    /// So much time goes by, in steps of 50 ms, with a judgement after each; those after the last one.
    fn pass(&mut self, time: Duration) -> BTreeMap<ResourceName, Health> {
        let until = self.now + time;
        let mut verdicts = BTreeMap::new();
        while self.now < until {
            self.now += ms(50);
            self.step();
            verdicts = self.watch.judge(self.now);
        }
        verdicts
    }

    fn step(&mut self) {
        for (host, is) in &self.hosts {
            if is.gateway && is.beats && is.links.uplink {
                self.beat.insert(host.clone(), self.now);
            }
        }
        // Each reports every 200 ms.
        if !self.now.as_millis().is_multiple_of(200) {
            return;
        }
        for (host, is) in &self.hosts {
            if !(is.agent && is.reaches) {
                continue;
            }
            if !is.gateway {
                self.watch.heard(host, &GatewayBeat::default(), self.now);
            } else {
                let peers = self.hosts.iter().filter(|(other, _)| other != host).map(|(other, _)| {
                    let heard = if is.beats { self.beat[other] } else { Duration::ZERO };
                    let silent = u32::try_from((self.now - heard).as_millis()).unwrap();
                    PeerReport { host: other.clone(), silent, trouble: None }
                });
                let beat = GatewayBeat { age: Some(0), links: Some(is.links), peers: peers.collect() };
                self.watch.heard(host, &beat, self.now);
            }
        }
    }

    /// Who takes over what a host has.
    fn successor_of(&mut self, of: &str, time: Duration) -> Option<(String, String)> {
        let health = self.pass(time);
        let gateway: Vec<_> = self.hosts.iter().map(|(host, _)| host.clone()).collect();
        let mut all = successions(&gateway, [("network", name(of))], &health);
        all.pop().map(|one| (one.to.to_string(), one.reason))
    }
}

#[test]
fn what_works_stays() {
    let mut world = World::new(&["a", "b"]);
    assert_eq!(world.successor_of("a", ms(60_000)), None);
    assert_eq!(world.pass(ms(50))[&name("a")], Health::Well { since: None });
}

#[test]
fn a_dead_host_is_succeeded_within_six_hundred_milliseconds() {
    let mut world = World::new(&["a", "b"]);
    world.pass(ms(10_000));
    *world.host("a") = Host { agent: false, gateway: false, ..WORKS };
    assert_eq!(world.successor_of("a", ms(400)), None);
    let (to, reason) = world.successor_of("a", ms(200)).expect("it is dead");
    assert_eq!(to, "b");
    assert!(reason.starts_with("a has been silent for "), "{reason}");
}

#[test]
fn without_its_agent_or_its_gateway_alone_it_lives() {
    for broken in [Host { agent: false, ..WORKS }, Host { gateway: false, ..WORKS }, Host { reaches: false, ..WORKS }] {
        let mut world = World::new(&["a", "b"]);
        world.pass(ms(10_000));
        *world.host("a") = broken;
        assert_eq!(world.successor_of("a", ms(60_000)), None, "{broken:?}");
    }
    // One whose gateway says nothing takes up nothing new.
    let mut world = World::new(&["a", "b"]);
    world.pass(ms(10_000));
    world.host("b").gateway = false;
    assert_eq!(world.pass(ms(2_000))[&name("b")], Health::Speechless);
    *world.host("a") = Host { agent: false, gateway: false, ..WORKS };
    assert_eq!(world.successor_of("a", ms(10_000)), None);
}

#[test]
fn peers_that_do_not_hear_each_other_are_left_where_the_controller_hears_them() {
    let mut world = World::new(&["a", "b"]);
    world.pass(ms(10_000));
    world.host("a").beats = false;
    assert_eq!(world.successor_of("a", ms(60_000)), None);
    // Nobody hears it any more.
    world.host("a").reaches = false;
    assert!(world.successor_of("a", ms(700)).is_some());
}

#[test]
fn nobody_takes_over_when_the_controller_hears_nobody() {
    let mut world = World::new(&["a", "b", "c"]);
    world.pass(ms(10_000));
    for host in ["a", "b", "c"] {
        world.host(host).reaches = false;
    }
    assert_eq!(world.successor_of("a", ms(60_000)), None);
    // Of two that it hears, one says that the third lives.
    world.host("b").reaches = true;
    world.host("c").reaches = true;
    assert_eq!(world.successor_of("a", ms(60_000)), None);
}

#[test]
fn a_lost_carrier_moves_it_and_nothing_goes_back() {
    for (links, reason) in [
        (GatewayLinks { outside: false, uplink: true }, "the external interface of a has no carrier"),
        (GatewayLinks { outside: true, uplink: false }, "the uplink of a has no carrier"),
    ] {
        let mut world = World::new(&["a", "b"]);
        world.pass(ms(10_000));
        world.host("a").links = links;
        let (to, why) = world.successor_of("a", ms(250)).expect("it is unfit");
        assert_eq!((to.as_str(), why.as_str()), ("b", reason));
        world.host("a").links = FINE;
        assert_eq!(world.successor_of("b", ms(60_000)), None);
    }
}

#[test]
fn one_that_has_just_come_back_waits_unless_it_is_the_only_one() {
    let mut world = World::new(&["a", "b", "c"]);
    world.pass(ms(10_000));
    world.host("b").links = GatewayLinks { outside: false, uplink: true };
    world.pass(ms(1_000));
    world.host("b").links = FINE;
    world.pass(ms(3_000));
    world.host("a").links = GatewayLinks { outside: false, uplink: true };
    assert_eq!(world.successor_of("a", ms(500)).expect("c can").0, "c");
    world.host("c").links = GatewayLinks { outside: false, uplink: true };
    assert_eq!(world.successor_of("a", ms(500)).expect("b is better than none").0, "b");
}

#[test]
fn a_controller_that_starts_or_was_held_up_waits() {
    // It starts while a host is down: that one is succeeded after the time of grace.
    let mut world = World::new(&["a", "b"]);
    *world.host("a") = Host { agent: false, gateway: false, ..WORKS };
    world.beat.clear();
    world.beat.extend([(name("a"), Duration::ZERO), (name("b"), Duration::ZERO)]);
    world.host("b").beats = true;
    assert_eq!(world.pass(ms(300))[&name("b")], Health::Well { since: None });
    assert!(world.successor_of("a", ms(6_000)).is_some());

    // It stands still for ten seconds, and then finds one of the reports that waited for it.
    let mut world = World::new(&["a", "b"]);
    world.pass(ms(10_000));
    world.now += ms(10_000);
    let fresh = GatewayBeat { age: Some(0), links: Some(FINE), peers: Vec::new() };
    world.watch.heard(&name("b"), &fresh, world.now);
    let health = world.watch.judge(world.now);
    assert_eq!(health[&name("a")], Health::Unknown);
    world.beat = world.hosts.iter().map(|(host, _)| (host.clone(), world.now)).collect();
    assert_eq!(world.successor_of("a", ms(5_000)), None);
}

#[test]
fn what_falls_to_others_is_spread_over_them() {
    let gateway: Vec<_> = ["a", "b", "c"].map(name).to_vec();
    let well = Health::Well { since: None };
    let health = BTreeMap::from([(name("a"), Health::Dead { silent: ms(500) }), (name("b"), well), (name("c"), well)]);
    let active = (0..9).map(|number| (number, name(if number < 6 { "a" } else { "b" })));
    let all = successions(&gateway, active, &health);
    assert_eq!(all.len(), 6);
    let to = |host: &str| all.iter().filter(|one| one.to.as_str() == host).count();
    // b had three already: nine in all are five and four.
    assert_eq!((to("b"), to("c")), (2, 4));
}

proptest! {
    /// Whatever is broken: a host that the controller or a peer that speaks still hears, and that has its carriers, keeps what
    /// it has; and nothing ever goes to one that is not well.
    #[test]
    fn only_what_nobody_hears_is_succeeded(
        broken in proptest::collection::vec((any::<[bool; 4]>(), any::<bool>()), 3),
        time in 1_000_u64..20_000,
    ) {
        let mut world = World::new(&["a", "b", "c"]);
        world.pass(ms(10_000));
        for ((_, host), ([agent, gateway, reaches, beats], outside)) in world.hosts.iter_mut().zip(&broken) {
            let links = GatewayLinks { outside: *outside, uplink: true };
            *host = Host { agent: *agent, gateway: *gateway, reaches: *reaches, beats: *beats, links };
        }
        let health = world.pass(ms(time));
        let hosts = world.hosts.clone();
        let speaks = |host: &Host| host.agent && host.gateway && host.reaches;
        let gateway: Vec<_> = hosts.iter().map(|(host, _)| host.clone()).collect();
        for (host, is) in &hosts {
            let witnessed = hosts.iter().any(|(other, its)| other != host && speaks(its) && its.beats);
            let heard = (is.agent && is.reaches) || (is.gateway && is.beats && witnessed);
            let all = successions(&gateway, [((), host.clone())], &health);
            // What a host that is cut off says of its carriers is not known any more.
            if heard && (is.links.outside || !speaks(is)) {
                prop_assert!(all.is_empty(), "{host}: {health:?}");
            }
            for one in &all {
                let is_well = matches!(health[&one.to], Health::Well { .. });
                prop_assert!(is_well);
                prop_assert_ne!(&one.to, &one.from);
            }
        }
    }
}

#[test]
fn a_host_that_comes_back_waits_until_it_is_told_that_it_is_active() {
    let back = Told { confirmed: false, carried: false, has_peers: true, back: ms(50) };
    assert!(back.may_be_past());
    for told in [
        Told { confirmed: true, ..back },
        Told { carried: true, ..back },
        Told { has_peers: false, ..back },
        Told { back: UNCONFIRMED, ..back },
    ] {
        assert!(!told.may_be_past(), "{told:?}");
    }
}
