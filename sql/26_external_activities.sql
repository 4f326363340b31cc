/*
 * External activities: work that outside programs take from queues.
 *
 * One row of activity_task is one attempt that is open, or that failed and may
 * be followed by another.  src/engine/task.c tells how it ends once.
 */

CREATE TABLE activity_task
(
	run_id				uuid NOT NULL,
	branch_id			integer NOT NULL,
	step				integer NOT NULL,
	attempt				integer NOT NULL,
	status				"char" NOT NULL CHECK (status OPERATOR(pg_catalog.=) ANY (ARRAY['S', 'R', 'F', 'C']::"char"[])),
	priority			integer NOT NULL,
	scheduled_at		timestamptz NOT NULL,
	start_by			timestamptz,
	close_by			timestamptz,
	started_at			timestamptz,
	heartbeat_at		timestamptz,
	start_to_close		double precision,
	heartbeat			double precision,
	queue				text COLLATE "C",
	name				text COLLATE "C" NOT NULL,
	worker				text,
	secret_hash			bytea,
	input				jsonb,
	details				jsonb,
	PRIMARY KEY (run_id, branch_id, step)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
CREATE INDEX activity_task_queue ON activity_task (queue, priority DESC, scheduled_at) WHERE status OPERATOR(pg_catalog.=) 'S';
COMMENT ON TABLE activity_task IS 'The attempts at external activities that are not over. step is that of the transition that scheduled it. status: S scheduled, R started (taken by worker; or a token was given out: queue is NULL then), F failed (kept until the next attempt, which gets details), C canceled (kept to tell its worker). start_by and close_by are timeouts from the scheduling on; start_to_close and heartbeat, in seconds, count from the start or the last heartbeat (heartbeat_at), whose details are kept. secret_hash is the SHA-256 of the secret part of its token.';

CREATE TABLE queue_grant
(
	queue				text COLLATE "C" NOT NULL,
	grantee				regrole NOT NULL,
	PRIMARY KEY (queue, grantee)
);
COMMENT ON TABLE queue_grant IS 'Roles that may take all tasks of a queue, whosever runs they belong to; 0 stands for PUBLIC.';

SELECT pg_catalog.pg_extension_config_dump('activity_task', '');
SELECT pg_catalog.pg_extension_config_dump('queue_grant', '');

CREATE FUNCTION poll_activity(queue text, worker text DEFAULT NULL, max_tasks integer DEFAULT 1, wait interval DEFAULT '0',
	OUT token text, OUT workflow_id text, OUT run_id uuid, OUT activity text, OUT input jsonb, OUT attempt integer,
	OUT heartbeat_details jsonb, OUT scheduled_at timestamptz, OUT timeout_at timestamptz, OUT heartbeat_timeout interval, OUT workflow text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
	AS 'MODULE_PATHNAME', 'ef_poll_activity';
COMMENT ON FUNCTION poll_activity(text, text, integer, interval) IS 'Take the next tasks of a queue, at most max_tasks: those of the highest Priority, and of these the oldest. If there is none, wait for one at most so long (NULL: not at all); the wait ends when one is committed. A role takes tasks of runs that it owns or started, and all of a queue that it was granted (grant_queue). worker is a name for the history. token is for complete_activity, fail_activity and heartbeat_activity, and worth as much as a password; attempt counts from 1; heartbeat_details are those of the last heartbeat of the attempts before; timeout_at is when this attempt times out if there is no heartbeat; heartbeat_timeout how long after a heartbeat. If the transaction rolls back, the tasks are scheduled again. A waiting call is a statement at work, which holds back vacuum: prefer waits of seconds to minutes. Tasks come with each call anew, also in REPEATABLE READ.';

CREATE FUNCTION complete_activity(token text, result jsonb DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_complete_activity';
COMMENT ON FUNCTION complete_activity(text, jsonb) IS 'The task of this token is done: result (NULL: JSON null) is the Task''s result when the transaction commits. Whoever has the token may say so, once. Errors: EF011 the token is invalid, or its task was ended before, has timed out, or is not wanted any more (then nothing changes); 54000 the result is larger than the setting expense_flow.data_limit.';

CREATE FUNCTION fail_activity(token text, error text, cause text DEFAULT NULL, details jsonb DEFAULT NULL, non_retryable boolean DEFAULT false, retry_delay interval DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_fail_activity';
COMMENT ON FUNCTION fail_activity(text, text, text, jsonb, boolean, interval) IS 'The attempt of this token has failed with that error name, which Retry and Catch of the Task can match, and cause. details are kept in the history. non_retryable: go past Retry, straight to Catch. retry_delay: if the error is retried, after this time instead of the retrier''s. Errors: as complete_activity.';

CREATE FUNCTION heartbeat_activity(token text, details jsonb DEFAULT NULL, OUT cancel_requested boolean, OUT timeout_at timestamptz)
	RETURNS record
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_heartbeat_activity';
COMMENT ON FUNCTION heartbeat_activity(text, jsonb) IS 'The work on the task of this token goes on. details (NULL: as they were) are given to the next attempt, should this one fail. cancel_requested: the work is not wanted any more, and its result would be refused. timeout_at is when the attempt times out unless another heartbeat comes. Errors: EF011 the token is invalid, or its task was ended, has timed out, or its run is closed.';

CREATE FUNCTION complete_activity_by_name(workflow_id text, activity text, result jsonb DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_complete_activity_by_name';
COMMENT ON FUNCTION complete_activity_by_name(text, text, jsonb) IS 'As complete_activity, for people: the open task of that activity (or state that waits for a token) in the open run of workflow_id, whether somebody has taken it or not. For roles that may steer the run. Errors: EF002 no such run (or it is another role''s); EF006 it is closed; EF011 it has no such task; 21000 it has several; 54000.';

CREATE FUNCTION fail_activity_by_name(workflow_id text, activity text, error text, cause text DEFAULT NULL, details jsonb DEFAULT NULL,
	non_retryable boolean DEFAULT false, retry_delay interval DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_fail_activity_by_name';
COMMENT ON FUNCTION fail_activity_by_name(text, text, text, text, jsonb, boolean, interval) IS 'As fail_activity, for the task that complete_activity_by_name would complete.';

CREATE FUNCTION grant_queue(queue text, grantee text)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_grant_queue';
REVOKE EXECUTE ON FUNCTION grant_queue(text, text) FROM PUBLIC;
COMMENT ON FUNCTION grant_queue(text, text) IS 'Let a role (or ''public'') take all tasks of a queue, whosever runs they belong to. Not executable by PUBLIC. Error 42704: unknown role.';

CREATE FUNCTION revoke_queue(queue text, grantee text)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_revoke_queue';
REVOKE EXECUTE ON FUNCTION revoke_queue(text, text) FROM PUBLIC;
COMMENT ON FUNCTION revoke_queue(text, text) IS 'Take back what grant_queue() gave.';

/*
 * What people and programs may see of the open tasks; no tokens.
 */
CREATE VIEW activity_tasks WITH (security_barrier) AS
	SELECT t.run_id,
		coalesce(r.workflow_id, r.run_id::pg_catalog.text) AS workflow_id,
		t.branch_id,
		t.queue,
		t.name AS activity,
		CASE t.status WHEN 'S' THEN 'SCHEDULED' WHEN 'R' THEN 'STARTED' WHEN 'F' THEN 'RETRYING' WHEN 'C' THEN 'CANCELED' END AS status,
		t.attempt,
		t.priority,
		t.input,
		t.scheduled_at,
		t.started_at,
		t.worker,
		t.heartbeat_at,
		t.details AS heartbeat_details,
		t.start_by,
		t.close_by,
		pg_catalog.make_interval(secs => t.start_to_close) AS start_to_close,
		pg_catalog.make_interval(secs => t.heartbeat) AS heartbeat_timeout
	FROM expense_flow.activity_task t
		JOIN expense_flow.run r ON r.run_id OPERATOR(pg_catalog.=) t.run_id
	WHERE pg_catalog.pg_has_role(r.owner, 'USAGE') OR pg_catalog.pg_has_role(r.starter, 'USAGE');
GRANT SELECT ON activity_tasks TO PUBLIC;
COMMENT ON VIEW activity_tasks IS 'External activities that are not over, of runs that the current role may see: SCHEDULED (in its queue), STARTED (worker has it; queue is NULL where a token is waited for), RETRYING (an attempt failed, the next one comes) or CANCELED (not wanted any more, its worker was not told yet). start_by and close_by are when the attempt times out unless it was started, or completed; start_to_close and heartbeat_timeout are limits from its start, and from the last heartbeat.';
