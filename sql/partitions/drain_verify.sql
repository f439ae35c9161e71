-- Refuses to drop what is not the table of copies that was noted, or is a partition by now. Lock: none. May run in a transaction.
select sensordb.refuse('not_ours', :'leaf' || ' is no table of copies any more.', 'Run it again.', :'leaf')
 where not exists (
   select from pg_class c
    where c.oid = :'leaf_oid'::oid and c.oid = :'leaf'::regclass and c.relkind = 'r' and not c.relispartition)
