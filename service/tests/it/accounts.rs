use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use contract::{Role, demo};
use futures_util::future::join_all;
use service::accounts::{
    Account, Accounts, Limits, NewAccount, PasswordError, RegisterError, Seed, VerifyError, ensure,
};
use service::config::Secret;
use service::database::Database;

use crate::support::{CHEAP, Scratch, tree};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const NO_LIMITS: Limits = Limits { per_account: u32::MAX, per_address: u32::MAX, longest: Duration::from_secs(1) };

fn new(email: &str, password: &str) -> NewAccount {
    let (email, password) = (email.to_owned(), Secret::new(password));
    NewAccount { email, password, first_name: Some("Al".to_owned()), last_name: None, role: Role::Customer }
}

/// Runs the same test on both databases.
async fn on_both(test: impl AsyncFn(&Accounts, &Database)) {
    for scratch in Scratch::both().await {
        let database = Database::new(scratch.settings());
        let accounts = Accounts::new(1_000, CHEAP, Limits::default());
        let system = tree(&database, vec![accounts.child(&database)]).await;
        test(&accounts, &database).await;
        system.stop().await.unwrap();
    }
}

async fn registered(accounts: &Accounts) -> Account {
    accounts.register(new("Alice@Customer.com", "alice:123:")).await.unwrap()
}

#[tokio::test]
async fn a_registered_account_is_let_in_whatever_the_case_of_its_address() {
    on_both(async |accounts, _| {
        let account = registered(accounts).await;
        assert_eq!((account.email.as_str(), account.role), ("alice@customer.com", Role::Customer));
        assert_eq!(accounts.verify(HERE, "ALICE@customer.com", "alice:123:").await, Ok(account));
        assert_eq!(accounts.verify(HERE, "alice@customer.com", "alice:123").await, Err(VerifyError::Wrong));
        assert_eq!(accounts.verify(HERE, "", "alice:123:").await, Err(VerifyError::Wrong));
    })
    .await;
}

#[tokio::test]
async fn an_address_is_taken_once_also_by_many_at_once() {
    on_both(async |accounts, _| {
        let all = join_all((0..10).map(|_| accounts.register(new("bob@customer.com", "bob12345")))).await;
        assert_eq!(all.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{all:?}");
        assert_eq!(all.iter().filter(|outcome| **outcome == Err(RegisterError::Taken)).count(), 9);
    })
    .await;
}

#[tokio::test]
async fn a_password_of_72_bytes_is_refused_and_never_cut() {
    on_both(async |accounts, _| {
        let refused = accounts.register(new("c@customer.com", &"x".repeat(72))).await.unwrap_err();
        assert!(matches!(&refused, RegisterError::Invalid(errors) if errors[0].field == "password"), "{refused:?}");
        accounts.register(new("c@customer.com", &"x".repeat(71))).await.unwrap();
        assert!(accounts.verify(HERE, "c@customer.com", &"x".repeat(71)).await.is_ok());
        assert_eq!(accounts.verify(HERE, "c@customer.com", &"x".repeat(72)).await, Err(VerifyError::Wrong));
    })
    .await;
}

#[tokio::test]
async fn simultaneous_checks_of_one_credential_share_one_hash_and_it_is_then_remembered() {
    on_both(async |accounts, _| {
        registered(accounts).await;
        let before = accounts.hasher().hashes();
        let all = join_all((0..50).map(|_| accounts.verify(HERE, "alice@customer.com", "alice:123:"))).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(accounts.hasher().hashes() - before, 1, "50 simultaneous checks");
        for _ in 0..50 {
            accounts.verify(HERE, "alice@customer.com", "alice:123:").await.unwrap();
        }
        assert_eq!(accounts.hasher().hashes() - before, 1, "50 more, one after the other");
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_not_remembered_and_an_unknown_address_costs_a_hash_too() {
    on_both(async |accounts, _| {
        registered(accounts).await;
        let before = accounts.hasher().hashes();
        for email in ["alice@customer.com", "alice@customer.com", "nobody@customer.com", "no address", "nul\0@x.y"] {
            assert_eq!(accounts.verify(HERE, email, "guess123").await, Err(VerifyError::Wrong));
        }
        assert_eq!(accounts.hasher().hashes() - before, 5);
    })
    .await;
}

#[tokio::test]
async fn seeds_are_made_once_and_their_passwords_may_be_short() {
    on_both(async |accounts, database| {
        let (db, hasher) = (database.ready().unwrap(), accounts.hasher());
        let seed = |password| Seed { email: "Admin@x.com", password, role: Role::StoreAdmin, names: None };
        ensure(db, hasher, &[seed("admin")]).await.unwrap();
        ensure(db, hasher, &[seed("other")]).await.unwrap();
        assert_eq!(accounts.verify(HERE, "admin@x.com", "admin").await.unwrap().role, Role::StoreAdmin);
        assert_eq!(accounts.verify(HERE, "admin@x.com", "other").await, Err(VerifyError::Wrong));
    })
    .await;
}

#[tokio::test]
async fn outside_the_demo_its_accounts_are_refused_until_they_have_another_password() {
    let scratch = Scratch::sqlite();
    let known = &demo::store_accounts()[0];
    let [inside, outside] = [(); 2].map(|()| Accounts::new(1_000, CHEAP, NO_LIMITS));
    let database = Database::new(scratch.settings());
    let system = tree(&database, vec![inside.child(&database)]).await;
    let seed = Seed { email: &known.email, password: known.password, role: known.role, names: None };
    ensure(database.ready().unwrap(), inside.hasher(), &[seed]).await.unwrap();
    let account = inside.verify(HERE, &known.email, known.password).await.unwrap();
    system.stop().await.unwrap();
    drop(database);

    let outside = outside.refusing(demo::store_accounts());
    let database = Database::new(scratch.settings());
    let system = tree(&database, vec![outside.child(&database)]).await;
    kit::until("the database is this one's", Duration::from_secs(10), async || {
        database.ready().map(|_| ()).map_err(|failure| failure.reason().to_owned())
    })
    .await;
    for email in [known.email.clone(), known.email.to_uppercase()] {
        assert_eq!(outside.verify(HERE, &email, known.password).await, Err(VerifyError::Wrong));
    }
    outside.change_password(&account, "another password").await.unwrap();
    assert!(outside.verify(HERE, &known.email, "another password").await.is_ok());
    system.stop().await.unwrap();
}

#[tokio::test]
async fn the_line_is_256_long_and_whoever_left_it_is_passed_over() {
    let scratch = Scratch::sqlite();
    let database = Database::new(scratch.settings());
    // At this cost no check ends while the line fills.
    let accounts = Accounts::new(10_000, 11, NO_LIMITS);
    let system = tree(&database, vec![accounts.child(&database)]).await;
    let before = accounts.hasher().hashes();
    let threads = (std::thread::available_parallelism().unwrap().get() / 2).max(1);
    let guess = async |many: usize| {
        let guesses =
            (0..many).map(|guess| {
                let (accounts, password) = (accounts.clone(), format!("guess {guess}"));
                async move {
                    tokio::time::timeout(Duration::from_millis(300), accounts.verify(HERE, "a@b.c", &password)).await
                }
            });
        join_all(guesses).await.into_iter().filter(|guess| *guess == Ok(Err(VerifyError::Busy))).count()
    };
    assert_eq!(guess(threads + 256 + 44).await, 44);
    // Nobody waits any more, so these are next after those under way: of a full line, and of one that is not.
    assert_eq!(accounts.verify(HERE, "a@b.c", "next").await, Err(VerifyError::Wrong));
    assert_eq!(guess(100).await, 0);
    assert_eq!(accounts.verify(HERE, "a@b.c", "last").await, Err(VerifyError::Wrong));
    let hashed = usize::try_from(accounts.hasher().hashes() - before).unwrap();
    assert!(hashed <= 20 * threads, "{hashed} hashes");
    system.stop().await.unwrap();
}

#[tokio::test]
async fn while_the_database_is_away_nobody_is_told_that_their_password_is_wrong() {
    let mut cluster = kit::Cluster::start().await.unwrap();
    let scratch = Scratch::Postgres(cluster.database("accounts").await.unwrap());
    let database = Database::new(scratch.settings());
    let accounts = Accounts::new(1_000, CHEAP, Limits::default());
    let system = tree(&database, vec![accounts.child(&database)]).await;
    registered(&accounts).await;
    accounts.verify(HERE, "alice@customer.com", "alice:123:").await.unwrap();
    cluster.stop().await.unwrap();
    database.until(|state| *state != service::database::State::Ready).await;
    assert_eq!(accounts.verify(HERE, "alice@customer.com", "other").await, Err(VerifyError::Unavailable));
    assert!(accounts.verify(HERE, "alice@customer.com", "alice:123:").await.is_ok(), "remembered");
    assert_eq!(accounts.register(new("d@customer.com", "12345678")).await, Err(RegisterError::Unavailable));
    cluster.start_again().await.unwrap();
    database.until_ready().await;
    assert_eq!(accounts.verify(HERE, "alice@customer.com", "other").await, Err(VerifyError::Wrong));
    system.stop().await.unwrap();
}

#[tokio::test]
async fn a_changed_password_is_the_only_one_from_then_on() {
    on_both(async |accounts, _| {
        let alice = registered(accounts).await;
        assert!(accounts.verify(HERE, "alice@customer.com", "alice:123:").await.is_ok(), "remembered");
        for (password, field) in [("short", "password"), (&*"x".repeat(72), "password")] {
            let refused = accounts.change_password(&alice, password).await.unwrap_err();
            assert!(matches!(&refused, PasswordError::Invalid(errors) if errors[0].field == field), "{refused:?}");
        }
        accounts.change_password(&alice, "another one").await.unwrap();
        assert_eq!(accounts.verify(HERE, "alice@customer.com", "alice:123:").await, Err(VerifyError::Wrong));
        let after = accounts.verify(HERE, "alice@customer.com", "another one").await.unwrap();
        assert_eq!((after.id, after.password_version), (alice.id, 2));
        let outdated = accounts.change_password(&alice, "from the old one").await;
        assert_eq!(outdated, Err(PasswordError::Outdated), "two changes from one password");
        accounts.change_password(&after, "a third one").await.unwrap();
        assert!(accounts.verify(HERE, "alice@customer.com", "a third one").await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn checks_under_way_during_a_change_do_not_bring_the_old_password_back() {
    on_both(async |accounts, _| {
        let mut alice = registered(accounts).await;
        for round in 0..20 {
            let (old, new) = (format!("password {round}"), format!("password {}", round + 1));
            accounts.change_password(&alice, &old).await.unwrap();
            alice = accounts.verify(HERE, "alice@customer.com", &old).await.unwrap();
            // Not remembered, so that it is being checked while the password is changed.
            accounts.change_password(&alice, &old).await.unwrap();
            alice.password_version += 1;
            let check = accounts.verify(HERE, "alice@customer.com", &old);
            let (_, changed) = tokio::join!(check, accounts.change_password(&alice, &new));
            changed.unwrap();
            let late = accounts.verify(HERE, "alice@customer.com", &old).await;
            assert_eq!(late, Err(VerifyError::Wrong), "round {round}");
            alice = accounts.verify(HERE, "alice@customer.com", &new).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn known_and_unknown_addresses_cost_the_same_also_after_the_cost_was_changed() {
    on_both(async |accounts, database| {
        registered(accounts).await;
        for cost in [CHEAP - 1 + 3, CHEAP] {
            // As after a restart with another cost: the first still has a hash of the one before.
            let dearer = Accounts::new(1_000, cost, NO_LIMITS);
            let system = actors::System::start("other", vec![dearer.child(database)]).await.unwrap();
            assert!(system.started().await);
            let mut costs = Vec::new();
            for email in ["alice@customer.com", "nobody@customer.com", "no address"] {
                let before = (dearer.hasher().hashes(), dearer.hasher().rounds());
                assert_eq!(dearer.verify(HERE, email, "guess123").await, Err(VerifyError::Wrong));
                costs.push((dearer.hasher().hashes() - before.0, dearer.hasher().rounds() - before.1));
            }
            // Who gives an address that is none, and asks before anybody else, learns nothing about an account by that.
            assert_eq!(costs[0], (1, 1 << (CHEAP + 2)), "the highest of both costs: {costs:?}");
            assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
            let before = dearer.hasher().hashes();
            dearer.verify(HERE, "alice@customer.com", "alice:123:").await.unwrap();
            assert_eq!(dearer.hasher().hashes() - before, 2, "a check, and a hash of the cost that is right now");
            system.stop().await.unwrap();
        }
        let last = Accounts::new(1_000, CHEAP, NO_LIMITS);
        let system = actors::System::start("last", vec![last.child(database)]).await.unwrap();
        assert!(system.started().await);
        last.verify(HERE, "alice@customer.com", "alice:123:").await.unwrap();
        assert_eq!((last.hasher().hashes(), last.hasher().rounds()), (1, 1 << CHEAP), "hashed anew by the one before");
        system.stop().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn whoever_gives_wrong_passwords_waits_and_nobody_else_does() {
    on_both(async |accounts, _| {
        registered(accounts).await;
        let guess = async |from: IpAddr, number: usize| {
            accounts.verify(from, "alice@customer.com", &format!("guess {number}")).await.unwrap_err()
        };
        for number in 0..5 {
            assert_eq!(guess(HERE, number).await, VerifyError::Wrong);
        }
        let before = accounts.hasher().hashes();
        let refused = guess(HERE, 6).await;
        assert!(matches!(refused, VerifyError::Throttled(wait) if wait <= Duration::from_secs(1)), "{refused:?}");
        let right = accounts.verify(HERE, "alice@customer.com", "alice:123:").await;
        assert!(matches!(right, Err(VerifyError::Throttled(_))), "nobody is told that he guessed right: {right:?}");
        assert_eq!(accounts.hasher().hashes(), before, "refused without a hash");

        assert!(accounts.verify(ELSEWHERE, "alice@customer.com", "alice:123:").await.is_ok(), "she is not locked out");
        let hashed = accounts.hasher().hashes();
        assert!(accounts.verify(HERE, "alice@customer.com", "alice:123:").await.is_ok(), "a verified one passes");
        assert_eq!(accounts.hasher().hashes(), hashed);
        assert!(matches!(guess(HERE, 7).await, VerifyError::Throttled(_)), "and clears nobody else");
    })
    .await;
}

#[tokio::test]
async fn a_burst_of_guesses_costs_no_more_hashes_than_are_free() {
    on_both(async |accounts, _| {
        registered(accounts).await;
        let before = accounts.hasher().hashes();
        let guesses = (0..100).map(|number| {
            let accounts = accounts.clone();
            async move { accounts.verify(HERE, "alice@customer.com", &format!("guess {number}")).await }
        });
        let throttled =
            join_all(guesses).await.into_iter().filter(|guess| matches!(guess, Err(VerifyError::Throttled(_))));
        assert_eq!(throttled.count(), 95);
        assert_eq!(accounts.hasher().hashes() - before, 5);
    })
    .await;
}

#[tokio::test]
async fn wrong_tokens_are_counted_by_address() {
    on_both(async |accounts, _| {
        for _ in 0..100 {
            assert_eq!(accounts.wrong_token(HERE).await, None);
        }
        assert!(accounts.wrong_token(HERE).await.is_some());
        assert_eq!(accounts.wrong_token(ELSEWHERE).await, None);
    })
    .await;
}
