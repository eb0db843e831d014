-- The least that a correct order costs PostgreSQL, statement by statement: accept, ship, record, a commit each.
\set book random(1, 1000)
BEGIN;
INSERT INTO limit_orders (status, cents) VALUES ('PENDING', 1000) RETURNING id AS order_id \gset
INSERT INTO limit_items (order_id, book, quantity, cents) VALUES (:order_id, :book, 1, 1000);
INSERT INTO limit_payments (order_id, cents) VALUES (:order_id, 1000);
COMMIT;
BEGIN;
UPDATE limit_inventory SET quantity = quantity - 1 WHERE book = :book AND quantity >= 1;
INSERT INTO limit_shipments (order_id, book, quantity) VALUES (:order_id, :book, 1);
COMMIT;
BEGIN;
UPDATE limit_orders SET status = 'SHIPPED', shipped_at = now() WHERE id = :order_id;
UPDATE limit_cache SET quantity = quantity - 1 WHERE book = :book;
COMMIT;
