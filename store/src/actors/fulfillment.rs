//! The fulfillment of orders: the door, and a saga for each open order behind it.

use ::actors::{ChildSpec, SupervisorAddress};

use super::orders::{self, Orders};

/// The supervisor of `orders` and `sagas`. `sagas` is the address that `args` gives to `orders`.
pub fn supervisor(args: orders::Args) -> ChildSpec {
    let sagas = ChildSpec::supervisor("sagas", &args.sagas, Vec::new());
    let orders = ChildSpec::actor("orders", &args.peers.orders.clone(), Orders, args);
    ChildSpec::supervisor("fulfillment", &SupervisorAddress::new(), vec![orders, sagas])
}
