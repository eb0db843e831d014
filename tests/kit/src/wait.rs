//! Waiting for a condition with a deadline, instead of sleeping for a guess.

use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// Repeats `attempt` until it is `Ok`, and returns that.
///
/// # Panics
/// When `within` has passed, with `what` and the last reason.
pub async fn until<T>(what: &str, within: Duration, mut attempt: impl AsyncFnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(reason) if started.elapsed() > within => panic!("waited {within:?} until {what}: {reason}"),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_as_soon_as_the_condition_holds() {
        let mut tries = 0;
        let seen = until("the third try", Duration::from_secs(5), async || {
            tries += 1;
            if tries == 3 { Ok(tries) } else { Err(format!("try {tries}")) }
        })
        .await;
        assert_eq!(seen, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "until pigs fly: gravity")]
    async fn panics_with_the_last_reason_at_the_deadline() {
        until::<()>("pigs fly", Duration::from_millis(30), async || Err("gravity".into())).await;
    }
}
