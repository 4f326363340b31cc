/*
 * The expense application: expense_approval.
 *
 * Someone creates an expense, somebody else approves or rejects it by a signal,
 * and an approved one is paid from the account.  The activities have the rights
 * of whoever calls them, and lock a row of expense before one of account.
 */

CREATE TABLE expense
(
	expense_id			text PRIMARY KEY CHECK (expense_id OPERATOR(pg_catalog.<>) ''),
	account_id			bigint NOT NULL REFERENCES account,
	description			text NOT NULL DEFAULT 'Uncategorized',
	amount				money_amount NOT NULL CHECK (amount OPERATOR(pg_catalog.>) 0),
	status				text NOT NULL DEFAULT 'CREATED'
		CHECK (status OPERATOR(pg_catalog.=) ANY (ARRAY['CREATED', 'COMPLETED', 'REJECTED', 'TIMED_OUT', 'CANCELED'])),
	created_at			timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	settled_at			timestamptz,
	CONSTRAINT expense_settled CHECK ((status OPERATOR(pg_catalog.=) 'CREATED') OPERATOR(pg_catalog.=) (settled_at IS NULL))
);
CREATE INDEX expense_account ON expense (account_id);
COMMENT ON TABLE expense IS 'Expenses that need approval: written by the workflow expense_approval. status is CREATED while a decision is awaited.';
SELECT pg_catalog.pg_extension_config_dump('expense', '');

CREATE FUNCTION create_expense(input jsonb, run_id text)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_expense_id	text := coalesce(input ->> 'expense_id', run_id);
	v_account_id	bigint := expense_flow.account_id_from_json(input -> 'account_id');
	v_problem		text := expense_flow.amount_problem(input -> 'amount', false);
	v_timeout		jsonb := coalesce(input -> 'timeout_seconds', '600');
BEGIN
	IF v_problem IS NOT NULL THEN
		PERFORM expense_flow.fail('InvalidAmount', v_problem);
	ELSIF coalesce(v_expense_id, '') = '' OR length(v_expense_id) > 200 THEN
		PERFORM expense_flow.fail('InvalidInput', 'expense_id is missing, empty or longer than 200 characters');
	ELSIF jsonb_typeof(v_timeout) <> 'number' OR v_timeout::numeric NOT BETWEEN 1 AND 99999999 OR v_timeout::numeric % 1 <> 0 THEN
		PERFORM expense_flow.fail('InvalidInput', 'timeout_seconds is not a whole number from 1 to 99999999');
	ELSIF NOT EXISTS (SELECT FROM expense_flow.account AS a WHERE a.account_id = v_account_id) THEN
		PERFORM expense_flow.fail_without_account('AccountNotFound', input, 'account_id');
	END IF;

	INSERT INTO expense_flow.expense (expense_id, account_id, description, amount)
	VALUES (v_expense_id, v_account_id, coalesce(input ->> 'description', 'Uncategorized'), (input -> 'amount')::numeric)
	ON CONFLICT (expense_id) DO NOTHING;
	IF NOT FOUND THEN
		PERFORM expense_flow.fail('ExpenseConflict', format('expense %s exists already', v_expense_id));
	END IF;
	RETURN jsonb_build_object('expense_id', v_expense_id, 'timeout_seconds', v_timeout);
END
$$;
COMMENT ON FUNCTION create_expense(jsonb, text) IS 'Activity of the workflow expense_approval: records the expense. Returns expense_id and timeout_seconds. Errors: InvalidAmount, InvalidInput, AccountNotFound, ExpenseConflict.';

CREATE FUNCTION pay_expense(expense_id text)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_expense	expense_flow.expense;
BEGIN
	UPDATE expense_flow.expense AS e
	SET status = 'COMPLETED', settled_at = clock_timestamp()
	WHERE e.expense_id = pay_expense.expense_id AND e.status = 'CREATED'
	RETURNING * INTO v_expense;
	IF NOT FOUND THEN
		PERFORM expense_flow.fail('ExpenseConflict', format('expense %s is not awaiting a decision', expense_id));
	END IF;

	UPDATE expense_flow.account AS a
	SET balance = a.balance - v_expense.amount
	WHERE a.account_id = v_expense.account_id AND a.balance >= v_expense.amount;
	IF NOT FOUND THEN
		PERFORM expense_flow.fail('InsufficientFunds',
								  format('the balance of account %s is below %s', v_expense.account_id, v_expense.amount));
	END IF;
	INSERT INTO expense_flow.transaction (account_id, transaction_id, description, amount)
	VALUES (v_expense.account_id, v_expense.expense_id, v_expense.description, v_expense.amount);
	RETURN to_jsonb(v_expense) - 'created_at' - 'settled_at';
END
$$;
COMMENT ON FUNCTION pay_expense(text) IS 'Activity of the workflow expense_approval: takes the amount out of the account, as a transaction with the expense''s identifier. Returns the expense, COMPLETED. Errors: InsufficientFunds, ExpenseConflict.';

CREATE FUNCTION settle_expense(expense_id text, status text)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_expense	expense_flow.expense;
BEGIN
	IF coalesce(status, '') NOT IN ('REJECTED', 'TIMED_OUT', 'CANCELED') THEN
		PERFORM expense_flow.fail('InvalidInput', 'status is not REJECTED, TIMED_OUT or CANCELED');
	END IF;
	UPDATE expense_flow.expense AS e
	SET status = settle_expense.status, settled_at = clock_timestamp()
	WHERE e.expense_id = settle_expense.expense_id AND e.status = 'CREATED'
	RETURNING * INTO v_expense;
	IF NOT FOUND THEN
		PERFORM expense_flow.fail('ExpenseConflict', format('expense %s is not awaiting a decision', expense_id));
	END IF;
	RETURN to_jsonb(v_expense) - 'created_at' - 'settled_at';
END
$$;
COMMENT ON FUNCTION settle_expense(text, text) IS 'Activity of the workflow expense_approval: records that the expense is not paid (REJECTED, TIMED_OUT, CANCELED). Returns the expense. Errors: InvalidInput, ExpenseConflict.';

SELECT expense_flow.register_built_in_workflow('expense_approval', -4, $asl$
{
  "Comment": "Create an expense, wait for a decision, and pay it if it is approved",
  "StartAt": "Create",
  "States": {
    "Create": {
      "Type": "Task",
      "Resource": "sql:expense_flow.create_expense",
      "Parameters": { "input.$": "$", "run_id.$": "$$.Execution.Id" },
      "Next": "Await decision"
    },
    "Await decision": {
      "Type": "Task",
      "Resource": "signal:approve,reject",
      "TimeoutSecondsPath": "$.timeout_seconds",
      "ResultPath": "$.decision",
      "Catch": [
        { "ErrorEquals": [ "States.Timeout" ], "ResultPath": "$.decision", "Next": "Time out" },
        { "ErrorEquals": [ "Canceled" ], "ResultPath": "$.decision", "Next": "Cancel" }
      ],
      "Next": "Decide"
    },
    "Decide": {
      "Type": "Choice",
      "Choices": [ { "Variable": "$.decision.signal", "StringEquals": "approve", "Next": "Pay" } ],
      "Default": "Reject"
    },
    "Pay": {
      "Type": "Task",
      "Resource": "sql:expense_flow.pay_expense",
      "Parameters": { "expense_id.$": "$.expense_id" },
      "End": true
    },
    "Reject": {
      "Type": "Task",
      "Resource": "sql:expense_flow.settle_expense",
      "Parameters": { "expense_id.$": "$.expense_id", "status": "REJECTED" },
      "End": true
    },
    "Time out": {
      "Type": "Task",
      "Resource": "sql:expense_flow.settle_expense",
      "Parameters": { "expense_id.$": "$.expense_id", "status": "TIMED_OUT" },
      "End": true
    },
    "Cancel": {
      "Comment": "The run ends as canceled",
      "Type": "Task",
      "Resource": "sql:expense_flow.settle_expense",
      "Parameters": { "expense_id.$": "$.expense_id", "status": "CANCELED" },
      "End": true
    }
  }
}
$asl$);
