/*-------------------------------------------------------------------------
 *
 * hold.c
 *	  Copies of a database, and the runs that came with them.
 *
 * A copy holds the same open runs as its original.  If it went on with them,
 * their external activities would be done twice.  So they rest, and their tasks
 * are not handed out, until somebody calls resume_after_restore().  Runs that
 * are started in the copy are not affected: identifiers of runs are ordered by
 * time, and those up to installation.held_through rest.
 *
 * How a copy is known:
 *
 *	  loaded from a dump	installation_origin is dumped and installation is not:
 *							a row of another installation comes in (a trigger
 *							notices that while the rest is still being loaded)
 *	  CREATE DATABASE		the database has another OID
 *	  another cluster		it has another system identifier, and the same major
 *							version; else pg_upgrade has moved the tables
 *	  a restored backup		the server was started with a backup_label or to
 *							recover from an archive, but not as a standby; or it
 *							is on another timeline and was not started as a standby
 *
 * A standby that is promoted is on another timeline, too, but is what the primary
 * was: it goes on.  The difference shows only in files that recovery removes, so
 * the postmaster looks for them when it loads this library.  Where the library
 * is not preloaded, restored backups are not noticed.
 *
 * Whatever is found is settled at once: the origin becomes the current one, the
 * feed of change events is begun anew, and what has to rest is noted, unless there
 * is no open run.  The dispatcher looks when it starts, sessions before they first
 * take work themselves.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/htup_details.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "engine/announce.h"
#include "engine/engine.h"
#include "engine/hold.h"
#include "engine/statement.h"

PG_FUNCTION_INFO_V1(ef_current_origin);
PG_FUNCTION_INFO_V1(ef_origin_loaded);
PG_FUNCTION_INFO_V1(ef_resume_after_restore);

#define EQ " OPERATOR(pg_catalog.=) "
#define NE " OPERATOR(pg_catalog.<>) "

/* How the server was started. */
typedef enum ServerStart
{
	START_UNKNOWN,				/* the library was not preloaded */
	START_PLAIN,
	START_STANDBY,				/* it follows another server until it is promoted */
	START_RESTORED				/* a backup, perhaps with recovery to a point in time */
} ServerStart;

typedef struct Origin
{
	int64		system_identifier;
	Oid			database;
	int32		timeline;
	int32		server_version;
} Origin;

static ServerStart server_start = START_UNKNOWN;
static bool checked = false;	/* this session has looked, and all is settled */

/* From _PG_init; in the postmaster this is before recovery, in its data directory. */
void
ef_hold_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	if (access(STANDBY_SIGNAL_FILE, F_OK) == 0 && recoveryTarget == RECOVERY_TARGET_UNSET)
		server_start = START_STANDBY;
	else if (access(STANDBY_SIGNAL_FILE, F_OK) == 0 || access(RECOVERY_SIGNAL_FILE, F_OK) == 0 ||
			 access(BACKUP_LABEL_FILE, F_OK) == 0)
		server_start = START_RESTORED;
	else
		server_start = START_PLAIN;
}

static void
get_current_origin(Origin *origin)
{
	origin->system_identifier = (int64) GetSystemIdentifier();
	origin->database = MyDatabaseId;
	origin->timeline = (int32) GetWALInsertionTimeLine();
	origin->server_version = EF_SERVER_VERSION;
}

static bool
is_same_origin(const Origin *a, const Origin *b)
{
	return a->system_identifier == b->system_identifier && a->database == b->database &&
		a->timeline == b->timeline && a->server_version == b->server_version;
}

/* ---- looking ---- */

/*
 * What the tables say about themselves, with an origin of another installation
 * before our own.  Returns false if there is no origin.
 */
static bool
read_origin(bool lock, Origin *origin, bool *foreign, bool *start_settled)
{
#define READ_ORIGIN \
	"SELECT o.system_identifier, o.database_id, o.timeline, o.server_version, o.installation_id" NE "i.installation_id," \
	" i.checked_for IS NOT DISTINCT FROM $1" \
	" FROM expense_flow.installation i, expense_flow.installation_origin o ORDER BY 5 DESC LIMIT 1"
	static EfStatement reading = {READ_ORIGIN, 1, {TIMESTAMPTZOID}};
	static EfStatement locking = {"SELECT FROM expense_flow.installation FOR UPDATE", 0};
	EfArguments args = {0};
	EfArguments none = {0};
	bool		found;

	if (lock)
		ef_execute_alone(&locking, &none);
	ef_add_time(&args, PgStartTime);
	SPI_connect();
	found = ef_execute_latest(&reading, &args) > 0;
	if (found)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		origin->system_identifier = DatumGetInt64(ef_next_value(&row));
		origin->database = ef_next_oid(&row);
		origin->timeline = ef_next_int(&row);
		origin->server_version = ef_next_int(&row);
		*foreign = ef_next_bool(&row);
		*start_settled = ef_next_bool(&row);
	}
	SPI_finish();
	return found;
}

/*
 * Why is this a copy of the database that the origin tells of?  NULL if it is
 * that database.
 */
static char *
reason_to_hold(const Origin *origin, const Origin *current, bool foreign, bool start_settled)
{
	if (foreign)
		return psprintf("was loaded from a dump of database %u of system %llu", origin->database,
						(unsigned long long) origin->system_identifier);
	if (origin->database != current->database)
		return psprintf("is a copy of database %u", origin->database);
	if (origin->server_version != current->server_version)
		return NULL;			/* pg_upgrade has made a new cluster of the old one */
	if (origin->system_identifier != current->system_identifier)
		return psprintf("is a copy of one of system %llu", (unsigned long long) origin->system_identifier);
	if (server_start == START_RESTORED && !start_settled)
		return psprintf("was restored from a backup (timeline %d, now %d)", origin->timeline, current->timeline);
	if (server_start == START_PLAIN && origin->timeline != current->timeline)
		return psprintf("was recovered to a point in time (timeline %d, now %d)", origin->timeline, current->timeline);
	return NULL;
}

/* ---- settling ---- */

static void
store_origin(const Origin *current)
{
	static EfStatement settle = {
		"UPDATE expense_flow.installation SET checked_for = $1", 1, {TIMESTAMPTZOID}
	};
	static EfStatement forget = {
		"DELETE FROM expense_flow.installation_origin o USING expense_flow.installation i"
		" WHERE o.installation_id" NE "i.installation_id", 0
	};
	static EfStatement update = {
		"UPDATE expense_flow.installation_origin SET system_identifier = $1, database_id = $2, timeline = $3,"
		" server_version = $4",
		4, {INT8OID, OIDOID, INT4OID, INT4OID}
	};
	EfArguments settle_args = {0};
	EfArguments none = {0};
	EfArguments args = {0};

	ef_add_time(&settle_args, PgStartTime);
	ef_execute_alone(&settle, &settle_args);
	ef_execute_alone(&forget, &none);
	ef_add_arg(&args, Int64GetDatum(current->system_identifier), false);
	ef_add_arg(&args, ObjectIdGetDatum(current->database), false);
	ef_add_int(&args, current->timeline);
	ef_add_int(&args, current->server_version);
	ef_execute_alone(&update, &args);
}

/*
 * What came with the copy are the runs that were started until now.  What is
 * being loaded from a dump may not be there yet.
 */
static void
hold_runs(const char *reason, bool being_loaded)
{
	static EfStatement statement = {
		"UPDATE expense_flow.installation SET hold_reason = $1, held_since = pg_catalog.clock_timestamp(), held_through ="
		" GREATEST((SELECT r.run_id FROM expense_flow.run r ORDER BY r.run_id DESC LIMIT 1),"
		"  expense_flow.first_run_id(pg_catalog.clock_timestamp()))"
		" WHERE $2 OR EXISTS (SELECT FROM expense_flow.branch)",
		2, {TEXTOID, BOOLOID}
	};
	EfArguments args = {0};

	ef_add_text(&args, reason);
	ef_add_arg(&args, BoolGetDatum(being_loaded), false);
	if (ef_execute_alone(&statement, &args) > 0)
		ereport(LOG,
				(errmsg("open runs of database \"%s\" rest: it %s", get_database_name(MyDatabaseId), reason),
				 errdetail("The original may be working on them."),
				 errhint("If it is not, let them go on with expense_flow.resume_after_restore().")));
	if (ef_announcement_receiver != NULL)
		ef_announcement_receiver->read_tables_anew();
}

/*
 * The copy will give the numbers of the original's next change events to events
 * of its own: a cursor of the original must not be taken for one of this feed.
 */
static void
begin_feed_anew(void)
{
	static EfStatement statement = {
		"UPDATE expense_flow.event_feed SET epoch = pg_catalog.gen_random_uuid()", 0
	};
	EfArguments args = {0};

	ef_execute_alone(&statement, &args);
}

/* Returns whether nothing had to be changed. */
static bool
check_installation(void)
{
	Origin		origin;
	Origin		current;
	bool		foreign;
	bool		start_settled;
	bool		lock;
	char	   *reason;

	get_current_origin(&current);
	for (lock = false;; lock = true)
	{
		if (!read_origin(lock, &origin, &foreign, &start_settled))
			return true;
		reason = reason_to_hold(&origin, &current, foreign, start_settled);
		if (reason == NULL && is_same_origin(&origin, &current))
			return true;
		if (lock)
			break;
	}
	if (reason != NULL)
		hold_runs(reason, foreign);
	if (reason != NULL && !foreign)
		begin_feed_anew();
	store_origin(&current);
	return false;
}

void
ef_check_installation(void)
{
	/* A standby is whatever its primary is. */
	if (!checked && !RecoveryInProgress())
		checked = check_installation();
}

bool
ef_look_for_copy(pg_uuid_t *held_through)
{
	static EfStatement statement = {
		"SELECT i.held_through FROM expense_flow.installation i WHERE i.held_through IS NOT NULL", 0
	};
	EfArguments args = {0};
	bool		held;

	(void) check_installation();
	memset(held_through, 0, sizeof(*held_through));
	SPI_connect();
	held = ef_execute_latest(&statement, &args) > 0;
	if (held)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		ef_next_uuid(&row, held_through);
	}
	SPI_finish();
	return held;
}

/* ---- functions ---- */

/* current_origin(OUT system_identifier bigint, OUT database_id oid, OUT timeline integer, OUT server_version integer) */
Datum
ef_current_origin(PG_FUNCTION_ARGS)
{
	Origin		origin;
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};

	PreventCommandDuringRecovery("current_origin()");
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	get_current_origin(&origin);
	values[0] = Int64GetDatum(origin.system_identifier);
	values[1] = ObjectIdGetDatum(origin.database);
	values[2] = Int32GetDatum(origin.timeline);
	values[3] = Int32GetDatum(origin.server_version);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* trigger: AFTER INSERT ON installation_origin */
Datum
ef_origin_loaded(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("origin_loaded() can only be called as a trigger")));
	(void) check_installation();
	PG_RETURN_POINTER(NULL);	/* not an SQL null, which a trigger must not return */
}

/* resume_after_restore() returns void */
Datum
ef_resume_after_restore(PG_FUNCTION_ARGS)
{
	static EfStatement statement = {
		"UPDATE expense_flow.installation SET held_through = NULL, held_since = NULL, hold_reason = NULL", 0
	};
	EfArguments args = {0};
	Origin		current;

	PreventCommandIfReadOnly("resume_after_restore()");
	PreventCommandDuringRecovery("resume_after_restore()");
	get_current_origin(&current);
	ef_execute_alone(&statement, &args);
	store_origin(&current);
	if (ef_announcement_receiver != NULL)
		ef_announcement_receiver->read_tables_anew();
	PG_RETURN_VOID();
}
