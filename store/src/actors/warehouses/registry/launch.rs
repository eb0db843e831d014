//! Launching the actors of warehouses.

use ::actors::Context;
use contract::WarehouseId;

use super::{LAUNCH_LIMIT, Msg, RETRY, State};

impl State {
    pub(super) fn launch(&mut self, id: WarehouseId, ctx: &mut Context<Msg>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.launching {
            entry.launch_again = true;
            return;
        }
        entry.launching = true;
        let (subtrees, row) = (self.args.subtrees.clone(), entry.row.clone());
        ctx.effect(LAUNCH_LIMIT, async move { subtrees.launch(&row).await }, move |result| {
            let result = match result {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            Msg::Launched { id, result }
        });
    }

    pub(super) fn launched(&mut self, id: WarehouseId, result: Result<(), String>, ctx: &mut Context<Msg>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.launching = false;
        let again = std::mem::take(&mut entry.launch_again);
        if let Err(reason) = result {
            tracing::warn!(warehouse = entry.row.name, reason, "its actors could not be launched");
            ctx.send_after(RETRY, Msg::Launch { id });
        } else if again {
            self.launch(id, ctx);
        }
    }
}
