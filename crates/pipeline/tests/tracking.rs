//! Connection tracking against a reference: a machine that remembers all packets of a connection and says from the whole
//! of them what a careful reader would.

use pipeline::headers::ip;
use pipeline::policy::Direction;
use pipeline::track::{ACK, FIN, Phase, RST, SYN, State};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

/// One packet: who sends it, and TCP's flags.
type Sent = (Direction, u8);

/// What a careful reader says of a connection whose packets these are, the first one having opened it.
///
/// Written from the whole of the history, not step by step: what has each side said so far?
fn reference(protocol: u8, history: &[Sent]) -> Phase {
    let opener = history[0].0;
    let answered = history.iter().position(|(from, _)| *from != opener);
    if protocol != ip::TCP {
        return if answered.is_some() { Phase::Open } else { Phase::New };
    }
    // The first packet opens whatever its flags are; a RST does not, and is no part of a history.
    if history[1..].iter().any(|(_, flags)| flags & RST != 0) {
        return Phase::Reset;
    }
    let Some(answered) = answered else { return Phase::New };
    // Answered with SYN, it is open when the opener acknowledges; otherwise it was taken up in its middle, and is.
    if history[answered].1 & SYN != 0 {
        let confirms = |(from, flags): &&Sent| *from == opener && flags & (SYN | ACK) == ACK;
        if !history[answered + 1..].iter().any(|sent| confirms(&sent)) {
            return Phase::Opening;
        }
    }
    let fin = |side: Direction| history.iter().any(|(from, flags)| *from == side && flags & FIN != 0);
    match (fin(Direction::Egress), fin(Direction::Ingress)) {
        (false, false) => Phase::Open,
        (true, true) => Phase::Closed,
        _ => Phase::Closing,
    }
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let flags = prop_oneof![
        4 => Just(ACK),
        2 => Just(SYN),
        2 => Just(SYN | ACK),
        2 => Just(FIN | ACK),
        1 => Just(RST),
        1 => Just(RST | ACK),
        1 => any::<u8>(),
    ];
    (prop_oneof![Just(Direction::Egress), Just(Direction::Ingress)], flags)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_machine_says_what_a_reader_of_the_whole_history_says(
        protocol in prop_oneof![3 => Just(ip::TCP), 1 => Just(ip::UDP), 1 => Just(ip::ICMP)],
        mut history in prop::collection::vec(any_sent(), 1..12),
    ) {
        // A RST opens nothing.
        history[0].1 &= !RST;
        let (opener, first) = history[0];
        let mut state = State::opened(opener, 7).advance(protocol, first & !SYN, opener);
        for (step, (from, flags)) in history.iter().enumerate() {
            if step > 0 {
                state = state.advance(protocol, *flags, *from);
            }
            prop_assert_eq!(state.phase, reference(protocol, &history[..=step]), "after {:x?}", &history[..=step]);
            prop_assert_eq!((state.opener, state.epoch), (opener, 7));
            prop_assert_eq!(State::from_bits(state.to_bits()), state);
        }
    }

    #[test]
    fn whatever_comes_a_flow_that_was_broken_off_stays_so_until_it_is_opened_anew(
        history in prop::collection::vec(any_sent(), 0..12),
    ) {
        let mut state = State::opened(Direction::Egress, 0).advance(ip::TCP, RST, Direction::Ingress);
        for (from, flags) in history {
            state = state.advance(ip::TCP, flags, from);
            prop_assert_eq!(state.phase, Phase::Reset);
            prop_assert_eq!(state.is_reopened(ip::TCP, flags), flags & (SYN | ACK | RST) == SYN);
        }
    }
}

#[test]
fn a_flow_is_kept_as_long_as_its_state_deserves() {
    let mut state = State::opened(Direction::Egress, 0);
    let kept = |state: State, protocol: u8, seconds: u64| {
        assert!(!state.is_over(protocol, 5 * SECOND, (5 + seconds) * SECOND), "{state:?} is kept {seconds} s");
        assert!(state.is_over(protocol, 5 * SECOND, (6 + seconds) * SECOND), "{state:?} is not kept longer");
    };
    kept(state, ip::TCP, 60);
    kept(state, ip::UDP, 30);
    kept(state, ip::ICMP, 30);
    state.phase = Phase::Open;
    kept(state, ip::TCP, 5 * 24 * 3600);
    kept(state, ip::UDP, 120);
    state.phase = Phase::Closed;
    kept(state, ip::TCP, 120);
    state.phase = Phase::Reset;
    kept(state, ip::TCP, 10);
    // A clock that is a little behind forgets nothing.
    assert!(!state.is_over(ip::TCP, 5 * SECOND, 4 * SECOND));
}

#[test]
fn only_answers_make_a_flow_more_than_half_open() {
    for phase in [Phase::New, Phase::Opening] {
        assert!(phase.is_half_open());
    }
    for phase in [Phase::Open, Phase::Closing, Phase::Closed, Phase::Reset] {
        assert!(!phase.is_half_open());
    }
    let flood = State::opened(Direction::Ingress, 0).advance(ip::TCP, SYN, Direction::Ingress);
    assert!(flood.phase.is_half_open());
    let backed = flood.advance(ip::TCP, SYN | ACK, Direction::Egress);
    assert_eq!(backed.phase, Phase::Opening, "a server that answers a SYN does not make a flood a connection");
}
