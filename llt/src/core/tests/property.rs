//! Whatever the links do, short of being cut for long, and whatever an administrator does with
//! them: every stream of every LLT port comes out whole, in order, once.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;

use super::net::{Net, config, link, port};
use crate::config::LinkConfig;
use crate::core::{Event, SendError};
use crate::ids::LltPort;
use crate::time::Duration;

const MS: Duration = Duration::from_millis(1);
const PORTS: u8 = 4;

#[derive(Clone, Debug)]
enum Step {
    /// A message from a node.
    Send {
        node: usize,
        port: u8,
        len: usize,
    },
    /// These ports of a node are busy.
    Busy {
        node: usize,
        ports: u32,
    },
    /// A node disables or enables a link, or removes or adds it.
    Disable {
        node: usize,
        link: u8,
    },
    Enable {
        node: usize,
        link: u8,
    },
    Remove {
        node: usize,
        link: u8,
    },
    Add {
        node: usize,
    },
    /// A link loses its carrier at a node, or has it again.
    Carrier {
        node: usize,
        link: u8,
        carrier: bool,
    },
    /// Time passes.
    Run {
        ms: u32,
    },
}

fn step(links: u8) -> impl Strategy<Value = Step> {
    let len = prop_oneof![4 => 0usize..200, 2 => 200usize..5000, 1 => 5000usize..66_560];
    prop_oneof![
        12 => (0usize..2, 0..PORTS, len).prop_map(|(node, port, len)| Step::Send { node, port, len }),
        2 => (0usize..2, 0u32..16).prop_map(|(node, ports)| Step::Busy { node, ports }),
        1 => (0usize..2, 0..links).prop_map(|(node, link)| Step::Disable { node, link }),
        2 => (0usize..2, 0..links).prop_map(|(node, link)| Step::Enable { node, link }),
        1 => (0usize..2, 0..links).prop_map(|(node, link)| Step::Remove { node, link }),
        2 => (0usize..2).prop_map(|node| Step::Add { node }),
        2 => (0usize..2, 0..links, any::<bool>())
            .prop_map(|(node, link, carrier)| Step::Carrier { node, link, carrier }),
        8 => (0u32..200).prop_map(|ms| Step::Run { ms }),
    ]
}

#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    lowpri: Vec<bool>,
    /// The link that stays as it is: without one common link there is no connection.
    kept: u8,
    loss: u32,
    duplication: u32,
    corruption: u32,
    delay: u32,
    /// A direction of a link may take short frames only.
    narrow: Option<(u8, usize)>,
    steps: Vec<Step>,
}

fn case() -> impl Strategy<Value = Case> {
    (1u8..4).prop_flat_map(|links| {
        let lowpri = proptest::collection::vec(any::<bool>(), usize::from(links));
        let faults = (0u32..200, 0u32..200, 0u32..200, 1u32..10);
        let narrow = proptest::option::of((0..links, 600usize..1500));
        let steps = proptest::collection::vec(step(links), 1..200);
        (any::<u64>(), lowpri, 0..links, faults, narrow, steps).prop_map(
            |(seed, lowpri, kept, (loss, duplication, corruption, delay), narrow, steps)| Case {
                seed,
                lowpri,
                kept,
                loss,
                duplication,
                corruption,
                delay,
                narrow,
                steps,
            },
        )
    })
}

struct Run {
    net: Net,
    kept: u8,
    configs: Vec<Vec<LinkConfig>>,
    /// By sender: what was accepted by port, not yet received.
    under_way: Vec<Vec<VecDeque<Bytes>>>,
    sent: u64,
}

impl Run {
    fn new(case: &Case) -> Self {
        let links = u8::try_from(case.lowpri.len()).unwrap();
        let mut configs: Vec<_> = (0..2).map(|me| config(me, 2, links)).collect();
        for config in &mut configs {
            for (link, lowpri) in config.links.iter_mut().zip(&case.lowpri) {
                link.lowpri = *lowpri;
            }
            config.flow.highwater = 1000;
        }
        let links = configs.iter().map(|config| config.links.clone()).collect();
        let mut net = Net::with(configs, case.seed);
        net.connect();
        net.loss = case.loss;
        net.duplication = case.duplication;
        net.corruption = case.corruption;
        net.delay = (Duration::from_micros(50), MS * case.delay);
        if let Some((link, len)) = case.narrow {
            net.narrow = vec![(link, 0, 1, len)];
        }
        let ports = || vec![VecDeque::new(); usize::from(PORTS)];
        Self { net, kept: case.kept, configs: links, under_way: vec![ports(), ports()], sent: 0 }
    }

    fn step(&mut self, step: &Step) {
        let now = self.net.now;
        match *step {
            Step::Send { node, port: to_port, len } => {
                self.sent += 1;
                let number = self.sent.to_be_bytes();
                let payload: Bytes =
                    number.iter().copied().cycle().take(len.max(8)).collect::<Vec<u8>>().into();
                let to = self.net.id(1 - node);
                match self.net.llt(node).send(now, port(to_port), to, payload.clone()) {
                    Ok(()) => self.under_way[node][usize::from(to_port)].push_back(payload),
                    Err(error) => assert_eq!(error, SendError::WouldBlock),
                }
            }
            Step::Busy { node, ports } => {
                self.net.llt(node).set_busy_ports(now, ports & !(1 << LltPort::GAB.get()));
            }
            Step::Disable { node, link: on } if on != self.kept => {
                self.net.llt(node).enable_link(now, link(on), false);
            }
            Step::Enable { node, link: on } => {
                self.net.llt(node).enable_link(now, link(on), true);
            }
            Step::Remove { node, link: on } if on != self.kept => {
                let _ = self.net.llt(node).remove_link(now, link(on));
            }
            Step::Add { node } => {
                let free = self.net.llt(node).links().iter().position(Option::is_none);
                if let Some(free) = free {
                    let added = self.configs[node][free].clone();
                    assert!(self.net.llt(node).add_link(now, added).is_ok());
                }
            }
            Step::Carrier { node, link: on, carrier } if on != self.kept => {
                let change = if carrier {
                    crate::core::LinkChange::Carrier
                } else {
                    crate::core::LinkChange::NoCarrier
                };
                self.net.llt(node).handle_link(now, link(on), change);
            }
            Step::Run { ms } => self.net.run(MS * ms),
            Step::Disable { .. } | Step::Remove { .. } | Step::Carrier { .. } => {}
        }
        self.look();
    }

    fn look(&mut self) {
        for node in 0..2 {
            self.net.drain(node);
            for event in self.net.take_events(node) {
                match event {
                    Event::Message { port, payload, .. } => {
                        let queue = &mut self.under_way[1 - node][usize::from(port.get())];
                        let expected = queue.pop_front().expect("once");
                        assert!(payload == expected, "out of order on port {port:?}");
                    }
                    Event::PeerDown { reason, .. } => panic!("disconnected: {reason:?}"),
                    _ => {}
                }
            }
        }
    }

    fn is_done(&self) -> bool {
        self.under_way.iter().flatten().all(VecDeque::is_empty)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 2000, ..ProptestConfig::default() })]
    #[test]
    fn every_port_stream_comes_out_whole_in_order_once(case in case()) {
        let mut run = Run::new(&case);
        for step in &case.steps {
            run.step(step);
        }
        for node in 0..2 {
            run.step(&Step::Busy { node, ports: 0 });
        }
        let end = run.net.now + Duration::from_secs(300);
        while !run.is_done() && run.net.now < end {
            run.step(&Step::Run { ms: 20 });
        }
        prop_assert!(run.is_done(), "{:?} under way", run.under_way.iter().flatten().map(VecDeque::len).collect::<Vec<_>>());
        run.step(&Step::Run { ms: 1000 });
        run.net.check_alarms();
    }
}
