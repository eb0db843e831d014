//! Copies that come back.

use contract::{OrderId, Problem, ReturnId, ReturnReceipt, ShipmentId, problem};
use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use warehouse::domain::batch::Answer;
use warehouse::domain::returned::Return;

use crate::http::{line, send};
use crate::support::{House, book, is_shipped, on_both, shipment};

impl House {
    async fn post_return(&self, id: ReturnId, order: OrderId, of: ShipmentId, items: &[Value]) -> (StatusCode, Value) {
        let body = json!({ "returnId": id, "orderId": order, "shipmentId": of, "items": items, "reason": "torn" });
        send(self.service(Method::POST, "/returns").json(&body)).await
    }
}

fn refused((status, answer): (StatusCode, Value), kind: &str) -> Problem {
    assert_eq!((status, answer["type"].as_str()), (StatusCode::CONFLICT, Some(kind)), "{answer}");
    serde_json::from_value(answer).unwrap()
}

#[tokio::test]
async fn what_was_shipped_comes_back_once() {
    on_both(async |house| {
        house.enter(1, 5).await;
        house.enter(2, 5).await;
        let sent = shipment(&[(1, 3), (2, 1)]);
        let (order, of, first) = (sent.order_id, sent.id, ReturnId::new());
        let early = refused(house.post_return(first, order, of, &[line(1, 1)]).await, problem::NOT_SHIPPED);
        assert_eq!((early.shortfalls[0].available, early.database_id.is_some()), (0, true));
        assert!(is_shipped(&house.ship(sent).await));

        let two = [line(1, 1), line(1, 1)];
        let (status, answer) = house.post_return(first, order, of, &two).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let receipt: ReturnReceipt = serde_json::from_value(answer.clone()).unwrap();
        assert_eq!((receipt.return_id, receipt.order_id, receipt.shipment_id), (first, order, of));
        assert_eq!(receipt.stock.iter().map(|row| (row.book_id, row.quantity)).collect::<Vec<_>>(), [(book(1), 4)]);
        assert_eq!(house.post_return(first, order, of, &two).await, (StatusCode::OK, answer), "and again");
        assert_eq!(house.on_hand(1).await, 4);

        refused(house.post_return(first, order, of, &[line(1, 1)]).await, problem::SHIPMENT_MISMATCH);
        refused(house.post_return(first, order, ShipmentId::new(), &two).await, problem::SHIPMENT_MISMATCH);
        refused(
            house.post_return(ReturnId::new(), OrderId::new(), of, &[line(1, 1)]).await,
            problem::SHIPMENT_MISMATCH,
        );
        let more = refused(house.post_return(ReturnId::new(), order, of, &two).await, problem::NOT_SHIPPED);
        assert_eq!((more.shortfalls[0].requested, more.shortfalls[0].available), (2, 1));
        let rest = [line(1, 1), line(2, 1)];
        assert_eq!(house.post_return(ReturnId::new(), order, of, &rest).await.0, StatusCode::OK);
        assert_eq!((house.on_hand(1).await, house.on_hand(2).await), (5, 5));

        let elsewhere = json!({ "returnId": ReturnId::new(), "orderId": order, "shipmentId": of,
            "databaseId": ShipmentId::new(), "items": [line(1, 1)] });
        refused(send(house.service(Method::POST, "/returns").json(&elsewhere)).await, problem::WAREHOUSE_IDENTITY);
        let path = format!("/inventory/{}/movements?kind=returned", book(1));
        let (_, ledger) = send(house.staff(Method::GET, &path)).await;
        assert_eq!((&ledger[1]["onHandDelta"], &ledger[1]["reason"]), (&json!(2), &json!("torn")));
        assert_eq!((&ledger[1]["shipmentId"], &ledger[1]["orderId"]), (&json!(of), &json!(order)));
    })
    .await;
}

#[tokio::test]
async fn returns_of_the_same_copies_at_once_bring_back_what_was_shipped_and_no_more() {
    on_both(async |house| {
        house.enter(1, 10).await;
        let sent = shipment(&[(1, 10)]);
        assert!(is_shipped(&house.ship(sent.clone()).await));
        let back = |_| {
            let lines = [(book(1), 3)].into();
            let (id, order_id, shipment_id) = (ReturnId::new(), sent.order_id, sent.id);
            let same = Return { id, order_id, shipment_id, expected_database: None, lines, reason: None };
            async move { join_all((0..3).map(|_| house.take_back(same.clone()))).await }
        };
        let told = join_all((0..8).map(back)).await;
        let accepted = told.iter().filter(|answers| matches!(answers[0], Answer::Returned(_))).count();
        assert!(told.iter().all(|answers| answers.iter().all(|answer| *answer == answers[0])), "{told:?}");
        assert_eq!((accepted, house.on_hand(1).await), (3, 9));
    })
    .await;
}
