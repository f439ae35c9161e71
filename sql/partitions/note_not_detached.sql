-- Ends the note of a detach that did not take place: its leaf is attached as ever, and nothing of it is half done.
-- Lock: none but on schema sensordb. May run in a transaction.
update sensordb.detached_leaf d
   set state = 'attached', ended_at = clock_timestamp(), ended_by = session_user
 where d.leaf_oid = :'leaf_oid' and d.state = 'detaching'
   and exists (select from pg_inherits i where i.inhrelid = d.leaf_oid and i.inhparent = d.parent_oid and not i.inhdetachpending)
