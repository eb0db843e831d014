//! Faults for tests, behind the cargo feature `failpoints`. Without it every point compiles to nothing.
//!
//! The environment variable `FAULTS_FILE` names a file that is read every 20 ms, with a line `name=action` for each
//! fault. Actions are those of the `fail` crate (`1*panic`, `sleep(50)`, `3*off->1*panic->off`), and of ours:
//! `return(abort)` ends the process as a kill would, `return(hang)` never comes back, `return(panic)` panics without
//! holding a lock of the registry. A line that goes away is switched off; one that stays keeps its count. What was read
//! is written beside the file, as `.seen`, so that a test can tell when its faults are set.
//!
//! A [`verdict`] lets an effect fail as it would by itself: `return(fail:<how>)` says how, and `return(lost:<share>:<seed>)`
//! loses that share of a thousand answers, the same ones for the same seed.

/// Whether points do anything in this build.
pub const ENABLED: bool = cfg!(feature = "failpoints");

/// A place where a test may inject a fault. Envelopes have one a message, `handle:<path>`.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
#[allow(clippy::unused_async)]
pub async fn point(_name: &str) {}

/// A place where a test may inject a fault. Envelopes have one a message, `handle:<path>`.
#[cfg(feature = "failpoints")]
pub async fn point(name: &str) {
    if let Some(how) = verdict(name).await {
        panic!("{name}: nothing can fail here as {how}");
    }
}

/// A place where a test may let something fail: how, as the test names it, and `lost` where an answer is to be lost.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
#[allow(clippy::unused_async)]
pub async fn verdict(_name: &str) -> Option<String> {
    None
}

/// A place where a test may let something fail: how, as the test names it, and `lost` where an answer is to be lost.
#[cfg(feature = "failpoints")]
pub async fn verdict(name: &str) -> Option<String> {
    enabled::watch();
    match fail::eval(name, |action| action)?.as_deref() {
        Some("abort") => std::process::abort(),
        Some("hang") => std::future::pending().await,
        Some("panic") => panic!("injected at {name}"),
        Some(action) => match action.split_once(':') {
            Some(("fail", how)) => Some(how.to_owned()),
            Some(("lost", share)) => lottery::draw(name, share).then(|| "lost".to_owned()),
            _ => panic!("{name}: no such action: return({action})"),
        },
        None => panic!("{name}: no action: return"),
    }
}

/// Sets a fault in this process, as a line of `FAULTS_FILE` does. Nothing happens without the feature.
///
/// # Errors
/// When the action cannot be read.
#[cfg(not(feature = "failpoints"))]
pub fn set(_name: &str, _action: &str) -> Result<(), String> {
    Ok(())
}

/// Sets a fault in this process, as a line of `FAULTS_FILE` does. Nothing happens without the feature.
///
/// # Errors
/// When the action cannot be read.
#[cfg(feature = "failpoints")]
pub fn set(name: &str, action: &str) -> Result<(), String> {
    enabled::watch();
    fail::cfg(name, action)
}

/// Which answers are lost: chance that a test can have again.
#[cfg(feature = "failpoints")]
mod lottery {
    use std::collections::HashMap;
    use std::sync::{LazyLock, Mutex, PoisonError};

    /// How often each point has been asked with its present share and seed.
    static DRAWN: LazyLock<Mutex<HashMap<String, (String, u64)>>> = LazyLock::new(Mutex::default);

    /// Whether the next answer at this point is lost; `share` is `<per mille>:<seed>`.
    pub(super) fn draw(name: &str, share: &str) -> bool {
        let parsed = share.split_once(':').and_then(|(share, seed)| share.parse().ok().zip(seed.parse().ok()));
        let Some((per_mille, seed)) = parsed else { panic!("{name}: no such share of answers: {share}") };
        let nth = {
            let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
            let (of, count) = drawn.entry(name.to_owned()).or_default();
            if of != share {
                (*of, *count) = (share.to_owned(), 0);
            }
            *count += 1;
            *count
        };
        is_lost(name, per_mille, seed, nth)
    }

    /// Points with the same seed draw apart from each other, by their names.
    pub(super) fn is_lost(name: &str, per_mille: u64, seed: u64, nth: u64) -> bool {
        let mut of_name = 0xcbf2_9ce4_8422_2325_u64; // FNV-1a
        for byte in name.bytes() {
            of_name = (of_name ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
        let mut z = (seed ^ of_name).wrapping_add(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % 1_000 < per_mille
    }
}

#[cfg(feature = "failpoints")]
mod enabled {
    use std::collections::HashMap;
    use std::sync::Once;
    use std::time::Duration;

    const POLL: Duration = Duration::from_millis(20);

    /// Begins to follow `FAULTS_FILE`, once a process; the first reading is done before this returns.
    pub(super) fn watch() {
        static WATCH: Once = Once::new();
        WATCH.call_once(|| {
            let Ok(path) = std::env::var("FAULTS_FILE") else { return };
            let (mut known, mut seen) = (HashMap::new(), None);
            follow(&path, &mut known, &mut seen);
            #[allow(clippy::disallowed_methods, reason = "a thread of its own, which holds up nobody")]
            std::thread::spawn(move || {
                loop {
                    std::thread::sleep(POLL);
                    follow(&path, &mut known, &mut seen);
                }
            });
        });
    }

    fn follow(path: &str, known: &mut HashMap<String, String>, seen: &mut Option<String>) {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if seen.as_ref() == Some(&text) {
            return;
        }
        let wanted: HashMap<String, String> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, action)| (name.trim().to_owned(), action.trim().to_owned()))
            .collect();
        for name in known.keys().filter(|name| !wanted.contains_key(*name)) {
            fail::remove(name);
        }
        for (name, action) in &wanted {
            if known.get(name) != Some(action)
                && let Err(error) = fail::cfg(name.as_str(), action)
            {
                tracing::error!(name, action, error, "a fault that cannot be set");
            }
        }
        *known = wanted;
        let _ = std::fs::write(format!("{path}.seen"), &text);
        *seen = Some(text);
    }
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_verdict_says_how_to_fail_and_only_while_it_is_set() {
        assert_eq!(verdict("test:verdict").await, None);
        set("test:verdict", "1*return(fail:never-sent)->1*off->return(fail:a:b)").unwrap();
        assert_eq!(verdict("test:verdict").await.as_deref(), Some("never-sent"));
        assert_eq!(verdict("test:verdict").await, None);
        assert_eq!(verdict("test:verdict").await.as_deref(), Some("a:b"));
        set("test:verdict", "off").unwrap();
        assert_eq!(verdict("test:verdict").await, None);
    }

    #[tokio::test]
    async fn what_cannot_be_obeyed_panics() {
        for (name, action) in [
            ("test:panic", "return(panic)"),
            ("test:typo", "return(fial:refuse)"),
            ("test:share", "return(lost:10)"),
            ("test:none", "return"),
        ] {
            set(name, action).unwrap();
            assert!(tokio::spawn(verdict(name)).await.unwrap_err().is_panic(), "{action}");
        }
        set("test:point", "return(fail:refuse)").unwrap();
        assert!(tokio::spawn(point("test:point")).await.unwrap_err().is_panic(), "nothing can fail at a mere point");
        assert!(set("test:bad", "no action").is_err());
    }

    async fn drawn(name: &str, action: &str) -> Vec<bool> {
        set(name, action).expect("an action");
        let mut drawn = Vec::new();
        for _ in 0..10_000 {
            let verdict = verdict(name).await;
            assert!(verdict.as_deref().is_none_or(|how| how == "lost"));
            drawn.push(verdict.is_some());
        }
        drawn
    }

    #[tokio::test]
    async fn a_share_of_answers_is_lost_the_same_ones_for_the_same_seed() {
        let first = drawn("test:lost", "return(lost:10:7)").await;
        let lost = first.iter().filter(|lost| **lost).count();
        assert!((70..130).contains(&lost), "{lost} of 10,000");
        let other_seed = drawn("test:lost", "return(lost:10:8)").await;
        assert_ne!(first, other_seed);
        assert_eq!(first, drawn("test:lost", "return(lost:10:7)").await, "a share that is set anew begins anew");
        assert_ne!(first, drawn("test:lost:elsewhere", "return(lost:10:7)").await, "points draw apart");
        assert!(!drawn("test:lost", "return(lost:0:7)").await.contains(&true));
        assert!(!drawn("test:lost", "return(lost:1000:7)").await.contains(&false));
    }
}
