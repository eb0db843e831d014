//! Faults for tests, behind the cargo feature `failpoints`. Without it every point compiles to nothing.
//!
//! The environment variable `FAULTS_FILE` names a file that is read every 20 ms, with a line `name=action` for each
//! fault. Actions are those of the `fail` crate (`1*panic`, `sleep(50)`, `3*off->1*panic->off`), and of ours:
//! `return(abort)` ends the process as a kill would, `return(hang)` never comes back, `return(panic)` panics without
//! holding a lock of the registry. A line that goes away is switched off; one that stays keeps its count. What was read
//! is written beside the file, as `.seen`, so that a test can tell when its faults are set.

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
    enabled::watch();
    if let Some(action) = fail::eval(name, |action| action) {
        match action.as_deref() {
            Some("abort") => std::process::abort(),
            Some("hang") => std::future::pending().await,
            Some("panic") => panic!("injected at {name}"),
            other => panic!("{name}: no such action: return({other:?})"),
        }
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
