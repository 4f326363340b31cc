/*-------------------------------------------------------------------------
 *
 * compile.h
 *	  What the parts of the compiler share: problems, and reading the fields of
 *	  an object by a table.
 *
 * Validating and compiling are one pass: each kind of object of the language has
 * a table of its fields, each field a reader that checks the value and puts what
 * it means into the compiled struct.  A reader that finds a problem notes it and
 * goes on, so one pass finds them all; what it leaves in the struct does not
 * matter then, because a machine with problems is thrown away.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ASL_COMPILE_H
#define ASL_COMPILE_H

#include "asl/json_tree.h"
#include "asl/machine.h"

/* An assignment to a variable, for the check that inner scopes leave the variables of outer scopes alone. */
typedef struct AslAssignment
{
	const char *name;
	const AslScope *scope;
	const AslTree *where;
} AslAssignment;

/* A scope that is being compiled. */
typedef struct AslScopeBuild
{
	AslScope   *scope;
	AslState  **by_name;		/* its states, sorted */
	bool		incomplete;		/* a state could not be read, so not all transitions are known */
	bool		dangling;		/* a transition leads nowhere */
} AslScopeBuild;

typedef struct AslCompiler
{
	AslMachine *machine;
	MemoryContext temporary;	/* what only compiling needs */
	const AslTree *root;
	List	   *findings;
	AslScopeBuild *scope;		/* the one being compiled */
	List	   *states;			/* of the whole machine: NamedState */
	List	   *assignments;	/* of the whole machine: AslAssignment */
} AslCompiler;

typedef void (*AslFieldReader) (AslCompiler *compiler, const AslTree *value, void *target);

/*
 * A field of some kind of object.  One table serves several variants of an object (the types of states): allowed
 * and required are sets of them.  The reader gets a pointer to target + offset.
 */
typedef struct AslField
{
	const char *name;
	uint32		allowed;
	uint32		required;
	AslFieldReader read;
	size_t		offset;
} AslField;

#define ASL_ANY_VARIANT 1

/* Two fields that exclude each other; with required, one of the two must be there. */
typedef struct AslExclusion
{
	const char *one;
	const char *other;
	uint32		required;		/* in these variants */
} AslExclusion;

/* ---- validate.c ---- */

extern void asl_problem(AslCompiler *compiler, const AslTree *where,
						const char *format,...) pg_attribute_printf(3, 4);

/* what names the object in problems: "a Task state", "a retrier".  Returns false if it is no object at all. */
extern bool asl_read_object(AslCompiler *compiler, const AslTree *object, const char *what,
							const AslField *fields, int nfields, uint32 variant, void *target);
extern void asl_check_exclusions(AslCompiler *compiler, const AslTree *object,
								 const AslExclusion *exclusions, int n, uint32 variant);

/* Is it of this type?  Notes a problem if not. */
extern bool asl_expect(AslCompiler *compiler, const AslTree *value, AslTreeType type);

/* Readers.  The type of the target is given. */
extern void asl_read_ignored(AslCompiler *compiler, const AslTree *value, void *target);
extern void asl_read_ignored_text(AslCompiler *compiler, const AslTree *value, void *target);
extern void asl_read_ignored_object(AslCompiler *compiler, const AslTree *value, void *target);
extern void asl_read_value(AslCompiler *compiler, const AslTree *value, void *target);	/* const AslTree * */
extern void asl_read_text(AslCompiler *compiler, const AslTree *value, void *target);	/* char * */
extern void asl_read_uri(AslCompiler *compiler, const AslTree *value, void *target);	/* char * */
extern void asl_read_boolean(AslCompiler *compiler, const AslTree *value, void *target);	/* bool */
extern void asl_read_positive(AslCompiler *compiler, const AslTree *value, void *target);	/* AslAmount */
extern void asl_read_non_negative(AslCompiler *compiler, const AslTree *value, void *target);	/* AslAmount */
extern void asl_read_percentage(AslCompiler *compiler, const AslTree *value, void *target); /* AslAmount */
extern void asl_read_amount_path(AslCompiler *compiler, const AslTree *value, void *target);	/* AslAmount */
extern void asl_read_path(AslCompiler *compiler, const AslTree *value, void *target);	/* AslPath * */
extern void asl_read_reference_path(AslCompiler *compiler, const AslTree *value, void *target); /* AslPath * */
extern void asl_read_filter(AslCompiler *compiler, const AslTree *value, void *target); /* AslFilter */
extern void asl_read_result_path(AslCompiler *compiler, const AslTree *value, void *target);	/* AslFilter */
extern void asl_read_string_expression(AslCompiler *compiler, const AslTree *value, void *target);	/* AslExpr * */
extern void asl_read_template(AslCompiler *compiler, const AslTree *value, void *target);	/* AslTemplate * */
extern void asl_read_parameters(AslCompiler *compiler, const AslTree *value, void *target); /* AslTemplate * */
extern void asl_read_assign(AslCompiler *compiler, const AslTree *value, void *target); /* AslTemplate * */
extern void asl_read_constant(AslCompiler *compiler, const AslTree *value, void *target);	/* Jsonb * */
extern void asl_read_instant(AslCompiler *compiler, const AslTree *value, void *target);	/* AslInstantField */
extern void asl_read_instant_path(AslCompiler *compiler, const AslTree *value, void *target);	/* AslInstantField */

/* ---- compile.c ---- */

extern void asl_read_next(AslCompiler *compiler, const AslTree *value, void *target);	/* int */

/* ---- resource.c ---- */

extern void asl_read_sql_function(AslCompiler *compiler, const AslTree *value, void *target);	/* char * */
extern void asl_read_reader_resource(AslCompiler *compiler, const AslTree *value, void *target); /* char * */
extern void asl_read_writer_resource(AslCompiler *compiler, const AslTree *value, void *target); /* char * */

/* Of a Task or a compensation; resource is what its field Resource says, NULL where that is no string. */
extern void asl_check_resource(AslCompiler *compiler, const AslTree *tree, const char *resource);

/* ---- choice.c, retry.c: readers of a state's fields; the target is its body ---- */

extern void asl_read_choices(AslCompiler *compiler, const AslTree *value, void *target);
extern void asl_read_retry(AslCompiler *compiler, const AslTree *value, void *target);
extern void asl_read_catch(AslCompiler *compiler, const AslTree *value, void *target);

#endif							/* ASL_COMPILE_H */
