-- Starting runs: what the arguments mean, workflow_id, rights.
SET client_min_messages = warning;
\set SHOW_CONTEXT never

SELECT expense_flow.create_workflow('start_echo', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}');
SELECT expense_flow.create_workflow('start_wait', '{"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 3600, "End": true}}}');
SELECT expense_flow.create_workflow('start_fail', '{"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "Broken", "Cause": "on purpose"}}}');

-- A run_id is a UUID of version 7, and they are ordered in time.
SELECT substr(id::text, 15, 1) AS version, substr(id::text, 20, 1) IN ('8', '9', 'a', 'b') AS variant
	FROM expense_flow.start_workflow('start_echo') id;
SELECT bool_and(id > previous) AS ordered, count(*)
	FROM (SELECT id, lag(id) OVER (ORDER BY n) AS previous
			FROM (SELECT n, expense_flow.start_workflow('start_echo') AS id FROM generate_series(1, 1000) n) s) t
	WHERE previous IS NOT NULL;
-- It holds the time of the start.
SELECT abs(extract(epoch FROM now()) - ('x' || translate(left(expense_flow.start_workflow('start_echo')::text, 13), '-', ''))::bit(48)::bigint / 1000.0) < 60 AS holds_the_time;
CALL expense_flow.run_pending();
SELECT status, count(*) FROM expense_flow.runs WHERE workflow = 'start_echo' GROUP BY status;

-- The input, and a workflow_id of one's own or the run_id's text.
SELECT expense_flow.start_workflow('start_echo', '{"a": [1, null, "x"]}', 'with input') AS run_id \gset
SELECT expense_flow.start_workflow('start_echo') AS other_id \gset
CALL expense_flow.run_pending();
SELECT workflow_id, status, input, output, error FROM expense_flow.runs WHERE run_id = :'run_id';
SELECT workflow_id = run_id::text AS same, input, output FROM expense_flow.runs WHERE run_id = :'other_id';
-- Any JSON is an input.
SELECT expense_flow.start_workflow('start_echo', 'null', 'a null') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT input, output FROM expense_flow.runs WHERE workflow_id = 'a null';

-- Wrong arguments.
SELECT expense_flow.start_workflow('start_nothing');
SELECT expense_flow.start_workflow('start_echo', version => 7);
SELECT expense_flow.start_workflow('start_echo', version => 0);
SELECT expense_flow.start_workflow(NULL);
SELECT expense_flow.start_workflow('start_echo', NULL);
SELECT expense_flow.start_workflow('start_echo', '{}', '');
SELECT expense_flow.start_workflow('start_echo', on_conflict => 'ignore');
SELECT expense_flow.start_workflow('start_echo', on_conflict => NULL);
SELECT expense_flow.start_workflow('start_echo', on_reuse => 'Allow');
SELECT expense_flow.start_workflow('start_echo', on_reuse => NULL);
SELECT expense_flow.start_workflow('start_echo', start_delay => '-1 second');
SELECT expense_flow.start_workflow('start_echo', run_timeout => '0');

-- An open run has the workflow_id.
SELECT expense_flow.start_workflow('start_wait', '1', 'taken') AS first_id \gset
\set VERBOSITY terse
SELECT expense_flow.start_workflow('start_wait', '2', 'taken');
\set VERBOSITY default
SELECT expense_flow.start_workflow('start_wait', '3', 'taken', on_conflict => 'use_existing') = :'first_id' AS same_run;
SELECT expense_flow.start_workflow('start_wait', '4', 'taken', on_conflict => 'terminate_existing') <> :'first_id' AS other_run;
SELECT status, input, error, cause FROM expense_flow.runs WHERE workflow_id = 'taken' ORDER BY started_at;
CALL expense_flow.run_pending('2 hours');
SELECT status, input, output FROM expense_flow.runs WHERE workflow_id = 'taken' ORDER BY started_at;
-- Twice in one statement: the second one meets the first.
SELECT count(DISTINCT expense_flow.start_workflow('start_wait', to_jsonb(n), 'in one', on_conflict => 'use_existing')) FROM generate_series(1, 3) n;
SELECT expense_flow.terminate_workflow('in one');

-- Only closed runs had it.
SELECT expense_flow.start_workflow('start_fail', '1', 'used') IS NOT NULL AS started;
CALL expense_flow.run_pending();
\set VERBOSITY terse
SELECT expense_flow.start_workflow('start_echo', '2', 'used', on_reuse => 'reject');
SELECT expense_flow.start_workflow('start_echo', '2', 'used', on_reuse => 'allow_if_failed') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT expense_flow.start_workflow('start_echo', '3', 'used', on_reuse => 'allow_if_failed');
\set VERBOSITY default
SELECT expense_flow.start_workflow('start_echo', '4', 'used') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT workflow, status, input, error, cause FROM expense_flow.runs WHERE workflow_id = 'used' ORDER BY started_at;

-- A start that is refused or rolled back leaves nothing.
SELECT status, input FROM expense_flow.runs WHERE workflow_id = 'used' AND input IN ('2', '3') ORDER BY 2;
BEGIN;
SELECT expense_flow.start_workflow('start_wait', '{}', 'rolled back') IS NOT NULL AS started;
SAVEPOINT a;
SELECT expense_flow.start_workflow('start_wait', '{}', 'rolled back too') IS NOT NULL AS started;
ROLLBACK TO a;
ROLLBACK;
SELECT count(*) FROM expense_flow.runs WHERE workflow_id LIKE 'rolled back%';

-- A delay, and a timeout counted from its end.
SELECT expense_flow.start_workflow('start_echo', '{}', 'delayed', start_delay => '1 hour') IS NOT NULL AS started;
SELECT expense_flow.start_workflow('start_wait', '{}', 'too long', start_delay => '1 hour', run_timeout => '59 minutes') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT workflow_id, status FROM expense_flow.runs WHERE workflow_id IN ('delayed', 'too long') ORDER BY 1;
CALL expense_flow.run_pending('1 hour 1 minute');
SELECT workflow_id, status FROM expense_flow.runs WHERE workflow_id IN ('delayed', 'too long') ORDER BY 1;
CALL expense_flow.run_pending('3 hours');
SELECT workflow_id, status, error, cause FROM expense_flow.runs WHERE workflow_id IN ('delayed', 'too long') ORDER BY 1;

-- The definition's own timeout.
SELECT expense_flow.create_workflow('start_timeout', '{"StartAt": "A", "TimeoutSeconds": 10, "States": {"A": {"Type": "Wait", "Seconds": 11, "End": true}}}');
SELECT expense_flow.start_workflow('start_timeout', '{}', 'own timeout') IS NOT NULL AS started;
SELECT expense_flow.start_workflow('start_timeout', '{}', 'longer timeout', run_timeout => '12 seconds') IS NOT NULL AS started;
CALL expense_flow.run_pending('1 minute');
SELECT workflow_id, status, error FROM expense_flow.runs WHERE workflow = 'start_timeout' ORDER BY 1;

-- A run keeps its version; an older one can be asked for.
SELECT expense_flow.start_workflow('start_echo', '{}', 'old version', start_delay => '1 hour') IS NOT NULL AS started;
SELECT expense_flow.create_workflow('start_echo', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "new", "End": true}}}');
SELECT expense_flow.start_workflow('start_echo', '{}', 'new version') IS NOT NULL AS started;
SELECT expense_flow.start_workflow('start_echo', '{}', 'asked for', version => 1) IS NOT NULL AS started;
CALL expense_flow.run_pending('2 hours');
SELECT workflow_id, version, output FROM expense_flow.runs WHERE workflow_id IN ('old version', 'new version', 'asked for') ORDER BY 1;

-- Ending a run.
SELECT expense_flow.start_workflow('start_wait', '{}', 'to be ended') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT expense_flow.terminate_workflow('to be ended', 'enough');
SELECT status, error, cause FROM expense_flow.runs WHERE workflow_id = 'to be ended';
SELECT expense_flow.terminate_workflow('to be ended', 'enough');
SELECT expense_flow.terminate_workflow('never was');
SELECT expense_flow.terminate_workflow('00000000-0000-7000-8000-0000000-0000');
SELECT expense_flow.terminate_workflow(NULL);
SELECT expense_flow.start_workflow('start_wait') AS run_id \gset
SELECT expense_flow.terminate_workflow(:'run_id');
SELECT status, cause FROM expense_flow.runs WHERE run_id = :'run_id';

-- A deadline later than any timestamp is none.
SELECT expense_flow.start_workflow('start_wait', '{}', 'far away', start_delay => '200000 years', run_timeout => '200000 years') IS NOT NULL AS started;
SELECT extract(year FROM due_at) > 200000 AS waits, deadline FROM expense_flow.runs WHERE workflow_id = 'far away';
SELECT expense_flow.terminate_workflow('far away');

-- Roles: a run is its starter's; another role can neither see, end nor reuse it.
CREATE ROLE regress_start_a;
CREATE ROLE regress_start_b;
SET ROLE regress_start_a;
SELECT expense_flow.start_workflow('start_wait', '{}', 'of a') IS NOT NULL AS started;
SET ROLE regress_start_b;
SELECT count(*) FROM expense_flow.runs;
SELECT expense_flow.terminate_workflow('of a');
SELECT expense_flow.start_workflow('start_wait', '{}', 'of a', on_conflict => 'use_existing');
SELECT expense_flow.start_workflow('start_wait', '{}', 'of a', on_conflict => 'terminate_existing');
CALL expense_flow.run_pending('2 hours');
RESET ROLE;
SELECT status, owner, starter FROM expense_flow.runs WHERE workflow_id = 'of a';
SET ROLE regress_start_a;
SELECT expense_flow.terminate_workflow('of a', 'done with it');
SELECT status, cause FROM expense_flow.runs WHERE workflow_id = 'of a';
RESET ROLE;
DROP ROLE regress_start_a, regress_start_b;
