-- The workflow money_transfer: money moves whole, or comes back.
BEGIN;
SELECT plan(38);

CREATE FUNCTION pg_temp.transfer(p_input jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT expense_flow.run_workflow('money_transfer', p_input)
$$;
CREATE FUNCTION pg_temp.failure(p_input jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_message	text;
	v_detail	text;
BEGIN
	RETURN 'no failure, but ' || pg_temp.transfer(p_input)::text;
EXCEPTION
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
		RETURN concat_ws(' / ', v_message, nullif(v_detail, ''));
END
$$;
CREATE FUNCTION pg_temp.balances() RETURNS numeric[] LANGUAGE sql AS $$
	SELECT array_agg(trim_scale(balance) ORDER BY account_id) FROM expense_flow.account WHERE account_id BETWEEN 901 AND 904
$$;

INSERT INTO expense_flow.account (account_id, owner, balance, currency)
VALUES (901, 'Ada', 100, 'GBP'), (902, 'Bob', 0, 'GBP'), (903, 'Cy', 0, 'EUR'), (904, 'Di', 5, 'GBP');

-- the money moves
SELECT is(pg_temp.transfer('{"from_account": 901, "to_account": 902, "amount": 30.25, "transfer_id": "t1"}')
			- ARRAY['withdrawn_at', 'deposited_at'],
		  '{"transfer_id": "t1", "from_account": 901, "to_account": 902, "amount": 30.25, "refunded_at": null}', 'a transfer');
SELECT is(pg_temp.balances(), '{69.75,30.25,0,5}', 'moves the money');
SELECT lives_ok($$SELECT pg_temp.transfer('{"from_account": 901, "to_account": 902, "amount": 30.25, "transfer_id": "t1"}')$$, 'the same transfer again');
SELECT is(pg_temp.balances(), '{69.75,30.25,0,5}', 'moves nothing more');
SELECT matches(pg_temp.failure('{"from_account": 901, "to_account": 902, "amount": 30, "transfer_id": "t1"}'), 'TransferConflict',
			   'the same reference for another amount');
SELECT matches(pg_temp.failure('{"from_account": 904, "to_account": 902, "amount": 30.25, "transfer_id": "t1"}'), 'TransferConflict',
			   'or from another account');
SELECT matches(pg_temp.failure('{"from_account": 901, "to_account": 904, "amount": 30.25, "transfer_id": "t1"}'), 'TransferConflict',
			   'or to another account');
SELECT is(pg_temp.balances(), '{69.75,30.25,0,5}', 'is refused');
SELECT lives_ok($$SELECT pg_temp.transfer('{"from_account": 901, "to_account": 902, "amount": 1}')
				  FROM generate_series(1, 2)$$, 'without a reference');
SELECT is(pg_temp.balances(), '{67.75,32.25,0,5}', 'each run is a transfer of its own');
SELECT lives_ok($$SELECT pg_temp.transfer('{"from_account": 904, "to_account": "901", "amount": 5, "transfer_id": 17}')$$, 'all that there is');
SELECT is(pg_temp.balances(), '{72.75,32.25,0,0}', 'moves');

-- the deposit fails
SELECT matches(pg_temp.failure('{"from_account": 901, "to_account": 999999, "amount": 10, "transfer_id": "lost"}'),
			   'InvalidAccount.*no account 999999; the money was returned: 10 to account 901', 'to an invalid account');
SELECT matches(pg_temp.failure('{"from_account": 901, "to_account": "B5555", "amount": 10}'),
			   'InvalidAccount.*no account B5555; the money was returned: 10 to account 901', 'to an account that cannot be');
SELECT matches(pg_temp.failure('{"from_account": 901, "to_account": 903, "amount": 10}'),
			   'InvalidAccount.*holds EUR, not GBP; the money was returned', 'to an account in another currency');
SELECT is(pg_temp.balances(), '{72.75,32.25,0,0}', 'leaves all balances as they were');

-- the steps of a transfer whose deposit fails, one by one (a failed run_workflow() leaves nothing to look at)
SELECT lives_ok($$SELECT expense_flow.withdraw('{"transfer_id": "x", "from_account": 901, "to_account": 999999, "amount": 10}')$$, 'withdraw');
SELECT is(pg_temp.balances(), '{62.75,32.25,0,0}', 'takes the money');
SELECT lives_ok($$SELECT expense_flow.withdraw('{"transfer_id": "x", "from_account": 901, "to_account": 999999, "amount": 10}')$$, 'withdraw again');
SELECT is(pg_temp.balances(), '{62.75,32.25,0,0}', 'takes nothing more');
SELECT throws_ok($$SELECT expense_flow.deposit('x', '999999')$$, 'EF100', 'InvalidAccount', 'deposit fails');
SELECT isnt((expense_flow.refund('x', '999999')).refunded_at, NULL, 'refund');
SELECT lives_ok($$SELECT expense_flow.refund('x', '999999')$$, 'refund again');
SELECT is(pg_temp.balances(), '{72.75,32.25,0,0}', 'returns the money once');
SELECT throws_ok($$SELECT expense_flow.deposit('x', '902')$$, 'EF100', 'TransferConflict', 'what was returned cannot be deposited');
SELECT throws_ok($$SELECT expense_flow.refund('t1', '904')$$, 'EF100', 'TransferConflict', 'what was deposited elsewhere cannot be returned');
SELECT is((expense_flow.refund('t1', '902')).refunded_at, NULL, 'what was deposited where it was meant to go is not returned');
SELECT throws_ok($$SELECT expense_flow.refund('unheard of', '902')$$, 'EF100', 'TransferConflict', 'what was never withdrawn cannot be returned');
SELECT throws_ok($$SELECT expense_flow.withdraw('{"transfer_id": "x", "from_account": 901, "to_account": 902, "amount": 10}')$$,
				 'EF100', 'TransferConflict', 'a reference is not used again');

-- wrong input
SELECT matches(pg_temp.failure(i), e, d)
FROM (VALUES
	(1, '{"from_account": 901, "to_account": 902, "amount": 72.76}'::jsonb, 'InsufficientFunds.*account 901', 'more than there is'),
	(2, '{"from_account": 901, "to_account": 902}', 'InvalidAmount.*missing', 'no amount'),
	(3, '{"from_account": 901, "to_account": 902, "amount": 0}', 'InvalidAmount.*zero', 'nothing'),
	(4, '{"from_account": 901, "to_account": 902, "amount": -5}', 'InvalidAmount.*negative', 'less than nothing'),
	(5, '{"from_account": 901, "to_account": 902, "amount": "NaN"}', 'InvalidAmount.*not a number', 'NaN'),
	(6, '{"from_account": 901, "to_account": 902, "amount": 0.001}', 'InvalidAmount.*decimals', 'less than a penny'),
	(7, '{"from_account": 901, "amount": 5}', 'InvalidAccount.*to_account is missing', 'to nowhere'),
	(8, '{"from_account": 999999, "to_account": 902, "amount": 5}', 'InvalidAccount.*no account 999999', 'from nowhere')) AS v (n, i, e, d)
ORDER BY n;
SELECT is(pg_temp.balances(), '{72.75,32.25,0,0}', 'and nothing moved');

SELECT * FROM finish();
ROLLBACK;
