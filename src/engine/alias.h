/*-------------------------------------------------------------------------
 *
 * alias.h
 *	  Resource aliases: what a foreign URI in a Task's Resource stands for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_ALIAS_H
#define EF_ALIAS_H

/*
 * The resource of our own kind (sql:, activity:, signal:, workflow:, update:) that a Task's Resource means.
 * One of our own kind is returned as it is, without looking; another is looked up among the aliases, and the
 * most specific pattern wins.  NULL if none matches.  The result is in the current memory context, or the argument.
 */
extern const char *ef_resolve_resource(const char *resource);

#endif							/* EF_ALIAS_H */
