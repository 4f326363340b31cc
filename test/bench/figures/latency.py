"""From the client's COMMIT to the first statement of the first step, on an idle server, against NOTIFY.

The other side is a client that listens, and sends a statement when it is told: from the COMMIT of a transaction that
inserts a row and notifies to the clock of that statement.  Client and server read the same clock.
"""

import select
import threading
import time

from measuring import Figure, percentile

REPEATED = True
TRIES = 150
BASELINE = 'COMMIT of an insert with NOTIFY until the first statement of a client that listens'
FIGURES = {
    50: Figure('idle: COMMIT of a start until the first step, p50', 'ms', [('value', '<= 0.3'), ('ratio', '<= 1')], BASELINE),
    99: Figure('the same, p99', 'ms', [('value', '<= 2'), ('ratio', '<= 1')], BASELINE),
}


def commit_times(server, statement):
    """Make transactions of the statement, with pauses; yields what it returned, and the time of each COMMIT."""
    connection = server.connect()
    with connection.cursor() as cursor:
        for _ in range(TRIES):
            cursor.execute('BEGIN')
            cursor.execute(statement)
            result = cursor.fetchone()[0]
            committed_at = time.time()
            cursor.execute('COMMIT')
            yield result, committed_at
            time.sleep(0.004)
    connection.close()


def of_starts(server):
    committed = dict(commit_times(server, "SELECT expense_flow.start_workflow('bench_clock')::text"))
    server.wait_until_idle()
    rows = server.rows("SELECT run_id::text, extract(epoch FROM (output #>> '{}')::timestamptz) FROM expense_flow.runs"
                       " WHERE run_id = ANY (%s::uuid[])", list(committed))
    return [1000 * (float(at) - committed[run_id]) for run_id, at in rows]


def listen(connection, times):
    with connection.cursor() as cursor:
        while len(times) < TRIES:
            select.select([connection], [], [])
            connection.poll()
            while connection.notifies:
                connection.notifies.pop()
                cursor.execute('SELECT extract(epoch FROM clock_timestamp())')
                times.append(float(cursor.fetchone()[0]))


def of_notify(server):
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute('LISTEN bench')
    times = []
    listener = threading.Thread(target=listen, args=(connection, times))
    listener.start()
    statement = ("WITH i AS (INSERT INTO bench.log VALUES (0, nextval('bench.number')) RETURNING id)"
                 " SELECT pg_notify('bench', '') FROM i")
    committed = [at for _, at in commit_times(server, statement)]
    listener.join()
    connection.close()
    return [1000 * (heard - at) for heard, at in zip(times, committed)]


def measure(server):
    server.configure()
    ours, notify = of_starts(server), of_notify(server)
    for key, figure in FIGURES.items():
        figure.record(percentile(ours, key / 100), percentile(notify, key / 100))
