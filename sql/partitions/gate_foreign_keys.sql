-- Gives a row when foreign keys reference a leaf: reason, message, remedy, object. For 'detach' those that reference the
-- leaf itself, for 'drop' also those that reference its parent. Lock: none. May run in a transaction.
-- DROP TABLE of an attached leaf fails with 2BP01 when a foreign key references its parent, with rows or without; DETACH
-- fails with 23503 while rows of the leaf are referenced, and lets the key go otherwise (14 to 18).
with recursive own (oid) as (
  select :'leaf_oid'::oid
  union all
  select i.inhrelid from own o join pg_inherits i on i.inhparent = o.oid
),
-- By way of pg_depend, which has an index for it: pg_constraint has none by confrelid.
keys (oid, parent) as (
  select k.oid, k.conparentid
    from own o
    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = o.oid
     and d.classid = 'pg_constraint'::regclass
    join pg_constraint k on k.oid = d.objid and k.contype = 'f' and k.confrelid = o.oid
   where k.conrelid not in (select oid from own)
     and (k.conparentid = 0 or :'purpose' = 'drop')
  union
  select k.oid, k.conparentid from keys s join pg_constraint k on k.oid = s.parent
),
found as (
  select k.confrelid, format('%I of %I.%I', k.conname, n.nspname, c.relname) as key,
         format('%I.%I', n.nspname, c.relname) as relation
    from keys s
    join pg_constraint k on k.oid = s.oid and s.parent = 0
    join pg_class c on c.oid = k.conrelid
    join pg_namespace n on n.oid = c.relnamespace
)
select 'referenced' as reason,
       format('%I.%I is referenced by %s %s%s.', n.nspname, l.relname,
              case when f.count = 1 then 'the foreign key' else 'foreign keys:' end,
              array_to_string(f.keys[1:5], ', '),
              case when f.count > 5 then format(' and %s more', f.count - 5) else '' end) as message,
       case when f.by_parent then 'Detach it first (sensordb partitions detach), which lets the foreign key go when no row of it is referenced; then drop it.'
            else 'Drop the foreign key first, or delete what references it and then drop the key.' end as remedy,
       f.relation as object
  from (select count(*), array_agg(key order by key) as keys, min(relation) as relation,
               bool_and(confrelid not in (select oid from own)) as by_parent
          from found) f
  join pg_class l on l.oid = :'leaf_oid'::oid
  join pg_namespace n on n.oid = l.relnamespace
 where f.count > 0
