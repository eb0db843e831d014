//! A supervised actor runtime on ractor: supervision trees, restart budgets, bounded mailboxes, effects, batches, live status.
