-- What must be true of the engine's tables, and of those of crash_workload.sql, at any moment: run in one snapshot, it
-- returns a row for each breach.

-- ---- no orphans ----
WITH open_run AS (SELECT run_id FROM expense_flow.branch WHERE branch_id = 0),
references_to_runs (source, run_id) AS (
	SELECT 'branch', run_id FROM expense_flow.branch
	UNION ALL SELECT 'transition', run_id FROM expense_flow.transition
	UNION ALL SELECT 'closed_run', run_id FROM expense_flow.closed_run
	UNION ALL SELECT 'message', run_id FROM expense_flow.message
	UNION ALL SELECT 'request', run_id FROM expense_flow.request
	UNION ALL SELECT 'activity_task', run_id FROM expense_flow.activity_task
	UNION ALL SELECT 'compensation', run_id FROM expense_flow.compensation
	UNION ALL SELECT 'compensating_run', run_id FROM expense_flow.compensating_run),
steps AS (
	SELECT t.*, lag(t.step) OVER w AS before, lag(t.events) OVER w AS events_before
	FROM expense_flow.transition t
	WINDOW w AS (PARTITION BY t.run_id, t.branch_id ORDER BY t.step)),
marked AS (
	SELECT coalesce(r.workflow_id, p.workflow_id) AS id, count(*) FROM expense_flow.transition t
		JOIN expense_flow.run r USING (run_id) LEFT JOIN expense_flow.run p ON p.run_id = r.parent_run_id
	WHERE t.state LIKE 'Mark%' AND t.events LIKE '%d%' GROUP BY 1),
marks AS (SELECT id, count(*), string_agg(what, ', ' ORDER BY what COLLATE "C") AS list FROM trace GROUP BY 1),
accounts AS (
	SELECT a.account_id, a.balance, 1000000
		- coalesce((SELECT sum(amount) FROM expense_flow.transaction t WHERE t.account_id = a.account_id), 0)
		- coalesce((SELECT sum(amount) FROM expense_flow.transfer t WHERE t.from_account = a.account_id AND t.refunded_at IS NULL), 0)
		+ coalesce((SELECT sum(amount) FROM expense_flow.transfer t WHERE t.to_account = a.account_id), 0) AS expected
	FROM expense_flow.account a)

SELECT format('%s of no run: %s', source, f.run_id) FROM references_to_runs f
WHERE NOT EXISTS (SELECT FROM expense_flow.run r WHERE r.run_id = f.run_id)
UNION ALL
SELECT format('branch %s of a closed run: %s', branch_id, run_id) FROM expense_flow.branch
WHERE run_id NOT IN (SELECT run_id FROM open_run)
UNION ALL
SELECT format('a task of a branch that is gone: %s, branch %s', t.run_id, t.branch_id) FROM expense_flow.activity_task t
WHERE t.status <> 'C' AND NOT EXISTS (SELECT FROM expense_flow.branch b WHERE b.run_id = t.run_id AND b.branch_id = t.branch_id)
UNION ALL
SELECT format('branch %s lacks its parent: %s', b.branch_id, b.run_id) FROM expense_flow.branch b
WHERE b.parent_id IS NOT NULL AND NOT EXISTS (SELECT FROM expense_flow.branch p WHERE p.run_id = b.run_id AND p.branch_id = b.parent_id)
UNION ALL
SELECT format('compensations of a run that succeeded: %s', run_id) FROM expense_flow.compensation JOIN expense_flow.closed_run c USING (run_id) WHERE c.status = 'S'
UNION ALL
SELECT format('compensating, but its main line is not: %s', run_id) FROM expense_flow.compensating_run n
WHERE NOT EXISTS (SELECT FROM expense_flow.branch b WHERE b.run_id = n.run_id AND b.branch_id = 0 AND b.status = 'K')
UNION ALL
SELECT format('a child that outlived its parent: %s', r.run_id) FROM expense_flow.run r JOIN open_run USING (run_id)
WHERE r.close_policy = 'T' AND r.parent_run_id NOT IN (SELECT run_id FROM open_run)
UNION ALL
SELECT format('change event %s of no source', event_id) FROM expense_flow.change_event e
WHERE NOT EXISTS (SELECT FROM expense_flow.event_source s WHERE s.source_id = e.source_id)

-- ---- each run is open or closed, once ----
UNION ALL
SELECT format('neither open nor closed, or both: %s', r.run_id) FROM expense_flow.run r
WHERE (r.run_id IN (SELECT run_id FROM open_run)) = EXISTS (SELECT FROM expense_flow.closed_run c WHERE c.run_id = r.run_id)
UNION ALL
SELECT format('parked: %s', run_id) FROM expense_flow.branch WHERE status = 'P'
UNION ALL
SELECT format('nothing will wake branch %s with status %s: %s', branch_id, status, run_id) FROM expense_flow.branch
WHERE (status IN ('R', 'W', 'B', 'G') AND due_at IS NULL) OR (status = 'M' AND awaits IS NULL)
	OR (status = 'J' AND due_at IS NULL AND coalesce(pending, 0) = 0)
UNION ALL
SELECT format('branch %s waits for %s, but has %s: %s', p.branch_id, p.pending, count(b.run_id), p.run_id)
FROM expense_flow.branch p LEFT JOIN expense_flow.branch b ON b.run_id = p.run_id AND b.parent_id = p.branch_id AND b.status <> 'D'
WHERE p.status IN ('J', 'K') GROUP BY p.run_id, p.branch_id HAVING coalesce(p.pending, 0) <> count(b.run_id)

-- ---- the history has no gaps, and says what the state says ----
UNION ALL
SELECT format('branch %s is at step %s, its history at %s: %s', b.branch_id, b.step, max(t.step), b.run_id)
FROM expense_flow.branch b LEFT JOIN expense_flow.transition t USING (run_id, branch_id)
WHERE b.status NOT IN ('K', 'Q') GROUP BY b.run_id, b.branch_id HAVING b.step <> coalesce(max(t.step), 0)
UNION ALL
SELECT format('the data of step %s is missing: %s, branch %s', b.data_step, b.run_id, b.branch_id) FROM expense_flow.branch b
WHERE b.data_step > 0 AND NOT EXISTS (SELECT FROM expense_flow.transition t
	WHERE t.run_id = b.run_id AND t.branch_id = b.branch_id AND t.step = b.data_step AND t.output IS NOT NULL)
UNION ALL
-- a branch of a Parallel or Map begins with its input; a join goes on after the last step of what it joined
SELECT format('a gap before step %s: %s, branch %s', step, run_id, branch_id) FROM steps
WHERE step > coalesce(before, 0) + 1 AND NOT (branch_id <> 0 AND (before IS NULL OR events_before = '')) AND events !~ '[lmJO]'
UNION ALL
SELECT format('entered %s states and left %s: %s', entered, left_again, run_id) FROM (
	SELECT run_id, sum(length(regexp_replace(t.events, '[^PTCWSLM]', '', 'g'))) AS entered,
		sum(length(regexp_replace(t.events, '[^ptcwslm]', '', 'g'))) AS left_again
	FROM expense_flow.transition t JOIN expense_flow.closed_run c USING (run_id) WHERE c.status = 'S' GROUP BY 1
	HAVING bool_and(t.events !~ '[FJOU]')) e	-- no branches were given up
WHERE entered <> left_again
UNION ALL
SELECT format('closed at step %s, its history goes to %s: %s', c.step, max(t.step), run_id)
FROM expense_flow.closed_run c JOIN expense_flow.transition t USING (run_id)
WHERE t.branch_id = 0 AND c.status = 'S' GROUP BY run_id, c.step HAVING c.step > max(t.step)

-- ---- each start once, each step's effect once, in whatever state the run is ----
UNION ALL
SELECT format('%s was asked for and has %s runs', a.workflow_id, count(r.run_id))
FROM asked a LEFT JOIN expense_flow.run r USING (workflow_id) GROUP BY a.workflow_id HAVING count(r.run_id) <> 1
UNION ALL
SELECT format('%s was not asked for', r.workflow_id) FROM expense_flow.run r
WHERE r.workflow_id IS NOT NULL AND NOT EXISTS (SELECT FROM asked a WHERE a.workflow_id = r.workflow_id)
	AND r.run_id IN (SELECT run_id FROM open_run)
UNION ALL
SELECT format('%s: %s', id, string_agg(what, ', ')) FROM (SELECT id, what FROM trace GROUP BY 1, 2 HAVING count(*) > 1) d GROUP BY id
UNION ALL
SELECT format('%s has %s marks and %s steps that left one', a.workflow_id, coalesce(k.count, 0), coalesce(m.count, 0))
FROM asked a LEFT JOIN marks k ON k.id = a.workflow_id LEFT JOIN marked m ON m.id = a.workflow_id
WHERE coalesce(k.count, 0) <> coalesce(m.count, 0)
UNION ALL
SELECT format('%s has ended with: %s', a.workflow_id, k.list)
FROM asked a JOIN expense_flow.run r USING (workflow_id) JOIN expense_flow.closed_run c USING (run_id) LEFT JOIN marks k ON k.id = a.workflow_id
WHERE k.list IS DISTINCT FROM CASE a.kind
	WHEN 'hop' THEN 'give, note, take'
	WHEN 'fan' THEN 'end, item 1, item 2, item 3, item 4, left, more, right'
	WHEN 'outside' THEN 'doubled ' || (2 * (r.input ->> 'n')::int)
	WHEN 'listen' THEN 'heard 1, heard 2'
	WHEN 'odd_end' THEN 'end'
	WHEN 'nap' THEN 'woke'
	WHEN 'family' THEN 'parent, woke'
	WHEN 'saga' THEN 'one, two, undo one, undo two'
	END
UNION ALL
SELECT format('%s has ended as %s', a.workflow_id, c.status) FROM asked a JOIN expense_flow.run r USING (workflow_id) JOIN expense_flow.closed_run c USING (run_id)
WHERE c.status <> CASE a.kind WHEN 'saga' THEN 'F' WHEN 'odd_skip' THEN 'F' WHEN 'canceled' THEN 'C' WHEN 'odd_cancel' THEN 'C' WHEN 'terminated' THEN 'X' ELSE 'S' END AND NOT (a.kind = 'money_transfer' AND r.input ->> 'to_account' = '999' AND c.status = 'F')
UNION ALL
SELECT format('%s has ended, and its money has not arrived', a.workflow_id) FROM asked a JOIN expense_flow.run r USING (workflow_id) JOIN expense_flow.closed_run c USING (run_id)
	LEFT JOIN expense_flow.transfer t ON t.transfer_id = a.workflow_id
WHERE a.kind = 'money_transfer' AND (t.transfer_id IS NULL OR (t.refunded_at IS NULL AND t.deposited_at IS NULL))
UNION ALL
SELECT format('%s has ended, and is not booked', a.workflow_id) FROM asked a JOIN expense_flow.run r USING (workflow_id) JOIN expense_flow.closed_run c USING (run_id)
WHERE a.kind = 'spending' AND NOT EXISTS (SELECT FROM expense_flow.transaction t WHERE t.transaction_id = a.workflow_id)

-- ---- no money came or went ----
UNION ALL
SELECT format('account %s has %s instead of %s', account_id, balance, expected) FROM accounts WHERE balance <> expected
UNION ALL
SELECT format('the purses hold %s instead of %s', p.sum, 10000 - t.count) FROM (SELECT sum(balance) FROM purse) p,
	(SELECT count(*) FILTER (WHERE what = 'take') - count(*) FILTER (WHERE what = 'give') AS count FROM trace) t
WHERE p.sum <> 10000 - t.count
UNION ALL
SELECT format('the ledger counts %s instead of %s', l.sum, e.sum) FROM (SELECT sum(v) FROM ledger) l,
	(SELECT starts + marks + (SELECT count(*) FROM asked) + (SELECT count(*) FROM trace) AS sum FROM archived) e
WHERE l.sum <> e.sum;
