//! Registers accounts and checks passwords. Child of a service's root.
//!
//! Owns the checks under way, the line behind them, and the credentials found right in the last five minutes. A restart
//! forgets those: each costs one hash again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::{Actor, Context, EffectError, Failure, Reply};
use contract::UserId;
use sea_orm::DbErr;
use strum::IntoStaticStr;
use uuid::Uuid;

use super::passwords::MAX_BYTES;
use super::users::{self, Names};
use super::{Account, Hasher, NewAccount, RegisterError, VerifyError, rules};
use crate::config::Secret;
use crate::database::{self, Database};

/// How many may wait for a thread. At a third of a second each, whoever is last would wait for over a minute; beyond it,
/// nobody would still be there.
const LINE: usize = 256;
/// How long a credential found right is not hashed again.
const REMEMBER: Duration = Duration::from_secs(300);
/// How many are remembered.
const REMEMBERED: usize = 10_000;
/// The limit for one check: a read, and a hash at the highest cost that configuration allows.
const CHECK_WITHIN: Duration = Duration::from_secs(15);

#[derive(Clone)]
pub(super) struct Args {
    pub(super) database: Database,
    pub(super) hasher: Hasher,
}

type Verdict = Result<Account, VerifyError>;

#[derive(IntoStaticStr)]
pub(super) enum Msg {
    Verify {
        email: String,
        password: Secret,
        reply: Reply<Verdict>,
    },
    Register {
        new: NewAccount,
        reply: Reply<Result<Account, RegisterError>>,
    },
    /// The check of the credential with this tag has ended.
    Verified {
        tag: Tag,
        outcome: Result<Verdict, EffectError>,
    },
    Registered {
        outcome: Result<Result<Account, RegisterError>, EffectError>,
        reply: Reply<Result<Account, RegisterError>>,
    },
}

pub(super) struct State {
    args: Args,
    tagger: Tagger,
    /// Computed for addresses without an account, so that they take as long as those with one.
    dummy: Arc<str>,
    remembered: Remembered,
    /// Who waits for the check of which credential, waiting or under way.
    flights: HashMap<Tag, Vec<Reply<Verdict>>>,
    line: VecDeque<Job>,
    running: usize,
}

enum Job {
    Verify { tag: Tag, email: Option<String>, password: Secret },
    Register { new: NewAccount, reply: Reply<Result<Account, RegisterError>> },
}

pub(super) struct Keeper;

impl Actor for Keeper {
    const KIND: &'static str = "accounts";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, _ctx: &mut Context<Msg>) -> Result<State, Failure> {
        let dummy = args.hasher.hash(args.hasher.permit().await, Uuid::new_v4().to_string()).await;
        Ok(State {
            tagger: Tagger::new(),
            dummy: dummy.map_err(Failure::broken)?.into(),
            remembered: Remembered::default(),
            flights: HashMap::new(),
            line: VecDeque::new(),
            running: 0,
            args,
        })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Verify { email, password, reply } => state.verify(&email, password, reply),
            Msg::Register { new, reply } if state.has_room() => state.line.push_back(Job::Register { new, reply }),
            Msg::Register { reply, .. } => reply.send(Err(RegisterError::Busy)),
            Msg::Verified { tag, outcome } => state.verified(tag, outcome),
            Msg::Registered { outcome, reply } => {
                state.running -= 1;
                reply.send(outcome.unwrap_or(Err(RegisterError::Unknown)));
            }
        }
        state.run_next(ctx);
        Ok(())
    }
}

impl State {
    fn verify(&mut self, email: &str, password: Secret, reply: Reply<Verdict>) {
        if password.expose().len() > MAX_BYTES {
            return reply.send(Err(VerifyError::Wrong));
        }
        let email = rules::normalize(email);
        let tag = self.tagger.tag(email.as_deref().unwrap_or_default(), password.expose());
        if let Some(account) = self.remembered.get(&tag, Instant::now()) {
            return reply.send(Ok(account));
        }
        if let Some(waiting) = self.flights.get_mut(&tag) {
            return waiting.push(reply);
        }
        if !self.has_room() {
            return reply.send(Err(VerifyError::Busy));
        }
        self.flights.insert(tag, vec![reply]);
        self.line.push_back(Job::Verify { tag, email, password });
    }

    /// Whether one more may wait. A full line is first rid of those that nobody waits for any more.
    fn has_room(&mut self) -> bool {
        if self.line.len() < LINE {
            return true;
        }
        let flights = &mut self.flights;
        self.line.retain(|job| match job {
            Job::Register { reply, .. } => !reply.is_abandoned(),
            Job::Verify { tag, .. } if is_abandoned(flights, tag) => {
                flights.remove(tag);
                false
            }
            Job::Verify { .. } => true,
        });
        self.line.len() < LINE
    }

    fn verified(&mut self, tag: Tag, outcome: Result<Verdict, EffectError>) {
        self.running -= 1;
        let verdict = outcome.unwrap_or(Err(VerifyError::Unavailable));
        if let Ok(account) = &verdict {
            self.remembered.put(tag, account.clone(), Instant::now());
        }
        for reply in self.flights.remove(&tag).into_iter().flatten() {
            reply.send(verdict.clone());
        }
    }

    /// Starts what waits while there are threads for it.
    fn run_next(&mut self, ctx: &mut Context<Msg>) {
        while self.running < self.args.hasher.threads() {
            let Some(job) = self.line.pop_front() else { return };
            let args = self.args.clone();
            match job {
                Job::Verify { tag, .. } if is_abandoned(&self.flights, &tag) => {
                    self.flights.remove(&tag);
                    continue;
                }
                Job::Verify { tag, email, password } => {
                    let check = check(args, email, password, Arc::clone(&self.dummy));
                    ctx.effect(CHECK_WITHIN, check, move |outcome| Msg::Verified { tag, outcome });
                }
                Job::Register { reply, .. } if reply.is_abandoned() => continue,
                Job::Register { new, reply } => {
                    ctx.effect(CHECK_WITHIN, register(args, new), |outcome| Msg::Registered { outcome, reply });
                }
            }
            self.running += 1;
        }
    }
}

fn is_abandoned(flights: &HashMap<Tag, Vec<Reply<Verdict>>>, tag: &Tag) -> bool {
    flights.get(tag).is_none_or(|waiting| waiting.iter().all(Reply::is_abandoned))
}

async fn check(args: Args, email: Option<String>, password: Secret, dummy: Arc<str>) -> Verdict {
    let permit = args.hasher.permit().await;
    let user = match email {
        Some(email) => find(&args.database, &email).await?,
        None => None,
    };
    let hash = user.as_ref().map_or_else(|| dummy.to_string(), |user| user.password_hash.clone());
    let right = args.hasher.verify(permit, password.expose().to_owned(), hash).await;
    user.filter(|_| right).map(|user| user.account).ok_or(VerifyError::Wrong)
}

async fn find(database: &Database, email: &str) -> Result<Option<users::User>, VerifyError> {
    let connection = database.ready().map_err(|_| VerifyError::Unavailable)?;
    users::find(connection, email).await.map_err(|error| {
        tracing::warn!(%error, "an account could not be read");
        VerifyError::Unavailable
    })
}

async fn register(args: Args, new: NewAccount) -> Result<Account, RegisterError> {
    let permit = args.hasher.permit().await;
    let connection = args.database.ready().map_err(|_| RegisterError::Unavailable)?;
    if users::find(connection, &new.email).await.map_err(unwritten)?.is_some() {
        return Err(RegisterError::Taken);
    }
    let hash = args.hasher.hash(permit, new.password.expose().to_owned()).await.map_err(RegisterError::Failed)?;
    let account = Account { id: UserId::new(), email: new.email, role: new.role };
    let names = Names { first: new.first_name.as_deref(), last: new.last_name.as_deref() };
    match users::insert(connection, &account, hash, names).await {
        Ok(true) => Ok(account),
        Ok(false) => Err(RegisterError::Taken),
        // A write whose answer was lost may have happened.
        Err(error) if database::is_unavailable(&error) => Err(RegisterError::Unknown),
        Err(error) => Err(RegisterError::Failed(error.to_string())),
    }
}

fn unwritten(error: DbErr) -> RegisterError {
    if database::is_unavailable(&error) { RegisterError::Unavailable } else { RegisterError::Failed(error.to_string()) }
}

/// What a credential is remembered by.
pub(super) type Tag = [u8; 32];

/// Makes tags under a key that dies with the actor: a copy of the memory has no password in it.
struct Tagger([u8; 32]);

impl Tagger {
    fn new() -> Self {
        let mut entropy = blake3::Hasher::new();
        for _ in 0..4 {
            entropy.update(Uuid::new_v4().as_bytes());
        }
        Self(*entropy.finalize().as_bytes())
    }

    fn tag(&self, email: &str, password: &str) -> Tag {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        // The length keeps `ab` + `c` apart from `a` + `bc`.
        hasher.update(&(email.len() as u64).to_le_bytes()).update(email.as_bytes()).update(password.as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// Credentials found right, forgotten in the order they were learned.
#[derive(Default)]
struct Remembered {
    accounts: HashMap<Tag, Account>,
    learned: VecDeque<(Instant, Tag)>,
}

impl Remembered {
    fn get(&mut self, tag: &Tag, now: Instant) -> Option<Account> {
        self.forget(now, REMEMBERED);
        self.accounts.get(tag).cloned()
    }

    fn put(&mut self, tag: Tag, account: Account, now: Instant) {
        self.forget(now, REMEMBERED - 1);
        if self.accounts.insert(tag, account).is_none() {
            self.learned.push_back((now, tag));
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
        Account { id: UserId::new(), email: "a@b.c".to_owned(), role: Role::Customer }
    }

    #[test]
    fn a_credential_is_remembered_for_five_minutes() {
        let (mut remembered, began, account) = (Remembered::default(), Instant::now(), account());
        remembered.put([1; 32], account.clone(), began);
        assert_eq!(remembered.get(&[1; 32], began + REMEMBER - Duration::from_millis(1)), Some(account));
        assert_eq!(remembered.get(&[2; 32], began), None);
        assert_eq!(remembered.get(&[1; 32], began + REMEMBER), None);
        assert!(remembered.accounts.is_empty() && remembered.learned.is_empty());
    }

    #[test]
    fn the_oldest_makes_room() {
        let (mut remembered, now) = (Remembered::default(), Instant::now());
        let tag = |index: usize| *blake3::hash(&index.to_le_bytes()).as_bytes();
        for index in 0..=REMEMBERED {
            remembered.put(tag(index), account(), now);
        }
        assert_eq!(remembered.accounts.len(), REMEMBERED);
        assert_eq!(remembered.get(&tag(0), now), None);
        assert!(remembered.get(&tag(1), now).is_some());
    }

    #[test]
    fn tags_depend_on_the_key_and_on_where_the_address_ends() {
        let tagger = Tagger::new();
        assert_eq!(tagger.tag("a@b", "c"), tagger.tag("a@b", "c"));
        assert_ne!(tagger.tag("a@b", "c"), tagger.tag("a@", "bc"));
        assert_ne!(tagger.tag("a@b", "c"), Tagger::new().tag("a@b", "c"));
    }
}
