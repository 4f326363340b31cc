/*
 * Reading runs.
 *
 * Everybody may select from these views and sees the runs whose owner's (or
 * starter's) privileges he has; src/engine/rights.c says the same in C.  They
 * are security barriers: no condition of a query sees a row before the check.
 *
 * They are made to be asked for one run (run_id), for the runs of some time
 * (started_at), or for the open ones (closed_at IS NULL, status = 'RUNNING'), each by index.
 */

CREATE FUNCTION flush_wal() RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'ef_flush_wal';
COMMENT ON FUNCTION flush_wal() IS 'Internal, in views that show the ends of runs: wait until what the current snapshot sees is on disk; always true.';

CREATE VIEW runs WITH (security_barrier) AS
	SELECT r.run_id,
		coalesce(r.workflow_id, r.run_id::pg_catalog.text) AS workflow_id,
		v.workflow,
		v.version,
		r.status,
		r.input,
		CASE WHEN r.output_step IS NOT NULL THEN
			coalesce((SELECT t.output
					FROM expense_flow.transition t
					WHERE t.run_id OPERATOR(pg_catalog.=) r.run_id
						AND t.step OPERATOR(pg_catalog.<=) r.output_step
						AND t.branch_id OPERATOR(pg_catalog.=) 0
						AND t.output IS NOT NULL
					ORDER BY t.step DESC
					LIMIT 1),
				r.input)
		END AS output,
		r.error,
		r.cause,
		r.started_at,
		r.closed_at,
		r.owner,
		coalesce(r.starter, r.owner) AS starter,
		r.state,
		r.due_at,
		r.retry_count,
		r.deadline,
		r.parent_run_id,
		r.compensating,
		r.paused_reason
	FROM (
			SELECT o.*, n.status, NULL::integer AS output_step,
				NULL::text AS error, NULL::text AS cause, NULL::timestamptz AS closed_at,
				b.state, b.due_at, b.retry_count,
				CASE WHEN b.status OPERATOR(pg_catalog.=) 'K' THEN
					CASE WHEN EXISTS (SELECT FROM expense_flow.compensation f
							WHERE f.run_id OPERATOR(pg_catalog.=) o.run_id AND f.status OPERATOR(pg_catalog.=) 'F')
						THEN 'FAILED' ELSE 'RUNNING' END
				END AS compensating,
				p.reason AS paused_reason
			FROM expense_flow.run o
				JOIN expense_flow.branch b ON b.run_id OPERATOR(pg_catalog.=) o.run_id
				CROSS JOIN LATERAL (
					SELECT CASE
						WHEN b.status OPERATOR(pg_catalog.=) 'P' THEN b.parked_reason
						-- it waits for branches
						WHEN b.status OPERATOR(pg_catalog.=) ANY ('{J,K}'::"char"[]) THEN
							(SELECT pg_catalog.min(c.parked_reason)
								FROM expense_flow.branch c
								WHERE c.run_id OPERATOR(pg_catalog.=) b.run_id AND c.status OPERATOR(pg_catalog.=) 'P')
					END AS reason
				) p
				JOIN (VALUES ('RUNNING', false), ('PAUSED', true)) n (status, paused)
					ON n.paused OPERATOR(pg_catalog.=) (p.reason IS NOT NULL)
			WHERE b.branch_id OPERATOR(pg_catalog.=) 0
			UNION ALL
			SELECT o.*, n.status, CASE WHEN n.has_output THEN c.step END,
				c.error, c.cause, c.closed_at,
				NULL, NULL, NULL, NULL, NULL
			FROM expense_flow.run o
				JOIN expense_flow.closed_run c ON c.run_id OPERATOR(pg_catalog.=) o.run_id
				JOIN (VALUES ('S'::"char", 'SUCCEEDED', true),
						('F', 'FAILED', false),
						('T', 'TIMED_OUT', false),
						('C', 'CANCELED', false),
						('X', 'TERMINATED', false)) n (code, status, has_output)
					ON n.code OPERATOR(pg_catalog.=) c.status
			WHERE (SELECT expense_flow.flush_wal())
		) r
		LEFT JOIN expense_flow.workflow_version v ON v.version_id OPERATOR(pg_catalog.=) r.version_id
	WHERE pg_catalog.pg_has_role(r.owner, 'USAGE') OR pg_catalog.pg_has_role(r.starter, 'USAGE');
GRANT SELECT ON runs TO PUBLIC;
COMMENT ON VIEW runs IS 'The runs that the current role may see. status is RUNNING, PAUSED, SUCCEEDED, FAILED, TIMED_OUT, CANCELED or TERMINATED; output is there when it succeeded, error and cause when it did not. While it runs: state is where its main line stands, due_at when it goes on (NULL: when a message or another branch wakes it), retry_count how often the current state was retried. deadline is when it times out. parent_run_id is the run that started it as a child. compensating is there while a run that will not succeed does its compensations: RUNNING, or FAILED when one of them failed for good and waits for retry_compensation() or skip_compensation(). status is PAUSED, with paused_reason, while a branch of it is not advanced until somebody calls resume_workflow(), because it crashed its processes or could not be advanced for an error that is no activity''s.';

/*
 * The column runs.workflow_id is computed, so it has no index; this has.
 */
CREATE VIEW run_workflow_ids WITH (security_barrier) AS
	SELECT r.run_id, r.workflow_id, r.started_at,
		EXISTS (SELECT FROM expense_flow.branch b
			WHERE b.run_id OPERATOR(pg_catalog.=) r.run_id AND b.branch_id OPERATOR(pg_catalog.=) 0) AS open
	FROM expense_flow.run r
	WHERE r.workflow_id IS NOT NULL
		AND (pg_catalog.pg_has_role(r.owner, 'USAGE') OR pg_catalog.pg_has_role(r.starter, 'USAGE'));
GRANT SELECT ON run_workflow_ids TO PUBLIC;
COMMENT ON VIEW run_workflow_ids IS 'Internal, for find_runs() and query_workflow(): the runs that the current role may see and that were given a workflow_id.';

CREATE VIEW branches WITH (security_barrier) AS
	SELECT b.run_id,
		b.branch_id,
		b.parent_id,
		b.state,
		CASE b.status
			WHEN 'R' THEN 'READY'
			WHEN 'W' THEN 'WAITING'
			WHEN 'B' THEN 'RETRYING'
			WHEN 'J' THEN 'JOINING'
			WHEN 'M' THEN 'AWAITING'
			WHEN 'G' THEN 'READY'
			WHEN 'K' THEN 'COMPENSATING'
			WHEN 'P' THEN 'PAUSED'
			WHEN 'Q' THEN 'QUEUED'
			WHEN 'D' THEN 'DONE'
		END AS status,
		b.entered_at,
		b.due_at,
		b.retry_count,
		CASE WHEN b.retry_count OPERATOR(pg_catalog.>) 0 THEN
			(SELECT t.details
				FROM expense_flow.transition t
				WHERE t.run_id OPERATOR(pg_catalog.=) b.run_id
					AND t.branch_id OPERATOR(pg_catalog.=) b.branch_id
					AND t.step OPERATOR(pg_catalog.<=) b.step
					AND t.details OPERATOR(pg_catalog.?) 'error'
				ORDER BY t.step DESC
				LIMIT 1)
		END AS last_failure,
		CASE WHEN b.status OPERATOR(pg_catalog.=) 'M' THEN b.awaits END AS awaits,
		b.canceled IS NOT NULL AS cancel_requested,
		CASE WHEN b.status OPERATOR(pg_catalog.=) 'P' THEN b.parked_at END AS paused_at,
		CASE WHEN b.status OPERATOR(pg_catalog.=) 'P' THEN b.parked_reason END AS paused_reason
	FROM expense_flow.branch b
		JOIN expense_flow.run r ON r.run_id OPERATOR(pg_catalog.=) b.run_id
	WHERE pg_catalog.pg_has_role(r.owner, 'USAGE') OR pg_catalog.pg_has_role(r.starter, 'USAGE');
GRANT SELECT ON branches TO PUBLIC;
COMMENT ON VIEW branches IS 'The lines of control of the open runs that the current role may see; branch 0 is a run''s main line. status is READY (it goes on as soon as a worker is free), WAITING (in a Wait state, until due_at), RETRYING (the next attempt comes at due_at), JOINING (until the branches that it started have ended), AWAITING (a message with one of the addresses in awaits; due_at is when it gives up), COMPENSATING (the main line, until all compensations are done), PAUSED (since paused_at, for paused_reason, until resume_workflow()), QUEUED (an item of a Map that waits for its turn) or DONE (until the others have ended too). last_failure is why the current state is being retried; cancel_requested, whether the run was asked to cancel.';

/*
 * data is what a branch had after a transition: its output, or where that did
 * not change the data, the last output before; prior is what it had before.  At
 * a branch's first transition that is the run's input, or what the fork gave it
 * (details.input).
 */
CREATE VIEW history WITH (security_barrier) AS
	SELECT r.run_id,
		pg_catalog.row_number() OVER (PARTITION BY r.run_id ORDER BY e.part, e.step, e.branch_id, e.position) AS event_id,
		e.type,
		e.state,
		e.at,
		e.details,
		e.branch_id
	FROM expense_flow.run r
		CROSS JOIN LATERAL (
			SELECT 0 AS part, 0 AS step, 0 AS branch_id, 0::bigint AS position,
				'ExecutionStarted' AS type, NULL::text AS state, r.started_at AS at,
				pg_catalog.jsonb_build_object('input', r.input) AS details
			UNION ALL
			SELECT 1, t.step, t.branch_id, l.position,
				h.name, t.state, CASE
					WHEN h.carries OPERATOR(pg_catalog.=) 'start' THEN (t.details OPERATOR(pg_catalog.->>) 'started_at')::timestamptz
					WHEN h.at_begin THEN t.began_at
					ELSE t.at
				END,
				CASE h.carries
					WHEN 'input' THEN pg_catalog.jsonb_build_object('input', t.prior)
					WHEN 'output' THEN pg_catalog.jsonb_build_object('output', coalesce(t.data, t.prior))
					WHEN 'failure' THEN t.details OPERATOR(pg_catalog.-) '{input,started_at,worker}'::text[]
					WHEN 'update' THEN t.details OPERATOR(pg_catalog.->) 'update'
					WHEN 'start' THEN t.details OPERATOR(pg_catalog.-) '{input,started_at,error,cause,details,attempt,retry_at}'::text[]
				END
			FROM (
				SELECT d.step, d.branch_id, d.events, d.state, d.began_at, d.at, d.details, d.data,
					coalesce(pg_catalog.lag(d.data) OVER (PARTITION BY d.branch_id ORDER BY d.step),
						pg_catalog.first_value(d.details OPERATOR(pg_catalog.->) 'input') OVER (PARTITION BY d.branch_id ORDER BY d.step),
						CASE WHEN d.branch_id OPERATOR(pg_catalog.=) 0 THEN r.input END) AS prior
				FROM (
					SELECT g.step, g.branch_id, g.events, g.state, g.began_at, g.at, g.details,
						pg_catalog.first_value(g.output) OVER (PARTITION BY g.branch_id, g.changes ORDER BY g.step) AS data
					FROM (
						SELECT u.*, pg_catalog.count(u.output) OVER (PARTITION BY u.branch_id ORDER BY u.step) AS changes
						FROM expense_flow.transition u
						WHERE u.run_id OPERATOR(pg_catalog.=) r.run_id
					) g
				) d
			) t
				CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.string_to_array(
					CASE WHEN t.events OPERATOR(pg_catalog.~~) '-%' THEN '' ELSE t.events END, NULL)) WITH ORDINALITY l (code, position)
				JOIN expense_flow.history_event_type h ON h.code OPERATOR(pg_catalog.=) l.code::"char"
			UNION ALL
			SELECT 2, c.step, 0, 0,
				n.type, NULL, c.closed_at,
				CASE WHEN n.has_output THEN
					pg_catalog.jsonb_build_object('output',
						coalesce((SELECT o.output
								FROM expense_flow.transition o
								WHERE o.run_id OPERATOR(pg_catalog.=) r.run_id
									AND o.step OPERATOR(pg_catalog.<=) c.step
									AND o.branch_id OPERATOR(pg_catalog.=) 0
									AND o.output IS NOT NULL
								ORDER BY o.step DESC
								LIMIT 1),
							r.input))
				ELSE
					pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('error', c.error, 'cause', c.cause))
				END
			FROM expense_flow.closed_run c
				JOIN (VALUES ('S'::"char", 'ExecutionSucceeded', true),
						('F', 'ExecutionFailed', false),
						('T', 'ExecutionTimedOut', false),
						('C', 'ExecutionAborted', false),
						('X', 'ExecutionAborted', false)) n (code, type, has_output)
					ON n.code OPERATOR(pg_catalog.=) c.status
			WHERE c.run_id OPERATOR(pg_catalog.=) r.run_id
				AND (SELECT expense_flow.flush_wal())
		) e
	WHERE pg_catalog.pg_has_role(r.owner, 'USAGE') OR pg_catalog.pg_has_role(r.starter, 'USAGE');
GRANT SELECT ON history TO PUBLIC;
COMMENT ON VIEW history IS 'What happened in the runs that the current role may see, with the event names of AWS Step Functions, numbered from 1 in each run in causal order. details: {"input"} of a state or run that was entered, {"output"} of one that was left, {"error", "cause", …} of a failure, {"update", "update_id"} of a TaskSucceeded that has taken an update. Ask for one run: WHERE run_id = … ORDER BY event_id.';
