//! One set of tests over every backend of links: what LLT may count on, whatever the wire.
//!
//! The Ethernet backends run in a network namespace of their own, which each test makes by running
//! itself again ([`namespace`]): as root, or where the system lets everybody have user namespaces.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod bed;
mod cases;
mod devices;
mod namespace;
mod streams;

use bed::Backend;

/// One module per backend with a test per case. What a backend cannot have is left out there.
macro_rules! conformance {
    ($($backend:ident = $kind:expr, [$($case:ident),* $(,)?];)*) => {$(
        mod $backend {
            $(#[test]
            fn $case() {
                let name = concat!(module_path!(), "::", stringify!($case));
                crate::run($kind, name, crate::cases::$case);
            })*

            #[test]
            fn streams_of_two_cores_come_out_whole() {
                let name = concat!(module_path!(), "::streams_of_two_cores_come_out_whole");
                crate::run($kind, name, crate::streams::come_out_whole);
            }
        }
    )*};
}

/// The cases of backends that can broadcast; with `,` more of them.
macro_rules! with_broadcast {
    ($($backend:ident = $kind:expr $(, $more:ident)*;)*) => {
        conformance! {$(
            $backend = $kind, [
                frames_arrive_whole_from_the_right_address,
                broadcasts_reach_everybody,
                urgent_frames_go_first,
                the_full_size_passes_and_one_byte_more_is_refused,
                thousands_of_frames_arrive_in_order,
                a_receiver_that_does_not_read_loses_frames_and_nothing_else,
                an_unreachable_peer_is_counted_and_disturbs_nobody,
                the_descriptor_is_readable_when_there_is_work,
                an_address_of_another_kind_is_refused,
                $($more,)*
            ];
        )*}
    };
}

with_broadcast! {
    memory = crate::Backend::Memory;
    udp_broadcast = crate::Backend::UdpBroadcast;
    udp_multicast = crate::Backend::UdpMulticast;
    udp6_multicast = crate::Backend::Udp6Multicast;
    packet_1500 = crate::Backend::Packet { mtu: 1500 }, own_frames_do_not_come_back,
        many_frames_take_few_calls;
    packet_9000 = crate::Backend::Packet { mtu: 9000 }, own_frames_do_not_come_back,
        many_frames_take_few_calls;
    pnet_1500 = crate::Backend::Pnet { mtu: 1500 }, own_frames_do_not_come_back;
    pnet_9000 = crate::Backend::Pnet { mtu: 9000 }, own_frames_do_not_come_back;
}

conformance! {
    udp = crate::Backend::Udp, [
        frames_arrive_whole_from_the_right_address,
        urgent_frames_go_first,
        the_full_size_passes_and_one_byte_more_is_refused,
        thousands_of_frames_arrive_in_order,
        a_receiver_that_does_not_read_loses_frames_and_nothing_else,
        an_unreachable_peer_is_counted_and_disturbs_nobody,
        the_descriptor_is_readable_when_there_is_work,
        an_address_of_another_kind_is_refused,
    ];
    udp6 = crate::Backend::Udp6, [
        frames_arrive_whole_from_the_right_address,
        urgent_frames_go_first,
        the_full_size_passes_and_one_byte_more_is_refused,
        thousands_of_frames_arrive_in_order,
        a_receiver_that_does_not_read_loses_frames_and_nothing_else,
        an_unreachable_peer_is_counted_and_disturbs_nobody,
        the_descriptor_is_readable_when_there_is_work,
        an_address_of_another_kind_is_refused,
    ];
}

/// Runs a case, where its backend can be.
fn run(backend: Backend, test: &str, case: fn(&mut bed::Bed)) {
    if backend.is_elsewhere() && namespace::run_again(test, &backend.environment()) {
        return;
    }
    case(&mut backend.bed());
}
