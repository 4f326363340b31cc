"""What the figures have in common: the server, pgbench, waiting, and the rows of the table."""

import glob
import os
import re
import statistics
import subprocess
import time

import psycopg2

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Figure:
    """A row of the table: what is measured, what it is compared with, and what it should be.

    goals: pairs of what is looked at ('value' or 'ratio', the median of either) and the bound, '>= 2' for example.
    """

    def __init__(self, title, unit, goals=(), baseline=None):
        self.title = title
        self.unit = unit
        self.goals = goals
        self.baseline = baseline
        self.samples = []           # (value, baseline or None)

    def record(self, value, baseline=None):
        self.samples.append((float(value), None if baseline is None else float(baseline)))

    def values(self, of):
        if of == 'value':
            return [value for value, _ in self.samples]
        if of == 'baseline':
            return [baseline for _, baseline in self.samples if baseline is not None]
        return [value / baseline for value, baseline in self.samples if baseline]

    def median(self, of):
        values = self.values(of)
        return statistics.median(values) if values else None

    def is_met(self):
        """None where there is nothing to be met."""
        if not self.goals or not self.samples:
            return None
        return all(self._meets(of, bound) for of, bound in self.goals)

    def _meets(self, of, bound):
        sign, limit = bound.split()
        median = self.median(of)
        if median is None:
            return False
        return median >= float(limit) if sign == '>=' else median <= float(limit)


class Server:
    """The server of this run, to which the environment's PGHOST and so on lead."""

    def __init__(self, work):
        self.work = work
        self.seconds = float(os.environ.get('BENCH_SECONDS', 2))
        self.long = os.environ.get('BENCH_LONG', '') not in ('', '0')
        self.connection = None
        self.scripts = 0

    # ---- statements ----

    def connect(self):
        connection = psycopg2.connect('')
        connection.autocommit = True
        return connection

    def reconnect(self):
        self.connection = self.connect()

    def rows(self, sql, *args):
        if self.connection is None:
            self.reconnect()
        with self.connection.cursor() as cursor:
            cursor.execute(sql, args or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, sql, *args):
        return self.rows(sql, *args)[0][0]

    def do(self, sql, *args):
        self.rows(sql, *args)

    def clock(self):
        return self.value('SELECT clock_timestamp()')

    # ---- settings ----

    def configure(self, workers=4, **settings):
        """Set these, the defaults for everything that some figure sets, and wait for the workers."""
        values = {'expense_flow.workers': workers, 'expense_flow.transaction_budget': 0,
                  'commit_delay': 0, 'commit_siblings': 5}
        values.update({name.replace('__', '.'): value for name, value in settings.items()})
        for name, value in values.items():
            self.do('ALTER SYSTEM SET %s = %s' % (name, value))
        self.do('SELECT pg_reload_conf()')
        self.wait("SELECT count(*) = %d FROM expense_flow.runtime_status()"
                  " WHERE process = 'worker' AND database = current_database() AND pid IS NOT NULL"
                  " AND state NOT IN ('starting', 'leaving')" % workers)
        time.sleep(0.1)             # the processes read their settings

    def worker_pids(self):
        return [pid for pid, in self.rows("SELECT pid FROM expense_flow.runtime_status()"
                                          " WHERE process = 'worker' AND database = current_database()")]

    # ---- load ----

    def script(self, text):
        """A script of pgbench; returns its name."""
        self.scripts += 1
        name = os.path.join(self.work, 'script%d.sql' % self.scripts)
        with open(name, 'w') as f:
            f.write(text)
        return name

    def start_pgbench(self, script, clients, seconds=None, *options):
        command = ['pgbench', '-n', '-M', 'prepared', '-c', str(clients), '-j', str(min(clients, 8)), '-f', script]
        if '-t' not in options:
            command += ['-T', str(max(1, round(seconds or self.seconds)))]
        return subprocess.Popen(command + list(options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                cwd=self.work)

    @staticmethod
    def finish_pgbench(process):
        """The number of transactions, and how many a second."""
        out, err = process.communicate()
        count = re.search(r'number of transactions actually processed: (\d+)', out)
        tps = re.search(r'^tps = ([\d.]+)', out, re.M)
        if process.returncode != 0 or not count or not tps:
            raise RuntimeError('pgbench failed: ' + err + out)
        return int(count.group(1)), float(tps.group(1))

    def pgbench(self, script, clients, seconds=None, *options):
        return self.finish_pgbench(self.start_pgbench(script, clients, seconds, *options))

    def tps(self, script, clients, seconds=None):
        return self.pgbench(script, clients, seconds)[1]

    def log_of_pgbench(self, prefix):
        """The fields of a log that was written with --log-prefix, which is removed."""
        rows = []
        for name in glob.glob(os.path.join(self.work, prefix + '.*')):
            with open(name) as f:
                rows += [line.split() for line in f]
            os.unlink(name)
        return rows

    # ---- waiting ----

    def wait(self, sql, seconds=600):
        until = time.monotonic() + seconds
        while not self.value(sql):
            if time.monotonic() > until:
                raise RuntimeError('still not true after %d s: %s' % (seconds, sql))
            time.sleep(0.01)

    def wait_until_idle(self, seconds=600):
        """Nothing is due or will be soon."""
        self.wait("SELECT NOT EXISTS (SELECT FROM expense_flow.branch WHERE due_at < clock_timestamp() + interval '1 minute')",
                  seconds)

    # ---- rates ----

    def end_of_runs(self, since):
        """When the last of the runs was closed, in seconds after since; all must have succeeded."""
        self.wait_until_idle()
        seconds, good = self.rows("SELECT extract(epoch FROM max(closed_at) - %s), bool_and(status = 'S')"
                                  " FROM expense_flow.closed_run WHERE closed_at > %s", since, since)[0]
        if not good:
            raise RuntimeError('runs have failed')
        return float(seconds)

    def run_rate(self, script, clients=8, seconds=None):
        """Runs a second: from the first that the clients of pgbench start, one by one, until the last is closed."""
        since = self.clock()
        count, _ = self.pgbench(script, clients, seconds)
        end = self.end_of_runs(since)
        first = self.value('SELECT extract(epoch FROM min(started_at) - %s) FROM expense_flow.run WHERE started_at >= %s',
                           since, since)
        return count / (end - float(first))

    def wal_position(self):
        return self.value('SELECT pg_current_wal_insert_lsn()')

    def wal_since(self, position):
        return float(self.value('SELECT pg_current_wal_insert_lsn() - %s::pg_lsn', position))


def percentile(values, fraction):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * fraction))]


def processor_time(pid):
    """Seconds that a process has run on a processor."""
    with open('/proc/%d/schedstat' % pid) as f:
        return int(f.read().split()[0]) / 1e9


def private_memory(pid):
    """Bytes of a process's memory that it does not share."""
    with open('/proc/%d/status' % pid) as f:
        return int(re.search(r'^RssAnon:\s+(\d+) kB', f.read(), re.M).group(1)) * 1024
