-- Gives a row for each of some leaves whose rows are not all in the hourly aggregates: leaf_oid, reason, message, remedy, object.
-- Lock: none, but ACCESS SHARE on a leaf, and on the aggregates, where rows are to be looked at. May run in a transaction.
-- Gives nothing where none are kept.
-- An attached leaf: while hours of it are pending, logged as changed, or not over when the last refresh ran and hold rows; or
-- while it, or its triggers, are not as they were then. One that no refresh knows may go if it is empty.
-- A detached leaf: while its rows are not what the aggregates say, which is looked at for those hours alone that were still to be
-- counted when it left, or were changed since. A row that slipped in while DETACH CONCURRENTLY waited is there, and not
-- counted; one that came late and went to DEFAULT stands in the log all the same, but the leaf is then as it was counted.
-- What the log cannot tell: rows that somebody wrote while its triggers were disabled, after the gate was asked and before a
-- DETACH CONCURRENTLY ended.
select g.leaf_oid, 'not_aggregated' as reason, g.message, g.remedy, g.object
  from sensordb.not_aggregated(:'table_oid'::oid, :'leaf_oids'::oid[]) g
