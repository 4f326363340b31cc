-- The workflow spending_by_category.
BEGIN;
SELECT plan(15);

CREATE FUNCTION pg_temp.report(p_input jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT expense_flow.run_workflow('spending_by_category', p_input)
$$;
CREATE FUNCTION pg_temp.failure(p_input jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_message	text;
	v_detail	text;
BEGIN
	RETURN 'no failure, but ' || pg_temp.report(p_input)::text;
EXCEPTION
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
		RETURN concat_ws(' / ', v_message, nullif(v_detail, ''));
END
$$;

INSERT INTO expense_flow.account (account_id, owner) VALUES (901, 'Ada'), (902, 'Bob');
INSERT INTO expense_flow.transaction (account_id, transaction_id, description, amount, occurred_at) VALUES
	(901, '1', 'Groceries', 20, '2018-03-01 00:00:00Z'),
	(901, '2', 'Groceries', 30.50, '2018-03-01 00:00:00.000001Z'),
	(901, '3', 'Fuel', 0.10, '2018-03-05 12:00:00Z'),
	(901, '4', 'Fuel', 0.20, '2018-03-08 00:00:00Z'),
	(901, '5', 'Fuel', 5, '2018-03-08 00:00:00.000001Z'),
	(902, '1', 'Groceries', 999, '2018-03-05 12:00:00Z'),
	(902, '2', 'Groceries', 1, clock_timestamp() - interval '6 days'),
	(902, '3', 'Fuel', 1, clock_timestamp() - interval '8 days');

SELECT is(pg_temp.report('{"account_id": 901, "days": 7, "until": "2018-03-08T00:00:00Z"}'), '{"Groceries": 30.5, "Fuel": 0.3}',
		  'later than the start, up to and including the end');
SELECT is(pg_temp.report('{"account_id": 901, "days": 8, "until": "2018-03-08T00:00:00Z"}'), '{"Groceries": 50.5, "Fuel": 0.3}', 'a day more');
SELECT is(pg_temp.report('{"account_id": 901, "days": 7, "until": "2018-03-08T01:00:00+01:00"}'), '{"Groceries": 30.5, "Fuel": 0.3}', 'with an offset');
SELECT is(pg_temp.report('{"account_id": 901, "days": 1, "until": "2018-03-09T00:00:00Z"}'), '{"Fuel": 5}', 'only categories of the period');
SELECT is(pg_temp.report('{"account_id": 901, "days": 7, "until": "2017-01-01T00:00:00Z"}'), '{}', 'nothing spent: an empty object');
SELECT is(pg_temp.report('{"account_id": 901, "days": 0, "until": "2018-03-08T00:00:00Z"}'), '{}', 'no days: an empty object');
SELECT is(pg_temp.report('{"account_id": 902, "days": 7}'), '{"Groceries": 1}', 'until is now by default');
SELECT is(pg_temp.report('{"account_id": "902", "days": 7, "until": null}'), '{"Groceries": 1}', 'null is no time');
SELECT is(pg_temp.report('{"account_id": 902, "days": 999999}'), '{"Groceries": 1000, "Fuel": 1}', 'a long time');

SELECT matches(pg_temp.failure(i), e, d)
FROM (VALUES
	(1, '{"account_id": 999999, "days": 7}'::jsonb, 'AccountNotFound.*no account 999999', 'an unknown account'),
	(2, '{"days": 7}', 'AccountNotFound.*account_id is missing', 'no account'),
	(3, '{"account_id": 901}', 'InvalidInput.*days is missing', 'no days'),
	(4, '{"account_id": 901, "days": -1}', 'InvalidInput.*days', 'negative days'),
	(5, '{"account_id": 901, "days": 1.5}', 'InvalidInput.*days', 'half a day'),
	(6, '{"account_id": 901, "days": 7, "until": "2018-02-30"}', 'InvalidInput.*until', 'a day that does not exist')) AS v (n, i, e, d)
ORDER BY n;

SELECT * FROM finish();
ROLLBACK;
