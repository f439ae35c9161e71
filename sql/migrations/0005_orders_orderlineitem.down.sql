-- Drops the table of the items of orders.
-- Strongest lock: ACCESS EXCLUSIVE on orders_orderlineitem and orders_order. Runs in a transaction.
drop table :"schema".orders_orderlineitem;
