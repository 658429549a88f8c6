//! Who gets a connection: the cap per client address. It must not know sockets; it counts, and a
//! [`Slot`] held by the connection's task gives the place back.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Counters, Limits};

#[derive(Debug)]
pub(super) struct Admission {
    per_address: usize,
    uncapped: HashSet<IpAddr>,
    held: Mutex<HashMap<IpAddr, usize>>,
    counters: Arc<Counters>,
}

impl Admission {
    pub(super) fn new(limits: &Limits, counters: Arc<Counters>) -> Self {
        Self {
            per_address: limits.connections_per_address,
            uncapped: limits.uncapped_addresses.iter().map(IpAddr::to_canonical).collect(),
            held: Mutex::default(),
            counters,
        }
    }

    /// A place for one more connection from `ip` (`None`: a Unix socket, never capped), or nothing
    /// when that address already holds all it may.
    pub(super) fn admit(self: &Arc<Self>, ip: Option<IpAddr>) -> Option<Slot> {
        let counted = ip.filter(|ip| !ip.is_loopback() && !self.uncapped.contains(ip)).map(network);
        if let Some(network) = counted {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let count = held.entry(network).or_default();
            if *count >= self.per_address {
                self.counters.refused_by_address.add();
                return None;
            }
            *count += 1;
        }
        self.counters.open.add();
        Some(Slot { admission: Arc::clone(self), counted })
    }
}

/// One admitted connection; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Slot {
    admission: Arc<Admission>,
    counted: Option<IpAddr>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.counters.open.subtract();
        let Some(network) = self.counted else { return };
        let mut held = self.admission.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                held.remove(&network);
            }
        }
    }
}

/// What counts as one address: an IPv6 host commonly owns all of its /64.
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_each(uncapped: &[&str]) -> Arc<Admission> {
        let limits = Limits {
            connections_per_address: 2,
            uncapped_addresses: uncapped.iter().map(|ip| ip.parse().expect("an address")).collect(),
            ..Limits::default()
        };
        Arc::new(Admission::new(&limits, Arc::default()))
    }

    fn admit(admission: &Arc<Admission>, ip: &str) -> Option<Slot> {
        admission.admit(Some(ip.parse().expect("an address")))
    }

    #[test]
    fn a_third_connection_waits_for_a_slot_to_be_dropped() {
        let admission = two_each(&[]);
        let first = admit(&admission, "192.0.2.1");
        let _second = admit(&admission, "192.0.2.1").expect("the second of two");
        assert!(admit(&admission, "192.0.2.1").is_none());
        assert!(admit(&admission, "192.0.2.2").is_some(), "another address is not concerned");
        assert_eq!(admission.counters.refused_by_address(), 1);
        drop(first);
        assert!(admit(&admission, "192.0.2.1").is_some());
        assert_eq!(admission.counters.open(), 1);
    }

    #[test]
    fn forgets_addresses_that_hold_nothing() {
        let admission = two_each(&[]);
        drop(admit(&admission, "192.0.2.1"));
        assert!(admission.held.lock().expect("no panic").is_empty());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_address() {
        let admission = two_each(&[]);
        let _slots = [admit(&admission, "2001:db8::1"), admit(&admission, "2001:db8::ffff:2")];
        assert!(admit(&admission, "2001:db8::3").is_none());
        assert!(admit(&admission, "2001:db8:0:1::3").is_some());
    }

    #[test]
    fn loopback_unix_sockets_and_proxies_are_not_capped() {
        let admission = two_each(&["::ffff:192.0.2.7"]);
        for ip in [Some("127.0.0.1"), Some("::1"), Some("192.0.2.7"), None] {
            let ip = ip.map(|ip| ip.parse().expect("an address"));
            let slots: Vec<_> = (0..5).map(|_| admission.admit(ip)).collect();
            assert!(slots.iter().all(Option::is_some), "{ip:?}");
        }
    }
}
