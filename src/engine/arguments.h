/*-------------------------------------------------------------------------
 *
 * arguments.h
 *	  Reading the arguments of SQL functions; each raises an error that names
 *	  the argument.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_ARGUMENTS_H
#define EF_ARGUMENTS_H

#include "fmgr.h"
#include "utils/jsonb.h"

extern void ef_refuse_null(FunctionCallInfo fcinfo, int arg, const char *name);

/* Not null; ef_name_arg(): nor empty, nor longer than names may be; ef_optional_name_arg(): that, or null (NULL). */
extern char *ef_text_arg(FunctionCallInfo fcinfo, int arg, const char *name);
extern char *ef_name_arg(FunctionCallInfo fcinfo, int arg, const char *name);
extern char *ef_optional_name_arg(FunctionCallInfo fcinfo, int arg, const char *name);

/* The same check for a name from elsewhere. */
extern void ef_check_name(const char *value, const char *name);

/* May be null (NULL). */
extern char *ef_optional_text_arg(FunctionCallInfo fcinfo, int arg);

/* JSON for a run: null for NULL; raises program_limit_exceeded beyond expense_flow.data_limit. */
extern Jsonb *ef_payload_arg(FunctionCallInfo fcinfo, int arg, const char *name);

/* The input of a run, not null; raises program_limit_exceeded beyond expense_flow.input_limit. */
extern Jsonb *ef_input_arg(FunctionCallInfo fcinfo, int arg);
extern void ef_check_input(Jsonb *input, const char *name);

/* One of the words, by its number. */
extern int	ef_word_arg(FunctionCallInfo fcinfo, int arg, const char *name, const char *const *words, int nwords);

/* An interval from now, in microseconds; 0 for NULL. */
extern int64 ef_interval_arg(FunctionCallInfo fcinfo, int arg, const char *name, bool zero_allowed);

#endif							/* EF_ARGUMENTS_H */
