-- get_result(): waiting for the end of a run.
SET search_path = expense_flow;
SET client_min_messages = warning;

SELECT create_workflow('res_ok', '{"StartAt":"A","States":{"A":{"Type":"Pass","Result":{"answer":42},"End":true}}}');
SELECT create_workflow('res_same', '{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}');
SELECT create_workflow('res_fail', '{"StartAt":"A","States":{"A":{"Type":"Fail","Error":"NoMoney","Cause":"the account is empty"}}}');
SELECT create_workflow('res_fail_silent', '{"StartAt":"A","States":{"A":{"Type":"Fail"}}}');
SELECT create_workflow('res_wait', '{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":100000,"End":true}}}');

SELECT start_workflow('res_ok') AS ok \gset
SELECT start_workflow('res_same', '{"x":[1,null]}') AS same \gset
SELECT start_workflow('res_same', 'null') AS nothing \gset
SELECT start_workflow('res_fail') AS fail \gset
SELECT start_workflow('res_fail_silent') AS silent \gset
SELECT start_workflow('res_wait', '{}', 'res-waiting') AS waiting \gset
CALL run_pending();

SELECT get_result(:'ok');
SELECT get_result(:'same');
SELECT get_result(:'nothing') AS json_null;
SELECT get_result(run_id => :'ok', timeout => '0');
SELECT get_result(:'fail', '1 hour');
\echo :LAST_ERROR_SQLSTATE
SELECT get_result(:'silent');

-- Not within the timeout.
\set VERBOSITY terse
SELECT get_result(:'waiting', '0');
\echo :LAST_ERROR_SQLSTATE
SELECT get_result(:'waiting', '30 ms');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default

-- It can be interrupted.
BEGIN;
SET LOCAL statement_timeout = '100 ms';
SELECT get_result(:'waiting');
ROLLBACK;

-- Ended from outside.
SELECT terminate_workflow('res-waiting', 'no longer needed');
SELECT get_result(:'waiting');
\echo :LAST_ERROR_SQLSTATE

-- A snapshot that is older than the end of the run does not matter.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM runs WHERE run_id = :'ok';
SELECT get_result(:'ok');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT get_result(:'ok');
COMMIT;

-- A run of one's own open transaction never ends in it.
BEGIN;
SELECT get_result(start_workflow('res_ok'));
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT start_workflow('res_ok') AS here \gset
RELEASE s;
SELECT get_result(:'here', '0');
ROLLBACK;

-- Mistakes.
SELECT get_result(NULL);
SELECT get_result('00000000-0000-0000-0000-000000000000');
\echo :LAST_ERROR_SQLSTATE
SELECT get_result(:'ok', '-1 s');
