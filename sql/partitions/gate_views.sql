-- Gives a row for each of some leaves that views, functions or other objects depend on: leaf_oid, reason, message, remedy, object.
-- Lock: none. May run in a transaction. What DROP TABLE takes along (indexes, owned sequences, its own policies, its partitions)
-- is no reason; what hangs on these is. Foreign keys are asked for by gate_foreign_keys.sql.
with recursive own (leaf, classid, objid) as (
  select l, 'pg_class'::regclass::oid, l from unnest(:'leaf_oids'::oid[]) l
  union
  select o.leaf, d.classid, d.objid
    from own o
    join pg_depend d on d.refclassid = o.classid and d.refobjid = o.objid and d.deptype in ('a', 'i', 'P', 'S')
),
dependent as (
  select distinct o.leaf, d.classid, d.objid, d.objsubid
    from own o
    join pg_depend d on d.refclassid = o.classid and d.refobjid = o.objid and d.deptype = 'n'
   where not exists (select from own x where x.leaf = o.leaf and x.classid = d.classid and x.objid = d.objid)
     and not exists (select from pg_constraint k
                      where d.classid = 'pg_constraint'::regclass and k.oid = d.objid and k.contype = 'f')
),
named as (
  -- A view depends by its rule _RETURN, whose own name tells nobody anything.
  select distinct d.leaf, case when v.oid is null then pg_describe_object(d.classid, d.objid, d.objsubid)
                               else pg_describe_object('pg_class'::regclass, v.oid, 0) end as name
    from dependent d
    left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
    left join pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm')
),
found as (
  select leaf, count(*), array_agg(name order by name) as names from named group by leaf
)
select f.leaf as leaf_oid,
       'depended_on' as reason,
       format('%s%s %s on %I.%I.', array_to_string(f.names[1:5], ', '),
              case when f.count > 5 then format(' and %s more', f.count - 5) else '' end,
              case when f.count = 1 then 'depends' else 'depend' end, n.nspname, l.relname) as message,
       'Have it read the partitioned table instead, or drop it first.' as remedy,
       format('%I.%I', n.nspname, l.relname) as object
  from found f
  join pg_class l on l.oid = f.leaf
  join pg_namespace n on n.oid = l.relnamespace
