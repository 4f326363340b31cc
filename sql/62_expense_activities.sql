/*
 * The expense application: the activities behind its workflows.
 *
 * Ordinary functions with the rights of whoever calls them, so they can be
 * tried by hand.  What a role may do with them is what it may do with the
 * tables (doc/expense.md lists the grants).  Wrong input ends in fail() with
 * an error name of its own, which the workflows' Retry and Catch can tell apart.
 *
 * Lock order: a row of transfer, then a row of account; no activity locks two
 * accounts.
 */

/*
 * The account that a JSON value names: a whole number, or the same digits as a
 * string.  NULL for everything else; no account has such an identifier.
 */
CREATE FUNCTION account_id_from_json(p_value jsonb)
RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE
	WHEN pg_catalog.jsonb_typeof(p_value) OPERATOR(pg_catalog.=) ANY (ARRAY['number', 'string'])
		 AND (p_value OPERATOR(pg_catalog.#>>) '{}') OPERATOR(pg_catalog.~) '^[0-9]{1,18}$'
		THEN (p_value OPERATOR(pg_catalog.#>>) '{}')::pg_catalog.int8
END;
COMMENT ON FUNCTION account_id_from_json(jsonb) IS 'Internal: the account_id that a JSON number or string stands for, NULL where it cannot be one.';

/*
 * What is wrong with an amount in a JSON document, or NULL.  The one place that
 * knows what an amount may be, so that every activity says the same about it.
 */
CREATE FUNCTION amount_problem(p_amount jsonb, p_may_be_zero boolean)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE
	WHEN p_amount IS NULL OR p_amount OPERATOR(pg_catalog.=) 'null'
		THEN 'amount is missing'
	WHEN pg_catalog.jsonb_typeof(p_amount) OPERATOR(pg_catalog.<>) 'number'
		THEN 'amount is not a number: ' OPERATOR(pg_catalog.||) pg_catalog.left(p_amount::pg_catalog.text, 40)
	WHEN p_amount::pg_catalog.numeric OPERATOR(pg_catalog.<) 0
		THEN 'amount is negative: ' OPERATOR(pg_catalog.||) pg_catalog.left(p_amount::pg_catalog.text, 40)
	WHEN pg_catalog.scale(pg_catalog.trim_scale(p_amount::pg_catalog.numeric)) OPERATOR(pg_catalog.>) 2
		THEN 'amount has more than two decimals: ' OPERATOR(pg_catalog.||) pg_catalog.left(p_amount::pg_catalog.text, 40)
	WHEN p_amount::pg_catalog.numeric OPERATOR(pg_catalog.=) 0 AND NOT p_may_be_zero
		THEN 'amount is zero'
END;
COMMENT ON FUNCTION amount_problem(jsonb, boolean) IS 'Internal: what is wrong with a JSON value as an amount of money, or NULL. Amounts are JSON numbers, not negative, with at most two decimals (trailing zeros do not count), and where p_may_be_zero is false not zero.';

/* What an activity says whose input names an account that is not there. */
CREATE FUNCTION fail_without_account(p_error text, p_input jsonb, p_key text)
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
RETURN expense_flow.fail(p_error,
						 coalesce('there is no account ' OPERATOR(pg_catalog.||) (p_input OPERATOR(pg_catalog.->>) p_key),
								  p_key OPERATOR(pg_catalog.||) ' is missing'));
COMMENT ON FUNCTION fail_without_account(text, jsonb, text) IS 'Internal: raises an error of this name, for a key of an activity''s input that names no account.';

/*
 * transactions_from_json: the transactions of a batch, as rows.
 *
 *	p_transactions	the array "transactions" of a spending run's input
 *
 * Returns one row for each identifier (the first of those that repeat), in the
 * order of the batch.  Fails with InvalidInput when it is no array, and with
 * InvalidTransaction, naming the first transaction that is not as it should be.
 */
CREATE FUNCTION transactions_from_json(p_transactions jsonb)
RETURNS TABLE (transaction_id text, description text, amount numeric, occurred_at timestamptz, attributes jsonb)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER ROWS 100
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_now		timestamptz := clock_timestamp();
	v_bad		record;
BEGIN
	IF jsonb_typeof(p_transactions) IS DISTINCT FROM 'array' THEN
		PERFORM expense_flow.fail('InvalidInput',
								  CASE WHEN p_transactions IS NULL THEN 'transactions is missing'
									   ELSE 'transactions is not an array' END);
	END IF;

	SELECT t.value ->> 'id' AS id, t.position, p.problem INTO v_bad
	FROM jsonb_array_elements(p_transactions) WITH ORDINALITY AS t (value, position),
		LATERAL (SELECT CASE
			WHEN jsonb_typeof(t.value) <> 'object' THEN 'it is not an object'
			WHEN coalesce(t.value -> 'id', 'null') = 'null' THEN 'id is missing'
			WHEN jsonb_typeof(t.value -> 'id') NOT IN ('number', 'string') THEN 'id is neither a number nor a string'
			WHEN t.value ->> 'id' = '' THEN 'id is empty'
			WHEN length(t.value ->> 'id') > 200 THEN 'id is longer than 200 characters'
			WHEN coalesce(jsonb_typeof(t.value -> 'description'), 'null') NOT IN ('string', 'null')
				THEN 'description is not a string'
			WHEN coalesce(jsonb_typeof(t.value -> 'attributes'), 'null') NOT IN ('object', 'null')
				THEN 'attributes is not an object'
			WHEN coalesce(jsonb_typeof(t.value -> 'occurred_at'), 'null') <> 'null'
				 AND (jsonb_typeof(t.value -> 'occurred_at') <> 'string' OR t.value ->> 'occurred_at' !~ '^\d{4}-\d\d-\d\d')
				THEN 'occurred_at is not a date or time of the form 2018-01-31T12:00:00Z'
			ELSE expense_flow.amount_problem(t.value -> 'amount', true) END) AS p (problem)
	WHERE p.problem IS NOT NULL
	ORDER BY t.position
	LIMIT 1;
	IF FOUND THEN
		PERFORM expense_flow.fail('InvalidTransaction',
								  format('transaction %s: %s',
										 coalesce(nullif(left(v_bad.id, 40), ''), format('number %s of the batch', v_bad.position)), v_bad.problem));
	END IF;

	RETURN QUERY
		SELECT b.id, b.description, b.amount, b.occurred_at, b.attributes
		FROM (SELECT DISTINCT ON (i.id)
					 i.id, t.position,
					 coalesce(t.value ->> 'description', 'Uncategorized') AS description,
					 (t.value -> 'amount')::numeric AS amount,
					 coalesce((t.value ->> 'occurred_at')::timestamptz, v_now) AS occurred_at,
					 coalesce(nullif(t.value -> 'attributes', 'null'), '{}') ||
						(t.value - ARRAY['id', 'description', 'amount', 'occurred_at', 'attributes']) AS attributes
			  FROM jsonb_array_elements(p_transactions) WITH ORDINALITY AS t (value, position),
				  LATERAL (SELECT CASE WHEN jsonb_typeof(t.value -> 'id') = 'number'
									   THEN trim_scale((t.value -> 'id')::numeric)::text
									   ELSE t.value ->> 'id' END) AS i (id)
			  ORDER BY i.id, t.position) AS b
		ORDER BY b.position;
EXCEPTION
	WHEN data_exception THEN
		-- A date like 2018-02-30: only now look for the one that it was.
		PERFORM expense_flow.fail_on_bad_date(p_transactions);
		RAISE;
END
$$;
COMMENT ON FUNCTION transactions_from_json(jsonb) IS 'Internal: the transactions of a batch as rows, one for each id. Raises InvalidInput and InvalidTransaction.';

CREATE FUNCTION fail_on_bad_date(p_transactions jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_transaction	jsonb;
BEGIN
	FOR v_transaction IN SELECT jsonb_array_elements(p_transactions) LOOP
		BEGIN
			PERFORM (v_transaction ->> 'occurred_at')::timestamptz;
		EXCEPTION
			WHEN data_exception THEN
				PERFORM expense_flow.fail('InvalidTransaction',
										  format('transaction %s: occurred_at: %s', v_transaction ->> 'id', SQLERRM));
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION fail_on_bad_date(jsonb) IS 'Internal: raises InvalidTransaction for the first transaction of a batch whose occurred_at is not a date.';

/*
 * check_spending: what a batch of transactions comes to, and what the account has.
 *
 *	input	the input of a spending run: account_id, transactions
 *
 * Returns {"account_id", "total", "spending_limit", "balance"}.  Transactions that
 * the account has already are left out of the total.  Reads only; locks nothing.
 */
CREATE FUNCTION check_spending(input jsonb)
RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_account	record;
	v_total		numeric;
BEGIN
	SELECT a.account_id, a.spending_limit, a.balance INTO v_account
	FROM expense_flow.account AS a
	WHERE a.account_id = expense_flow.account_id_from_json(input -> 'account_id');
	IF NOT FOUND THEN
		PERFORM expense_flow.fail_without_account('AccountNotFound', input, 'account_id');
	END IF;

	-- OFFSET 0 keeps this a look-up of each id, however the table grows while the plan is kept.
	SELECT coalesce(sum(n.amount), 0) INTO v_total
	FROM expense_flow.transactions_from_json(input -> 'transactions') AS n
	WHERE NOT EXISTS (SELECT FROM expense_flow.transaction AS t
					  WHERE t.account_id = v_account.account_id AND t.transaction_id = n.transaction_id
					  OFFSET 0);

	RETURN jsonb_build_object('account_id', v_account.account_id,
							  'total', trim_scale(v_total),
							  'spending_limit', trim_scale(v_account.spending_limit),
							  'balance', trim_scale(v_account.balance));
END
$$;
COMMENT ON FUNCTION check_spending(jsonb) IS 'Activity of the workflow spending: totals the transactions of the input that the account does not have yet. Returns account_id, total, spending_limit and balance. Errors: AccountNotFound, InvalidInput, InvalidTransaction.';

/*
 * save_spending: debit the account and save every transaction.
 *
 *	input	the input of a spending run: account_id, transactions
 *
 * Returns {"account_id", "accepted": true, "total", "saved", "balance"}.
 *
 * The account's row is locked first, so runs on one account come one after the
 * other, and what check_spending() found is looked at again.  When it holds no
 * longer the failure BalanceChanged sends the run back to the check.
 */
CREATE FUNCTION save_spending(input jsonb)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_account	record;
	v_total		numeric;
	v_saved		bigint;
BEGIN
	SELECT a.account_id, a.spending_limit, a.balance INTO v_account
	FROM expense_flow.account AS a
	WHERE a.account_id = expense_flow.account_id_from_json(input -> 'account_id')
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM expense_flow.fail_without_account('AccountNotFound', input, 'account_id');
	END IF;

	WITH saved AS (
		INSERT INTO expense_flow.transaction (account_id, transaction_id, description, amount, occurred_at, attributes)
		SELECT v_account.account_id, n.transaction_id, n.description, n.amount, n.occurred_at, n.attributes
		FROM expense_flow.transactions_from_json(input -> 'transactions') AS n
		ON CONFLICT (account_id, transaction_id) DO NOTHING
		RETURNING amount
	)
	SELECT coalesce(sum(s.amount), 0), count(*) INTO v_total, v_saved
	FROM saved AS s;

	-- Failing undoes the insert.
	IF v_total > v_account.spending_limit OR v_total > v_account.balance THEN
		PERFORM expense_flow.fail('BalanceChanged',
								  format('account %s has changed since the total was checked', v_account.account_id));
	END IF;

	IF v_total > 0 THEN
		UPDATE expense_flow.account AS a
		SET balance = a.balance - v_total
		WHERE a.account_id = v_account.account_id
		RETURNING a.balance INTO v_account.balance;
	END IF;

	RETURN jsonb_build_object('account_id', v_account.account_id,
							  'accepted', true,
							  'total', trim_scale(v_total),
							  'saved', v_saved,
							  'balance', trim_scale(v_account.balance));
END
$$;
COMMENT ON FUNCTION save_spending(jsonb) IS 'Activity of the workflow spending: debits the account and saves the transactions of the input that the account does not have yet. Returns account_id, accepted, total, saved and balance. Errors: those of check_spending, and BalanceChanged where the limit or the balance no longer allows the total.';

/*
 * spending_by_category: what an account spent in the days before a time, by category.
 *
 *	input	account_id, days, and until (by default now)
 *
 * Returns {"Groceries": 50, ...} for until - days < occurred_at <= until.
 */
CREATE FUNCTION spending_by_category(input jsonb)
RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_account_id	bigint := expense_flow.account_id_from_json(input -> 'account_id');
	v_until			timestamptz;
	v_days			integer;
BEGIN
	IF NOT EXISTS (SELECT FROM expense_flow.account AS a WHERE a.account_id = v_account_id) THEN
		PERFORM expense_flow.fail_without_account('AccountNotFound', input, 'account_id');
	END IF;
	IF coalesce(input ->> 'days', '') !~ '^[0-9]{1,6}$' THEN
		PERFORM expense_flow.fail('InvalidInput',
								  coalesce('days is not a whole number from 0 to 999999: ' || (input ->> 'days'),
										   'days is missing'));
	END IF;
	v_days := (input ->> 'days')::integer;
	BEGIN
		v_until := coalesce((input ->> 'until')::timestamptz, clock_timestamp());
	EXCEPTION
		WHEN data_exception THEN
			PERFORM expense_flow.fail('InvalidInput', 'until: ' || SQLERRM);
	END;

	RETURN (SELECT coalesce(jsonb_object_agg(c.description, trim_scale(c.total)), '{}')
			FROM (SELECT t.description, sum(t.amount) AS total
				  FROM expense_flow.transaction AS t
				  WHERE t.account_id = v_account_id
						AND t.occurred_at > v_until - make_interval(days => v_days)
						AND t.occurred_at <= v_until
				  GROUP BY t.description) AS c);
END
$$;
COMMENT ON FUNCTION spending_by_category(jsonb) IS 'Activity of the workflow of this name: the account''s total of each category, as an object, over the given days before until (later than until - days, up to and including until). Errors: AccountNotFound, InvalidInput.';

/*
 * withdraw: take the money of a transfer out of its account.
 *
 *	input	transfer_id, from_account, to_account, amount
 *
 * Returns the transfer.  The same transfer_id again, with the same accounts and
 * amount, withdraws nothing more.
 */
CREATE FUNCTION withdraw(input jsonb)
RETURNS transfer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_transfer_id	text := input ->> 'transfer_id';
	v_from_account	bigint := expense_flow.account_id_from_json(input -> 'from_account');
	v_problem		text := expense_flow.amount_problem(input -> 'amount', false);
	v_amount		numeric;
	v_transfer		expense_flow.transfer;
BEGIN
	IF coalesce(v_transfer_id, '') = '' THEN
		PERFORM expense_flow.fail('InvalidInput', 'transfer_id is missing');
	ELSIF length(v_transfer_id) > 200 THEN
		PERFORM expense_flow.fail('InvalidInput', 'transfer_id is longer than 200 characters');
	ELSIF v_problem IS NOT NULL THEN
		PERFORM expense_flow.fail('InvalidAmount', v_problem);
	ELSIF NOT EXISTS (SELECT FROM expense_flow.account AS a WHERE a.account_id = v_from_account) THEN
		PERFORM expense_flow.fail_without_account('InvalidAccount', input, 'from_account');
	ELSIF input ->> 'to_account' IS NULL THEN
		PERFORM expense_flow.fail('InvalidAccount', 'to_account is missing');
	ELSIF expense_flow.account_id_from_json(input -> 'to_account') = v_from_account THEN
		PERFORM expense_flow.fail('InvalidAccount', 'from_account and to_account are the same');
	END IF;
	v_amount := (input -> 'amount')::numeric;

	INSERT INTO expense_flow.transfer (transfer_id, from_account, amount)
	VALUES (v_transfer_id, v_from_account, v_amount)
	ON CONFLICT (transfer_id) DO NOTHING
	RETURNING * INTO v_transfer;
	IF NOT FOUND THEN
		SELECT * INTO STRICT v_transfer FROM expense_flow.transfer AS t WHERE t.transfer_id = v_transfer_id;
		IF v_transfer.from_account <> v_from_account OR v_transfer.amount <> v_amount THEN
			PERFORM expense_flow.fail('TransferConflict',
									  format('transfer %s took %s from account %s', v_transfer_id,
											 v_transfer.amount, v_transfer.from_account));
		ELSIF v_transfer.refunded_at IS NOT NULL THEN
			PERFORM expense_flow.fail('TransferConflict',
									  format('transfer %s has failed before, and its money was returned', v_transfer_id));
		ELSIF v_transfer.to_account IS NOT NULL
			AND v_transfer.to_account IS DISTINCT FROM expense_flow.account_id_from_json(input -> 'to_account') THEN
			PERFORM expense_flow.fail('TransferConflict',
									  format('transfer %s went to account %s', v_transfer_id, v_transfer.to_account));
		END IF;
		RETURN v_transfer;
	END IF;

	UPDATE expense_flow.account AS a
	SET balance = a.balance - v_amount
	WHERE a.account_id = v_from_account AND a.balance >= v_amount;
	IF NOT FOUND THEN
		PERFORM expense_flow.fail('InsufficientFunds', format('the balance of account %s is below %s', v_from_account, v_amount));
	END IF;
	RETURN v_transfer;
END
$$;
COMMENT ON FUNCTION withdraw(jsonb) IS 'Activity of the workflow money_transfer: takes the amount out of from_account and records the transfer. Returns the row of transfer. Errors: InvalidInput, InvalidAmount, InvalidAccount, InsufficientFunds, TransferConflict.';

/*
 * deposit: put the money of a transfer into the account it is meant for.
 */
CREATE FUNCTION deposit(transfer_id text, to_account jsonb)
RETURNS transfer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	v_to_account	bigint := expense_flow.account_id_from_json(deposit.to_account);
	v_transfer		expense_flow.transfer;
	v_currency		text;
	v_currency_to	text;
BEGIN
	SELECT * INTO v_transfer
	FROM expense_flow.transfer AS t
	WHERE t.transfer_id = deposit.transfer_id
	FOR NO KEY UPDATE;
	IF NOT FOUND OR v_transfer.refunded_at IS NOT NULL THEN
		PERFORM expense_flow.fail('TransferConflict', format('transfer %s has no money to deposit', deposit.transfer_id));
	ELSIF v_transfer.to_account = v_to_account THEN
		RETURN v_transfer;
	ELSIF v_transfer.to_account IS NOT NULL THEN
		PERFORM expense_flow.fail('TransferConflict',
								  format('transfer %s went to account %s', deposit.transfer_id, v_transfer.to_account));
	END IF;

	SELECT a.currency INTO v_currency
	FROM expense_flow.account AS a
	WHERE a.account_id = v_transfer.from_account;
	UPDATE expense_flow.account AS a
	SET balance = a.balance + v_transfer.amount
	WHERE a.account_id = v_to_account
	RETURNING a.currency INTO v_currency_to;
	IF NOT FOUND THEN
		PERFORM expense_flow.fail('InvalidAccount', format('there is no account %s', deposit.to_account #>> '{}'));
	ELSIF v_currency_to <> v_currency THEN
		PERFORM expense_flow.fail('InvalidAccount', format('account %s holds %s, not %s', v_to_account, v_currency_to, v_currency));
	END IF;

	UPDATE expense_flow.transfer AS t
	SET to_account = v_to_account, deposited_at = clock_timestamp()
	WHERE t.transfer_id = deposit.transfer_id
	RETURNING * INTO v_transfer;
	RETURN v_transfer;
END
$$;
COMMENT ON FUNCTION deposit(text, jsonb) IS 'Activity of the workflow money_transfer: puts the money of a transfer into to_account; again for the same account, nothing more. Returns the row of transfer. Errors: InvalidAccount, TransferConflict.';

/*
 * refund: give the money of a transfer back to the account that it came from.
 *
 *	transfer_id	the transfer
 *	to_account	where the run that asks for it meant to deposit the money
 *
 * Returns the transfer.  If another run with the same transfer_id has deposited the
 * money just there, then the transfer was made, and nothing is to be returned.
 */
CREATE FUNCTION refund(transfer_id text, to_account jsonb)
RETURNS transfer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	v_transfer		expense_flow.transfer;
BEGIN
	SELECT * INTO v_transfer
	FROM expense_flow.transfer AS t
	WHERE t.transfer_id = refund.transfer_id
	FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM expense_flow.fail('TransferConflict', format('there is no transfer %s', refund.transfer_id));
	ELSIF v_transfer.to_account IS DISTINCT FROM expense_flow.account_id_from_json(refund.to_account)
		AND v_transfer.deposited_at IS NOT NULL THEN
		PERFORM expense_flow.fail('TransferConflict',
								  format('the money of transfer %s went to account %s', refund.transfer_id, v_transfer.to_account));
	ELSIF v_transfer.deposited_at IS NOT NULL OR v_transfer.refunded_at IS NOT NULL THEN
		RETURN v_transfer;
	END IF;

	UPDATE expense_flow.account AS a
	SET balance = a.balance + v_transfer.amount
	WHERE a.account_id = v_transfer.from_account;
	UPDATE expense_flow.transfer AS t
	SET refunded_at = clock_timestamp()
	WHERE t.transfer_id = refund.transfer_id
	RETURNING * INTO v_transfer;
	RETURN v_transfer;
END
$$;
COMMENT ON FUNCTION refund(text, jsonb) IS 'Activity of the workflow money_transfer: returns the withdrawn money of a transfer; again, nothing more, and nothing where it was deposited in to_account after all. Returns the row of transfer. Error: TransferConflict, where the money went to another account.';
