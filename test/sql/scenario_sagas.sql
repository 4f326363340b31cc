-- Known scenarios of sagas: money that comes back, and trips that are booked wholly or not at all.
-- (Three steps whose third one fails: sagas.sql; with a worker that is killed in the middle of it: test/t/065_sagas.pl.)
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;
SET search_path = public, expense_flow;
INSERT INTO account (account_id, owner, balance) VALUES (88001, 'Ada', 100), (88002, 'Bob', 0);
CREATE VIEW scenario_transfers AS
	SELECT t.transfer_id, t.amount, CASE WHEN t.deposited_at IS NOT NULL THEN 'deposited' WHEN t.refunded_at IS NOT NULL THEN 'refunded' ELSE 'on its way' END AS money
	FROM transfer t WHERE t.from_account = 88001 ORDER BY t.transfer_id;

-- M1: a deposit to an account that does not exist. InvalidAccount is not tried again; the withdrawal is refunded, and the failure says that the money was returned.
SELECT start_workflow('money_transfer', '{"from_account": 88001, "to_account": "B5555", "amount": 10, "transfer_id": "1 nowhere"}', 'scenario m1 nowhere') IS NOT NULL;
CALL run_pending();
SELECT status, error, cause FROM find_runs('scenario m1 nowhere');
SELECT type, h.state FROM history h JOIN find_runs('scenario m1 nowhere') USING (run_id) WHERE type ~ '^(Task(Succeeded|Failed)|Compensation|Execution)' ORDER BY event_id;
SELECT * FROM scenario_transfers;
SELECT account_id, balance FROM account WHERE account_id IN (88001, 88002) ORDER BY 1;

-- The money comes back as well when the deposit cannot be made for too long, when the run times out, and when it is canceled between the two steps.
-- (The delayed starts keep the retries out of the hands of the workers.)
CREATE FUNCTION refuse_deposit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE lock_not_available USING MESSAGE = 'not now';
END $$;
CREATE TRIGGER refuse_deposit BEFORE UPDATE ON transfer FOR EACH ROW WHEN (new.deposited_at IS NOT NULL) EXECUTE FUNCTION refuse_deposit();
SELECT start_workflow('money_transfer', '{"from_account": 88001, "to_account": 88002, "amount": 20, "transfer_id": "2 canceled"}', 'scenario m1 canceled', start_delay => '2 hours') IS NOT NULL;
SELECT start_workflow('money_transfer', '{"from_account": 88001, "to_account": 88002, "amount": 30, "transfer_id": "3 timed out"}', 'scenario m1 timed out', start_delay => '1 hour', run_timeout => '2 s') IS NOT NULL;
SELECT start_workflow('money_transfer', '{"from_account": 88001, "to_account": 88002, "amount": 40, "transfer_id": "4 busy"}', 'scenario m1 busy', start_delay => '1 hour') IS NOT NULL;
CALL run_pending('1 hour 20 s');
CALL run_pending('2 hours');
SELECT * FROM scenario_transfers;
SELECT cancel_workflow('scenario m1 canceled', 'changed my mind');
CALL run_pending();
SELECT workflow_id, status, error, cause FROM runs WHERE workflow_id LIKE 'scenario m1 %' ORDER BY 1;
SELECT * FROM scenario_transfers;
SELECT account_id, balance FROM account WHERE account_id IN (88001, 88002) ORDER BY 1;

-- What another run with the same transfer_id has deposited after all stays where it is.
SELECT start_workflow('money_transfer', '{"from_account": 88001, "to_account": 88002, "amount": 50, "transfer_id": "5 twice"}', 'scenario m1 first', start_delay => '2 hours') IS NOT NULL;
CALL run_pending('2 hours');
DROP TRIGGER refuse_deposit ON transfer;
DROP FUNCTION refuse_deposit;
SELECT start_workflow('money_transfer', '{"from_account": 88001, "to_account": 88002, "amount": 50, "transfer_id": "5 twice"}', 'scenario m1 second') IS NOT NULL;
CALL run_pending();
SELECT cancel_workflow('scenario m1 first', 'the other one will do');
CALL run_pending();
SELECT workflow_id, status FROM runs WHERE workflow_id IN ('scenario m1 first', 'scenario m1 second') ORDER BY 1;
SELECT money FROM scenario_transfers WHERE transfer_id = '5 twice';
SELECT account_id, balance FROM account WHERE account_id IN (88001, 88002) ORDER BY 1;
DROP VIEW scenario_transfers;
DELETE FROM transfer WHERE from_account = 88001;
DELETE FROM account WHERE account_id IN (88001, 88002);

-- M6: a car, a hotel and a flight are booked outside. All is well.
SELECT start_workflow('trip_booking', '{"car": {"days": 7}, "hotel": {"nights": 6}, "flight": {"to": "LIS"}}', 'scenario m6 booked') IS NOT NULL;
CALL run_pending();
SELECT activity, input -> 'request', complete_activity(token, '"C1"') FROM poll_activity('travel', wait => '20 s');
CALL run_pending();
SELECT activity, input -> 'request', complete_activity(token, '"H1"') FROM poll_activity('travel', wait => '20 s');
CALL run_pending();
SELECT activity, input -> 'request', complete_activity(token, '"F1"') FROM poll_activity('travel', wait => '20 s');
CALL run_pending();
SELECT status, output FROM find_runs('scenario m6 booked');

-- The flight fails for good. Its own cancellation is registered as well, since that happens before the booking; all three are there to be taken at once.
SELECT start_workflow('trip_booking', '{"car": {}, "hotel": {}, "flight": {}}', 'scenario m6 full') IS NOT NULL;
CALL run_pending();
SELECT complete_activity(token, '"C2"') FROM poll_activity('travel', wait => '20 s');
CALL run_pending();
SELECT complete_activity(token, '"H2"') FROM poll_activity('travel', wait => '20 s');
CALL run_pending();
SELECT c.state, c.status FROM compensations c JOIN find_runs('scenario m6 full') USING (run_id) ORDER BY step;
SELECT activity, fail_activity(token, 'NoSeats', 'LIS is full', non_retryable => true) FROM poll_activity('travel', wait => '20 s');
CALL run_pending();
SELECT status, compensating, state FROM find_runs('scenario m6 full');
CREATE TEMP TABLE taken AS SELECT * FROM poll_activity('travel', max_tasks => 10, wait => '20 s');
SELECT activity, replace(input ->> 'booking_id', run_id::text, 'RUN') FROM taken ORDER BY 1;
-- In any order; one of them takes two attempts.
SELECT fail_activity(token, 'Busy', retry_delay => '0') FROM taken WHERE activity = 'cancel_car';
SELECT complete_activity(token) FROM taken WHERE activity = 'cancel_flight';
SELECT complete_activity(token) FROM taken WHERE activity = 'cancel_hotel';
CALL run_pending();
SELECT c.state, c.status FROM compensations c JOIN find_runs('scenario m6 full') USING (run_id) ORDER BY step;
SELECT activity, attempt, complete_activity(token) FROM poll_activity('travel', wait => '20 s');
CALL run_pending();
SELECT status, error, cause FROM find_runs('scenario m6 full');

-- Canceled while somebody is booking the flight: the same, whatever became of the flight.
SELECT start_workflow('trip_booking', '{"car": {}, "hotel": {}, "flight": {}}', 'scenario m6 canceled') IS NOT NULL;
CALL run_pending();
SELECT complete_activity(token, '"C3"') FROM poll_activity('travel', wait => '20 s');
CALL run_pending();
SELECT complete_activity(token, '"H3"') FROM poll_activity('travel', wait => '20 s');
CALL run_pending();
SELECT token FROM poll_activity('travel', wait => '20 s') \gset
SELECT cancel_workflow('scenario m6 canceled', 'no holidays');
CALL run_pending();
SELECT cancel_requested FROM heartbeat_activity(:'token');
SELECT complete_activity(:'token', '"F3"');
SELECT activity, complete_activity(token) FROM poll_activity('travel', max_tasks => 10, wait => '20 s') ORDER BY 1;
CALL run_pending();
SELECT status, error, cause FROM find_runs('scenario m6 canceled');
SELECT count(*) FROM activity_tasks WHERE workflow_id LIKE 'scenario%' AND status <> 'CANCELED';
