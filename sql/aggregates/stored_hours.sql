-- Gives the aggregates of single device-hours. Lock: ACCESS SHARE on the aggregates. May run in a transaction.
select a.*
  from unnest(:'devices'::bigint[], :'hours'::timestamptz[]) p (device_id, hour)
  join :"schema".:"aggregates" a on a.device_id = p.device_id and a.hour = p.hour
