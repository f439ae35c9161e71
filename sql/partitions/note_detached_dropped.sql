-- Remembers that a leaf which was detached, or was about to be, is dropped. Lock: none but on schema sensordb. May run in a
-- transaction, and does: the one that drops it.
update sensordb.detached_leaf
   set state = 'dropped', ended_at = clock_timestamp(), ended_by = session_user
 where id = :'record_id'
