/*-------------------------------------------------------------------------
 *
 * failure.c
 *	  Errors of the server as failures of the language.
 *
 * An SQL error's name is the condition name that PL/pgSQL knows it by, since
 * that is what the manual lists and people write in exception handlers.  The
 * server keeps the names only inside PL/pgSQL, so the list is repeated here;
 * an error code without a name (a user's own, or one of a later server) is
 * called by its five characters.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/elog.h"

#include "compat.h"
#include "engine/engine.h"
#include "engine/failure.h"
#include "errcodes.h"

typedef struct Condition
{
	int			sqlerrcode;
	const char *name;
} Condition;

static const Condition conditions[] = {
	{ERRCODE_SQL_STATEMENT_NOT_YET_COMPLETE, "sql_statement_not_yet_complete"},
	{ERRCODE_CONNECTION_EXCEPTION, "connection_exception"},
	{ERRCODE_CONNECTION_DOES_NOT_EXIST, "connection_does_not_exist"},
	{ERRCODE_CONNECTION_FAILURE, "connection_failure"},
	{ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, "sqlclient_unable_to_establish_sqlconnection"},
	{ERRCODE_SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION, "sqlserver_rejected_establishment_of_sqlconnection"},
	{ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN, "transaction_resolution_unknown"},
	{ERRCODE_PROTOCOL_VIOLATION, "protocol_violation"},
	{ERRCODE_TRIGGERED_ACTION_EXCEPTION, "triggered_action_exception"},
	{ERRCODE_FEATURE_NOT_SUPPORTED, "feature_not_supported"},
	{ERRCODE_INVALID_TRANSACTION_INITIATION, "invalid_transaction_initiation"},
	{ERRCODE_LOCATOR_EXCEPTION, "locator_exception"},
	{ERRCODE_L_E_INVALID_SPECIFICATION, "invalid_locator_specification"},
	{ERRCODE_INVALID_GRANTOR, "invalid_grantor"},
	{ERRCODE_INVALID_GRANT_OPERATION, "invalid_grant_operation"},
	{ERRCODE_INVALID_ROLE_SPECIFICATION, "invalid_role_specification"},
	{ERRCODE_DIAGNOSTICS_EXCEPTION, "diagnostics_exception"},
	{ERRCODE_STACKED_DIAGNOSTICS_ACCESSED_WITHOUT_ACTIVE_HANDLER, "stacked_diagnostics_accessed_without_active_handler"},
	{ERRCODE_CASE_NOT_FOUND, "case_not_found"},
	{ERRCODE_CARDINALITY_VIOLATION, "cardinality_violation"},
	{ERRCODE_DATA_EXCEPTION, "data_exception"},
	{ERRCODE_ARRAY_SUBSCRIPT_ERROR, "array_subscript_error"},
	{ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "character_not_in_repertoire"},
	{ERRCODE_DATETIME_FIELD_OVERFLOW, "datetime_field_overflow"},
	{ERRCODE_DIVISION_BY_ZERO, "division_by_zero"},
	{ERRCODE_ERROR_IN_ASSIGNMENT, "error_in_assignment"},
	{ERRCODE_ESCAPE_CHARACTER_CONFLICT, "escape_character_conflict"},
	{ERRCODE_INDICATOR_OVERFLOW, "indicator_overflow"},
	{ERRCODE_INTERVAL_FIELD_OVERFLOW, "interval_field_overflow"},
	{ERRCODE_INVALID_ARGUMENT_FOR_LOG, "invalid_argument_for_logarithm"},
	{ERRCODE_INVALID_ARGUMENT_FOR_NTILE, "invalid_argument_for_ntile_function"},
	{ERRCODE_INVALID_ARGUMENT_FOR_NTH_VALUE, "invalid_argument_for_nth_value_function"},
	{ERRCODE_INVALID_ARGUMENT_FOR_POWER_FUNCTION, "invalid_argument_for_power_function"},
	{ERRCODE_INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, "invalid_argument_for_width_bucket_function"},
	{ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST, "invalid_character_value_for_cast"},
	{ERRCODE_INVALID_DATETIME_FORMAT, "invalid_datetime_format"},
	{ERRCODE_INVALID_ESCAPE_CHARACTER, "invalid_escape_character"},
	{ERRCODE_INVALID_ESCAPE_OCTET, "invalid_escape_octet"},
	{ERRCODE_INVALID_ESCAPE_SEQUENCE, "invalid_escape_sequence"},
	{ERRCODE_NONSTANDARD_USE_OF_ESCAPE_CHARACTER, "nonstandard_use_of_escape_character"},
	{ERRCODE_INVALID_INDICATOR_PARAMETER_VALUE, "invalid_indicator_parameter_value"},
	{ERRCODE_INVALID_PARAMETER_VALUE, "invalid_parameter_value"},
	{ERRCODE_INVALID_PRECEDING_OR_FOLLOWING_SIZE, "invalid_preceding_or_following_size"},
	{ERRCODE_INVALID_REGULAR_EXPRESSION, "invalid_regular_expression"},
	{ERRCODE_INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "invalid_row_count_in_limit_clause"},
	{ERRCODE_INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE, "invalid_row_count_in_result_offset_clause"},
	{ERRCODE_INVALID_TABLESAMPLE_ARGUMENT, "invalid_tablesample_argument"},
	{ERRCODE_INVALID_TABLESAMPLE_REPEAT, "invalid_tablesample_repeat"},
	{ERRCODE_INVALID_TIME_ZONE_DISPLACEMENT_VALUE, "invalid_time_zone_displacement_value"},
	{ERRCODE_INVALID_USE_OF_ESCAPE_CHARACTER, "invalid_use_of_escape_character"},
	{ERRCODE_MOST_SPECIFIC_TYPE_MISMATCH, "most_specific_type_mismatch"},
	{ERRCODE_NULL_VALUE_NOT_ALLOWED, "null_value_not_allowed"},
	{ERRCODE_NULL_VALUE_NO_INDICATOR_PARAMETER, "null_value_no_indicator_parameter"},
	{ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "numeric_value_out_of_range"},
	{ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED, "sequence_generator_limit_exceeded"},
	{ERRCODE_STRING_DATA_LENGTH_MISMATCH, "string_data_length_mismatch"},
	{ERRCODE_STRING_DATA_RIGHT_TRUNCATION, "string_data_right_truncation"},
	{ERRCODE_SUBSTRING_ERROR, "substring_error"},
	{ERRCODE_TRIM_ERROR, "trim_error"},
	{ERRCODE_UNTERMINATED_C_STRING, "unterminated_c_string"},
	{ERRCODE_ZERO_LENGTH_CHARACTER_STRING, "zero_length_character_string"},
	{ERRCODE_FLOATING_POINT_EXCEPTION, "floating_point_exception"},
	{ERRCODE_INVALID_TEXT_REPRESENTATION, "invalid_text_representation"},
	{ERRCODE_INVALID_BINARY_REPRESENTATION, "invalid_binary_representation"},
	{ERRCODE_BAD_COPY_FILE_FORMAT, "bad_copy_file_format"},
	{ERRCODE_UNTRANSLATABLE_CHARACTER, "untranslatable_character"},
	{ERRCODE_DATUM_VERSION_MISMATCH, "datum_version_mismatch"},
	{ERRCODE_NOT_AN_XML_DOCUMENT, "not_an_xml_document"},
	{ERRCODE_INVALID_XML_DOCUMENT, "invalid_xml_document"},
	{ERRCODE_INVALID_XML_CONTENT, "invalid_xml_content"},
	{ERRCODE_INVALID_XML_COMMENT, "invalid_xml_comment"},
	{ERRCODE_INVALID_XML_PROCESSING_INSTRUCTION, "invalid_xml_processing_instruction"},
	{ERRCODE_DUPLICATE_JSON_OBJECT_KEY_VALUE, "duplicate_json_object_key_value"},
	{ERRCODE_INVALID_ARGUMENT_FOR_SQL_JSON_DATETIME_FUNCTION, "invalid_argument_for_sql_json_datetime_function"},
	{ERRCODE_INVALID_JSON_TEXT, "invalid_json_text"},
	{ERRCODE_INVALID_SQL_JSON_SUBSCRIPT, "invalid_sql_json_subscript"},
	{ERRCODE_MORE_THAN_ONE_SQL_JSON_ITEM, "more_than_one_sql_json_item"},
	{ERRCODE_NO_SQL_JSON_ITEM, "no_sql_json_item"},
	{ERRCODE_NON_NUMERIC_SQL_JSON_ITEM, "non_numeric_sql_json_item"},
	{ERRCODE_NON_UNIQUE_KEYS_IN_A_JSON_OBJECT, "non_unique_keys_in_a_json_object"},
	{ERRCODE_SINGLETON_SQL_JSON_ITEM_REQUIRED, "singleton_sql_json_item_required"},
	{ERRCODE_SQL_JSON_ARRAY_NOT_FOUND, "sql_json_array_not_found"},
	{ERRCODE_SQL_JSON_MEMBER_NOT_FOUND, "sql_json_member_not_found"},
	{ERRCODE_SQL_JSON_NUMBER_NOT_FOUND, "sql_json_number_not_found"},
	{ERRCODE_SQL_JSON_OBJECT_NOT_FOUND, "sql_json_object_not_found"},
	{ERRCODE_TOO_MANY_JSON_ARRAY_ELEMENTS, "too_many_json_array_elements"},
	{ERRCODE_TOO_MANY_JSON_OBJECT_MEMBERS, "too_many_json_object_members"},
	{ERRCODE_SQL_JSON_SCALAR_REQUIRED, "sql_json_scalar_required"},
	{ERRCODE_SQL_JSON_ITEM_CANNOT_BE_CAST_TO_TARGET_TYPE, "sql_json_item_cannot_be_cast_to_target_type"},
	{ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION, "integrity_constraint_violation"},
	{ERRCODE_RESTRICT_VIOLATION, "restrict_violation"},
	{ERRCODE_NOT_NULL_VIOLATION, "not_null_violation"},
	{ERRCODE_FOREIGN_KEY_VIOLATION, "foreign_key_violation"},
	{ERRCODE_UNIQUE_VIOLATION, "unique_violation"},
	{ERRCODE_CHECK_VIOLATION, "check_violation"},
	{ERRCODE_EXCLUSION_VIOLATION, "exclusion_violation"},
	{ERRCODE_INVALID_CURSOR_STATE, "invalid_cursor_state"},
	{ERRCODE_INVALID_TRANSACTION_STATE, "invalid_transaction_state"},
	{ERRCODE_ACTIVE_SQL_TRANSACTION, "active_sql_transaction"},
	{ERRCODE_BRANCH_TRANSACTION_ALREADY_ACTIVE, "branch_transaction_already_active"},
	{ERRCODE_HELD_CURSOR_REQUIRES_SAME_ISOLATION_LEVEL, "held_cursor_requires_same_isolation_level"},
	{ERRCODE_INAPPROPRIATE_ACCESS_MODE_FOR_BRANCH_TRANSACTION, "inappropriate_access_mode_for_branch_transaction"},
	{ERRCODE_INAPPROPRIATE_ISOLATION_LEVEL_FOR_BRANCH_TRANSACTION, "inappropriate_isolation_level_for_branch_transaction"},
	{ERRCODE_NO_ACTIVE_SQL_TRANSACTION_FOR_BRANCH_TRANSACTION, "no_active_sql_transaction_for_branch_transaction"},
	{ERRCODE_READ_ONLY_SQL_TRANSACTION, "read_only_sql_transaction"},
	{ERRCODE_SCHEMA_AND_DATA_STATEMENT_MIXING_NOT_SUPPORTED, "schema_and_data_statement_mixing_not_supported"},
	{ERRCODE_NO_ACTIVE_SQL_TRANSACTION, "no_active_sql_transaction"},
	{ERRCODE_IN_FAILED_SQL_TRANSACTION, "in_failed_sql_transaction"},
	{ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT, "idle_in_transaction_session_timeout"},
	{ERRCODE_INVALID_SQL_STATEMENT_NAME, "invalid_sql_statement_name"},
	{ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION, "triggered_data_change_violation"},
	{ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, "invalid_authorization_specification"},
	{ERRCODE_INVALID_PASSWORD, "invalid_password"},
	{ERRCODE_DEPENDENT_PRIVILEGE_DESCRIPTORS_STILL_EXIST, "dependent_privilege_descriptors_still_exist"},
	{ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST, "dependent_objects_still_exist"},
	{ERRCODE_INVALID_TRANSACTION_TERMINATION, "invalid_transaction_termination"},
	{ERRCODE_SQL_ROUTINE_EXCEPTION, "sql_routine_exception"},
	{ERRCODE_S_R_E_FUNCTION_EXECUTED_NO_RETURN_STATEMENT, "function_executed_no_return_statement"},
	{ERRCODE_S_R_E_MODIFYING_SQL_DATA_NOT_PERMITTED, "modifying_sql_data_not_permitted"},
	{ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED, "prohibited_sql_statement_attempted"},
	{ERRCODE_S_R_E_READING_SQL_DATA_NOT_PERMITTED, "reading_sql_data_not_permitted"},
	{ERRCODE_INVALID_CURSOR_NAME, "invalid_cursor_name"},
	{ERRCODE_EXTERNAL_ROUTINE_EXCEPTION, "external_routine_exception"},
	{ERRCODE_E_R_E_CONTAINING_SQL_NOT_PERMITTED, "containing_sql_not_permitted"},
	{ERRCODE_E_R_E_MODIFYING_SQL_DATA_NOT_PERMITTED, "modifying_sql_data_not_permitted"},
	{ERRCODE_E_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED, "prohibited_sql_statement_attempted"},
	{ERRCODE_E_R_E_READING_SQL_DATA_NOT_PERMITTED, "reading_sql_data_not_permitted"},
	{ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION, "external_routine_invocation_exception"},
	{ERRCODE_E_R_I_E_INVALID_SQLSTATE_RETURNED, "invalid_sqlstate_returned"},
	{ERRCODE_E_R_I_E_NULL_VALUE_NOT_ALLOWED, "null_value_not_allowed"},
	{ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "trigger_protocol_violated"},
	{ERRCODE_E_R_I_E_SRF_PROTOCOL_VIOLATED, "srf_protocol_violated"},
	{ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED, "event_trigger_protocol_violated"},
	{ERRCODE_SAVEPOINT_EXCEPTION, "savepoint_exception"},
	{ERRCODE_S_E_INVALID_SPECIFICATION, "invalid_savepoint_specification"},
	{ERRCODE_INVALID_CATALOG_NAME, "invalid_catalog_name"},
	{ERRCODE_INVALID_SCHEMA_NAME, "invalid_schema_name"},
	{ERRCODE_TRANSACTION_ROLLBACK, "transaction_rollback"},
	{ERRCODE_T_R_INTEGRITY_CONSTRAINT_VIOLATION, "transaction_integrity_constraint_violation"},
	{ERRCODE_T_R_SERIALIZATION_FAILURE, "serialization_failure"},
	{ERRCODE_T_R_STATEMENT_COMPLETION_UNKNOWN, "statement_completion_unknown"},
	{ERRCODE_T_R_DEADLOCK_DETECTED, "deadlock_detected"},
	{ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION, "syntax_error_or_access_rule_violation"},
	{ERRCODE_SYNTAX_ERROR, "syntax_error"},
	{ERRCODE_INSUFFICIENT_PRIVILEGE, "insufficient_privilege"},
	{ERRCODE_CANNOT_COERCE, "cannot_coerce"},
	{ERRCODE_GROUPING_ERROR, "grouping_error"},
	{ERRCODE_WINDOWING_ERROR, "windowing_error"},
	{ERRCODE_INVALID_RECURSION, "invalid_recursion"},
	{ERRCODE_INVALID_FOREIGN_KEY, "invalid_foreign_key"},
	{ERRCODE_INVALID_NAME, "invalid_name"},
	{ERRCODE_NAME_TOO_LONG, "name_too_long"},
	{ERRCODE_RESERVED_NAME, "reserved_name"},
	{ERRCODE_DATATYPE_MISMATCH, "datatype_mismatch"},
	{ERRCODE_INDETERMINATE_DATATYPE, "indeterminate_datatype"},
	{ERRCODE_COLLATION_MISMATCH, "collation_mismatch"},
	{ERRCODE_INDETERMINATE_COLLATION, "indeterminate_collation"},
	{ERRCODE_WRONG_OBJECT_TYPE, "wrong_object_type"},
	{ERRCODE_GENERATED_ALWAYS, "generated_always"},
	{ERRCODE_UNDEFINED_COLUMN, "undefined_column"},
	{ERRCODE_UNDEFINED_FUNCTION, "undefined_function"},
	{ERRCODE_UNDEFINED_TABLE, "undefined_table"},
	{ERRCODE_UNDEFINED_PARAMETER, "undefined_parameter"},
	{ERRCODE_UNDEFINED_OBJECT, "undefined_object"},
	{ERRCODE_DUPLICATE_COLUMN, "duplicate_column"},
	{ERRCODE_DUPLICATE_CURSOR, "duplicate_cursor"},
	{ERRCODE_DUPLICATE_DATABASE, "duplicate_database"},
	{ERRCODE_DUPLICATE_FUNCTION, "duplicate_function"},
	{ERRCODE_DUPLICATE_PSTATEMENT, "duplicate_prepared_statement"},
	{ERRCODE_DUPLICATE_SCHEMA, "duplicate_schema"},
	{ERRCODE_DUPLICATE_TABLE, "duplicate_table"},
	{ERRCODE_DUPLICATE_ALIAS, "duplicate_alias"},
	{ERRCODE_DUPLICATE_OBJECT, "duplicate_object"},
	{ERRCODE_AMBIGUOUS_COLUMN, "ambiguous_column"},
	{ERRCODE_AMBIGUOUS_FUNCTION, "ambiguous_function"},
	{ERRCODE_AMBIGUOUS_PARAMETER, "ambiguous_parameter"},
	{ERRCODE_AMBIGUOUS_ALIAS, "ambiguous_alias"},
	{ERRCODE_INVALID_COLUMN_REFERENCE, "invalid_column_reference"},
	{ERRCODE_INVALID_COLUMN_DEFINITION, "invalid_column_definition"},
	{ERRCODE_INVALID_CURSOR_DEFINITION, "invalid_cursor_definition"},
	{ERRCODE_INVALID_DATABASE_DEFINITION, "invalid_database_definition"},
	{ERRCODE_INVALID_FUNCTION_DEFINITION, "invalid_function_definition"},
	{ERRCODE_INVALID_PSTATEMENT_DEFINITION, "invalid_prepared_statement_definition"},
	{ERRCODE_INVALID_SCHEMA_DEFINITION, "invalid_schema_definition"},
	{ERRCODE_INVALID_TABLE_DEFINITION, "invalid_table_definition"},
	{ERRCODE_INVALID_OBJECT_DEFINITION, "invalid_object_definition"},
	{ERRCODE_WITH_CHECK_OPTION_VIOLATION, "with_check_option_violation"},
	{ERRCODE_INSUFFICIENT_RESOURCES, "insufficient_resources"},
	{ERRCODE_DISK_FULL, "disk_full"},
	{ERRCODE_OUT_OF_MEMORY, "out_of_memory"},
	{ERRCODE_TOO_MANY_CONNECTIONS, "too_many_connections"},
	{ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, "configuration_limit_exceeded"},
	{ERRCODE_PROGRAM_LIMIT_EXCEEDED, "program_limit_exceeded"},
	{ERRCODE_STATEMENT_TOO_COMPLEX, "statement_too_complex"},
	{ERRCODE_TOO_MANY_COLUMNS, "too_many_columns"},
	{ERRCODE_TOO_MANY_ARGUMENTS, "too_many_arguments"},
	{ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "object_not_in_prerequisite_state"},
	{ERRCODE_OBJECT_IN_USE, "object_in_use"},
	{ERRCODE_CANT_CHANGE_RUNTIME_PARAM, "cant_change_runtime_param"},
	{ERRCODE_LOCK_NOT_AVAILABLE, "lock_not_available"},
	{ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE, "unsafe_new_enum_value_usage"},
	{ERRCODE_OPERATOR_INTERVENTION, "operator_intervention"},
	{ERRCODE_QUERY_CANCELED, "query_canceled"},
	{ERRCODE_ADMIN_SHUTDOWN, "admin_shutdown"},
	{ERRCODE_CRASH_SHUTDOWN, "crash_shutdown"},
	{ERRCODE_CANNOT_CONNECT_NOW, "cannot_connect_now"},
	{ERRCODE_DATABASE_DROPPED, "database_dropped"},
	{ERRCODE_IDLE_SESSION_TIMEOUT, "idle_session_timeout"},
	{ERRCODE_SYSTEM_ERROR, "system_error"},
	{ERRCODE_IO_ERROR, "io_error"},
	{ERRCODE_UNDEFINED_FILE, "undefined_file"},
	{ERRCODE_DUPLICATE_FILE, "duplicate_file"},
	{ERRCODE_SNAPSHOT_TOO_OLD, "snapshot_too_old"},
	{ERRCODE_CONFIG_FILE_ERROR, "config_file_error"},
	{ERRCODE_LOCK_FILE_EXISTS, "lock_file_exists"},
	{ERRCODE_FDW_ERROR, "fdw_error"},
	{ERRCODE_FDW_COLUMN_NAME_NOT_FOUND, "fdw_column_name_not_found"},
	{ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED, "fdw_dynamic_parameter_value_needed"},
	{ERRCODE_FDW_FUNCTION_SEQUENCE_ERROR, "fdw_function_sequence_error"},
	{ERRCODE_FDW_INCONSISTENT_DESCRIPTOR_INFORMATION, "fdw_inconsistent_descriptor_information"},
	{ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE, "fdw_invalid_attribute_value"},
	{ERRCODE_FDW_INVALID_COLUMN_NAME, "fdw_invalid_column_name"},
	{ERRCODE_FDW_INVALID_COLUMN_NUMBER, "fdw_invalid_column_number"},
	{ERRCODE_FDW_INVALID_DATA_TYPE, "fdw_invalid_data_type"},
	{ERRCODE_FDW_INVALID_DATA_TYPE_DESCRIPTORS, "fdw_invalid_data_type_descriptors"},
	{ERRCODE_FDW_INVALID_DESCRIPTOR_FIELD_IDENTIFIER, "fdw_invalid_descriptor_field_identifier"},
	{ERRCODE_FDW_INVALID_HANDLE, "fdw_invalid_handle"},
	{ERRCODE_FDW_INVALID_OPTION_INDEX, "fdw_invalid_option_index"},
	{ERRCODE_FDW_INVALID_OPTION_NAME, "fdw_invalid_option_name"},
	{ERRCODE_FDW_INVALID_STRING_LENGTH_OR_BUFFER_LENGTH, "fdw_invalid_string_length_or_buffer_length"},
	{ERRCODE_FDW_INVALID_STRING_FORMAT, "fdw_invalid_string_format"},
	{ERRCODE_FDW_INVALID_USE_OF_NULL_POINTER, "fdw_invalid_use_of_null_pointer"},
	{ERRCODE_FDW_TOO_MANY_HANDLES, "fdw_too_many_handles"},
	{ERRCODE_FDW_OUT_OF_MEMORY, "fdw_out_of_memory"},
	{ERRCODE_FDW_NO_SCHEMAS, "fdw_no_schemas"},
	{ERRCODE_FDW_OPTION_NAME_NOT_FOUND, "fdw_option_name_not_found"},
	{ERRCODE_FDW_REPLY_HANDLE, "fdw_reply_handle"},
	{ERRCODE_FDW_SCHEMA_NOT_FOUND, "fdw_schema_not_found"},
	{ERRCODE_FDW_TABLE_NOT_FOUND, "fdw_table_not_found"},
	{ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION, "fdw_unable_to_create_execution"},
	{ERRCODE_FDW_UNABLE_TO_CREATE_REPLY, "fdw_unable_to_create_reply"},
	{ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, "fdw_unable_to_establish_connection"},
	{ERRCODE_PLPGSQL_ERROR, "plpgsql_error"},
	{ERRCODE_RAISE_EXCEPTION, "raise_exception"},
	{ERRCODE_NO_DATA_FOUND, "no_data_found"},
	{ERRCODE_TOO_MANY_ROWS, "too_many_rows"},
	{ERRCODE_ASSERT_FAILURE, "assert_failure"},
	{ERRCODE_INTERNAL_ERROR, "internal_error"},
	{ERRCODE_DATA_CORRUPTED, "data_corrupted"},
	{ERRCODE_INDEX_CORRUPTED, "index_corrupted"},
};

const char *
ef_condition_name(int sqlerrcode)
{
	int			i;

	for (i = 0; i < lengthof(conditions); i++)
	{
		if (conditions[i].sqlerrcode == sqlerrcode)
			return conditions[i].name;
	}
	return pstrdup(unpack_sql_state(sqlerrcode));
}

void
ef_failure_from_error(const ErrorData *edata, AslError *failure)
{
	if (edata->sqlerrcode == EF_ERRCODE_RAISED_BY_FAIL)
	{
		failure->name = pstrdup(edata->message);
		failure->cause = edata->detail ? pstrdup(edata->detail) : NULL;
		return;
	}
	failure->name = unconstify(char *, ef_condition_name(edata->sqlerrcode));
	if (edata->message == NULL)
		failure->cause = NULL;
	else if (edata->detail)
		failure->cause = psprintf("%s: %s", edata->message, edata->detail);
	else
		failure->cause = pstrdup(edata->message);
}

bool
ef_is_repeatable(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE || sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

bool
ef_mends_with_time(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_CONNECTION_EXCEPTION:
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			return true;
	}
	return sqlerrcode == ERRCODE_READ_ONLY_SQL_TRANSACTION || sqlerrcode == ERRCODE_SNAPSHOT_TOO_OLD ||
		sqlerrcode == EF_ERRCODE_BRANCH_GONE;
}
