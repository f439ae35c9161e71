-- Ends the transaction (SQLSTATE SDB06), and so takes the drop back, unless it was the table of the plan that was dropped: another one
-- may have got its name in between. Lock: none. Must run in the transaction that dropped it.
select sensordb.refuse(
         'changed',
         format('The table %I.%I was replaced by another one of that name while it was to be dropped.', :'schema'::text, :'leaf'::text),
         'Nothing was dropped. Look at both tables, and run it again.',
         format('%I.%I', :'schema'::text, :'leaf'::text))
 where exists (select from pg_class c where c.oid = :'leaf_oid'::oid)
