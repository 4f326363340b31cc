-- ResultWriter: what the iterations return becomes rows of a table.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset tuples_only
\pset format unaligned

CREATE FUNCTION writer_step(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF n < 0 THEN
		PERFORM expense_flow.fail('Negative');
	END IF;
	RETURN n * 2;
END $$;
CREATE FUNCTION writer_start(fields text, input jsonb) RETURNS void LANGUAGE sql AS $f$
	SELECT expense_flow.create_workflow('writer', ('{"StartAt": "M", "States": {"M": {"Type": "Map", "ItemSelector": {"n.$": "$$.Map.Item.Value"}, ' || fields ||
		', "ItemProcessor": {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.writer_step", "End": true}}}}, "C": {"Type": "Pass", "End": true}}}')::json);
	SELECT expense_flow.start_workflow('writer', input, 'writer');
$f$;
CREATE VIEW writer_last AS SELECT * FROM expense_flow.runs WHERE workflow_id = 'writer' ORDER BY started_at DESC LIMIT 1;
CREATE FUNCTION writer_to(resource text) RETURNS text LANGUAGE sql AS $$SELECT format('"Next": "C", "ResultWriter": {"Resource": %s}', to_json(resource))$$;

-- All columns, some of them its own; a name that must be quoted.
CREATE TABLE "Writer's ""results" (id int GENERATED ALWAYS AS IDENTITY, item_index bigint, run_id uuid, output jsonb NOT NULL, who text DEFAULT current_user);
SELECT writer_start(writer_to('sql:public."Writer''s ""results"'), (SELECT jsonb_agg(n) FROM generate_series(1, 250) n));
CALL expense_flow.run_pending();
SELECT status, replace(output::text, run_id::text, 'RUN') FROM writer_last;
SELECT count(*), count(DISTINCT item_index), min(item_index), max(item_index), bool_and(r.output = to_jsonb((item_index + 1) * 2)), bool_and(who = current_user) FROM "Writer's ""results" r JOIN writer_last USING (run_id);
SELECT count(*) FROM expense_flow.branch JOIN writer_last USING (run_id);
SELECT h.type FROM expense_flow.history h JOIN writer_last USING (run_id) WHERE h.type !~ 'Iteration|Task' ORDER BY event_id;
-- Only the outputs; no items.
CREATE TABLE writer_output (output jsonb);
SELECT writer_start(writer_to('sql:public.writer_output'), '[3, 1]');
CALL expense_flow.run_pending();
SELECT status, output -> 'ResultWriterDetails' FROM writer_last;
SELECT * FROM writer_output ORDER BY output;
SELECT writer_start(writer_to('sql:public.writer_output'), '[]');
CALL expense_flow.run_pending();
SELECT status, output -> 'ResultWriterDetails' FROM writer_last;
-- What failed and was tolerated has no row; a Map that fails leaves none.
TRUNCATE "Writer's ""results";
SELECT writer_start('"ToleratedFailureCount": 1, ' || writer_to('sql:public."Writer''s ""results"'), '[1, -2, 3]');
CALL expense_flow.run_pending();
SELECT status, output #> '{ResultWriterDetails,Rows}' FROM writer_last;
SELECT item_index, output FROM "Writer's ""results" ORDER BY 1;
SELECT writer_start(writer_to('sql:public.writer_output'), '[10, -2, 30]');
CALL expense_flow.run_pending();
SELECT status, error FROM writer_last;
SELECT count(*) FROM writer_output;

-- The table is not there, or not as it should be; ownership; a constraint.  Each is an error that can be caught, and
-- leaves no row.
CREATE TABLE writer_wrong (output text);
CREATE TABLE writer_wrong_index (output jsonb, item_index text);
CREATE TABLE writer_none (result jsonb);
CREATE TABLE writer_checked (item_index int CHECK (item_index <> 120), output jsonb);
SELECT writer_start(writer_to('sql:public.' || t), (SELECT jsonb_agg(n) FROM generate_series(1, 150) n)) FROM unnest('{writer_missing}'::text[]) t;
CALL expense_flow.run_pending();
SELECT status, error, cause FROM writer_last;
SELECT writer_start(writer_to('sql:public.writer_wrong'), '[1]');
CALL expense_flow.run_pending();
SELECT status, error, cause FROM writer_last;
SELECT writer_start(writer_to('sql:public.writer_wrong_index'), '[1]');
CALL expense_flow.run_pending();
SELECT status, error, cause FROM writer_last;
SELECT writer_start(writer_to('sql:public.writer_none'), '[1]');
CALL expense_flow.run_pending();
SELECT status, error, cause FROM writer_last;
SELECT expense_flow.create_resource_alias('test:writer:*', 'sql:*');
SELECT writer_start(writer_to('test:writer:writer_none'), '[1]');
CALL expense_flow.run_pending();
SELECT status, error, cause FROM writer_last;
SELECT expense_flow.drop_resource_alias('test:writer:*');
SELECT writer_start(writer_to('sql:public.writer_checked'), (SELECT jsonb_agg(n) FROM generate_series(1, 150) n));
CALL expense_flow.run_pending();
SELECT status, error, cause ~ '^check_violation: ' FROM writer_last;
SELECT count(*) FROM writer_checked;
SELECT h.type FROM expense_flow.history h JOIN writer_last USING (run_id) WHERE h.type !~ 'Iteration|Task' ORDER BY event_id;
SELECT count(*) FROM expense_flow.branch JOIN writer_last USING (run_id);
SELECT writer_start('"Catch": [{"ErrorEquals": ["States.ResultWriterFailed"], "Next": "C", "ResultPath": null}], ' || writer_to('sql:public.writer_checked'), (SELECT jsonb_agg(n) FROM generate_series(1, 121) n));
CALL expense_flow.run_pending();
SELECT status, jsonb_array_length(output) FROM writer_last;
-- Nothing that can write: the Map does not begin.
SELECT writer_start(writer_to('arn:aws:states:::s3:putObject'), '[1]');
CALL expense_flow.run_pending();
SELECT status, error, cause FROM writer_last;
SELECT h.type FROM expense_flow.history h JOIN writer_last USING (run_id) ORDER BY event_id;
-- An alias of it can.
SELECT expense_flow.create_resource_alias('arn:aws:states:::s3:putObject', 'sql:public.writer_output');
SELECT expense_flow.start_workflow('writer', '[7]', 'writer') IS NOT NULL;
CALL expense_flow.run_pending();
SELECT status, output -> 'ResultWriterDetails' FROM writer_last;
SELECT expense_flow.drop_resource_alias('arn:aws:states:::s3:putObject');

-- With the rights of the run's owner, row security included.
CREATE ROLE regress_writer;
GRANT EXECUTE ON FUNCTION public.writer_step TO regress_writer;
CREATE TABLE writer_secret (output jsonb, owner text DEFAULT current_user);
SELECT expense_flow.create_workflow('writer', ('{"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ResultWriter": {"Resource": "sql:public.writer_secret"},
	"ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}}}}')::json) > 0;
SET ROLE regress_writer;
SELECT expense_flow.start_workflow('writer', '[1, 2]', 'writer') IS NOT NULL;
RESET ROLE;
CALL expense_flow.run_pending();
SELECT status, error, cause FROM writer_last;
GRANT INSERT ON writer_secret TO regress_writer;
ALTER TABLE writer_secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY small ON writer_secret FOR INSERT TO regress_writer WITH CHECK (output < '10');
SET ROLE regress_writer;
SELECT expense_flow.start_workflow('writer', '[1, 20]', 'writer') IS NOT NULL;
RESET ROLE;
CALL expense_flow.run_pending();
SELECT status, error, cause FROM writer_last;
SET ROLE regress_writer;
SELECT expense_flow.start_workflow('writer', '[1, 2]', 'writer') IS NOT NULL;
RESET ROLE;
CALL expense_flow.run_pending();
SELECT status, error FROM writer_last;
SELECT * FROM writer_secret ORDER BY output;

-- In a query.
SELECT expense_flow.run_workflow('writer', '[3]') #> '{ResultWriterDetails,Rows}';
SELECT output, owner = current_user FROM writer_secret ORDER BY output;

DROP VIEW writer_last;
DROP TABLE writer_secret;
REVOKE EXECUTE ON FUNCTION public.writer_step FROM regress_writer;
DROP OWNED BY regress_writer;
DROP ROLE regress_writer;
