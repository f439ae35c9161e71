-- Ends the transaction (SQLSTATE SDB06) unless the index of that name is one of the partition of the plan. Lock: none. May run in a
-- transaction, and does: behind the statement that changed the index, which can get no other name any more.
select sensordb.refuse(
         'changed',
         format('%I.%I is no longer an index of %I.', :'schema'::text, :'index'::text, :'leaf'::text),
         'Somebody renamed or replaced it: look at it, and run it again.',
         format('%I.%I', :'schema'::text, :'index'::text))
 where not exists (
   select from pg_index x
     join pg_class i on i.oid = x.indexrelid
     join pg_namespace n on n.oid = i.relnamespace
    where x.indrelid = :'leaf_oid'::oid and n.nspname = :'schema' and i.relname = :'index')
