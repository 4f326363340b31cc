"""Workflows and tables that several figures use."""

import json


def task_chain(count, function='bench.step'):
    """A definition of so many Tasks, one after the other."""
    states = {}
    for i in range(1, count + 1):
        states['S%d' % i] = {'Type': 'Task', 'Resource': 'sql:' + function,
                             **({'Next': 'S%d' % (i + 1)} if i < count else {'End': True})}
    return json.dumps({'StartAt': 'S1', 'States': states})


def set_up(server):
    server.do("""
        CREATE EXTENSION IF NOT EXISTS expense_flow;
        CREATE SCHEMA bench;
        -- rows as wide as those that a step updates and inserts
        CREATE TABLE bench.counter (id int PRIMARY KEY, step int, due_at timestamptz, state text, filler uuid) WITH (fillfactor = 80);
        CREATE TABLE bench.log (id int, step int, began_at timestamptz, at timestamptz, events text, state text, output jsonb,
                                PRIMARY KEY (id, step));
        INSERT INTO bench.counter SELECT i, 0, now(), 'S', gen_random_uuid() FROM generate_series(1, 10000) i;
        CREATE SEQUENCE bench.number;
        CREATE FUNCTION bench.step() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
        CREATE FUNCTION bench.clock() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RETURN clock_timestamp(); END';
        CREATE FUNCTION bench.sleep() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); END';
    """)
    for name, definition in (('bench_three', task_chain(3)), ('bench_twenty', task_chain(20)),
                             ('bench_clock', task_chain(1, 'bench.clock'))):
        server.do('SELECT expense_flow.create_workflow(%s, %s)', name, definition)
    server.three = server.script("SELECT expense_flow.start_workflow('bench_three');\n")
    server.one_statement = server.script("""\\set id random(1, 10000)
        WITH u AS (UPDATE bench.counter SET step = step + 1, due_at = due_at WHERE id = :id RETURNING id)
        INSERT INTO bench.log SELECT id, nextval('bench.number'), clock_timestamp(), clock_timestamp(), 'Tabdt', 'S', '1' FROM u;
    """)
    server.one_insert = server.script("""INSERT INTO bench.log
        VALUES (0, nextval('bench.number'), clock_timestamp(), clock_timestamp(), 'Tabdt', 'S', '1');
    """)


def step_rate(server, runs):
    """Steps a second of runs of 20 steps, started in one transaction, from its commit until the last run is closed."""
    connection = server.connect()
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(expense_flow.start_workflow('bench_twenty')) FROM generate_series(1, %s)", (runs,))
        since = server.clock()
        connection.commit()
    connection.close()
    return 20 * runs / server.end_of_runs(since)


def purge(server, work_share=1):
    """Remove all closed runs, in a session of its own."""
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute('SET expense_flow.retention = 0')
        cursor.execute('CALL expense_flow.purge(work_share => %s)', (work_share,))
    connection.close()
