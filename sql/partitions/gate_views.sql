-- Gives a row when views, functions or other objects depend on a leaf: reason, message, remedy, object. Lock: none. May
-- run in a transaction. What DROP TABLE takes along (indexes, owned sequences, its own policies, its partitions) is no
-- reason; what hangs on these is. Foreign keys are asked for by gate_foreign_keys.sql.
with recursive own (classid, objid) as (
  select 'pg_class'::regclass::oid, :'leaf_oid'::oid
  union
  select d.classid, d.objid
    from own o
    join pg_depend d on d.refclassid = o.classid and d.refobjid = o.objid and d.deptype in ('a', 'i', 'P', 'S')
),
dependent as (
  select distinct d.classid, d.objid, d.objsubid
    from own o
    join pg_depend d on d.refclassid = o.classid and d.refobjid = o.objid and d.deptype = 'n'
   where (d.classid, d.objid) not in (select classid, objid from own)
     and not exists (select from pg_constraint k
                      where d.classid = 'pg_constraint'::regclass and k.oid = d.objid and k.contype = 'f')
),
found as (
  -- A view depends by its rule _RETURN, whose own name tells nobody anything.
  select distinct case when v.oid is null then pg_describe_object(d.classid, d.objid, d.objsubid)
                       else pg_describe_object('pg_class'::regclass, v.oid, 0) end as name
    from dependent d
    left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
    left join pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm')
)
select 'depended_on' as reason,
       format('%s%s %s on %I.%I.', array_to_string(f.names[1:5], ', '),
              case when f.count > 5 then format(' and %s more', f.count - 5) else '' end,
              case when f.count = 1 then 'depends' else 'depend' end, n.nspname, l.relname) as message,
       'Have it read the partitioned table instead, or drop it first.' as remedy,
       format('%I.%I', n.nspname, l.relname) as object
  from (select count(*), array_agg(name order by name) as names from found) f
  join pg_class l on l.oid = :'leaf_oid'::oid
  join pg_namespace n on n.oid = l.relnamespace
 where f.count > 0
