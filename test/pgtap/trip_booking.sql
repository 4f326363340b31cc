-- The workflow trip_booking: what each state does, and what undoes it. (Whole runs: test/sql/scenario_sagas.sql.)
BEGIN;
SELECT plan(19);

CREATE TEMP VIEW trip AS SELECT definition::jsonb AS definition FROM expense_flow.workflows WHERE name = 'trip_booking';
CREATE FUNCTION pg_temp.state(p_state text, p_input jsonb, p_mock jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT expense_flow.test_state(definition::json, p_input, p_state, p_mock, context => '{"Execution": {"Id": "R"}}') FROM trip
$$;

SELECT is_empty($$SELECT v.* FROM trip, expense_flow.validate_workflow(definition::json) v$$, 'the definition is valid');
SELECT is((SELECT run_as || ' ' || built_in FROM expense_flow.workflows WHERE name = 'trip_booking'), 'starter true', 'built in, with the rights of whoever starts it');
SELECT is(definition ->> 'CompensationOrder', 'Parallel', 'what was booked is canceled all at once') FROM trip;

-- For each state: what is booked, and what cancels that, registered before it begins, by the same identifier.
SELECT results_eq(
	$$SELECT s.key, s.value ->> 'Resource', s.value #>> '{Compensate,Resource}' FROM trip, jsonb_each(definition -> 'States') s ORDER BY 1$$,
	$$VALUES ('Car', 'activity:travel/book_car', 'activity:travel/cancel_car'), ('Flight', 'activity:travel/book_flight', 'activity:travel/cancel_flight'),
		('Hotel', 'activity:travel/book_hotel', 'activity:travel/cancel_hotel')$$, 'each booking has its cancellation');
SELECT is_empty($$SELECT s.key FROM trip, jsonb_each(definition -> 'States') s WHERE s.value #>> '{Compensate,Register}' IS DISTINCT FROM 'Before'$$, 'registered before it');
SELECT is_empty(
	$$SELECT s.key FROM trip, jsonb_each(definition -> 'States') s WHERE s.value #> '{Compensate,Parameters,booking_id.$}' IS DISTINCT FROM s.value #> '{Parameters,booking_id.$}'$$,
	'and finds it by its identifier');

-- One after the other: what each gets, where it leads, what comes out.
CREATE TEMP TABLE walk AS
	WITH car AS (SELECT pg_temp.state('Car', '{"car": {"days": 7}, "hotel": {"nights": 6}, "flight": {"to": "LIS"}}', '{"result": {"ref": "C1"}}') AS s),
		hotel AS (SELECT pg_temp.state('Hotel', car.s -> 'output', '{"result": {"ref": "H1"}}') AS s FROM car),
		flight AS (SELECT pg_temp.state('Flight', hotel.s -> 'output', '{"result": {"ref": "F1"}}') AS s FROM hotel)
	SELECT car.s AS car, hotel.s AS hotel, flight.s AS flight FROM car, hotel, flight;
SELECT is(car #> '{inspectionData,afterParameters}', '{"booking_id": "R/car", "request": {"days": 7}}', 'the car') FROM walk;
SELECT is(car ->> 'nextState', 'Hotel', 'then the hotel') FROM walk;
SELECT is(hotel #> '{inspectionData,afterParameters}', '{"booking_id": "R/hotel", "request": {"nights": 6}}', 'with its own request') FROM walk;
SELECT is(hotel ->> 'nextState', 'Flight', 'then the flight') FROM walk;
SELECT is(flight #> '{inspectionData,afterParameters}', '{"booking_id": "R/flight", "request": {"to": "LIS"}}', 'with its own request, too') FROM walk;
SELECT is(flight -> 'output', '{"car": {"ref": "C1"}, "hotel": {"ref": "H1"}, "flight": {"ref": "F1"}}', 'and the bookings come out') FROM walk;

-- Failures are tried again, three times.
SELECT is(expense_flow.test_state(definition::json, '{"car": {}}', 'Car', '{"errorOutput": {"error": "Busy", "cause": "again"}}', context => '{"Execution": {"Id": "R"}}',
								  retry_count => n) ->> 'status', CASE WHEN n < 3 THEN 'RETRIABLE' ELSE 'FAILED' END, format('a failure after %s retries', n))
FROM trip, generate_series(0, 3) n ORDER BY n;
SELECT is(pg_temp.state('Flight', '{"car": {}}', '{"result": {}}') ->> 'error', 'States.Runtime', 'what is not asked for cannot be booked');

-- Nobody could do the work within the transaction that runs it.
SELECT throws_ok($$SELECT expense_flow.run_workflow('trip_booking', '{"car": {}, "hotel": {}, "flight": {}}')$$, 'EF005', NULL, 'work outside needs runs of their own');
CREATE TEMP TABLE started AS SELECT expense_flow.start_workflow('trip_booking', '{"car": {}}') AS run_id;
SELECT is(expense_flow.describe_run(run_id) ->> 'status', 'RUNNING', 'which start at the commit') FROM started;

SELECT * FROM finish();
ROLLBACK;
