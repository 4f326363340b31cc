-- Updates: taking, refusing and answering them; and what is left when they fail.
SET client_min_messages = warning;
CREATE ROLE regress_update_owner;
CREATE ROLE regress_update_other;
CREATE SCHEMA update_test AUTHORIZATION regress_update_owner;
GRANT USAGE ON SCHEMA update_test TO regress_update_other;
GRANT EXECUTE ON FUNCTION expense_flow.create_workflow TO regress_update_owner;
SET ROLE regress_update_owner;
SET search_path = expense_flow, public;

CREATE TABLE update_test.log (id int GENERATED ALWAYS AS IDENTITY, what text, by name DEFAULT current_user);
CREATE FUNCTION update_test.check_item(item jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF jsonb_typeof(item -> 'price') IS DISTINCT FROM 'number' THEN
		RAISE EXCEPTION 'no price' USING ERRCODE = 'XX123', DETAIL = item::text, HINT = 'Say what it costs.';
	ELSIF item ->> 'name' = 'writes' THEN
		INSERT INTO update_test.log (what) VALUES ('validated');
	ELSIF item ->> 'name' = 'fails' THEN
		PERFORM expense_flow.fail('NotForSale', 'not this one');
	END IF;
END $$;
CREATE FUNCTION update_test.price(name text, price numeric, total numeric) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO update_test.log (what) VALUES (name);
	IF price < 0 THEN
		RAISE EXCEPTION 'negative price';
	END IF;
	RETURN jsonb_build_object('items', name, 'total', total + price);
END $$;
CREATE FUNCTION update_test.note(what text) RETURNS text LANGUAGE sql AS $$ INSERT INTO update_test.log (what) VALUES (what) RETURNING what $$;

-- A cart: it takes items until it is told to pay, and answers with the new total.
SELECT create_workflow('update_cart', '{"StartAt": "New", "States": {
	"New": {"Type": "Pass", "Assign": {"total": 0}, "Next": "Open"},
	"Open": {"Type": "Task", "Resource": "update:add", "Validator": "sql:update_test.check_item", "Respond": "Add", "TimeoutSeconds": 3600,
		"Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Abandoned"}], "Next": "Prepare"},
	"Prepare": {"Type": "Pass", "Parameters": {"name.$": "$.name", "price.$": "$.price", "total.$": "$total"}, "Next": "Add"},
	"Add": {"Type": "Task", "Resource": "sql:update_test.price", "Assign": {"total.$": "$.total"}, "Next": "Enough"},
	"Enough": {"Type": "Choice", "Choices": [{"Variable": "$.total", "NumericGreaterThanEquals": 100, "Next": "Paid"}], "Default": "Open"},
	"Paid": {"Type": "Succeed"},
	"Abandoned": {"Type": "Fail", "Error": "Abandoned"}}}');
SELECT count(start_workflow('update_cart', '"begin"', 'cart_1'));
CALL run_pending();
SELECT update_workflow('cart_1', 'add', '{"name": "tea", "price": 5}');
CALL run_pending();
SELECT update_workflow('cart_1', 'add', '{"name": "cups", "price": 20.5}', 'u1');
CALL run_pending();
SELECT query_workflow('cart_1', 'variables'), query_workflow('cart_1', 'activities') #>> '{awaits,0,address}' AS awaits;
SELECT h.type, h.state, h.details FROM history h JOIN find_runs('cart_1') USING (run_id) WHERE h.type LIKE 'Task%' AND h.state IN ('Open', 'Add') ORDER BY event_id;

-- The same update_id: one effect, the same answer; with something else it is an error.
SELECT update_workflow('cart_1', 'add', '{"price": 20.50, "name": "cups"}', 'u1');
SELECT update_workflow('cart_1', 'add', '{"name": "cups", "price": 21}', 'u1');
SELECT update_workflow('cart_1', 'pay', '{"name": "cups", "price": 20.5}', 'u1');
SELECT signal_workflow('cart_1', 'add', '{"name": "cups", "price": 20.5}', 'u1');
SELECT what, by FROM update_test.log ORDER BY id;

-- Refused: the sender gets the validator's error, the run has no trace of it.
SELECT update_workflow('cart_1', 'add', '{"name": "tea"}');
SELECT update_workflow('cart_1', 'add', '{"name": "tea", "price": "5"}', 'u2');
\echo :SQLSTATE
SELECT update_workflow('cart_1', 'add', '{"name": "writes", "price": 5}', 'u2');
SELECT update_workflow('cart_1', 'add', '{"name": "fails", "price": 5}', 'u2');
-- Failed: the same.
SELECT update_workflow('cart_1', 'add', '{"name": "wrong", "price": -5}', 'u2');
SELECT update_workflow('cart_1', 'add', '{"price": 5}', 'u2');
SELECT count(*) AS events, max(h.type) FILTER (WHERE h.type LIKE '%Failed') AS failed FROM history h JOIN find_runs('cart_1') USING (run_id);
SELECT b.state, b.status, b.retry_count, b.awaits FROM branches b JOIN find_runs('cart_1') USING (run_id);
SELECT what FROM update_test.log ORDER BY id;
-- its update_id was not used, then
SELECT update_workflow('cart_1', 'add', '{"name": "spoon", "price": 1}', 'u2');
CALL run_pending();

-- In a transaction: several, each on what the one before has left; rolled back, in whole or in part.
BEGIN;
SELECT update_workflow('cart_1', 'add', '{"name": "a", "price": 1}', 'u3');
SAVEPOINT s;
SELECT update_workflow('cart_1', 'add', '{"name": "b", "price": 1}', 'u4');
ROLLBACK TO s;
SELECT update_workflow('cart_1', 'add', '{"name": "c", "price": 1}', 'u4');
SELECT update_workflow('cart_1', 'add', '{"name": "c", "price": 1}', 'u4');
ROLLBACK TO s;
SELECT update_workflow('cart_1', 'add', '{"name": "refused"}');
ROLLBACK TO s;
SELECT update_workflow('cart_1', 'add', '{"name": "d", "price": 0.5}', 'u4');
SELECT query_workflow('cart_1', 'variables');
COMMIT;
BEGIN;
SELECT update_workflow('cart_1', 'add', '{"name": "e", "price": 1}', 'u5');
ROLLBACK;
DO $$
DECLARE
	v_name text;
BEGIN
	FOREACH v_name IN ARRAY ARRAY['fails', 'f', 'writes', 'g'] LOOP
		BEGIN
			RAISE WARNING '%: %', v_name, expense_flow.update_workflow('cart_1', 'add', jsonb_build_object('name', v_name, 'price', 0.25));
		EXCEPTION WHEN OTHERS THEN
			RAISE WARNING '%: % %', v_name, SQLSTATE, SQLERRM;
		END;
	END LOOP;
END $$;
CALL run_pending();
SELECT query_workflow('cart_1', 'variables');
SELECT what FROM update_test.log ORDER BY id;

-- The last one: the run goes on after the answer, and ends.
SELECT update_workflow('cart_1', 'add', '{"name": "gold", "price": 1000}', 'u6');
CALL run_pending();
SELECT status, output FROM find_runs('cart_1');
SELECT update_workflow('cart_1', 'add', '{"name": "gold", "price": 1000}', 'u6');
SELECT update_workflow('cart_1', 'add', '{"name": "gold", "price": 1000}', 'u7');
SELECT update_workflow('cart_1', 'add', '{"name": "gold", "price": 1000}');

-- The Task's timeout.
SELECT count(start_workflow('update_cart', '"begin"', 'cart_2'));
CALL run_pending('3599 s');
SELECT state FROM find_runs('cart_2');
CALL run_pending('3601 s');
SELECT status, error FROM find_runs('cart_2');
SELECT h.type, h.details FROM history h JOIN find_runs('cart_2') USING (run_id) WHERE h.type = 'TaskTimedOut';

-- Answers: the payload where Respond is missing; the Task's own output; of several names. The run may end with the answer.
SELECT create_workflow('update_answers', '{"StartAt": "A", "States": {
	"A": {"Type": "Task", "Resource": "update:a", "ResultSelector": {"got.$": "$"}, "Next": "B"},
	"B": {"Type": "Task", "Resource": "update:b", "ResultSelector": {"got.$": "$"}, "ResultPath": "$.b", "Respond": "B", "Next": "C"},
	"C": {"Type": "Task", "Resource": "update:x,y", "ResultPath": "$.c", "Respond": "D", "Next": "D"},
	"D": {"Type": "Pass", "End": true}}}');
SELECT count(start_workflow('update_answers', '{}', 'answers_1'));
CALL run_pending();
SELECT update_workflow('answers_1', 'a', '{"n": 1}');
CALL run_pending();
SELECT update_workflow('answers_1', 'b');
CALL run_pending();
BEGIN;
SELECT update_workflow('answers_1', 'y', '[1, 2]', 'last');
SELECT status, output FROM find_runs('answers_1');
COMMIT;
SELECT status, output FROM find_runs('answers_1');
SELECT update_workflow('answers_1', 'y', '[1, 2]', 'last');

-- What may come before the answer: failures that are caught or retried, waits within the timeout, signals that are there, runs
-- that are started and not waited for; and what may not.
SELECT create_workflow('update_between', '{"StartAt": "U", "States": {
	"U": {"Type": "Task", "Resource": "update:u", "Respond": "R", "Next": "How"},
	"How": {"Type": "Choice", "Choices": [
		{"Variable": "$.how", "StringEquals": "caught", "Next": "Caught"},
		{"Variable": "$.how", "StringEquals": "wait", "Next": "Wait"},
		{"Variable": "$.how", "StringEquals": "retry", "Next": "Retry"},
		{"Variable": "$.how", "StringEquals": "signal", "Next": "Signal"},
		{"Variable": "$.how", "StringEquals": "activity", "Next": "Activity"},
		{"Variable": "$.how", "StringEquals": "child", "Next": "Child"},
		{"Variable": "$.how", "StringEquals": "start", "Next": "Start"},
		{"Variable": "$.how", "StringEquals": "fork", "Next": "Fork"},
		{"Variable": "$.how", "StringEquals": "past", "Next": "Past"},
		{"Variable": "$.how", "StringEquals": "again", "Next": "U"},
		{"Variable": "$.how", "StringEquals": "loop", "Next": "Loop"},
		{"Variable": "$.how", "StringEquals": "compensate", "Next": "Compensate"},
		{"Variable": "$.how", "StringEquals": "fail", "Next": "Fail"}], "Default": "R"},
	"Caught": {"Type": "Task", "Resource": "sql:update_test.price", "Parameters": {"name": "caught", "price": -1, "total": 0}, "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.caught", "Next": "R"}], "End": true},
	"Wait": {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "R"},
	"Retry": {"Type": "Task", "Resource": "sql:update_test.price", "Parameters": {"name": "retry", "price": -1, "total": 0}, "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 30}], "Next": "R"},
	"Signal": {"Type": "Task", "Resource": "signal:s", "ResultPath": "$.s", "Next": "R"},
	"Activity": {"Type": "Task", "Resource": "activity:update_test/do", "Next": "R"},
	"Child": {"Type": "Task", "Resource": "workflow:update_answers", "Next": "R"},
	"Start": {"Type": "Task", "Resource": "workflow:update_answers", "WorkflowId": "between_child", "WaitForResult": false, "ResultPath": null, "Next": "R"},
	"Fork": {"Type": "Parallel", "Branches": [{"StartAt": "F", "States": {"F": {"Type": "Pass", "End": true}}}], "Next": "R"},
	"Past": {"Type": "Pass", "End": true},
	"Loop": {"Type": "Pass", "Next": "Loop"},
	"Compensate": {"Type": "Task", "Resource": "sql:update_test.note", "Parameters": {"what": "done"}, "ResultPath": "$.done", "Compensate": {"Resource": "sql:update_test.note", "Parameters": {"what": "undone"}}, "Next": "Fail"},
	"Fail": {"Type": "Fail", "Error": "Failed", "Cause": "as asked"},
	"R": {"Type": "Pass", "Next": "U"}}}');
SELECT count(start_workflow('update_between', '{}', 'between'));
CALL run_pending();
SELECT update_workflow('between', 'u', '{"how": "now"}');
CALL run_pending();
SELECT update_workflow('between', 'u', '{"how": "caught"}');
CALL run_pending();
SELECT update_workflow('between', 'u', '{"how": "start"}');
SELECT terminate_workflow('between_child');
CALL run_pending();
SELECT signal_workflow('between', 's', '"there"');
SELECT update_workflow('between', 'u', '{"how": "signal"}');
CALL run_pending();
SELECT update_workflow('between', 'u', '{"how": "wait", "seconds": 1}');
CALL run_pending();
CREATE TABLE update_test.before AS SELECT h.* FROM history h JOIN find_runs('between') USING (run_id);
SELECT update_workflow('between', 'u', '{"how": "signal"}');
\echo :SQLSTATE
\set SHOW_CONTEXT never
SELECT update_workflow('between', 'u', '{"how": "activity"}');
\set VERBOSITY terse
SELECT update_workflow('between', 'u', '{"how": "child"}');
\set VERBOSITY default
SELECT update_workflow('between', 'u', '{"how": "fork"}');
SELECT update_workflow('between', 'u', '{"how": "past"}');
SELECT update_workflow('between', 'u', '{"how": "again"}');
SELECT update_workflow('between', 'u', '{"how": "retry"}');
DO $$
BEGIN
	PERFORM expense_flow.update_workflow('between', 'u', '{"how": "wait", "seconds": 60}');
EXCEPTION WHEN SQLSTATE 'EF013' THEN
	RAISE WARNING 'waits for too long';
END $$;
SELECT update_workflow('between', 'u', '{"how": "loop"}', timeout => '500 ms');
\echo :SQLSTATE
SELECT update_workflow('between', 'u', '{"how": "fail"}');
\echo :SQLSTATE
SELECT update_workflow('between', 'u', '{"how": "compensate"}');
SELECT update_workflow('between', 'u', '{}');
\set SHOW_CONTEXT errors
-- nothing is left of those
(SELECT h.type, h.state FROM history h JOIN find_runs('between') USING (run_id)) EXCEPT ALL SELECT type, state FROM update_test.before;
SELECT count(*) FROM activity_tasks t JOIN find_runs('between') USING (run_id);
SELECT count(*) FROM update_test.log WHERE what IN ('retry', 'caught', 'done', 'undone');
SELECT r.status, r.state, b.status FROM branches b JOIN find_runs('between') r USING (run_id);
SELECT terminate_workflow('between');

-- Not taken: the run is elsewhere; it is not started; it cannot come to it.
SELECT create_workflow('update_late', '{"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "signal:go", "Next": "U"},
	"U": {"Type": "Task", "Resource": "update:u", "ResultPath": null, "Next": "V"}, "V": {"Type": "Task", "Resource": "arn:update_test:v", "End": true}}}');
SELECT count(start_workflow('update_late', '{}', 'late'));
CALL run_pending();
SELECT update_workflow('late', 'u', timeout => '0');
\echo :SQLSTATE
SELECT update_workflow('late', 'u', update_id => 'x', timeout => '20 ms');
SELECT update_workflow('late', 'unknown');
RESET ROLE;
SELECT create_resource_alias('arn:update_test:v', 'update:v,w');
SET ROLE regress_update_owner;
SELECT update_workflow('late', 'unknown');
SELECT signal_workflow('late', 'go');
CALL run_pending();
SELECT update_workflow('late', 'u', '{"x": 1}', 'x');
CALL run_pending();
SELECT update_workflow('late', 'w', '{"x": 2}');
CALL run_pending();
SELECT status, output FROM find_runs('late');
SELECT create_workflow('update_none', '{"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "signal:go", "End": true}}}');
SELECT update_with_start('update_none', 'none', 'u');
SELECT count(*) FROM find_runs('none');

-- update_with_start: the run is started and comes to the update in the same transaction; or it is there.
SELECT update_with_start('update_cart', 'cart_3', 'add', '{"name": "h", "price": 3}', '{}', 'w1');
SELECT update_with_start('update_cart', 'cart_3', 'add', '{"name": "h", "price": 3}', '{}', 'w1');
CALL run_pending();
SELECT update_with_start('update_cart', 'cart_3', 'add', '{"name": "i", "price": 4}', '{}', 'w2');
SELECT count(*) FROM find_runs('cart_3');
SELECT update_with_start('update_cart', 'cart_4', 'add', '{"name": "no price"}');
SELECT update_with_start('update_cart', 'cart_4', 'add', '{"name": "wrong", "price": -1}');
SELECT update_with_start('update_late', 'late_2', 'u', timeout => '1 hour');
SELECT count(*) FROM runs WHERE workflow_id IN ('cart_4', 'late_2');
BEGIN;
SELECT count(start_workflow('update_cart', '{}', 'cart_4'));
SELECT update_workflow('cart_4', 'add', '{"name": "j", "price": 100}', 'w3');
SELECT update_with_start('update_cart', 'cart_5', 'add', '{"name": "k", "price": 99}', '{}', 'w3');
SELECT update_with_start('update_cart', 'cart_5', 'add', '{"name": "l", "price": 1}', '{}', 'w4');
COMMIT;
CALL run_pending();
SELECT workflow_id, status, output FROM runs WHERE workflow_id IN ('cart_4', 'cart_5') ORDER BY 1;
SELECT update_with_start('update_cart', 'cart_5', 'add', '{"name": "l", "price": 1}', '{}', 'w4');
\set VERBOSITY terse
SELECT update_with_start('update_cart', 'cart_5', 'add', '{"name": "m", "price": 1}', '{}', 'w5', on_reuse => 'reject');
\set VERBOSITY default
\echo :SQLSTATE
SELECT update_with_start('update_cart', 'cart_5', 'add', '{"name": "m", "price": 1}', '{}', 'w4');
SELECT update_with_start('update_cart', 'cart_5', 'add', '{"name": "m", "price": 1}', '{}', 'w5');
SELECT count(*) FROM find_runs('cart_5');
-- a run that ends, one way or the other, before it comes to the update
SELECT create_workflow('update_ends', '{"StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": [{"Variable": "$", "StringEquals": "fail", "Next": "F"}, {"Variable": "$", "StringEquals": "end", "Next": "S"}], "Default": "P"},
	"F": {"Type": "Fail", "Error": "Early", "Cause": "failed before"}, "S": {"Type": "Succeed"},
	"P": {"Type": "Parallel", "Next": "Q", "Branches": [{"StartAt": "P1", "States": {"P1": {"Type": "Pass", "End": true}}}, {"StartAt": "P2", "States": {"P2": {"Type": "Wait", "Seconds": 0, "End": true}}}]},
	"Q": {"Type": "Task", "Resource": "update:u", "Respond": "R", "Next": "R"}, "R": {"Type": "Pass", "End": true}}}');
SELECT update_with_start('update_ends', 'ends', 'u', input => '"fail"');
SELECT update_with_start('update_ends', 'ends', 'u', input => '"end"');
SELECT update_with_start('update_ends', 'ends', 'u', '"through branches"', '"go on"');
SELECT status, output FROM find_runs('ends');

-- In branches: each update is taken by one of those that wait for it.
SELECT create_workflow('update_map', '{"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "U", "States": {
	"U": {"Type": "Task", "Resource": "update:item", "Respond": "R", "ResultPath": "$.got", "Next": "R"}, "R": {"Type": "Pass", "End": true}}}}}}');
SELECT count(start_workflow('update_map', '[{"i": 1}, {"i": 2}, {"i": 3}]', 'map'));
CALL run_pending();
SELECT a -> 'got' AS got FROM (SELECT update_workflow('map', 'item', to_jsonb(i)) AS a FROM generate_series(1, 2) i) u ORDER BY 1;
CALL run_pending();
BEGIN;
SELECT update_workflow('map', 'item', '3') -> 'got' AS got;
SELECT update_workflow('map', 'item', '4');
\echo :SQLSTATE
ROLLBACK;
SELECT update_workflow('map', 'item', '5') -> 'got' AS got;
CALL run_pending();
SELECT status, (SELECT jsonb_agg(v -> 'got' ORDER BY v -> 'got') FROM jsonb_array_elements(output) v) AS got FROM find_runs('map');

-- A step that is taken by an update is compensated as any other.
SELECT create_workflow('update_saga', '{"StartAt": "U", "States": {"U": {"Type": "Task", "Resource": "update:book", "Respond": "R", "Next": "R",
	"Compensate": {"Resource": "sql:update_test.note", "Parameters": {"what.$": "States.Format(''compensated {}'', $)"}}},
	"R": {"Type": "Pass", "Next": "S"}, "S": {"Type": "Task", "Resource": "signal:go", "End": true}}}');
SELECT update_with_start('update_saga', 'saga', 'book', '"a room"');
CALL run_pending();
SELECT cancel_workflow('saga');
CALL run_pending();
SELECT status FROM find_runs('saga');
SELECT what FROM update_test.log WHERE what LIKE 'compensated%';

-- Cancelling: in the same transaction, and before.
SELECT count(start_workflow('update_answers', '{}', w)) FROM unnest(ARRAY['answers_2', 'answers_3']) w;
CALL run_pending();
BEGIN;
SELECT cancel_workflow('answers_2', 'enough');
SELECT update_workflow('answers_2', 'a');
ROLLBACK;
BEGIN;
SELECT update_workflow('answers_2', 'a', '1');
SELECT cancel_workflow('answers_2', 'enough');
COMMIT;
CALL run_pending();
SELECT status, cause FROM find_runs('answers_2');
SELECT update_workflow('answers_2', 'a');
BEGIN;
SELECT update_workflow('answers_3', 'a', '1');
SELECT terminate_workflow('answers_3');
SELECT update_workflow('answers_3', 'b', '1');
ROLLBACK;
SELECT state FROM find_runs('answers_3');
SELECT terminate_workflow('answers_3');

-- From an activity of another run, with which it succeeds or fails; and to its own, which is at work.
CREATE FUNCTION update_test.send(to_run text, price int) RETURNS jsonb LANGUAGE sql AS $$
	SELECT expense_flow.update_workflow(to_run, 'add', jsonb_build_object('name', 'sent', 'price', price), timeout => CASE WHEN to_run = 'self' THEN '50 ms' ELSE '1 minute' END::interval) $$;
SELECT create_workflow('update_sender', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:update_test.send", "Catch": [{"ErrorEquals": ["XX123", "EF005", "EF012"], "Next": "C"}], "End": true}, "C": {"Type": "Pass", "End": true}}}');
SELECT create_workflow('update_self', '{"StartAt": "U", "States": {"U": {"Type": "Task", "Resource": "update:add", "ResultSelector": {"to_run": "self", "price": 1}, "Respond": "A", "Next": "A"},
	"A": {"Type": "Task", "Resource": "sql:update_test.send", "Catch": [{"ErrorEquals": ["EF012"], "Next": "C"}], "End": true}, "C": {"Type": "Pass", "End": true}}}');
SELECT count(start_workflow('update_cart', '{}', 'cart_6'));
CALL run_pending();
SELECT count(start_workflow('update_sender', '{"to_run": "cart_6", "price": 5}', 'sender_1'));
CALL run_pending();
SELECT count(start_workflow('update_sender', '{"to_run": "cart_6", "price": -5}', 'sender_2'));
CALL run_pending();
SELECT workflow_id, status, output FROM runs WHERE workflow_id LIKE 'sender\_%' ORDER BY 1;
SELECT query_workflow('cart_6', 'variables');
SELECT run_workflow('update_sender', '{"to_run": "cart_6", "price": 1}');
CALL run_pending();
SELECT update_with_start('update_self', 'self', 'add') ->> 'Error' AS error;

-- In run_workflow() nobody can send one.
SELECT run_workflow('update_answers');

-- Deferred triggers of the sender wait for his commit.
CREATE FUNCTION update_test.deferred() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'deferred trigger: %', NEW.what; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON update_test.log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION update_test.deferred();
BEGIN;
INSERT INTO update_test.log (what) VALUES ('mine');
SELECT update_workflow('cart_6', 'add', '{"name": "deferred", "price": 1}');
\echo before the commit
COMMIT;
DROP TRIGGER deferred ON update_test.log;
CALL run_pending();

-- Rights: another role's run; a member of the owner's role; the starter of a run that has its owner's rights.
RESET ROLE;
SET ROLE regress_update_other;
SELECT update_workflow('cart_6', 'add', '{"name": "thief", "price": 1}');
SELECT update_with_start('update_cart', 'cart_6', 'add', '{"name": "thief", "price": 1}');
\echo :SQLSTATE
RESET ROLE;
GRANT regress_update_owner TO regress_update_other;
SET ROLE regress_update_other;
SELECT update_workflow('cart_6', 'add', '{"name": "member", "price": 1}');
CALL run_pending();
RESET ROLE;
REVOKE regress_update_owner FROM regress_update_other;
SELECT update_workflow('cart_6', 'add', '{"name": "superuser", "price": 1}');
SELECT what, by FROM update_test.log WHERE what IN ('thief', 'member', 'superuser') ORDER BY id;
SET ROLE regress_update_owner;
SELECT create_workflow('update_owned', '{"StartAt": "U", "States": {"U": {"Type": "Task", "Resource": "update:try", "Respond": "R", "Next": "R"}, "R": {"Type": "Task", "Resource": "sql:update_test.try", "End": true}}}', run_as => 'owner');
SELECT grant_start('update_owned', 'regress_update_other');
CREATE FUNCTION update_test.try(jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE $1 #>> '{}';
	RETURN current_user;
END $$;
SET ROLE regress_update_other;
SELECT count(start_workflow('update_owned', workflow_id => 'owned'));
CALL run_pending();
SELECT update_workflow('owned', 'try', '"SET ROLE regress_update_other"');
SELECT update_workflow('owned', 'try', '"CREATE TEMPORARY TABLE leak (i int)"');
SELECT update_workflow('owned', 'try', '"PREPARE leak AS SELECT 1"');
SELECT update_workflow('owned', 'try', '"SET update_test.leak = 1"');
SELECT current_setting('update_test.leak', true) AS leak;
SET ROLE regress_update_owner;

-- Misuse.
SELECT update_workflow(NULL, 'add');
SELECT update_workflow('cart_6', NULL);
SELECT update_workflow('cart_6', '');
SELECT update_workflow('cart_6', 'a,b');
SELECT update_workflow('cart_6', 'add', timeout => NULL);
SELECT update_workflow('cart_6', 'add', timeout => '-1 s');
SELECT update_workflow('cart_6', 'add', 'no json');
SELECT update_workflow('cart_6', 'add', to_jsonb(repeat('x', 10000000)));
BEGIN READ ONLY;
SELECT update_workflow('cart_6', 'add', '{"name": "nothing", "price": 0}');
ROLLBACK;
SELECT update_workflow('unknown', 'add');
SELECT update_workflow('01a00000-0000-7000-8000-000000000000', 'add');
SELECT update_with_start('unknown', 'w', 'add');
SELECT update_with_start('update_cart', NULL, 'add');
SELECT update_with_start('update_cart', '', 'add');
SELECT update_with_start('update_cart', 'w', NULL);
SELECT update_with_start('update_cart', 'w', 'add', input => NULL);
SELECT update_with_start('update_cart', 'w', 'add', on_reuse => 'perhaps');
SELECT update_with_start('update_cart', 'w', 'add', version => 9);
SELECT update_with_start('update_cart', 'w', 'add', to_jsonb(repeat('x', 10000000)));
SELECT count(*) FROM find_runs('w');

SELECT count(terminate_workflow(workflow_id)) > 0 AS terminated FROM runs WHERE status = 'RUNNING' AND workflow LIKE 'update\_%';
RESET ROLE;
SELECT drop_resource_alias('arn:update_test:v');
DROP SCHEMA update_test CASCADE;
REVOKE ALL ON FUNCTION expense_flow.create_workflow FROM regress_update_owner;
DROP ROLE regress_update_owner, regress_update_other;
