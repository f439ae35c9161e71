-- Gives up what was noted of tables of copies that somebody dropped: nothing can be carried on. Lock: none but on
-- sensordb.drain and sensordb.drain_row. May run in a transaction.
with gone as (
  update sensordb.drain d
     set state = 'given_up', ended_at = clock_timestamp()
   where d.parent_oid = :'parent'::regclass and d.state in ('copying', 'indexed')
     and not exists (select from pg_class c where c.oid = d.leaf_oid)
  returning d.id
)
delete from sensordb.drain_row m using gone g where m.drain_id = g.id
