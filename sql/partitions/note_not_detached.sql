-- Ends the note of a detach that did not take place: its leaf is attached as ever, or somebody else detached it, which has left
-- none of the CHECKs that DETACH CONCURRENTLY leaves. Lock: none but on schema sensordb. May run in a transaction.
update sensordb.detached_leaf d
   set state = 'attached', ended_at = clock_timestamp(), ended_by = session_user
 where d.leaf_oid = :'leaf_oid' and d.state = 'detaching'
   and case when exists (select from pg_inherits i where i.inhrelid = d.leaf_oid)
            then exists (select from pg_inherits i
                          where i.inhrelid = d.leaf_oid and i.inhparent = d.parent_oid and not i.inhdetachpending)
            else d.check_name is null and d.own_checks = '{}'
                 and not exists (select from pg_constraint k where k.conrelid = d.leaf_oid and k.contype = 'c') end
