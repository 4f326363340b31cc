/*
 * Compensations: what undoes the steps of runs that fail.
 */

CREATE TABLE compensation
(
	run_id				uuid NOT NULL,
	step				integer NOT NULL,
	branch_id			integer NOT NULL,
	status				"char" NOT NULL CHECK (status OPERATOR(pg_catalog.=) ANY (ARRAY['P', 'R', 'D', 'F', 'S']::"char"[])),
	compensated_by		integer,
	registered_at		timestamptz NOT NULL,
	state				text COLLATE "C" NOT NULL,
	error				text,
	cause				text,
	input				jsonb NOT NULL,
	PRIMARY KEY (run_id, step, branch_id)
);
COMMENT ON TABLE compensation IS 'What is to be done should an open run not succeed, registered by the step of a branch: the state whose Compensate it is, with its input. status: P registered, R at work (compensated_by is the branch that does it), D done, F failed for good, S skipped. Removed when the run succeeds.';

CREATE TABLE compensating_run
(
	run_id				uuid PRIMARY KEY,
	status				"char" NOT NULL,
	began_at			timestamptz NOT NULL,
	error				text,
	cause				text
);
COMMENT ON TABLE compensating_run IS 'Open runs that are compensating, and how each will close when that is done: as closed_run''s status, error and cause.';

SELECT pg_catalog.pg_extension_config_dump('compensation', '');
SELECT pg_catalog.pg_extension_config_dump('compensating_run', '');
