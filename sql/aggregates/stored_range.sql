-- Gives the aggregates of a range of whole hours, with both ends inclusive. Lock: ACCESS SHARE on the aggregates. May run in a
-- transaction.
select a.* from :"schema".:"aggregates" a where a.hour >= :'lower'::timestamptz and a.hour <= :'last'::timestamptz
