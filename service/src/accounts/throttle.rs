//! When somebody who gives wrong credentials has to wait. Pure.
//!
//! Wrong passwords are counted by account and origin together, so that nobody can lock another out, and more loosely by
//! origin alone, against whoever tries one password on many accounts. Some are free; each one beyond doubles the wait.
//! Attempts during a wait are refused unlooked-at and do not count. Failures are forgiven one by one with time.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::memory::Tag;
use crate::routes::client;

/// The first wait; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long a failure at one account counts.
const ACCOUNT_FORGIVES: Duration = Duration::from_secs(180);
/// How long a failure from one origin counts: behind one address there may be a whole company.
const ORIGIN_FORGIVES: Duration = Duration::from_secs(10);
/// How many accounts at origins, and how many origins, are kept in mind: a few megabytes.
const KEPT: usize = 20_000;

/// What is free, and what is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wrong passwords for one account from one origin that cost no wait.
    pub per_account: u32,
    /// Wrong passwords, or wrong tokens, from one origin that cost no wait.
    pub per_address: u32,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_account: 5, per_address: 100, longest: Duration::from_secs(900) }
    }
}

/// What is being counted.
pub(super) struct Throttle {
    accounts: Counters<(IpAddr, Tag)>,
    origins: Counters<IpAddr>,
    tokens: Counters<IpAddr>,
}

impl Throttle {
    pub(super) fn new(limits: Limits) -> Self {
        let account = Rule { free: limits.per_account, forgives: ACCOUNT_FORGIVES, longest: limits.longest };
        let origin = Rule { free: limits.per_address, forgives: ORIGIN_FORGIVES, longest: limits.longest };
        Self { accounts: Counters::new(account), origins: Counters::new(origin), tokens: Counters::new(origin) }
    }

    /// Lets an attempt at an account be checked, or says how long to wait. One that is let through must be ended by
    /// [`Throttle::ended`].
    pub(super) fn admit(&mut self, client: IpAddr, account: Tag, now: Instant) -> Result<Attempt, Duration> {
        let origin = client::origin(client);
        if let Some(wait) = self.origins.wait(&origin, now) {
            return Err(wait);
        }
        self.accounts.begin((origin, account), now)?;
        Ok(Attempt { origin, account, pending: true })
    }

    /// An attempt that is let through whatever came before.
    pub(super) fn exempt(client: IpAddr, account: Tag) -> Attempt {
        Attempt { origin: client::origin(client), account, pending: false }
    }

    /// An attempt has ended.
    pub(super) fn ended(&mut self, attempt: Attempt, end: End, now: Instant) {
        let Attempt { origin, account, pending } = attempt;
        self.accounts.end(&(origin, account), pending, end, now);
        // Whoever has an account of his own must not be able to wipe out what he did to others.
        if end == End::Wrong {
            self.origins.fail(origin, now);
        }
    }

    /// Counts a wrong bearer token, unless its origin has to wait.
    pub(super) fn wrong_token(&mut self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let origin = client::origin(client);
        match self.tokens.wait(&origin, now) {
            Some(wait) => Err(wait),
            None => {
                self.tokens.fail(origin, now);
                Ok(())
            }
        }
    }
}

/// An attempt being checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    origin: IpAddr,
    account: Tag,
    pending: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Right,
    Wrong,
    /// Nobody knows.
    Unchecked,
}

#[derive(Clone, Copy)]
struct Rule {
    free: u32,
    forgives: Duration,
    longest: Duration,
}

impl Rule {
    /// The wait after this many failures.
    fn wait(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(beyond) => FIRST_WAIT.saturating_mul(2u32.saturating_pow(beyond)).min(self.longest),
        }
    }

    /// More are not counted: forgetting must not take longer than the longest wait asks for.
    fn most(&self) -> u32 {
        let doublings = self.longest.as_secs().max(1).ilog2() + 1;
        self.free.saturating_add(doublings)
    }
}

#[derive(Clone, Copy)]
struct Counter {
    failures: u32,
    /// Attempts being checked. They count as failures until they have ended: else a burst would be free.
    pending: u32,
    /// From when on the next failure is being forgiven.
    since: Instant,
    until: Instant,
}

impl Counter {
    fn forgive(&mut self, rule: &Rule, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        let forgiven = u32::try_from(elapsed.as_nanos() / rule.forgives.as_nanos().max(1)).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_sub(forgiven);
        self.since = if self.failures == 0 { now } else { self.since + rule.forgives * forgiven };
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        self.failures == 0 && self.pending == 0 && self.until <= now
    }
}

struct Counters<K> {
    rule: Rule,
    kept: HashMap<K, Counter>,
}

impl<K: Hash + Eq + Copy> Counters<K> {
    fn new(rule: Rule) -> Self {
        Self { rule, kept: HashMap::new() }
    }

    fn wait(&self, key: &K, now: Instant) -> Option<Duration> {
        let until = self.kept.get(key)?.until;
        (until > now).then(|| until - now)
    }

    fn begin(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        if let Some(wait) = self.wait(&key, now) {
            return Err(wait);
        }
        let free = self.rule.free;
        let counter = self.counter(key, now);
        // After a wait one attempt is let through at a time.
        let room = free.saturating_sub(counter.failures).max(1);
        if counter.pending >= room {
            return Err(FIRST_WAIT);
        }
        counter.pending += 1;
        Ok(())
    }

    fn end(&mut self, key: &K, pending: bool, end: End, now: Instant) {
        if let Some(counter) = self.kept.get_mut(key) {
            counter.pending = counter.pending.saturating_sub(u32::from(pending));
        }
        match end {
            End::Wrong => self.fail(*key, now),
            End::Right => {
                if let Some(counter) = self.kept.get_mut(key) {
                    (counter.failures, counter.until) = (0, now);
                }
            }
            End::Unchecked => {}
        }
        if self.kept.get(key).is_some_and(|counter| counter.is_forgotten(now)) {
            self.kept.remove(key);
        }
    }

    fn fail(&mut self, key: K, now: Instant) {
        let rule = self.rule;
        let counter = self.counter(key, now);
        counter.failures = (counter.failures + 1).min(rule.most());
        counter.until = now + rule.wait(counter.failures);
    }

    fn counter(&mut self, key: K, now: Instant) -> &mut Counter {
        if self.kept.len() >= KEPT && !self.kept.contains_key(&key) {
            self.make_room(now);
        }
        let counter = self.kept.entry(key).or_insert(Counter { failures: 0, pending: 0, since: now, until: now });
        counter.forgive(&self.rule, now);
        counter
    }

    /// Drops what is forgotten; where that is not enough, the quarter that was let alone for longest.
    fn make_room(&mut self, now: Instant) {
        let rule = self.rule;
        self.kept.retain(|_, counter| {
            counter.forgive(&rule, now);
            !counter.is_forgotten(now)
        });
        let quarter = KEPT / 4;
        if self.kept.len() + quarter <= KEPT {
            return;
        }
        let mut ages: Vec<Instant> = self.kept.values().map(|counter| counter.until).collect();
        let (_, oldest, _) = ages.select_nth_unstable(quarter);
        let oldest = *oldest;
        let mut left = quarter;
        self.kept.retain(|_, counter| {
            let goes = left > 0 && counter.until <= oldest;
            left -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Tag = [1; 32];
    const BOB: Tag = [2; 32];
    const S: Duration = Duration::from_secs(1);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn throttle() -> Throttle {
        Throttle::new(Limits { per_account: 3, per_address: 20, longest: 60 * S })
    }

    fn wrong(throttle: &mut Throttle, from: IpAddr, account: Tag, now: Instant) -> Result<(), Duration> {
        let attempt = throttle.admit(from, account, now)?;
        throttle.ended(attempt, End::Wrong, now);
        Ok(())
    }

    #[test]
    fn the_wait_doubles_with_each_failure_up_to_the_longest() {
        let (mut throttle, mut now) = (throttle(), Instant::now());
        for _ in 0..3 {
            wrong(&mut throttle, address(1), ALICE, now).unwrap();
        }
        for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let wait = wrong(&mut throttle, address(1), ALICE, now).unwrap_err();
            assert_eq!(wait, expected * S);
            assert_eq!(
                wrong(&mut throttle, address(1), ALICE, now + wait / 2),
                Err(wait / 2),
                "refused ones cost nothing"
            );
            now += wait;
            wrong(&mut throttle, address(1), ALICE, now).unwrap();
        }
    }

    #[test]
    fn another_address_and_another_account_are_unaffected() {
        let (mut throttle, now) = (throttle(), Instant::now());
        for _ in 0..3 {
            wrong(&mut throttle, address(1), ALICE, now).unwrap();
        }
        assert!(wrong(&mut throttle, address(1), ALICE, now).is_err());
        assert!(wrong(&mut throttle, address(2), ALICE, now).is_ok());
        assert!(wrong(&mut throttle, address(1), BOB, now).is_ok());
    }

    #[test]
    fn an_address_that_tries_many_accounts_waits_for_all_of_them() {
        let (mut throttle, now) = (throttle(), Instant::now());
        for account in 0..20 {
            wrong(&mut throttle, address(1), [account; 32], now).unwrap();
        }
        assert_eq!(wrong(&mut throttle, address(1), [99; 32], now), Err(S));
        assert!(wrong(&mut throttle, address(2), [99; 32], now).is_ok());
    }

    #[test]
    fn a_success_clears_the_account_but_not_the_address() {
        let (mut throttle, now) = (throttle(), Instant::now());
        for account in 0..20 {
            let at = now + S * u32::from(account / 10);
            wrong(&mut throttle, address(1), [account; 32], at).unwrap();
            let own = throttle.admit(address(1), BOB, at);
            if let Ok(own) = own {
                throttle.ended(own, End::Right, at);
            }
        }
        assert!(throttle.admit(address(1), BOB, now + S).is_err());
        let mut throttle = self::throttle();
        for _ in 0..4 {
            wrong(&mut throttle, address(1), ALICE, now).unwrap();
            wrong(&mut throttle, address(1), ALICE, now).unwrap();
            let right = throttle.admit(address(1), ALICE, now).unwrap();
            throttle.ended(right, End::Right, now);
        }
    }

    #[test]
    fn a_burst_is_counted_before_it_has_been_checked() {
        let (mut throttle, now) = (throttle(), Instant::now());
        let attempts: Vec<_> = (0..10).filter_map(|_| throttle.admit(address(1), ALICE, now).ok()).collect();
        assert_eq!(attempts.len(), 3);
        for attempt in attempts {
            throttle.ended(attempt, End::Wrong, now);
        }
        let later = now + 2 * S;
        let attempts: Vec<_> = (0..10).filter_map(|_| throttle.admit(address(1), ALICE, later).ok()).collect();
        assert_eq!(attempts.len(), 1, "one at a time after a wait");
        throttle.ended(attempts[0], End::Unchecked, later);
        assert!(throttle.admit(address(1), ALICE, later).is_ok(), "what nobody could check costs nothing");
    }

    #[test]
    fn failures_are_forgiven_with_time() {
        let (mut throttle, now) = (throttle(), Instant::now());
        for _ in 0..3 {
            wrong(&mut throttle, address(1), ALICE, now).unwrap();
        }
        let later = now + ACCOUNT_FORGIVES;
        wrong(&mut throttle, address(1), ALICE, later).unwrap();
        assert_eq!(wrong(&mut throttle, address(1), ALICE, later), Err(S), "two were left");
        let much_later = later + 3 * ACCOUNT_FORGIVES;
        for _ in 0..3 {
            wrong(&mut throttle, address(1), ALICE, much_later).unwrap();
        }
        assert_eq!(wrong(&mut throttle, address(1), ALICE, much_later), Err(S));
    }

    #[test]
    fn memory_is_bounded_and_the_latest_are_kept() {
        let mut throttle = Throttle::new(Limits { per_account: 1, per_address: u32::MAX, longest: 900 * S });
        let began = Instant::now();
        let tag = |index: usize| *blake3::hash(&index.to_le_bytes()).as_bytes();
        for index in 0..3 * KEPT {
            let now = began + Duration::from_micros(index as u64);
            wrong(&mut throttle, address(1), tag(index), now).unwrap();
            assert!(throttle.accounts.kept.len() <= KEPT);
        }
        let now = began + Duration::from_micros(3 * KEPT as u64);
        assert!(wrong(&mut throttle, address(1), tag(3 * KEPT - 1), now).is_err());
    }

    #[test]
    fn wrong_tokens_are_counted_apart() {
        let (mut throttle, now) = (throttle(), Instant::now());
        for _ in 0..20 {
            throttle.wrong_token(address(1), now).unwrap();
        }
        assert_eq!(throttle.wrong_token(address(1), now), Err(S));
        assert!(throttle.wrong_token(address(2), now).is_ok());
        assert!(wrong(&mut throttle, address(1), ALICE, now).is_ok());
    }
}
