-- Gives a row for each of some leaves that foreign keys reference: leaf_oid, reason, message, remedy, object. For 'detach' those
-- that reference the leaf itself, for 'drop' also those that reference its parent. Lock: none. May run in a transaction.
-- DROP TABLE of an attached leaf fails with 2BP01 when a foreign key references its parent, with rows or without; DETACH
-- fails with 23503 while rows of the leaf are referenced, and lets the key go otherwise (14 to 18).
with recursive own (leaf, oid) as (
  select l, l from unnest(:'leaf_oids'::oid[]) l
  union all
  select o.leaf, i.inhrelid from own o join pg_inherits i on i.inhparent = o.oid
),
-- By way of pg_depend, which has an index for it: pg_constraint has none by confrelid.
keys (leaf, oid, parent) as (
  select o.leaf, k.oid, k.conparentid
    from own o
    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = o.oid
     and d.classid = 'pg_constraint'::regclass
    join pg_constraint k on k.oid = d.objid and k.contype = 'f' and k.confrelid = o.oid
   where not exists (select from own x where x.leaf = o.leaf and x.oid = k.conrelid)
     and (k.conparentid = 0 or :'purpose' = 'drop')
  union
  select s.leaf, k.oid, k.conparentid from keys s join pg_constraint k on k.oid = s.parent
),
found as (
  select s.leaf, count(*), array_agg(format('%I of %I.%I', k.conname, n.nspname, c.relname) order by k.conname, n.nspname, c.relname) as keys,
         min(format('%I.%I', n.nspname, c.relname)) as relation,
         bool_and(not exists (select from own x where x.leaf = s.leaf and x.oid = k.confrelid)) as by_parent
    from keys s
    join pg_constraint k on k.oid = s.oid and s.parent = 0
    join pg_class c on c.oid = k.conrelid
    join pg_namespace n on n.oid = c.relnamespace
   group by s.leaf
)
select f.leaf as leaf_oid,
       'referenced' as reason,
       format('%I.%I is referenced by %s %s%s.', n.nspname, l.relname,
              case when f.count = 1 then 'the foreign key' else 'foreign keys:' end,
              array_to_string(f.keys[1:5], ', '),
              case when f.count > 5 then format(' and %s more', f.count - 5) else '' end) as message,
       case when f.by_parent then 'Detach it first (sensordb partitions detach), which lets the foreign key go when no row of it is referenced; then drop it.'
            else 'Drop the foreign key first.' end as remedy,
       f.relation as object
  from found f
  join pg_class l on l.oid = f.leaf
  join pg_namespace n on n.oid = l.relnamespace
