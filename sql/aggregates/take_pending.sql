-- Takes a pending range off the list, with the single changes that it contains; they are counted in the same transaction. Who finds
-- nothing to take has been forestalled by another run. Says, too, whether anything is stored of the range.
-- Lock: ACCESS SHARE on the aggregates. Runs in a transaction.
with taken as (
  delete from sensordb.aggregate_pending p
   where p.source_id = :'source' and p.lower_bound = :'lower' and p.upper_bound = :'upper'
  returning p.source_id, p.lower_bound, p.upper_bound
),
logged as (
  delete from sensordb.aggregate_change c using taken t
   where c.source_id = t.source_id and c.hour >= t.lower_bound and (c.hour < t.upper_bound or t.upper_bound = 'infinity')
)
select exists (
         select from :"schema".:"aggregates" a where a.hour >= :'lower'::timestamptz and a.hour <= :'last'::timestamptz
       ) as "hasStored"
  from taken
