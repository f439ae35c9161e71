-- Drops the table of customer orders.
-- Strongest lock: ACCESS EXCLUSIVE on orders_order. Runs in a transaction.
drop table :"schema".orders_order;
