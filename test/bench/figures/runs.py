"""Whole three-step runs: how many a second, and their WAL."""

from measuring import Figure

REPEATED = True
PLAIN = 'pgbench, 8 clients, one insert each transaction'
FIGURES = {
    'single': Figure('three-step runs per second, started one by one by 8 clients', '/s', [], PLAIN),
    'set': Figure('the same, started by one statement over 1,000 inputs', '/s', [('ratio', '>= 2')], 'started one by one'),
    'wal': Figure('WAL of a three-step run, start to end, without full-page images', 'bytes', [('value', '<= 3000')],
                  'pgbench, three transactions that update one row and insert one'),
    'wal_written': Figure('the same, as written, with the full-page images after a checkpoint', 'bytes', [],
                          'the same, after a checkpoint'),
}


def set_up(server):
    server.do('CREATE EXTENSION IF NOT EXISTS pg_walinspect')


def wal_of(server, work):
    """What work() counts, and its WAL for each: without full-page images, and as written."""
    server.do('CHECKPOINT')
    start = server.wal_position()
    count = work()
    written = server.wal_since(start)
    # all is flushed: the last commit was
    records = server.value('SELECT sum(record_size) FROM pg_get_wal_stats(%s, pg_current_wal_flush_lsn())', start)
    return float(records) / count, written / count


def measure_rates(server):
    plain = server.tps(server.one_insert, 8)
    single = server.run_rate(server.three)
    FIGURES['single'].record(single, plain)
    since = server.clock()
    for _ in range(5):
        server.do("SELECT count(*) FROM expense_flow.start_workflows('bench_three',"
                  " ARRAY(SELECT jsonb_build_object('number', i) FROM generate_series(1, 1000) i))")
    FIGURES['set'].record(5000 / server.end_of_runs(since), single)


def measure_wal(server):
    def runs():
        count = server.pgbench(server.three, 4, None, '-t', '500')[0]
        server.wait_until_idle()
        return count

    plain, plain_written = wal_of(server, lambda: server.pgbench(server.one_statement, 4, None, '-t', '1500')[0] / 3)
    ours, ours_written = wal_of(server, runs)
    FIGURES['wal'].record(ours, plain)
    FIGURES['wal_written'].record(ours_written, plain_written)


def measure(server):
    server.configure()
    measure_rates(server)
    measure_wal(server)
