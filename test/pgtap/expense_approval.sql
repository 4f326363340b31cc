-- The workflow expense_approval: its table, its activities, and where each state leads. (Whole runs with signals: test/sql/signals.sql, scenario_expense.sql.)
BEGIN;
SELECT plan(44);

INSERT INTO expense_flow.account (account_id, owner, balance) VALUES (905, 'Ada', 100);

CREATE FUNCTION pg_temp.create_expense(p_changes jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT expense_flow.create_expense('{"account_id": 905, "expense_id": "e", "amount": 30}'::jsonb || p_changes, 'the run')
$$;
CREATE FUNCTION pg_temp.balance() RETURNS numeric LANGUAGE sql AS $$
	SELECT trim_scale(balance) FROM expense_flow.account WHERE account_id = 905
$$;
CREATE FUNCTION pg_temp.state(p_state text, p_input jsonb, p_mock jsonb DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$
	SELECT expense_flow.test_state(w.definition, p_input, p_state, p_mock, context => '{"Execution": {"Id": "the run"}}')
	FROM expense_flow.workflows w WHERE w.name = 'expense_approval'
$$;

-- the table
SELECT has_table('expense_flow', 'expense', 'there is a table of expenses');
SELECT col_is_pk('expense_flow', 'expense', 'expense_id', 'with a key of the caller''s');
SELECT fk_ok('expense_flow', 'expense', 'account_id', 'expense_flow', 'account', 'account_id', 'of accounts');
SELECT col_not_null('expense_flow', 'expense', 'amount', 'and amounts');
SELECT throws_ok($$INSERT INTO expense_flow.expense (expense_id, account_id, amount) VALUES ('x', 905, 0)$$, '23514', NULL, 'that are positive');
SELECT throws_ok($$INSERT INTO expense_flow.expense (expense_id, account_id, amount) VALUES ('', 905, 1)$$, '23514', NULL, 'an empty key is none');
SELECT throws_ok($$INSERT INTO expense_flow.expense (expense_id, account_id, amount, status) VALUES ('x', 905, 1, 'PAID')$$, '23514', NULL, 'only known statuses');
SELECT throws_ok($$INSERT INTO expense_flow.expense (expense_id, account_id, amount, status) VALUES ('x', 905, 1, 'COMPLETED')$$, '23514', NULL,
				 'what is settled has a time');
SELECT throws_ok($$INSERT INTO expense_flow.expense (expense_id, account_id, amount, settled_at) VALUES ('x', 905, 1, now())$$, '23514', NULL,
				 'what is not has none');

-- create_expense
SELECT is(pg_temp.create_expense('{"description": "Hotel"}'), '{"expense_id": "e", "timeout_seconds": 600}', 'an expense, by default decided in ten minutes');
SELECT is(to_jsonb(e) - 'created_at', '{"expense_id": "e", "account_id": 905, "description": "Hotel", "amount": 30, "status": "CREATED", "settled_at": null}', 'is recorded')
FROM expense_flow.expense e WHERE expense_id = 'e';
SELECT is(pg_temp.balance(), 100::numeric, 'and not paid yet');
SELECT is(pg_temp.create_expense('{"expense_id": null, "timeout_seconds": 1}'), '{"expense_id": "the run", "timeout_seconds": 1}', 'without an id it has the run''s');
SELECT is((SELECT description FROM expense_flow.expense WHERE expense_id = 'the run'), 'Uncategorized', 'and a description all the same');
SELECT throws_ok(format('SELECT pg_temp.create_expense(%L)', i), 'EF100', e, d)
FROM (VALUES
	(1, '{}', 'ExpenseConflict', 'an id is used once'),
	(2, '{"expense_id": ""}', 'InvalidInput', 'an empty id'),
	(3, jsonb_build_object('expense_id', repeat('x', 201))::text, 'InvalidInput', 'a long id'),
	(4, '{"amount": null}', 'InvalidAmount', 'no amount'),
	(5, '{"amount": 0}', 'InvalidAmount', 'nothing'),
	(6, '{"amount": -1}', 'InvalidAmount', 'less than nothing'),
	(7, '{"amount": 0.001}', 'InvalidAmount', 'less than a penny'),
	(8, '{"amount": "30"}', 'InvalidAmount', 'a string'),
	(9, '{"account_id": 999999}', 'AccountNotFound', 'no such account'),
	(10, '{"account_id": null}', 'AccountNotFound', 'no account'),
	(11, '{"timeout_seconds": 0}', 'InvalidInput', 'no time to decide'),
	(12, '{"timeout_seconds": 1.5}', 'InvalidInput', 'half a second'),
	(13, '{"timeout_seconds": "10"}', 'InvalidInput', 'a string for a time')) v (n, i, e, d)
ORDER BY n;

-- pay_expense
SELECT is(expense_flow.pay_expense('e'), '{"expense_id": "e", "account_id": 905, "description": "Hotel", "amount": 30, "status": "COMPLETED"}', 'paid');
SELECT is(pg_temp.balance(), 70::numeric, 'from the account');
SELECT is(t.description || ' ' || t.amount, 'Hotel 30', 'as a transaction with its id') FROM expense_flow.transaction t WHERE account_id = 905 AND transaction_id = 'e';
SELECT throws_ok($$SELECT expense_flow.pay_expense('e')$$, 'EF100', 'ExpenseConflict', 'once');
SELECT throws_ok($$SELECT expense_flow.settle_expense('e', 'REJECTED')$$, 'EF100', 'ExpenseConflict', 'and then not rejected');
SELECT lives_ok($$SELECT pg_temp.create_expense('{"expense_id": "big", "amount": 70.01}')$$, 'more than there is may be asked for');
SELECT throws_ok($$SELECT expense_flow.pay_expense('big')$$, 'EF100', 'InsufficientFunds', 'but not paid');
SELECT is(pg_temp.balance(), 70::numeric, 'which leaves the balance');
SELECT is((SELECT status FROM expense_flow.expense WHERE expense_id = 'big'), 'CREATED', 'and the expense as it was');

-- settle_expense
SELECT is(expense_flow.settle_expense('big', 'TIMED_OUT') ->> 'status', 'TIMED_OUT', 'not paid, because nobody decided');
SELECT throws_ok($$SELECT expense_flow.settle_expense('big', 'REJECTED')$$, 'EF100', 'ExpenseConflict', 'once');

-- where the states lead
SELECT is_empty($$SELECT v.* FROM expense_flow.workflows w, expense_flow.validate_workflow(w.definition) v WHERE w.name = 'expense_approval'$$, 'the definition is valid');
SELECT is(pg_temp.state('Await decision', i, m) ->> 'nextState', n, d)
FROM (VALUES
	(1, '{"expense_id": "e", "timeout_seconds": 5}'::jsonb, '{"result": {"signal": "approve", "payload": null}}'::jsonb, 'Decide', 'a signal is decided about'),
	(2, '{"expense_id": "e", "timeout_seconds": 5}', '{"errorOutput": {"error": "States.Timeout", "cause": "none came"}}', 'Time out', 'no signal is a timeout'),
	(3, '{"expense_id": "e", "timeout_seconds": 5}', '{"errorOutput": {"error": "Canceled", "cause": "no more"}}', 'Cancel', 'a request to cancel is cleaned up after')) v (o, i, m, n, d)
ORDER BY o;
SELECT is(pg_temp.state('Decide', '{"decision": {"signal": "approve"}}') ->> 'nextState', 'Pay', 'approved: pay');
SELECT is(pg_temp.state('Decide', '{"decision": {"signal": "reject"}}') ->> 'nextState', 'Reject', 'rejected: do not');

SELECT * FROM finish();
ROLLBACK;
