//! Registers accounts, checks passwords and changes them. Child of a service's root.
//!
//! Owns the checks under way, the line behind them, the credentials found right in the last five minutes, and who gave
//! wrong ones. A restart forgets those: each costs one hash again, and nobody has to wait.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use actors::{Actor, Context, EffectError, Failure, Reply};
use strum::IntoStaticStr;

use super::checks::{self, Means, Verdict};
use super::memory::{Memory, Tag, Tagger};
use super::passwords::MAX_BYTES;
use super::throttle::{Attempt, End, Limits, Throttle};
use super::{Account, NewAccount, PasswordError, RegisterError, VerifyError, rules};
use crate::config::Secret;

/// How many may wait for a thread. At a third of a second each, whoever is last would wait for over a minute; beyond it,
/// nobody would still be there.
const LINE: usize = 256;
/// The limit for one check: a read, and a hash at the highest cost that configuration allows.
const CHECK_WITHIN: Duration = Duration::from_secs(15);

#[derive(Clone)]
pub(super) struct Args {
    pub(super) means: Means,
    pub(super) limits: Limits,
}

#[derive(IntoStaticStr)]
pub(super) enum Msg {
    Verify {
        client: IpAddr,
        email: String,
        password: Secret,
        reply: Reply<Verdict>,
    },
    Register {
        new: NewAccount,
        reply: Reply<Result<Account, RegisterError>>,
    },
    ChangePassword {
        account: Account,
        password: Secret,
        reply: Reply<Result<(), PasswordError>>,
    },
    /// Somebody gave a bearer token that is none: is he to wait?
    WrongToken {
        client: IpAddr,
        reply: Reply<Option<Duration>>,
    },
    /// The check of the credential with this tag has ended.
    Verified {
        tag: Tag,
        attempt: Attempt,
        outcome: Result<Verdict, EffectError>,
    },
    Registered {
        outcome: Result<Result<Account, RegisterError>, EffectError>,
        reply: Reply<Result<Account, RegisterError>>,
    },
    PasswordChanged {
        account: Account,
        outcome: Result<Result<i32, PasswordError>, EffectError>,
        reply: Reply<Result<(), PasswordError>>,
    },
}

pub(super) struct State {
    args: Args,
    tagger: Tagger,
    memory: Memory,
    throttle: Throttle,
    /// Who waits for the check of which credential, waiting or under way.
    flights: HashMap<Tag, Vec<Reply<Verdict>>>,
    line: VecDeque<Job>,
    running: usize,
}

enum Job {
    Verify { tag: Tag, attempt: Attempt, email: Option<String>, password: Secret },
    Register { new: NewAccount, reply: Reply<Result<Account, RegisterError>> },
    ChangePassword { account: Account, password: Secret, reply: Reply<Result<(), PasswordError>> },
}

pub(super) struct Keeper;

impl Actor for Keeper {
    const KIND: &'static str = "accounts";
    type Msg = Msg;
    type Args = Args;
    type State = State;

    async fn start(&self, args: Args, _ctx: &mut Context<Msg>) -> Result<State, Failure> {
        Ok(State {
            tagger: Tagger::new(),
            memory: Memory::default(),
            throttle: Throttle::new(args.limits),
            flights: HashMap::new(),
            line: VecDeque::new(),
            running: 0,
            args,
        })
    }

    async fn handle(&self, msg: Msg, state: &mut State, ctx: &mut Context<Msg>) -> Result<(), Failure> {
        match msg {
            Msg::Verify { client, email, password, reply } => state.verify(client, &email, password, reply),
            Msg::Register { new, reply } if state.has_room() => state.line.push_back(Job::Register { new, reply }),
            Msg::Register { reply, .. } => reply.send(Err(RegisterError::Busy)),
            Msg::ChangePassword { account, password, reply } if state.has_room() => {
                state.line.push_back(Job::ChangePassword { account, password, reply });
            }
            Msg::ChangePassword { reply, .. } => reply.send(Err(PasswordError::Busy)),
            Msg::WrongToken { client, reply } => reply.send(state.throttle.wrong_token(client, Instant::now()).err()),
            Msg::Verified { tag, attempt, outcome } => state.verified(tag, attempt, outcome),
            Msg::Registered { outcome, reply } => {
                state.running -= 1;
                reply.send(outcome.unwrap_or(Err(RegisterError::Unknown)));
            }
            Msg::PasswordChanged { account, outcome, reply } => {
                state.running -= 1;
                reply.send(state.password_changed(&account, outcome.unwrap_or(Err(PasswordError::Unknown))));
            }
        }
        state.run_next(ctx);
        Ok(())
    }
}

impl State {
    fn verify(&mut self, client: IpAddr, email: &str, password: Secret, reply: Reply<Verdict>) {
        if password.expose().len() > MAX_BYTES {
            return reply.send(Err(VerifyError::Wrong));
        }
        let email = rules::normalize(email);
        let address = email.as_deref().unwrap_or_default();
        let (tag, now) = (self.tagger.tag(address, password.expose()), Instant::now());
        if let Some(account) = self.memory.get(&tag, now) {
            return reply.send(Ok(account));
        }
        if let Some(waiting) = self.flights.get_mut(&tag) {
            return waiting.push(reply);
        }
        if !self.has_room() {
            return reply.send(Err(VerifyError::Busy));
        }
        let account = self.tagger.tag(address, "");
        let attempt = if self.memory.trusts(&tag) {
            Throttle::exempt(client, account)
        } else {
            match self.throttle.admit(client, account, now) {
                Ok(attempt) => attempt,
                Err(wait) => return reply.send(Err(VerifyError::Throttled(wait))),
            }
        };
        self.flights.insert(tag, vec![reply]);
        self.line.push_back(Job::Verify { tag, attempt, email, password });
    }

    /// Whether one more may wait. A full line is first rid of those that nobody waits for any more.
    fn has_room(&mut self) -> bool {
        if self.line.len() < LINE {
            return true;
        }
        let (flights, throttle, now) = (&mut self.flights, &mut self.throttle, Instant::now());
        self.line.retain(|job| match job {
            Job::Register { reply, .. } => !reply.is_abandoned(),
            Job::ChangePassword { reply, .. } => !reply.is_abandoned(),
            Job::Verify { tag, attempt, .. } if is_abandoned(flights, tag) => {
                flights.remove(tag);
                throttle.ended(*attempt, End::Unchecked, now);
                false
            }
            Job::Verify { .. } => true,
        });
        self.line.len() < LINE
    }

    fn verified(&mut self, tag: Tag, attempt: Attempt, outcome: Result<Verdict, EffectError>) {
        self.running -= 1;
        let now = Instant::now();
        let mut verdict = outcome.unwrap_or(Err(VerifyError::Unavailable));
        if verdict.as_ref().is_ok_and(|account| !self.memory.learn(tag, account, now)) {
            verdict = Err(VerifyError::Wrong);
        }
        let end = match verdict {
            Ok(_) => End::Right,
            Err(VerifyError::Wrong) => End::Wrong,
            Err(_) => End::Unchecked,
        };
        if end == End::Wrong {
            self.memory.distrust(&tag);
        }
        self.throttle.ended(attempt, end, now);
        for reply in self.flights.remove(&tag).into_iter().flatten() {
            reply.send(verdict.clone());
        }
    }

    /// Whatever is known of the account's old password goes before anybody is told of the new one.
    fn password_changed(
        &mut self,
        account: &Account,
        outcome: Result<i32, PasswordError>,
    ) -> Result<(), PasswordError> {
        let version = match &outcome {
            Ok(version) => Some(*version),
            Err(PasswordError::Unknown) => None,
            // The version that was read with the credential is an old one: so is whatever was remembered with it.
            Err(PasswordError::Outdated) => Some(account.password_version + 1),
            Err(_) => return outcome.map(|_| ()),
        };
        self.memory.changed(account.id, version, Instant::now());
        outcome.map(|_| ())
    }

    /// Starts what waits while there are threads for it.
    fn run_next(&mut self, ctx: &mut Context<Msg>) {
        while self.running < self.args.means.hasher.threads() {
            let Some(job) = self.line.pop_front() else { return };
            let means = self.args.means.clone();
            match job {
                Job::Verify { tag, attempt, .. } if is_abandoned(&self.flights, &tag) => {
                    self.flights.remove(&tag);
                    self.throttle.ended(attempt, End::Unchecked, Instant::now());
                    continue;
                }
                Job::Verify { tag, attempt, email, password } => {
                    let check = checks::verify(means, email, password);
                    ctx.effect(CHECK_WITHIN, check, move |outcome| Msg::Verified { tag, attempt, outcome });
                }
                Job::Register { reply, .. } if reply.is_abandoned() => continue,
                Job::Register { new, reply } => {
                    let register = checks::register(means, new);
                    ctx.effect(CHECK_WITHIN, register, |outcome| Msg::Registered { outcome, reply });
                }
                Job::ChangePassword { reply, .. } if reply.is_abandoned() => continue,
                Job::ChangePassword { account, password, reply } => {
                    let change = checks::change_password(means, account.clone(), password);
                    ctx.effect(CHECK_WITHIN, change, |outcome| Msg::PasswordChanged { account, outcome, reply });
                }
            }
            self.running += 1;
        }
    }
}

fn is_abandoned(flights: &HashMap<Tag, Vec<Reply<Verdict>>>, tag: &Tag) -> bool {
    flights.get(tag).is_none_or(|waiting| waiting.iter().all(Reply::is_abandoned))
}
