-- Sagas: compensations of runs that do not succeed.
\set VERBOSITY terse
\set ECHO queries
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;
SET search_path = public, expense_flow;

CREATE TABLE log (n serial, what text);
CREATE TABLE broken (step text PRIMARY KEY, error text);
CREATE FUNCTION book(step text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.log (what) VALUES ('book ' || step);
	PERFORM expense_flow.fail(b.error, 'cannot book ' || b.step) FROM public.broken b WHERE b.step = book.step;
	RETURN jsonb_build_object('booked', step);
END $$;
CREATE FUNCTION undo(booked text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.log (what) VALUES ('undo ' || booked);
	PERFORM expense_flow.fail(b.error, 'cannot undo ' || booked) FROM public.broken b WHERE b.step = 'undo ' || booked;
END $$;
CREATE FUNCTION logged() RETURNS text LANGUAGE sql AS $$
	WITH gone AS (DELETE FROM public.log RETURNING n, what) SELECT string_agg(what, ', ' ORDER BY n) FROM gone $$;

-- M3: three steps; the third fails three times; the others are undone, the last one first.
SELECT create_workflow('trip', '{"StartAt": "Car", "States": {
	"Car": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step": "car"}, "ResultPath": "$.car",
		"Compensate": {"Resource": "sql:public.undo", "Parameters": {"booked.$": "$.car.booked"}}, "Next": "Hotel"},
	"Hotel": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step": "hotel"}, "ResultPath": "$.hotel",
		"Compensate": {"Resource": "sql:public.undo", "Parameters": {"booked.$": "$.hotel.booked"},
			"Retry": [{"ErrorEquals": ["Busy"], "MaxAttempts": 2}]}, "Next": "Flight"},
	"Flight": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step": "flight"}, "ResultPath": "$.flight",
		"Retry": [{"ErrorEquals": ["NoSeat"], "MaxAttempts": 2}],
		"Compensate": {"Resource": "sql:public.undo", "Parameters": {"booked.$": "$.flight.booked"}}, "End": true}}}');
INSERT INTO broken VALUES ('flight', 'NoSeat');
SELECT start_workflow('trip', '{}', 'saga t1') IS NOT NULL;
CALL run_pending(skip => '1 minute');
SELECT logged();
SELECT status, error, cause, compensating FROM find_runs('saga t1');
SELECT type, state FROM history WHERE run_id = (SELECT run_id FROM find_runs('saga t1')) AND type ~ 'Compensation|Execution' ORDER BY event_id;
SELECT state, status, input FROM compensations WHERE run_id = (SELECT run_id FROM find_runs('saga t1')) ORDER BY step;
SELECT count(*) FROM branch JOIN run USING (run_id) WHERE run.workflow_id ~ '^saga';

-- A run that succeeds keeps nothing.
DELETE FROM broken;
SELECT start_workflow('trip', '{}', 'saga t2') IS NOT NULL;
CALL run_pending();
SELECT logged();
SELECT status FROM find_runs('saga t2');
SELECT count(*) FROM compensations WHERE run_id = (SELECT run_id FROM find_runs('saga t2'));

-- Compensations have retries of their own. One that fails for good waits for somebody.
INSERT INTO broken VALUES ('flight', 'Full'), ('undo hotel', 'Busy');
SELECT start_workflow('trip', '{}', 'saga t3') IS NOT NULL;
CALL run_pending(skip => '1 minute');
SELECT logged();
SELECT status, state, compensating, error FROM find_runs('saga t3');
SELECT jsonb_array_elements(describe_run(run_id)->'compensations') - '{registered_at,branch_id,step}'::text[] FROM find_runs('saga t3');
SELECT retry_compensation('saga t3');
CALL run_pending(skip => '1 minute');
SELECT logged();
SELECT compensating FROM find_runs('saga t3');
BEGIN;
SELECT skip_compensation('saga t3');
SELECT status, compensating FROM find_runs('saga t3');
COMMIT;
CALL run_pending();
SELECT logged();
SELECT status, error, compensating FROM find_runs('saga t3');
SELECT state, status, error FROM compensations WHERE run_id = (SELECT run_id FROM find_runs('saga t3')) ORDER BY step;
SELECT retry_compensation('saga t3');
SELECT skip_compensation('unheard of');
SELECT skip_compensation(NULL);

-- Retried with success.
SELECT start_workflow('trip', '{}', 'saga t4') IS NOT NULL;
CALL run_pending(skip => '1 minute');
SELECT start_workflow('trip', '{}', 'saga t4');
DELETE FROM broken WHERE step = 'undo hotel';
SELECT retry_compensation('saga t4');
CALL run_pending();
SELECT logged();
SELECT status, error FROM find_runs('saga t4');

-- The last that is skipped closes the run.
INSERT INTO broken VALUES ('undo car', 'Lost');
SELECT start_workflow('trip', '{}', 'saga t5') IS NOT NULL;
CALL run_pending();
SELECT logged(), skip_compensation('saga t5');
SELECT status, error FROM find_runs('saga t5');

-- Nothing failed, so nothing to decide. Terminating runs no compensation.
SELECT create_workflow('saga waits', '{"StartAt": "Car", "TimeoutSeconds": 100, "States": {
	"Car": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step": "car"},
		"Compensate": {"Resource": "sql:public.undo"}, "Next": "Wait"},
	"Wait": {"Type": "Wait", "Seconds": 7200, "End": true}}}');
SELECT start_workflow('saga waits', '{}', 'saga w1') IS NOT NULL;
CALL run_pending();
SELECT retry_compensation('saga w1');
SELECT terminate_workflow('saga w1');
CALL run_pending();
SELECT logged();
SELECT status FROM find_runs('saga w1');

-- A run that times out compensates, in spite of its deadline.
DELETE FROM broken;
INSERT INTO broken VALUES ('undo car', 'Lost');
SELECT start_workflow('saga waits', '{}', 'saga w2') IS NOT NULL;
CALL run_pending();
CALL run_pending(skip => '5 minutes');
SELECT logged();
SELECT status, compensating FROM find_runs('saga w2');
DELETE FROM broken;
SELECT retry_compensation('saga w2');
CALL run_pending();
SELECT logged();
SELECT status, error FROM find_runs('saga w2');

-- So does one that is canceled; to cancel it again changes nothing.
INSERT INTO broken VALUES ('undo car', 'Lost');
SELECT start_workflow('saga waits', '{}', 'saga w3') IS NOT NULL;
CALL run_pending();
SELECT cancel_workflow('saga w3', 'no more');
CALL run_pending();
SELECT logged();
SELECT status, compensating FROM find_runs('saga w3');
SELECT cancel_workflow('saga w3', 'really');
CALL run_pending();
DELETE FROM broken;
BEGIN;
SELECT retry_compensation('saga w3');
SELECT cancel_workflow('saga w3', 'really');
COMMIT;
CALL run_pending();
SELECT logged();
SELECT status, error, cause FROM find_runs('saga w3');

-- One that caught the request, cleaned up and came to its end is canceled all the same, and compensates; an error on the way is what it fails with.
SELECT create_workflow('saga cleans up', '{"StartAt": "Car", "States": {
	"Car": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step": "car"}, "Compensate": {"Resource": "sql:public.undo"}, "Next": "Wait"},
	"Wait": {"Type": "Task", "Resource": "signal:go", "Catch": [{"ErrorEquals": ["Canceled"], "Next": "Clean up"}], "End": true},
	"Clean up": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step": "cleaning"}, "Compensate": {"Resource": "sql:public.undo"}, "End": true}}}');
SELECT start_workflow('saga cleans up', '{}', 'saga u1') IS NOT NULL;
CALL run_pending();
SELECT cancel_workflow('saga u1', 'no more');
CALL run_pending();
SELECT logged();
SELECT status, error, cause FROM find_runs('saga u1');
INSERT INTO broken VALUES ('cleaning', 'NoBroom');
SELECT start_workflow('saga cleans up', '{}', 'saga u2') IS NOT NULL;
CALL run_pending();
SELECT cancel_workflow('saga u2', 'no more');
CALL run_pending();
SELECT logged();
SELECT status, error, cause FROM find_runs('saga u2');
DELETE FROM broken;

-- A Compensate whose Parameters cannot be made fails the step, which leaves no effects.
SELECT create_workflow('bad parameters', '{"StartAt": "Car", "States": {
	"Car": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step": "car"},
		"Compensate": {"Resource": "sql:public.undo", "Parameters": {"booked.$": "$.no.such"}}, "End": true}}}');
SELECT start_workflow('bad parameters', '{}', 'saga b1') IS NOT NULL;
CALL run_pending();
SELECT logged();
SELECT status, error FROM find_runs('saga b1');

-- Registered before the step, and committed: also a step that failed is undone.
SELECT create_workflow('before', '{"StartAt": "Car", "States": {
	"Car": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step.$": "$.step"}, "Retry": [{"ErrorEquals": ["Busy"], "MaxAttempts": 1}],
		"Compensate": {"Resource": "sql:public.undo", "Parameters": {"booked.$": "$.step"}, "Register": "Before"}, "End": true}}}');
INSERT INTO broken VALUES ('car', 'Busy');
SELECT start_workflow('before', '{"step": "car"}', 'saga f1') IS NOT NULL;
CALL run_pending(max_steps => 1);
SELECT state, status, input FROM compensations WHERE run_id = (SELECT run_id FROM find_runs('saga f1'));
SELECT logged();
CALL run_pending(skip => '1 minute');
SELECT logged();
SELECT status, error FROM find_runs('saga f1');
DELETE FROM broken;

-- All at once; branches of a Parallel and a Map; a failure that is caught undoes nothing.
SELECT create_workflow('parallel', '{"StartAt": "All", "CompensationOrder": "Parallel", "States": {
	"All": {"Type": "Parallel", "Next": "Each", "Branches": [
		{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step": "a"}, "Compensate": {"Resource": "sql:public.undo"}, "End": true}}},
		{"StartAt": "B", "States": {"B": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step": "b"}, "Compensate": {"Resource": "sql:public.undo"}, "End": true}}}]},
	"Each": {"Type": "Map", "ItemsPath": "$", "Next": "Bad",
		"ItemProcessor": {"StartAt": "C", "States": {"C": {"Type": "Task", "Resource": "sql:public.book",
			"Parameters": {"step.$": "States.Format(''c {}'', $.booked)"}, "Compensate": {"Resource": "sql:public.undo"}, "End": true}}}},
	"Bad": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step": "bad"}, "Catch": [{"ErrorEquals": ["Caught"], "Next": "Worse"}], "Next": "Worse"},
	"Worse": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step": "worse"}, "End": true}}}');
INSERT INTO broken VALUES ('bad', 'Caught'), ('worse', 'NotCaught'), ('undo a', 'Stuck'), ('undo c b', 'Stuck');
SELECT start_workflow('parallel', '{}', 'saga p1') IS NOT NULL;
CALL run_pending();
WITH gone AS (DELETE FROM log RETURNING what) SELECT string_agg(what, ', ' ORDER BY what) FROM gone WHERE what ~ '^undo';
SELECT status, compensating FROM find_runs('saga p1');
DELETE FROM broken;
SELECT retry_compensation('saga p1');
CALL run_pending();
WITH gone AS (DELETE FROM log RETURNING what) SELECT string_agg(what, ', ' ORDER BY what) FROM gone;
SELECT status, error FROM find_runs('saga p1');

-- A child run compensates before it tells its parent; a child run can be a compensation.
SELECT create_workflow('undo trip', '{"StartAt": "Undo", "States": {"Undo": {"Type": "Task", "Resource": "sql:public.undo", "End": true}}}');
SELECT create_workflow('saga parent', '{"StartAt": "Own", "States": {
	"Own": {"Type": "Task", "Resource": "sql:public.book", "Parameters": {"step": "own"}, "Compensate": {"Resource": "workflow:undo trip"}, "Next": "Trip"},
	"Trip": {"Type": "Task", "Resource": "workflow:trip", "End": true}}}');
INSERT INTO broken VALUES ('flight', 'Full');
SELECT start_workflow('saga parent', '{}', 'saga pp') IS NOT NULL;
CALL run_pending();
SELECT logged();
SELECT status, error, cause::jsonb - 'run_id' FROM find_runs('saga pp');

-- In run_workflow() a failure undoes everything; but what a child run has done, whose failure is caught, is to be compensated.
SELECT create_workflow('saga catches', '{"StartAt": "Trip", "States": {
	"Trip": {"Type": "Task", "Resource": "workflow:trip", "Catch": [{"ErrorEquals": ["Full"], "ResultPath": null, "Next": "Stay"}], "End": true},
	"Stay": {"Type": "Pass", "Result": "at home", "End": true}}}');
BEGIN;
SAVEPOINT before;
SELECT run_workflow('saga parent');
ROLLBACK TO before;
SELECT logged();
SELECT run_workflow('saga catches');
SELECT logged();
ROLLBACK;
SELECT count(*) FROM branch JOIN run USING (run_id) WHERE run.workflow_id ~ '^saga';
SELECT count(*) FROM compensating_run;

-- purge
SET expense_flow.retention = '0s';
\set ECHO none
CALL purge() \g /dev/null
\set ECHO queries
RESET expense_flow.retention;
SELECT count(*) FROM compensation c WHERE NOT EXISTS (SELECT FROM run r WHERE r.run_id = c.run_id);

DROP TABLE log, broken;
DROP FUNCTION book(text), undo(text), logged();
