//! Every step of a saga fails in turn, forward and undo: it ends as if it had not, leaves everything as it was, or calls a person who ends it well.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use kit::Mode;
use store::domain::saga::Step;
use strum::IntoEnumIterator as _;

use crate::harness::story::{self, Basket, Ending, Fault, Tale, Told, Until, Whose, go_on, tell};
use crate::harness::*;

const BASKETS: usize = 3;

/// What the store offers of each book, by its API: each warehouse's, and altogether.
async fn offered(shop: &Shop, basket: &Basket) -> Vec<Value> {
    let mut all = Vec::new();
    for book in &basket.books {
        let rows = shop.anyone().get(&format!("/inventory/books/{}", book.id)).await.expect(200);
        let mut rows: Vec<(String, i64)> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["warehouseName"].as_str().unwrap().to_owned(), row["quantity"].as_i64().unwrap()))
            .collect();
        rows.sort();
        let total = shop.anyone().get(&format!("/books/{}", book.id)).await.expect(200);
        all.push(json!({ "rows": rows, "availableStock": total["availableStock"] }));
    }
    all
}

/// Less so many copies of the first, and of the second book than before.
fn less(before: &[Value], ending: &Ending) -> Vec<Value> {
    let mut after = before.to_vec();
    for (book, value) in after.iter_mut().enumerate() {
        for warehouse in 0..2 {
            let delta = ending.stock[2 * warehouse + book][0];
            let row = &mut value["rows"][warehouse][1];
            *row = json!(row.as_i64().unwrap() + delta);
            let total = value["availableStock"].as_i64().unwrap() + delta;
            value["availableStock"] = json!(total);
        }
    }
    after
}

async fn offers(shop: &Shop, basket: &Basket, expected: &[Value], case: &str) {
    kit::until(&format!("{case}: what is offered is what there is"), SOON, async || {
        let offered = offered(shop, basket).await;
        if offered == expected { Ok(()) } else { Err(format!("{offered:?} instead of {expected:?}")) }
    })
    .await;
}

fn fault(point: &str, how: &str, until: Until) -> Fault {
    Fault { whose: Whose::Store, line: format!("{point}=return(fail:{how})"), until }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_that_fails_for_a_while_ends_as_if_it_had_not() {
    let (mut shop, baskets) = story::open(BASKETS).await;
    let (mut orders, mut endings) = (Vec::new(), HashMap::new());
    for (number, step) in Step::iter().enumerate() {
        let (tale, name) = (Tale::of(step), step.name());
        for (when, how) in [("call", "unknown"), ("answered", "unknown"), ("call", "never-sent")] {
            let (point, basket) = (format!("{when}:{name}"), &baskets[number % BASKETS]);
            let smooth = match endings.entry((tale, number % BASKETS)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let Told { order, ending, .. } = tell(&mut shop, tale, basket, None).await;
                    orders.push(order);
                    new.insert(ending)
                }
            };
            let before = offered(&shop, basket).await;
            // What was certainly never sent is looked for anew.
            let said = match (how, step) {
                ("never-sent", Step::Ship | Step::Reserve) => "moved".to_owned(),
                _ => format!("injected at {point}"),
            };
            let case = format!("{tale:?}: {point} {how}");
            println!("{case}");
            // Where the warehouse can tell by itself that it has shipped, the lost answer is not missed.
            let tells = if when == "answered" { Mode::Refuse } else { Mode::Pass };
            shop.alpha.back.set(tells).await.unwrap();
            shop.beta.back.set(tells).await.unwrap();
            let told = tell(&mut shop, tale, basket, Some(fault(&point, how, Until::Said(said)))).await;
            assert_eq!(told.ending, *smooth, "{case}");
            offers(&shop, basket, &less(&before, &told.ending), &case).await;
            orders.push(told.order);
        }
    }
    shop.alpha.back.set(Mode::Pass).await.unwrap();
    shop.beta.back.set(Mode::Pass).await.unwrap();
    shop.invariants_hold(&orders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_that_is_refused_leaves_all_as_it_was_or_calls_a_person() {
    let (mut shop, baskets) = story::open(BASKETS).await;
    let mut orders = Vec::new();
    for (number, step) in Step::iter().enumerate() {
        let (tale, name, basket) = (Tale::of(step), step.name(), &baskets[number % BASKETS]);
        println!("{tale:?}: {name} is refused");
        let smooth = tell(&mut shop, tale, basket, None).await;
        let before = offered(&shop, basket).await;
        let until = match step {
            Step::Void => Until::Said("a void cannot be refused".to_owned()),
            _ => Until::Rest,
        };
        let refused = fault(&format!("call:{name}"), "refuse", until);
        let mut told = tell(&mut shop, tale, basket, Some(refused)).await;
        has_refused(&shop, step, &told).await;
        match step {
            Step::Authorize | Step::Ship | Step::Reserve | Step::Confirm => {
                let payment = if step == Step::Authorize { "FAILED" } else { "VOIDED" };
                let nothing = Ending {
                    status: json!("REJECTED"),
                    payment: [json!(payment), json!(0.0), json!(0.0)],
                    shipments: [0, 0],
                    stock: vec![[0, 0]; 4],
                };
                assert_eq!(told.ending, nothing, "{name}");
                shop.store.faults("");
            }
            Step::Void => assert_eq!(told.ending, smooth.ending, "{name}"),
            Step::ShipHeld => {
                assert_eq!((&told.ending.status, &told.ending.stock), (&json!("BACKORDERED"), &vec![[0, 0]; 4]));
                told = go_on(&mut shop, told, "resume", basket).await;
                assert_eq!(told.ending, smooth.ending, "{name}");
            }
            Step::Capture | Step::VoidPayment | Step::Restock | Step::Refund => {
                assert_ne!(told.ending, smooth.ending, "{name}");
                told = go_on(&mut shop, told, "retry", basket).await;
                assert_eq!(told.ending, smooth.ending, "{name}");
            }
        }
        offers(&shop, basket, &less(&before, &told.ending), name).await;
        orders.extend([smooth.order, told.order]);
    }
    shop.invariants_hold(&orders).await;
}

/// The step that was refused is this one, by what the store shows of the order and its saga.
async fn has_refused(shop: &Shop, step: Step, Told { order, .. }: &Told) {
    let saga = shop.admin().get(&format!("/sagas/{order}")).await.expect(200);
    let shown = shop.look_up(*order).await;
    let any = |status: &str| shown["shipments"].as_array().unwrap().iter().any(|part| part["status"] == status);
    let reason = saga["reason"].as_str().unwrap_or_default();
    let injected = format!("injected at call:{}", step.name());
    let has = match step {
        Step::Authorize => shown["statusReason"].as_str().is_some_and(|reason| reason.contains(&injected)),
        Step::Ship | Step::Reserve => any("REFUSED"),
        Step::Confirm | Step::ShipHeld => any("VOIDED"),
        Step::Void => true, // it has said so
        Step::Restock => saga["needsAttention"] == true && reason.contains("does not take it back"),
        Step::Capture | Step::VoidPayment | Step::Refund => {
            saga["needsAttention"] == true && reason.contains(&injected)
        }
    };
    assert!(has, "{step:?}: {shown} {saga}");
}
