-- The tables of the expense application: what the database itself keeps from going wrong.
BEGIN;
SELECT plan(37);

SELECT has_table('expense_flow'::name, t::name, t) FROM unnest(ARRAY['account', 'transaction', 'transfer']) t;
SELECT col_is_pk('expense_flow', 'account', 'account_id', 'account is identified by account_id');
SELECT col_is_pk('expense_flow', 'transaction', ARRAY['account_id', 'transaction_id'], 'a transaction once per account');
SELECT col_is_unique('expense_flow', 'account', 'card_number', 'a card charges one account');
SELECT fk_ok('expense_flow', 'transaction', 'account_id', 'expense_flow', 'account', 'account_id');
SELECT fk_ok('expense_flow', 'transfer', 'from_account', 'expense_flow', 'account', 'account_id');

SELECT is_empty($$
	SELECT a.attrelid::regclass, a.attname
	FROM pg_attribute a
	WHERE a.attrelid IN ('expense_flow.account'::regclass, 'expense_flow.transaction'::regclass, 'expense_flow.transfer'::regclass, 'expense_flow.expense'::regclass)
		  AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN ('float4'::regtype, 'float8'::regtype, 'money'::regtype)
$$, 'no floating point anywhere');
SELECT set_eq($$
	SELECT format('%s.%s', c.relname, a.attname)
	FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
	WHERE a.atttypid = 'expense_flow.money_amount'::regtype AND c.relkind = 'r'
$$, ARRAY['account.balance', 'account.spending_limit', 'expense.amount', 'transaction.amount', 'transfer.amount'], 'money is exact');
SELECT set_has($$
	SELECT c.relname::text FROM pg_extension e, unnest(e.extconfig) t JOIN pg_class c ON c.oid = t WHERE e.extname = 'expense_flow'
$$, $$VALUES ('account'), ('account_account_id_seq'), ('transaction'), ('transfer')$$, 'the data is dumped');
SELECT is_empty($$
	SELECT c.oid::regclass, a.attname
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
	WHERE c.oid IN ('expense_flow.account'::regclass, 'expense_flow.transaction'::regclass, 'expense_flow.transfer'::regclass)
		  AND a.attnum = 1 AND obj_description(c.oid, 'pg_class') IS NULL
$$, 'each table has a comment');

-- accounts
INSERT INTO expense_flow.account (account_id, owner, card_number, balance) VALUES (901, 'Ada', '4000-0001', 10);
SELECT results_eq('SELECT spending_limit::numeric, currency FROM expense_flow.account WHERE account_id = 901',
				  $$VALUES (100::numeric, 'GBP')$$, 'defaults');
SELECT lives_ok($$INSERT INTO expense_flow.account (owner) VALUES ('Bob'), ('Cy')$$, 'accounts may do without a card');
SELECT throws_ok($$INSERT INTO expense_flow.account (owner, card_number) VALUES ('Bob', '4000-0001')$$, '23505', NULL, 'no card twice');
SELECT throws_ok('UPDATE expense_flow.account SET balance = balance - 10.01 WHERE account_id = 901', '23514', NULL, 'no balance below zero');
SELECT lives_ok('UPDATE expense_flow.account SET balance = balance - 10 WHERE account_id = 901', 'a balance of zero');
SELECT throws_ok(format('UPDATE expense_flow.account SET balance = %L WHERE account_id = 901', v), '23514', NULL, 'no balance of ' || v)
FROM unnest(ARRAY['NaN', 'Infinity', '-Infinity', '-0.01', '1.005']) v;
SELECT lives_ok('UPDATE expense_flow.account SET balance = 1.500 WHERE account_id = 901', 'zeros at the end are no third decimal');
SELECT throws_ok('UPDATE expense_flow.account SET spending_limit = -1 WHERE account_id = 901', '23514', NULL, 'no negative limit');
SELECT throws_ok($$UPDATE expense_flow.account SET currency = 'pound' WHERE account_id = 901$$, '23514', NULL, 'a currency is a code');

-- transactions
SELECT lives_ok($$INSERT INTO expense_flow.transaction (account_id, transaction_id, description, amount) VALUES (901, '111', 'Groceries', 50)$$,
				'a transaction');
SELECT throws_ok($$INSERT INTO expense_flow.transaction (account_id, transaction_id, amount) VALUES (901, 111, 1)$$, '23505', NULL,
				 'the number 111 and the text 111 are the same');
SELECT throws_ok(format($$INSERT INTO expense_flow.transaction (account_id, transaction_id, amount) VALUES (901, 'x', %L)$$, v), '23514', NULL,
				 'no amount of ' || v)
FROM unnest(ARRAY['NaN', 'Infinity', '-1', '0.001']) v;
SELECT throws_ok($$INSERT INTO expense_flow.transaction (account_id, transaction_id, amount) VALUES (-1, 'x', 1)$$, '23503', NULL,
				 'no transaction without an account');
SELECT throws_ok($$INSERT INTO expense_flow.transaction (account_id, transaction_id, amount, occurred_at) VALUES (901, 'x', 1, 'infinity')$$,
				 '23514', NULL, 'no transaction at infinity');
SELECT throws_ok($$INSERT INTO expense_flow.transaction (account_id, transaction_id, amount, attributes) VALUES (901, 'x', 1, '[]')$$,
				 '23514', NULL, 'attributes are an object');
SELECT throws_ok('DELETE FROM expense_flow.account WHERE account_id = 901', '23503', NULL, 'no account goes while it has transactions');

-- transfers
SELECT throws_ok($$INSERT INTO expense_flow.transfer (transfer_id, from_account, amount, deposited_at) VALUES ('t', 901, 1, now())$$,
				 '23514', NULL, 'a deposit went somewhere');
SELECT throws_ok($$INSERT INTO expense_flow.transfer (transfer_id, from_account, to_account, amount, deposited_at) VALUES ('t', 901, 901, 1, now())$$,
				 '23514', NULL, 'a transfer has two ends');

SELECT * FROM finish();
ROLLBACK;
