//! What the scenarios stand on. It shares no code with the product, so that neither can hide the other's mistake.

pub mod client;
pub mod invariants;
pub mod load;
pub mod openapi;
pub mod shop;
pub mod sql;
pub mod story;

use std::time::Duration;

pub use client::{Answer, Client};
pub use invariants::Allowed;
pub use load::Load;
pub use serde_json::{Value, json};
pub use shop::{Book, Plan, Service, Shop};
pub use sql::Sql;
pub use uuid::Uuid;

/// For what takes a moment. Generous, since it only matters when something is broken.
pub const SOON: Duration = Duration::from_secs(30);

/// Whether the long matrices run in full.
pub fn long() -> bool {
    std::env::var_os("LONG").is_some()
}

/// The seed of what is sampled: `SEED`, else another one each run. Printed, and so shown when the test fails.
pub fn seed() -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0 >> 1);
    println!("repeat with SEED={seed}");
    seed
}

/// Small, even and repeatable random numbers: splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// `count` of `all`, in random order.
    pub fn sample<T: Clone>(&mut self, all: &[T], count: usize) -> Vec<T> {
        let mut left = all.to_vec();
        (0..count.min(all.len())).map(|_| left.swap_remove(self.below(left.len()))).collect()
    }
}
