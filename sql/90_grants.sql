/*
 * Everybody may use what the parts have granted, or left to PUBLIC; functions
 * that are not for everybody were revoked where they were made.
 */

GRANT USAGE ON SCHEMA expense_flow TO PUBLIC;
