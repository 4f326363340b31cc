-- Whose rights child runs have, and who may see and steer them, where workflows run with their owner's rights.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;
SET search_path = public, expense_flow;
CREATE ROLE regress_child_boss;
CREATE ROLE regress_child_clerk;
CREATE ROLE regress_child_third;
CREATE ROLE regress_child_stranger;
GRANT EXECUTE ON FUNCTION create_workflow TO regress_child_boss, regress_child_clerk, regress_child_third;
CREATE TABLE child_rights_log (n serial, what text, who name DEFAULT current_user);
GRANT SELECT, INSERT ON child_rights_log TO PUBLIC;
GRANT USAGE ON child_rights_log_n_seq TO PUBLIC;
CREATE FUNCTION child_rights_who(what text) RETURNS name LANGUAGE sql AS $$ INSERT INTO public.child_rights_log (what) VALUES (what) RETURNING who $$;

-- The boss has a workflow that runs as its owner and tells who it is; the third one has another; and there is one that runs as its starter.
SET ROLE regress_child_boss;
SELECT create_workflow('rights boss', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.child_rights_who", "Parameters": {"what": "boss"}, "End": true}}}', 'owner');
RESET ROLE; SET ROLE regress_child_third;
SELECT create_workflow('rights third', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.child_rights_who", "Parameters": {"what": "third"}, "End": true}}}', 'owner');
RESET ROLE; SET ROLE regress_child_clerk;
SELECT create_workflow('rights any', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.child_rights_who", "Parameters": {"what": "any"}, "End": true}}}');
SELECT create_workflow('rights clerk', '{"StartAt": "Any", "States": {
	"Any": {"Type": "Task", "Resource": "workflow:rights any", "ResultPath": "$.any", "Next": "Boss"},
	"Boss": {"Type": "Task", "Resource": "workflow:rights boss", "ResultPath": "$.boss", "Catch": [{"ErrorEquals": ["insufficient_privilege"], "ResultPath": "$.refused", "Next": "Own"}], "Next": "Own"},
	"Own": {"Type": "Task", "Resource": "sql:public.child_rights_who", "Parameters": {"what": "clerk"}, "ResultPath": "$.own", "End": true}}}');

-- Without a grant the child does not start, and that is the Task's failure.
SELECT start_workflow('rights clerk', '{}', 'rights 1') IS NOT NULL;
CALL run_pending();
SELECT status, output FROM find_runs('rights 1');
-- With one, it has the boss's rights, and what comes after it the clerk's again. The clerk has started both.
RESET ROLE; SET ROLE regress_child_boss;
SELECT grant_start('rights boss', 'regress_child_clerk');
RESET ROLE; SET ROLE regress_child_clerk;
SELECT start_workflow('rights clerk', '{}', 'rights 2') IS NOT NULL;
CALL run_pending();
SELECT status, output FROM find_runs('rights 2');
RESET ROLE;
SELECT workflow, owner, starter FROM runs WHERE workflow LIKE 'rights %' AND parent_run_id = (SELECT run_id FROM find_runs('rights 2')) ORDER BY 1;
SELECT what, who FROM child_rights_log WHERE what <> 'clerk' ORDER BY n;
-- The same in the caller's own transaction.
SET ROLE regress_child_clerk;
SELECT run_workflow('rights clerk');
RESET ROLE;

-- The other way round: the boss's run, which the clerk starts, has children. Those that run as their starter have the rights of the boss, whose run starts them.
-- What the clerk was granted does not count for them, only what the boss was.
SET ROLE regress_child_third;
SELECT grant_start('rights third', 'regress_child_clerk');
RESET ROLE; SET ROLE regress_child_boss;
SELECT create_workflow('rights boss starts', '{"StartAt": "Any", "States": {
	"Any": {"Type": "Task", "Resource": "workflow:rights any", "ResultPath": "$.any", "Next": "Third"},
	"Third": {"Type": "Task", "Resource": "workflow:rights third", "ResultPath": "$.third", "Catch": [{"ErrorEquals": ["insufficient_privilege"], "ResultPath": "$.refused", "Next": "Own"}], "Next": "Own"},
	"Own": {"Type": "Task", "Resource": "sql:public.child_rights_who", "Parameters": {"what": "own"}, "ResultPath": "$.own", "End": true}}}', 'owner');
SELECT grant_start('rights boss starts', 'regress_child_clerk');
RESET ROLE; SET ROLE regress_child_clerk;
SELECT start_workflow('rights boss starts', '{}', 'rights 3') IS NOT NULL;
CALL run_pending();
SELECT status, output FROM find_runs('rights 3');
RESET ROLE; SET ROLE regress_child_third;
SELECT grant_start('rights third', 'regress_child_boss');
RESET ROLE; SET ROLE regress_child_clerk;
SELECT start_workflow('rights boss starts', '{}', 'rights 4') IS NOT NULL;
RESET ROLE;
CALL run_pending();
SET ROLE regress_child_clerk;
SELECT status, output FROM find_runs('rights 4');
RESET ROLE;
SELECT workflow, owner, starter FROM runs WHERE parent_run_id = (SELECT run_id FROM find_runs('rights 4')) ORDER BY 1;

-- Who may see and steer such a child, and take its tasks: its owner, and who started it. Its compensations have its owner's rights.
SET ROLE regress_child_boss;
SELECT create_workflow('rights work', '{"StartAt": "Do", "States": {
	"Do": {"Type": "Task", "Resource": "sql:public.child_rights_who", "Parameters": {"what": "do"}, "Compensate": {"Resource": "sql:public.child_rights_who", "Parameters": {"what": "undo"}}, "Next": "Work"},
	"Work": {"Type": "Task", "Resource": "activity:rights/work", "ResultPath": null, "Next": "Wait"},
	"Wait": {"Type": "Task", "Resource": "signal:go", "End": true}}}', 'owner');
SELECT grant_start('rights work', 'regress_child_clerk');
RESET ROLE; SET ROLE regress_child_clerk;
SELECT create_workflow('rights parent', '{"StartAt": "Child", "States": {"Child": {"Type": "Task", "Resource": "workflow:rights work", "WorkflowIdPath": "$.id", "End": true}}}');
SELECT start_workflow('rights parent', jsonb_build_object('id', 'rights child ' || n), 'rights parent ' || n) IS NOT NULL FROM generate_series(1, 3) n;
CALL run_pending();
RESET ROLE; SET ROLE regress_child_stranger;
SELECT count(*) FROM runs;
SELECT count(*) FROM find_runs('rights child 1');
SELECT count(*) FROM activity_tasks WHERE queue = 'rights';
SELECT count(*) FROM poll_activity('rights');
SELECT signal_workflow('rights child 1', 'go');
SELECT cancel_workflow('rights child 1');
SELECT terminate_workflow('rights child 1');
SELECT complete_activity_by_name('rights child 1', 'work');
RESET ROLE; SET ROLE regress_child_third;
SELECT count(*) FROM poll_activity('rights');
SELECT terminate_workflow('rights child 1');
RESET ROLE; SET ROLE regress_child_boss;
SELECT workflow_id, owner, starter FROM runs WHERE workflow_id LIKE 'rights child%' ORDER BY 1;
-- The parents are the clerk's alone.
SELECT count(*) FROM runs WHERE workflow_id LIKE 'rights parent%';
SELECT cancel_workflow('rights parent 1');
SELECT activity, complete_activity(token) FROM poll_activity('rights', max_tasks => 1, wait => '20 s');
RESET ROLE; SET ROLE regress_child_clerk;
SELECT count(complete_activity(token)::text) FROM poll_activity('rights', max_tasks => 2, wait => '20 s');
CALL run_pending();
SELECT signal_workflow('rights child 1', 'go', '"went"');
CALL run_pending();
SELECT status, output FROM find_runs('rights parent 1');
-- Canceled by way of the parent, and ended with it.
SELECT cancel_workflow('rights parent 2', 'no more');
CALL run_pending();
SELECT terminate_workflow('rights parent 3');
CALL run_pending();
SELECT workflow_id, status, error, cause FROM runs WHERE workflow_id ~ '^rights (parent|child) [23]' ORDER BY 1;
RESET ROLE;
SELECT what, who, count(*) FROM child_rights_log WHERE what ~ 'do' GROUP BY 1, 2 ORDER BY 1;

-- A grant that is taken back in the meantime: what runs goes on, what starts later is refused.
SET ROLE regress_child_clerk;
SELECT create_workflow('rights twice', '{"StartAt": "One", "States": {
	"One": {"Type": "Task", "Resource": "workflow:rights work", "WorkflowId": "rights twice 1", "ResultPath": null, "Next": "Two"},
	"Two": {"Type": "Task", "Resource": "workflow:rights work", "WorkflowId": "rights twice 2", "End": true}}}');
SELECT start_workflow('rights twice', '{}', 'rights twice') IS NOT NULL;
CALL run_pending();
RESET ROLE; SET ROLE regress_child_boss;
SELECT revoke_start('rights work', 'regress_child_clerk');
SELECT complete_activity_by_name('rights twice 1', 'work');
RESET ROLE; SET ROLE regress_child_clerk;
SELECT signal_workflow('rights twice 1', 'go');
CALL run_pending();
SELECT status, error, cause FROM find_runs('rights twice');
SELECT status FROM find_runs('rights twice 1');
SELECT count(*) FROM find_runs('rights twice 2');
RESET ROLE;

DROP FUNCTION child_rights_who;
DROP TABLE child_rights_log;
REVOKE EXECUTE ON FUNCTION create_workflow FROM regress_child_boss, regress_child_clerk, regress_child_third;
DROP ROLE regress_child_boss, regress_child_clerk, regress_child_third, regress_child_stranger;
