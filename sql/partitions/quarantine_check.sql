-- Ends the transaction (SQLSTATE SDB06) if deleting rows of DEFAULT would fire a foreign key's trigger: ON DELETE CASCADE would
-- delete what references them. Lock: none, but ROW EXCLUSIVE on DEFAULT is held: a key made meanwhile waits for that.
-- Must run in the transaction that deletes the rows.
select sensordb.refuse(
         'referenced',
         format('Deleting rows of %I.%I would fire the triggers of the foreign key %I on %s.',
                :'default_schema'::text, :'default'::text, c.conname, c.conrelid::regclass),
         'It was made meanwhile: run this again to see what is in the way.',
         format('%I.%I', :'default_schema'::text, :'default'::text))
  from pg_partition_tree(format('%I.%I', :'default_schema'::text, :'default'::text)::regclass) p
  join pg_trigger t on t.tgrelid = p.relid and t.tgtype & 8 > 0 and t.tgenabled in ('O', 'A')
  join pg_constraint c on c.oid = t.tgconstraint and c.contype = 'f'
 limit 1
