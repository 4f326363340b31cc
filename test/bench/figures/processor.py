"""Processor time of a step, against a bare loop in a background worker (test/modules/bench_loop)."""

from measuring import Figure, processor_time
from .common import step_rate

REPEATED = True
RUNS = 1000
FIGURES = {
    'step': Figure('processor time of a step, 1 worker', 'us', [('ratio', '<= 2')],
                   'a bare loop: the same function in a subtransaction, an update, an insert, the same commits'),
}


def set_up(server):
    server.do("""
        CREATE FUNCTION bench.loop(steps int, steps_of_run int, prepare text, call text, change text, log text) RETURNS float8
            LANGUAGE c STRICT AS 'bench_loop', 'bench_loop';
        CREATE TABLE bench.loop_row (id int PRIMARY KEY, step int, due_at timestamptz, state text, filler uuid)
            WITH (fillfactor = 80);
        CREATE TABLE bench.loop_log (id int, step int, filler uuid, began_at timestamptz, at timestamptz, events text, state text,
                                     output jsonb, PRIMARY KEY (id, step));
    """)


def of_loop(server):
    server.do('TRUNCATE bench.loop_row, bench.loop_log')
    return 1e6 * server.value(
        'SELECT bench.loop(%s, 20, %s, %s, %s, %s)', 20 * RUNS,
        "INSERT INTO bench.loop_row VALUES ($1, 0, now(), 'S1', '00000000-0000-0000-0000-000000000000')",
        'SELECT to_jsonb(bench.step())',
        "UPDATE bench.loop_row SET step = $2, state = 'S' WHERE id = $1",
        "INSERT INTO bench.loop_log VALUES ($1, $2, '00000000-0000-0000-0000-000000000000', clock_timestamp(), clock_timestamp(),"
        " 'Tabdt', 'S1', $3)"
    ) / (20 * RUNS)


def of_worker(server):
    pid, = server.worker_pids()
    before = processor_time(pid)
    step_rate(server, RUNS)
    return 1e6 * (processor_time(pid) - before) / (20 * RUNS)


def measure(server):
    server.configure(1)
    FIGURES['step'].record(of_worker(server), of_loop(server))
