-- Splits a pending range at some instants, so that each piece is counted in a transaction of its own. Lock: none but on schema
-- sensordb. May run in a transaction.
with gone as (
  delete from sensordb.aggregate_pending p
   where p.source_id = :'source' and p.lower_bound = :'lower' and p.upper_bound = :'upper'
  returning p.source_id, p.lower_bound, p.upper_bound
)
insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
select g.source_id, e.edge, e.next
  from gone g
  cross join lateral (
    select c.edge, lead(c.edge) over (order by c.edge) as next
      from (
        select g.lower_bound as edge union select g.upper_bound
        union select u from unnest(:'edges'::timestamptz[]) u where u > g.lower_bound and u < g.upper_bound
      ) c
  ) e
 where e.next is not null
