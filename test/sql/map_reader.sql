-- ItemReader: each row of a function becomes an item, some at a time.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset tuples_only
\pset format unaligned

CREATE TABLE reader_effect (n int);
CREATE FUNCTION reader_step(n int) RETURNS int LANGUAGE sql AS 'INSERT INTO public.reader_effect VALUES (n) RETURNING n * 2';
-- Fails at a row; notes who reads.
CREATE FUNCTION reader_rows(upto int, bad int DEFAULT 0) RETURNS TABLE (n int, who text) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.reader_effect VALUES (-1);
	FOR i IN 1 .. upto LOOP
		n := i;
		IF n = bad THEN
			RAISE division_by_zero USING MESSAGE = 'at row ' || n;
		END IF;
		who := current_user || ' ' || current_setting('search_path');
		RETURN NEXT;
	END LOOP;
END $$;
CREATE FUNCTION reader_start(fields text, input jsonb, processor text DEFAULT '{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.reader_step", "Parameters": {"n.$": "$.n"}, "End": true}}}')
	RETURNS void LANGUAGE sql AS $$
	TRUNCATE reader_effect;
	SELECT expense_flow.create_workflow('reader', ('{"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, ' || fields || ', "ItemProcessor": ' || processor || '}}}')::json);
	SELECT expense_flow.start_workflow('reader', input, 'reader');
$$;
CREATE FUNCTION reader_call(upto int, bad int DEFAULT 0) RETURNS text LANGUAGE sql AS $$
	SELECT format('"ItemReader": {"Resource": "sql:public.reader_rows", "Parameters": {"upto": %s, "bad": %s}}', upto, bad)$$;
CREATE VIEW reader_last AS SELECT * FROM expense_flow.runs WHERE workflow_id = 'reader' ORDER BY started_at DESC LIMIT 1;
CREATE VIEW reader_left AS SELECT count(*) FROM expense_flow.branch JOIN reader_last USING (run_id);

-- More rows than are read, or written, at a time.
SELECT reader_start(reader_call(1234), '{}');
CALL expense_flow.run_pending();
SELECT status, output = (SELECT jsonb_agg(n * 2) FROM generate_series(1, 1234) n), error FROM reader_last;
SELECT count(*), count(DISTINCT n), min(n), max(n) FROM reader_effect;
SELECT * FROM reader_left;
-- As the run's owner, in the search_path of activities, each of them.
SELECT reader_start(reader_call(300), '{}', '{"StartAt": "P", "States": {"P": {"Type": "Pass", "OutputPath": "$.who", "End": true}}}');
CALL expense_flow.run_pending();
SELECT status, count(*), bool_and(who = current_user || ' "$user", public') FROM reader_last, jsonb_array_elements_text(output) who GROUP BY 1;
-- None.
SELECT reader_start(reader_call(0), '{}');
CALL expense_flow.run_pending();
SELECT status, output FROM reader_last;
SELECT h.type FROM expense_flow.history h JOIN reader_last USING (run_id) ORDER BY event_id;
-- A few at a time; and not all.
SELECT reader_start('"MaxConcurrency": 2, "ItemReader": {"Resource": "sql:public.reader_rows", "Parameters": {"upto": 1000}, "ReaderConfig": {"MaxItems": 7}}', '{}');
CALL expense_flow.run_pending();
SELECT status, output FROM reader_last;
-- Scalars.
CREATE FUNCTION reader_names(upto int) RETURNS SETOF text LANGUAGE sql AS 'SELECT ''name '' || i FROM generate_series(1, upto) i';
SELECT reader_start('"ItemReader": {"Resource": "sql:public.reader_names", "Parameters": {"upto": 3}}', '{}', '{"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}');
CALL expense_flow.run_pending();
SELECT status, output FROM reader_last;
-- A function that returns an array, and ItemsPath.
CREATE FUNCTION reader_array() RETURNS jsonb LANGUAGE sql AS $$SELECT '[{"n": 1}, {"n": 2}]'::jsonb$$;
SELECT reader_start('"ItemReader": {"Resource": "sql:public.reader_array"}', '{}');
CALL expense_flow.run_pending();
SELECT status, output FROM reader_last;
CREATE FUNCTION reader_sets() RETURNS SETOF jsonb LANGUAGE sql AS $$VALUES ('{"a": [1]}'::jsonb), ('{"a": [{"n": 5}, {"n": 6}]}')$$;
SELECT reader_start('"ItemsPath": "$[1].a", "ItemReader": {"Resource": "sql:public.reader_sets"}', '{}');
CALL expense_flow.run_pending();
SELECT status, output FROM reader_last;

-- Batches, across what is read at a time.
SELECT reader_start(reader_call(250) || ', "ItemSelector": {"n.$": "$$.Map.Item.Value.n", "i.$": "$$.Map.Item.Index"}, "ItemBatcher": {"MaxItemsPerBatch": 60, "BatchInput": {"b": 1}}', '{}',
	'{"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}');
CALL expense_flow.run_pending();
SELECT status, jsonb_array_length(output), output #> '{0,BatchInput}', output #> '{0,Items,0}', output #> '{1,Items,59}', jsonb_array_length(output #> '{4,Items}'), output #> '{4,Items,9}' FROM reader_last;

-- It fails in the middle: no branch has been started, and nothing is left of what it did.
SELECT reader_start(reader_call(1000, 700), '{}');
CALL expense_flow.run_pending();
SELECT status, error, cause FROM reader_last;
SELECT count(*) FROM reader_effect;
SELECT h.type FROM expense_flow.history h JOIN reader_last USING (run_id) ORDER BY event_id;
SELECT * FROM reader_left;
-- So does an item.
SELECT reader_start(reader_call(1000) || ', "ItemSelector": {"n.$": "$$.Map.Item.Value.n", "x.$": "States.ArrayGetItem($.list, $$.Map.Item.Index)"}', '{"list": [1, 2, 3]}');
CALL expense_flow.run_pending();
SELECT status, error FROM reader_last;
SELECT count(*) FROM reader_effect;
SELECT * FROM reader_left;
-- Caught, and tried again.
CREATE SEQUENCE reader_attempt;
CREATE FUNCTION reader_flaky() RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT generate_series(1, 150);
	IF nextval('public.reader_attempt') < 3 THEN
		PERFORM expense_flow.fail('Flaky');
	END IF;
END $$;
SELECT reader_start('"ItemSelector": {"n.$": "$$.Map.Item.Value"}, "Retry": [{"ErrorEquals": ["States.ItemReaderFailed"], "IntervalSeconds": 1}], "ItemReader": {"Resource": "sql:public.reader_flaky"}', '{}');
CALL expense_flow.run_pending('1 minute');
SELECT status, jsonb_array_length(output) FROM reader_last;
SELECT count(*), count(DISTINCT n) FROM reader_effect;

-- Inside a query.
SELECT jsonb_array_length(expense_flow.run_workflow('reader'));
-- Tolerated failures are a part of all that were read.
CREATE FUNCTION reader_fail(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF n % 10 = 0 THEN
		PERFORM expense_flow.fail('Tenth');
	END IF;
	RETURN n;
END $$;
SELECT reader_start(reader_call(200) || ', "ToleratedFailurePercentage": 10', '{}',
	'{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.reader_fail", "Parameters": {"n.$": "$.n"}, "End": true}}}');
CALL expense_flow.run_pending();
SELECT status, jsonb_array_length(output) FROM reader_last;
DROP VIEW reader_left, reader_last;
