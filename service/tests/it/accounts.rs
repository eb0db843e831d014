use std::time::Duration;

use contract::Role;
use futures_util::future::join_all;
use service::accounts::{Account, Accounts, NewAccount, RegisterError, Seed, VerifyError, ensure};
use service::config::Secret;
use service::database::Database;

use crate::support::{CHEAP, Scratch, tree};

fn new(email: &str, password: &str) -> NewAccount {
    let (email, password) = (email.to_owned(), Secret::new(password));
    NewAccount { email, password, first_name: Some("Al".to_owned()), last_name: None, role: Role::Customer }
}

/// Runs the same test on both databases.
async fn on_both(test: impl AsyncFn(&Accounts, &Database)) {
    for scratch in Scratch::both().await {
        let database = Database::new(scratch.settings());
        let accounts = Accounts::new(1_000, CHEAP);
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
        assert_eq!(accounts.verify("ALICE@customer.com", "alice:123:").await, Ok(account));
        assert_eq!(accounts.verify("alice@customer.com", "alice:123").await, Err(VerifyError::Wrong));
        assert_eq!(accounts.verify("", "alice:123:").await, Err(VerifyError::Wrong));
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
        assert!(accounts.verify("c@customer.com", &"x".repeat(71)).await.is_ok());
        assert_eq!(accounts.verify("c@customer.com", &"x".repeat(72)).await, Err(VerifyError::Wrong));
    })
    .await;
}

#[tokio::test]
async fn simultaneous_checks_of_one_credential_share_one_hash_and_it_is_then_remembered() {
    on_both(async |accounts, _| {
        registered(accounts).await;
        let before = accounts.hasher().hashes();
        let all = join_all((0..50).map(|_| accounts.verify("alice@customer.com", "alice:123:"))).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(accounts.hasher().hashes() - before, 1, "50 simultaneous checks");
        for _ in 0..50 {
            accounts.verify("alice@customer.com", "alice:123:").await.unwrap();
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
            assert_eq!(accounts.verify(email, "guess123").await, Err(VerifyError::Wrong));
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
        assert_eq!(accounts.verify("admin@x.com", "admin").await.unwrap().role, Role::StoreAdmin);
        assert_eq!(accounts.verify("admin@x.com", "other").await, Err(VerifyError::Wrong));
    })
    .await;
}

#[tokio::test]
async fn the_line_is_256_long_and_whoever_left_it_is_passed_over() {
    let scratch = Scratch::sqlite();
    let database = Database::new(scratch.settings());
    // At this cost no check ends while the line fills.
    let accounts = Accounts::new(10_000, 11);
    let system = tree(&database, vec![accounts.child(&database)]).await;
    let before = accounts.hasher().hashes();
    let threads = (std::thread::available_parallelism().unwrap().get() / 2).max(1);
    let guess = async |many: usize| {
        let guesses = (0..many).map(|guess| {
            let (accounts, password) = (accounts.clone(), format!("guess {guess}"));
            async move { tokio::time::timeout(Duration::from_millis(300), accounts.verify("a@b.c", &password)).await }
        });
        join_all(guesses).await.into_iter().filter(|guess| *guess == Ok(Err(VerifyError::Busy))).count()
    };
    assert_eq!(guess(threads + 256 + 44).await, 44);
    // Nobody waits any more, so these are next after those under way: of a full line, and of one that is not.
    assert_eq!(accounts.verify("a@b.c", "next").await, Err(VerifyError::Wrong));
    assert_eq!(guess(100).await, 0);
    assert_eq!(accounts.verify("a@b.c", "last").await, Err(VerifyError::Wrong));
    let hashed = usize::try_from(accounts.hasher().hashes() - before).unwrap();
    assert!(hashed <= 20 * threads, "{hashed} hashes");
    system.stop().await.unwrap();
}

#[tokio::test]
async fn while_the_database_is_away_nobody_is_told_that_their_password_is_wrong() {
    let mut cluster = kit::Cluster::start().await.unwrap();
    let scratch = Scratch::Postgres(cluster.database("accounts").await.unwrap());
    let database = Database::new(scratch.settings());
    let accounts = Accounts::new(1_000, CHEAP);
    let system = tree(&database, vec![accounts.child(&database)]).await;
    registered(&accounts).await;
    accounts.verify("alice@customer.com", "alice:123:").await.unwrap();
    cluster.stop().await.unwrap();
    database.until(|state| *state != service::database::State::Ready).await;
    assert_eq!(accounts.verify("alice@customer.com", "other").await, Err(VerifyError::Unavailable));
    assert!(accounts.verify("alice@customer.com", "alice:123:").await.is_ok(), "remembered");
    assert_eq!(accounts.register(new("d@customer.com", "12345678")).await, Err(RegisterError::Unavailable));
    cluster.start_again().await.unwrap();
    database.until_ready().await;
    assert_eq!(accounts.verify("alice@customer.com", "other").await, Err(VerifyError::Wrong));
    system.stop().await.unwrap();
}
