/*-------------------------------------------------------------------------
 *
 * failure.h
 *	  Errors of the server as failures of the language.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_FAILURE_H
#define EF_FAILURE_H

#include "asl/asl.h"

/* The condition name of an SQLSTATE ("unique_violation"), or its five characters where it has none. */
extern const char *ef_condition_name(int sqlerrcode);

/*
 * Name and cause of an error, in the current memory context: what fail() was given, else the condition name
 * and the message with its detail.
 */
extern void ef_failure_from_error(const ErrorData *edata, AslError *failure);

/* Is the error the engine's to repeat, because the workflow had no part in it? */
extern bool ef_is_repeatable(int sqlerrcode);

#endif							/* EF_FAILURE_H */
