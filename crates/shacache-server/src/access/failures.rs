//! How often credentials may be wrong before further tries wait. Must not know what credentials
//! are, nor HTTP.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::listen::network;

/// Counts wrong credentials by the address they come from; by the name they claim where an address
/// speaks for many: loopback, Unix sockets, and proxies.
#[derive(Debug)]
pub(crate) struct Failures {
    shared: HashSet<IpAddr>,
    /// For whom there is less than the full allowance: when it will be full again.
    full_at: Mutex<HashMap<Origin, Instant>>,
}

/// Whose tries are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Origin {
    Network(IpAddr),
    Claim(String),
    /// All those for whom there is no room.
    Others,
}

impl Failures {
    /// `shared` are the addresses of proxies.
    pub(crate) fn new(shared: &[IpAddr]) -> Self {
        let shared = shared.iter().map(IpAddr::to_canonical).collect();
        Self { shared, full_at: Mutex::default() }
    }

    /// Counts one try by `ip` to be who `claim` says, until it is known to be none of the wrong
    /// ones.
    ///
    /// # Errors
    /// When there were too many: how long until the next one.
    pub(crate) fn begin(&self, ip: Option<IpAddr>, claim: &str) -> Result<Try<'_>, Duration> {
        self.begin_at(Instant::now(), ip, claim)
    }

    #[cfg(test)]
    pub(crate) fn forget(&self) {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn begin_at(&self, now: Instant, ip: Option<IpAddr>, claim: &str) -> Result<Try<'_>, Duration> {
        let alone = ip.filter(|ip| !ip.is_loopback() && !self.shared.contains(ip));
        let mut origin = match alone {
            Some(ip) => Origin::Network(network(ip)),
            None => Origin::Claim(claim.chars().take(LONGEST_CLAIM).collect()),
        };
        let mut all = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_ORIGINS && !all.contains_key(&origin) {
            all.retain(|_, full_at| *full_at > now);
            if all.len() >= MOST_ORIGINS {
                origin = Origin::Others;
            }
        }
        let full_at = all.get(&origin).copied().unwrap_or(now).max(now) + INTERVAL;
        let wait = full_at.saturating_duration_since(now + ALLOWANCE * INTERVAL);
        if !wait.is_zero() {
            return Err(wait);
        }
        all.insert(origin.clone(), full_at);
        Ok(Try { failures: self, origin })
    }
}

/// A try that counts as wrong unless it is said to be none of those.
#[derive(Debug)]
pub(crate) struct Try<'a> {
    failures: &'a Failures,
    origin: Origin,
}

impl Try<'_> {
    /// It was right, or was not judged, and does not count.
    pub(crate) fn was_none(self) {
        let mut all = self.failures.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = all.get_mut(&self.origin) {
            *full_at -= INTERVAL;
        }
    }
}

/// So many wrong tries in a row ...
const ALLOWANCE: u32 = 10;
/// ... and one more each time this has passed.
const INTERVAL: Duration = Duration::from_secs(6);
/// Bounds the memory; each takes about a hundred bytes.
const MOST_ORIGINS: usize = 20_000;
/// As long as a name may be.
const LONGEST_CLAIM: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(failures: &Failures, now: Instant, ip: &str, claim: &str) -> Result<(), Duration> {
        let ip = Some(ip.parse().unwrap());
        failures.begin_at(now, ip, claim).map(|_| ())
    }

    #[test]
    fn after_ten_wrong_tries_one_more_comes_every_six_seconds() {
        let (failures, now) = (Failures::new(&[]), Instant::now());
        for _ in 0..10 {
            assert_eq!(wrong(&failures, now, "192.0.2.1", "a"), Ok(()));
        }
        assert_eq!(wrong(&failures, now, "192.0.2.1", "b"), Err(INTERVAL));
        assert_eq!(wrong(&failures, now, "192.0.2.2", "a"), Ok(()), "another address");
        let later = now + INTERVAL;
        assert_eq!(wrong(&failures, later, "192.0.2.1", "a"), Ok(()));
        assert_eq!(wrong(&failures, later, "192.0.2.1", "a"), Err(INTERVAL));
    }

    #[test]
    fn right_ones_do_not_count() {
        let (failures, now) = (Failures::new(&[]), Instant::now());
        for _ in 0..100 {
            let ip = Some("192.0.2.1".parse().unwrap());
            failures.begin_at(now, ip, "a").unwrap().was_none();
        }
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let (failures, now) = (Failures::new(&[]), Instant::now());
        for host in 0..10 {
            assert_eq!(wrong(&failures, now, &format!("2001:db8::{host}"), "a"), Ok(()));
        }
        assert!(wrong(&failures, now, "2001:db8::ffff", "a").is_err());
        assert!(wrong(&failures, now, "2001:db8:0:1::", "a").is_ok());
    }

    #[test]
    fn where_an_address_speaks_for_many_names_are_counted() {
        let proxy = "192.0.2.7";
        let (failures, now) = (Failures::new(&[proxy.parse().unwrap()]), Instant::now());
        for _ in 0..10 {
            assert_eq!(wrong(&failures, now, proxy, "a"), Ok(()));
        }
        assert!(wrong(&failures, now, proxy, "a").is_err());
        assert!(wrong(&failures, now, "127.0.0.1", "a").is_err(), "the same name elsewhere");
        assert!(failures.begin_at(now, None, "a").is_err(), "and over a Unix socket");
        assert!(wrong(&failures, now, proxy, "b").is_ok());
    }

    #[test]
    fn memory_is_bounded() {
        let (failures, now) = (Failures::new(&[]), Instant::now());
        for ip in 0..2 * u32::try_from(MOST_ORIGINS).unwrap() {
            let ip = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0b00_0000 + ip));
            let _counted = failures.begin_at(now, Some(ip), "a");
        }
        assert_eq!(failures.full_at.lock().unwrap().len(), MOST_ORIGINS + 1);
        let later = now + INTERVAL;
        assert!(wrong(&failures, later, "192.0.2.1", "a").is_ok());
        assert_eq!(failures.full_at.lock().unwrap().len(), 2, "those that are full are forgotten");
    }
}
