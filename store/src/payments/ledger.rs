//! The built-in gateway, as it is called. Where a test or a test method wants trouble with it, that is made here.

use std::sync::Arc;
use std::time::Duration;

use ::actors::{Address, AskError};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::trouble::{self, TestMethods, Trouble};
use super::{Charge, Outcome, PaymentGateway};
use crate::actors::gateway::Msg;

/// How long a charge may take: a transaction under way and its own.
const ASK_WITHIN: Duration = Duration::from_secs(30);

pub(super) struct LedgerGateway {
    gateway: Address<Msg>,
    tests: Option<Arc<TestMethods>>,
}

impl LedgerGateway {
    pub(super) fn new(gateway: Address<Msg>, test_methods: bool) -> Self {
        Self { gateway, tests: test_methods.then(Arc::default) }
    }
}

impl PaymentGateway for LedgerGateway {
    fn call(&self, charge: &Charge) -> BoxFuture<'static, Outcome> {
        let (gateway, tests, charge) = (self.gateway.clone(), self.tests.clone(), charge.clone());
        async move {
            let operation = charge.operation;
            let trouble = match trouble::told("call", operation).await {
                None => tests.and_then(|tests| tests.trouble(&charge)),
                told => told,
            };
            let mut declined = None;
            match &trouble {
                Some(Trouble::NeverSent(reason)) => return Outcome::NeverSent { reason: reason.clone() },
                Some(Trouble::Unknown(reason)) => return Outcome::Unknown { reason: reason.clone() },
                Some(Trouble::Declined(reason)) => declined = Some(reason.clone()),
                Some(Trouble::AnswerLost(_) | Trouble::Late(_)) | None => {}
            }
            let outcome = ask(&gateway, charge, declined).await;
            match trouble {
                Some(Trouble::AnswerLost(reason)) => return Outcome::Unknown { reason },
                Some(Trouble::Late(by)) => tokio::time::sleep(by).await,
                _ => {}
            }
            match trouble::told("answered", operation).await {
                Some(trouble) => Outcome::Unknown { reason: trouble.to_string() },
                None => outcome,
            }
        }
        .boxed()
    }
}

async fn ask(gateway: &Address<Msg>, charge: Charge, declined: Option<String>) -> Outcome {
    match gateway.ask(ASK_WITHIN, |reply| Msg::Settle { charge, declined, reply }).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::Unknown { reason: error.to_string() },
        Err(AskError::Refused) => Outcome::NeverSent { reason: "the gateway is down or full".to_owned() },
        Err(error) => Outcome::Unknown { reason: format!("gateway: {error}") },
    }
}

#[cfg(test)]
mod tests;
