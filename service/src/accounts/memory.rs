//! What the accounts' actor remembers of credentials. Never a password: tags of them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use contract::UserId;
use uuid::Uuid;

use super::Account;

/// How long a credential found right is not hashed again.
pub(super) const REMEMBER: Duration = Duration::from_secs(300);
/// How many are remembered.
const REMEMBERED: usize = 10_000;
/// How many are known to have been right once.
const TRUSTED: usize = 50_000;
/// How long a change of password is kept in mind: longer than any check that began before it.
const CHANGE_KEPT: Duration = Duration::from_secs(120);

/// What a credential is remembered by.
pub(super) type Tag = [u8; 32];

/// Makes tags under a key that dies with the actor: a copy of the memory has no password in it.
pub(super) struct Tagger([u8; 32]);

impl Tagger {
    pub(super) fn new() -> Self {
        let mut entropy = blake3::Hasher::new();
        for _ in 0..4 {
            entropy.update(Uuid::new_v4().as_bytes());
        }
        Self(*entropy.finalize().as_bytes())
    }

    pub(super) fn tag(&self, email: &str, password: &str) -> Tag {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        // The length keeps `ab` + `c` apart from `a` + `bc`.
        hasher.update(&(email.len() as u64).to_le_bytes()).update(email.as_bytes()).update(password.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// Credentials found right.
#[derive(Default)]
pub(super) struct Memory {
    accounts: HashMap<Tag, Account>,
    /// In the order in which they were learned.
    learned: VecDeque<(Instant, Tag)>,
    /// Found right at some time, and not found wrong since: these are checked again, but never made to wait.
    trusted: HashSet<Tag>,
    trusted_since: VecDeque<Tag>,
    changes: HashMap<UserId, Change>,
}

struct Change {
    at: Instant,
    /// The password's version since then; unknown where the change may not have happened.
    version: Option<i32>,
}

impl Memory {
    /// The account of a credential found right in the last five minutes.
    pub(super) fn get(&mut self, tag: &Tag, now: Instant) -> Option<Account> {
        self.forget(now, REMEMBERED);
        self.accounts.get(tag).cloned()
    }

    /// Whether the credential was right once.
    pub(super) fn trusts(&self, tag: &Tag) -> bool {
        self.trusted.contains(tag)
    }

    /// A credential was found right; whether it still is: its password may have been changed while it was checked.
    pub(super) fn learn(&mut self, tag: Tag, account: &Account, now: Instant) -> bool {
        match self.changes.get(&account.id).map(|change| change.version) {
            Some(Some(version)) if account.password_version < version => return false,
            Some(None) => return true,
            _ => {}
        }
        self.forget(now, REMEMBERED - 1);
        if self.accounts.insert(tag, account.clone()).is_none() {
            self.learned.push_back((now, tag));
        }
        self.trust(tag);
        true
    }

    /// A credential was found wrong.
    pub(super) fn distrust(&mut self, tag: &Tag) {
        if self.trusted.remove(tag) {
            self.trusted_since.retain(|other| other != tag);
        }
    }

    /// The account's password was changed, or may have been: whatever is known of it is forgotten.
    pub(super) fn changed(&mut self, id: UserId, version: Option<i32>, now: Instant) {
        self.changes.retain(|_, change| now.saturating_duration_since(change.at) < CHANGE_KEPT);
        self.changes.insert(id, Change { at: now, version });
        let gone: HashSet<Tag> =
            self.accounts.iter().filter(|(_, account)| account.id == id).map(|(tag, _)| *tag).collect();
        self.accounts.retain(|tag, _| !gone.contains(tag));
        self.learned.retain(|(_, tag)| !gone.contains(tag));
        for tag in &gone {
            self.distrust(tag);
        }
    }

    fn trust(&mut self, tag: Tag) {
        if !self.trusted.insert(tag) {
            return;
        }
        self.trusted_since.push_back(tag);
        if self.trusted_since.len() > TRUSTED
            && let Some(oldest) = self.trusted_since.pop_front()
        {
            self.trusted.remove(&oldest);
        }
    }

    fn forget(&mut self, now: Instant, keep: usize) {
        while let Some((at, tag)) = self.learned.front() {
            if self.learned.len() <= keep && now.duration_since(*at) < REMEMBER {
                return;
            }
            self.accounts.remove(tag);
            self.learned.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use contract::Role;

    use super::*;

    fn account() -> Account {
        Account { id: UserId::new(), email: "a@b.c".to_owned(), role: Role::Customer, password_version: 1 }
    }

    #[test]
    fn a_credential_is_remembered_for_five_minutes_and_trusted_for_longer() {
        let (mut memory, began, account) = (Memory::default(), Instant::now(), account());
        assert!(memory.learn([1; 32], &account, began));
        assert_eq!(memory.get(&[1; 32], began + REMEMBER - Duration::from_millis(1)), Some(account));
        assert_eq!(memory.get(&[2; 32], began), None);
        assert_eq!(memory.get(&[1; 32], began + REMEMBER), None);
        assert!(memory.accounts.is_empty() && memory.learned.is_empty());
        assert!(memory.trusts(&[1; 32]) && !memory.trusts(&[2; 32]));
        memory.distrust(&[1; 32]);
        assert!(!memory.trusts(&[1; 32]));
    }

    #[test]
    fn the_oldest_makes_room() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let tag = |index: usize| *blake3::hash(&index.to_le_bytes()).as_bytes();
        for index in 0..=REMEMBERED {
            memory.learn(tag(index), &account(), now);
        }
        assert_eq!(memory.accounts.len(), REMEMBERED);
        assert_eq!(memory.get(&tag(0), now), None);
        assert!(memory.get(&tag(1), now).is_some());
        for index in REMEMBERED..=TRUSTED {
            memory.learn(tag(index), &account(), now);
        }
        assert_eq!((memory.trusted.len(), memory.trusted_since.len()), (TRUSTED, TRUSTED));
        assert!(!memory.trusts(&tag(0)) && memory.trusts(&tag(1)));
    }

    #[test]
    fn a_change_forgets_the_account_and_what_was_being_checked() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let (old, other) = (account(), account());
        memory.learn([1; 32], &old, now);
        memory.learn([2; 32], &other, now);
        memory.changed(old.id, Some(2), now);
        assert_eq!((memory.get(&[1; 32], now), memory.trusts(&[1; 32])), (None, false));
        assert_eq!(memory.get(&[2; 32], now), Some(other));
        assert!(!memory.learn([1; 32], &old, now), "a check that began before the change");
        assert_eq!(memory.get(&[1; 32], now), None);
        let new = Account { password_version: 2, ..old };
        assert!(memory.learn([3; 32], &new, now));
        assert_eq!(memory.get(&[3; 32], now), Some(new));
    }

    #[test]
    fn after_a_change_of_unknown_outcome_nothing_of_the_account_is_remembered() {
        let (mut memory, now, old) = (Memory::default(), Instant::now(), account());
        memory.changed(old.id, None, now);
        assert!(memory.learn([1; 32], &old, now), "it may be right still");
        assert_eq!((memory.get(&[1; 32], now), memory.trusts(&[1; 32])), (None, false));
    }

    #[test]
    fn tags_depend_on_the_key_and_on_where_the_address_ends() {
        let tagger = Tagger::new();
        assert_eq!(tagger.tag("a@b", "c"), tagger.tag("a@b", "c"));
        assert_ne!(tagger.tag("a@b", "c"), tagger.tag("a@", "bc"));
        assert_ne!(tagger.tag("a@b", "c"), Tagger::new().tag("a@b", "c"));
    }
}
