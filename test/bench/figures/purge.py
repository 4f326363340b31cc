"""purge() of closed runs while others run; and whether the tables grow."""

import threading

from measuring import Figure
from .common import purge

REPEATED = False
CYCLES = 10
TABLES = ('run', 'branch', 'transition', 'closed_run')
FIGURES = {
    'runs': Figure('three-step runs per second, while purge() removes {count:,} closed ones', '/s', [('ratio', '>= 0.9')], 'before and after'),
    'size': Figure('size of the tables after ten cycles of load and purge', 'MB', [('ratio', '<= 1.1')], 'after the third'),
}


def size(server):
    return sum(server.value('SELECT pg_total_relation_size(%s)', 'expense_flow.' + table) for table in TABLES) / 1e6


def beside_purge(server, count):
    seconds = 30 if server.long else 2 * server.seconds
    server.do("SELECT count(expense_flow.run_workflow('bench_three')) FROM generate_series(1, %s)", count)
    server.do('VACUUM ANALYZE')
    before = server.run_rate(server.three, 8, seconds)
    purger = threading.Thread(target=purge, args=(server, 0.1))
    purger.start()
    during = server.run_rate(server.three, 8, seconds)
    purger.join()
    after = server.run_rate(server.three, 8, seconds)
    FIGURES['runs'].record(during, (before + after) / 2)


def cycles(server, count):
    sizes = []
    for _ in range(CYCLES):
        server.do("SELECT count(expense_flow.start_workflow('bench_three')) FROM generate_series(1, %s)", count)
        server.wait_until_idle()
        purge(server)
        for table in TABLES:        # what autovacuum would do a little later
            server.do('VACUUM expense_flow.' + table)
        sizes.append(size(server))
    FIGURES['size'].record(sizes[-1], sizes[2])


def measure(server):
    count = 1000000 if server.long else 50000
    FIGURES['runs'].title = FIGURES['runs'].title.format(count=count)
    server.configure()
    beside_purge(server, count)
    cycles(server, count // 10)
