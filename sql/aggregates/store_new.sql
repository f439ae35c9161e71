-- Stores what was counted of a range of which nothing is stored: it is the beginning of a statement that ends as fresh_range.sql.
-- Lock: ROW EXCLUSIVE on the aggregates. May run in a transaction.
insert into :"schema".:"aggregates" (
  device_id, hour, reading_count, value_sum, value_min, value_max, value_sxx, first_at, first_value, last_at, last_value,
  value_sketch
)
