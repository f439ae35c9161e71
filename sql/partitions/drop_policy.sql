-- Takes a policy off a leaf. Lock: ACCESS EXCLUSIVE on the leaf alone. May run in a transaction.
drop policy :"policy" on :"schema".:"leaf"
