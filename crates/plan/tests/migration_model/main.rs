//! Live migration, in all states that it can be in: one VM, the two hosts that it moves between and a third one, frames that
//! take their time, and a controller and agents that die at any point. What hosts decide is decided by the real pipeline, over
//! tables that are really compiled.
//!
//! What whoever declares a migration must wait for follows from it, and is written at [`model::Migration`]. Each of these
//! conditions is needed: a test for each shows what happens to who does not wait.
//!
//! What the model leaves out: flows that hosts remember (an agent acknowledges after it has raised the policy epoch, so that
//! there is none of before), floods, frames that the underlay doubles, and a VM that is stopped on one host and started on another.

mod hosts;
mod protocol;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Property};

use hosts::{Declared, Fate, Host, Hosts, Kernel, Other, Speaker, Written};
use protocol::{Bounds, Protocol, Rules, State, Step, Violation};

/// Nothing of [`Violation`] happens.
const SOUND: &str = "nothing is lost, refused, sent on twice or taken back";
/// No host is spoken to by the VM from a place that it has not been told of.
const INFORMED: &str = "no host refuses the VM's frames since it has not been told";
/// A black hole does not outlast what made it.
const WHOLE: &str = "when nothing is under way, all reach the VM where it is, and it reaches all";
/// From there on nobody needs to know more.
const ENOUGH: &str = "when both places know where the VM is, all reach it";
/// The model does something at all.
const DONE: &str = "all migrations come to their end";
/// So it does.
const SENT_ON: &str = "something is sent on";

/// What must hold always.
const ALWAYS: [&str; 4] = [SOUND, INFORMED, WHOLE, ENOUGH];

/// What the controller must wait for.
const RULES: Rules = Rules { start: &Host::ALL, forget: &Host::ALL, settles: true, begin: &Host::ALL };

/// One migration, two frames, no deaths: enough to find what is wrong.
const SMALL: Bounds = Bounds { migrations: 1, cancelled: 0, frames: 2, dead: 0, torn: false };

/// The hosts whose peers speak with the VM.
const PEERS: [Host; 2] = [Host::A, Host::C];

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::first()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        self.steps(state, steps);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        Some(self.step(state, step))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(SOUND, |_, state: &State| state.violation.is_none()),
            Property::always(INFORMED, |_, state: &State| state.uninformed.is_none()),
            Property::always(WHOLE, is_whole),
            Property::always(ENOUGH, is_enough),
            Property::sometimes(DONE, |model: &Self, state: &State| {
                // Each migration declares three things, and one that is taken back two.
                let declared = 3 * model.bounds.migrations + 2 * usize::from(state.cancelled);
                state.declared.len() > declared && state.cancelled == model.bounds.cancelled && is_at_rest(state)
            }),
            Property::sometimes(SENT_ON, |_, state: &State| state.flights.iter().any(|flight| flight.tunnels == 2)),
        ]
    }
}

/// Whether all live, and know all that is declared, and no frame is under way.
fn is_at_rest(state: &State) -> bool {
    let knows = |host: &Host| state.agents[*host as usize].alive && state.acknowledges(*host);
    state.controller && state.flights.is_empty() && Host::ALL.iter().all(knows)
}

/// [`WHOLE`]. The controller's own next step is under way too: so there is one for as long as it has not declared where the VM
/// is, and forgotten where it was. As each declaration is made once, and each step of an agent's brings it nearer to the newest
/// one, all comes to rest in the end if nothing dies again and again.
fn is_whole(model: &Protocol, state: &State) -> bool {
    if !is_at_rest(state) || state.vm.paused || !state.vm.spoke {
        return true;
    }
    let mut steps = Vec::new();
    model.steps(state, &mut steps);
    if steps.iter().any(|step| matches!(step, Step::Arrived | Step::Forget)) {
        return true;
    }
    let is_told = state.newest().at == state.vm.at && state.newest().other != Other::From;
    is_told && PEERS.iter().all(|peer| model.reaches(state, *peer) && model.is_reached(state, *peer))
}

/// [`ENOUGH`].
fn is_enough(model: &Protocol, state: &State) -> bool {
    let know = [Host::A, Host::B].iter().all(|host| model.view(state, *host) == Some(state.vm.at));
    state.vm.paused || !know || PEERS.iter().all(|peer| model.reaches(state, *peer))
}

/// How a state was come to in which a property does not hold (or does, of those that must sometimes).
struct Found {
    property: &'static str,
    story: String,
    last: State,
}

/// Looks at all states, or at as many as it takes to find something. `threads` is how many look; one finds the shortest story.
fn explore(title: &str, model: Protocol, threads: usize, until: HasDiscoveries) -> Vec<Found> {
    let begun = Instant::now();
    let checker = model.checker().threads(threads).finish_when(until).spawn_bfs().join();
    let (unique, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{title}: {unique} states, up to {depth} steps, in {:.1?}", begun.elapsed());
    let found = checker.discoveries().into_iter().map(|(property, path)| {
        let last = path.last_state().clone();
        let mut story = String::new();
        for (state, step) in path.into_vec() {
            let end = || format!("the end: {state:#?}");
            let step = step.map_or_else(end, |step| format!("{step:?}"));
            writeln!(story, "  {step}").expect("memory");
        }
        Found { property, story, last }
    });
    found.collect()
}

fn protocol(rules: Rules, bounds: Bounds) -> Protocol {
    Protocol { rules, bounds, loses: false, hosts: Arc::new(Hosts::default()) }
}

/// All that must hold always does, and the model does something.
#[track_caller]
fn must_hold(title: &str, model: Protocol, always: &[&str]) {
    let found = explore(title, model, 2, HasDiscoveries::All);
    for Found { property, story, .. } in &found {
        assert!(!always.contains(property), "not so: {property}\n{story}");
    }
    for sometimes in [DONE, SENT_ON] {
        assert!(found.iter().any(|found| found.property == sometimes), "never: {sometimes}");
    }
}

/// A property does not hold; what happens instead is shown, and returned.
#[track_caller]
fn must_break(title: &str, model: Protocol, property: &'static str) -> State {
    let found = explore(title, model, 1, HasDiscoveries::AllOf([property].into()));
    let broken = found.into_iter().find(|found| found.property == property);
    let broken = broken.unwrap_or_else(|| panic!("holds all the same: {property}"));
    println!("{}", broken.story);
    broken.last
}

#[test]
fn nothing_is_lost_there_and_back_whoever_dies() {
    let bounds = Bounds { migrations: 2, cancelled: 1, dead: 4, ..SMALL };
    must_hold("there and back, any of them dead", protocol(RULES, bounds), &ALWAYS);
}

#[test]
fn nothing_is_lost_with_many_frames_under_way() {
    let bounds = Bounds { frames: 4, ..SMALL };
    must_hold("there, four frames", protocol(RULES, bounds), &ALWAYS);
}

#[test]
fn nothing_is_lost_when_an_agent_dies_between_two_tables() {
    let bounds = Bounds { migrations: 2, frames: 1, dead: 1, torn: true, ..SMALL };
    must_hold("there and back, table by table, one dead at a time", protocol(RULES, bounds), &ALWAYS);
    let bounds = Bounds { cancelled: 1, torn: true, ..SMALL };
    must_hold("there, table by table, two frames", protocol(RULES, bounds), &ALWAYS);
}

#[test]
fn nothing_is_sent_on_twice_whatever_the_controller_does_not_wait_for() {
    let rules = Rules { start: &[], forget: &[], settles: false, begin: &[] };
    let bounds = Bounds { migrations: 2, ..SMALL };
    let model = Protocol { loses: true, ..protocol(rules, bounds) };
    must_hold("there and back without any rule", model, &[SOUND]);
}

/// Its port is the last thing that the new place's agent writes when it is told that the VM has come.
#[test]
fn a_port_that_waits_a_moment_too_long_does_not_take_the_vm_back() {
    let [to, from] = [(Host::A, Other::To), (Host::B, Other::From)].map(|(at, other)| Declared { at, other });
    let written = Written { ports: to, ..Written::all(from) };
    let mut kernel = Kernel { written, heard: Some(Host::B) };
    let fate = Hosts::default().sends(&mut kernel, Speaker::Vm(Host::B, Host::C));
    assert!(matches!(fate, Fate::Away { to: Host::C, .. }), "{fate:?}");
    assert_eq!(kernel.heard, Some(Host::B), "it is here, and was heard at the place that it came from");
}

/// The VM may be started when all hosts that know it have acknowledged where it will be.
#[test]
fn each_host_that_was_not_waited_for_refuses_what_the_vm_says() {
    let others: [(Host, &'static [Host]); 3] =
        [(Host::A, &[Host::B, Host::C]), (Host::B, &[Host::A, Host::C]), (Host::C, &[Host::A, Host::B])];
    for (host, start) in others {
        let model = protocol(Rules { start, ..RULES }, SMALL);
        let end = must_break(&format!("started without {host:?}'s word"), model, INFORMED);
        assert_eq!(end.uninformed, Some(host), "{end:#?}");
    }
}

/// What the third host's absence costs: what the VM says to it, until it hears of anything. What it says itself goes by the
/// old place, which is why that must not forget before.
#[test]
fn a_host_that_was_not_waited_for_reaches_the_vm_all_the_same() {
    let rules = Rules { start: &[Host::A, Host::B], ..RULES };
    let bounds = Bounds { cancelled: 1, dead: 1, ..SMALL };
    must_hold("started without C's word", protocol(rules, bounds), &[SOUND, WHOLE, ENOUGH]);
}

/// The places may forget when all other hosts have acknowledged where the VM is.
#[test]
fn a_host_that_does_not_know_loses_what_it_sends_when_the_old_place_has_forgotten() {
    let rules = Rules { forget: &[Host::A, Host::B], ..RULES };
    let end = must_break("forgotten without C's word", protocol(rules, SMALL), SOUND);
    assert_eq!(end.violation, Some(Violation::Lost), "{end:#?}");
    // Not for longer than it does not know.
    must_hold("forgotten without C's word", protocol(rules, SMALL), &[WHOLE]);
}

/// The places themselves need not be waited for, if they are before the next migration begins.
#[test]
fn a_host_that_does_not_know_the_end_must_be_waited_for_before_the_next_beginning() {
    let bounds = Bounds { migrations: 2, ..SMALL };
    let rules = Rules { forget: &[Host::C], ..RULES };
    must_hold("the places are waited for later", protocol(rules, bounds), &ALWAYS);
    let end = must_break("they are not", protocol(Rules { begin: &[], ..rules }, bounds), SOUND);
    assert_eq!(end.violation, Some(Violation::Early), "{end:#?}");
    // Who has never heard that the VM's first journey is over takes it to be at the end of the third when that begins.
    let bounds = Bounds { migrations: 3, frames: 1, ..SMALL };
    must_break("nobody is waited for", protocol(Rules { begin: &[], ..RULES }, bounds), SOUND);
}

/// Acknowledgements may be faster than frames.
#[test]
fn a_frame_that_was_slower_than_all_acknowledgements_is_lost() {
    let end = must_break("forgotten at once", protocol(Rules { settles: false, ..RULES }, SMALL), SOUND);
    assert!(matches!(end.violation, Some(Violation::Lost | Violation::Refused(_))), "{end:#?}");
}
