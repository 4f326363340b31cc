/*-------------------------------------------------------------------------
 *
 * feed.h
 *	  Inside of src/events: sources, numbers and cursors of change events.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_FEED_H
#define EF_FEED_H

#include "access/xlogdefs.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

/* Columns of change_event, in order. */
typedef enum EfEventColumn
{
	EF_EVENT_ID = 1,
	EF_EVENT_AT,
	EF_EVENT_SOURCE_ID,
	EF_EVENT_TYPE,
	EF_EVENT_ANNOUNCED,
	EF_EVENT_KEY,
	EF_EVENT_OLD,
	EF_EVENT_NEW
} EfEventColumn;

#define EF_EVENT_COLUMNS	8

/* change_event.type */
#define EF_EVENT_ADD	'a'
#define EF_EVENT_UPDATE	'u'
#define EF_EVENT_REMOVE	'r'

typedef enum EfNotifyMode
{
	EF_NOTIFY_NONE,
	EF_NOTIFY_KEY,
	EF_NOTIFY_DATA
} EfNotifyMode;

/* A row of event_source. */
typedef struct EfSource
{
	int32		source_id;
	char	   *name;
	Oid			table;			/* which may have been dropped */
	ArrayType  *exclude_columns;
	EfNotifyMode notify;
	bool		built_in;
} EfSource;

#define EF_CHANNEL_PREFIX	"expense_flow_"
#define EF_MAX_SOURCE_NAME	((int) (NAMEDATALEN - sizeof(EF_CHANNEL_PREFIX)))	/* bytes */

#define EF_CURSOR_LENGTH	25	/* characters of a cursor: epoch, '-', number */

/* ---- feed.c: tables, numbers, cursors ---- */
extern Oid	ef_feed_relation(const char *name);
extern bool ef_find_source(const char *name, Snapshot snapshot, EfSource *source);
extern bool ef_next_source(int32 after, Snapshot snapshot, EfSource *source);
extern int64 ef_position_of_source(const char *table, int32 source_id, Snapshot snapshot);

extern int64 ef_last_event_id(void);
extern void ef_join_feed_writers(void);
extern int64 ef_safe_bound(int64 last_event_id);

extern uint32 ef_feed_epoch(Snapshot snapshot);
extern void ef_format_cursor(uint32 epoch, int64 event_id, char *cursor);
extern int64 ef_parse_cursor(const char *cursor, uint32 epoch);

/* ---- read.c ---- */
extern void ef_require_source(const char *name, Snapshot snapshot, EfSource *source);

/* ---- notify.c ---- */
extern void ef_notify_change(const EfSource *source, uint32 epoch, int64 event_id, char type,
							 Datum key, bool key_isnull, Datum data, bool data_isnull);

/* ---- upkeep.c ---- */
extern void ef_upkeep_init(void);

#endif							/* EF_FEED_H */
