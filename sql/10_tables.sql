/*
 * Tables of the engine.
 *
 * What changes with every step is one narrow row of "branch" (no index on a
 * column that a step changes, so the update is heap-only) and one new row of
 * "transition".  "run" is written once at the start and "closed_run" once at
 * the end; neither is ever updated.  A branch's current data is not copied
 * into its row: data_step points at the transition that produced it.  None of
 * the four has a CHECK constraint: it would be parsed anew for each row.
 */

CREATE TABLE workflow
(
	name				text COLLATE "C" PRIMARY KEY CHECK (name OPERATOR(pg_catalog.<>) ''),
	owner				regrole NOT NULL,
	current_version_id	integer NOT NULL,
	run_as_owner		boolean NOT NULL DEFAULT false,
	built_in			boolean NOT NULL DEFAULT false,
	retention			interval,
	created_at			timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE workflow IS 'Workflow names: who owns each, the version that new runs get, whose rights runs have, and how long closed runs are kept (NULL: the setting expense_flow.retention). Built-in ones belong to the extension''s script, so a dump leaves them out.';

/*
 * The identifiers of built-in versions are negative, given by the extension's
 * script and never given to another definition: users' runs of them are dumped
 * and restored while the definitions come with the extension.
 */
CREATE TABLE workflow_version
(
	version_id			integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	workflow			text COLLATE "C" NOT NULL,
	version				integer NOT NULL CHECK (version OPERATOR(pg_catalog.>) 0),
	definition			json NOT NULL,
	created_at			timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	UNIQUE (workflow, version)
);
COMMENT ON TABLE workflow_version IS 'Definitions in Amazon States Language, as they were registered. Immutable, and kept when the workflow is dropped: a run keeps the version that it started with, and its history stays readable.';

CREATE TABLE workflow_grant
(
	workflow			text COLLATE "C" NOT NULL,
	grantee				regrole NOT NULL,
	PRIMARY KEY (workflow, grantee)
);
COMMENT ON TABLE workflow_grant IS 'Roles that may start a workflow whose runs have its owner''s rights; 0 stands for PUBLIC.';

CREATE TABLE run
(
	run_id				uuid PRIMARY KEY,
	version_id			integer NOT NULL,
	owner				regrole NOT NULL,
	started_at			timestamptz NOT NULL,
	deadline			timestamptz,
	starter				regrole,
	workflow_id			text,
	input				jsonb NOT NULL,
	parent_run_id		uuid,
	parent_branch_id	integer,
	close_policy		"char"
);
CREATE INDEX run_parent ON run (parent_run_id) WHERE parent_run_id IS NOT NULL;
CREATE INDEX run_workflow_id ON run (workflow_id) WHERE workflow_id IS NOT NULL;
CREATE INDEX run_started_at ON run USING brin (started_at) WITH (pages_per_range = 32);
COMMENT ON TABLE run IS 'One row a run, written at its start and never changed. workflow_id is NULL where the caller gave none (it is then the text of run_id); owner is the role whose rights the activities have; starter is the role that started the run, NULL where that is the owner. parent_run_id is the run that started it as a child, parent_branch_id the branch of it that waits for the outcome (NULL: none), close_policy what becomes of the child when the parent closes: T it is terminated, C asked to cancel, A left alone.';

CREATE TABLE branch
(
	run_id				uuid NOT NULL,
	branch_id			integer NOT NULL,
	parent_id			integer,
	item				integer,
	step				integer NOT NULL,
	data_step			integer NOT NULL,
	status				"char" NOT NULL,
	retry_count			smallint NOT NULL DEFAULT 0,
	retrier_counts		smallint[],
	due_at				timestamptz,
	entered_at			timestamptz,
	state				text COLLATE "C" NOT NULL,
	workflow_id			text,
	context				jsonb,
	variables			jsonb,
	pending				integer,
	awaits				text[] COLLATE "C",
	timeout_at			timestamptz,
	canceled			"char",
	cancel_reason		text,
	parked				"char",
	parked_at			timestamptz,
	parked_reason		text,
	PRIMARY KEY (run_id, branch_id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
CREATE INDEX branch_due ON branch (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX branch_parent ON branch (run_id, parent_id, item) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX branch_open_workflow_id ON branch (workflow_id) WHERE workflow_id IS NOT NULL;
COMMENT ON TABLE branch IS 'One row for each sequential line of control of an open run; branch 0 is the main line and carries the workflow_id that only one open run may have. due_at is when the branch became ready (unchanged while it steps on), or the time it waits for, or NULL while only a message or another branch can wake it. pending counts the branches that a Parallel or Map still waits for, item is the number of one of those (from 0), context is how that state joins them. awaits (while status is M): the addresses of the messages that it waits for, at most until timeout_at. canceled is R when the branch was asked to cancel, D once it has been told so. parked (while status is P): the status that it had when it was parked, at parked_at for parked_reason; due_at is then the run''s deadline.';

CREATE SEQUENCE branch_id AS integer CYCLE CACHE 32;
COMMENT ON SEQUENCE branch_id IS 'Numbers of branches other than main lines. They need to be unique only within a run, so it may begin again.';

CREATE TABLE transition
(
	run_id				uuid NOT NULL,
	step				integer NOT NULL,
	branch_id			integer NOT NULL,
	began_at			timestamptz NOT NULL,
	at					timestamptz NOT NULL,
	events				text COLLATE "C" NOT NULL,
	state				text COLLATE "C",
	output				jsonb,
	details				jsonb,
	PRIMARY KEY (run_id, step, branch_id)
);
COMMENT ON TABLE transition IS 'What happened to a branch, one row for each advance: the history events it consists of (a letter each, see history_event_type), and the data it produced (NULL where the data did not change). step is a logical clock: a fork gives its branches the next step, a join takes one past the largest, so (step, branch_id) orders a run''s history causally.';

CREATE TABLE closed_run
(
	run_id				uuid PRIMARY KEY,
	status				"char" NOT NULL,
	closed_at			timestamptz NOT NULL,
	step				integer NOT NULL,
	error				text,
	cause				text,
	variables			jsonb
);
COMMENT ON TABLE closed_run IS 'One row for each run that has ended: its status (S succeeded, F failed, T timed out, C canceled, X terminated), and the step of branch 0 whose data is the output (SUCCEEDED), or error and cause; and the variables that branch 0 had (NULL: none).';

CREATE TABLE history_event_type
(
	code				"char" PRIMARY KEY,
	name				text NOT NULL UNIQUE,
	at_begin			boolean NOT NULL,
	carries				text CHECK (carries OPERATOR(pg_catalog.=) ANY (ARRAY['input', 'output', 'failure', 'start', 'update']))
);
COMMENT ON TABLE history_event_type IS 'The letters of transition.events: the history event''s name, and whether it happened when the transition began (else when it was done), and what its details are (NULL: nothing).';

CREATE TABLE resource_alias
(
	pattern				text COLLATE "C" PRIMARY KEY,
	resource			text NOT NULL
);
COMMENT ON TABLE resource_alias IS 'Resource patterns of Task states (`*` matches any text) and what each stands for; the most specific pattern wins.';

SELECT pg_catalog.pg_extension_config_dump('workflow', 'WHERE NOT built_in');
SELECT pg_catalog.pg_extension_config_dump('workflow_version', 'WHERE version_id > 0');
SELECT pg_catalog.pg_extension_config_dump(pg_catalog.pg_get_serial_sequence('workflow_version', 'version_id')::pg_catalog.regclass, '');
SELECT pg_catalog.pg_extension_config_dump('workflow_grant', '');
SELECT pg_catalog.pg_extension_config_dump('run', '');
SELECT pg_catalog.pg_extension_config_dump('branch', '');
SELECT pg_catalog.pg_extension_config_dump('branch_id', '');
SELECT pg_catalog.pg_extension_config_dump('transition', '');
SELECT pg_catalog.pg_extension_config_dump('closed_run', '');
SELECT pg_catalog.pg_extension_config_dump('resource_alias', '');
