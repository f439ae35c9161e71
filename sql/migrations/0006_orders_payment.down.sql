-- Drops the table of payments.
-- Strongest lock: ACCESS EXCLUSIVE on orders_payment and orders_order. Runs in a transaction.
drop table :"schema".orders_payment;
