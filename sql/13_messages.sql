/*
 * Messages to runs.  src/README (Messages) tells how a message and the branch
 * that waits for it find each other.
 */

CREATE TABLE message
(
	run_id				uuid NOT NULL,
	address				text COLLATE "C" NOT NULL,
	message_id			bigint GENERATED ALWAYS AS IDENTITY,
	sent_at				timestamptz NOT NULL,
	payload				jsonb NOT NULL,
	PRIMARY KEY (run_id, address, message_id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE message IS 'What was sent to open runs and not consumed yet. address says what waits for it: signal:NAME, or task:BRANCH for the outcome of a Task of that branch; message_id orders the messages of an address.';

SELECT pg_catalog.pg_extension_config_dump('message', '');
SELECT pg_catalog.pg_extension_config_dump(pg_catalog.pg_get_serial_sequence('message', 'message_id')::pg_catalog.regclass, '');

CREATE TABLE request
(
	run_id				uuid NOT NULL,
	starter				regrole,
	request_id			text COLLATE "C" NOT NULL,
	digest				bigint NOT NULL,
	answer				jsonb
);
CREATE UNIQUE INDEX request_to_run ON request (run_id, request_id) WHERE starter IS NULL;
CREATE UNIQUE INDEX request_to_start ON request (starter, request_id) WHERE starter IS NOT NULL;
CREATE INDEX request_started ON request (run_id) WHERE starter IS NOT NULL;
COMMENT ON TABLE request IS 'Requests that were given a request_id, so that each has one effect however often it is made: those to a run, and those to start one, of a role (starter), whose answer is run_id. digest is of what was asked for. Kept as long as the run.';

SELECT pg_catalog.pg_extension_config_dump('request', '');
