-- The workflow spending and its activities, at every boundary.
BEGIN;
SELECT plan(58);

-- What a run of a workflow ends with: its output, or error and cause as text.
CREATE FUNCTION pg_temp.failure(p_workflow text, p_input jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_message	text;
	v_detail	text;
BEGIN
	RETURN 'no failure, but ' || expense_flow.run_workflow(p_workflow, p_input)::text;
EXCEPTION
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
		RETURN concat_ws(' / ', v_message, nullif(v_detail, ''));
END
$$;
CREATE FUNCTION pg_temp.spend(p_account_id bigint, p_transactions jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT expense_flow.run_workflow('spending', jsonb_build_object('account_id', p_account_id, 'transactions', p_transactions))
$$;
-- A batch of one transaction, with this amount as JSON.
CREATE FUNCTION pg_temp.one(p_id text, p_amount jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_array(jsonb_build_object('id', p_id, 'description', 'Test', 'amount', p_amount))
$$;
CREATE FUNCTION pg_temp.balance(p_account_id bigint) RETURNS numeric LANGUAGE sql AS $$
	SELECT balance FROM expense_flow.account WHERE account_id = p_account_id
$$;
CREATE FUNCTION pg_temp.saved(p_account_id bigint) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM expense_flow.transaction WHERE account_id = p_account_id
$$;

INSERT INTO expense_flow.account (account_id, owner, balance, spending_limit)
VALUES (901, 'Ada', 1000, 100), (902, 'Bob', 60, 100), (903, 'Cy', 1e15, 1e15), (904, 'Di', 0, 0);

-- accepted
SELECT is(pg_temp.spend(901, '[{"id": 111, "description": "Groceries", "amount": 50, "occurred_at": "2018-03-01T10:00:00Z"},
							   {"id": 112, "description": "Fuel", "amount": 30, "occurred_at": "2018-03-02T10:00:00+01:00"},
							   {"id": 113, "description": "Groceries", "amount": 20}]'),
		  '{"account_id": 901, "accepted": true, "total": 100, "saved": 3, "balance": 900}',
		  '50 + 30 + 20 with the limit 100');
SELECT is(pg_temp.balance(901), 900::numeric, 'the account is debited');
SELECT results_eq($$
	SELECT transaction_id, description, amount::numeric, attributes FROM expense_flow.transaction
	WHERE account_id = 901 ORDER BY 1
$$, $$VALUES ('111', 'Groceries', 50::numeric, '{}'::jsonb), ('112', 'Fuel', 30, '{}'), ('113', 'Groceries', 20, '{}')$$,
	'every transaction is saved');
SELECT results_eq($$
	SELECT occurred_at FROM expense_flow.transaction WHERE account_id = 901 AND transaction_id IN ('111', '112') ORDER BY 1
$$, $$VALUES ('2018-03-01 10:00:00Z'::timestamptz), ('2018-03-02 09:00:00Z')$$, 'with its time');
SELECT cmp_ok((SELECT occurred_at FROM expense_flow.transaction WHERE account_id = 901 AND transaction_id = '113'), '>=', now(),
			  'occurred_at is now by default');

-- the limit
SELECT is(pg_temp.spend(901, pg_temp.one('200', '100.01')),
		  '{"account_id": 901, "accepted": false, "message": "Spending limit exceeded", "total": 100.01, "spending_limit": 100, "saved": 0}',
		  '100.01 is over the limit');
SELECT is(pg_temp.balance(901), 900::numeric, 'and debits nothing');
SELECT is(pg_temp.saved(901), 3::bigint, 'and saves nothing');
SELECT is(pg_temp.spend(901, '[{"id": "a", "description": "A", "amount": 99.99}, {"id": "b", "description": "B", "amount": 0.02}]') ->> 'accepted',
		  'false', '99.99 + 0.02 is over the limit');
SELECT is(pg_temp.spend(901, '[{"id": "a", "description": "A", "amount": 99.99}, {"id": "b", "description": "B", "amount": 0.01}]'),
		  '{"account_id": 901, "accepted": true, "total": 100, "saved": 2, "balance": 800}', '99.99 + 0.01 is not');
SELECT is(pg_temp.spend(904, pg_temp.one('1', '0.01')) ->> 'message', 'Spending limit exceeded', 'a limit of 0 lets nothing pass');
SELECT is(pg_temp.spend(904, pg_temp.one('1', '0')) ->> 'accepted', 'true', 'but a gift');

-- the balance
SELECT is(pg_temp.spend(902, pg_temp.one('1', '60.01')),
		  '{"account_id": 902, "accepted": false, "message": "Insufficient funds", "total": 60.01, "balance": 60, "saved": 0}',
		  'more than the balance');
SELECT is(pg_temp.saved(902), 0::bigint, 'saves nothing');
SELECT is(pg_temp.spend(902, pg_temp.one('1', '60')) ->> 'balance', '0', 'all of the balance');
SELECT is(pg_temp.spend(902, pg_temp.one('2', '100.01')) ->> 'message', 'Spending limit exceeded', 'the limit is looked at first');

-- each transaction once
SELECT is(pg_temp.spend(901, '[{"id": 111, "description": "Groceries", "amount": 50}, {"id": 114, "description": "Fuel", "amount": 60}]'),
		  '{"account_id": 901, "accepted": true, "total": 60, "saved": 1, "balance": 740}',
		  'what is stored already is left out of the total');
SELECT is((SELECT amount::numeric FROM expense_flow.transaction WHERE account_id = 901 AND transaction_id = '111'), 50::numeric,
		  'and stays as it was');
SELECT is(pg_temp.spend(901, pg_temp.one('111', '1e9')) ->> 'total', '0', 'even when it would be over the limit');
SELECT is(pg_temp.spend(901, '[{"id": 115, "description": "A", "amount": 60}, {"id": 115, "description": "B", "amount": 70}]'),
		  '{"account_id": 901, "accepted": true, "total": 60, "saved": 1, "balance": 680}', 'repeated in a batch: the first counts');
SELECT is((SELECT description FROM expense_flow.transaction WHERE account_id = 901 AND transaction_id = '115'), 'A', 'and is saved');
SELECT is(pg_temp.spend(901, '[{"id": "115", "description": "A", "amount": 60}, {"id": 115.0, "description": "A", "amount": 60}]') ->> 'saved',
		  '0', '115, 115.0 and "115" are the same');
SELECT is(pg_temp.spend(902, pg_temp.one('111', '0')) ->> 'saved', '1', 'another account may have the same id');
SELECT is(pg_temp.spend(901, '[]'), '{"account_id": 901, "accepted": true, "total": 0, "saved": 0, "balance": 680}', 'no transactions at all');
SELECT is(expense_flow.run_workflow('spending', '{"account_id": "901", "transactions": []}') ->> 'accepted', 'true',
		  'account_id may be a string of digits');

-- exact numbers
SELECT is(pg_temp.spend(903, '[{"id": 1, "description": "Schools", "amount": 534358141.47}, {"id": 2, "description": "Schools", "amount": 0.10},
							   {"id": 3, "description": "Schools", "amount": 0.20}]'),
		  '{"account_id": 903, "accepted": true, "total": 534358141.77, "saved": 3, "balance": 999999465641858.23}', 'large and exact');
SELECT is(pg_temp.spend(903, pg_temp.one('4', '1.10000')) ->> 'total', '1.1', 'zeros at the end are no third decimal');

-- what else a caller knows
SELECT lives_ok($$SELECT pg_temp.spend(903, '[{"id": 5, "amount": 1, "merchant": "Corner shop", "attributes": {"trip": 7}}]')$$, 'free-form attributes');
SELECT results_eq($$SELECT description, attributes FROM expense_flow.transaction WHERE account_id = 903 AND transaction_id = '5'$$,
				  $$VALUES ('Uncategorized', '{"trip": 7, "merchant": "Corner shop"}'::jsonb)$$, 'are kept, and a category is not demanded');

-- wrong amounts: the error names the transaction, and nothing is saved
CREATE TEMP TABLE wrong (value jsonb, says text);
INSERT INTO wrong VALUES
	(NULL, 'amount is missing'), ('null', 'amount is missing'), ('"50"', 'amount is not a number'), ('"NaN"', 'amount is not a number'),
	('"Infinity"', 'amount is not a number'), ('true', 'amount is not a number'), ('[1]', 'amount is not a number'),
	('{"a": 1}', 'amount is not a number'), ('-0.01', 'amount is negative'), ('-50', 'amount is negative'),
	('1.005', 'amount has more than two decimals'), ('1e-3', 'amount has more than two decimals');
SELECT matches(pg_temp.failure('spending', jsonb_build_object('account_id', 903, 'transactions',
					'[{"id": "good", "amount": 1}]'::jsonb || (jsonb_build_object('id', 'bad') || coalesce(jsonb_build_object('amount', value), '{}')))),
			   'InvalidTransaction.*transaction bad: ' || says, coalesce(value::text, 'no') || ' as amount')
FROM wrong ORDER BY value NULLS FIRST;
SELECT is((SELECT count(*) FROM expense_flow.transaction WHERE transaction_id IN ('good', 'bad')), 0::bigint, 'nothing of these batches is saved');
SELECT is(expense_flow.amount_problem('-0', true), NULL, 'minus zero is zero');

-- other input that is wrong
SELECT matches(pg_temp.failure('spending', i), e, d)
FROM (VALUES
	(1, '{"account_id": 903, "transactions": [{"amount": 1}, {"id": 2, "amount": 1}]}'::jsonb, 'InvalidTransaction.*number 1 of the batch: id is missing', 'no id'),
	(2, '{"account_id": 903, "transactions": [{"id": "", "amount": 1}]}', 'InvalidTransaction.*id is empty', 'an empty id'),
	(3, '{"account_id": 903, "transactions": [{"id": [1], "amount": 1}]}', 'InvalidTransaction.*id is neither', 'an array as id'),
	(4, '{"account_id": 903, "transactions": [17]}', 'InvalidTransaction.*not an object', 'a number as transaction'),
	(5, '{"account_id": 903, "transactions": [{"id": 9, "amount": 1, "description": 5}]}', 'InvalidTransaction.*transaction 9: description', 'a number as description'),
	(6, '{"account_id": 903, "transactions": [{"id": 9, "amount": 1, "occurred_at": "soon"}]}', 'InvalidTransaction.*transaction 9: occurred_at', 'no time'),
	(7, '{"account_id": 903, "transactions": [{"id": 8, "amount": 1, "occurred_at": "2018-02-28"}, {"id": 9, "amount": 1, "occurred_at": "2018-02-30"}]}',
		'InvalidTransaction.*transaction 9: occurred_at', 'a day that does not exist'),
	(8, '{"account_id": 903}', 'InvalidInput.*transactions is missing', 'no transactions'),
	(9, '{"account_id": 903, "transactions": {"id": 9, "amount": 1}}', 'InvalidInput.*not an array', 'no array'),
	(10, '{"account_id": 999999, "transactions": []}', 'AccountNotFound.*no account 999999', 'an unknown account'),
	(11, '{"account_id": "A-1", "transactions": []}', 'AccountNotFound.*no account A-1', 'an account that cannot be'),
	(12, '{"transactions": []}', 'AccountNotFound.*account_id is missing', 'no account')) AS v (n, i, e, d)
ORDER BY n;

-- the second activity looks again, so a batch that was checked before others spent cannot overdraw
SELECT throws_ok($$SELECT expense_flow.save_spending('{"account_id": 901, "transactions": [{"id": "late", "amount": 100.01}]}')$$,
				 'EF100', 'BalanceChanged', 'save checks the limit itself');
UPDATE expense_flow.account SET balance = 10 WHERE account_id = 901;
SELECT throws_ok($$SELECT expense_flow.save_spending('{"account_id": 901, "transactions": [{"id": "late", "amount": 10.01}]}')$$,
				 'EF100', 'BalanceChanged', 'and the balance');
SELECT is((SELECT count(*) FROM expense_flow.transaction WHERE transaction_id = 'late'), 0::bigint, 'and saves nothing then');

SELECT * FROM finish();
ROLLBACK;
