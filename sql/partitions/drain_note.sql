-- Notes that a table is being filled with the rows of one period of DEFAULT. Lock: none. May run in a transaction, and does:
-- the one that makes the table.
insert into sensordb.drain
  (parent_oid, default_oid, default_file, leaf_oid, leaf_name, leaf_file, lower_bound, upper_bound)
select :'parent'::regclass, d.oid, d.relfilenode, l.oid, l.relname, l.relfilenode, :'lower', :'upper'
  from pg_class d, pg_class l
 where d.oid = :'default'::regclass and l.oid = :'leaf'::regclass
