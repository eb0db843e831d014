//! The tables as the queries see them; the `migrations` crate has their definitions.
#![allow(missing_docs, reason = "the columns are those of the migrations")]

/// What there is of each book.
pub mod inventory {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "inventory")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub book_id: Uuid,
        pub isbn: String,
        pub quantity: i64,
        pub reserved: i64,
        pub version: i64,
        pub title: Option<String>,
        pub author: Option<String>,
        pub updated_at: DateTimeUtc,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The ledger.
pub mod inventory_movements {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "inventory_movements")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub book_id: Uuid,
        pub kind: String,
        pub on_hand_delta: i64,
        pub reserved_delta: i64,
        pub shipment_id: Option<Uuid>,
        pub order_id: Option<Uuid>,
        pub made_by: String,
        pub reason: Option<String>,
        pub version: i64,
        pub at: DateTimeUtc,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Confirmations that the store has yet to take.
pub mod outbox {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shipment_id: Uuid,
        pub order_id: Uuid,
        /// A `contract::Confirmation`.
        pub body: String,
        pub attempts: i32,
        pub next_attempt_at: DateTimeUtc,
        pub parked_reason: Option<String>,
        pub created_at: DateTimeUtc,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Copies set aside.
pub mod reservations {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "reservations")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shipment_id: Uuid,
        pub order_id: Uuid,
        pub items_hash: String,
        /// A list of `domain::shipment::Line`.
        pub items: String,
        pub status: String,
        pub expires_at: Option<DateTimeUtc>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Copies that came back.
pub mod returns {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "returns")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub return_id: Uuid,
        pub shipment_id: Uuid,
        pub order_id: Uuid,
        pub items_hash: String,
        /// Copies by book.
        pub items: String,
        /// A `contract::ReturnReceipt`.
        pub answer: String,
        pub at: DateTimeUtc,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What has left.
pub mod shipment_logs {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "shipment_logs")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub order_id: Uuid,
        pub shipment_id: Uuid,
        pub book_id: Uuid,
        pub isbn: String,
        pub quantity: i64,
        pub shipped_at: DateTimeUtc,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// How each shipment ended.
pub mod shipments {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "shipments")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shipment_id: Uuid,
        pub order_id: Option<Uuid>,
        pub items_hash: Option<String>,
        pub outcome: String,
        pub answer: Option<String>,
        pub at: DateTimeUtc,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The identity and version counter of this database.
pub mod warehouse_state {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "warehouse_state")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub database_id: Uuid,
        pub version: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
