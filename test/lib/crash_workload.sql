-- What the tests with crashes run: the application's own workflows, and some that leave a mark for each step, which no
-- constraint keeps from being left twice.  invariants.sql knows what must be true of it.

CREATE EXTENSION expense_flow;

CREATE TABLE asked (workflow_id text PRIMARY KEY, kind text NOT NULL);	-- written together with each start
CREATE TABLE trace (id text NOT NULL, what text NOT NULL);
CREATE INDEX ON trace (id);
CREATE TABLE purse (id int PRIMARY KEY, balance numeric NOT NULL);
INSERT INTO purse SELECT i, 1000 FROM generate_series(0, 9) i;
CREATE TABLE ledger (id int PRIMARY KEY, v bigint NOT NULL);
SELECT expense_flow.capture_changes('ledger');
INSERT INTO ledger SELECT i, 0 FROM generate_series(0, 9) i;
-- What has been checked and removed since.
CREATE TABLE archived (starts bigint NOT NULL, marks bigint NOT NULL);
INSERT INTO archived VALUES (0, 0);
INSERT INTO expense_flow.account (account_id, balance) SELECT i, 1000000 FROM generate_series(1, 10) i;

-- One row of the captured table for each mark, and for each start.
CREATE FUNCTION count_up(id text) RETURNS void LANGUAGE sql AS $$
	UPDATE public.ledger SET v = v + 1 WHERE ledger.id = abs(hashtext($1) % 10)
$$;
CREATE FUNCTION mark(id text, what text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO public.trace VALUES (id, what);
	SELECT public.count_up(id)
$$;
CREATE FUNCTION move(id text, what text, purse int, amount numeric) RETURNS void LANGUAGE sql AS $$
	UPDATE public.purse p SET balance = balance + amount WHERE p.id = purse;
	SELECT public.mark(id, what)
$$;
CREATE FUNCTION mark_and_fail(id text, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.mark(id, what);
	PERFORM expense_flow.fail('Refused', what);
END $$;

-- A Task that leaves a mark.
CREATE FUNCTION mark_state(what text, next text DEFAULT NULL, id text DEFAULT '$$.Execution.Name', more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('Type', 'Task', 'Resource', 'sql:public.mark', 'ResultPath', null,
		'Parameters', jsonb_build_object('id.$', id, 'what', what))
		|| CASE WHEN next IS NULL THEN '{"End": true}' ELSE jsonb_build_object('Next', next) END || more
$$;

SELECT expense_flow.create_workflow('hop', '{"StartAt": "Mark take", "States": {
	"Mark take": {"Type": "Task", "Resource": "sql:public.move", "ResultPath": null, "Next": "Mark give",
		"Parameters": {"id.$": "$$.Execution.Name", "what": "take", "purse.$": "$.from", "amount": -1}},
	"Mark give": {"Type": "Task", "Resource": "sql:public.move", "ResultPath": null, "Next": "Mark note",
		"Parameters": {"id.$": "$$.Execution.Name", "what": "give", "purse.$": "$.to", "amount": 1}},
	"Mark note": {"Type": "Task", "Resource": "sql:public.mark", "End": true,
		"Parameters": {"id.$": "$$.Execution.Name", "what": "note"}}}}');

SELECT expense_flow.create_workflow('fan', json_build_object('StartAt', 'Both', 'States', json_build_object(
	'Both', json_build_object('Type', 'Parallel', 'ResultPath', null, 'Next', 'Each', 'Branches', json_build_array(
		json_build_object('StartAt', 'Mark left', 'States', json_build_object('Mark left', mark_state('left'))),
		json_build_object('StartAt', 'Mark right', 'States', json_build_object('Mark right', mark_state('right', 'Mark more'),
			'Mark more', mark_state('more'))))),
	'Each', '{"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2, "ResultPath": null, "Next": "Mark end",
		"ItemSelector": {"id.$": "$$.Execution.Name", "what.$": "States.Format(''item {}'', $$.Map.Item.Value)"},
		"ItemProcessor": {"StartAt": "Mark item", "States": {"Mark item": {"Type": "Task", "Resource": "sql:public.mark", "End": true}}}}'::json,
	'Mark end', mark_state('end'))));

SELECT expense_flow.create_workflow('outside', '{"StartAt": "Double", "States": {
	"Double": {"Type": "Task", "Resource": "activity:crash/double", "InputPath": "$.n", "ResultPath": "$.doubled", "StartToCloseSeconds": 3,
		"Retry": [{"ErrorEquals": ["States.Timeout"], "MaxAttempts": 1000, "BackoffRate": 1.0}], "Next": "Mark doubled"},
	"Mark doubled": {"Type": "Task", "Resource": "sql:public.mark", "End": true,
		"Parameters": {"id.$": "$$.Execution.Name", "what.$": "States.Format(''doubled {}'', $.doubled)"}}}}');

SELECT expense_flow.create_workflow('listen', '{"StartAt": "First", "States": {
	"First": {"Type": "Task", "Resource": "signal:go", "Next": "Mark first"},
	"Mark first": {"Type": "Task", "Resource": "sql:public.mark", "ResultPath": null, "Next": "Second",
		"Parameters": {"id.$": "$$.Execution.Name", "what.$": "States.Format(''heard {}'', $)"}},
	"Second": {"Type": "Task", "Resource": "signal:go", "Next": "Mark second"},
	"Mark second": {"Type": "Task", "Resource": "sql:public.mark", "ResultPath": null, "End": true,
		"Parameters": {"id.$": "$$.Execution.Name", "what.$": "States.Format(''heard {}'', $)"}}}}');

SELECT expense_flow.create_workflow('nap', json_build_object('StartAt', 'Sleep', 'States', json_build_object(
	'Sleep', '{"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Mark woke"}'::json,
	'Mark woke', mark_state('woke', id => '$.mark'))));

SELECT expense_flow.create_workflow('family', json_build_object('StartAt', 'Child', 'States', json_build_object(
	'Child', '{"Type": "Task", "Resource": "workflow:nap", "Parameters": {"seconds.$": "$.seconds", "mark.$": "$$.Execution.Name"}, "ResultPath": null, "Next": "Mark parent"}'::json,
	'Mark parent', mark_state('parent'))));

SELECT expense_flow.create_workflow('saga', json_build_object('StartAt', 'Mark one', 'States', json_build_object(
	'Mark one', mark_state('one', 'Mark two', more => '{"Compensate": {"Resource": "sql:public.mark", "Parameters": {"id.$": "$.id", "what": "undo one"}}}'),
	'Mark two', mark_state('two', 'Fail', more => '{"Compensate": {"Resource": "sql:public.mark", "Parameters": {"id.$": "$.id", "what": "undo two"}}}'),
	'Fail', '{"Type": "Task", "Resource": "sql:public.mark_and_fail", "Parameters": {"id.$": "$.id", "what": "never"}, "End": true}'::json)));

-- Start a run of a kind, and note that in the same transaction.
CREATE FUNCTION ask(kind text, id text, n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_input jsonb := CASE kind
		WHEN 'hop' THEN jsonb_build_object('from', n % 10, 'to', n * 7 % 10)
		WHEN 'fan' THEN '{"items": [1, 2, 3, 4]}'
		WHEN 'outside' THEN jsonb_build_object('n', n)
		WHEN 'nap' THEN jsonb_build_object('seconds', n % 3, 'mark', id)
		WHEN 'family' THEN jsonb_build_object('seconds', n % 3)
		WHEN 'saga' THEN jsonb_build_object('id', id)
		WHEN 'spending' THEN jsonb_build_object('account_id', n % 10 + 1,
			'transactions', jsonb_build_array(jsonb_build_object('id', id, 'description', 'Groceries', 'amount', 0.25)))
		WHEN 'money_transfer' THEN jsonb_build_object('transfer_id', id, 'from_account', n % 10 + 1,
			'to_account', CASE WHEN n % 4 = 0 THEN 999 ELSE (n + 1 + n % 3) % 10 + 1 END, 'amount', 0.5)
		ELSE '{}'
	END;
BEGIN
	INSERT INTO public.asked VALUES (id, kind);
	PERFORM expense_flow.start_workflow(CASE WHEN kind IN ('canceled', 'terminated') THEN 'listen' ELSE kind END, v_input, id);
	PERFORM public.count_up(id);
END $$;

-- All is checked: forget what is closed.
CREATE FUNCTION archive() RETURNS void LANGUAGE sql AS $$
	UPDATE archived SET starts = starts + (SELECT count(*) FROM asked), marks = marks + (SELECT count(*) FROM trace);
	DELETE FROM asked;
	DELETE FROM trace
$$;
